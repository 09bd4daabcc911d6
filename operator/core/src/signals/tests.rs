mod depends;
mod dialect;
mod exposure;
mod hostile;
mod rename;

use observed_crds::v1alpha1::{AlertOverride, Severity, State};

use super::*;
use crate::plan::{Course, Plan};
use crate::promql::{prove_namespaced, prove_of};

fn signals(rename: &[(&str, &str)], alerts: &[(&str, AlertOverride)]) -> Signals {
    Signals {
        rename: rename.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect(),
        alerts: alerts
            .iter()
            .map(|(name, change)| ((*name).to_owned(), change.clone()))
            .collect(),
        ..Signals::default()
    }
}

fn above(value: &str) -> AlertOverride {
    AlertOverride {
        above: Some(value.to_owned()),
        ..AlertOverride::default()
    }
}

fn below(value: &str) -> AlertOverride {
    AlertOverride {
        below: Some(value.to_owned()),
        ..AlertOverride::default()
    }
}

fn plan(signals: &Signals) -> Plan {
    sample::plan(&sample::binding(signals)).unwrap()
}

fn findings(signals: &Signals) -> Vec<Finding> {
    sample::plan(&sample::binding(signals)).unwrap_err()
}

/// The only finding, as its path and its words.
fn finding(signals: &Signals) -> (String, String) {
    let found = findings(signals);
    assert_eq!(found.len(), 1, "{found:?}");
    (found[0].path.clone(), found[0].to_string())
}

fn alert(plan: &Plan, name: &str) -> plan::Alert {
    let mut alerts = plan.packs.iter().flat_map(|pack| &pack.alerts);
    alerts.find(|alert| alert.name == name).unwrap().clone()
}

fn panel(plan: &Plan, title: &str) -> plan::Panel {
    let mut panels = plan.packs.iter().flat_map(|pack| &pack.panels);
    panels.find(|panel| panel.title == title).unwrap().clone()
}

/// Every expression of a rule.
fn rules(plan: &Plan) -> Vec<String> {
    let records = plan
        .packs
        .iter()
        .flat_map(|pack| &pack.records)
        .map(|record| &record.expr);
    let alerts = plan.packs.iter().flat_map(|pack| &pack.alerts).map(|alert| &alert.expr);
    records.chain(alerts).cloned().collect()
}

/// Every expression of a panel, with a range in place of Grafana's variable.
fn queries(plan: &Plan) -> Vec<String> {
    let panels = plan.packs.iter().flat_map(|pack| &pack.panels);
    let queries = panels.flat_map(|panel| panel.queries.iter().chain(&panel.overview));
    queries
        .map(|query| query.expr.replace("$__rate_interval", "5m"))
        .collect()
}

#[test]
fn every_rule_and_every_panel_stays_in_its_namespace() {
    let plan = plan(&Signals::default());
    for text in rules(&plan).iter().chain(&queries(&plan)) {
        assert_eq!(prove_of(text, "prod", &plan.owner.name), Ok(()), "{text}");
        assert!(prove_of(text, "other", &plan.owner.name).is_err(), "{text}");
    }
    assert!(rules(&plan).len() > 10 && queries(&plan).len() > 10);
}

