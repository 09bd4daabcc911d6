use serde_json::json;

use super::super::answers::TARGET_LABELS;
use super::super::kind::{MONITORS, Need};
use super::super::scraping::by_label;
use super::super::snapshot::list;
use super::super::{Found, Query, Rule, Severity, Snapshot};

pub(super) const RULE: Rule = Rule {
    id: "label-collision",
    title: "A label of the service has the name of a label of the target",
    effect: "The service's label becomes `exported_…`, and queries by the name that its code uses group by the target's instead: \
             `by (endpoint)` groups by the port",
    fix: "Drop the target's label with a relabeling, or rename the service's; rather not `honorLabels`, with which a service \
          can pretend to be another",
    needs: &[Need::Any(&MONITORS), Need::Prometheus],
    find,
};

/// Labels of the target that do not identify it.
const DROPPABLE: [&str; 3] = ["endpoint", "service", "container"];

fn find(snapshot: &Snapshot) -> Vec<Found> {
    by_label(
        snapshot,
        &TARGET_LABELS,
        Query::Collided,
        |monitor, who, label, sample| {
            let evidence = format!(
                "{who}: {} series of job {:?} have the label exported_{label}",
                sample.value,
                sample.label("job")
            );
            let found = |fix: String| Found::new(Severity::Warning, monitor.object, evidence.clone(), fix);
            if !DROPPABLE.contains(&label) {
                return found(format!(
                    "Rename the label in the service, or copy exported_{label} to another name with metricRelabelings"
                ));
            }
            let fix = format!("Drop the target's {label}: relabelings: [{{action: labeldrop, regex: {label}}}]");
            monitor.patched(found(fix), |_, endpoint| {
                let mut relabelings = list(&endpoint["relabelings"]).to_vec();
                relabelings.push(json!({"action": "labeldrop", "regex": label}));
                endpoint["relabelings"] = relabelings.into();
            })
        },
    )
}
