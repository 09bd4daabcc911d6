//! The control plane: the API server's own rules, and that nothing of it outlives its run.

// Clippy knows only functions with `#[test]` as tests, and not what they share.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::path::Path;
use std::time::Duration;

use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::api::{Api, ListParams, ObjectMeta, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use observed_e2e::cluster::Error;
use observed_e2e::{Cluster, ControlPlane, Progress, wait};

const SOON: Duration = Duration::from_secs(30);

fn config_map(name: &str) -> ConfigMap {
    let metadata = ObjectMeta {
        name: Some(name.to_owned()),
        ..ObjectMeta::default()
    };
    ConfigMap {
        metadata,
        ..ConfigMap::default()
    }
}

async fn client_of_account(cluster: &Cluster, namespace: &str, name: &str) -> kube::Client {
    let path = cluster.kubeconfig_for_service_account(namespace, name).await.unwrap();
    let config = Kubeconfig::read_from(path).unwrap();
    let config = kube::Config::from_custom_kubeconfig(config, &KubeConfigOptions::default()).await;
    kube::Client::try_from(config.unwrap()).unwrap()
}

fn is_gone(pid: u32) -> bool {
    !Path::new(&format!("/proc/{pid}")).exists()
}

#[tokio::test]
async fn an_account_may_do_what_its_role_says_and_nothing_else() {
    let cluster = Cluster::shared().await.unwrap();
    let namespace = cluster.namespace("rights").await.unwrap();
    let maps: Api<ConfigMap> = Api::namespaced(client_of_account(cluster, &namespace, "default").await, &namespace);
    let refused = maps.create(&PostParams::default(), &config_map("a")).await.unwrap_err();
    assert!(
        matches!(&refused, kube::Error::Api(status) if status.code == 403),
        "{refused}"
    );

    let role = format!(
        "{{apiVersion: rbac.authorization.k8s.io/v1, kind: Role, metadata: {{name: maps, namespace: {namespace}}}, rules: [{{apiGroups: [''], resources: [configmaps], verbs: [create]}}]}}
---
{{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {{name: maps, namespace: {namespace}}}, roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: Role, name: maps}}, subjects: [{{kind: ServiceAccount, name: default, namespace: {namespace}}}]}}"
    );
    cluster.apply(&role).await.unwrap();
    let create = || async { maps.create(&PostParams::default(), &config_map("a")).await };
    wait::until(SOON, "the role to be known", create).await.unwrap();
    let refused = maps.list(&ListParams::default()).await.unwrap_err();
    assert!(
        matches!(&refused, kube::Error::Api(status) if status.code == 403),
        "{refused}"
    );
}

#[tokio::test]
async fn an_account_that_does_not_exist_has_no_token() {
    let cluster = Cluster::shared().await.unwrap();
    let error = cluster.kubeconfig_for_service_account("default", "nobody").await;
    let error = error.unwrap_err().to_string();
    assert!(
        error.contains("default/nobody") && error.contains("not found"),
        "{error}"
    );
}

const WIDGETS: &str = r"
apiVersion: e2e.observed.rs/v1
kind: Widget
metadata: {name: small}
spec: {size: 3}
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.e2e.observed.rs}
spec:
  group: e2e.observed.rs
  scope: Namespaced
  names: {kind: Widget, plural: widgets, singular: widget}
  versions:
  - name: v1
    served: true
    storage: true
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec: {type: object, properties: {size: {type: integer, maximum: 10}}}
";

#[tokio::test]
async fn a_definition_and_an_object_of_it_are_applied_in_one_call_in_any_order() {
    let cluster = Cluster::shared().await.unwrap();
    cluster.apply(WIDGETS).await.unwrap();
    cluster.apply(WIDGETS).await.unwrap(); // again is fine

    let too_large = "{apiVersion: e2e.observed.rs/v1, kind: Widget, metadata: {name: large}, spec: {size: 11}}";
    let error = cluster.apply(too_large).await.unwrap_err().to_string();
    assert!(error.contains("Widget large") && error.contains("spec.size"), "{error}");
}

#[tokio::test]
async fn a_kind_that_nobody_defined_is_named_with_its_document() {
    let cluster = Cluster::shared().await.unwrap();
    let text = "{apiVersion: v1, kind: ConfigMap, metadata: {name: a}}\n---\n{apiVersion: nobody.example/v1, kind: Gadget, metadata: {name: b}}";
    let error = cluster.apply(text).await.unwrap_err().to_string();
    assert!(
        error.contains("document 2") && error.contains("Gadget in nobody.example/v1"),
        "{error}"
    );
}

