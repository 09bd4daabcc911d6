use serde_json::{Value, json};

use super::*;
use crate::gift::Gift;
use crate::resolve::on_trial;

fn gift() -> Gift {
    resolved(&spec(json!({})), &facts(|_| {})).gift.unwrap()
}

/// The gift rolls out: in place, with the image that it was given to.
fn rolling(change: impl FnOnce(&mut Value)) -> Facts {
    let gift = gift();
    facts(|facts| {
        with_gift(facts, &gift, &[]);
        facts["target"]["template"] = json!("aa");
        facts["target"]["unsettled"] = json!("1 of 2 pods are updated");
        facts["target"]["containers"][0]["image"] = json!("api:1");
        facts["given"] = json!({
            "targetUID": "target-1", "gift": gift.gifted.to_string(), "image": "api:1", "templates": ["aa"],
        });
        facts["trial"] = json!([{"pod": "api-3", "restarts": 0, "unreadySeconds": 20}]);
        change(facts);
    })
}

fn hurting(facts: &mut Value) {
    facts["trial"] = json!([{"pod": "api-3", "restarts": 1, "ranSeconds": 60}]);
}

#[test]
fn a_gift_is_on_trial_with_the_image_that_it_was_given_to_until_its_time_is_over() {
    let patch = spec(json!({}));
    assert!(on_trial(&patch, &rolling(|_| {})));
    assert!(
        on_trial(&patch, &rolling(|facts| facts["given"] = Value::Null)),
        "the operator died in between"
    );
    assert!(
        on_trial(&patch, &rolling(|facts| facts["target"]["template"] = json!("bb"))),
        "a restart of the workload changes nothing"
    );
    type Change = fn(&mut Value);
    let over: [(&str, Change); 5] = [
        ("the time is over", |facts| facts["trialOver"] = json!(true)),
        ("another image", |facts| {
            facts["target"]["containers"][0]["image"] = json!("api:2");
        }),
        ("another gift", |facts| {
            facts["given"]["gift"] = json!("api/liveness:00000000@owner-1");
        }),
        ("somebody else's", |facts| {
            facts["target"]["gifted"]["ownerUid"] = json!("owner-0");
        }),
        ("gone", |facts| facts["target"]["containers"][0]["probes"] = json!({})),
    ];
    for (why, change) in over {
        assert!(!on_trial(&patch, &rolling(change)), "{why}");
    }
    for (mode, is) in [("Admission", true), ("Observe", false), ("Disabled", false)] {
        assert_eq!(on_trial(&spec(json!({"mode": mode})), &rolling(|_| {})), is, "{mode}");
    }
}

#[test]
fn a_gift_that_restarts_its_pods_or_keeps_them_from_becoming_ready_is_taken_back() {
    for (trial, words) in [
        // Liveness needs 50 s before it restarts.
        (
            json!({"pod": "api-3", "restarts": 1, "ranSeconds": 50}),
            "\"api-3\" was restarted",
        ),
        (
            json!({"pod": "api-3", "unreadySeconds": 180 + 298}),
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
fn what_a_probe_cannot_have_done_speaks_not_against_it() {
    let taken = |change: &dyn Fn(&mut Value)| resolved(&spec(json!({})), &rolling(change)).take_back;
    let crash = json!([{"pod": "api-3", "restarts": 5, "ranSeconds": 49}]);
    assert_eq!(
        taken(&|facts| facts["trial"] = crash.clone()),
        None,
        "it ended by itself"
    );
    let start = json!([{"pod": "api-3", "unreadySeconds": 300}]);
    assert_eq!(
        taken(&|facts| facts["trial"] = start.clone()),
        None,
        "it may take so long to start"
    );
    // Only readiness was given, and only liveness and startup.
    let theirs = |facts: &mut Value, kinds: &[&str]| {
        for kind in kinds {
            facts["target"]["containers"][0]["probes"][kind]["ownedBy"] = json!(["helm"]);
        }
    };
    let restarted = |facts: &mut Value| {
        hurting(facts);
        theirs(facts, &["liveness", "startup"]);
    };
    assert_eq!(taken(&restarted), None, "a readiness probe restarts nothing");
    let unready = |facts: &mut Value| {
        facts["trial"] = json!([{"pod": "api-3", "unreadySeconds": 9999}]);
        theirs(facts, &["readiness"]);
    };
    assert_eq!(taken(&unready), None, "their readiness probe is theirs");
}

#[test]
fn only_what_is_still_the_gift_is_taken_back_and_nothing_where_nothing_may_be_written() {
    let facts = rolling(|facts| {
        hurting(facts);
        facts["target"]["containers"][0]["probes"]["readiness"]["ownedBy"] = json!(["helm"]);
    });
    let taken = resolved(&spec(json!({})), &facts).take_back.unwrap();
    assert_eq!(
        taken.probes.into_iter().collect::<Vec<_>>(),
        [ProbeKind::Liveness, ProbeKind::Startup]
    );
    let hurting = rolling(hurting);
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
fn the_next_step_is_told_where_the_workload_does_not_heal_by_itself() {
    let because = |kind: &str| {
        let facts = rolling(|facts| {
            hurting(facts);
            facts["target"]["kind"] = json!(kind);
        });
        resolved(&spec(json!({})), &facts).message
    };
    assert!(because("StatefulSet").contains("kubectl delete pod api-3 -n prod"));
    assert!(!because("Deployment").contains("kubectl delete"));
}

#[test]
fn what_did_not_fit_an_image_is_given_again_with_another_one_or_with_other_settings() {
    let gift = gift();
    let withdrawn = |image: &str, times: u32| {
        facts(|facts| {
            facts["target"]["template"] = json!("bb");
            facts["target"]["containers"][0]["image"] = json!(image);
            facts["given"] = json!({
                "targetUID": "target-1", "gift": gift.gifted.to_string(), "image": "api:1", "templates": ["aa"],
                "withdrawn": {"image": "api:1", "because": "pod \"api-3\" was restarted", "times": times},
            });
        })
    };
    let same = resolved(&spec(json!({})), &withdrawn("api:1", 1));
    assert_eq!((given(&same), same.reason), (vec![], Reason::Withdrawn));
    assert!(
        same.message.contains("api-3") && same.message.contains("another image"),
        "{}",
        same.message
    );
    assert_eq!(given(&resolved(&spec(json!({})), &withdrawn("api:2", 1))), ALL);
    let longer = spec(json!({"startup": {"within": "10m"}}));
    assert_eq!(given(&resolved(&longer, &withdrawn("api:1", 1))), ALL);
    // What hurt two images is given to none, until it is asked for otherwise.
    let twice = resolved(&spec(json!({})), &withdrawn("api:3", 2));
    assert_eq!((given(&twice), twice.reason), (vec![], Reason::Withdrawn));
    assert_eq!(given(&resolved(&longer, &withdrawn("api:3", 2))), ALL);
}
