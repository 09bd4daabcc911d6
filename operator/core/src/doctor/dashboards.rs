//! Dashboards in ConfigMaps, and the sidecars of Grafana that load them.

use serde_json::Value;

use super::kind::Kind;
use super::snapshot::{Object, Snapshot};
use crate::sidecar::{self, Sidecar};

/// Label by which the charts of Grafana find dashboards unless they are told otherwise.
pub(super) const USUAL_LABEL: &str = "grafana_dashboard";

/// A dashboard.
pub(super) struct Dashboard<'a> {
    pub(super) object: &'a Object,
    /// Key in the ConfigMap, which becomes the name of a file.
    pub(super) key: &'a str,
    pub(super) text: &'a str,
    pub(super) json: Result<Value, String>,
}

/// Every sidecar.
pub(super) fn sidecars(snapshot: &Snapshot) -> Vec<Sidecar> {
    let workloads = [Kind::Deployment, Kind::StatefulSet]
        .into_iter()
        .flat_map(|kind| snapshot.of(kind));
    workloads
        .flat_map(|workload| sidecar::read(workload.kind.into(), &workload.value))
        .collect()
}

/// Labels by which dashboards are found.
pub(super) fn labels(snapshot: &Snapshot) -> Vec<String> {
    let mut labels: Vec<String> = sidecars(snapshot).iter().map(|sidecar| sidecar.label.clone()).collect();
    labels.push(USUAL_LABEL.into());
    labels.sort();
    labels.dedup();
    labels
}

/// ConfigMaps with dashboards.
pub(super) fn maps(snapshot: &Snapshot) -> Vec<&Object> {
    let labels = labels(snapshot);
    let maps = snapshot.of(Kind::ConfigMap).iter();
    maps.filter(|map| labels.iter().any(|label| map.labels.contains_key(label)))
        .collect()
}

/// Every dashboard.
pub(super) fn dashboards(snapshot: &Snapshot) -> Vec<Dashboard<'_>> {
    let entries = maps(snapshot).into_iter().flat_map(|object| {
        let data = object.at("/data").as_object().into_iter().flatten();
        data.filter_map(move |(key, text)| Some((object, key.as_str(), text.as_str()?)))
    });
    entries
        .filter(|(_, key, _)| key.ends_with(".json"))
        .map(|(object, key, text)| Dashboard {
            object,
            key,
            text,
            json: serde_json::from_str(text).map_err(|error| error.to_string()),
        })
        .collect()
}
