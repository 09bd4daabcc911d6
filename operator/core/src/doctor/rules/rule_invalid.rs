use std::collections::BTreeSet;

use super::super::alerts::{self, Written};
use super::super::kind::{Kind, Need};
use super::super::snapshot::Object;
use super::super::{Found, Rule, Severity, Snapshot};
use super::rule_not_loaded::is_of;
use crate::promql::{Expression, is_label_name, is_metric_name};

pub(super) const RULE: Rule = Rule {
    id: "rule-invalid",
    title: "A PrometheusRule holds an expression, a name or a label that Prometheus does not take",
    effect: "prometheus-operator rejects the whole object: all its groups are lost, also those that are right",
    fix: "Correct what is named; apply with `--dry-run=server` first, which asks prometheus-operator's webhook where there is one",
    needs: &[Need::Any(&[Kind::PrometheusRule])],
    find,
};

fn find(snapshot: &Snapshot) -> Vec<Found> {
    let objects = snapshot.of(Kind::PrometheusRule).iter();
    objects.flat_map(|object| judged(snapshot, object)).collect()
}

/// Whether a Prometheus evaluates the rule without error: it may know more than is known here, such as names in UTF-8.
fn is_taken(snapshot: &Snapshot, rule: &Written<'_>) -> bool {
    let groups = snapshot
        .prometheuses
        .iter()
        .filter_map(|answers| answers.rules.as_ref().ok())
        .flatten();
    let mut loaded = groups
        .filter(|group| is_of(group, rule.object, rule.group))
        .flat_map(|group| &group.rules);
    loaded.any(|loaded| loaded.name == rule.name() && loaded.health == "ok")
}

fn judged(snapshot: &Snapshot, object: &Object) -> Vec<Found> {
    let mut found = Vec::new();
    let mut tell = |evidence: String, fix: &str| found.push(Found::new(Severity::Error, object, evidence, fix));
    let mut groups = BTreeSet::new();
    for group in object.list("/spec/groups") {
        let name = group["name"].as_str().unwrap_or_default();
        if !groups.insert(name) {
            tell(
                format!("there are two groups {name:?}"),
                "Give each group of the object a name of its own",
            );
        }
    }
    for rule in alerts::of(object).filter(|rule| !is_taken(snapshot, rule)) {
        let place = format!("group {:?}, rule {:?}", rule.group, rule.name());
        if let Err(error) = Expression::parse(&rule.expr) {
            tell(format!("{place}: {error}"), "Correct the expression");
        }
        match (rule.alert(), rule.record()) {
            (Some(_), Some(_)) | (None, None) => {
                tell(
                    format!("{place} must have exactly one of alert and record"),
                    "Set one of the two",
                );
            }
            (None, Some(record)) if !is_metric_name(record) => {
                tell(
                    format!("{place}: it is no name of a series"),
                    "Use letters, digits, _ and :",
                );
            }
            _ => {}
        }
        for (label, value) in rule.value["labels"].as_object().into_iter().flatten() {
            if !is_label_name(label) {
                tell(
                    format!("{place}: {label:?} is no name of a label"),
                    "Use letters, digits and _; a dot or slash becomes _",
                );
            }
            if !value.is_string() {
                tell(
                    format!("{place}: the label {label} is {value}, and not a text"),
                    "Put the value in quotes",
                );
            }
        }
    }
    found
}
