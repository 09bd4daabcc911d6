use super::*;

#[test]
fn who_cannot_be_asked_makes_ready_unknown_and_who_says_no_makes_it_false() {
    let old = |case: Case| {
        let first = case.after(None, 0);
        let second = case.after(Some(&first), 1000);
        case.after(Some(&second), 2000)
    };
    let unknown = old(Case::good().verdict(ConditionType::ScrapeVerified, Truth::Unknown, Reason::Unreachable));
    assert_eq!(of(&unknown, "Ready"), ("Unknown", "NotVerified"));
    let no = old(Case::good().verdict(ConditionType::ScrapeVerified, Truth::False, Reason::NoTargets));
    assert_eq!(of(&no, "Ready"), ("False", "OutputNotReady"));
    let failing = Case::good()
        .verdict(ConditionType::RulesHealthy, Truth::False, Reason::RuleFailing)
        .status();
    assert_eq!(of(&failing, "Ready"), ("False", "OutputNotReady"));
}

#[test]
fn pods_that_are_down_take_ready_away_only_where_none_was_ever_seen_up() {
    let down = |count| {
        let mut case = Case::good().verdict(ConditionType::ScrapeVerified, Truth::False, Reason::TargetsDown);
        case.verdicts.last_mut().unwrap().count = Some(count);
        case
    };
    let ready = Case::good().after(None, 0);
    for (case, previous, expected) in [
        (down((1, 2)), None, ("True", "Converged")),
        (down((0, 2)), Some(&ready), ("True", "Converged")),
        (down((0, 2)), None, ("False", "Progressing")),
    ] {
        let status = case.after(previous, 1000);
        assert_eq!(of(&status, "Ready"), expected);
        assert_eq!(of(&status, "ScrapeVerified"), ("False", "TargetsDown"));
        assert_eq!(case.after(Some(&status), 1001), status, "it stays so");
    }
    let never = down((0, 2));
    let first = never.after(None, 0);
    assert_eq!(
        of(&never.after(Some(&first), 1000), "Ready"),
        ("False", "OutputNotReady")
    );
}

#[test]
fn what_prometheus_has_not_loaded_is_on_its_way_for_three_minutes() {
    for (kind, reason) in [
        (ConditionType::ScrapeVerified, Reason::NoTargets),
        (ConditionType::ScrapeVerified, Reason::ScrapedTwice),
        (ConditionType::RulesHealthy, Reason::RulesNotLoaded),
    ] {
        let case = Case::good().verdict(kind, Truth::False, reason);
        let first = case.after(None, 1000);
        assert_eq!(
            (of(&first, "Ready").1, of(&first, "Reconciling").0),
            ("Progressing", "True")
        );
        let still = case.after(Some(&first), 1179);
        assert_eq!(still, first);
        let late = case.after(Some(&still), 1180);
        assert_eq!(
            (of(&late, "Ready").1, of(&late, "Reconciling").0),
            ("OutputNotReady", "")
        );
        assert_eq!(case.after(Some(&late), 9999), late, "and then nothing changes any more");
    }
}

#[test]
fn a_workload_without_pods_waits_for_nobody() {
    let facts = facts(|facts| facts["target"]["replicas"] = json!(0));
    let case = Case::new(plan_of(json!({}), &facts), facts);
    let status = case
        .verdict(ConditionType::ScrapeVerified, Truth::Unknown, Reason::NoTargets)
        .status();
    assert_eq!((of(&status, "Ready").0, of(&status, "Reconciling").0), ("Unknown", ""));
}

#[test]
fn what_prometheus_operator_says_against_an_object_is_told_before_what_prometheus_answers() {
    let words =
        || ApplyOutcome::NotAccepted("prometheuses m/main does not accept it: InvalidConfiguration: why".into());
    for (output, kind, name, wrong) in [
        (
            "service-monitor",
            ConditionType::ScrapeVerified,
            "ServiceMonitor",
            Reason::NoTargets,
        ),
        (
            "prometheus-rule",
            ConditionType::RulesHealthy,
            "PrometheusRule",
            Reason::RulesNotLoaded,
        ),
    ] {
        for (truth, reason) in [(Truth::False, wrong), (Truth::Unknown, Reason::Unreachable)] {
            let case = Case::good().verdict(kind, truth, reason).outcome(output, words());
            let status = case.status();
            assert_eq!(of(&status, kind.as_str()), ("False", "Rejected"));
            let message = &get(&status, kind.as_str()).unwrap().message;
            let told = format!(
                "The status of {name} \"api\" says: prometheuses m/main does not accept it: InvalidConfiguration: why. "
            );
            assert!(message.starts_with(&told), "{message}");
            assert!(message.ends_with(reason.as_str()), "{message}");
            assert!(status.inventory.iter().any(|item| item.kind == name), "it is in place");
            let accepted = Case::good().verdict(kind, truth, reason).status();
            assert_eq!(of(&accepted, kind.as_str()).1, reason.as_str());
        }
        // Another Prometheus takes it.
        let status = Case::good().outcome(output, words()).status();
        assert_eq!((of(&status, kind.as_str()).0, of(&status, "Ready").0), ("True", "True"));
        let message = &get(&status, kind.as_str()).unwrap().message;
        assert!(message.contains("Worth knowing: The status of"), "{message}");
    }
}
