use std::collections::BTreeSet;

use observed_crds::foreign::PrometheusRuleSpec;
use observed_crds::v1alpha1::Signals;

use super::*;
use crate::signals::sample;

fn plan() -> Plan {
    let signals = Signals::default();
    let mut plan = sample::plan(&sample::binding(&signals)).unwrap();
    let release = [("release".to_owned(), "monitoring".to_owned())].into();
    plan.selection_labels = [("PrometheusRule".to_owned(), release)].into();
    plan
}

fn object(plan: &Plan) -> serde_json::Value {
    let children = PrometheusRule.render(plan);
    match children.as_slice() {
        [child] => match &child.body {
            Body::Owned(object) => object.clone(),
            Body::Gift(_) | Body::TakeBack(_) | Body::Will(_) => panic!("a gift"),
        },
        other => panic!("{} children", other.len()),
    }
}

fn spec(plan: &Plan) -> PrometheusRuleSpec {
    serde_json::from_value(object(plan)["spec"].clone()).unwrap()
}

#[test]
fn the_rules_of_a_service_are_one_object_of_its_name_that_a_prometheus_selects() {
    let object = object(&plan());
    assert_eq!(object["apiVersion"], "monitoring.coreos.com/v1");
    assert_eq!(object["kind"], "PrometheusRule");
    assert_eq!(object["metadata"]["name"], "claude");
    assert_eq!(object["metadata"]["namespace"], "prod");
    assert_eq!(object["metadata"]["labels"]["release"], "monitoring");
    assert_eq!(object["metadata"]["ownerReferences"][0]["uid"], "5f0c");
}

#[test]
fn the_object_holds_the_groups_as_their_model_writes_them() {
    let groups = rule_groups(&plan());
    let rules = || groups.iter().flat_map(|group| &group.rules);
    assert!(rules().any(|rule| rule.record.is_some()) && rules().any(|rule| rule.keep_firing_for.is_some()));
    assert_eq!(object(&plan())["spec"], serde_json::json!({"groups": groups}));
}

#[test]
fn records_come_before_the_alerts_that_read_them() {
    for group in spec(&plan()).groups {
        let first_alert = group.rules.iter().position(|rule| rule.alert.is_some());
        let last_record = group.rules.iter().rposition(|rule| rule.record.is_some());
        assert!(last_record < first_alert, "{}", group.name);
        assert_eq!(group.interval, "30s");
    }
}

#[test]
fn group_names_are_unique_among_services() {
    let mut names = BTreeSet::new();
    for (namespace, service) in [("prod", "a"), ("prod", "b"), ("test", "a")] {
        let mut plan = plan();
        plan.owner.namespace = namespace.to_owned();
        plan.owner.name = service.to_owned();
        for group in spec(&plan).groups {
            assert!(names.insert(group.name.clone()), "{}", group.name);
        }
    }
}

#[test]
fn a_pack_without_rules_makes_no_group_and_a_plan_without_rules_no_object() {
    let mut plan = plan();
    plan.packs[0].records.clear();
    plan.packs[0].alerts.clear();
    assert_eq!(spec(&plan).groups.len(), plan.packs.len() - 1);
    plan.packs.clear();
    assert_eq!(PrometheusRule.render(&plan), []);
    assert_eq!(PrometheusRule.checks(&plan), []);
}

#[test]
fn the_checks_ask_for_the_groups_and_the_rules_that_were_rendered_and_where_the_alerts_go() {
    let plan = plan();
    let groups = spec(&plan).groups;
    let checks = PrometheusRule.checks(&plan);
    let [
        Check::Rules {
            namespace,
            name,
            labels,
            groups: names,
            expected,
            reach,
            reads,
        },
        Check::Routes {
            labels: selected,
            alerts,
        },
    ] = checks.as_slice()
    else {
        panic!("{checks:?}");
    };
    assert_eq!((namespace.as_str(), name.as_str()), ("prod", "claude"));
    assert_eq!(labels["release"], "monitoring");
    assert_eq!(labels[observed_crds::SERVICE_LABEL], "claude");
    assert!(groups.iter().map(|group| &group.name).eq(names));
    let rules = || groups.iter().flat_map(|group| &group.rules);
    assert_eq!(rules().count(), *expected);
    assert!(!reach.is_zero());
    assert_eq!(
        (reads.kind, reads.monitor.as_str(), &reads.job),
        ("ServiceMonitor", "claude", &plan.scrape.job)
    );
    assert_eq!(selected, labels);
    assert!(!alerts.is_empty() && alerts.iter().eq(rules().filter(|rule| rule.alert.is_some())));
}

/// The metrics that alerts need, with these alerts, when the groups hold such rules: an alert has a capital.
fn needed(rules: &[(&str, &str)]) -> Vec<(String, Vec<String>)> {
    let rule = |(name, expr): &(&str, &str)| {
        let is_alert = name.starts_with(char::is_uppercase);
        let name = Some((*name).to_owned());
        Rule {
            alert: name.clone().filter(|_| is_alert),
            record: name.filter(|_| !is_alert),
            expr: (*expr).to_owned(),
            ..Rule::default()
        }
    };
    let group = observed_crds::foreign::RuleGroup {
        rules: rules.iter().map(rule).collect(),
        ..Default::default()
    };
    let needs = needs::needs(&[group], &plan()).into_iter();
    needs
        .map(|need| (need.metric, need.alerts.into_iter().collect()))
        .collect()
}

#[test]
fn an_alert_needs_what_it_reads_itself_and_through_recorded_series() {
    let rules = [
        ("job:errors:rate5m", "sum(rate(errors_total[5m]))"),
        ("job:errors:ratio", "job:errors:rate5m / sum(rate(requests_total[5m]))"),
        ("Errors", "job:errors:ratio > 0.1"),
        ("Busy", "sum(rate(requests_total[5m])) > 100"),
    ];
    assert_eq!(
        needed(&rules),
        [
            ("errors_total".to_owned(), vec!["Errors".to_owned()]),
            (
                "requests_total".to_owned(),
                vec!["Busy".to_owned(), "Errors".to_owned()]
            ),
        ]
    );
}

#[test]
fn an_alert_does_not_need_what_another_series_stands_in_for_or_what_it_misses() {
    for rules in [
        &[("Down", "absent(a) or a == 0")][..],
        &[("r", "sum(a)"), ("r", "sum(b)"), ("Low", "r < 1")],
        &[("Burning", "ALERTS > 0")],
        &[("only:recorded", "a")],
    ] {
        assert_eq!(needed(rules), [], "{rules:?}");
    }
}

#[test]
fn every_metric_that_an_alert_of_a_plan_needs_is_told_with_what_would_expose_it() {
    let plan = plan();
    let checks = PrometheusRule.checks(&plan);
    let [Check::Rules { reads, .. }, ..] = checks.as_slice() else {
        panic!("{checks:?}")
    };
    assert!(reads.needs.len() > 10, "{:?}", reads.needs);
    for need in &reads.needs {
        assert!(!need.when_missing.is_empty() && !need.metric.contains(':'), "{need:?}");
    }
}
