use super::super::kind::{Kind, MONITORS, Need};
use super::super::selectors::unselected;
use super::super::{Found, Rule, Snapshot};

pub(super) const RULE: Rule = Rule {
    id: "monitor-not-selected",
    title: "No Prometheus selects the ServiceMonitor or PodMonitor",
    effect: "Nothing of it is scraped, and nobody says so: it is not even on Prometheus' page of targets",
    fix: "Give the monitor, or its namespace, the label that the Prometheus selects by",
    needs: &[Need::Any(&MONITORS), Need::Every(Kind::Prometheus)],
    find,
};

fn find(snapshot: &Snapshot) -> Vec<Found> {
    let mut found = unselected(snapshot, Kind::ServiceMonitor, "Prometheus");
    found.extend(unselected(snapshot, Kind::PodMonitor, "Prometheus"));
    found
}
