//! Sidecars of Grafana: which dashboards they load, by the environment that they run with.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::check::{DashboardFile, Truth};
use crate::yaml::list;
use observed_crds::v1alpha1::conditions::Reason;

/// Annotation that names the folder, unless the sidecar is told otherwise.
pub const FOLDER: &str = "grafana_folder";

/// A sidecar that loads dashboards from ConfigMaps.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Sidecar {
    /// The workload that it runs in: `Deployment monitoring/grafana`.
    pub of: String,
    /// Label that it looks for.
    pub label: String,
    /// Value that the label must have. None: any.
    pub value: Option<String>,
    /// Namespaces in which it looks. None: all.
    pub namespaces: Option<Vec<String>>,
    /// Annotation that names the folder.
    pub folder: Option<String>,
    /// Files are named after the ConfigMap too.
    pub unique_files: bool,
    /// What it loads that is not Observed's.
    pub loads: Vec<Shown>,
}

/// A dashboard in a ConfigMap, as a sidecar loads it.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Shown {
    /// Namespace of the ConfigMap.
    pub namespace: String,
    /// Name of the ConfigMap.
    pub name: String,
    /// Key in it, which becomes the name of a file.
    pub key: String,
    /// Folder; empty: that of the provider.
    pub folder: String,
    /// uid of the dashboard.
    pub uid: Option<String>,
    /// Title of the dashboard.
    pub title: Option<String>,
}

/// What is known of the Grafanas of a cluster.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Sidecars {
    /// Those that were found.
    pub found: Vec<Sidecar>,
    /// Why there may be others, in words.
    pub unseen: Option<String>,
}

/// The sidecars in a workload, by its kind and the object as the API server has it.
pub fn read(kind: &str, workload: &Value) -> Vec<Sidecar> {
    let text = |pointer: &str| workload.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let namespace = text("/metadata/namespace");
    let of = format!("{kind} {namespace}/{}", text("/metadata/name"));
    let containers = ["/spec/template/spec/containers", "/spec/template/spec/initContainers"];
    let containers = containers
        .into_iter()
        .flat_map(|at| workload.pointer(at))
        .flat_map(list);
    containers
        .filter_map(|container| sidecar(&of, namespace, container))
        .collect()
}

fn sidecar(of: &str, namespace: &str, container: &Value) -> Option<Sidecar> {
    let env = |name: &str| {
        let found = list(&container["env"]).iter().find(|env| env["name"] == name)?;
        found["value"].as_str().filter(|value| !value.is_empty())
    };
    let image = container["image"].as_str().unwrap_or_default();
    let label = env("LABEL").filter(|_| image.contains("k8s-sidecar"))?;
    // The same image loads data sources, alerts and plugins too.
    let name = container["name"].as_str().unwrap_or_default();
    let hints = [label, name, env("FOLDER").unwrap_or_default()];
    if !hints.iter().any(|hint| hint.contains("dashboard")) || env("RESOURCE") == Some("secret") {
        return None;
    }
    let namespaces = match env("NAMESPACE") {
        Some("ALL") => None,
        Some(names) => Some(names.split(',').map(|name| name.trim().to_owned()).collect()),
        None => Some(vec![namespace.to_owned()]),
    };
    Some(Sidecar {
        of: of.to_owned(),
        label: label.to_owned(),
        value: env("LABEL_VALUE").map(str::to_owned),
        namespaces,
        folder: env("FOLDER_ANNOTATION").map(str::to_owned),
        unique_files: env("UNIQUE_FILENAMES").is_some_and(|value| value.eq_ignore_ascii_case("true")),
        loads: Vec::new(),
    })
}

impl Sidecar {
    /// The namespaces in which it looks, if that of the ConfigMap is none of them.
    pub fn looks_elsewhere(&self, namespace: &str) -> Option<&[String]> {
        let names = self.namespaces.as_deref()?;
        (!names.iter().any(|name| name == namespace)).then_some(names)
    }

    /// Why it does not load a ConfigMap, in words.
    pub fn misses(&self, namespace: &str, labels: &BTreeMap<String, String>) -> Option<String> {
        let (who, label) = (format!("the sidecar of {}", self.of), &self.label);
        if let Some(names) = self.looks_elsewhere(namespace) {
            return Some(format!("{who} looks only into {}", names.join(", ")));
        }
        match (labels.get(label), &self.value) {
            (None, Some(wanted)) => Some(format!("{who} looks for the label {label}={wanted}")),
            (None, None) => Some(format!("{who} looks for the label {label}")),
            (Some(found), Some(wanted)) if found != wanted => {
                Some(format!("{who} looks for {label}={wanted}, and it has {label}={found}"))
            }
            _ => None,
        }
    }

    /// A label and value with which it would load a ConfigMap of the namespaces in which it looks.
    pub fn wanted(&self) -> (&str, &str) {
        (&self.label, self.value.as_deref().unwrap_or("1"))
    }

