use serde_json::{Value, json};

use super::*;
use crate::gift::{Gift, Gifted, ProbeKind};

fn without_probes(change: impl FnOnce(&mut Value)) -> Facts {
    facts(|facts| {
        facts["target"]["containers"][0]["probes"] = json!({});
        change(facts);
    })
}

fn with_gift(outcome: ApplyOutcome) -> Case {
    let good = json!([{"pod": "a", "outcome": {"status": 200}, "millis": 1}]);
    let facts = without_probes(|facts| {
        facts["preflight"] = json!({"liveness": good, "readiness": good, "startup": good});
    });
    Case::new(plan_of(json!({}), &facts), facts).outcome("probes", outcome)
}

#[test]
fn a_gift_is_installed_when_the_rollout_with_it_has_ended_and_stays_so_in_later_ones() {
    let given = with_gift(ApplyOutcome::Written);
    let first = given.status();
    assert_eq!(of(&first, "ProbesInstalled"), ("False", "RolloutInProgress"));
    assert_eq!(
        (of(&first, "Ready").1, of(&first, "Reconciling").0),
        ("Progressing", "True")
    );

    let gift: &Gift = given.plan.probes.gift.as_ref().unwrap();
    let live = |unsettled: Value| {
        let facts = facts(|facts| {
            let mut probes = json!({});
            for (kind, shape) in &gift.probes {
                probes[kind.as_str()] = json!({"shape": shape});
            }
            facts["target"]["containers"][0]["probes"] = probes;
            facts["target"]["gifted"] = json!(gift.gifted);
            facts["target"]["unsettled"] = unsettled;
        });
        Case::new(plan_of(json!({}), &facts), facts)
    };
    let rolling = live(json!("1 of 2 pods are updated"));
    let second = rolling.after(Some(&first), 10);
    assert_eq!(of(&second, "ProbesInstalled"), ("False", "RolloutInProgress"));
    assert!(get(&second, "ProbesInstalled").unwrap().message.contains("1 of 2 pods"));
    // The operator died before it wrote a status: the rollout is awaited all the same.
    assert_eq!(
        of(&rolling.after(None, 10), "ProbesInstalled"),
        ("False", "RolloutInProgress")
    );
    let third = live(Value::Null).after(Some(&second), 20);
    assert_eq!(
        (of(&third, "ProbesInstalled"), of(&third, "Ready").0),
        (("True", "Installed"), "True")
    );
    assert_eq!(
        of(&rolling.after(Some(&third), 30), "ProbesInstalled"),
        ("True", "Installed")
    );
}

#[test]
fn the_revisions_that_were_given_a_gift_are_remembered() {
    let given = |status: &ObservedServiceStatus| status.given.clone().map(|given| given.templates);
    let mut case = with_gift(ApplyOutcome::Written);
    case.facts.target.as_mut().unwrap().template = "aa".into();
    let first = case.status();
    assert_eq!(given(&first), Some(vec!["aa".to_owned()]));

    let gift = case.plan.probes.gift.clone().unwrap();
    let later = |template: &str, in_place: bool, before: &ObservedServiceStatus| {
        let facts = without_probes(|facts| {
            if in_place {
                let probes = gift.probes.iter();
                facts["target"]["containers"][0]["probes"] = probes
                    .map(|(kind, shape)| (kind.to_string(), json!({"shape": shape})))
                    .collect();
                facts["target"]["gifted"] = json!(gift.gifted);
            }
            facts["target"]["template"] = json!(template);
            facts["given"] = json!(before.given);
        });
        Case::new(plan_of(json!({}), &facts), facts).after(Some(before), 10)
    };
    let second = later("bb", true, &first);
    assert_eq!(given(&second), Some(vec!["aa".to_owned(), "bb".to_owned()]));
    assert_eq!(
        later("aa", true, &second).given,
        second.given,
        "no write for a revision that is known"
    );
    assert_eq!(
        later("cc", false, &second).given,
        second.given,
        "it is not there, and not forgotten"
    );
    let many = (0..20).fold(second, |before, n| later(&format!("t{n}"), true, &before));
    assert_eq!(given(&many).map(|templates| templates.len()), Some(10));
    assert_eq!(
        given(&many).and_then(|templates| templates.last().cloned()),
        Some("t19".to_owned())
    );
    assert_eq!(with_gift(ApplyOutcome::Rejected("no".into())).status().given, None);
}

