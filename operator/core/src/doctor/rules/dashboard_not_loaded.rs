use std::collections::BTreeMap;

use super::super::dashboards::{dashboards, maps, missed, sidecars};
use super::super::kind::{Kind, Need};
use super::super::{Found, Rule, Severity, Snapshot};
use crate::grafana_api::Standing;
use crate::sidecar::Sidecar;

pub(super) const RULE: Rule = Rule {
    id: "dashboard-not-loaded",
    title: "No sidecar of Grafana looks where the dashboard is, or for the label that it has",
    effect: "Grafana does not know the dashboard",
    fix: "Give the ConfigMap the label and value that the sidecar looks for, or let the sidecar look into all namespaces",
    needs: &[Need::Any(&[Kind::ConfigMap]), Need::Every(Kind::Deployment)],
    find,
};

fn find(snapshot: &Snapshot) -> Vec<Found> {
    let sidecars = sidecars(snapshot);
    let all = dashboards(snapshot);
    let mut found = Vec::new();
    for map in maps(snapshot) {
        let Some(missed) = missed(&sidecars, map) else {
            continue;
        };
        // What Grafana says that it has came in another way.
        let mut in_map = all.iter().filter(|dashboard| std::ptr::eq(dashboard.object, map));
        let is_there = in_map.any(|dashboard| {
            let judged = dashboard.in_grafana(snapshot);
            judged.is_some_and(|judged| judged.standing == Standing::Loaded)
        });
        if is_there {
            continue;
        }
        let evidence = missed.join("; ");
        let near = sidecars
            .iter()
            .find(|sidecar| sidecar.looks_elsewhere(&map.namespace).is_none());
        found.push(match near.map(Sidecar::wanted) {
            Some((label, value)) => {
                let labels = BTreeMap::from([(label.to_owned(), value.to_owned())]);
                let fix = format!("Give it the label {label}={value}");
                Found::new(Severity::Error, map, evidence, fix).label(&map.reference(), &labels)
            }
            None => {
                let fix = "Let the sidecar look into all namespaces (NAMESPACE=ALL; in the chart: sidecar.dashboards.searchNamespace), \
                           or move the ConfigMap";
                Found::new(Severity::Error, map, evidence, fix)
            }
        });
    }
    found
}
