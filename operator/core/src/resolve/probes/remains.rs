//! What is left of a gift in a workload, whoever gave it.

use std::collections::BTreeSet;

use observed_crds::v1alpha1::{DeletionPolicy, ObservedServiceSpec};

use super::{is_gift, mode};
use crate::facts::{Container, Facts, Target};
use crate::gift::{ProbeKind, TakeBack, Will};

/// What takes every trace of a gift out of a workload, with the probes that are still the gift and nobody else's. None
/// where nothing was given.
pub fn remains(target: &Target, because: &str) -> Option<TakeBack> {
    let gifted = target.gifted.as_ref()?;
    let container = target.containers.iter().find(|found| found.name == gifted.container);
    Some(TakeBack {
        container: gifted.container.clone(),
        image: container.map(|container| container.image.clone()).unwrap_or_default(),
        probes: container
            .map(|container| still_gifts(target, container))
            .unwrap_or_default(),
        target_uid: target.uid.clone(),
        resource_version: target.resource_version.clone(),
        because: because.to_owned(),
    })
}

pub(super) fn still_gifts(target: &Target, container: &Container) -> BTreeSet<ProbeKind> {
    let live = container.probes.iter();
    live.filter(|(kind, live)| is_gift(target, container, **kind, live))
        .map(|(kind, _)| *kind)
        .collect()
}

/// What the workload is to say beside an earlier gift of this service. A promise to remove is only made where probes are
/// given; it is taken back in every mode.
pub(super) fn will(spec: &ObservedServiceSpec, facts: &Facts, target: &Target) -> Option<Will> {
    target.gifted.as_ref().filter(|gifted| gifted.owner_uid == facts.uid)?;
    let policy = deletion_policy(spec);
    let may = policy == DeletionPolicy::Release || mode(spec).gives();
    (may && policy != target.deletion_policy).then(|| Will {
        policy,
        target_uid: target.uid.clone(),
        resource_version: target.resource_version.clone(),
    })
}

pub(super) fn deletion_policy(spec: &ObservedServiceSpec) -> DeletionPolicy {
    spec.probes
        .as_ref()
        .map(|probes| probes.deletion_policy)
        .unwrap_or_default()
}
