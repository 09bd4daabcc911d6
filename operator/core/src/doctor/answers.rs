//! What Prometheus and Alertmanager answer, as far as rules look at it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::snapshot::Object;
use crate::grafana_api::Known;

/// What one Prometheus answered. An error is the reason why it did not, in words.
#[derive(Clone, Debug)]
pub struct PrometheusAnswers {
    /// Who was asked: `Prometheus monitoring/main`, or an address.
    pub who: String,
    /// Namespace and name of its resource; empty if only an address is known.
    pub resource: (String, String),
    /// `/api/v1/targets?state=active`.
    pub targets: Result<Vec<Target>, String>,
    /// `/api/v1/rules`.
    pub rules: Result<Vec<Group>, String>,
    /// `/api/v1/label/__name__/values`: every metric of its whole retention.
    pub metrics: Result<BTreeSet<String>, String>,
    /// `/api/v1/query` for each of [`Query::all`].
    pub queries: BTreeMap<Query, Result<Vec<Sample>, String>>,
}

impl PrometheusAnswers {
    /// Whether they are those of this resource.
    pub(super) fn is_of(&self, resource: &Object) -> bool {
        self.resource.0 == resource.namespace && self.resource.1 == resource.name
    }
}

/// What one Alertmanager answered.
#[derive(Clone, Debug)]
pub struct AlertmanagerAnswers {
    /// Who was asked.
    pub who: String,
    /// Namespace and name of its resource; empty if only an address is known.
    pub resource: (String, String),
    /// `config.original` of `/api/v2/status`.
    pub config: Result<String, String>,
}

/// What one Grafana answered.
#[derive(Clone, Debug, Default)]
pub struct GrafanaAnswers {
    /// Its address.
    pub url: String,
    /// `/api/dashboards/uid/UID`: what it has under each uid. None: nothing.
    pub dashboards: BTreeMap<String, Result<Option<Known>, String>>,
}

/// A target that is scraped.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Target {
    /// `serviceMonitor/NAMESPACE/NAME/INDEX`.
    pub scrape_pool: String,
    /// Its address.
    pub scrape_url: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Error of the last scrape.
    pub last_error: String,
    /// What the last scrape said.
    pub health: TargetHealth,
}

/// What the last scrape said.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum TargetHealth {
    /// It worked.
    Up,
    /// It failed.
    Down,
    /// There was none yet.
    #[default]
    #[serde(other)]
    Unknown,
}

/// A group of rules that is loaded.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// File: prometheus-operator writes `NAMESPACE-NAME-UID.yaml`.
    pub file: String,
    /// Seconds between two evaluations.
    pub interval: f64,
    /// Seconds that the last evaluation took.
    pub evaluation_time: f64,
    /// Its rules.
    pub rules: Vec<LoadedRule>,
}

/// A rule that is loaded.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LoadedRule {
    /// Name of the alert or of the recorded series.
    pub name: String,
    /// `ok`, `err` or `unknown`.
    pub health: String,
    /// Error of the last evaluation.
    pub last_error: String,
}

/// A number with its labels.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Sample {
    /// The labels.
    pub labels: BTreeMap<String, String>,
    /// The number.
    pub value: f64,
}

impl Sample {
    /// An entry of an instant query's answer.
    pub fn of(entry: &Value) -> Option<Self> {
        let value = entry.get("value")?.get(1)?.as_str()?.parse().ok()?;
        Some(Self {
            labels: super::snapshot::labels(entry.get("metric")),
            value,
        })
    }

    /// A label's value, empty if it is not there.
    pub fn label(&self, name: &str) -> &str {
        self.labels.get(name).map(String::as_str).unwrap_or_default()
    }
}

/// Labels that a target gets from prometheus-operator: an app's label of the same name becomes `exported_*`.
pub const TARGET_LABELS: [&str; 7] = [
    "endpoint",
    "job",
    "instance",
    "namespace",
    "pod",
    "service",
    "container",
];
/// Labels in which people put paths, ids and texts.
pub(super) const UNBOUNDED_LABELS: [&str; 13] = [
    "path",
    "url",
    "uri",
    "route",
    "handler",
    "http_target",
    "endpoint",
    "exported_endpoint",
    "user",
    "user_id",
    "api_key",
    "request_id",
    "session_id",
];

/// A question in PromQL.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Query {
    /// Series whose label lost against the target's label of that name, by job.
    Collided(&'static str),
    /// How many values a label has, by job, where they are many.
    LabelValues(&'static str),
    /// Pods whose process seems to start again and again.
    ProcessStarts,
    /// Targets that are up and have nothing on their page.
    EmptyPages,
}

impl Query {
    /// Every one.
    pub fn all() -> Vec<Self> {
        let collided = TARGET_LABELS.into_iter().map(Self::Collided);
        let values = UNBOUNDED_LABELS.into_iter().map(Self::LabelValues);
        collided
            .chain(values)
            .chain([Self::ProcessStarts, Self::EmptyPages])
            .collect()
    }

    /// The question.
    pub fn promql(self) -> String {
        match self {
            Self::Collided(label) => {
                format!("count by (namespace, job) ({{exported_{label}!=\"\"}})")
            }
            Self::LabelValues(label) => {
                format!(
                    "count by (namespace, job) (count by (namespace, job, {label}) ({{{label}!=\"\", job!=\"\"}})) > 200"
                )
            }
            Self::ProcessStarts => {
                "max by (namespace, pod, job) (changes(process_start_time_seconds{pod!=\"\"}[15m])) > 3".to_owned()
            }
            Self::EmptyPages => {
                "(scrape_samples_scraped == 0) and on (job, instance, namespace, pod) (up == 1)".to_owned()
            }
        }
    }
}
