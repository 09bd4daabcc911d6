use serde_json::{Value, json};

use super::*;
use crate::gift::Gift;
use crate::resolve::on_trial;

fn gift() -> Gift {
    resolved(&spec(json!({})), &facts(|_| {})).gift.unwrap()
}

/// The gift rolls out: in place, in the revision that it was put into.
fn rolling(change: impl FnOnce(&mut Value)) -> Facts {
    let gift = gift();
    facts(|facts| {
        with_gift(facts, &gift, &[]);
        facts["target"]["template"] = json!("aa");
        facts["target"]["unsettled"] = json!("1 of 2 pods are updated");
        facts["target"]["containers"][0]["image"] = json!("api:1");
        facts["given"] = json!({
            "targetUID": "target-1", "gift": gift.gifted.to_string(), "template": "aa", "templates": ["aa"],
        });
        facts["trial"] = json!([{"pod": "api-3", "restarts": 0, "unreadySeconds": 20}]);
        change(facts);
    })
}

#[test]
fn a_gift_is_on_trial_in_the_revision_that_it_was_put_into_until_two_minutes_after_the_rollout() {
    assert!(on_trial(&rolling(|_| {})));
    assert!(on_trial(&rolling(|facts| facts["installedSeconds"] = json!(119))));
    assert!(
        on_trial(&rolling(|facts| facts["given"] = Value::Null)),
        "the operator died in between"
    );
    type Change = fn(&mut Value);
    let over: [(&str, Change); 5] = [
        ("the time is over", |facts| facts["installedSeconds"] = json!(120)),
        ("another revision", |facts| facts["target"]["template"] = json!("bb")),
        ("another gift", |facts| {
            facts["given"]["gift"] = json!("api/liveness:00000000@owner-1")
        }),
        ("somebody else's", |facts| {
            facts["target"]["gifted"]["ownerUid"] = json!("owner-0")
        }),
        ("gone", |facts| facts["target"]["containers"][0]["probes"] = json!({})),
    ];
    for (why, change) in over {
        assert!(!on_trial(&rolling(change)), "{why}");
    }
}

#[test]
fn a_gift_that_restarts_its_pods_or_keeps_them_from_becoming_ready_is_taken_back() {
    for (trial, words) in [
        (json!({"pod": "api-3", "restarts": 1}), "\"api-3\" was restarted"),
        (
            json!({"pod": "api-3", "unreadySeconds": 180}),
            "not ready within 3 minutes",
        ),
    ] {
        let facts = rolling(|facts| facts["trial"] = json!([trial]));
        let probes = resolved(&spec(json!({})), &facts);
        let taken = probes.take_back.unwrap();
        assert_eq!((probes.gift, probes.reason), (None, Reason::Withdrawn));
        assert!(probes.message.contains(words), "{}", probes.message);
        assert_eq!(taken.probes.into_iter().collect::<Vec<_>>(), ALL);
        assert_eq!(
            (
                taken.target_uid.as_str(),
                taken.resource_version.as_str(),
                taken.image.as_str()
            ),
            ("target-1", "7", "api:1")
        );
    }
    let fine = resolved(&spec(json!({})), &rolling(|_| {}));
    assert_eq!((fine.take_back, fine.reason), (None, Reason::Installed));
}

#[test]
fn only_what_is_still_the_gift_is_taken_back_and_nothing_where_nothing_may_be_written() {
    let hurt = |facts: &mut Value| facts["trial"] = json!([{"pod": "api-3", "restarts": 1}]);
    let facts = rolling(|facts| {
        hurt(facts);
        facts["target"]["containers"][0]["probes"]["liveness"]["ownedBy"] = json!(["helm"]);
    });
    let taken = resolved(&spec(json!({})), &facts).take_back.unwrap();
    assert_eq!(
        taken.probes.into_iter().collect::<Vec<_>>(),
        [ProbeKind::Readiness, ProbeKind::Startup]
    );
    let hurting = rolling(hurt);
    for mode in ["Observe", "Disabled"] {
        assert_eq!(
            resolved(&spec(json!({"mode": mode})), &hurting).take_back,
            None,
            "{mode}"
        );
    }
    let mut paused = spec(json!({}));
    paused.paused = true;
    assert_eq!(resolved(&paused, &hurting).take_back, None);
}

#[test]
fn what_did_not_fit_an_image_is_given_again_with_another_one_or_with_other_settings() {
    let gift = gift();
    let withdrawn = |image: &str| {
        facts(|facts| {
            facts["target"]["template"] = json!("bb");
            facts["target"]["containers"][0]["image"] = json!(image);
            facts["given"] = json!({
                "targetUID": "target-1", "gift": gift.gifted.to_string(), "template": "aa", "templates": ["aa"],
                "withdrawn": {"image": "api:1", "because": "pod \"api-3\" was restarted"},
            });
        })
    };
    let same = resolved(&spec(json!({})), &withdrawn("api:1"));
    assert_eq!((given(&same), same.reason), (vec![], Reason::Withdrawn));
    assert!(
        same.message.contains("api-3") && same.message.contains("another image"),
        "{}",
        same.message
    );
    assert_eq!(given(&resolved(&spec(json!({})), &withdrawn("api:2"))), ALL);
    let longer = spec(json!({"startup": {"within": "10m"}}));
    assert_eq!(given(&resolved(&longer, &withdrawn("api:1"))), ALL);
}
