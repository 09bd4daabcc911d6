use serde_json::json;

use super::super::answers::TARGET_LABELS;
use super::super::kind::{MONITORS, Need};
use super::super::scraping::{monitors, sample_of};
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

fn find(snapshot: &Snapshot) -> Vec<Found> {
    let mut found = Vec::new();
    for monitor in monitors(snapshot) {
        for answers in &snapshot.prometheuses {
            for label in TARGET_LABELS {
                let Some(sample) = sample_of(answers, Query::Collided(label), monitor.object) else {
                    continue;
                };
                let evidence = format!(
                    "{}: {} series of job {:?} have the label exported_{label}",
                    answers.who,
                    sample.value,
                    sample.label("job")
                );
                // To identify the target, these must stay.
                let droppable = ["endpoint", "service", "container"].contains(&label);
                let fix = if droppable {
                    format!("Drop the target's {label}: relabelings: [{{action: labeldrop, regex: {label}}}]")
                } else {
                    format!(
                        "Rename the label in the service, or copy exported_{label} to another name with metricRelabelings"
                    )
                };
                let mut finding = Found::new(Severity::Warning, monitor.object, evidence, fix);
                if droppable {
                    finding = monitor.patched(finding, |_, endpoint| {
                        let mut relabelings = list(&endpoint["relabelings"]).to_vec();
                        relabelings.push(json!({"action": "labeldrop", "regex": label}));
                        endpoint["relabelings"] = relabelings.into();
                    });
                }
                found.push(finding);
            }
        }
    }
    found
}
