//! A release by the real Helm on a real API server: installed, upgraded from an older chart, rolled back, uninstalled. Services and what was generated for
//! them outlive all of it.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use kube::api::{ApiResource, DeleteParams, DynamicObject, ListParams, Patch, PatchParams};
use kube::{Api, ResourceExt};
use observed_e2e::{Cluster, ControlPlane, Progress, wait};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::helm::{chart, chart_with, checkout, helm, objects};
use super::operator::Operator;

pub const SOON: Duration = Duration::from_secs(60);
pub const HOME: &str = "observed-system";
pub const CRD: &str = "files/crds/observedservices.yaml";

pub const WORKLOAD: &str = "
apiVersion: v1
kind: Namespace
metadata: {name: prod}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: api, namespace: prod}
spec:
  replicas: 0
  selector: {matchLabels: {app: api}}
  template:
    metadata: {labels: {app: api}}
    spec:
      containers:
      - {name: api, image: 'observed.local/none:1', ports: [{name: http, containerPort: 8080}]}
---
apiVersion: v1
kind: Service
metadata: {name: api, namespace: prod, labels: {app: api}}
spec: {selector: {app: api}, ports: [{name: http, port: 80, targetPort: http}]}
";
const OBSERVED: &str = "{apiVersion: observed.rs/v1alpha1, kind: ObservedService, metadata: {name: api, namespace: prod}, \
                        spec: {targetRef: {name: api}}}";

/// A control plane of the test's own: CRDs and cluster roles are there only once.
pub async fn control_plane() -> Cluster {
    let plane = ControlPlane {
        controller_manager: true,
    };
    let cluster = Cluster::control_plane(plane, &Progress::silent()).await.unwrap();
    cluster.install_monitoring_crds(&Progress::silent()).await.unwrap();
    cluster
}

/// What Helm says on a cluster.
pub async fn tells(cluster: &Cluster, arguments: &[&str]) -> Result<String, String> {
    let kubeconfig = cluster.kubeconfig().to_str().unwrap();
    helm(&[arguments, &["--kubeconfig", kubeconfig, "-n", HOME]].concat()).await
}

/// The same, of what must not fail.
pub async fn on(cluster: &Cluster, arguments: &[&str]) -> String {
    tells(cluster, arguments)
        .await
        .unwrap_or_else(|words| panic!("{arguments:?}: {words}"))
}

pub async fn install(cluster: &Cluster, chart: &Path, options: &[&str]) {
    let arguments = ["install", "observed", chart.to_str().unwrap(), "--create-namespace"];
    on(cluster, &[&arguments, options].concat()).await;
}

async fn upgrade(cluster: &Cluster, chart: &Path, options: &[&str]) {
    on(
        cluster,
        &[&["upgrade", "observed", chart.to_str().unwrap()], options].concat(),
    )
    .await;
}

