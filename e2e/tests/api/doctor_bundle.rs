//! `observed doctor --bundle` on a real API server: what was planted in its objects is nowhere in the archive.

use std::process::Command;

use super::doctor::HEALTHY;
use super::operator::{Monitoring, Stage, program};

/// A text of the healthy namespace, and the same with something in it that is nobody's business.
const PLANTED: [(&str, &str); 6] = [
    (
        "image: observed.local/none:1",
        "image: observed.local/none:1\n        env: [{name: DATABASE_URL, value: planted-env-value}]\n        args: [--key, planted-argument]",
    ),
    (
        "{name: shop, namespace: NAMESPACE, labels: {app: shop}}",
        "{name: shop, namespace: NAMESPACE, labels: {app: shop}, annotations: {ci/token: planted-annotation}}",
    ),
    (
        "endpoints: [{port: web,",
        "endpoints: [{port: '8080', params: {key: [planted-parameter]},",
    ),
    ("http://chat.example.org", "http://chat.example.org/planted-webhook"),
    ("path: /health", "path: '/health?key=planted-query'"),
    ("\"panels\": []", "\"panels\": [], \"x\": \"planted-content\""),
];
const SECRETS: [&str; 8] = [
    "planted-env-value",
    "planted-argument",
    "planted-annotation",
    "planted-parameter",
    "planted-webhook",
    "planted-query",
    "planted-content",
    // What kubectl shows of the Secret.
    "cGxhbnRlZC1zZWNyZXQtb2JqZWN0",
];

#[tokio::test]
async fn what_was_planted_in_a_cluster_is_nowhere_in_the_support_archive() {
    let stage = Stage::own(Monitoring::Installed, "doctor-bundle").await;
    let mut objects = HEALTHY.replace("\\\"", "\"");
    for (text, planted) in PLANTED {
        assert!(objects.contains(text), "{text}");
        objects = objects.replace(text, planted);
    }
    stage.apply(&objects).await;
    stage
        .apply("{apiVersion: v1, kind: Secret, metadata: {name: shop, namespace: NAMESPACE}, stringData: {k: planted-secret-object}}")
        .await;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("seen.tar.gz");
    let output = Command::new(program().await)
        .args(["doctor", "-n", &stage.namespace, "-o", "json", "--bundle"])
        .arg(&file)
        .env("KUBECONFIG", stage.cluster.kubeconfig())
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(1), "{output:?}");

    let text = unpacked(&file);
    for secret in SECRETS {
        assert!(!text.contains(secret), "{secret} is in the archive:\n{text}");
    }
    for part in [
        "DATABASE_URL",
        "\"monitor-port\"",
        "ci/token",
        "\"kubernetes\": \"v1.",
        "observed.local/none:1",
    ] {
        assert!(text.contains(part), "{part} is missing:\n{text}");
    }
    // The twin: where nothing is taken out they can be found. The patch of the finding carries the parameter.
    assert!(told.contains("planted-parameter"), "{told}");
    let kinds = "deployments,services,servicemonitors,alertmanagerconfigs,configmaps,secrets";
    let got = Command::new(stage.cluster.kubectl())
        .args(["get", kinds, "-o", "yaml", "-n", &stage.namespace, "--kubeconfig"])
        .arg(stage.cluster.kubeconfig())
        .output()
        .unwrap();
    let raw = String::from_utf8(got.stdout).unwrap();
    for secret in SECRETS {
        assert!(raw.contains(secret), "{secret} was never in the cluster");
    }
}

/// Names and texts of all files of an archive.
pub fn unpacked(file: &std::path::Path) -> String {
    let output = Command::new("tar")
        .args(["--extract", "--gzip", "--to-stdout", "--verbose", "--file"])
        .arg(file)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap()
}
