//! What was given to which revisions of the workload. It outlives the operator, and the annotation that a rollback
//! takes away.

use jiff::Timestamp;
use observed_crds::v1alpha1::conditions::ConditionType;
use observed_crds::v1alpha1::{Given, ObservedServiceStatus, Withdrawn};

use super::conditions::find;
use crate::check::Truth;
use crate::child::{Applied, ApplyOutcome, Body};
use crate::facts::Facts;
use crate::gift::Gifted;

/// A Deployment keeps as many revisions (`spec.revisionHistoryLimit`), and so can go back to no more.
const MOST_TEMPLATES: usize = 10;

/// Seconds since the probes were said to be installed.
pub fn installed_seconds(previous: Option<&ObservedServiceStatus>, now: Timestamp) -> Option<u64> {
    let installed = find(previous, ConditionType::ProbesInstalled)?;
    let since = installed.last_transition_time.0.as_second();
    (installed.status == Truth::True.as_str()).then(|| u64::try_from(now.as_second() - since).unwrap_or_default())
}

/// What was given so far, this time included.
pub(super) fn given(facts: &Facts, applied: &[Applied]) -> Option<Given> {
    let target = facts.target.as_ref()?;
    let before = facts.given.clone().filter(|given| given.target_uid == target.uid);
    let mut written = applied
        .iter()
        .filter(|applied| applied.outcome == ApplyOutcome::Written)
        .map(|applied| &applied.child.body);
    let written = written.find(|body| !matches!(body, Body::Owned(_)));
    let gifted = match written {
        Some(Body::Gift(gift)) => Some(&gift.gifted),
        Some(Body::TakeBack(taken)) => {
            return before.map(|before| Given {
                withdrawn: Some(Withdrawn {
                    image: taken.image.clone(),
                    because: taken.because.clone(),
                }),
                ..before
            });
        }
        _ => in_place(facts),
    };
    let Some(gifted) = gifted else { return before };
    let gift = gifted.to_string();
    let mut given = before.filter(|given| given.gift == gift).unwrap_or_else(|| Given {
        target_uid: target.uid.clone(),
        gift,
        template: target.template.clone(),
        ..Given::default()
    });
    if written.is_some() {
        given.template.clone_from(&target.template);
        given.withdrawn = None;
    }
    if !given.templates.contains(&target.template) {
        given.templates.push(target.template.clone());
        let over = given.templates.len().saturating_sub(MOST_TEMPLATES);
        given.templates.drain(..over);
    }
    Some(given)
}

/// The gift of this service, if the workload has all of it.
fn in_place(facts: &Facts) -> Option<&Gifted> {
    let target = facts.target.as_ref()?;
    let gifted = target.gifted.as_ref().filter(|gifted| gifted.owner_uid == facts.uid)?;
    let container = target.containers.iter().find(|c| c.name == gifted.container)?;
    let has = |kind, hash: &String| {
        container
            .probes
            .get(kind)
            .is_some_and(|live| live.shape.hash() == *hash)
    };
    gifted
        .probes
        .iter()
        .all(|(kind, hash)| has(kind, hash))
        .then_some(gifted)
}
