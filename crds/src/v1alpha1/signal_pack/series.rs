//! The series that a pack reads.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::v1alpha1::TargetKind;

/// A series that a pack reads.
#[derive(JsonSchema, Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Series {
    /// name as Prometheus stores it, without the suffixes of a histogram. Required.
    #[schemars(length(min = 1, max = 128), regex(pattern = r"^[a-zA-Z_:][a-zA-Z0-9_:]*$"))]
    pub name: String,
    /// type of the metric.
    pub r#type: SeriesType,
    /// scope decides which matchers are put into every selector of the series.
    pub scope: Scope,
    /// labels that the expressions use, beside those of the scope. Those of the scope `service` can be renamed.
    #[serde(default)]
    pub labels: Vec<String>,
    /// kinds of workload that have the series. A signal that reads a series which the target's kind does not have is left
    /// out. Default: every kind.
    #[serde(default)]
    pub kinds: Vec<TargetKind>,
    /// workloadLabels name the workload in a series of the scope `workload`. Default: the label that kube-state-metrics
    /// gives it, its kind in lower case (`deployment`), which holds its name.
    ///
    /// Example: `{scaletargetref_kind: kind, scaletargetref_name: name}`
    #[serde(default)]
    pub workload_labels: BTreeMap<String, WorkloadPart>,
    /// hostLabel is the label of a series of the scope `service` that holds the host of the dependency which the series is
    /// about: its selectors match the `host` of the entry of `spec.dependencies`. Only in a pack about a dependency.
    ///
    /// Example: `server_address`
    #[serde(default)]
    #[schemars(length(min = 1, max = 128), regex(pattern = r"^[a-zA-Z_][a-zA-Z0-9_]*$"))]
    pub host_label: Option<String>,
    /// priced: where the service gives prices, the counter is computed from another one, whose units they are prices of.
    /// It may be read with `rate` and `increase` only.
    #[serde(default)]
    pub priced: Option<Priced>,
    /// whenMissing says what would expose the series.
    pub when_missing: String,
    /// dialects tell how other instrumentations spell the series, by the dialect's name. One that is not listed spells it
    /// as the pack does. Only for the scope `service`.
    #[serde(default)]
    pub dialects: BTreeMap<String, Spelling>,
}

/// How an instrumentation spells a series. In all series of a pack it has the same name for the same label.
#[derive(JsonSchema, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Spelling {
    /// metric is its name there, without the suffixes of a histogram. A counter may be one series of a histogram, as
    /// `http_server_request_duration_seconds_count`. Default: the name in the pack.
    #[serde(default)]
    pub metric: Option<String>,
    /// labels that have another name there.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// without lists labels that it does not have. A drill's case that tells series apart by one of them cannot come up.
    #[serde(default)]
    pub without: Vec<String>,
    /// whenMissing says what would expose the series with this instrumentation. Default: what the series says.
    #[serde(default)]
    pub when_missing: Option<String>,
}

/// What a label says of the workload.
#[derive(JsonSchema, Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum WorkloadPart {
    /// Its kind, such as `Deployment`.
    Kind,
    /// Its name.
    Name,
}

/// What a counter of money is computed from with `spec.signals.prices`.
#[derive(JsonSchema, Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Priced {
    /// from is the counter of tokens, a series of the same pack.
    pub from: String,
    /// model is its label that holds the price's model.
    pub model: String,
    /// direction is its label that holds `input`, `output`, `cache_read` or `cache_write`.
    pub direction: String,
}

/// Type of a metric.
#[derive(JsonSchema, Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum SeriesType {
    /// Only grows; read with `rate` or `increase`.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Classic histogram: `_bucket`, `_sum`, `_count`.
    Histogram,
}

/// What a series belongs to, and so how its selectors are narrowed to one service.
#[derive(JsonSchema, Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Scope {
    /// Exposed by the service itself: `namespace` and `job` of its scrape. The only names that a service can rename.
    Service,
    /// Written by Prometheus about the scrape itself, such as `up`: `namespace` and `job` of its scrape.
    Scrape,
    /// About its pods, from cAdvisor, the kubelet or kube-state-metrics: `namespace`, and `pod` by the workload's name.
    Pod,
    /// About the workload as an object, from kube-state-metrics: `namespace` and the label that names it.
    Workload,
    /// About something in the namespace that is tied to the service only by what it is joined with, such as a volume by
    /// the pods that mount it: `namespace`. No expression may rest on such series alone.
    Namespace,
    /// Written by Prometheus about the evaluation of the service's own rules, where it scrapes itself: `rule_group`, by the
    /// names of the service's groups.
    Rules,
    /// From the exporter of a dependency: `namespace` and `job` of that exporter's scrape.
    Dependency,
}
