use observed_crds::foreign::LabelSelector;

use super::super::kind::{Kind, MONITORS, Need};
use super::super::scraping::{Monitor, monitors};
use super::super::snapshot::pairs;
use super::super::{Found, Rule, Severity, Snapshot, pods};
use crate::selection;

pub(super) const RULE: Rule = Rule {
    id: "monitor-without-service",
    title: "The ServiceMonitor selects no Service, or the PodMonitor no pod",
    effect: "It has no target: the service is not scraped",
    fix: "A ServiceMonitor selects by the labels of the Service, not of the pods, and only in its own namespace unless \
          `namespaceSelector` says otherwise",
    needs: &[Need::Any(&MONITORS), Need::Objects(Kind::Service)],
    find,
};

fn find(snapshot: &Snapshot) -> Vec<Found> {
    monitors(snapshot)
        .filter_map(|monitor| match monitor.is_of_services() {
            true => of_services(snapshot, &monitor),
            false => of_pods(snapshot, &monitor),
        })
        .collect()
}

fn of_services(snapshot: &Snapshot, monitor: &Monitor<'_>) -> Option<Found> {
    if !monitor.sees(snapshot, Kind::Service) || !monitor.services(snapshot).is_empty() {
        return None;
    }
    let wanted = words(&monitor.selector);
    let evidence = format!("no Service {} has {wanted}", place(monitor));
    let elsewhere = snapshot
        .of(Kind::Service)
        .iter()
        .find(|service| selection::matches(&monitor.selector, &service.labels));
    if let Some(service) = elsewhere {
        let fix = format!(
            "{} has these labels: let spec.namespaceSelector.matchNames hold {:?}",
            service.reference(),
            service.namespace
        );
        let names = serde_json::json!({"spec": {"namespaceSelector": {"matchNames": [service.namespace]}}});
        return Some(
            Found::new(Severity::Error, monitor.object, evidence, fix).patch(&monitor.object.reference(), &names),
        );
    }
    // The labels of the pods, written where those of the Service belong.
    let by_pods = snapshot.of(Kind::Service).iter().find(|service| {
        let same = monitor
            .namespaces()
            .is_none_or(|names| names.contains(&service.namespace.as_str()));
        same && pods::of_service(service)
            .is_some_and(|selector| selection::matches(&monitor.selector, &selector.match_labels))
    });
    if let Some(service) = by_pods {
        let evidence = format!(
            "{evidence}: these are the labels of the pods that {} selects",
            service.reference()
        );
        let fix = format!("Give the {} these labels too", service.reference());
        let lacking = selection::lacking(&monitor.selector, &service.labels);
        let found = Found::new(Severity::Error, monitor.object, evidence, fix);
        return Some(found.label(&service.reference(), &lacking));
    }
    let fix = "Select by labels that the Service has: kubectl get services --show-labels. Without a Service, use a PodMonitor";
    Some(Found::new(Severity::Error, monitor.object, evidence, fix))
}

fn of_pods(snapshot: &Snapshot, monitor: &Monitor<'_>) -> Option<Found> {
    let namespaces = monitor.namespaces()?;
    let seen = namespaces.iter().all(|namespace| pods::are_seen(snapshot, namespace));
    let exists = !monitor.workloads(snapshot).is_empty()
        || namespaces
            .iter()
            .any(|namespace| pods::any(snapshot, namespace, &monitor.selector));
    if !seen || exists {
        return None;
    }
    let evidence = format!("no pod {} has {}", place(monitor), words(&monitor.selector));
    let fix = "Select by labels that the pods have: kubectl get pods --show-labels";
    Some(Found::new(Severity::Error, monitor.object, evidence, fix))
}

fn place(monitor: &Monitor<'_>) -> String {
    match monitor.namespaces() {
        None => "in any namespace".into(),
        Some(names) => format!("in namespace {}", names.join(", ")),
    }
}

fn words(selector: &LabelSelector) -> String {
    let mut words = pairs(&selector.match_labels);
    words.extend(selector.match_expressions.iter().map(ToString::to_string));
    match words.as_slice() {
        [] => "anything".into(),
        [one] => format!("the label {one}"),
        all => format!("the labels {}", all.join(" and ")),
    }
}