    /// The dashboard in a ConfigMap with these annotations, as it loads it.
    pub fn shown(
        &self,
        (namespace, name): (&str, &str),
        annotations: &BTreeMap<String, String>,
        key: &str,
        json: &Value,
    ) -> Shown {
        let text = |field: &str| json[field].as_str().filter(|text| !text.is_empty()).map(str::to_owned);
        let folder = annotations.get(self.folder.as_deref().unwrap_or(FOLDER));
        Shown {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            key: key.to_owned(),
            folder: folder.cloned().unwrap_or_default(),
            uid: text("uid"),
            title: text("title"),
        }
    }

    /// What no other dashboard may have: `uid`, `title` and `key` with their values.
    pub fn marks(&self, shown: &Shown) -> Vec<(&'static str, String)> {
        let folder = &shown.folder;
        let title = shown.title.as_ref().map(|title| format!("{folder}/{title}"));
        let key = (!self.unique_files).then(|| format!("{folder}/{}", shown.key));
        let marks = [("uid", shown.uid.clone()), ("title", title), ("key", key)];
        marks
            .into_iter()
            .filter_map(|(mark, value)| Some((mark, value?)))
            .collect()
    }
}

/// Whether a sidecar loads a dashboard of Observed's, and no other one in its place.
pub fn judge(sidecars: &Sidecars, namespace: &str, file: &DashboardFile) -> (Truth, Reason, String) {
    if sidecars.found.is_empty() {
        let message = match &sidecars.unseen {
            None => "No Deployment or StatefulSet in the cluster has a sidecar that loads dashboards into a Grafana, so that nobody \
                     could be asked. If Grafana runs elsewhere, give its address to the operator: --grafana-url"
                .to_owned(),
            Some(words) => format!("No Grafana with a sidecar was found: {words}. Give its address to the operator: --grafana-url"),
        };
        return (Truth::Unknown, Reason::NoGrafana, message);
    }
    let mut missed = Vec::new();
    let mut loading = Vec::new();
    for sidecar in &sidecars.found {
        match sidecar.misses(namespace, &file.labels) {
            Some(words) => missed.push(words),
            None => loading.push(sidecar),
        }
    }
    let name = &file.name;
    let Some(first) = loading.first() else {
        let missed = format!("No Grafana loads the ConfigMap {name:?}: {}", missed.join("; "));
        let near = sidecars
            .found
            .iter()
            .find(|sidecar| sidecar.looks_elsewhere(namespace).is_none());
        let fix = match near.map(Sidecar::wanted) {
            Some((label, value)) => format!("set spec.dashboards.labels to {{{label}: {value:?}}}"),
            None => "let the sidecar look into all namespaces (NAMESPACE=ALL; in the chart of Grafana: \
                     sidecar.dashboards.searchNamespace)"
                .to_owned(),
        };
        return match &sidecars.unseen {
            None => (
                Truth::False,
                Reason::NotSelected,
                format!("{missed}. To mend it, {fix}"),
            ),
            Some(words) => (
                Truth::Unknown,
                Reason::NotSelected,
                format!("{missed}. There may be other ones: {words}"),
            ),
        };
    };
    if let Some(words) = loading.iter().find_map(|sidecar| taken(sidecar, namespace, file)) {
        return (Truth::False, Reason::DashboardTaken, words);
    }
    let where_ = match &first.namespaces {
        None => "all namespaces".to_owned(),
        Some(names) => names.join(", "),
    };
    let label = match &first.value {
        Some(value) => format!("{}={value}", first.label),
        None => first.label.clone(),
    };
    let message = format!(
        "The sidecar of {} loads the ConfigMap {name:?}: it looks for {label} in {where_}",
        first.of
    );
    (Truth::True, Reason::Loaded, message)
}

/// The dashboard that a sidecar loads beside ours and that has a mark of it, in words.
fn taken(sidecar: &Sidecar, namespace: &str, file: &DashboardFile) -> Option<String> {
    let json = serde_json::json!({"uid": file.uid, "title": file.title});
    let ours = sidecar.shown((namespace, &file.name), &file.annotations, &file.key, &json);
    let marks: BTreeSet<_> = sidecar.marks(&ours).into_iter().collect();
    let others = sidecar.loads.iter();
    let mut others = others.filter(|other| (&other.namespace, &other.name) != (&ours.namespace, &ours.name));
    others.find_map(|other| {
        let same: Vec<&str> = sidecar
            .marks(other)
            .into_iter()
            .filter(|mark| marks.contains(mark))
            .map(|(mark, _)| mark)
            .collect();
        (!same.is_empty()).then(|| {
            let (who, what) = (&sidecar.of, same.join(" and "));
            format!(
                "Two dashboards that the sidecar of {who} loads have the same {what}: this one, and {} in the ConfigMap {}/{}. One \
                 replaces the other, or Grafana writes neither. Delete that one, or give it another {what}",
                other.key, other.namespace, other.name
            )
        })
    })
}

#[cfg(test)]
mod tests;
