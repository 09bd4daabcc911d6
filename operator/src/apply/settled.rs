//! What was seen of the children at a look after which there was nothing to do.

use std::hash::{DefaultHasher, Hash, Hasher};

use observed_core::child::{Applied, ApplyOutcome, Body, Children, Rendered};

/// Each child that was as it should be, or could not be, by what it should be.
#[derive(Clone, Debug, PartialEq)]
pub struct Settled(Vec<(u64, ApplyOutcome)>);

impl Settled {
    /// None: something was written, or is to be tried again.
    pub fn of(applied: &Children<Applied>) -> Option<Self> {
        let settled = |applied: &Applied| {
            let stays = match applied.outcome {
                ApplyOutcome::Unchanged | ApplyOutcome::KindNotServed | ApplyOutcome::Paused => true,
                ApplyOutcome::NotAccepted(_)
                | ApplyOutcome::Written
                | ApplyOutcome::NameCollision(_)
                | ApplyOutcome::Conflict(_)
                | ApplyOutcome::Rejected(_)
                | ApplyOutcome::Forbidden(_)
                | ApplyOutcome::Failed(_) => false,
            };
            stays.then(|| Some((hash(&applied.child)?, applied.outcome.clone())))?
        };
        applied.items.iter().map(settled).collect::<Option<_>>().map(Self)
    }

    /// What was seen, if these are the very same children. None: they are to be looked at.
    pub fn recall(&self, children: Children<Rendered>) -> Option<Children<Applied>> {
        if self.0.len() != children.items.len() {
            return None;
        }
        let recalled = children.items.into_iter().zip(&self.0).map(|(child, (seen, outcome))| {
            let same = hash(&child)? == *seen;
            let outcome = outcome.clone();
            same.then_some(Applied { child, outcome })
        });
        let items = recalled.collect::<Option<_>>()?;
        Some(Children { items })
    }
}

/// None of what is about somebody else's object: that is looked at each time.
fn hash(child: &Rendered) -> Option<u64> {
    let Body::Owned(object) = &child.body else { return None };
    let mut hasher = DefaultHasher::new();
    (child.kind.plural, &child.name, object).hash(&mut hasher);
    Some(hasher.finish())
}

#[cfg(test)]
mod tests {
    use observed_core::child::Child;
    use observed_core::gift::{ProbeKind, TakeBack};
    use observed_core::outputs;
    use serde_json::json;

    use super::*;

    fn child(value: i32) -> Child {
        Child {
            output: "rules",
            kind: outputs::owned_kinds()[0],
            name: "api".into(),
            body: Body::Owned(json!({"spec": {"value": value}})),
        }
    }

    fn applied(outcomes: &[ApplyOutcome]) -> Children<Applied> {
        let items = (1..).zip(outcomes).map(|(number, outcome)| Applied {
            child: child(number),
            outcome: outcome.clone(),
        });
        Children { items: items.collect() }
    }

    #[test]
    fn the_same_children_are_as_they_were_and_others_are_to_be_looked_at() {
        let seen = applied(&[ApplyOutcome::Unchanged, ApplyOutcome::KindNotServed]);
        let settled = Settled::of(&seen).unwrap();
        let children = |numbers: &[i32]| Children {
            items: numbers.iter().map(|number| child(*number)).collect(),
        };
        assert_eq!(settled.recall(children(&[1, 2])), Some(seen));
        for others in [vec![1, 3], vec![1], vec![1, 2, 3], vec![2, 1]] {
            assert_eq!(settled.recall(children(&others)), None, "{others:?}");
        }
        let mut renamed = children(&[1, 2]);
        renamed.items[1].name = "other".into();
        assert_eq!(settled.recall(renamed), None);
    }

    #[test]
    fn what_was_written_refused_or_not_decided_is_looked_at_again() {
        let words = || "because".to_owned();
        for outcome in [
            ApplyOutcome::Written,
            ApplyOutcome::NotAccepted(words()),
            ApplyOutcome::NameCollision(words()),
            ApplyOutcome::Conflict(words()),
            ApplyOutcome::Rejected(words()),
            ApplyOutcome::Forbidden(words()),
            ApplyOutcome::Failed(words()),
        ] {
            assert_eq!(
                Settled::of(&applied(&[ApplyOutcome::Unchanged, outcome.clone()])),
                None,
                "{outcome:?}"
            );
        }
    }

    #[test]
    fn a_gift_is_looked_at_each_time() {
        let mut seen = applied(&[ApplyOutcome::Unchanged]);
        seen.items[0].child.body = Body::TakeBack(TakeBack {
            container: "api".into(),
            image: "x".into(),
            probes: [ProbeKind::Liveness].into(),
            target_uid: "u".into(),
            resource_version: "1".into(),
            because: "it hurts".into(),
        });
        assert_eq!(Settled::of(&seen), None);
    }
}
