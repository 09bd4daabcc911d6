//! Whether a Prometheus selects an object, and if not, what is missing. The rules are prometheus-operator's: no selector
//! selects nothing, an empty one everything; no namespace selector means the Prometheus' own namespace.

use std::collections::BTreeMap;

use observed_crds::foreign::LabelSelector;
use serde_json::Value;

use crate::facts::{Prometheus, Selects};

/// An object that a Prometheus may select.
#[derive(Clone, Copy, Debug)]
pub struct Object<'a> {
    /// Its kind.
    pub kind: &'a str,
    /// Its labels.
    pub labels: &'a BTreeMap<String, String>,
    /// Its namespace.
    pub namespace: &'a str,
    /// Labels of the namespace.
    pub namespace_labels: &'a BTreeMap<String, String>,
}

/// What keeps the Prometheus from selecting the object, in words. None: it selects it.
pub fn missing(prometheus: &Prometheus, object: &Object<'_>) -> Option<String> {
    let kind = object.kind;
    let outside = outside(prometheus, kind, object.namespace, object.namespace_labels);
    outside.or_else(|| {
        match &prometheus
            .selects
            .get(kind)
            .and_then(|selects| selects.objects.as_ref())
        {
            None => Some(format!("selects no {kind} at all: it has no {}", selector(kind))),
            Some(selector) => {
                unmet(selector, object.labels).map(|wanted| format!("does not select it: its label {wanted}"))
            }
        }
    })
}

/// What keeps the Prometheus from looking for objects of the kind in the namespace, in words. None: it looks there.
pub fn outside(
    prometheus: &Prometheus,
    kind: &str,
    namespace: &str,
    namespace_labels: &BTreeMap<String, String>,
) -> Option<String> {
    match prometheus
        .selects
        .get(kind)
        .and_then(|selects| selects.namespaces.as_ref())
    {
        None if namespace == prometheus.namespace => None,
        None => Some(format!(
            "only looks for {kind}s in its own namespace: give it a {} that matches {namespace:?}",
            namespace_selector(kind)
        )),
        Some(selector) => unmet(selector, namespace_labels)
            .map(|wanted| format!("does not look into namespace {namespace:?}: the namespace's label {wanted}")),
    }
}

/// Kinds that are selected, with the fields of the resource that selects them.
const SELECTORS: [(&str, &str, &str); 4] = [
    (
        "ServiceMonitor",
        "serviceMonitorSelector",
        "serviceMonitorNamespaceSelector",
    ),
    ("PodMonitor", "podMonitorSelector", "podMonitorNamespaceSelector"),
    ("PrometheusRule", "ruleSelector", "ruleNamespaceSelector"),
    (
        "AlertmanagerConfig",
        "alertmanagerConfigSelector",
        "alertmanagerConfigNamespaceSelector",
    ),
];

fn selector(kind: &str) -> &'static str {
    let found = SELECTORS.iter().find(|(of, ..)| *of == kind);
    found.map_or("selector", |(_, objects, _)| objects)
}

fn namespace_selector(kind: &str) -> &'static str {
    let found = SELECTORS.iter().find(|(of, ..)| *of == kind);
    found.map_or("namespaceSelector", |(.., namespaces)| namespaces)
}

/// What the spec of a Prometheus, an agent, a ThanosRuler or an Alertmanager selects, by kind. A selector that cannot be
/// read counts as absent.
pub fn selects(spec: &Value) -> BTreeMap<String, Selects> {
    let read = |field: &str| serde_json::from_value(spec.get(field)?.clone()).ok();
    SELECTORS
        .iter()
        .map(|(kind, objects, namespaces)| {
            let selects = Selects {
                objects: read(objects),
                namespaces: read(namespaces),
            };
            ((*kind).to_owned(), selects)
        })
        .collect()
}

/// Whether the labels meet every requirement.
pub fn matches(selector: &LabelSelector, labels: &BTreeMap<String, String>) -> bool {
    unmet(selector, labels).is_none()
}

/// Labels that a selector demands with one value, and that are not there so.
pub fn lacking(selector: &LabelSelector, labels: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let demanded = selector.match_labels.iter();
    demanded
        .filter(|(key, value)| labels.get(*key) != Some(value))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}

/// The first requirement that the labels do not meet, in words.
fn unmet(selector: &LabelSelector, labels: &BTreeMap<String, String>) -> Option<String> {
    for (key, value) in &selector.match_labels {
        if labels.get(key) != Some(value) {
            return Some(format!("{key}={value} is missing"));
        }
    }
    selector
        .match_expressions
        .iter()
        .find_map(|expression| unmet_expression(expression, labels))
}

