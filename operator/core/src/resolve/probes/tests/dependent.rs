//! Liveness that depends on something else.

use observed_crds::v1alpha1::LivenessSign;

use super::*;

const SIGNS: [LivenessSign; 2] = [LivenessSign::Failed, LivenessSign::Slowed];

fn seen(facts: &Facts, sign: LivenessSign) -> Facts {
    let dependent = dependent(&spec(json!({})), facts, None, Some(sign));
    assert!(dependent.is_some());
    Facts {
        dependent,
        ..facts.clone()
    }
}

#[test]
fn liveness_that_depends_on_something_else_is_refused_and_readiness_is_given_all_the_same() {
    let spec = spec(json!({}));
    let facts = facts(|_| {});
    assert!(given(&resolved(&spec, &facts)).contains(&ProbeKind::Liveness));
    for sign in SIGNS {
        let probes = resolved(&spec, &seen(&facts, sign));
        assert_eq!(given(&probes), [ProbeKind::Readiness], "{sign:?}");
        let words = &probes.refused[&ProbeKind::Liveness];
        assert!(words.contains("depends on something else"), "{words}");
        assert!(probes.refused[&ProbeKind::Startup].contains("together with a liveness probe"));
    }
}

#[test]
fn what_was_seen_is_forgotten_with_another_image_another_endpoint_or_another_workload() {
    let plain = facts(|_| {});
    let before = seen(&plain, LivenessSign::Failed).dependent;
    let kept = |probes: Value, facts: &Facts| dependent(&spec(probes), facts, before.as_ref(), None);
    assert_eq!(kept(json!({}), &plain), before);
    let elsewhere = json!({"liveness": {"httpGet": {"path": "/alive"}}});
    assert_eq!(kept(elsewhere, &plain), None);
    for (field, value) in [
        ("/target/uid", json!("target-2")),
        ("/target/containers/0/image", json!("api:2")),
    ] {
        let changed = facts(|facts| {
            let (parent, name) = field.rsplit_once('/').unwrap();
            facts.pointer_mut(parent).unwrap()[name] = value;
        });
        assert_eq!(kept(json!({}), &changed), None, "{field}");
    }
    assert_eq!(kept(json!({}), &Facts::default()), None, "the workload is gone");
}

#[test]
fn what_was_seen_first_stays_and_a_new_sign_counts_for_the_image_that_gave_it() {
    let plain = facts(|_| {});
    let before = seen(&plain, LivenessSign::Failed).dependent;
    let again = dependent(&spec(json!({})), &plain, before.as_ref(), Some(LivenessSign::Slowed));
    assert_eq!(again, before, "the status is not written anew for it");
    let newer = facts(|facts| facts["target"]["containers"][0]["image"] = json!("api:2"));
    let now = dependent(&spec(json!({})), &newer, before.as_ref(), Some(LivenessSign::Slowed)).unwrap();
    assert_eq!((now.image.as_str(), now.sign), ("api:2", LivenessSign::Slowed));
}
