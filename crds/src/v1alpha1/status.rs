use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{CustomResourceDefinition, JSON};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::KubeSchema;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::RemediationStatus;

/// What stands against a SignalPack, whether or not a service names it. It is written only when it changes.
#[derive(KubeSchema, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SignalPackStatus {
    /// observedGeneration is the generation of the spec that this status speaks of. -1 before the operator has seen it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// conditions: `Ready` says whether services can have the pack, and if not lists everything that is wrong with it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
}

/// A resource is born not ready: `status.observedGeneration` defaults to -1, so that kstatus (Argo CD, Flux, `kubectl
/// wait`) never takes a resource that the operator has not seen for a finished one.
pub(super) fn born_unseen(crd: &mut CustomResourceDefinition) {
    for version in &mut crd.spec.versions {
        let status = version
            .schema
            .as_mut()
            .and_then(|s| s.open_api_v3_schema.as_mut())
            .and_then(|s| s.properties.as_mut())
            .and_then(|p| p.get_mut("status"));
        if let Some(status) = status {
            status.default = Some(JSON(serde_json::json!({"observedGeneration": -1})));
        }
    }
}

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
    /// given is what was given to the workload, and to which of its revisions: for one revision nothing is given twice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub given: Option<Given>,
    /// offer is what waits for a rollout of the workload's owner, with `spec.probes.mode: Admission`: the policy
    /// `observed-admit` reads it here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offer: Option<Offer>,
    /// dependentLiveness says that the liveness endpoint was seen to depend on something else: it gets no liveness probe.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dependent_liveness: Option<DependentLiveness>,
    /// signals is what the packs read of the service and was seen in its metrics page, one entry a pack. It holds while
    /// no pod answers: a series once seen is missed only after the spec has changed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["pack".into()]))]
    pub signals: Vec<PackSignals>,
    /// remediation is what was done about alerts, and what was refused. The operator leaves it alone: `observed run --remediate`
    /// writes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remediation: Option<RemediationStatus>,
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

/// Probes that were given, and the revisions of the workload that had them.
#[derive(KubeSchema, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Given {
    /// targetUID is the UID of the workload.
    #[serde(rename = "targetUID")]
    #[schemars(length(max = 64))]
    pub target_uid: String,
    /// gift is what was given, as the annotation `observed.rs/probes` tells it.
    #[schemars(length(max = 512))]
    pub gift: String,
    /// image of the container that it was given to.
    #[serde(default)]
    #[schemars(length(max = 1024))]
    pub image: String,
    /// trialUntil is when its trial ends: until then a pod that it hurts has it taken back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trial_until: Option<Time>,
    /// templates are hashes of the pod templates that had it, their probes left out. At most 10, which is how many
    /// revisions a Deployment keeps.
    #[schemars(length(max = 10), inner(length(max = 16)))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub templates: Vec<String>,
    /// withdrawn says why it was taken back, if it was: it is not given again to the same image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub withdrawn: Option<Withdrawn>,
}

/// Probes that wait for a rollout of the workload's owner. Only the first change of the workload's spec can take them.
#[derive(KubeSchema, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Offer {
    /// targetUID is the UID of the workload.
    #[serde(rename = "targetUID")]
    #[schemars(length(max = 64))]
    pub target_uid: String,
    /// targetGeneration is the generation of the workload whose pods were asked.
    pub target_generation: i64,
    /// generation of the spec that it is made for.
    pub generation: i64,
    /// container that gets them.
    #[schemars(length(max = 63))]
    pub container: String,
    /// exceptImage is an image that they were taken back from: it does not get them again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub except_image: Option<String>,
    /// gift is the annotation `observed.rs/probes` that comes with them.
    #[schemars(length(max = 512))]
    pub gift: String,
    /// probes that the container gets.
    pub probes: OfferedProbes,
}

/// Probes as a container has them.
#[derive(KubeSchema, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OfferedProbes {
    /// livenessProbe of the container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "as_in_a_container")]
    pub liveness_probe: Option<serde_json::Value>,
    /// readinessProbe of the container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "as_in_a_container")]
    pub readiness_probe: Option<serde_json::Value>,
    /// startupProbe of the container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "as_in_a_container")]
    pub startup_probe: Option<serde_json::Value>,
}

/// What a probe of a container is, Kubernetes checks where it is put in.
fn as_in_a_container(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "object", "x-kubernetes-preserve-unknown-fields": true})
}

/// A liveness endpoint that was seen to depend on something else than its process. It counts for one endpoint of one image.
#[derive(KubeSchema, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DependentLiveness {
    /// targetUID is the UID of the workload.
    #[serde(rename = "targetUID")]
    #[schemars(length(max = 64))]
    pub target_uid: String,
    /// image of the container.
    #[schemars(length(max = 1024))]
    pub image: String,
    /// endpoint that was asked, in words.
    #[schemars(length(max = 512))]
    pub endpoint: String,
    /// sign is how it was seen.
    pub sign: LivenessSign,
}

/// How it is seen that liveness depends on something else.
#[derive(JsonSchema, Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub enum LivenessSign {
    /// It failed at least twice and was well again, in one and the same process.
    #[default]
    Failed,
    /// Its answers took at least three times as long, and 100 ms, whenever readiness failed.
    Slowed,
}

/// A gift that was taken back.
#[derive(KubeSchema, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Withdrawn {
    /// image of the container that it did not fit.
    #[schemars(length(max = 1024))]
    pub image: String,
    /// because says what was seen.
    #[schemars(length(max = 512))]
    pub because: String,
    /// times that it was taken back, from one image or another. After the second it is not given any more.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub times: i32,
}

/// What a pack reads of the service, and what of it was seen.
#[derive(KubeSchema, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PackSignals {
    /// pack is its name.
    #[schemars(length(max = 63))]
    pub pack: String,
    /// dialect in which the service spells the series.
    #[schemars(length(max = 63))]
    pub dialect: String,
    /// generation of the spec since which seen has grown.
    pub generation: i64,
    /// seen lists the series that the service exposes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub seen: Vec<SeenSeries>,
    /// missing lists the series that it does not expose, by their names in the pack.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(max = 128)))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub missing: Vec<String>,
}

/// A series that the service exposes. Of its values nothing is kept.
#[derive(KubeSchema, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SeenSeries {
    /// name in the pack.
    #[schemars(length(max = 128))]
    pub name: String,
    /// as is the name that the service has for it. Default: the name in the pack.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 160))]
    pub r#as: Option<String>,
    /// labels that the service gives it. Absent while nothing was counted: then nobody knows them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), inner(length(max = 128)))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub labels: Option<Vec<String>>,
    /// bounds of a histogram's buckets, ascending, without `+Inf`. Only `+Inf` when the histogram has no other bucket, as a
    /// native one has in the text format. Empty when they are more than 64, or one is longer than 32 characters.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(max = 32)))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub bounds: Vec<String>,
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
