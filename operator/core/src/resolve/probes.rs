//! Which probes are given, which are there, and which are refused.
//!
//! A probe that the container's owner gave it is never touched. What is missing is given only after every running pod
//! has answered as the probe needs it, and all of it in one patch: a patch costs a rollout.

mod dependent;
mod gaps;
mod held;
mod judged;
mod lint;
mod offer;
mod preflight;
mod remains;
mod trial;
mod wanted;
mod words;

use std::collections::BTreeMap;

use observed_crds::v1alpha1::conditions::Reason;
use observed_crds::v1alpha1::{ObservedServiceSpec, ProbesMode, Scheme};

use crate::facts::{Ask, Container, Facts, LiveProbe, Question, Target};
use crate::finding::Finding;
use crate::gift::{Gift, Gifted, Handler, ProbeKind, ProbeShape};
use crate::plan::Probes;
pub use dependent::dependent;
use gaps::{Gaps, gaps};
use held::held_back;
use judged::{Judged, judge};
use lint::Linted;
pub(super) use offer::no_policy;
pub use remains::remains;
pub use trial::on_trial;
use wanted::AllWanted;
use words::{all_words, in_place, refusals, sentences, waits};

/// What happens with the probes, and what is worth knowing about those that are there.
pub(super) fn probes(
    spec: &ObservedServiceSpec,
    facts: &Facts,
    target: &Target,
    container: &Container,
) -> Result<(Probes, Vec<Finding>), Vec<Finding>> {
    let (mut probes, warnings) = planned(spec, facts, target, container)?;
    // A gift says it in its own patch, and what is taken back leaves nothing to speak of.
    if probes.gift.is_none() && probes.take_back.is_none() {
        probes.will = remains::will(spec, facts, target);
    }
    Ok((probes, warnings))
}

fn planned(
    spec: &ObservedServiceSpec,
    facts: &Facts,
    target: &Target,
    container: &Container,
) -> Result<(Probes, Vec<Finding>), Vec<Finding>> {
    let wanted = all_wanted(spec, facts, target, container)?;
    let mode = mode(spec);
    let warnings = lint::lint(container, &linted(&wanted, mode, target, container));
    let present = shapes(container);
    let mut gaps = gaps(wanted, target, container);
    if mode == ProbesMode::Disabled {
        let there = in_place(&present).or_else(|| Some("The container has no probe".into()));
        let message = sentences([Some("spec.probes.mode is Disabled".into()), there]);
        return Ok((
            nothing_given(present, BTreeMap::new(), Reason::Disabled, message),
            warnings,
        ));
    }
    if let Some(take_back) = trial::failed(spec, facts) {
        let message = format!("{}: they are taken back", take_back.because);
        let taken = Probes {
            take_back: Some(take_back),
            ..nothing_given(present, BTreeMap::new(), Reason::Withdrawn, message)
        };
        return Ok((taken, warnings));
    }
    if gaps.open.is_empty() && gaps.unfit.is_empty() {
        let message = sentences([
            in_place(&present),
            words::source(facts, target, container),
            words::no_yield(facts, target, container),
        ]);
        return Ok((
            nothing_given(present, BTreeMap::new(), Reason::Installed, message),
            warnings,
        ));
    }
    if let Some((reason, why)) = held_back(spec, facts, target, container, &gaps) {
        let (verb, reason) = match (mode, reason) {
            (ProbesMode::Observe, Reason::Paused) => ("Would be given", reason),
            (ProbesMode::Observe, _) => ("Would be given", Reason::Observed),
            _ => ("To be given", reason),
        };
        let message = sentences([
            Some(why.clone()),
            all_words(verb, &gaps.shapes()),
            refusals(&gaps.unfit),
            in_place(&present),
        ]);
        let mut refused = gaps.unfit;
        refused.extend(gaps.open.into_keys().map(|kind| (kind, why.clone())));
        return Ok((nothing_given(present, refused, reason, message), warnings));
    }
    let judged = judge(&mut gaps, facts, target, container);
    let probes = match mode {
        ProbesMode::Observe => observe(judged, present),
        _ => give(judged, present, spec, facts, target, container),
    };
    Ok((probes, warnings))
}

