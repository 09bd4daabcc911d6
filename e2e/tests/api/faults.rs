//! Missing rights, a webhook that is down, and an operator that dies in the middle.

use k8s_openapi::api::admissionregistration::v1::ValidatingWebhookConfiguration;
use k8s_openapi::api::rbac::v1::ClusterRole;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::{Api, ResourceExt};
use observed_crds::PROBES_MANAGER;
use observed_e2e::wait;
use serde_json::json;

use super::operator::{CONFIG_MAP, DEPLOYMENT, MONITOR, Monitoring, Operator, RULE, SOON, Stage};

#[tokio::test]
async fn an_operator_that_dies_again_and_again_converges_in_the_end() {
    const SERVICES: usize = 8;
    let stage = Stage::shared("killed").await;
    for index in 0..SERVICES {
        stage.workload(&format!("api-{index}")).await;
    }
    let mut operator = Operator::start(&stage).await;
    for index in 0..SERVICES {
        stage.observe(&format!("api-{index}"), &format!("api-{index}")).await;
        if index % 3 == 2 {
            operator.kill();
            operator = Operator::start(&stage).await;
        }
    }
    for index in 0..SERVICES {
        let name = format!("api-{index}");
        stage.appears(MONITOR, &name).await;
        stage.appears(RULE, &name).await;
        stage.appears(CONFIG_MAP, &format!("{name}-dashboard")).await;
        stage.becomes(&name, "DashboardLoaded", "Unknown", "NoGrafana").await;
    }
    drop(operator);
}

#[tokio::test]
async fn a_right_that_is_missing_is_told_and_holds_up_nothing_else() {
    let stage = Stage::own(Monitoring::Installed, "rights").await;
    let roles = Api::<ClusterRole>::all(stage.client.clone());
    let whole = roles.get("observed").await.unwrap();
    let may_not_write_rules = |role: &ClusterRole| {
        let mut less = role.rules.clone().unwrap_or_default();
        for rule in &mut less {
            let resources = rule.resources.get_or_insert_default();
            resources.retain(|resource| resource != "prometheusrules");
        }
        less.retain(|rule| rule.resources.as_ref().is_some_and(|resources| !resources.is_empty()));
        less
    };
    let less = may_not_write_rules(&whole);
    assert_ne!(
        Some(&less),
        whole.rules.as_ref(),
        "the role says nothing of prometheusrules"
    );
    let patch = Patch::Merge(json!({"rules": less}));
    roles.patch("observed", &PatchParams::default(), &patch).await.unwrap();

    let _operator = Operator::start(&stage).await;
    stage.workload("api").await;
    stage.observe("api", "api").await;
    let message = stage.becomes("api", "RulesHealthy", "False", "Forbidden").await;
    assert!(message.contains("prometheusrules"), "{message}");
    stage.appears(MONITOR, "api").await;
    stage.becomes("api", "DashboardLoaded", "Unknown", "NoGrafana").await;

    roles
        .patch(
            "observed",
            &PatchParams::default(),
            &Patch::Merge(json!({"rules": whole.rules})),
        )
        .await
        .unwrap();
    stage.appears(RULE, "api").await;
    stage.services().delete("api", &DeleteParams::default()).await.unwrap();
}

#[tokio::test]
async fn a_write_that_the_api_server_cannot_decide_is_told_and_holds_up_nothing_else() {
    let stage = Stage::shared("webhook").await;
    let webhooks = Api::<ValidatingWebhookConfiguration>::all(stage.client.clone());
    let down = serde_json::from_value(json!({
        "metadata": {"name": stage.namespace},
        "webhooks": [{
            "name": "rules.observed.test",
            "clientConfig": {"url": "https://127.0.0.1:1/nobody"},
            "rules": [{
                "apiGroups": ["monitoring.coreos.com"], "apiVersions": ["v1"],
                "operations": ["CREATE", "UPDATE"], "resources": ["prometheusrules"],
            }],
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": stage.namespace}},
            "failurePolicy": "Fail", "sideEffects": "None", "admissionReviewVersions": ["v1"], "timeoutSeconds": 1,
        }],
    }))
    .unwrap();
    webhooks.create(&PostParams::default(), &down).await.unwrap();

    let _operator = Operator::start(&stage).await;
    stage.workload("api").await;
    stage.observe("api", "api").await;
    let message = stage.becomes("api", "RulesHealthy", "Unknown", "ApiError").await;
    assert!(message.contains("rules.observed.test"), "{message}");
    stage.appears(MONITOR, "api").await;
    stage.becomes("api", "DashboardLoaded", "Unknown", "NoGrafana").await;
    assert!(stage.objects(RULE).get_opt("api").await.unwrap().is_none());

    webhooks
        .delete(&stage.namespace, &DeleteParams::default())
        .await
        .unwrap();
    stage.appears(RULE, "api").await;
    stage.becomes("api", "RulesHealthy", "Unknown", "Unreachable").await;
}

#[tokio::test]
async fn a_gift_whose_service_went_before_it_was_let_go_of_is_let_go_of_at_the_next_start() {
    let stage = Stage::shared("orphan").await;
    stage.workload("api").await;
    // What an operator leaves behind that ends between giving and letting go, beside the entry of somebody else.
    for manager in [PROBES_MANAGER, "somebody"] {
        let params = PatchParams {
            field_manager: Some(manager.into()),
            ..PatchParams::default()
        };
        let mark = Patch::Merge(json!({"metadata": {"annotations": {format!("{manager}/mark"): "x"}}}));
        stage.objects(DEPLOYMENT).patch("api", &params, &mark).await.unwrap();
    }
    let managers = async || {
        let found = stage.objects(DEPLOYMENT).get("api").await.unwrap();
        let managers = found.managed_fields().iter().filter_map(|entry| entry.manager.clone());
        managers.collect::<Vec<String>>()
    };
    let holds = |managers: &[String], manager: &str| managers.iter().any(|held| held == manager);
    assert!(holds(&managers().await, PROBES_MANAGER));

    let _operator = Operator::start(&stage).await;
    let look = async || match managers().await {
        left if holds(&left, PROBES_MANAGER) => Err(format!("{left:?}")),
        left => Ok(left),
    };
    let left = wait::until(SOON, "the entry to go", look).await.unwrap();
    assert!(holds(&left, "somebody"), "{left:?}");
}