#[test]
fn a_gift_that_came_by_an_offer_is_on_trial_from_then_on_with_the_image_that_it_came_with() {
    let given = with_gift(ApplyOutcome::Written);
    let gift = given.plan.probes.gift.clone().unwrap();
    let came = |offered: Value| {
        let facts = facts(|facts| {
            let probes = gift.probes.iter();
            facts["target"]["containers"][0]["probes"] = probes
                .map(|(kind, shape)| (kind.to_string(), json!({"shape": shape})))
                .collect();
            facts["target"]["containers"][0]["image"] = json!("api:2");
            facts["target"]["gifted"] = json!(gift.gifted);
            facts["target"]["template"] = json!("bb");
            // The same was given to an earlier image.
            facts["given"] = json!({
                "targetUID": "target-1", "gift": gift.gifted.to_string(), "image": "api:1", "templates": ["aa"],
                "trialUntil": "2020-01-01T00:00:00Z",
            });
            facts["offer"] = offered;
        });
        let status = Case::new(plan_of(json!({"probes": {"mode": "Admission"}}), &facts), facts).status();
        assert_eq!(status.offer, None);
        status.given.unwrap()
    };
    let offer = |uid: &str| {
        json!({
            "targetUID": uid, "targetGeneration": 1, "generation": 1, "container": "api",
            "gift": gift.gifted.to_string(), "probes": {},
        })
    };
    let taken = came(offer("target-1"));
    assert_eq!((taken.image.as_str(), taken.templates.len()), ("api:2", 2));
    assert_ne!(taken.trial_until, came(Value::Null).trial_until);
    // The twins: it was there before, or offered to another workload.
    for not in [Value::Null, offer("target-0")] {
        assert_eq!(came(not).image, "api:1");
    }
}

#[test]
fn what_is_offered_keeps_nobody_from_being_ready_and_a_policy_that_is_missing_does() {
    let good = json!([{"pod": "a", "outcome": {"status": 200}, "millis": 1}]);
    let told = |admits: bool| {
        let facts = without_probes(|facts| {
            facts["preflight"] = json!({"liveness": good, "readiness": good, "startup": good});
            facts["admits"] = json!(admits);
        });
        Case::new(plan_of(json!({"probes": {"mode": "Admission"}}), &facts), facts).status()
    };
    let offered = told(true);
    assert_eq!(of(&offered, "ProbesInstalled"), ("False", "Offered"));
    assert_eq!(of(&offered, "Ready"), ("True", "Converged"));
    let ready = &get(&offered, "Ready").unwrap().message;
    assert!(
        ready.contains("Worth knowing: see ProbesInstalled (Offered)"),
        "{ready}"
    );
    assert!(offered.offer.is_some() && offered.resolved.unwrap().probes.len() == 3);
    let missing = told(false);
    assert_eq!(of(&missing, "ProbesInstalled"), ("False", "PolicyMissing"));
    assert_eq!((of(&missing, "Ready").0, of(&missing, "Stalled").0), ("False", "True"));
    assert_eq!(missing.offer, None);
}

#[test]
fn a_gift_that_the_api_server_did_not_take_is_told() {
    for (outcome, expected) in [
        (ApplyOutcome::Conflict("changed".into()), ("Unknown", "Progressing")),
        (ApplyOutcome::Rejected("invalid".into()), ("False", "Rejected")),
        (ApplyOutcome::Forbidden("no patch".into()), ("False", "Forbidden")),
    ] {
        assert_eq!(of(&with_gift(outcome).status(), "ProbesInstalled"), expected);
    }
}

#[test]
fn the_reasons_of_missing_probes_count_for_ready_unless_they_were_asked_for() {
    type Change = fn(&mut Value);
    let cases: [(Value, Change, &str, &str, &str); 6] = [
        (json!({}), |_| {}, "PreflightPending", "False", "Reconciling"),
        (
            json!({}),
            |f| f["target"]["replicas"] = json!(0),
            "PreflightPending",
            "False",
            "",
        ),
        (
            json!({}),
            |f| f["target"]["unsettled"] = json!("paused"),
            "RolloutInProgress",
            "False",
            "Reconciling",
        ),
        (
            json!({}),
            |f| f["contested"] = json!("argocd"),
            "Contested",
            "False",
            "Stalled",
        ),
        (json!({"mode": "Observe"}), |_| {}, "Observed", "True", ""),
        (json!({"mode": "Disabled"}), |_| {}, "Disabled", "True", ""),
    ];
    for (probes, change, reason, ready, kstatus) in cases {
        let facts = without_probes(change);
        let status = Case::new(plan_of(json!({"probes": probes}), &facts), facts).status();
        assert_eq!(
            (of(&status, "ProbesInstalled").1, of(&status, "Ready").0),
            (reason, ready)
        );
        let also = types(&status).into_iter().nth(LOOKED_AT.len()).unwrap_or_default();
        assert_eq!(also, kstatus, "{reason}");
    }
}

