use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{CustomResource, CustomResourceExt, KubeSchema};
use serde::{Deserialize, Serialize};

use super::status::born_unseen;
use super::{
    Dashboards, Dependency, Objective, ObservedServiceStatus, Probes, Remediation, Runbooks, Scrape, Signals, TargetRef,
};

/// ObservedService gives a running workload probes, scraping, alerts and a dashboard, and reports in its status
/// whether each of them works. The smallest useful one names its target and nothing else.
///
/// Who may write an ObservedService can change the probes of its target and so restart it: grant it like
/// `patch` on the workload.
#[derive(CustomResource, KubeSchema, Clone, Debug, Deserialize, PartialEq, Serialize)]
#[kube(
    group = "observed.rs",
    version = "v1alpha1",
    kind = "ObservedService",
    doc = "ObservedService gives a running workload probes, scraping, alerts and a dashboard, and reports in its status whether each of them works.",
    namespaced,
    status = "ObservedServiceStatus",
    shortname = "obs",
    category = "observability",
    derive = "PartialEq",
    printcolumn(name = "Target", type_ = "string", json_path = ".spec.targetRef.name"),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].status"
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].reason"
    ),
    printcolumn(name = "Targets-Up", type_ = "string", json_path = ".status.targetsUp"),
    printcolumn(name = "Rules", type_ = "string", json_path = ".status.rulesHealthy"),
    printcolumn(
        name = "Probes",
        type_ = "string",
        priority = 1,
        json_path = ".status.conditions[?(@.type==\"ProbesInstalled\")].reason"
    ),
    printcolumn(
        name = "Signals",
        type_ = "string",
        priority = 1,
        json_path = ".status.conditions[?(@.type==\"SignalsResolved\")].reason"
    ),
    printcolumn(
        name = "Dashboard",
        type_ = "string",
        priority = 1,
        json_path = ".status.conditions[?(@.type==\"DashboardLoaded\")].reason"
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    validation = Rule::new("self.metadata.name.size() <= 52").message(
        "metadata.name: at most 52 characters, so that the names of its children (the name and a suffix) stay within 63"
    ),
    validation = Rule::new("!self.metadata.name.contains('.')").message(
        "metadata.name: only a-z, 0-9 and -, without dots, so that it can be part of every name"
    )
)]
#[serde(rename_all = "camelCase")]
pub struct ObservedServiceSpec {
    /// targetRef names the workload in the same namespace that this resource observes. Required.
    ///
    /// Example: `{name: claude-api}`
    pub target_ref: TargetRef,
    /// probes says which probes the target is given. Default: liveness, readiness and startup over HTTP, on paths that
    /// were first seen to answer from the running pods. A probe that the container already has is never touched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probes: Option<Probes>,
    /// scrape says how Prometheus collects the target's metrics. Default: the container's port `http` (or its only
    /// port), path `/metrics`, every 30s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scrape: Option<Scrape>,
    /// signals says which signal packs apply and how they are adapted. Default: `http`, `workload` and `target`, and
    /// the packs of which the service exposes something.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signals: Option<Signals>,
    /// dependencies that the service cannot work without. Each has a row of the dashboard and alerts that explain those
    /// of the service. Default: none. At most 16.
    ///
    /// Example: `[{name: db, type: PostgreSQL, scrapedFrom: {job: postgres-exporter}}]`
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub dependencies: Vec<Dependency>,
    /// objectives promises a share of good events over a time. Each gets recorded ratios, burn-rate alerts and its error
    /// budget. Default: none. At most 16, with distinct names.
    ///
    /// Example: `[{name: availability, target: "99.9%", sli: {errorRatio: {}}}]`
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub objectives: Vec<Objective>,
    /// dashboards says where Grafana finds the dashboard. Default: labelled for the Grafana sidecar, no folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dashboards: Option<Dashboards>,
    /// runbooks says where people find the runbooks. Default: alerts carry no `runbook_url`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runbooks: Option<Runbooks>,
    /// remediation says what is done about alerts that go on firing, where `observed run --remediate` runs. Default: nothing.
    ///
    /// Example: `{mode: DryRun, actions: [{alert: MemoryLeak, action: Restart}]}`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remediation: Option<Remediation>,
    /// paused stops every write for this service except its own status. What exists stays. Default: `false`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub paused: bool,
}

/// The CustomResourceDefinition of `ObservedService`, as `crds/observedservices.yaml` holds it.
pub fn crd() -> CustomResourceDefinition {
    let mut crd = ObservedService::crd();
    born_unseen(&mut crd);
    crd
}
