use std::collections::BTreeSet;

use super::super::kind::Kind;
use super::super::snapshot::Object;
use super::super::{Found, Rule, Severity, Snapshot, alerts};
use crate::promql::{Expression, is_label_name, is_metric_name};

pub(super) const RULE: Rule = Rule {
    id: "rule-invalid",
    title: "A PrometheusRule holds an expression, a name or a label that Prometheus does not take",
    effect: "prometheus-operator rejects the whole object: all its groups are lost, also those that are right",
    fix: "Correct what is named; apply with `--dry-run=server` first, which asks prometheus-operator's webhook where there is one",
    needs: &[],
    find,
};

fn find(snapshot: &Snapshot) -> Vec<Found> {
    snapshot.of(Kind::PrometheusRule).iter().flat_map(judged).collect()
}

fn judged(object: &Object) -> Vec<Found> {
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
    for rule in alerts::of(object) {
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
            if value
                .as_str()
                .is_some_and(|text| text.contains("$value") || text.contains(".Value"))
            {
                tell(
                    format!(
                        "{place}: the label {label} holds $value, which makes another alert of it at each evaluation"
                    ),
                    "Put the value into an annotation",
                );
            }
        }
    }
    found
}
