//! What happens with the probes.

use std::collections::BTreeMap;

use observed_crds::v1alpha1::Offer;
use observed_crds::v1alpha1::conditions::Reason;

use crate::gift::{Gift, ProbeKind, ProbeShape, TakeBack, Will};

/// A gift that the operator does not make itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Offered {
    /// The gift.
    pub gift: Gift,
    /// As the status says it, for the policy that makes it.
    pub offer: Offer,
}

/// What happens with the probes.
#[derive(Clone, Debug, PartialEq)]
pub struct Probes {
    /// What is put into the workload. None: nothing is to be given now.
    pub gift: Option<Gift>,
    /// What waits for a rollout of the workload's owner instead.
    pub offer: Option<Offered>,
    /// An earlier gift that is taken out of the workload.
    pub take_back: Option<TakeBack>,
    /// What the workload is to say beside an earlier gift, where it says something else.
    pub will: Option<Will>,
    /// Probes that the container has, theirs or an earlier gift.
    pub present: BTreeMap<ProbeKind, ProbeShape>,
    /// Why a probe is missing and is not given (now), in words.
    pub refused: BTreeMap<ProbeKind, String>,
    /// What the condition says when nothing is given.
    pub reason: Reason,
    /// The same in words.
    pub message: String,
}

impl Probes {
    /// What is put into the workload, by whomever.
    pub fn coming(&self) -> Option<&Gift> {
        self.gift.as_ref().or(self.offer.as_ref().map(|offered| &offered.gift))
    }
}
