use super::super::kind::{Kind, Need};
use super::super::{Found, Rule, Severity, Snapshot};
use super::rule_not_loaded::object_of;

pub(super) const RULE: Rule = Rule {
    id: "rule-failing",
    title: "Prometheus cannot evaluate a rule",
    effect: "The alert cannot fire, or the series is not recorded, while everything looks loaded",
    fix: "What the error means, and what mends it, stands with the finding",
    needs: &[Need::Any(&[Kind::PrometheusRule]), Need::Prometheus],
    find,
};

/// Parts of the error's text, and what mends it.
const DICTIONARY: [(&str, &str); 5] = [
    (
        "many-to-many matching not allowed",
        "Both sides of a join have several series for the same labels: aggregate the right side `by` exactly the labels of `on`, as \
         in max by (namespace, pod) (…)",
    ),
    (
        "found duplicate series for the match group",
        "The side that should have one series for each group has several: aggregate it `by` exactly the labels of `on`",
    ),
    (
        "vector contains metrics with the same labelset",
        "Two results have the same labels after the metric's name is dropped: aggregate, or keep the label that tells them apart",
    ),
    (
        "query timed out",
        "Record its parts as series of their own, or shorten its range",
    ),
    (
        "query processing would load too many samples",
        "Record its parts as series of their own, or shorten its range",
    ),
];

fn find(snapshot: &Snapshot) -> Vec<Found> {
    let mut found = Vec::new();
    for answers in &snapshot.prometheuses {
        for group in answers.rules.iter().flatten() {
            for rule in group.rules.iter().filter(|rule| rule.health == "err") {
                let Some(object) = object_of(snapshot, group) else {
                    continue;
                };
                let known = DICTIONARY.iter().find(|(part, _)| rule.last_error.contains(part));
                let fix = known.map_or("Correct the expression", |(_, fix)| fix);
                let evidence = format!(
                    "{}: the rule {:?} of group {:?}: {}",
                    answers.who, rule.name, group.name, rule.last_error
                );
                found.push(Found::new(Severity::Error, object, evidence, fix));
            }
        }
    }
    found
}