/// A kind, as `("monitoring.coreos.com/v1", "ServiceMonitor", "servicemonitors")`.
pub type Kind = (&'static str, &'static str, &'static str);
const SERVICE: Kind = ("observed.rs/v1alpha1", "ObservedService", "observedservices");
pub const DEPLOYMENT: Kind = ("apps/v1", "Deployment", "deployments");
pub const CHILDREN: [Kind; 3] = [
    ("v1", "ConfigMap", "configmaps"),
    ("monitoring.coreos.com/v1", "ServiceMonitor", "servicemonitors"),
    ("monitoring.coreos.com/v1", "PrometheusRule", "prometheusrules"),
];
pub const GENERATED: [&str; 4] = [
    "ConfigMap api-dashboard",
    "ConfigMap api-runbooks",
    "PrometheusRule api",
    "ServiceMonitor api",
];
pub const DEFINITION: Kind = (
    "apiextensions.k8s.io/v1",
    "CustomResourceDefinition",
    "customresourcedefinitions",
);
const ROLE: Kind = ("rbac.authorization.k8s.io/v1", "ClusterRole", "clusterroles");

pub fn api(cluster: &Cluster, (api_version, kind, plural): Kind, namespace: Option<&str>) -> Api<DynamicObject> {
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    let resource = ApiResource {
        group: group.into(),
        version: version.into(),
        api_version: api_version.into(),
        kind: kind.into(),
        plural: plural.into(),
    };
    let client = cluster.client().unwrap();
    match namespace {
        Some(namespace) => Api::namespaced_with(client, namespace, &resource),
        None => Api::all_with(client, &resource),
    }
}

/// Which object it is, and how often its spec was changed, of the service, its target and its children. A ConfigMap has no generation.
pub async fn belongings(cluster: &Cluster) -> BTreeMap<String, (String, Option<i64>)> {
    let mut found = BTreeMap::new();
    for kind in [&[SERVICE, DEPLOYMENT][..], &CHILDREN].concat() {
        let objects = match api(cluster, kind, Some("prod")).list(&ListParams::default()).await {
            // Its definition is gone.
            Err(kube::Error::Api(status)) if status.code == 404 => continue,
            objects => objects.unwrap(),
        };
        for object in objects {
            if object.name_any() != "kube-root-ca.crt" {
                let identity = (object.uid().unwrap(), object.metadata.generation);
                found.insert(format!("{} {}", kind.1, object.name_any()), identity);
            }
        }
    }
    found
}

/// A service of the release's operator, with everything that is generated for it.
async fn observed(cluster: &Cluster) -> BTreeMap<String, (String, Option<i64>)> {
    cluster.apply(WORKLOAD).await.unwrap();
    cluster.apply(OBSERVED).await.unwrap();
    let look = async || {
        let found = belongings(cluster).await;
        let all = GENERATED.iter().all(|name| found.contains_key(*name));
        if all { Ok(found) } else { Err(format!("{found:?}")) }
    };
    wait::until(SOON, "what is generated", look).await.unwrap()
}

/// The chart as it was before `spec.paused` was thought of.
pub fn older() -> TempDir {
    let older = chart_with("Chart.yaml", "version: 0.1.0\nappVersion", "version: 0.0.1\nappVersion");
    let path = older.path().join(CRD);
    let mut crd = objects(&std::fs::read_to_string(&path).unwrap()).remove(0);
    let spec = crd
        .pointer_mut("/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties")
        .unwrap();
    spec.as_object_mut().unwrap().remove("paused").unwrap();
    std::fs::write(&path, crd.to_string()).unwrap();
    older
}

/// Whether the API server knows `spec.paused`: what it does not know it drops.
async fn knows_paused(cluster: &Cluster) -> bool {
    let services = api(cluster, SERVICE, Some("prod"));
    let parameters = PatchParams {
        dry_run: true,
        ..PatchParams::default()
    };
    let patch = Patch::Merge(json!({"spec": {"paused": true}}));
    services.patch("api", &parameters, &patch).await.unwrap().data["spec"]["paused"] == true
}

async fn becomes_paused(cluster: &Cluster, known: bool) {
    let look = || async { knows_paused(cluster).await == known };
    wait::until(SOON, "the schema to be used", look).await.unwrap();
}

async fn generation_of_operator(cluster: &Cluster) -> i64 {
    let deployment = api(cluster, DEPLOYMENT, Some(HOME)).get("observed").await.unwrap();
    deployment.metadata.generation.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn services_and_their_objects_outlive_upgrades_a_rollback_and_an_uninstall() {
    let cluster = control_plane().await;
    let older = older();
    install(&cluster, &chart(), &[]).await;
    let operator = Operator::start(&cluster, HOME, "observed").await;
    let before = observed(&cluster).await;
    upgrade(&cluster, older.path(), &[]).await;
    becomes_paused(&cluster, false).await;
    // The definitions of a release that is older than the program: it says so, and waits until they are upgraded.
    let newer = Operator::start(&cluster, HOME, "observed").await;
    newer
        .says("they lack ObservedService spec.paused. To upgrade them: observed crds apply")
        .await;

    // The definitions come with the upgrade, and nothing that was there is made anew.
    upgrade(&cluster, &chart(), &[]).await;
    becomes_paused(&cluster, true).await;
    newer.says("waiting for the Lease").await;
    drop(newer);
    assert_eq!(belongings(&cluster).await, before);

    // Nothing changes, nothing is rolled; a setting is one rollout of the operator.
    let generation = generation_of_operator(&cluster).await;
    upgrade(&cluster, &chart(), &[]).await;
    assert_eq!(generation_of_operator(&cluster).await, generation);
    upgrade(&cluster, &chart(), &["--set", "resync=5m"]).await;
    assert_eq!(generation_of_operator(&cluster).await, generation + 1);
    assert_eq!(belongings(&cluster).await, before);

    on(&cluster, &["rollback", "observed", "2"]).await;
    becomes_paused(&cluster, false).await;
    assert_eq!(belongings(&cluster).await, before);

    drop(operator);
    on(&cluster, &["uninstall", "observed"]).await;
    assert_eq!(belongings(&cluster).await, before);
    let left = api(&cluster, DEPLOYMENT, Some(HOME))
        .list(&ListParams::default())
        .await
        .unwrap();
    assert_eq!(left.items.len(), 0);
    let roles = api(&cluster, ROLE, None).list(&ListParams::default()).await.unwrap();
    assert!(!roles.iter().any(|role| role.name_any().starts_with("observed")));

    // It takes the kept definitions over, and the operator goes on where it was.
    install(&cluster, &chart(), &[]).await;
    becomes_paused(&cluster, true).await;
    let _operator = Operator::start(&cluster, HOME, "observed").await;
    let rules = api(&cluster, CHILDREN[2], Some("prod"));
    rules.delete("api", &DeleteParams::default()).await.unwrap();
    let look = || async { belongings(&cluster).await.len() == before.len() };
    wait::until(SOON, "the deleted rules to be made again", look)
        .await
        .unwrap();
    let now = belongings(&cluster).await;
    let same: Vec<_> = before
        .iter()
        .filter(|(name, identity)| now.get(*name) == Some(*identity))
        .collect();
    // The twin of all the comparisons above: one object that is made anew is seen.
    assert_eq!(same.len(), before.len() - 1, "{now:?} and before {before:?}");
    cluster.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn definitions_that_are_not_kept_go_with_the_release_and_with_the_services_before_nothing_is_left() {
    let cluster = control_plane().await;
    install(&cluster, &chart(), &["--set", "crds.keep=false"]).await;
    let operator = Operator::start(&cluster, HOME, "observed").await;
    observed(&cluster).await;
    drop(operator);
    let services = api(&cluster, SERVICE, Some("prod"));
    services.delete("api", &DeleteParams::default()).await.unwrap();
    let look = async || {
        let found: Vec<_> = belongings(&cluster).await.into_keys().collect();
        if found == ["Deployment api"] {
            Ok(())
        } else {
            Err(format!("{found:?}"))
        }
    };
    wait::until(SOON, "the end of what was generated", look).await.unwrap();
    on(&cluster, &["uninstall", "observed"]).await;
    let definitions = api(&cluster, DEFINITION, None);
    let look = || async {
        let found = definitions.get_opt("observedservices.observed.rs").await;
        found.is_ok_and(|found| found.is_none())
    };
    wait::until(SOON, "the end of the definition", look).await.unwrap();
    cluster.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_takes_over_what_was_applied_without_helm_only_when_told_to() {
    let cluster = control_plane().await;
    let manifest = std::fs::read_to_string(checkout().join("manifests/install.yaml")).unwrap();
    cluster.apply(&manifest).await.unwrap();
    let chart = chart();
    let kubeconfig = cluster.kubeconfig().to_str().unwrap();
    let arguments = [
        "install",
        "observed",
        chart.to_str().unwrap(),
        "-n",
        HOME,
        "--kubeconfig",
        kubeconfig,
    ];
    let refused = helm(&arguments).await.unwrap_err();
    assert!(refused.contains("exists and cannot be imported"), "{refused}");
    install(&cluster, &chart, &["--take-ownership", "--force-conflicts"]).await;
    let listed: Value = serde_json::from_str(&on(&cluster, &["list", "-o", "json"]).await).unwrap();
    assert_eq!(listed[0]["status"], "deployed");
    cluster.stop().await.unwrap();
}
