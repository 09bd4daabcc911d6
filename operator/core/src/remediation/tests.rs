use observed_crds::v1alpha1::TargetKind;
use serde_json::{Value, json};

use super::*;

/// Seconds after an arbitrary start.
fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

const HOUR: i64 = 3600;

fn spec(change: &Value) -> Remediation {
    let mut spec = json!({"mode": "Act", "actions": [{"alert": "MemoryLeak", "action": "Restart", "after": "1m"}]});
    spec.as_object_mut()
        .unwrap()
        .extend(change.as_object().unwrap().clone());
    serde_json::from_value(spec).unwrap()
}

fn firing(since: i64) -> Firing {
    Firing {
        alert: "MemoryLeak".into(),
        active_since: at(since - 30),
        firing_since: at(since),
    }
}

fn target() -> Target {
    Target {
        kind: TargetKind::Deployment,
        name: "api".into(),
        ..Target::default()
    }
}

fn record(since: i64, time: i64, outcome: RemediationOutcome) -> RemediationRecord {
    RemediationRecord {
        alert: "MemoryLeak".into(),
        active_since: Time(at(since - 30)),
        action: RemediationKind::Restart,
        outcome,
        time: Time(at(time)),
        message: String::new(),
    }
}

/// What is decided at that second about the alert that fires since 0.
fn decided(
    spec: &Remediation,
    history: &[RemediationRecord],
    now: i64,
    target: &Target,
    others: Others<'_>,
) -> Decision {
    let situation = Situation {
        now: at(now),
        target: Some(target),
        others,
    };
    decide(spec, history, &firing(0), &situation)
}

fn outcome(decision: &Decision) -> Option<RemediationOutcome> {
    match decision {
        Decision::Leave => None,
        Decision::Note(record) | Decision::Act(record) => Some(record.outcome),
    }
}

#[test]
fn an_alert_that_has_fired_long_enough_is_acted_on_and_not_a_second_earlier() {
    let act = |now| decided(&spec(&json!({})), &[], now, &target(), Others::default());
    assert_eq!(act(59), Decision::Leave);
    let Decision::Act(record) = act(60) else {
        panic!("{:?}", act(60))
    };
    assert_eq!((record.outcome, record.time.0), (RemediationOutcome::Acting, at(60)));
    // Where the spec does not say, five minutes.
    let usual = spec(&json!({"actions": [{"alert": "MemoryLeak", "action": "Restart"}]}));
    let act = |now| decided(&usual, &[], now, &target(), Others::default());
    assert_eq!(act(299), Decision::Leave);
    assert!(matches!(act(300), Decision::Act(_)));
}

#[test]
fn another_alert_is_left_alone() {
    let other = spec(&json!({"actions": [{"alert": "HighMemoryUsage", "action": "Restart"}]}));
    assert_eq!(
        decided(&other, &[], HOUR, &target(), Others::default()),
        Decision::Leave
    );
}

#[test]
fn a_dry_run_says_what_would_be_done_and_says_it_once() {
    for dry in [spec(&json!({"mode": "DryRun"})), {
        let mut value = serde_json::to_value(spec(&json!({}))).unwrap();
        value.as_object_mut().unwrap().remove("mode");
        serde_json::from_value(value).unwrap()
    }] {
        let decision = decided(&dry, &[], 60, &target(), Others::default());
        let Decision::Note(record) = decision else {
            panic!("{decision:?}")
        };
        assert_eq!(record.outcome, RemediationOutcome::WouldAct);
        assert!(
            record.message.starts_with("Would restart Deployment api."),
            "{}",
            record.message
        );
        let history = [record];
        assert_eq!(
            decided(&dry, &history, 75, &target(), Others::default()),
            Decision::Leave
        );
        // From when it is to be done for good, it is.
        let act = decided(&spec(&json!({})), &history, 90, &target(), Others::default());
        assert!(matches!(act, Decision::Act(_)), "{act:?}");
    }
}

