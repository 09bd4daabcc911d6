//! Whether the rules of a service fit into one object.

use std::collections::BTreeMap;

use crate::finding::{Code, Finding};
use crate::plan::{Alert, Plan, Record};

/// Bytes that prometheus-operator takes of one PrometheusRule: half of what a Secret holds (`MaxConfigMapDataSize` of its
/// `pkg/operator/rules.go`). What is larger it leaves out, and says so in an event alone.
const MOST_BYTES: usize = 512 * 1024;
/// What stands between the texts of a rule, about: names of fields, indentation, quotes.
const BETWEEN: usize = 64;
/// The same for each label and annotation.
const BESIDE: usize = 16;

/// The finding that stands against rules that would be left out as a whole.
pub(super) fn too_large(plan: &Plan) -> Option<Finding> {
    let [objectives, dependencies, own] = bytes(plan);
    let all = objectives + dependencies + own;
    (all > MOST_BYTES).then(|| {
        let kib = |bytes: usize| bytes.div_ceil(1024);
        Finding::error(
            Code::InvalidValue,
            "spec",
            format!(
                "the rules are about {} KiB: {} of objectives, {} of dependencies and {} of the service's own packs. \
                 prometheus-operator takes no PrometheusRule above {} KiB",
                kib(all),
                kib(objectives),
                kib(dependencies),
                kib(own),
                kib(MOST_BYTES)
            ),
            "Declare fewer objectives or dependencies, or disable alerts that nobody needs in spec.signals.alerts",
        )
    })
}

/// About how many bytes the rules of objectives, of dependencies and of the service's own packs have as YAML.
fn bytes(plan: &Plan) -> [usize; 3] {
    let of = |records: &[Record], alerts: &[Alert]| -> usize {
        records.iter().map(record_bytes).sum::<usize>() + alerts.iter().map(alert_bytes).sum::<usize>()
    };
    let objectives = plan.objectives.iter().map(|it| of(&it.records, &it.alerts)).sum();
    let packs = |of_dependency: bool| {
        let packs = plan
            .packs
            .iter()
            .filter(move |pack| pack.dependency.is_some() == of_dependency);
        packs.map(|pack| of(&pack.records, &pack.alerts)).sum()
    };
    [objectives, packs(true), packs(false)]
}

fn record_bytes(record: &Record) -> usize {
    BETWEEN + record.name.len() + record.expr.len() + texts(&record.labels)
}

fn alert_bytes(alert: &Alert) -> usize {
    BETWEEN + alert.name.len() + alert.expr.len() + texts(&alert.labels) + texts(&alert.annotations)
}

fn texts(texts: &BTreeMap<String, String>) -> usize {
    // A line of a text is indented.
    let lines = |text: &str| 8 * text.matches('\n').count();
    texts
        .iter()
        .map(|(name, text)| BESIDE + name.len() + text.len() + lines(text))
        .sum()
}

#[cfg(test)]
mod tests {
    use observed_crds::v1alpha1::ObservedService;
    use serde_json::json;

    use super::*;
    use crate::child::Body;
    use crate::facts::Facts;
    use crate::packs::Packs;
    use crate::{outputs, yaml};

    fn resolved(objectives: usize, databases: usize) -> Result<Plan, Vec<Finding>> {
        let objective = |n: usize| {
            json!({
                "name": format!("objective-{n:02}-{}", "o".repeat(19)), "target": "99.9%",
                "sli": {"ratio": {"bad": "http_requests_total{status=~\"5..\"}", "total": "http_requests_total"}},
            })
        };
        let database = |n: usize| json!({"name": format!("db-{n}"), "type": "PostgreSQL", "scrapedFrom": {"job": format!("exporter-{n}")}});
        let service: ObservedService = serde_json::from_value(json!({
            "apiVersion": "observed.rs/v1alpha1", "kind": "ObservedService",
            "metadata": {"name": "n".repeat(40), "namespace": "p".repeat(60)},
            "spec": {
                "targetRef": {"name": "n".repeat(40)},
                "objectives": (0..objectives).map(objective).collect::<Vec<_>>(),
                "dependencies": (0..databases).map(database).collect::<Vec<_>>(),
            },
        }))
        .unwrap();
        super::super::resolve(&service.spec, &Facts::assumed(&service), &Packs::builtin().unwrap())
    }

    #[test]
    fn what_is_counted_is_about_what_is_written() {
        for (objectives, databases) in [(0, 0), (4, 0), (0, 4)] {
            let plan = resolved(objectives, databases).unwrap();
            let rules = outputs::render(&plan)
                .items
                .into_iter()
                .find(|child| child.output == "prometheus-rule")
                .unwrap();
            let Body::Owned(object) = &rules.body else {
                panic!("a gift")
            };
            let (counted, written) = (
                bytes(&plan).iter().sum::<usize>() as f64,
                yaml::to_string([object]).len() as f64,
            );
            assert!(
                (counted / written - 1.0).abs() < 0.05,
                "{objectives} {databases}: {counted} {written}"
            );
        }
    }

    #[test]
    fn rules_that_prometheus_operator_would_leave_out_are_refused_with_their_parts() {
        assert!(resolved(16, 0).is_ok());
        let found = resolved(16, 16).unwrap_err();
        let words = found[0].to_string();
        assert_eq!((found.len(), found[0].path.as_str()), (1, "spec"));
        assert!(
            words.contains("above 512 KiB") && words.contains("Declare fewer objectives"),
            "{words}"
        );
    }
}
