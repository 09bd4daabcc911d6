use serde_json::{Value, json};

use super::*;

#[test]
fn a_gift_that_is_in_place_is_not_given_again() {
    let gift = resolved(&spec(json!({})), &facts(|_| {})).gift.unwrap();
    let after = facts(|facts| with_gift(facts, &gift, &[]));
    let probes = resolved(&spec(json!({})), &after);
    assert_eq!((given(&probes), probes.reason), (vec![], Reason::Installed));
    assert_eq!(asked(&spec(json!({})), &after), []);
}

#[test]
fn a_gift_follows_the_spec_and_what_somebody_took_over_does_not() {
    let gift = resolved(&spec(json!({})), &facts(|_| {})).gift.unwrap();
    let changed = spec(json!({"readiness": {"httpGet": {"path": "/serve"}}}));
    let ours = facts(|facts| with_gift(facts, &gift, &[]));
    let update = resolved(&changed, &ours).gift.unwrap();
    assert_eq!(kinds(&update.probes), [ProbeKind::Readiness]);
    assert_eq!(kinds(&update.gifted.probes), ALL, "the others stay gifts");
    assert_eq!(asked(&changed, &ours), [ProbeKind::Readiness]);
    let theirs = facts(|facts| with_gift(facts, &gift, &["helm"]));
    assert_eq!(given(&resolved(&changed, &theirs)), []);
}

#[test]
fn a_gift_that_was_taken_away_is_not_given_again_until_another_one_is_asked_for() {
    let gift = resolved(&spec(json!({})), &facts(|_| {})).gift.unwrap();
    let taken = |change: &dyn Fn(&mut Value)| {
        facts(|facts| {
            with_gift(facts, &gift, &[]);
            facts["target"]["containers"][0]["probes"] = json!({});
            change(facts);
        })
    };
    let taken_out = taken(&|_| {});
    let probes = resolved(&spec(json!({})), &taken_out);
    assert_eq!((given(&probes), probes.reason), (vec![], Reason::Declined));
    assert!(
        probes.message.contains("observed.rs/probes") && probes.message.contains("Disabled"),
        "{}",
        probes.message
    );
    assert_eq!(asked(&spec(json!({})), &taken_out), []);

    let others = json!({
        "liveness": {"failureThreshold": 9}, "readiness": {"failureThreshold": 9}, "startup": {"within": "10m"},
    });
    assert_eq!(given(&resolved(&spec(others), &taken_out)), ALL);
    // What was given to another container, or by an ObservedService that is gone, says nothing about this one.
    for change in [json!({"container": "other"}), json!({"ownerUid": "owner-0"})] {
        let facts = taken(&|facts| {
            for (key, value) in change.as_object().unwrap() {
                facts["target"]["gifted"][key] = value.clone();
            }
        });
        assert_eq!(given(&resolved(&spec(json!({})), &facts)), ALL, "{change}");
    }
}

#[test]
fn a_gift_that_somebody_changed_is_theirs() {
    let gift = resolved(&spec(json!({})), &facts(|_| {})).gift.unwrap();
    let changed = facts(|facts| {
        with_gift(facts, &gift, &[]);
        facts["target"]["containers"][0]["probes"]["readiness"]["shape"]["periodSeconds"] = json!(7);
    });
    assert_eq!(
        given(&resolved(&spec(json!({"readiness": {"periodSeconds": 9}})), &changed)),
        []
    );
}

#[test]
fn the_gift_of_an_observed_service_before_this_one_is_taken_over() {
    let mut gift = resolved(&spec(json!({})), &facts(|_| {})).gift.unwrap();
    gift.gifted.owner_uid = "owner-0".into();
    let after = facts(|facts| with_gift(facts, &gift, &[]));
    assert_eq!(
        given(&resolved(&spec(json!({})), &after)),
        [],
        "it is as it should be: no rollout"
    );
    let update = resolved(&spec(json!({"liveness": {"failureThreshold": 9}})), &after)
        .gift
        .unwrap();
    assert_eq!(kinds(&update.probes), [ProbeKind::Liveness]);
    assert_eq!(
        (kinds(&update.gifted.probes), update.gifted.owner_uid.as_str()),
        (ALL.to_vec(), "owner-1")
    );
}

/// What the API server then has: the gift, let go of.
#[test]
fn a_revision_that_had_the_gift_and_has_it_no_longer_is_not_given_it_again() {
    let gift = resolved(&spec(json!({})), &facts(|_| {})).gift.unwrap();
    let back = |change: &dyn Fn(&mut Value)| {
        facts(|facts| {
            facts["target"]["template"] = json!("aa");
            facts["target"]["lastWriter"] = json!("kubectl-rollout");
            facts["given"] = json!({
                "targetUID": "target-1", "gift": gift.gifted.to_string(), "templates": ["aa", "bb"],
            });
            change(facts);
        })
    };
    let rolled_back = back(&|_| {});
    let probes = resolved(&spec(json!({})), &rolled_back);
    assert_eq!((given(&probes), probes.reason), (vec![], Reason::Declined));
    assert!(
        probes.message.contains("kubectl-rollout") && probes.message.contains("next revision"),
        "{}",
        probes.message
    );
    assert_eq!(asked(&spec(json!({})), &rolled_back), []);

    // Another revision, workload or wish is another matter.
    for change in [
        json!({"/target/template": "cc"}),
        json!({"/given/targetUID": "target-0"}),
        json!({"/given/gift": "other/liveness:00000000@owner-1"}),
        json!({"/uid": "owner-2"}),
    ] {
        let facts = back(&|facts| {
            for (path, value) in change.as_object().unwrap() {
                *facts.pointer_mut(path).unwrap() = value.clone();
            }
        });
        assert_eq!(given(&resolved(&spec(json!({})), &facts)), ALL, "{change}");
    }
    let other = spec(json!({
        "liveness": {"failureThreshold": 9}, "readiness": {"failureThreshold": 9}, "startup": {"within": "10m"},
    }));
    assert_eq!(given(&resolved(&other, &rolled_back)), ALL);
}
