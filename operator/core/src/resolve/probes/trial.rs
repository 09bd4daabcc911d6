//! A gift is on trial while it rolls out and for some time after. One that hurts is taken back.

use std::collections::BTreeSet;

use observed_crds::v1alpha1::{ObservedServiceSpec, TargetKind};

use super::mode;
use super::remains::still_gifts;
use crate::facts::{Container, Facts, Target, TrialPod};
use crate::gift::{ProbeKind, TakeBack, UNREADY_SECONDS};

/// Whether the workload has a gift of this service that is on trial, with the image that it was given to. What happens to
/// another image is its own doing.
pub fn on_trial(spec: &ObservedServiceSpec, facts: &Facts) -> bool {
    gift_on_trial(spec, facts).is_some()
}

/// What is taken back, if the trial failed.
pub(super) fn failed(spec: &ObservedServiceSpec, facts: &Facts) -> Option<TakeBack> {
    let (target, container) = gift_on_trial(spec, facts)?;
    let probes = still_gifts(target, container);
    let (pod, hurt) = facts
        .trial
        .iter()
        .find_map(|pod| Some((pod, hurt(pod, container, &probes)?)))?;
    let kinds: Vec<_> = probes.iter().map(|kind| kind.as_str()).collect();
    let by_hand = match target.kind {
        TargetKind::StatefulSet => format!(
            ". A StatefulSet may replace a pod that is not ready only once it is deleted: kubectl delete pod {} -n {}",
            pod.pod, facts.namespace
        ),
        TargetKind::Deployment | TargetKind::DaemonSet => String::new(),
    };
    let because = format!(
        "With the probes that Observed gave ({}) {hurt}{by_hand}",
        kinds.join(", ")
    );
    Some(TakeBack {
        container: container.name.clone(),
        image: container.image.clone(),
        probes,
        target_uid: target.uid.clone(),
        resource_version: target.resource_version.clone(),
        because,
    })
}

fn gift_on_trial<'a>(spec: &ObservedServiceSpec, facts: &'a Facts) -> Option<(&'a Target, &'a Container)> {
    if spec.paused || !mode(spec).gives() || facts.trial_over {
        return None;
    }
    let target = facts.target.as_ref()?;
    let gifted = target.gifted.as_ref().filter(|gifted| gifted.owner_uid == facts.uid)?;
    let container = target
        .containers
        .iter()
        .find(|container| container.name == gifted.container)?;
    let same = facts.given.as_ref().is_none_or(|given| {
        given.target_uid == target.uid && given.gift == gifted.to_string() && given.image == container.image
    });
    (same && !still_gifts(target, container).is_empty()).then_some((target, container))
}

/// What the gift did to the pod, in words.
fn hurt(pod: &TrialPod, container: &Container, given: &BTreeSet<ProbeKind>) -> Option<String> {
    let shape = |kind: ProbeKind| container.probes.get(&kind).map(|live| &live.shape);
    // What ends by itself ends sooner than a probe can end it.
    let soonest = [ProbeKind::Liveness, ProbeKind::Startup]
        .into_iter()
        .filter(|kind| given.contains(kind))
        .filter_map(|kind| {
            shape(kind).map(|shape| {
                shape
                    .failure_threshold
                    .saturating_sub(1)
                    .saturating_mul(shape.period_seconds)
            })
        })
        .min();
    if let Some(soonest) = soonest
        && pod.restarts > 0
        && pod
            .ran_seconds
            .is_some_and(|ran| i64::try_from(ran).unwrap_or(i64::MAX) >= i64::from(soonest))
    {
        return Some(format!("the container of pod {:?} was restarted", pod.pod));
    }
    // The time of its start counts too, because when it has started is not told.
    let start = shape(ProbeKind::Startup).map_or(0, |shape| u64::try_from(shape.verdict_seconds()).unwrap_or_default());
    let unready = given.contains(&ProbeKind::Readiness) && pod.unready_seconds >= UNREADY_SECONDS + start;
    let minutes = UNREADY_SECONDS / 60;
    unready.then(|| {
        format!(
            "pod {:?} was not ready within {minutes} minutes of its start, or of the time that its startup probe allows",
            pod.pod
        )
    })
}
