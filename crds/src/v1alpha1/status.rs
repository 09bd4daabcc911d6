use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// What Observed found and did. It is written only when it changes.
#[derive(KubeSchema, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ObservedServiceStatus {
    /// observedGeneration is the generation of the spec that this status speaks of. -1 before the operator has seen it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// conditions say what works and what does not, each with the next step in words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
    /// resolved is what was found or defaulted where the spec says nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolved: Option<Resolved>,
    /// targetsUp is how many of the scraped pods Prometheus reaches, as `up/all`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub targets_up: Option<String>,
    /// rulesHealthy is how many of the rules Prometheus has loaded and evaluates without error, as `healthy/all`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub rules_healthy: Option<String>,
    /// inventory lists every object that exists because of this resource.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["kind".into(), "name".into()]))]
    pub inventory: Vec<InventoryItem>,
}

/// What was found or defaulted where the spec says nothing.
#[derive(KubeSchema, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Resolved {
    /// container that serves.
    #[schemars(length(max = 63))]
    pub container: String,
    /// probes that the container has or would be given, in words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8), inner(length(max = 512)))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub probes: Vec<String>,
    /// scrape in words: port, path, interval, timeout and the Service or pods that are scraped.
    #[schemars(length(max = 512))]
    pub scrape: String,
    /// packs that apply, those of dependencies left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), inner(length(max = 63)))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub packs: Vec<String>,
    /// dependencies in words: name, type and where their series come from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(max = 512)))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub dependencies: Vec<String>,
}

/// An object that exists because of an ObservedService.
#[derive(KubeSchema, Clone, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct InventoryItem {
    /// apiVersion of the object.
    #[schemars(length(max = 128))]
    pub api_version: String,
    /// kind of the object.
    #[schemars(length(max = 63))]
    pub kind: String,
    /// name of the object, in the namespace of the ObservedService.
    #[schemars(length(max = 253))]
    pub name: String,
}