#[test]
fn an_alert_compares_its_value_and_asks_its_guard_on_common_labels() {
    let alert = alert(&plan(&Signals::default()), "HighErrorRate");
    assert_eq!(
        alert.expr,
        "observed:http_errors:ratio{job=\"claude-api\",namespace=\"prod\"} > 0.05 and on (namespace, job) \
         (observed:http_requests:rate{job=\"claude-api\",namespace=\"prod\"} > 0.1)"
    );
    assert_eq!(
        (alert.r#for.as_str(), alert.keep_firing_for.as_deref()),
        ("5m", Some("5m"))
    );
    assert_eq!(alert.reach_seconds, 300);
}

#[test]
fn a_threshold_is_drawn_where_the_alert_compares_what_is_drawn() {
    let signals = signals(&[], &[("CostBudgetBurnHour", above("2.5"))]);
    let plan = plan(&signals);
    let lines = |title: &str| -> Vec<f64> { panel(&plan, title).thresholds.iter().map(|line| line.value).collect() };
    // What is recorded, what a query of the panel is, and the age of the oldest task.
    assert_eq!(lines("Error ratio"), [0.05]);
    assert_eq!(lines("Cost per hour"), [2.5]);
    assert_eq!(lines("Oldest task in the queue"), [900.0]);
    // A panel of the two numbers of which an alert compares the difference.
    assert_eq!(alert(&plan, "DeploymentReplicasMissing").severity, Severity::Warning);
    assert_eq!(lines("Pods wanted and available"), [0.0; 0]);
}

#[test]
fn what_belongs_to_pods_is_tied_by_their_names_and_not_by_the_job() {
    let alert = alert(&plan(&Signals::default()), "HighMemoryUsage");
    assert!(alert.expr.contains("pod=~\"claude-api-"), "{}", alert.expr);
    assert!(!alert.expr.contains("job="), "{}", alert.expr);
}

#[test]
fn the_services_window_reaches_its_own_rates_and_no_others() {
    let signals = Signals {
        window: Some("10m".to_owned()),
        ..Signals::default()
    };
    let plan = plan(&signals);
    assert_eq!(alert(&plan, "HighErrorRate").reach_seconds, 600);
    assert_eq!(alert(&plan, "ContainerRestarting").reach_seconds, 900);
    assert!(plan.packs[0].records.iter().all(|record| record.expr.contains("[10m]")));
}

#[test]
fn a_window_that_is_no_duration_or_holds_too_few_scrapes_is_a_finding() {
    for (window, wrong) in [
        ("soon", "is not a duration"),
        ("", "is not a duration"),
        ("-5", "is not a duration"),
        ("1m", "fewer than 4 scrapes"),
    ] {
        let signals = Signals {
            window: Some(window.to_owned()),
            ..Signals::default()
        };
        let (path, words) = finding(&signals);
        assert_eq!(path, "spec.signals.window");
        assert!(
            words.contains(wrong) && words.contains(&format!("{window:?}")),
            "{words}"
        );
    }
}

#[test]
fn a_threshold_of_the_service_reaches_rule_panel_text_and_drill() {
    let plan = plan(&signals(&[], &[("HighErrorRate", above("0.2"))]));
    let alert = alert(&plan, "HighErrorRate");
    assert!(alert.expr.contains("> 0.2 and"), "{}", alert.expr);
    assert!(alert.annotations["description"].contains("above 20%"));
    assert_eq!(panel(&plan, "Error ratio").thresholds[0].value, 0.2);
    let rates: Vec<Course> = alert.silent[0].inputs.iter().map(|input| input.course).collect();
    assert_eq!(rates, [Course::Rate(10.0 - 9.98 * 0.2), Course::Rate(9.98 * 0.2)]);
}

#[test]
fn a_service_sets_how_long_and_how_severe() {
    let change = AlertOverride {
        r#for: Some("90s".to_owned()),
        keep_firing_for: Some("0s".to_owned()),
        severity: Some(Severity::Info),
        ..AlertOverride::default()
    };
    let alert = alert(&plan(&signals(&[], &[("HighErrorRate", change)])), "HighErrorRate");
    assert_eq!((alert.r#for.as_str(), alert.keep_firing_for), ("1m30s", None));
    assert_eq!(alert.labels["severity"], "info");
}

#[test]
fn a_disabled_alert_is_neither_a_rule_nor_a_line() {
    let change = AlertOverride {
        state: Some(State::Disabled),
        because: Some("errors are expected here".to_owned()),
        ..AlertOverride::default()
    };
    let plan = plan(&signals(&[], &[("HighErrorRate", change)]));
    assert!(
        plan.packs
            .iter()
            .flat_map(|pack| &pack.alerts)
            .all(|alert| alert.name != "HighErrorRate")
    );
    assert_eq!(panel(&plan, "Error ratio").thresholds, []);
    assert_eq!(plan.packs[0].records.len(), 3);
}

#[test]
fn a_change_of_an_alert_that_does_not_fit_is_a_finding_of_its_own() {
    let lasting = |text: &str| AlertOverride {
        r#for: Some(text.to_owned()),
        ..AlertOverride::default()
    };
    for (name, change, field, wrong) in [
        (
            "HighErrorRate",
            below("0.1"),
            "below",
            "fires above a value, not below \"0.1\"",
        ),
        (
            "TargetDown",
            above("0.1"),
            "above",
            "fires below a value, not above \"0.1\"",
        ),
        ("HighErrorRate", above("5"), "above", "5 percent are written 0.05"),
        ("HighErrorRate", above("-0.1"), "above", "never negative"),
        ("HighErrorRate", above("1e-3"), "above", "not a decimal"),
        ("HighErrorRate", above("NaN"), "above", "not a decimal"),
        ("HighErrorRate", above("0.1 or up"), "above", "not a decimal"),
        ("TargetDown", below("0"), "below", "never below"),
        ("HighResponseTime", above("0"), "above", "longer than 0 seconds"),
        ("ContainerRestarting", above("1.5"), "above", "whole numbers"),
        ("TargetAbsent", above("1"), "above", "yes or no"),
        ("HighErrorRate", lasting("0s"), "for", "not a duration from 1s"),
        ("HighErrorRate", lasting("5"), "for", "not a duration"),
        ("HighErrorRate", lasting("40000d"), "for", "to 365d"),
    ] {
        let (path, words) = finding(&signals(&[], &[(name, change)]));
        assert_eq!(path, format!("spec.signals.alerts.{name}.{field}"));
        assert!(words.contains(wrong), "{name}: {words}");
    }
}

#[test]
fn an_alert_that_no_pack_has_names_what_was_meant() {
    let (path, words) = finding(&signals(&[], &[("HighErorRate", above("0.1"))]));
    assert_eq!(path, "spec.signals.alerts.HighErorRate");
    assert!(words.contains("did you mean \"HighErrorRate\"?"), "{words}");
}

#[test]
fn an_alert_or_a_name_of_a_pack_that_does_not_apply_names_the_pack() {
    let mut signals = signals(&[("endpoint", "route")], &[("HighErrorRate", above("0.1"))]);
    signals.packs = Some(vec!["target".to_owned()]);
    let found = findings(&signals);
    assert_eq!(found.len(), 2, "{found:?}");
    for finding in found {
        assert!(finding.help.contains("the pack \"http\""), "{finding}");
    }
}

#[test]
fn a_pack_that_does_not_exist_names_those_that_do() {
    let signals = Signals {
        packs: Some(vec!["http".to_owned(), "workloads".to_owned()]),
        ..Signals::default()
    };
    let (path, words) = finding(&signals);
    assert_eq!(path, "spec.signals.packs[1]");
    assert!(
        words.contains("did you mean \"workload\"? The packs are: http, llm, business, workload, target"),
        "{words}"
    );
}

#[test]
fn everything_that_is_wrong_is_said_at_once() {
    let mut signals = signals(
        &[("x", "y"), ("endpoint", "a-b")],
        &[("HighErrorRate", above("9")), ("Nope", above("1"))],
    );
    signals.window = Some("1s".to_owned());
    signals.packs = Some(vec!["http".to_owned(), "nope".to_owned()]);
    assert_eq!(findings(&signals).len(), 6);
}

#[test]
fn an_alert_carries_what_it_is_routed_by() {
    for pack in plan(&Signals::default()).packs {
        for alert in pack.alerts {
            assert_eq!(alert.labels["service"], "claude");
            assert_eq!(alert.labels["namespace"], "prod");
            assert_eq!(alert.labels["severity"], alert.severity.as_str());
        }
    }
}

#[test]
fn texts_name_the_workload_and_only_descriptions_hold_template_actions() {
    for pack in plan(&Signals::default()).packs {
        for alert in pack.alerts {
            assert!(!alert.annotations["summary"].contains("{{"));
            assert!(!alert.annotations.contains_key("runbook_url"));
            assert!(!alert.annotations["description"].contains("{kind}"));
        }
    }
    let description = &alert(&plan(&Signals::default()), "HighErrorRate").annotations["description"];
    assert!(
        description.contains("{{ $value | humanizePercentage }}"),
        "{description}"
    );
    assert!(
        description.contains("kubectl rollout history deployment/claude-api -n prod"),
        "{description}"
    );
}

#[test]
fn the_runbook_is_below_the_page_of_the_spec_and_its_braces_are_data() {
    let signals = Signals::default();
    let binding = Binding {
        runbook_base: Some("https://example.org/{{ $value }}/"),
        ..sample::binding(&signals)
    };
    let alert = alert(&sample::plan(&binding).unwrap(), "TargetDown");
    assert_eq!(
        alert.annotations["runbook_url"],
        "https://example.org/{{\"{\"}}{{\"{\"}} $value }}/TargetDown"
    );
}

#[test]
fn a_panel_asks_in_steps_of_the_samples_that_it_reads() {
    let signals = Signals::default();
    let binding = Binding {
        interval_seconds: 15,
        ..sample::binding(&signals)
    };
    let plan = sample::plan(&binding).unwrap();
    assert_eq!(panel(&plan, "Request rate").queries[0].step_seconds, 15);
    // The kubelet is not scraped in the service's interval.
    assert_eq!(panel(&plan, "CPU").queries[0].step_seconds, 30);
}

#[test]
fn the_overview_shows_the_one_number_that_is_recorded() {
    let panel = panel(&plan(&Signals::default()), "Request rate");
    let [overview] = panel.overview.as_slice() else {
        panic!("{:?}", panel.overview)
    };
    assert!(overview.expr.contains("by (namespace, job)") && overview.expr.contains("$__rate_interval"));
    assert!(panel.queries[0].expr.contains("by (status)"));
}

#[test]
fn a_pack_that_leaves_the_service_makes_no_rule() {
    let mut packs = Packs::builtin().unwrap();
    packs.packs[0].spec.signals[0].record.as_mut().unwrap().expr = "sum(rate(other_total[5m]))".to_owned();
    let signals = Signals::default();
    let found = bind(&packs, &["http".to_owned()], &sample::binding(&signals)).unwrap_err();
    assert!(
        found[0].message.contains("\"other_total\" is neither declared"),
        "{found:?}"
    );
}