fn unmet_expression(expression: &Value, labels: &BTreeMap<String, String>) -> Option<String> {
    let key = expression.get("key").and_then(Value::as_str).unwrap_or_default();
    let values: Vec<&str> = expression
        .get("values")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let list = values.join(", ");
    let label = labels.get(key).map(String::as_str);
    match expression.get("operator").and_then(Value::as_str).unwrap_or_default() {
        "In" => (!label.is_some_and(|l| values.contains(&l))).then(|| format!("{key} must be one of: {list}")),
        "NotIn" => label
            .is_some_and(|l| values.contains(&l))
            .then(|| format!("{key} must not be one of: {list}")),
        "Exists" => label.is_none().then(|| format!("{key} is missing")),
        "DoesNotExist" => label.is_some().then(|| format!("{key} must not be there")),
        other => Some(format!("{key} is asked for in a way that is not known here: {other:?}")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn prometheus(objects: Value, namespaces: Value) -> Prometheus {
        let selects = Selects {
            objects: serde_json::from_value(objects).unwrap(),
            namespaces: serde_json::from_value(namespaces).unwrap(),
        };
        Prometheus {
            retention_seconds: None,
            shards: None,
            namespace: "monitoring".into(),
            name: "main".into(),
            url: "http://p".into(),
            selects: [("ServiceMonitor".to_owned(), selects)].into(),
        }
    }

    fn missing_in(namespace: &str, objects: Value, namespaces: Value) -> Option<String> {
        let labels = BTreeMap::from([("team".to_owned(), "a".to_owned())]);
        let namespace_labels = BTreeMap::from([("env".to_owned(), "prod".to_owned())]);
        let object = Object {
            kind: "ServiceMonitor",
            labels: &labels,
            namespace,
            namespace_labels: &namespace_labels,
        };
        missing(&prometheus(objects, namespaces), &object)
    }

    #[test]
    fn what_is_selected_is_selected() {
        for (namespace, objects, namespaces) in [
            ("prod", json!({}), json!({})),
            ("monitoring", json!({}), Value::Null),
            (
                "prod",
                json!({"matchLabels": {"team": "a"}}),
                json!({"matchLabels": {"env": "prod"}}),
            ),
            (
                "prod",
                json!({"matchExpressions": [
                    {"key": "team", "operator": "In", "values": ["a", "b"]},
                    {"key": "team", "operator": "NotIn", "values": ["c"]},
                    {"key": "nope", "operator": "NotIn", "values": ["c"]},
                    {"key": "team", "operator": "Exists"},
                    {"key": "nope", "operator": "DoesNotExist"},
                ]}),
                json!({}),
            ),
        ] {
            assert_eq!(
                missing_in(namespace, objects.clone(), namespaces.clone()),
                None,
                "{objects} {namespaces}"
            );
        }
    }

    #[test]
    fn what_is_not_selected_is_told_with_what_is_missing() {
        for (namespace, objects, namespaces, words) in [
            ("prod", Value::Null, json!({}), "has no serviceMonitorSelector"),
            (
                "prod",
                json!({}),
                Value::Null,
                "only looks for ServiceMonitors in its own namespace",
            ),
            (
                "prod",
                json!({}),
                json!({"matchLabels": {"env": "test"}}),
                "namespace's label env=test is missing",
            ),
            (
                "prod",
                json!({"matchLabels": {"release": "kps"}}),
                json!({}),
                "its label release=kps is missing",
            ),
            (
                "prod",
                json!({"matchLabels": {"team": "b"}}),
                json!({}),
                "its label team=b is missing",
            ),
            (
                "prod",
                json!({"matchExpressions": [{"key": "team", "operator": "NotIn", "values": ["a"]}]}),
                json!({}),
                "team must not be one of: a",
            ),
            (
                "prod",
                json!({"matchExpressions": [{"key": "x", "operator": "In", "values": ["a", "b"]}]}),
                json!({}),
                "x must be one of: a, b",
            ),
            (
                "prod",
                json!({"matchExpressions": [{"key": "x", "operator": "Gt", "values": ["1"]}]}),
                json!({}),
                "\"Gt\"",
            ),
        ] {
            let told = missing_in(namespace, objects.clone(), namespaces.clone()).unwrap_or_default();
            assert!(told.contains(words), "{told:?} does not say {words:?}");
        }
    }
}
