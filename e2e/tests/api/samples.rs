//! Every sample is taken by a real API server that refuses unknown fields, and the operator makes of those with a workload what they say.

use std::fs;
use std::path::Path;

use super::operator::{MONITOR, Operator, RULE, Stage};

const POD_MONITOR: (&str, &str, &str) = ("monitoring.coreos.com/v1", "PodMonitor", "podmonitors");

/// A sample in a namespace of the stage's.
fn sample(name: &str) -> String {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../manifests/samples");
    let text = fs::read_to_string(directory.join(name)).unwrap();
    let of = ["namespace: prod", "namespace: observed-system"];
    let of = of.into_iter().find(|of| text.contains(of));
    text.replace(
        of.unwrap_or_else(|| panic!("{name} is for another namespace")),
        "namespace: NAMESPACE",
    )
}

#[tokio::test]
async fn every_sample_is_taken_and_one_with_a_slip_is_not() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../manifests/samples");
    let mut taken = 0;
    for file in fs::read_dir(directory).unwrap() {
        let name = file.unwrap().file_name().into_string().unwrap();
        Stage::shared("sample").await.apply(&sample(&name)).await;
        taken += 1;
    }
    assert!(taken >= 7, "{taken}");

    let stage = Stage::shared("sample").await;
    let slip = sample("worker.yaml").replace("targetRef:", "targetReff:");
    let refused = stage.cluster.apply(&slip.replace("NAMESPACE", &stage.namespace)).await;
    let refused = format!("{:?}", refused.unwrap_err());
    assert!(refused.contains("targetReff"), "{refused}");
}

#[tokio::test]
async fn a_worker_without_http_is_scraped_by_its_pods_and_an_api_by_its_service() {
    let stage = Stage::shared("samples").await;
    let _operator = Operator::start(&stage).await;
    stage.apply(&sample("worker.yaml")).await;
    stage.apply(&sample("python-fastapi.yaml")).await;

    let monitor = stage.appears(POD_MONITOR, "worker").await;
    assert_eq!(monitor.data["spec"]["podMetricsEndpoints"][0]["port"], "metrics");
    let rules = stage.appears(RULE, "worker").await.data["spec"].to_string();
    assert!(
        rules.contains("QueueStuck") && rules.contains("ErrorBudgetBurn"),
        "{rules}"
    );
    assert!(!rules.contains("HighErrorRate"), "it answers nobody: {rules}");

    let monitor = stage.appears(MONITOR, "python-api").await;
    assert_eq!(monitor.data["spec"]["endpoints"][0]["port"], "http");
    let rules = stage.appears(RULE, "python-api").await.data["spec"].to_string();
    assert!(
        rules.contains("HighErrorRate") && !rules.contains("QueueStuck"),
        "{rules}"
    );
}
