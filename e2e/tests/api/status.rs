//! `observed status` on a real API server.

use std::path::Path;
use std::process::Stdio;

use kube::api::DeleteParams;
use observed_e2e::{Cluster, ControlPlane, Progress};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

use super::operator::{DEPLOYMENT, Operator, SOON, Stage, observed, program};

async fn status(stage: &Stage, arguments: &[&str]) -> (i32, String, String) {
    status_of(stage.cluster.kubeconfig(), arguments).await
}

async fn status_of(kubeconfig: &Path, arguments: &[&str]) -> (i32, String, String) {
    observed(kubeconfig, &[&["status"], arguments].concat()).await
}

#[tokio::test]
async fn the_status_is_told_for_one_and_for_all_and_what_is_not_there_is_named() {
    let stage = Stage::shared("status").await;
    let here = ["-n", &stage.namespace];
    let (code, text, _) = status(&stage, &here).await;
    assert_eq!(
        (code, text.contains("There is no ObservedService")),
        (0, true),
        "{text}"
    );

    let _operator = Operator::start(&stage).await;
    stage.workload("api").await;
    stage.observe("api", "api").await;
    stage.observe("lost", "nowhere").await;
    stage.becomes("api", "DashboardLoaded", "Unknown", "NoGrafana").await;
    stage.becomes("lost", "TargetResolved", "False", "TargetNotFound").await;

    let (code, text, _) = status(&stage, &here).await;
    assert_eq!(code, 1, "nothing can be seen to work here: {text}");
    for part in [
        "Deployment nowhere",
        "TargetNotFound",
        &format!("{}/lost:", stage.namespace),
    ] {
        assert!(text.contains(part), "{part:?} is not in\n{text}");
    }
    let (code, text, _) = status(&stage, &["api", here[0], here[1]]).await;
    assert_eq!(code, 1, "{text}");
    for part in ["DashboardLoaded", "made: ServiceMonitor api", "scrape: GET /metrics"] {
        assert!(text.contains(part), "{part:?} is not in\n{text}");
    }
    let (_, text, _) = status(&stage, &[here[0], here[1], "-o", "json"]).await;
    let told: Value = serde_json::from_str(&text).unwrap();
    let names: Vec<&Value> = told["services"]
        .as_array()
        .unwrap()
        .iter()
        .map(|service| &service["name"])
        .collect();
    assert_eq!(names, ["api", "lost"]);

    let (code, text, error) = status(&stage, &["another", here[0], here[1]]).await;
    assert_eq!((code, text.as_str()), (2, ""));
    assert!(error.contains("there is no ObservedService \"another\""), "{error}");
}

#[tokio::test]
async fn a_watch_tells_what_is_and_then_each_change() {
    let stage = Stage::shared("watch").await;
    let _operator = Operator::start(&stage).await;
    stage.workload("api").await;
    stage.observe("api", "api").await;
    stage.becomes("api", "TargetResolved", "True", "Found").await;

    let mut child = Command::new(program().await)
        .args(["status", "api", "-w", "-n", &stage.namespace])
        .env("KUBECONFIG", stage.cluster.kubeconfig())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut until = async |part: &str| {
        let found = async {
            loop {
                let line = lines.next_line().await.unwrap().expect("the watch ended");
                if line.contains(part) {
                    return;
                }
            }
        };
        tokio::time::timeout(SOON, found)
            .await
            .unwrap_or_else(|_| panic!("no line has {part:?}"));
    };
    until("TargetResolved=True (Found)").await;
    stage
        .objects(DEPLOYMENT)
        .delete("api", &DeleteParams::default())
        .await
        .unwrap();
    until("TargetResolved=False (TargetNotFound)").await;
    stage.services().delete("api", &DeleteParams::default()).await.unwrap();
    until("was deleted").await;
}

#[tokio::test]
async fn a_cluster_without_observed_is_told_how_to_install_it() {
    let plane = ControlPlane {
        controller_manager: false,
    };
    let bare = Cluster::control_plane(plane, &Progress::silent()).await.unwrap();
    let output = status_of(bare.kubeconfig(), &["-A"]).await;
    assert_eq!(output.0, 2, "{output:?}");
    assert!(
        output
            .2
            .contains("kubectl apply --server-side -f manifests/install.yaml"),
        "{output:?}"
    );
}
