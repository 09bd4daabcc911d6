//! Which Grafana loads the dashboard, by the settings of its sidecar. No Grafana runs here: what it would load follows
//! from the Deployment. The operator has the rights of one namespace alone, and Grafana is in it.

use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use super::operator::{CONFIG_MAP, Operator, Stage};

const DEPLOYMENT: (&str, &str, &str) = ("apps/v1", "Deployment", "deployments");

async fn grafana(stage: &Stage, value: &str) {
    let env = [
        ("LABEL", "grafana_dashboard"),
        ("LABEL_VALUE", value),
        ("NAMESPACE", "ALL"),
    ];
    let env = env.map(|(name, value)| json!({"name": name, "value": value}));
    let sidecar = json!({"name": "grafana-sc-dashboard", "image": "quay.io/kiwigrid/k8s-sidecar:2.5.0", "env": env});
    let labels = json!({"app.kubernetes.io/name": "grafana"});
    let deployment = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "grafana", "namespace": stage.namespace},
        "spec": {"replicas": 0, "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [sidecar]}}},
    });
    // Not by the stage, which would take the name of the variable for that of its namespace.
    stage.cluster.apply(&deployment.to_string()).await.unwrap();
}

#[tokio::test]
async fn the_sidecar_that_loads_the_dashboard_is_named_and_so_is_what_keeps_it_from_that() {
    let stage = Stage::shared("grafana").await;
    let _operator = Operator::start(&stage).await;
    stage.workload("api").await;
    stage.observe("api", "api").await;
    let becomes = async |status: &str, reason: &str, words: &str| {
        let message = stage.becomes("api", "DashboardLoaded", status, reason).await;
        assert!(message.contains(words), "{message}");
    };
    becomes("Unknown", "NoGrafana", "alone").await;

    // In the rest of the cluster there may be another one, so that this is no fault.
    grafana(&stage, "true").await;
    becomes(
        "Unknown",
        "NotSelected",
        "grafana_dashboard=true, and it has grafana_dashboard=1",
    )
    .await;
    grafana(&stage, "1").await;
    becomes("True", "Loaded", "grafana_dashboard=1 in all namespaces").await;

    // As people copy: with all labels, under another name.
    let ours = stage.appears(CONFIG_MAP, "api-dashboard").await;
    let copy = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "data": ours.data["data"],
        "metadata": {"name": "mine", "namespace": stage.namespace, "labels": ours.metadata.labels},
    });
    stage.apply(&copy.to_string()).await;
    becomes("False", "DashboardTaken", "the same uid and title and key").await;
    let edited: Value = json!({"data": {"mine.json": r#"{"uid": "mine", "title": "Mine", "panels": []}"#}, "metadata": {"labels": {"app.kubernetes.io/managed-by": "me"}}});
    let keys = ours.data["data"].as_object().unwrap().keys();
    let gone: serde_json::Map<String, Value> = keys.map(|key| (key.clone(), Value::Null)).collect();
    let maps = stage.objects(CONFIG_MAP);
    for patch in [edited, json!({"data": gone})] {
        maps.patch("mine", &PatchParams::default(), &Patch::Merge(&patch))
            .await
            .unwrap();
    }
    becomes("True", "Loaded", "").await;
    stage
        .objects(DEPLOYMENT)
        .delete("grafana", &Default::default())
        .await
        .unwrap();
    becomes("Unknown", "NoGrafana", "--grafana-url").await;
}
