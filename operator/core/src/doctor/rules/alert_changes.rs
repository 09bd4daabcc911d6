use super::super::kind::{Kind, Need};
use super::super::{Found, Rule, Severity, Snapshot, alerts};

pub(super) const RULE: Rule = Rule {
    id: "alert-changes",
    title: "A label of an alert holds the value that it is about",
    effect: "Each evaluation makes another alert of it: `for` begins anew, so that it may never fire, and what fires is told again and again",
    fix: "Put the value into an annotation",
    needs: &[Need::Any(&[Kind::PrometheusRule])],
    find,
};

/// How a template says the value.
const VALUE: [&str; 2] = ["$value", ".Value"];

fn find(snapshot: &Snapshot) -> Vec<Found> {
    let mut found = Vec::new();
    for rule in alerts::written(snapshot).filter(|rule| rule.alert().is_some()) {
        for (label, text) in rule.labels() {
            if text.contains("{{") && VALUE.iter().any(|value| text.contains(value)) {
                let evidence = format!("the label {label} of {} is {text:?}", rule.name());
                found.push(Found::new(
                    Severity::Warning,
                    rule.object,
                    evidence,
                    "Put the value into an annotation",
                ));
            }
        }
    }
    found
}
