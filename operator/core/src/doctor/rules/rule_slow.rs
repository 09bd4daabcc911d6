use super::super::kind::{Kind, Need};
use super::super::{Found, Rule, Severity, Snapshot};
use super::rule_not_loaded::object_of;

pub(super) const RULE: Rule = Rule {
    id: "rule-slow",
    title: "A group of rules takes longer than its interval",
    effect: "Evaluations are skipped: recorded series have holes, and alerts come late",
    fix: "Give the group a longer interval, split it, or record its costly parts",
    needs: &[Need::Any(&[Kind::PrometheusRule]), Need::Prometheus],
    find,
};

fn find(snapshot: &Snapshot) -> Vec<Found> {
    let mut found = Vec::new();
    for answers in &snapshot.prometheuses {
        for group in answers.rules.iter().flatten() {
            let is_slow = group.interval > 0.0 && group.evaluation_time > group.interval;
            if let Some(object) = object_of(snapshot, group).filter(|_| is_slow) {
                let evidence = format!(
                    "{}: group {:?} took {:.1} s and is due every {} s",
                    answers.who, group.name, group.evaluation_time, group.interval
                );
                found.push(Found::new(
                    Severity::Warning,
                    object,
                    evidence,
                    "Give it a longer interval, or split it",
                ));
            }
        }
    }
    found
}
