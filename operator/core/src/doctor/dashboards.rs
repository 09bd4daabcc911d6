//! Dashboards in ConfigMaps, and the sidecars of Grafana that load them.

use std::collections::BTreeSet;

use serde_json::Value;

use super::kind::Kind;
use super::related;
use super::snapshot::{Object, Snapshot};
use crate::grafana_api::{self, Judged};
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

/// Longest uid that Grafana takes.
const LONGEST_UID: usize = 40;

impl Dashboard<'_> {
    /// Its uid, if it has one that Grafana takes: whoever wrote it decides on a part of an address.
    pub(super) fn uid(&self) -> Option<&str> {
        let uid = self.json.as_ref().ok()?["uid"].as_str()?;
        let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        (!uid.is_empty() && uid.len() <= LONGEST_UID && uid.chars().all(is_plain)).then_some(uid)
    }

    /// What Grafana itself says of it, if it was asked and answered.
    pub(super) fn in_grafana(&self, snapshot: &Snapshot) -> Option<Judged> {
        let grafana = snapshot.grafana.as_ref()?;
        let (uid, title) = (self.uid()?, self.json.as_ref().ok()?["title"].as_str()?);
        let known = grafana.dashboards.get(uid)?.as_ref().ok()?;
        Some(grafana_api::judge(&grafana.url, uid, title, known.as_ref()))
    }
}

/// The uids of the dashboards that are asked about.
pub(super) fn uids(snapshot: &Snapshot) -> BTreeSet<String> {
    let in_scope = related::in_scope(snapshot);
    let all = dashboards(snapshot).into_iter();
    let all = all.filter(|dashboard| in_scope(&dashboard.object.reference()));
    all.filter_map(|dashboard| dashboard.uid().map(str::to_owned)).collect()
}

/// Why each sidecar does not load a ConfigMap. None: one does, or none is seen, and then Grafana may load it in another way.
pub(super) fn missed(sidecars: &[Sidecar], map: &Object) -> Option<Vec<String>> {
    let missed: Option<Vec<String>> = sidecars
        .iter()
        .map(|sidecar| sidecar.misses(&map.namespace, &map.labels))
        .collect();
    missed.filter(|missed| !missed.is_empty())
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
