//! What is missing, or is an earlier gift that is wanted otherwise by now.

use std::collections::BTreeMap;

use super::is_gift;
use super::wanted::{AllWanted, Wanted};
use crate::facts::{Container, Target};
use crate::gift::{ProbeKind, ProbeShape};

/// Probes that are not as they are wanted, and could be.
pub(super) struct Gaps {
    /// Those that may be given once the pods have answered.
    pub(super) open: BTreeMap<ProbeKind, Wanted>,
    /// Those whose default does not fit the container, in words.
    pub(super) unfit: BTreeMap<ProbeKind, String>,
}

impl Gaps {
    pub(super) fn shapes(&self) -> BTreeMap<ProbeKind, ProbeShape> {
        let open = self.open.iter();
        open.map(|(kind, wanted)| (*kind, wanted.shape.clone())).collect()
    }
}

pub(super) fn gaps(wanted: AllWanted, target: &Target, container: &Container) -> Gaps {
    let mut gaps = Gaps {
        open: BTreeMap::new(),
        unfit: BTreeMap::new(),
    };
    for (kind, wanted) in wanted {
        match (container.probes.get(&kind), wanted) {
            (Some(live), Ok(wanted)) if is_gift(target, container, kind, live) && live.shape != wanted.shape => {
                gaps.open.insert(kind, wanted);
            }
            (Some(_), _) => {}
            (None, Ok(wanted)) => {
                gaps.open.insert(kind, wanted);
            }
            (None, Err(words)) => {
                gaps.unfit.insert(kind, words);
            }
        }
    }
    gaps
}