#[test]
fn one_alert_is_acted_on_once_however_long_it_goes_on() {
    for before in [
        RemediationOutcome::Acting,
        RemediationOutcome::Acted,
        RemediationOutcome::Failed,
    ] {
        let history = [record(0, 60, before)];
        let decision = decided(
            &spec(&json!({"maxPerHour": 6})),
            &history,
            5 * HOUR,
            &target(),
            Others::default(),
        );
        assert_eq!(decision, Decision::Leave, "{before:?}");
    }
    // The twin: the same alert, begun anew.
    let history = [record(-5 * HOUR, -5 * HOUR, RemediationOutcome::Acted)];
    let decision = decided(&spec(&json!({})), &history, 60, &target(), Others::default());
    assert!(matches!(decision, Decision::Act(_)), "{decision:?}");
}

#[test]
fn what_the_api_server_gives_back_without_parts_of_seconds_is_the_same_alert() {
    let fraction = |time: Timestamp| time + SignedDuration::from_millis(700);
    let firing = Firing {
        active_since: fraction(at(-30)),
        ..firing(0)
    };
    let target = target();
    let situation = |second| Situation {
        now: fraction(at(second)),
        target: Some(&target),
        others: Others::default(),
    };
    let spec = spec(&json!({"maxPerHour": 6}));
    let Decision::Act(acting) = decide(&spec, &[], &firing, &situation(60)) else {
        panic!()
    };
    let stored: RemediationRecord = serde_json::from_value(serde_json::to_value(&acting).unwrap()).unwrap();
    assert_eq!(stored, acting);
    assert_eq!(
        decide(&spec, std::slice::from_ref(&stored), &firing, &situation(75)),
        Decision::Leave
    );
    assert_eq!(remembered(&[stored], acting.clone()), [acting]);
}

#[test]
fn a_workload_that_is_not_settled_or_not_fit_is_not_restarted_and_is_once_it_is() {
    let unsettled = Target {
        unsettled: Some("1 of 2 pods are available".into()),
        ..target()
    };
    let unfit = Target {
        unfit_for_restart: Some("its strategy Recreate ends every pod".into()),
        ..target()
    };
    for (target, expected) in [
        (&unsettled, RemediationOutcome::RefusedUnsettled),
        (&unfit, RemediationOutcome::RefusedUnfit),
    ] {
        let decision = decided(&spec(&json!({})), &[], 60, target, Others::default());
        assert_eq!(outcome(&decision), Some(expected));
        let Decision::Note(refused) = decision else {
            panic!("{decision:?}")
        };
        // It is said once.
        let again = decided(
            &spec(&json!({})),
            std::slice::from_ref(&refused),
            75,
            target,
            Others::default(),
        );
        assert_eq!(again, Decision::Leave);
        let then = decided(
            &spec(&json!({})),
            &[refused],
            90,
            &super::tests::target(),
            Others::default(),
        );
        assert!(matches!(then, Decision::Act(_)), "{then:?}");
    }
    let situation = Situation {
        now: at(60),
        target: None,
        others: Others::default(),
    };
    let decision = decide(&spec(&json!({})), &[], &firing(0), &situation);
    assert_eq!(outcome(&decision), Some(RemediationOutcome::RefusedUnsettled));
}

#[test]
fn no_more_is_done_within_an_hour_and_a_day_than_the_spec_allows() {
    let acted = |hours: &[i64]| -> Vec<_> {
        let record = |hours: &i64| record(-hours * HOUR, 60 - hours * HOUR, RemediationOutcome::Acted);
        hours.iter().map(record).collect()
    };
    for (change, before, refused) in [
        (json!({}), &[1][..], false),
        (json!({}), &[0], true),
        (json!({"maxPerHour": 2}), &[0], false),
        (json!({}), &[2, 4, 6], true),
        (json!({}), &[2, 4, 24], false),
        (json!({"maxPerDay": 4}), &[2, 4, 6], false),
        (json!({"maxPerDay": 1}), &[20], true),
    ] {
        let mut history = acted(before);
        // Of another alert: what is counted is what was done.
        history
            .iter_mut()
            .for_each(|record| record.alert = "HighMemoryUsage".into());
        let decision = decided(&spec(&change), &history, 60, &target(), Others::default());
        let expected = if refused {
            RemediationOutcome::RefusedBudget
        } else {
            RemediationOutcome::Acting
        };
        assert_eq!(outcome(&decision), Some(expected), "{change} {before:?}");
    }
    // What a dry run would have done counts for dry runs, so that it shows what would happen, and for nothing else.
    let would = [record(-HOUR / 2, -60, RemediationOutcome::WouldAct)];
    let dry = decided(
        &spec(&json!({"mode": "DryRun"})),
        &would,
        60,
        &target(),
        Others::default(),
    );
    assert_eq!(outcome(&dry), Some(RemediationOutcome::RefusedBudget));
    let act = decided(&spec(&json!({})), &would, 60, &target(), Others::default());
    assert!(matches!(act, Decision::Act(_)));
}

