//! What was given to which revisions of the workload. It outlives the operator, and the annotation that a rollback
//! takes away.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use observed_crds::v1alpha1::conditions::{ConditionType, Reason};
use observed_crds::v1alpha1::{Given, ObservedServiceStatus, Withdrawn};

use crate::child::{Applied, Body};
use crate::facts::{Container, Facts, Target};
use crate::gift::{Gifted, ProbeKind, ProbeShape, trial_seconds};

/// A Deployment keeps as many revisions (`spec.revisionHistoryLimit`), and so can go back to no more.
const MOST_TEMPLATES: usize = 10;

/// Whether the time of the gift's trial is over.
pub fn trial_over(previous: Option<&ObservedServiceStatus>, now: Timestamp) -> bool {
    let given = previous.and_then(|previous| previous.given.as_ref());
    // Where nothing was written down yet the trial begins now.
    given.is_some_and(|given| given.trial_until.as_ref().is_none_or(|until| until.0 <= now))
}

/// Whether the operator has stopped giving, because somebody takes the gift away again and again. It stays so for one
/// generation of the spec.
pub fn was_contested(previous: Option<&ObservedServiceStatus>, generation: i64) -> bool {
    let conditions = previous.iter().flat_map(|previous| &previous.conditions);
    conditions.into_iter().any(|condition| {
        condition.type_ == ConditionType::ProbesInstalled.as_str()
            && condition.reason == Reason::Contested.as_str()
            && condition.observed_generation == Some(generation)
    })
}

/// What was given so far, this time included.
pub(super) fn given(facts: &Facts, applied: &[Applied], now: Timestamp) -> Option<Given> {
    let target = facts.target.as_ref()?;
    let before = facts.given.clone().filter(|given| given.target_uid == target.uid);
    let written = applied.iter().find(|applied| applied.wrote_gift());
    match written.map(|applied| &applied.child.body) {
        Some(Body::Gift(gift)) => {
            let mut given = begun(before, target, &gift.gifted, &gift.probes, now);
            given.image = image(target, &gift.container);
            given.trial_until = Some(until(&gift.probes, now));
            Some(given)
        }
        Some(Body::TakeBack(taken)) => {
            let gifted = target.gifted.clone().unwrap_or_default();
            let mut given = begun(before, target, &gifted, &BTreeMap::new(), now);
            given.withdrawn = Some(Withdrawn {
                image: taken.image.clone(),
                because: taken.because.clone(),
                times: given.withdrawn.map_or(0, |before| before.times) + 1,
            });
            Some(given)
        }
        _ => match in_place(facts) {
            Some((gifted, container)) => {
                let live = container.probes.iter().map(|(kind, live)| (*kind, live.shape.clone()));
                let live = live.collect();
                let mut given = begun(before, target, gifted, &live, now);
                if was_taken(facts, target, gifted) {
                    given.image = image(target, &gifted.container);
                    given.trial_until = Some(until(&live, now));
                }
                Some(given)
            }
            None => before,
        },
    }
}

/// Whether the gift is new, though Observed did not write: it was offered until now, and the policy put it in.
fn was_taken(facts: &Facts, target: &Target, gifted: &Gifted) -> bool {
    let offer = facts.offer.as_ref();
    offer.is_some_and(|offer| offer.target_uid == target.uid && offer.gift == gifted.to_string())
}

/// What is known of this gift, or what there is to know of one that nothing was written down of.
fn begun(
    before: Option<Given>,
    target: &Target,
    gifted: &Gifted,
    probes: &BTreeMap<ProbeKind, ProbeShape>,
    now: Timestamp,
) -> Given {
    let gift = gifted.to_string();
    let mut given = before.filter(|given| given.gift == gift).unwrap_or_else(|| Given {
        target_uid: target.uid.clone(),
        image: image(target, &gifted.container),
        trial_until: Some(until(probes, now)),
        gift,
        ..Given::default()
    });
    if !given.templates.contains(&target.template) {
        given.templates.push(target.template.clone());
        let over = given.templates.len().saturating_sub(MOST_TEMPLATES);
        given.templates.drain(..over);
    }
    given
}

fn image(target: &Target, container: &str) -> String {
    let container = target.containers.iter().find(|found| found.name == container);
    container.map(|container| container.image.clone()).unwrap_or_default()
}

fn until(probes: &BTreeMap<ProbeKind, ProbeShape>, now: Timestamp) -> Time {
    let seconds = i64::try_from(trial_seconds(probes)).unwrap_or(i64::MAX);
    let until = now.saturating_add(SignedDuration::from_secs(seconds)).unwrap_or(now);
    // The API writes such times without fractions.
    Time(Timestamp::from_second(until.as_second()).unwrap_or(until))
}

/// The gift of this service, if the workload has all of it.
fn in_place(facts: &Facts) -> Option<(&Gifted, &Container)> {
    let target = facts.target.as_ref()?;
    let gifted = target.gifted.as_ref().filter(|gifted| gifted.owner_uid == facts.uid)?;
    let container = target.containers.iter().find(|c| c.name == gifted.container)?;
    let has = |kind, hash: &String| {
        container
            .probes
            .get(kind)
            .is_some_and(|live| live.shape.hash() == *hash)
    };
    let all = gifted.probes.iter().all(|(kind, hash)| has(kind, hash));
    all.then_some((gifted, container))
}