/// Seconds for which preflight asks before anything is given.
pub fn preflight_seconds(spec: &ObservedServiceSpec) -> u32 {
    // What is no duration is a finding, and nothing is given then.
    wanted::window(spec).unwrap_or_default()
}

/// What is risky about the probes that a container has, whoever gave them.
pub fn risky_probes(container: &Container) -> Vec<Finding> {
    let shapes = container.probes.iter().map(|(kind, live)| (*kind, &live.shape));
    let linted = shapes
        .map(|(kind, shape)| (kind, Linted { shape, theirs: true }))
        .collect();
    lint::lint(container, &linted)
}

/// What preflight must ask: everything that would be given, and nothing while nothing can be given anyway.
pub(super) fn questions(
    spec: &ObservedServiceSpec,
    facts: &Facts,
    target: &Target,
    container: &Container,
) -> Vec<Question> {
    let Ok(wanted) = all_wanted(spec, facts, target, container) else {
        return Vec::new();
    };
    let gaps = gaps(wanted, target, container);
    if mode(spec) == ProbesMode::Disabled || held_back(spec, facts, target, container, &gaps).is_some() {
        return Vec::new();
    }
    gaps.open
        .into_iter()
        .filter_map(|(probe, wanted)| {
            Some(Question {
                probe,
                port: wanted.port?,
                timeout_seconds: wanted.shape.timeout_seconds,
                ask: match wanted.shape.handler {
                    Handler::HttpGet { path, scheme, .. } => Ask::Get {
                        path,
                        https: scheme == Scheme::Https.as_str(),
                    },
                    Handler::TcpSocket { .. } => Ask::Connect,
                    Handler::Grpc { service, .. } => Ask::Grpc { service },
                    Handler::Exec { .. } | Handler::None => return None,
                },
            })
        })
        .collect()
}

fn mode(spec: &ObservedServiceSpec) -> ProbesMode {
    spec.probes.as_ref().map(|probes| probes.mode).unwrap_or_default()
}

/// Whether a probe is still a gift: of this ObservedService, or of one before it that had the workload.
pub(super) fn is_gift(target: &Target, container: &Container, kind: ProbeKind, live: &LiveProbe) -> bool {
    let gifted = target
        .gifted
        .as_ref()
        .filter(|gifted| gifted.container == container.name);
    let given = gifted.and_then(|gifted| gifted.probes.get(&kind));
    live.owned_by.is_empty() && given == Some(&live.shape.hash())
}

fn all_wanted(
    spec: &ObservedServiceSpec,
    facts: &Facts,
    target: &Target,
    container: &Container,
) -> Result<AllWanted, Vec<Finding>> {
    let live = container.probes.iter();
    let (given, theirs): (BTreeMap<_, _>, BTreeMap<_, _>) = live
        .map(|(kind, live)| (*kind, live))
        .partition(|(kind, live)| is_gift(target, container, *kind, live));
    let standing = offer::standing(facts, target);
    let mut before: BTreeMap<_, _> = standing.iter().map(|(kind, shape)| (*kind, shape)).collect();
    before.extend(given.into_iter().map(|(kind, live)| (kind, &live.shape)));
    let past = wanted::Past {
        took: facts.starts.get(&container.name).copied(),
        given: before,
    };
    let theirs = theirs.get(&ProbeKind::Liveness).map(|live| &live.shape);
    wanted::wanted(spec, container, theirs, &past)
}

fn shapes(container: &Container) -> BTreeMap<ProbeKind, ProbeShape> {
    let live = container.probes.iter();
    live.map(|(kind, live)| (*kind, live.shape.clone())).collect()
}

