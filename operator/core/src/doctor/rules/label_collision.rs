use serde_json::json;

use super::super::answers::TARGET_LABELS;
use super::super::kind::{MONITORS, Need};
use super::super::scraping::monitors;
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
                let Some(Ok(samples)) = answers.queries.get(&Query::Collided(label)) else {
                    continue;
                };
                let collided = samples.iter().find(|sample| {
                    answers.targets.iter().flatten().any(|target| {
                        let of = |name: &str| target.labels.get(name).map(String::as_str).unwrap_or_default();
                        super::in_pool(&target.scrape_pool, monitor.object)
                            && of("job") == sample.label("job")
                            && of("namespace") == sample.label("namespace")
                    })
                });
                let Some(sample) = collided else { continue };
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
                    let list = if monitor.is_of_services() {
                        "endpoints"
                    } else {
                        "podMetricsEndpoints"
                    };
                    let endpoints = monitor.endpoints.iter().map(|endpoint| {
                        let mut value = endpoint.value.clone();
                        let mut relabelings = value["relabelings"].as_array().cloned().unwrap_or_default();
                        relabelings.push(json!({"action": "labeldrop", "regex": label}));
                        value["relabelings"] = relabelings.into();
                        value
                    });
                    let endpoints: Vec<_> = endpoints.collect();
                    finding = finding.patch(&monitor.object.reference(), &json!({"spec": {list: endpoints}}));
                }
                found.push(finding);
            }
        }
    }
    found
}
