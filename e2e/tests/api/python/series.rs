//! The same API before a real Prometheus, with the alerts of the guide: what can be seen of its labels and of its rules.

use std::collections::BTreeSet;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use observed_e2e::wait;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::process::{Answers, GUIDE, beside_a_database};
use crate::doctor::{doctor, found, says};
use crate::operator::{MONITOR, Monitoring, Operator, SOON, Stage, free_port};
use crate::servers::{self, Running};
use crate::signals::running;

/// The API with a page that Prometheus can read.
const READABLE: &str = "readable:app";
/// More than a label may have values.
const PATHS: usize = 250;

/// The guide's scrape config and its alerts as prometheus-operator's objects, expressions to the letter.
const OBJECTS: &str = "
apiVersion: monitoring.coreos.com/v1
kind: Prometheus
metadata: {name: main, namespace: NAMESPACE}
spec:
  serviceAccountName: prometheus
  retention: 30d
  serviceMonitorSelector: {matchLabels: {stage: NAMESPACE}}
  ruleSelector: {matchLabels: {stage: NAMESPACE}}
---
{apiVersion: v1, kind: ServiceAccount, metadata: {name: prometheus, namespace: NAMESPACE}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: prometheus, namespace: NAMESPACE}
rules: [{apiGroups: [''], resources: [services, endpoints, pods], verbs: [get, list, watch]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: prometheus, namespace: NAMESPACE}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: prometheus}
subjects: [{kind: ServiceAccount, name: prometheus, namespace: NAMESPACE}]
---
apiVersion: monitoring.coreos.com/v1
kind: ServiceMonitor
metadata: {name: guide, namespace: NAMESPACE, labels: {stage: NAMESPACE}}
spec: {selector: {matchLabels: {app: shop}}, endpoints: [{port: http}]}
---
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata: {name: guide, namespace: NAMESPACE, labels: {stage: NAMESPACE}}
spec:
  groups:
  - name: api
    rules:
    - alert: HighErrorRate
      expr: rate(http_requests_total{status=~\"5..\"}[5m]) > 0.05
      for: 5m
      labels: {severity: critical}
    - alert: HighResponseTime
      expr: histogram_quantile(0.95, http_request_duration_seconds) > 5
      for: 10m
      labels: {severity: warning}
";

/// What is found of them, and only of them.
async fn finds(stage: &Stage, prometheus: &str, expected: &[&str]) -> Value {
    let arguments = ["-n", &stage.namespace, "--prometheus-url", prometheus];
    let kubeconfig = stage.cluster.kubeconfig().to_owned();
    // Of rules those of the guide alone.
    let about = [
        "label-collision",
        "metrics-content-type",
        "series-never-seen PrometheusRule guide",
        "unbounded-label",
    ];
    let look = async || {
        let (_, told) = doctor(&kubeconfig, &arguments).await;
        let found: BTreeSet<String> = found(&told).into_iter().collect();
        let of_these = |one: &&String| about.iter().any(|rule| one.starts_with(rule));
        if found.iter().filter(of_these).eq(expected) {
            Ok(told)
        } else {
            Err(format!("{found:#?}\n{}", told["notRun"]))
        }
    };
    wait::until(SOON, &expected.join(", "), look).await.unwrap()
}

/// Asks for a path, as anybody may.
async fn ask(at: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(at).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

/// A Prometheus that scrapes the process as prometheus-operator would let it, under each of these monitors.
async fn prometheus(directory: &Path, stage: &Stage, at: SocketAddr, monitors: &[(&str, &str)]) -> (String, Running) {
    let namespace = &stage.namespace;
    let job = |(name, relabelings): &(&str, &str)| {
        format!(
            "- job_name: serviceMonitor/{namespace}/{name}/0\n  static_configs: [{{targets: ['{at}'], \
             labels: {{namespace: {namespace}, job: {name}, endpoint: http, pod: shop-1}}}}]\n  relabel_configs: {relabelings}\n"
        )
    };
    let jobs: String = monitors.iter().map(job).collect();
    let file = directory.join("prometheus.yaml");
    let times = "{scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}";
    fs::write(&file, format!("global: {times}\nscrape_configs:\n{jobs}")).unwrap();
    let port = free_port();
    let child = servers::prometheus(port, &file, directory, &[]).await;
    (format!("http://127.0.0.1:{port}"), child)
}

#[tokio::test(flavor = "multi_thread")]
async fn doctor_tells_of_the_labels_and_the_rules_of_the_guide_once_its_page_can_be_read() {
    // A Prometheus that is there is looked for by every operator of the cluster: other tests have none.
    let stage = Stage::own(Monitoring::Installed, "guide").await;
    stage.apply(OBJECTS).await;

    // To the letter of the guide nothing of it is in Prometheus: its page is the only thing to be told of it.
    let (_database, at, _api) = beside_a_database(GUIDE).await;
    running(&stage, at).await;
    let directory = tempfile::tempdir().unwrap();
    let (url, letter) = prometheus(directory.path(), &stage, at, &[("guide", "[]")]).await;
    let expected = [
        "metrics-content-type ServiceMonitor guide",
        "series-never-seen PrometheusRule guide",
    ];
    let told = finds(&stage, &url, &expected).await;
    assert!(
        says(&told, "metrics-content-type").contains("CONTENT_TYPE_LATEST"),
        "{told:#}"
    );
    assert!(
        says(&told, "series-never-seen").contains("http_requests_total"),
        "{told:#}"
    );
    drop(letter);

    // The same process whose page can be read, after a scanner has been there.
    let (database, at, _api) = beside_a_database(READABLE).await;
    database.now(Answers::Well);
    running(&stage, at).await;
    let operator = Operator::start(&stage).await;
    stage
        .apply(
            "{apiVersion: observed.rs/v1alpha1, kind: ObservedService, metadata: {name: shop, namespace: NAMESPACE}, \
             spec: {targetRef: {name: shop}, probes: {mode: Disabled}, signals: {packs: [http, llm]}}}",
        )
        .await;
    for number in 0..PATHS {
        let answer = ask(at, &format!("/v1/messages/{number}")).await;
        assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");
    }
    // Observed's own monitor of the same pods drops the label of the target, so that the service's keeps its name.
    let ours = stage.appears(MONITOR, "shop").await;
    let relabelings = ours.data["spec"]["endpoints"][0]["relabelings"].to_string();
    assert!(relabelings.contains("labeldrop"), "{relabelings}");
    let relabelings = "[{action: labeldrop, regex: endpoint}]";
    let directory = tempfile::tempdir().unwrap();
    let (url, _prometheus) = prometheus(directory.path(), &stage, at, &[("guide", "[]"), ("shop", relabelings)]).await;
    let expected = [
        "label-collision ServiceMonitor guide",
        "series-never-seen PrometheusRule guide",
        "unbounded-label ServiceMonitor guide",
        "unbounded-label ServiceMonitor shop",
    ];
    let told = finds(&stage, &url, &expected).await;
    assert!(says(&told, "label-collision").contains("exported_endpoint"), "{told:#}");
    let unbounded = says(&told, "unbounded-label");
    assert!(
        unbounded.contains("exported_endpoint") && unbounded.contains("route's template"),
        "{told:#}"
    );
    // The one name that no classic histogram has, and no other of the guide's.
    let unseen = says(&told, "series-never-seen");
    assert!(
        unseen.contains("has never seen http_request_duration_seconds\"")
            && unseen.contains("http_request_duration_seconds_"),
        "{unseen}"
    );
    operator.reconciles(1.0).await;
}
