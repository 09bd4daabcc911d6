//! Which workloads and pods stand behind labels, and which ports they have.

use std::collections::BTreeMap;

use observed_crds::foreign::LabelSelector;
use serde_json::Value;

use super::kind::{Kind, WORKLOADS};
use super::snapshot::{Object, Snapshot, Unseen, labels, list};
use crate::selection;

/// Every workload.
pub(super) fn workloads(snapshot: &Snapshot) -> impl Iterator<Item = &Object> {
    WORKLOADS.into_iter().flat_map(|kind| snapshot.of(kind))
}

/// Labels of the pods that a workload makes.
pub(super) fn template_labels(workload: &Object) -> BTreeMap<String, String> {
    labels(workload.value.pointer("/spec/template/metadata/labels"))
}

/// Containers of a workload's template, native sidecars too.
pub(super) fn containers(workload: &Object) -> impl Iterator<Item = &Value> {
    containers_of(workload.at("/spec/template/spec"))
}

/// The same of the spec of a pod.
pub(super) fn containers_of(spec: &Value) -> impl Iterator<Item = &Value> {
    let sidecars = list(&spec["initContainers"]).iter();
    let sidecars = sidecars.filter(|container| container["restartPolicy"] == "Always");
    list(&spec["containers"]).iter().chain(sidecars)
}

/// Name and number of each port that a workload's containers declare.
pub(super) fn ports(workload: &Object) -> Vec<(Option<&str>, i64)> {
    let ports = containers(workload).flat_map(|container| list(&container["ports"]));
    ports
        .filter_map(|port| Some((port["name"].as_str(), port["containerPort"].as_i64()?)))
        .collect()
}

/// The workloads of a namespace whose pods have the labels.
pub(super) fn selected<'a>(snapshot: &'a Snapshot, namespace: &str, selector: &LabelSelector) -> Vec<&'a Object> {
    let selected = workloads(snapshot).filter(|workload| workload.namespace == namespace);
    selected
        .filter(|workload| selection::matches(selector, &template_labels(workload)))
        .collect()
}

/// The pods of a namespace that have the labels, made by a workload that is seen or not.
pub(super) fn labelled<'a>(
    snapshot: &'a Snapshot,
    namespace: &str,
    selector: &LabelSelector,
) -> impl Iterator<Item = &'a Object> {
    let pods = snapshot.of(Kind::Pod).iter();
    pods.filter(move |pod| pod.namespace == namespace && selection::matches(selector, &pod.labels))
}

/// Whether there is one.
pub(super) fn any(snapshot: &Snapshot, namespace: &str, selector: &LabelSelector) -> bool {
    labelled(snapshot, namespace, selector).next().is_some()
}

/// Whether it would be seen if the namespace had a pod with some labels.
pub(super) fn are_seen(snapshot: &Snapshot, namespace: &str) -> bool {
    // Files hold no pods; a workload there stands for them. In a cluster a pod may be made by a kind that is not looked at.
    match snapshot.unseen.get(&Kind::Pod) {
        Some(Unseen::NotGiven) => WORKLOADS.iter().any(|kind| snapshot.sees(*kind, namespace)),
        _ => snapshot.sees(Kind::Pod, namespace) && WORKLOADS.iter().all(|kind| snapshot.sees(*kind, namespace)),
    }
}

/// The endpoints in the EndpointSlices of a Service.
pub(super) fn endpoints<'a>(snapshot: &'a Snapshot, service: &Object) -> impl Iterator<Item = &'a Value> {
    let slices = snapshot.of(Kind::EndpointSlice).iter();
    let own = slices.filter(|slice| {
        slice.namespace == service.namespace && slice.labels.get("kubernetes.io/service-name") == Some(&service.name)
    });
    own.flat_map(|slice| slice.list("/endpoints"))
}

/// The selector of a Service. None if it has none, so that somebody else fills its endpoints.
pub(super) fn of_service(service: &Object) -> Option<LabelSelector> {
    let match_labels = labels(service.value.pointer("/spec/selector"));
    let external = service.text("/spec/type") == Some("ExternalName");
    (!match_labels.is_empty() && !external).then(|| LabelSelector {
        match_labels,
        match_expressions: Vec::new(),
    })
}

/// A label selector as JSON holds it.
pub(super) fn selector(value: &Value) -> LabelSelector {
    serde_json::from_value(value.clone()).unwrap_or_default()
}
