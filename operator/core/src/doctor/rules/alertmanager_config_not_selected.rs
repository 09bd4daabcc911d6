use super::super::kind::{Kind, Need};
use super::super::selectors::unselected;
use super::super::{Found, Rule, Snapshot};

pub(super) const RULE: Rule = Rule {
    id: "alertmanager-config-not-selected",
    title: "No Alertmanager selects the AlertmanagerConfig",
    effect: "Its routes do not exist, and its receivers are told nothing",
    fix: "Give the AlertmanagerConfig, or its namespace, the label that the Alertmanager selects by",
    needs: &[Need::Any(&[Kind::AlertmanagerConfig]), Need::Every(Kind::Alertmanager)],
    find,
};

fn find(snapshot: &Snapshot) -> Vec<Found> {
    unselected(snapshot, Kind::AlertmanagerConfig, "Alertmanager")
}
