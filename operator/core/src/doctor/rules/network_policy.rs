use std::collections::BTreeMap;

use serde_json::Value;

use super::super::finding::shell_quoted;
use super::super::kind::{Kind, MONITORS, Need};
use super::super::scraping::{Aim, monitors, pool};
use super::super::selectors::{NAMESPACE_NAME, namespace_labels, selected_by};
use super::super::snapshot::{Object, labels, list};
use super::super::{Found, Rule, Severity, Snapshot, TargetHealth, pods};
use crate::selection;

pub(super) const RULE: Rule = Rule {
    id: "network-policy",
    title: "NetworkPolicies select the pods and none of them lets Prometheus in",
    effect: "Where the network enforces them, every scrape ends with `context deadline exceeded`",
    fix: "Add an ingress rule for the namespace of Prometheus and the port of the metrics",
    needs: &[
        Need::Any(&MONITORS),
        Need::Objects(Kind::NetworkPolicy),
        Need::Objects(Kind::Service),
    ],
    find,
};

fn find(snapshot: &Snapshot) -> Vec<Found> {
    let mut found = Vec::new();
    for monitor in monitors(snapshot) {
        let readers = selected_by(snapshot, monitor.object);
        for endpoint in &monitor.endpoints {
            for aim in monitor.aims(snapshot, endpoint) {
                let Some(reader) = readers.iter().find(|reader| !admits(snapshot, &aim, reader)) else {
                    continue;
                };
                let up = health(snapshot, monitor.object, endpoint.index);
                // It gets through: the network does not enforce policies, or others than these.
                if up == Some(TargetHealth::Up) {
                    continue;
                }
                let severity = if up == Some(TargetHealth::Down) {
                    Severity::Error
                } else {
                    Severity::Warning
                };
                let names: Vec<&str> = policies(snapshot, aim.workload)
                    .map(|policy| policy.name.as_str())
                    .collect();
                let evidence = format!(
                    "{} is selected by the NetworkPolicies {}; none admits {} to port {}",
                    aim.workload.reference(),
                    names.join(", "),
                    reader.reference(),
                    aim.port
                );
                let fix = format!("Admit namespace {} to port {}", reader.namespace, aim.port);
                let policy = shell_quoted(&allowing(&aim, reader).to_string());
                found.push(
                    Found::new(severity, monitor.object, evidence, fix)
                        .command(format!("printf %s {policy} | kubectl apply -f -")),
                );
            }
        }
    }
    found
}

fn health(snapshot: &Snapshot, monitor: &Object, index: usize) -> Option<TargetHealth> {
    let pool = pool(monitor, index)?;
    let targets = snapshot
        .prometheuses
        .iter()
        .filter_map(|answers| answers.targets.as_ref().ok());
    let healths: Vec<TargetHealth> = targets
        .flatten()
        .filter(|target| target.scrape_pool == pool)
        .map(|target| target.health)
        .collect();
    healths
        .iter()
        .find(|health| **health == TargetHealth::Up)
        .or(healths.first())
        .copied()
}

fn policies<'a>(snapshot: &'a Snapshot, workload: &'a Object) -> impl Iterator<Item = &'a Object> {
    let pod = pods::template_labels(workload);
    snapshot.of(Kind::NetworkPolicy).iter().filter(move |policy| {
        let types = policy.list("/spec/policyTypes");
        let ingress = types.is_empty() || types.iter().any(|kind| kind == "Ingress");
        let selector = pods::selector(policy.at("/spec/podSelector"));
        policy.namespace == workload.namespace && ingress && selection::matches(&selector, &pod)
    })
}

fn admits(snapshot: &Snapshot, aim: &Aim<'_>, reader: &Object) -> bool {
    let mut policies = policies(snapshot, aim.workload).peekable();
    policies.peek().is_none()
        || policies.any(|policy| {
            let mut rules = policy.list("/spec/ingress").iter();
            rules.any(|rule| from(snapshot, policy, rule, reader) && to(rule, aim))
        })
}

fn from(snapshot: &Snapshot, policy: &Object, rule: &Value, reader: &Object) -> bool {
    let peers = list(&rule["from"]);
    peers.is_empty()
        || peers.iter().any(|peer| {
            // Whether an address is in a block cannot be told from here.
            if peer["ipBlock"].is_object() {
                return true;
            }
            let namespace = match &peer["namespaceSelector"] {
                Value::Null => reader.namespace == policy.namespace,
                // Where its labels are not seen it may be admitted.
                selector => namespace_labels(snapshot, &reader.namespace)
                    .is_none_or(|labels| selection::matches(&pods::selector(selector), &labels)),
            };
            let pod = &peer["podSelector"];
            namespace && (pod.is_null() || selection::matches(&pods::selector(pod), &prometheus_labels(reader)))
        })
}

/// Labels that prometheus-operator gives the pods of a Prometheus.
fn prometheus_labels(reader: &Object) -> BTreeMap<String, String> {
    let mut all = labels(reader.value.pointer("/spec/podMetadata/labels"));
    for (key, value) in [
        ("app.kubernetes.io/name", "prometheus"),
        ("app.kubernetes.io/managed-by", "prometheus-operator"),
        ("app.kubernetes.io/instance", &reader.name),
        ("operator.prometheus.io/name", &reader.name),
        ("operator.prometheus.io/shard", "0"),
        ("prometheus", &reader.name),
    ] {
        all.insert(key.into(), value.into());
    }
    all
}

fn to(rule: &Value, aim: &Aim<'_>) -> bool {
    let ports = list(&rule["ports"]);
    ports.is_empty()
        || ports.iter().any(|port| {
            let tcp = matches!(port["protocol"].as_str(), None | Some("TCP"));
            let end = port["endPort"].as_i64();
            tcp && match &port["port"] {
                Value::Null => true,
                Value::String(name) => pods::ports(aim.workload).contains(&(Some(name.as_str()), aim.port)),
                number => number
                    .as_i64()
                    .is_some_and(|first| (first..=end.unwrap_or(first)).contains(&aim.port)),
            }
        })
}

/// A NetworkPolicy that admits the Prometheus and nobody else.
fn allowing(aim: &Aim<'_>, reader: &Object) -> Value {
    serde_json::json!({
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": format!("{}-prometheus", aim.workload.name), "namespace": aim.workload.namespace},
        "spec": {
            "podSelector": {"matchLabels": aim.workload.at("/spec/selector/matchLabels")},
            "policyTypes": ["Ingress"],
            "ingress": [{
                "from": [{
                    "namespaceSelector": {"matchLabels": {NAMESPACE_NAME: reader.namespace}},
                    "podSelector": {"matchLabels": {"app.kubernetes.io/name": "prometheus"}},
                }],
                "ports": [{"protocol": "TCP", "port": aim.port}],
            }],
        },
    })
}
