use std::collections::BTreeMap;

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// Where Grafana finds the dashboard of this service.
#[derive(KubeSchema, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Dashboards {
    /// folder that the Grafana sidecar puts the dashboard in, as the annotation `grafana_folder`. Default: none.
    ///
    /// Example: `Team A`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128), regex(pattern = r"^[^/\\[:cntrl:]]+$"))]
    pub folder: Option<String>,
    /// labels of the dashboard's ConfigMap, which the Grafana sidecar selects on. Default: `{grafana_dashboard: "1"}`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 16, "additionalProperties" = {"type": "string", "maxLength": 63}))]
    #[x_kube(validation = Rule::new("self.all(k, k.matches('^([a-z0-9.-]{1,253}/)?[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$') && self[k].matches('^([A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?$'))").message("labels: keys and values must be Kubernetes labels (at most 63 of A-Z, a-z, 0-9, -, _, .)"))]
    pub labels: BTreeMap<String, String>,
    /// logsURL is the page with the logs of this service, to which the dashboard and each of its panels link. Grafana
    /// fills in `${namespace}`, `${service}`, `${pod}` and its own variables, such as `${__from}`. Starts with `https://` or `http://`. Default: none.
    ///
    /// Example: `https://logs.example.org/?namespace=${namespace}&app=${service}`
    #[serde(rename = "logsURL", default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 8, max = 1024), regex(pattern = r"^https?://[!#-;=?-Z_a-z{|}~%]+$"))]
    pub logs_url: Option<String>,
}
