use serde_json::{Value, json};

use super::*;

fn admission() -> ObservedServiceSpec {
    spec(json!({"mode": "Admission"}))
}

/// A workload that Patch would give to.
fn well(change: impl FnOnce(&mut Value)) -> Facts {
    facts(|facts| {
        facts["generation"] = json!(2);
        facts["target"]["generation"] = json!(4);
        facts["admits"] = json!(true);
        change(facts);
    })
}

#[test]
fn in_mode_admission_what_patch_would_give_is_offered_to_the_workload_as_it_is_now() {
    let given = resolved(&spec(json!({})), &well(|_| {})).gift.unwrap();
    let probes = resolved(&admission(), &well(|_| {}));
    assert_eq!((probes.gift.as_ref(), probes.reason), (None, Reason::Offered));
    let told = "They wait for the next rollout of the workload's own, in which the policy observed-admit adds them";
    assert!(probes.message.contains(told), "{}", probes.message);
    let offered = probes.offer.unwrap();
    let offer = &offered.offer;
    assert_eq!(offered.gift, given);
    assert_eq!(
        (offer.target_uid.as_str(), offer.target_generation, offer.generation),
        ("target-1", 4, 2)
    );
    assert_eq!(
        (offer.container.as_str(), &offer.gift),
        ("api", &given.gifted.to_string())
    );
    assert_eq!(
        offer.probes.readiness_probe,
        Some(given.probes[&ProbeKind::Readiness].to_json())
    );
    assert_eq!(resolved(&spec(json!({})), &well(|_| {})).offer, None);
}

#[test]
fn what_patch_would_not_give_is_not_offered() {
    let hash = |facts: &Facts| resolved(&spec(json!({})), facts).gift.unwrap().gifted;
    let gifted = hash(&well(|_| {}));
    type Change = Box<dyn Fn(&mut Value)>;
    let cases: [(Reason, Change); 6] = [
        (
            Reason::RolloutInProgress,
            Box::new(|facts| facts["target"]["unsettled"] = json!("1 of 2 pods are updated")),
        ),
        (
            Reason::PreflightFailed,
            Box::new(|facts| answers(facts, "readiness", json!({"status": 404}))),
        ),
        (
            Reason::PreflightPending,
            Box::new(|facts| facts["asking"] = json!(true)),
        ),
        (
            Reason::Contested,
            Box::new(|facts| facts["contested"] = json!("kubectl")),
        ),
        (
            Reason::Declined,
            Box::new({
                let gifted = gifted.clone();
                move |facts| facts["target"]["gifted"] = json!(gifted)
            }),
        ),
        (
            Reason::Withdrawn,
            Box::new(move |facts| {
                facts["target"]["containers"][0]["image"] = json!("api:1");
                facts["given"] = json!({
                    "targetUID": "target-1", "gift": gifted.to_string(), "image": "api:1", "templates": [],
                    "withdrawn": {"image": "api:1", "because": "it hurt", "times": 1},
                });
            }),
        ),
    ];
    for (reason, change) in cases {
        // A readiness that is refused for good holds the others up in no mode.
        let facts = well(|facts| {
            change(facts);
            if reason == Reason::PreflightFailed {
                answers(facts, "liveness", json!({"status": 503}));
            }
        });
        for (mode, spec) in [("Admission", admission()), ("Patch", spec(json!({})))] {
            let probes = resolved(&spec, &facts);
            assert_eq!(probes.reason, reason, "{mode}");
            assert_eq!((probes.offer, probes.gift), (None, None), "{mode} {reason:?}");
        }
    }
}

#[test]
fn without_the_policy_nothing_is_offered_and_what_to_install_is_said_and_patch_does_not_care() {
    let without = well(|facts| facts["admits"] = json!(false));
    let probes = resolved(&admission(), &without);
    assert_eq!((probes.offer, probes.reason), (None, Reason::PolicyMissing));
    let told = "no policy observed-admit: no rollout will bring the probes. Install it";
    assert!(probes.message.contains(told), "{}", probes.message);
    assert_eq!(asked(&admission(), &without), []);
    assert!(resolved(&spec(json!({})), &without).gift.is_some());
    // Where nobody may look, it is offered and said.
    let unknown = resolved(&admission(), &well(|facts| facts["admits"] = Value::Null));
    assert!(
        unknown.offer.is_some() && unknown.message.contains("is not known"),
        "{}",
        unknown.message
    );
}

#[test]
fn what_is_offered_stays_so_while_a_new_window_is_as_good() {
    let offer = resolved(&admission(), &well(|_| {})).offer.unwrap().offer;
    let again = |change: fn(&mut Value)| {
        let facts = well(|facts| {
            facts["offer"] = json!(offer);
            facts["asking"] = json!(true);
            change(facts);
        });
        let probes = resolved(&admission(), &facts);
        (probes.reason, probes.offer.map(|offered| offered.offer))
    };
    assert_eq!(again(|_| {}), (Reason::Offered, Some(offer.clone())));
    // The twins: another state, another spec, a bad answer.
    for change in [
        (|facts| facts["target"]["generation"] = json!(5)) as fn(&mut Value),
        |facts| facts["generation"] = json!(3),
        |facts| answers(facts, "liveness", json!({"status": 503})),
    ] {
        assert_eq!(again(change).1, None);
    }
}

#[test]
fn an_offer_does_not_change_because_the_pods_are_slower_or_faster_now() {
    let slow = |facts: &mut Value| facts["preflight"]["readiness"][0]["millis"] = json!(2900);
    let offered = |facts: &Facts| resolved(&admission(), facts).offer.unwrap();
    let first = offered(&well(slow));
    let timeout = |offered: &crate::plan::Offered| offered.gift.probes[&ProbeKind::Readiness].timeout_seconds;
    assert_eq!((timeout(&first), timeout(&offered(&well(|_| {})))), (10, 3));
    let second = offered(&well(|facts| facts["offer"] = json!(first.offer)));
    assert_eq!(second.offer, first.offer);
}

#[test]
fn the_image_that_they_were_taken_back_from_is_left_out() {
    let facts = well(|facts| {
        facts["target"]["containers"][0]["image"] = json!("api:2");
        facts["given"] = json!({
            "targetUID": "target-1", "gift": "api/liveness:httpGet-0@owner-1", "image": "api:1", "templates": [],
            "withdrawn": {"image": "api:1", "because": "it hurt", "times": 1},
        });
    });
    let offer = resolved(&admission(), &facts).offer.unwrap().offer;
    assert_eq!(offer.except_image.as_deref(), Some("api:1"));
}
