use k8s_openapi::api::core::v1::Container;

use super::super::kind::{Need, SYSTEM, WORKLOADS};
use super::super::{Found, Rule, Severity, Snapshot, pods};
use crate::{facts, resolve};

pub(super) const RULE: Rule = Rule {
    id: "risky-probe",
    title: "A probe can hurt the pods that it looks after",
    effect: "An outage of a database, a pause or a slow start restarts pods that only had to wait",
    fix: "Liveness asks a path that touches no dependency, and slowly; readiness reacts fast; a startup probe covers the start",
    needs: &[Need::Any(&WORKLOADS)],
    find,
};

fn find(snapshot: &Snapshot) -> Vec<Found> {
    let mut found = Vec::new();
    for workload in pods::workloads(snapshot).filter(|workload| workload.namespace != SYSTEM) {
        for container in pods::containers(workload) {
            let Ok(container) = serde_json::from_value::<Container>(container.clone()) else {
                continue;
            };
            let container = facts::Container::of(&container, |_| Vec::new());
            for risk in resolve::risky_probes(&container) {
                found.push(Found::new(Severity::Warning, workload, risk.message, risk.help));
            }
        }
    }
    found
}
