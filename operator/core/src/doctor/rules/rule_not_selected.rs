use super::super::kind::{Kind, Need};
use super::super::selectors::unselected;
use super::super::{Found, Rule, Snapshot};

pub(super) const RULE: Rule = Rule {
    id: "rule-not-selected",
    title: "No Prometheus and no ThanosRuler selects the PrometheusRule",
    effect: "None of its alerts can fire, and none of its series is recorded",
    fix: "Give the PrometheusRule every label that `ruleSelector` names, or its namespace those of `ruleNamespaceSelector`",
    needs: &[Need::Any(&[Kind::PrometheusRule]), Need::Every(Kind::Prometheus)],
    find,
};

fn find(snapshot: &Snapshot) -> Vec<Found> {
    unselected(snapshot, Kind::PrometheusRule, "Prometheus")
}
