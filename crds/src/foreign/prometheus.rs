use kube::CustomResource;
use serde::{Deserialize, Serialize};

use super::LabelSelector;

/// The part of a `Prometheus` that decides what it selects and where it answers.
///
/// A selector that is absent selects nothing; an empty one selects everything.
#[derive(CustomResource, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[kube(
    group = "monitoring.coreos.com",
    version = "v1",
    kind = "Prometheus",
    plural = "prometheuses",
    namespaced,
    schema = "disabled"
)]
#[serde(rename_all = "camelCase")]
pub struct PrometheusSpec {
    /// ServiceMonitors by their labels.
    #[serde(default)]
    pub service_monitor_selector: Option<LabelSelector>,
    /// Namespaces of ServiceMonitors by their labels. Absent: the Prometheus' own.
    #[serde(default)]
    pub service_monitor_namespace_selector: Option<LabelSelector>,
    /// PodMonitors by their labels.
    #[serde(default)]
    pub pod_monitor_selector: Option<LabelSelector>,
    /// Namespaces of PodMonitors by their labels. Absent: the Prometheus' own.
    #[serde(default)]
    pub pod_monitor_namespace_selector: Option<LabelSelector>,
    /// PrometheusRules by their labels.
    #[serde(default)]
    pub rule_selector: Option<LabelSelector>,
    /// Namespaces of PrometheusRules by their labels. Absent: the Prometheus' own.
    #[serde(default)]
    pub rule_namespace_selector: Option<LabelSelector>,
    /// Name of the port in the pods and in the governing Service. Default: `web`.
    #[serde(default)]
    pub port_name: Option<String>,
    /// Path prefix under which Prometheus answers. Default: `/`.
    #[serde(default)]
    pub route_prefix: Option<String>,
    /// How long samples are kept. Default: `24h`, where no size is set.
    #[serde(default)]
    pub retention: Option<String>,
    /// How many bytes of samples are kept.
    #[serde(default)]
    pub retention_size: Option<String>,
    /// Shards, each of which scrapes a part of the targets. Default: 1.
    #[serde(default)]
    pub shards: Option<i32>,
    /// Service that governs the pods. Default: `prometheus-operated`.
    #[serde(default)]
    pub service_name: Option<String>,
    /// How its HTTP API is served.
    #[serde(default)]
    pub web: Option<WebSpec>,
}

/// How Prometheus serves its HTTP API.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WebSpec {
    /// What HTTPS needs. Absent: it serves plain HTTP. What it names in Secrets is not read.
    #[serde(default)]
    pub tls_config: Option<serde_json::Value>,
}
