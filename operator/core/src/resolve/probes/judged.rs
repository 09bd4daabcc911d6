//! The gaps after the pods have answered: what fits, what waits, and what is refused.

use std::collections::BTreeMap;

use super::preflight::{self, Judgement};
use super::{Gaps, dependent};
use crate::facts::{Container, Facts, Target};
use crate::gift::{ProbeKind, ProbeShape};

/// The gaps after the pods have answered.
pub(super) struct Judged {
    pub(super) fits: BTreeMap<ProbeKind, ProbeShape>,
    pub(super) pending: BTreeMap<ProbeKind, String>,
    pub(super) refused: BTreeMap<ProbeKind, String>,
    /// A refusal may pass by itself, and would then cost a second rollout.
    pub(super) may_pass: bool,
}

pub(super) fn judge(gaps: &mut Gaps, facts: &Facts, target: &Target, container: &Container) -> Judged {
    let mut judged = Judged {
        fits: BTreeMap::new(),
        pending: BTreeMap::new(),
        refused: std::mem::take(&mut gaps.unfit),
        may_pass: false,
    };
    for (kind, wanted) in &gaps.open {
        if let Some(words) = dependent::refusal(*kind, wanted, facts) {
            judged.refused.insert(*kind, words);
            continue;
        }
        let answers = facts.preflight.get(kind).map(Vec::as_slice).unwrap_or_default();
        match preflight::judge(*kind, wanted, answers, target.replicas) {
            Judgement::Fits => {
                judged.fits.insert(*kind, preflight::fitting(wanted, answers));
            }
            Judgement::Pending(words) => {
                judged.pending.insert(*kind, words);
            }
            Judgement::Refused { words, may_pass } => {
                judged.refused.insert(*kind, words);
                judged.may_pass |= may_pass;
            }
        }
    }
    pair(&mut judged, container);
    judged
}

/// A startup probe alone only restarts, and a liveness probe alone restarts a slow start: missing both, a container is
/// given both or none.
fn pair(judged: &mut Judged, container: &Container) {
    for (kind, other, why) in [
        (
            ProbeKind::Startup,
            ProbeKind::Liveness,
            "a startup probe is given only together with a liveness probe",
        ),
        (
            ProbeKind::Liveness,
            ProbeKind::Startup,
            "without the startup probe it would restart a start that is slow",
        ),
    ] {
        if !judged.fits.contains_key(&kind) || container.probes.contains_key(&kind) {
            continue;
        }
        if judged.refused.contains_key(&other) && !container.probes.contains_key(&other) {
            judged.fits.remove(&kind);
            judged.refused.insert(kind, why.into());
        }
    }
}
