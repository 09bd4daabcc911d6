//! Value files as users write them: each is linted, rendered, and taken by a real API server, which would refuse a field that it does not know and warn
//! of a pod that is not restricted.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use observed_e2e::{Cluster, Progress};
use serde_json::json;

use super::helm::{chart, chart_with, helm, objects, only};

fn files() -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/chart/values");
    let mut files: Vec<_> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    files
}

/// A namespace that warns of every pod that is not restricted, and the kinds of prometheus-operator.
async fn stage() -> (&'static Cluster, String) {
    let cluster = Cluster::shared().await.unwrap();
    cluster.install_monitoring_crds(&Progress::silent()).await.unwrap();
    let namespace = cluster.namespace("chart").await.unwrap();
    let labels = "{pod-security.kubernetes.io/enforce: restricted, pod-security.kubernetes.io/warn: restricted}";
    let text = format!("{{apiVersion: v1, kind: Namespace, metadata: {{name: {namespace}, labels: {labels}}}}}");
    cluster.apply(&text).await.unwrap();
    (cluster, namespace)
}

/// What the API server says of a rendering. Even a pod that is not to be kept needs a ServiceAccount that is there.
async fn taken(cluster: &Cluster, manifest: &str) -> Result<(), String> {
    let objects = objects(manifest);
    let pod = only(&objects, "Pod");
    let (name, namespace) = (&pod["spec"]["serviceAccountName"], &pod["metadata"]["namespace"]);
    let account = json!({
        "apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name, "namespace": namespace},
    });
    cluster.apply(&account.to_string()).await.unwrap();
    dry_run(cluster, manifest)
}

/// What the API server says of objects that it is not to keep. Warnings are errors.
pub fn dry_run(cluster: &Cluster, manifest: &str) -> Result<(), String> {
    let mut child = Command::new(cluster.kubectl())
        .arg("--kubeconfig")
        .arg(cluster.kubeconfig())
        .args([
            "apply",
            "--server-side",
            "--force-conflicts",
            "--dry-run=server",
            "--validate=strict",
            "-f",
            "-",
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(manifest.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.success() && words.is_empty() {
        Ok(())
    } else {
        Err(words)
    }
}

async fn render(chart: &Path, namespace: &str, file: &Path) -> String {
    let (chart, file) = (chart.to_str().unwrap(), file.to_str().unwrap());
    helm(&["template", "observed", chart, "-n", namespace, "--values", file])
        .await
        .unwrap()
}

#[tokio::test]
async fn every_value_file_is_linted_rendered_and_taken_by_the_api_server() {
    let (cluster, namespace) = stage().await;
    let files = files();
    assert!(files.len() >= 20, "{}", files.len());
    for file in files {
        let chart = chart();
        let lint = [
            "lint",
            "--strict",
            chart.to_str().unwrap(),
            "--values",
            file.to_str().unwrap(),
        ];
        helm(&lint)
            .await
            .unwrap_or_else(|words| panic!("{}: {words}", file.display()));
        let manifest = render(&chart, &namespace, &file).await;
        taken(cluster, &manifest)
            .await
            .unwrap_or_else(|words| panic!("{}: {words}", file.display()));
    }
}

#[tokio::test]
async fn a_chart_that_is_wrong_would_be_noticed() {
    let (cluster, namespace) = stage().await;
    let file = &files()[0];
    for (part, from, to, words) in [
        (
            "_deployment.tpl",
            "replicas: {{",
            "replicaz: {{",
            ".spec.replicaz: field not declared",
        ),
        (
            "_deployment.tpl",
            "runAsNonRoot: true",
            "runAsNonRoot: false",
            "would violate PodSecurity",
        ),
        (
            "_deployment.tpl",
            "allowPrivilegeEscalation: false",
            "privileged: true",
            "would violate PodSecurity",
        ),
        (
            "service.yaml",
            "targetPort: http",
            "targetPort: HTTP port",
            "targetPort",
        ),
    ] {
        let other = chart_with(&format!("templates/{part}"), from, to);
        let refused = taken(cluster, &render(other.path(), &namespace, file).await)
            .await
            .unwrap_err();
        assert!(refused.contains(words), "{to}: {refused}");
    }
    let other = chart_with(
        "templates/service.yaml",
        "spec:\n",
        "spec:\n  - {{ .Values.absent.value }}\n",
    );
    let lint = ["lint", "--strict", other.path().to_str().unwrap()];
    assert!(helm(&lint).await.is_err());
}

#[tokio::test]
async fn names_that_yaml_takes_for_something_else_stay_names() {
    let cluster = Cluster::shared().await.unwrap();
    cluster
        .apply("{apiVersion: v1, kind: Namespace, metadata: {name: '123'}}")
        .await
        .unwrap();
    let chart = chart();
    for options in [
        &["1"][..],
        &["2", "--set-string", "fullnameOverride=true,nameOverride=no"],
    ] {
        let arguments = [
            &["template", options[0], chart.to_str().unwrap(), "-n", "123"],
            &options[1..],
        ]
        .concat();
        let manifest = helm(&arguments).await.unwrap();
        taken(cluster, &manifest)
            .await
            .unwrap_or_else(|words| panic!("{options:?}: {words}"));
    }
}