#[test]
fn two_services_are_never_worked_on_at_once() {
    let others = |seconds: i64| Others {
        last: Some(("prod/shop", at(60 - seconds))),
        ..Others::default()
    };
    let decision = decided(&spec(&json!({})), &[], 60, &target(), others(299));
    assert_eq!(outcome(&decision), Some(RemediationOutcome::RefusedElsewhere));
    let decision = decided(&spec(&json!({})), &[], 60, &target(), others(300));
    assert!(matches!(decision, Decision::Act(_)), "{decision:?}");
}

#[test]
fn alerts_of_many_services_are_a_storm_in_which_nothing_is_done() {
    for (alerting, all, storm) in [
        (1, 1, false),
        (2, 2, false),
        (3, 14, true),
        (3, 15, false),
        (500, 1000, true),
    ] {
        let others = Others {
            alerting,
            all,
            ..Others::default()
        };
        let decision = decided(&spec(&json!({})), &[], 60, &target(), others);
        let expected = if storm {
            RemediationOutcome::RefusedStorm
        } else {
            RemediationOutcome::Acting
        };
        assert_eq!(outcome(&decision), Some(expected), "{alerting} of {all}");
    }
}

#[test]
fn what_was_tried_is_told_with_how_it_ended() {
    let acting = record(0, 60, RemediationOutcome::Acting);
    let well = done(&acting, &target(), Ok(()), at(61));
    assert_eq!((well.outcome, well.time.0), (RemediationOutcome::Acted, at(61)));
    let failed = done(&acting, &target(), Err("x".repeat(1000)), at(61));
    assert_eq!(failed.outcome, RemediationOutcome::Failed);
    assert!(failed.message.starts_with("Could not restart Deployment api: xx") && failed.message.len() == 512);
}

#[test]
fn an_action_that_nobody_saw_the_end_of_is_told_by_what_shows_in_the_workload() {
    let acting = record(0, 60, RemediationOutcome::Acting);
    let ended = |shows| concluded(&acting, TargetKind::Deployment, "api", shows);
    let (done, undone) = (ended(true), ended(false));
    assert_eq!(
        (done.outcome, undone.outcome),
        (RemediationOutcome::Acted, RemediationOutcome::Failed)
    );
    assert!(done.message.starts_with("Did restart Deployment api, "), "{done:?}");
    assert!(undone.message.contains("nothing of it shows there"), "{undone:?}");
    // It counts from when it was tried.
    assert_eq!(
        (done.time.clone(), undone.time.clone()),
        (acting.time.clone(), acting.time)
    );
    assert_eq!(last_action(&[undone]), Some(at(60)));
}

#[test]
fn the_history_has_one_entry_for_each_time_an_alert_began_and_keeps_what_counts() {
    let refused = record(0, 60, RemediationOutcome::RefusedUnsettled);
    let acted = record(0, 90, RemediationOutcome::Acted);
    assert_eq!(remembered(&[refused], acted.clone()), std::slice::from_ref(&acted));
    let mut history = vec![acted.clone()];
    for hour in 1..100 {
        history = remembered(
            &history,
            record(hour * HOUR, hour * HOUR, RemediationOutcome::RefusedBudget),
        );
        assert!(history.len() <= LONGEST_HISTORY && history.contains(&acted), "{hour}");
    }
    assert_eq!(history.last().unwrap().time.0, at(99 * HOUR));
    assert_eq!(last_action(&history), Some(at(90)));
    assert_eq!(last_action(&history[1..]), None);
}
