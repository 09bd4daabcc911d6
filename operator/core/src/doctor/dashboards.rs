//! Dashboards in ConfigMaps, and the sidecars of Grafana that load them.

use serde_json::Value;

use super::kind::Kind;
use super::pods;
use super::snapshot::{Object, Snapshot, list};

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

/// A sidecar that loads dashboards.
pub(super) struct Sidecar<'a> {
    pub(super) workload: &'a Object,
    pub(super) label: &'a str,
    /// Value that the label must have. None: any.
    pub(super) value: Option<&'a str>,
    /// Namespaces in which it looks. None: all.
    pub(super) namespaces: Option<Vec<&'a str>>,
    /// Annotation that names the folder.
    pub(super) folder: Option<&'a str>,
    /// Files are named after the ConfigMap too.
    pub(super) unique_files: bool,
}

/// Every sidecar.
pub(super) fn sidecars(snapshot: &Snapshot) -> Vec<Sidecar<'_>> {
    let workloads = [Kind::Deployment, Kind::StatefulSet]
        .into_iter()
        .flat_map(|kind| snapshot.of(kind));
    workloads
        .flat_map(|workload| {
            let init = workload.list("/spec/template/spec/initContainers").iter();
            pods::containers(workload)
                .chain(init)
                .filter_map(move |container| sidecar(workload, container))
        })
        .collect()
}

fn sidecar<'a>(workload: &'a Object, container: &'a Value) -> Option<Sidecar<'a>> {
    let env = |name: &str| {
        let found = list(&container["env"]).iter().find(|env| env["name"] == name)?;
        found["value"].as_str().filter(|value| !value.is_empty())
    };
    let image = container["image"].as_str().unwrap_or_default();
    let label = env("LABEL").filter(|_| image.contains("k8s-sidecar"))?;
    // The same image loads data sources, alerts and plugins too.
    let name = container["name"].as_str().unwrap_or_default();
    let hints = [label, name, env("FOLDER").unwrap_or_default()];
    if !hints.iter().any(|hint| hint.contains("dashboard")) {
        return None;
    }
    let namespaces = match env("NAMESPACE") {
        Some("ALL") => None,
        Some(names) => Some(names.split(',').map(str::trim).collect()),
        None => Some(vec![workload.namespace.as_str()]),
    };
    Some(Sidecar {
        workload,
        label,
        value: env("LABEL_VALUE"),
        namespaces,
        folder: env("FOLDER_ANNOTATION"),
        unique_files: env("UNIQUE_FILENAMES").is_some_and(|value| value.eq_ignore_ascii_case("true")),
    })
}

impl Sidecar<'_> {
    /// The namespaces in which it looks, if that of the ConfigMap is none of them.
    pub(super) fn looks_elsewhere(&self, map: &Object) -> Option<&[&str]> {
        let names = self.namespaces.as_deref()?;
        (!names.contains(&map.namespace.as_str())).then_some(names)
    }

    /// Why it does not load the ConfigMap, in words.
    pub(super) fn misses(&self, map: &Object) -> Option<String> {
        let who = format!("the sidecar of {}", self.workload.reference());
        if let Some(names) = self.looks_elsewhere(map) {
            return Some(format!("{who} looks only into {}", names.join(", ")));
        }
        match (map.labels.get(self.label), self.value) {
            (None, _) => Some(format!("{who} looks for the label {}", self.label)),
            (Some(found), Some(wanted)) if found != wanted => Some(format!(
                "{who} looks for {}={wanted}, and it has {}={found}",
                self.label, self.label
            )),
            _ => None,
        }
    }
}

/// Labels by which dashboards are found.
pub(super) fn labels(snapshot: &Snapshot) -> Vec<String> {
    let mut labels: Vec<String> = sidecars(snapshot)
        .iter()
        .map(|sidecar| sidecar.label.to_owned())
        .collect();
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
