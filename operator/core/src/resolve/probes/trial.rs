//! A gift is on trial while it rolls out and shortly after. One that hurts is taken back, once.

use std::collections::BTreeSet;

use observed_crds::v1alpha1::{ObservedServiceSpec, ProbesMode};

use super::{is_gift, mode};
use crate::facts::{Container, Facts, Target, TrialPod};
use crate::gift::{ProbeKind, TakeBack};

/// Seconds after the end of the rollout in which a restart still speaks against the gift.
const TRIAL_SECONDS: u64 = 120;
/// Seconds for which a pod that has started may be not ready. A process may warm up, and says so by its readiness.
const UNREADY_SECONDS: u64 = 180;

/// Whether the workload has a gift of this service that is on trial: in the revision that it was put into, until some
/// time after the rollout. What happens to a later revision is its own doing.
pub fn on_trial(facts: &Facts) -> bool {
    let Some(target) = &facts.target else { return false };
    let Some(gifted) = target.gifted.as_ref().filter(|gifted| gifted.owner_uid == facts.uid) else {
        return false;
    };
    let same_revision = facts.given.as_ref().is_none_or(|given| {
        given.target_uid == target.uid && given.gift == gifted.to_string() && given.template == target.template
    });
    let container = target
        .containers
        .iter()
        .find(|container| container.name == gifted.container);
    let in_place = container.is_some_and(|container| !still_gifts(target, container).is_empty());
    same_revision && in_place && facts.installed_seconds.is_none_or(|seconds| seconds < TRIAL_SECONDS)
}

/// What is taken back, if the trial failed.
pub(super) fn failed(
    spec: &ObservedServiceSpec,
    facts: &Facts,
    target: &Target,
    container: &Container,
) -> Option<TakeBack> {
    if spec.paused || mode(spec) != ProbesMode::Patch || !on_trial(facts) {
        return None;
    }
    let hurt = facts.trial.iter().find_map(hurt)?;
    let probes = still_gifts(target, container);
    if probes.is_empty() {
        return None;
    }
    let kinds: Vec<_> = probes.iter().map(|kind| kind.as_str()).collect();
    let because = format!("With the probes that Observed gave ({}) {hurt}", kinds.join(", "));
    Some(TakeBack {
        container: container.name.clone(),
        image: container.image.clone(),
        probes,
        target_uid: target.uid.clone(),
        resource_version: target.resource_version.clone(),
        because,
    })
}

fn still_gifts(target: &Target, container: &Container) -> BTreeSet<ProbeKind> {
    let live = container.probes.iter();
    live.filter(|(kind, live)| is_gift(target, container, **kind, live))
        .map(|(kind, _)| *kind)
        .collect()
}

/// What happened to the pod, in words. Without the gift it happened to none: it is given to what runs without restarts.
fn hurt(pod: &TrialPod) -> Option<String> {
    if pod.restarts > 0 {
        return Some(format!("the container of pod {:?} was restarted", pod.pod));
    }
    let minutes = UNREADY_SECONDS / 60;
    (pod.unready_seconds >= UNREADY_SECONDS)
        .then(|| format!("pod {:?} was not ready within {minutes} minutes of its start", pod.pod))
}
