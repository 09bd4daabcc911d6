//! Missing rights, and an operator that dies in the middle.

use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams};
use k8s_openapi::api::rbac::v1::ClusterRole;
use observed_e2e::{Cluster, ControlPlane, Progress};
use serde_json::json;
use tokio::sync::OnceCell;

use super::operator::{CONFIG_MAP, MONITOR, Monitoring, Operator, RULE, Stage};

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
        stage.becomes(&name, "DashboardLoaded", "True", "Applied").await;
    }
    drop(operator);
}

#[tokio::test]
async fn a_right_that_is_missing_is_told_and_holds_up_nothing_else() {
    static CLUSTER: OnceCell<Cluster> = OnceCell::const_new();
    let start = async || {
        Cluster::control_plane(ControlPlane { controller_manager: true }, &Progress::silent()).await.unwrap()
    };
    let cluster = CLUSTER.get_or_init(start).await;
    let stage = Stage::own(cluster, Monitoring::Installed, "rights").await;
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
    assert_ne!(Some(&less), whole.rules.as_ref(), "the role says nothing of prometheusrules");
    let patch = Patch::Merge(json!({"rules": less}));
    roles.patch("observed", &PatchParams::default(), &patch).await.unwrap();

    let _operator = Operator::start(&stage).await;
    stage.workload("api").await;
    stage.observe("api", "api").await;
    let message = stage.becomes("api", "RulesHealthy", "False", "Forbidden").await;
    assert!(message.contains("prometheusrules"), "{message}");
    stage.appears(MONITOR, "api").await;
    stage.becomes("api", "DashboardLoaded", "True", "Applied").await;

    roles.patch("observed", &PatchParams::default(), &Patch::Merge(json!({"rules": whole.rules}))).await.unwrap();
    stage.appears(RULE, "api").await;
    stage.services().delete("api", &DeleteParams::default()).await.unwrap();
}
