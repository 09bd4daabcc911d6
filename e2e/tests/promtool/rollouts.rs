//! Marks on dashboards: a rollout is one, and what only scales the workload is none.

use std::fs;

use serde_json::{Value, json};

use super::{golden, runs};

/// The query that marks rollouts of the Deployment `llm-api` in `prod`.
fn marking() -> String {
    let text = fs::read_to_string(golden("llm-api").join("dashboard.yaml")).unwrap();
    let map: Value = serde_saphyr::from_str(&text).unwrap();
    let dashboard = map["data"].as_object().unwrap().values().next().unwrap();
    let dashboard: Value = serde_json::from_str(dashboard.as_str().unwrap()).unwrap();
    let mut marks = dashboard["annotations"]["list"].as_array().unwrap().iter();
    let rollouts = marks.find(|mark| mark["name"] == "Rollouts").unwrap();
    rollouts["expr"].as_str().unwrap().to_owned()
}

/// Whether the query gives the expected ReplicaSets at the minutes: the first has pods for ten minutes and then the
/// second; at minute 20 that one is scaled, and at minute 30 the first has the pods again. Another Deployment rolls out at 20.
async fn marks(expr: &str, expected: &[(u32, &[&str])]) -> Result<(), String> {
    let series = |metric: &str, labels: &str, values: &str| json!({"series": format!("{metric}{{namespace=\"prod\",{labels}}}"), "values": values});
    let replicas = |set: &str, values| {
        series(
            "kube_replicaset_spec_replicas",
            &format!("replicaset=\"{set}\""),
            values,
        )
    };
    let owner = |set: &str, of: &str| {
        let labels = format!("replicaset=\"{set}\",owner_kind=\"Deployment\",owner_name=\"{of}\"");
        series("kube_replicaset_owner", &labels, "1x40")
    };
    let tests = expected.iter().map(|(minute, sets)| {
        let samples = sets.iter().map(|set| json!({"labels": format!("{{replicaset=\"{set}\"}}"), "value": 1}));
        let samples: Vec<Value> = samples.collect();
        json!({"expr": format!("group by (replicaset) ({expr})"), "eval_time": format!("{minute}m"), "exp_samples": samples})
    });
    let tests: Vec<Value> = tests.collect();
    let test = json!({"evaluation_interval": "1m", "tests": [{
        "interval": "1m",
        "input_series": [
            replicas("llm-api-1", "3x9 0x19 5x9"), replicas("llm-api-2", "_x10 3x9 5x9 0x9"),
            owner("llm-api-1", "llm-api"), owner("llm-api-2", "llm-api"),
            replicas("shop-1", "0x19 3x20"), owner("shop-1", "shop"),
        ],
        "promql_expr_test": tests,
    }]});
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("test.yaml"), test.to_string()).unwrap();
    runs(&["test", "rules", "test.yaml"], directory.path()).await
}

#[tokio::test]
async fn a_rollout_and_a_rollback_are_marked_and_scaling_and_other_deployments_are_not() {
    let expected: [(u32, &[&str]); 5] = [
        (9, &[]),
        (11, &["llm-api-2"]),
        (15, &[]),
        (21, &[]),
        (31, &["llm-api-1"]),
    ];
    let expr = marking();
    marks(&expr, &expected).await.unwrap();
    // The twins: whose ReplicaSet it is does not matter; and all that has pods is a rollout.
    let (mark, owned) = expr.rsplit_once(" and on (namespace, replicaset) ").unwrap();
    assert!(marks(mark, &expected).await.is_err());
    let (now, _) = mark.split_once(" unless ").unwrap();
    assert!(
        marks(&format!("{now}) and on (namespace, replicaset) {owned}"), &expected)
            .await
            .is_err()
    );
}
