//! The objects of a cluster, or of some files, at one moment.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

use serde_json::Value;
use strum::IntoEnumIterator;

use super::answers::{AlertmanagerAnswers, GrafanaAnswers, PrometheusAnswers};
use super::finding::Reference;
use super::kind::Kind;
use super::probes::ProbeAnswer;
use crate::lint::Source;
pub(super) use crate::yaml::list;
use crate::yaml::{self, Place};

/// What is asked about.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scope {
    /// Namespace. None: all.
    pub namespace: Option<String>,
    /// Name of a workload, Service or monitor in it. None: everything.
    pub name: Option<String>,
}

/// Why objects of a kind are not in the snapshot.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Unseen {
    /// The user may not list them.
    Forbidden,
    /// The API server does not serve the kind.
    NotServed,
    /// The files hold none, which says nothing about the cluster.
    NotGiven,
    /// The API server answered with an error, in its words.
    Failed(String),
}

impl Unseen {
    /// The same in words.
    pub fn words(&self, kind: Kind) -> String {
        let plural = kind.plural();
        match self {
            Self::Forbidden => format!("you may not list {plural}"),
            Self::NotServed => format!("the cluster does not serve {plural} ({})", kind.api_version()),
            Self::NotGiven => format!("the files hold no {plural}"),
            Self::Failed(words) => format!("{plural} could not be listed: {words}"),
        }
    }
}

/// The objects, and what Prometheus, Alertmanager, Grafana and pods answered.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// What is asked about.
    pub scope: Scope,
    /// The objects.
    pub objects: BTreeMap<Kind, Vec<Object>>,
    /// Kinds that were not seen at all.
    pub unseen: BTreeMap<Kind, Unseen>,
    /// Kinds that were seen in the namespace of the scope only.
    pub narrow: BTreeSet<Kind>,
    /// What each Prometheus answered.
    pub prometheuses: Vec<PrometheusAnswers>,
    /// What each Alertmanager answered.
    pub alertmanagers: Vec<AlertmanagerAnswers>,
    /// What Grafana answered. None: none was asked.
    pub grafana: Option<GrafanaAnswers>,
    /// What pods answered to what their probes ask. None: nobody was asked.
    pub probes: Option<Vec<ProbeAnswer>>,
}

/// An object as it was read.
#[derive(Clone, Debug, PartialEq)]
pub struct Object {
    /// Its kind.
    pub kind: Kind,
    /// Its namespace. Empty: it has none.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// All of it.
    pub value: Value,
    /// File and place, if it was read from one.
    pub place: Option<(String, Place)>,
}

impl Object {
    /// An object of the kind, with the namespace that it has or this one.
    pub fn new(kind: Kind, mut value: Value, namespace: &str) -> Self {
        // The largest part of most objects, and nothing looks at it.
        if let Some(metadata) = value.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.remove("managedFields");
        }
        let text = |pointer: &str| value.pointer(pointer).and_then(Value::as_str);
        Self {
            kind,
            namespace: match kind.is_namespaced() {
                true => text("/metadata/namespace").unwrap_or(namespace).to_owned(),
                false => String::new(),
            },
            name: text("/metadata/name").unwrap_or_default().to_owned(),
            labels: labels(value.pointer("/metadata/labels")),
            place: None,
            value,
        }
    }

    /// What stands at a JSON pointer; null if nothing does.
    pub fn at(&self, pointer: &str) -> &Value {
        self.value.pointer(pointer).unwrap_or(&Value::Null)
    }

    /// The text at a JSON pointer.
    pub fn text(&self, pointer: &str) -> Option<&str> {
        self.at(pointer).as_str()
    }

    /// The list at a JSON pointer; empty if there is none.
    pub fn list(&self, pointer: &str) -> &[Value] {
        list(self.at(pointer))
    }

    /// Who it is.
    pub fn reference(&self) -> Reference {
        Reference {
            kind: self.kind,
            namespace: self.namespace.clone(),
            name: self.name.clone(),
        }
    }
}

/// The texts of a map.
pub(super) fn labels(value: Option<&Value>) -> BTreeMap<String, String> {
    let entries = value.and_then(Value::as_object).into_iter().flatten();
    entries
        .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
        .collect()
}

/// Each label as `key=value`.
pub(super) fn pairs(labels: &BTreeMap<String, String>) -> Vec<String> {
    labels.iter().map(|(key, value)| format!("{key}={value}")).collect()
}

impl Snapshot {
    /// The objects of a kind.
    pub fn of(&self, kind: Kind) -> &[Object] {
        self.objects.get(&kind).map(Vec::as_slice).unwrap_or_default()
    }

    /// The object of that name.
    pub fn find(&self, kind: Kind, namespace: &str, name: &str) -> Option<&Object> {
        let mut objects = self.of(kind).iter();
        objects.find(|object| object.namespace == namespace && object.name == name)
    }

    /// Whether all objects of the kind in the namespace are in the snapshot.
    pub fn sees(&self, kind: Kind, namespace: &str) -> bool {
        match self.unseen.get(&kind) {
            Some(Unseen::NotServed) => true,
            Some(_) => false,
            None => !self.narrow.contains(&kind) || self.scope.namespace.as_deref() == Some(namespace),
        }
    }