#[test]
fn a_refusal_of_preflight_is_what_ready_speaks_of_first() {
    let facts = without_probes(|facts| {
        let no = json!([{"pod": "a", "outcome": {"status": 404}, "millis": 1}]);
        facts["preflight"] = json!({"liveness": no, "readiness": no, "startup": no});
    });
    let case = Case::new(plan_of(json!({}), &facts), facts);
    let status = case
        .verdict(ConditionType::ScrapeVerified, Truth::False, Reason::NoTargets)
        .status();
    assert_eq!(
        (of(&status, "ProbesInstalled").1, of(&status, "Ready").1),
        ("PreflightFailed", "OutputNotReady")
    );
    assert!(get(&status, "Ready").unwrap().message.contains("HTTP 404"));
}

#[test]
fn a_gift_by_another_service_is_no_rollout_of_ours() {
    let facts = facts(|facts| {
        facts["target"]["gifted"] = json!(Gifted {
            container: "api".into(),
            probes: [(ProbeKind::Liveness, "00000000".to_owned())].into(),
            owner_uid: "somebody".into(),
        });
        facts["target"]["unsettled"] = json!("1 of 2 pods are updated");
    });
    let case = Case::new(plan_of(json!({}), &facts), facts);
    let mut before = Case::good().status();
    for condition in &mut before.conditions {
        condition.status = "False".into();
    }
    assert_eq!(
        of(&case.after(Some(&before), 1), "ProbesInstalled"),
        ("True", "Installed")
    );
}

#[test]
fn a_gift_that_was_taken_back_is_told_and_remembered_with_its_image() {
    let gift = with_gift(ApplyOutcome::Written).plan.probes.gift.unwrap();
    let hurt = |given: Value| {
        let facts = facts(|facts| {
            let probes = gift.probes.iter();
            facts["target"]["containers"][0]["probes"] = probes
                .map(|(kind, shape)| (kind.to_string(), json!({"shape": shape})))
                .collect();
            facts["target"]["containers"][0]["image"] = json!("api:1");
            facts["target"]["gifted"] = json!(gift.gifted);
            facts["given"] = given;
            facts["trial"] = json!([{"pod": "api-3", "restarts": 1, "ranSeconds": 500}]);
        });
        Case::new(plan_of(json!({}), &facts), facts)
    };
    let known = json!({"targetUID": "target-1", "gift": gift.gifted.to_string(), "image": "api:1", "templates": [""],
        "withdrawn": {"image": "api:0", "because": "x", "times": 1}});
    for (before, times) in [(Value::Null, 1), (known.clone(), 2)] {
        let status = hurt(before).outcome("probes", ApplyOutcome::Written).status();
        assert_eq!(of(&status, "ProbesInstalled"), ("False", "Withdrawn"));
        assert_eq!(of(&status, "Stalled"), ("True", "Withdrawn"));
        let withdrawn = status.given.unwrap().withdrawn.unwrap();
        assert_eq!((withdrawn.image.as_str(), withdrawn.times), ("api:1", times));
        assert!(withdrawn.because.contains("api-3"), "{withdrawn:?}");
    }
    let conflict = hurt(known)
        .outcome("probes", ApplyOutcome::Conflict("changed".into()))
        .status();
    assert_eq!(of(&conflict, "ProbesInstalled"), ("Unknown", "Progressing"));
    assert_eq!(conflict.given.unwrap().withdrawn.unwrap().times, 1);
}

#[test]
fn the_trial_of_a_gift_has_an_end_that_never_moves() {
    let first = with_gift(ApplyOutcome::Written).after(None, 100);
    let until = |status: &ObservedServiceStatus| {
        let given = status.given.as_ref().unwrap();
        given.trial_until.as_ref().unwrap().0.as_second()
    };
    // 298 s for the start, 55 s for liveness, 180 s to become ready and a minute.
    assert_eq!(until(&first), 100 + 298 + 55 + 180 + 60);
    let at = |second| Timestamp::from_second(second).unwrap();
    assert!(!trial_over(Some(&first), at(692)));
    assert!(trial_over(Some(&first), at(693)));
    assert!(!trial_over(None, at(0)) && !trial_over(Some(&Case::good().status()), at(0)));
}

#[test]
fn pods_that_stay_on_purpose_are_told_beside_the_probes_of_the_template() {
    let words = |outdated: Value| {
        let facts = facts(|facts| facts["target"]["outdated"] = outdated);
        let status = Case::new(plan_of(json!({}), &facts), facts).status();
        assert_eq!(of(&status, "ProbesInstalled"), ("True", "Installed"));
        get(&status, "ProbesInstalled").unwrap().message.clone()
    };
    assert!(words(json!("1 of 3 pods are updated: the update strategy OnDelete")).contains("1 of 3 pods"));
    assert!(!words(Value::Null).contains("Not in every pod"));
}