#[tokio::test]
async fn the_definitions_of_prometheus_operator_are_installed() {
    let cluster = Cluster::shared().await.unwrap();
    let rule = "{apiVersion: monitoring.coreos.com/v1, kind: PrometheusRule, metadata: {name: a}, spec: {groups: []}}";
    cluster.install_monitoring_crds(&Progress::lines()).await.unwrap();
    cluster.apply(rule).await.unwrap();
    let wrong = "{apiVersion: monitoring.coreos.com/v1, kind: PrometheusRule, metadata: {name: b}, spec: {groups: 3}}";
    assert!(cluster.apply(wrong).await.is_err(), "the schema is not looked at");
}

#[tokio::test]
async fn tests_that_share_a_cluster_have_a_namespace_each() {
    let cluster = Cluster::shared().await.unwrap();
    let (first, second) = (
        cluster.namespace("mine").await.unwrap(),
        cluster.namespace("mine").await.unwrap(),
    );
    assert_ne!(first, second);
    let maps = |namespace: &str| Api::<ConfigMap>::namespaced(cluster.client().unwrap(), namespace);
    maps(&first)
        .create(&PostParams::default(), &config_map("a"))
        .await
        .unwrap();
    assert!(maps(&first).get_opt("a").await.unwrap().is_some());
    assert!(maps(&second).get_opt("a").await.unwrap().is_none());
}

#[tokio::test]
async fn two_clusters_run_at_once_and_know_nothing_of_each_other() {
    let progress = Progress::lines();
    let start = || Cluster::control_plane(ControlPlane::default(), &progress);
    let (first, second) = tokio::try_join!(start(), start()).unwrap();
    let name = first.namespace("only-here").await.unwrap();
    let namespaces = |cluster: &Cluster| Api::<Namespace>::all(cluster.client().unwrap());
    assert!(namespaces(&first).get_opt(&name).await.unwrap().is_some());
    assert!(namespaces(&second).get_opt(&name).await.unwrap().is_none());
    first.stop().await.unwrap();
    namespaces(&second).get("default").await.unwrap(); // the other goes on
    second.stop().await.unwrap();
}

#[tokio::test]
async fn what_is_stopped_leaves_no_process_and_no_file() {
    let cluster = Cluster::control_plane(ControlPlane::default(), &Progress::lines())
        .await
        .unwrap();
    let processes = ["etcd", "kube-apiserver"].map(|name| cluster.process_id(name).unwrap());
    let directory = cluster.run_dir().to_owned();
    assert!(!processes.into_iter().any(is_gone) && directory.exists());
    cluster.stop().await.unwrap();
    assert!(processes.into_iter().all(is_gone), "a process is left");
    assert!(!directory.exists(), "files are left");
}

#[tokio::test]
async fn what_is_dropped_ends_as_what_is_stopped() {
    let cluster = Cluster::control_plane(ControlPlane::default(), &Progress::lines())
        .await
        .unwrap();
    let processes = ["etcd", "kube-apiserver"].map(|name| cluster.process_id(name).unwrap());
    let directory = cluster.run_dir().to_owned();
    drop(cluster);
    assert!(processes.into_iter().all(is_gone), "a process is left");
    assert!(!directory.exists(), "files are left");
}

#[tokio::test]
async fn an_api_server_that_is_killed_is_told_with_its_log() {
    let cluster = Cluster::control_plane(ControlPlane::default(), &Progress::lines())
        .await
        .unwrap();
    cluster.client().unwrap().apiserver_version().await.unwrap();
    let pid = cluster.process_id("kube-apiserver").unwrap();
    let pid = nix::unistd::Pid::from_raw(pid.try_into().unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).unwrap();

    let error = cluster.failure().await;
    let Error::Ended {
        component, log, tail, ..
    } = &error
    else {
        panic!("{error}")
    };
    assert_eq!(component, "kube-apiserver");
    assert!(log.exists() && !tail.is_empty());
    // Whatever is asked afterwards fails for this reason and not for "connection refused".
    let asked = cluster.namespace("late").await.unwrap_err();
    assert!(matches!(asked, Error::Ended { .. }), "{asked}");
    cluster.stop().await.unwrap();
}

#[tokio::test]
async fn what_needs_a_node_says_so_on_a_control_plane() {
    let cluster = Cluster::shared().await.unwrap();
    let image = observed_e2e::Image::new("observed.local/a:1");
    let error = cluster.load_image(&image).await.unwrap_err().to_string();
    assert!(error.contains("has no node"), "{error}");
    let error = cluster.forward("default", "nobody", 80).await.unwrap_err().to_string();
    assert!(error.contains("default/nobody"), "{error}");
}

#[tokio::test]
async fn a_cluster_of_others_is_used_and_not_ended() {
    let own = Cluster::shared().await.unwrap();
    let external = Cluster::external(own.kubeconfig()).await.unwrap();
    let namespace = external.namespace("others").await.unwrap();
    external.stop().await.unwrap();
    let namespaces: Api<Namespace> = Api::all(own.client().unwrap());
    assert!(namespaces.get_opt(&namespace).await.unwrap().is_some());

    let error = Cluster::external(Path::new("/nowhere/kubeconfig"))
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("/nowhere/kubeconfig"), "{error}");
}
