use std::collections::BTreeMap;

use super::super::kind::{Kind, Need};
use super::super::routing::{Alert, Routing};
use super::super::snapshot::Snapshot;
use super::super::{Found, Rule, Severity, alerts};
use super::alert_without_namespace::namespaced_route;

pub(super) const RULE: Rule = Rule {
    id: "alert-not-delivered",
    title: "By Alertmanager's routes, alerts end at a receiver that sends nothing anywhere",
    effect: "They fire, and nobody is told",
    fix: "Add a route with a matcher that fits, or give the receiver an integration",
    needs: &[Need::Any(&[Kind::PrometheusRule]), Need::Alertmanager],
    find,
};

/// Severities and alerts that are meant to reach nobody by themselves.
const SILENT: [&str; 2] = ["none", "info"];
const INTERNAL: [&str; 2] = ["Watchdog", "InfoInhibitor"];
/// Labels that come from outside of the rule: a route may ask for them.
const EXTERNAL: [&str; 4] = ["prometheus", "prometheus_replica", "cluster", "replica"];

fn find(snapshot: &Snapshot) -> Vec<Found> {
    let routings: Vec<_> = snapshot
        .alertmanagers
        .iter()
        .filter_map(|answers| Some((answers, Routing::read(answers.config.as_ref().ok()?)?)))
        .collect();
    let recorded = alerts::recorded(snapshot, "namespace");
    let mut found = Vec::new();
    let mut silent = Vec::new();
    for (answers, _) in routings.iter().filter(|(_, routing)| !routing.sends()) {
        // Where all of it can be told at its root, it is told once.
        let (namespace, name) = &answers.resource;
        let object = snapshot.find(Kind::Alertmanager, namespace, name);
        if let Some(object) =
            object.filter(|_| snapshot.scope.namespace.as_ref().is_none_or(|asked| asked == namespace))
        {
            let evidence = format!("{}: no receiver of it has an integration", answers.who);
            let fix = "Add an AlertmanagerConfig, or a receiver with an integration to its configuration";
            found.push(Found::new(Severity::Error, object, evidence, fix));
            silent.push(answers.who.clone());
        }
    }
    for object in snapshot.of(Kind::PrometheusRule) {
        let mut lost: BTreeMap<(String, String), Vec<String>> = BTreeMap::new();
        let namespaced = namespaced_route(snapshot, object).is_some();
        for rule in alerts::of(object) {
            let (Some(alert), Some(expr)) = (rule.alert(), rule.parsed()) else {
                continue;
            };
            let mut known = rule.labels();
            let severity = known.get("severity").cloned().unwrap_or_default();
            if INTERNAL.contains(&alert) || SILENT.contains(&severity.as_str()) {
                continue;
            }
            // That it has none is a finding of its own, which names the cause.
            if namespaced
                && !known.contains_key("namespace")
                && !expr.keeps("namespace", &|metric| recorded.get(metric).copied())
            {
                continue;
            }
            known.insert("alertname".into(), alert.to_owned());
            // A template can become anything.
            let open: Vec<String> = known
                .iter()
                .filter(|(_, value)| value.contains("{{"))
                .map(|(key, _)| key.clone())
                .collect();
            known.retain(|_, value| !value.contains("{{"));
            let pinned = expr.pinned("namespace").filter(|_| expr.keeps("namespace", &|_| None));
            known.extend(
                pinned
                    .filter(|_| !open.iter().any(|label| label == "namespace"))
                    .map(|value| ("namespace".to_owned(), value)),
            );
            let may_have = |label: &str| {
                open.iter().any(|open| open == label) || EXTERNAL.contains(&label) || expr.keeps(label, &|_| None)
            };
            for (answers, routing) in &routings {
                let alert_labels = Alert {
                    known: known.clone(),
                    may_have: &may_have,
                };
                let receivers = routing.receivers(&alert_labels);
                if !receivers.is_empty() && receivers.values().all(|sends| !sends) {
                    let names: Vec<&str> = receivers.keys().map(String::as_str).collect();
                    lost.entry((answers.who.clone(), names.join(", ")))
                        .or_default()
                        .push(alert.to_owned());
                }
            }
        }
        for ((who, receivers), mut names) in lost {
            if silent.contains(&who) {
                continue;
            }
            names.dedup();
            let evidence = format!(
                "{who}: {} can only come to {receivers:?}, which sends nothing anywhere",
                names.join(", ")
            );
            let fix = "Add a route for them (an AlertmanagerConfig in this namespace, or the Alertmanager's own configuration), or give \
                       that receiver an integration";
            found.push(Found::new(Severity::Error, object, evidence, fix));
        }
    }
    found
}
