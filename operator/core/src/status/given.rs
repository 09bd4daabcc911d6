//! What was given to which revisions of the workload. It outlives the operator, and the annotation that a rollback
//! takes away.

use observed_crds::v1alpha1::Given;

use crate::child::{Applied, ApplyOutcome, Body};
use crate::facts::Facts;
use crate::gift::Gifted;

/// A Deployment keeps as many revisions (`spec.revisionHistoryLimit`), and so can go back to no more.
const MOST_TEMPLATES: usize = 10;

/// What was given so far, this time included.
pub(super) fn given(facts: &Facts, applied: &[Applied]) -> Option<Given> {
    let target = facts.target.as_ref()?;
    let before = facts.given.clone().filter(|given| given.target_uid == target.uid);
    let written = applied.iter().find_map(|applied| match &applied.child.body {
        Body::Gift(gift) if applied.outcome == ApplyOutcome::Written => Some(&gift.gifted),
        _ => None,
    });
    let Some(gifted) = written.or_else(|| in_place(facts)) else {
        return before;
    };
    let gift = gifted.to_string();
    let mut given = before.filter(|given| given.gift == gift).unwrap_or_else(|| Given {
        target_uid: target.uid.clone(),
        gift,
        templates: Vec::new(),
    });
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