/// The probes that the container has or will have.
fn linted<'a>(
    wanted: &'a AllWanted,
    mode: ProbesMode,
    target: &Target,
    container: &'a Container,
) -> BTreeMap<ProbeKind, Linted<'a>> {
    let mut linted = BTreeMap::new();
    for (kind, live) in &container.probes {
        let theirs = !is_gift(target, container, *kind, live);
        linted.insert(
            *kind,
            Linted {
                shape: &live.shape,
                theirs,
            },
        );
    }
    if mode != ProbesMode::Disabled {
        for (kind, wanted) in wanted {
            if let Ok(wanted) = wanted
                && linted.get(kind).is_none_or(|linted| !linted.theirs)
            {
                linted.insert(
                    *kind,
                    Linted {
                        shape: &wanted.shape,
                        theirs: false,
                    },
                );
            }
        }
    }
    linted
}

fn give(
    judged: Judged,
    present: BTreeMap<ProbeKind, ProbeShape>,
    spec: &ObservedServiceSpec,
    facts: &Facts,
    target: &Target,
    container: &Container,
) -> Probes {
    let Judged {
        fits,
        pending,
        mut refused,
        may_pass,
    } = judged;
    let gift = gift(fits, spec, facts, target, container);
    let fits = &gift.probes;
    // What was offered after a whole window stays so while a new one, after a restart of the operator, is as good.
    let early = facts.asking && !fits.is_empty() && !offer::stands(&gift, facts, target);
    if !pending.is_empty() || fits.is_empty() || may_pass || early {
        // A gift now and one more later would be two rollouts.
        let reason = if refused.is_empty() || (early && pending.is_empty() && !may_pass) {
            Reason::PreflightPending
        } else {
            Reason::PreflightFailed
        };
        let window = preflight_seconds(spec);
        let asked = || format!("The running pods answer, and are asked for {window} s before anything is given");
        let message = sentences([
            early.then(asked),
            refusals(&refused),
            waits(&pending),
            all_words("To be given", fits),
            in_place(&present),
        ]);
        refused.extend(pending);
        return nothing_given(present, refused, reason, message);
    }
    let words = |verb: &str| sentences([all_words(verb, fits), refusals(&refused), in_place(&present)]);
    if mode(spec) == ProbesMode::Admission {
        let message = sentences([Some(words("Offered")), Some(offer::awaited(facts))]);
        return Probes {
            offer: Some(offer::offered(gift, facts, target)),
            ..nothing_given(present, refused, Reason::Offered, message)
        };
    }
    let message = words("Given");
    Probes {
        gift: Some(gift),
        ..nothing_given(present, refused, Reason::RolloutInProgress, message)
    }
}

/// What fits, and what the workload says of it and of earlier gifts from then on.
fn gift(
    fits: BTreeMap<ProbeKind, ProbeShape>,
    spec: &ObservedServiceSpec,
    facts: &Facts,
    target: &Target,
    container: &Container,
) -> Gift {
    let mut gifted = Gifted {
        container: container.name.clone(),
        probes: fits.iter().map(|(kind, shape)| (*kind, shape.hash())).collect(),
        owner_uid: facts.uid.clone(),
    };
    for (kind, live) in &container.probes {
        if is_gift(target, container, *kind, live) {
            gifted.probes.entry(*kind).or_insert_with(|| live.shape.hash());
        }
    }
    Gift {
        container: container.name.clone(),
        probes: fits,
        gifted,
        deletion_policy: remains::deletion_policy(spec),
        target_uid: target.uid.clone(),
        resource_version: target.resource_version.clone(),
    }
}

fn observe(judged: Judged, present: BTreeMap<ProbeKind, ProbeShape>) -> Probes {
    let Judged {
        fits,
        pending,
        mut refused,
        ..
    } = judged;
    let message = sentences([
        Some("spec.probes.mode is Observe: nothing is given".into()),
        all_words("Would be given", &fits),
        refusals(&refused),
        waits(&pending),
        in_place(&present),
    ]);
    refused.extend(pending);
    nothing_given(present, refused, Reason::Observed, message)
}

fn nothing_given(
    present: BTreeMap<ProbeKind, ProbeShape>,
    refused: BTreeMap<ProbeKind, String>,
    reason: Reason,
    message: String,
) -> Probes {
    Probes {
        gift: None,
        offer: None,
        take_back: None,
        will: None,
        present,
        refused,
        reason,
        message,
    }
}

#[cfg(test)]
mod tests;