    /// Whether all objects of the kind in the cluster are in the snapshot.
    pub fn sees_all(&self, kind: Kind) -> bool {
        matches!(self.unseen.get(&kind), None | Some(Unseen::NotServed)) && !self.narrow.contains(&kind)
    }

    /// Adds an object.
    pub fn add(&mut self, object: Object) {
        self.unseen.remove(&object.kind);
        self.objects.entry(object.kind).or_default().push(object);
    }

    /// What could not be looked at in a cluster, in words: kinds, and what gave no answer while others did.
    pub fn not_seen(&self) -> Vec<String> {
        let kinds = Kind::iter().filter_map(|kind| Some((kind, self.unseen.get(&kind)?)));
        let kinds = kinds.filter(|(_, unseen)| **unseen != Unseen::NotGiven);
        let mut words: Vec<String> = kinds.map(|(kind, unseen)| unseen.words(kind)).collect();
        // Where nobody answered, the rule that was not run says so.
        let mut silent = BTreeSet::new();
        if self.probe_silence().is_none() {
            silent.extend(self.probes.iter().flatten().filter_map(ProbeAnswer::silence));
        }
        if self.grafana_silence().is_none() {
            let dashboards = self.grafana.iter().flat_map(|grafana| grafana.dashboards.values());
            silent.extend(dashboards.filter_map(|known| known.as_ref().err().cloned()));
        }
        words.extend(silent);
        words
    }

    /// Why no pod answered what its probe asks, if one was to be asked.
    pub(super) fn probe_silence(&self) -> Option<String> {
        let Some(answers) = &self.probes else {
            return Some("no pod was asked".to_owned());
        };
        all_silent(answers.iter().map(ProbeAnswer::silence))
    }

    /// Why Grafana gave no answer, if one was to be given.
    pub(super) fn grafana_silence(&self) -> Option<String> {
        let Some(grafana) = &self.grafana else {
            return Some("no Grafana was asked: give its address with --grafana-url".to_owned());
        };
        all_silent(grafana.dashboards.values().map(|known| known.as_ref().err().cloned()))
    }

    /// Why no Prometheus answered, if none did.
    pub(super) fn prometheus_silence(&self) -> Option<String> {
        let silent = self.prometheuses.iter().map(|answers| answers.targets.as_ref().err());
        silence("Prometheus", silent)
    }

    /// Why no Alertmanager answered, if none did.
    pub(super) fn alertmanager_silence(&self) -> Option<String> {
        let silent = self.alertmanagers.iter().map(|answers| answers.config.as_ref().err());
        silence("Alertmanager", silent)
    }
}

/// What each says that gave no answer, unless one did or nobody was to give one.
fn all_silent(answers: impl Iterator<Item = Option<String>>) -> Option<String> {
    let silent: BTreeSet<String> = answers.collect::<Option<_>>()?;
    (!silent.is_empty()).then(|| silent.into_iter().collect::<Vec<_>>().join("; "))
}

fn silence<'a>(who: &str, errors: impl Iterator<Item = Option<&'a String>>) -> Option<String> {
    let errors: Vec<_> = errors.collect();
    if errors.is_empty() {
        return Some(format!("no {who} was asked"));
    }
    // One that answers is enough.
    let all = errors.iter().copied().collect::<Option<Vec<_>>>()?;
    Some(all.into_iter().map(String::as_str).collect::<Vec<_>>().join("; "))
}

/// A snapshot of files: the same objects, nobody to ask. Documents of other kinds are left out; what is wrong with the
/// text comes back in words, each with its file and line.
pub fn read(sources: &[Source], namespace: &str) -> (Snapshot, Vec<String>) {
    let mut snapshot = Snapshot {
        unseen: Kind::iter().map(|kind| (kind, Unseen::NotGiven)).collect(),
        ..Snapshot::default()
    };
    let mut problems = Vec::new();
    for source in sources {
        let parsed = yaml::parse(&source.text);
        problems.extend(
            parsed
                .problems
                .iter()
                .map(|problem| format!("{}:{}: {}", source.name, problem.place.line, problem.message)),
        );
        for document in parsed.documents {
            let value = document.to_json();
            for value in flattened(value) {
                let Some(kind) = kind(&value) else { continue };
                let mut object = Object::new(kind, value, namespace);
                object.place = Some((source.name.clone(), document.place));
                snapshot.add(object);
            }
        }
    }
    (snapshot, problems)
}

/// The items of a `List`; of anything else itself.
fn flattened(mut value: Value) -> Vec<Value> {
    match value.get_mut("items").map(Value::take) {
        Some(Value::Array(items)) => items,
        _ => vec![value],
    }
}

fn kind(value: &Value) -> Option<Kind> {
    let text = |field: &str| value.get(field).and_then(Value::as_str);
    let kind = Kind::from_str(text("kind")?).ok()?;
    let group = |api_version: &str| api_version.rsplit_once('/').map(|(group, _)| group.to_owned());
    (group(text("apiVersion")?) == group(kind.api_version())).then_some(kind)
}
