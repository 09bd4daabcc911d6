use std::collections::BTreeMap;

use super::super::kind::{Kind, Need};
use super::super::snapshot::Snapshot;
use super::super::{Found, Rule, Severity, alerts};
use super::alert_without_namespace::namespaced_route;
use crate::routing::{Alert, Routing};

pub(super) const RULE: Rule = Rule {
    id: "alert-not-delivered",
    title: "By Alertmanager's routes, alerts end at a receiver that sends nothing anywhere",
    effect: "They fire, and nobody is told",
    fix: "Add a route with a matcher that fits, or give the receiver an integration",
    needs: &[Need::Any(&[Kind::PrometheusRule]), Need::Alertmanager],
    find,
};

/// Alerts that are meant to reach nobody by themselves.
const INTERNAL: [&str; 2] = ["Watchdog", "InfoInhibitor"];

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
            let labels = rule.labels();
            // That it has none is a finding of its own, which names the cause.
            let lost_namespace = namespaced
                && !labels.contains_key("namespace")
                && !expr.keeps("namespace", &|metric| recorded.get(metric).copied());
            let labelled = Alert::of(alert, &labels, expr);
            if INTERNAL.contains(&alert) || !labelled.is_for_somebody() || lost_namespace {
                continue;
            }
            for (answers, routing) in &routings {
                let receivers = routing.receivers(&labelled);
                if !receivers.is_empty() && receivers.values().all(|delivery| !delivery.sends) {
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
