//! What belongs to one name: the workload, what selects its pods, and the rules and dashboards that speak of it.

use std::collections::BTreeSet;

use super::finding::Reference;
use super::kind::Kind;
use super::snapshot::{Object, Scope, Snapshot};
use super::{alerts, pods, scraping};
use crate::selection;

/// Labels that name the service that an object belongs to.
const NAMING: [&str; 3] = ["app", "app.kubernetes.io/name", "app.kubernetes.io/instance"];

/// Tells what is asked about: what is in the namespace of the scope and belongs to its name, as far as it has them.
pub(super) fn in_scope(snapshot: &Snapshot) -> impl Fn(&Reference) -> bool {
    let Scope { namespace, name } = &snapshot.scope;
    let related = name.as_ref().map(|_| related(snapshot));
    move |object| {
        namespace
            .as_ref()
            .is_none_or(|namespace| *namespace == object.namespace)
            && related.as_ref().is_none_or(|related| related.contains(object))
    }
}

/// The objects that belong to the name of the scope.
pub(super) fn related(snapshot: &Snapshot) -> BTreeSet<Reference> {
    let (Some(name), Some(namespace)) = (&snapshot.scope.name, &snapshot.scope.namespace) else {
        return BTreeSet::new();
    };
    let here = |object: &Object| object.namespace == *namespace;
    let is_named =
        |object: &Object| object.name == *name || NAMING.iter().any(|label| object.labels.get(*label) == Some(name));
    let all = snapshot.objects.values().flatten().filter(|object| here(object));
    let mut related: BTreeSet<Reference> = all.filter(|object| is_named(object)).map(Object::reference).collect();
    if related.is_empty() {
        return related;
    }
    let is_related = |related: &BTreeSet<Reference>, object: &Object| related.contains(&object.reference());
    // From a Service or a monitor of that name to its workloads, and from those back to all that leads to them.
    let mut reached: Vec<Reference> = Vec::new();
    for service in snapshot
        .of(Kind::Service)
        .iter()
        .filter(|service| is_related(&related, service))
    {
        let selector = pods::of_service(service);
        let behind = selector.map(|selector| pods::selected(snapshot, namespace, &selector));
        reached.extend(behind.into_iter().flatten().map(Object::reference));
    }
    for monitor in scraping::monitors(snapshot).filter(|monitor| is_related(&related, monitor.object)) {
        reached.extend(
            monitor
                .workloads(snapshot)
                .into_iter()
                .map(|(_, workload)| workload.reference()),
        );
    }
    related.extend(reached);
    let workloads: Vec<&Object> = pods::workloads(snapshot)
        .filter(|workload| is_related(&related, workload))
        .collect();
    let leads_here = |service: &&Object| {
        let selector = pods::of_service(service).filter(|_| here(service));
        selector.is_some_and(|selector| {
            let mut labels = workloads.iter().map(|workload| pods::template_labels(workload));
            labels.any(|labels| selection::matches(&selector, &labels))
        })
    };
    let services: Vec<&Object> = snapshot.of(Kind::Service).iter().filter(leads_here).collect();
    related.extend(services.iter().map(|service| service.reference()));
    for monitor in scraping::monitors(snapshot) {
        let mut found = monitor.workloads(snapshot).into_iter();
        if found.any(|(_, workload)| is_related(&related, workload)) {
            related.insert(monitor.object.reference());
        }
    }
    for pod in snapshot.of(Kind::Pod).iter().filter(|pod| here(pod)) {
        let selected = workloads
            .iter()
            .any(|workload| selection::matches(&pods::selector(workload.at("/spec/selector")), &pod.labels));
        if selected {
            related.insert(pod.reference());
        }
    }
    let mut words = vec![format!("\"{name}\"")];
    words.extend(services.iter().map(|service| format!("\"{}\"", service.name)));
    for rule in alerts::written(snapshot).filter(|rule| here(rule.object)) {
        if words.iter().any(|word| rule.expr.contains(word)) {
            related.insert(rule.object.reference());
        }
    }
    related
}
