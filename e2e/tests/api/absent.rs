//! A cluster without prometheus-operator: what can be done is done, the rest is picked up when it comes.

use observed_e2e::Progress;

use super::operator::{MONITOR, Monitoring, Operator, RULE, Stage};

#[tokio::test]
async fn kinds_that_are_not_served_are_told_and_picked_up_when_they_appear() {
    let stage = Stage::own(Monitoring::Absent, "absent").await;
    let _operator = Operator::start(&stage).await;
    stage.workload("api").await;
    stage.observe("api", "api").await;
    stage.becomes("api", "DashboardLoaded", "Unknown", "NoGrafana").await;
    for condition in ["ScrapeVerified", "RulesHealthy"] {
        let message = stage.becomes("api", condition, "Unknown", "KindNotServed").await;
        assert!(message.contains("prometheus-operator"), "{condition}: {message}");
    }
    stage
        .cluster
        .install_monitoring_crds(&Progress::silent())
        .await
        .unwrap();
    stage.appears(MONITOR, "api").await;
    stage.appears(RULE, "api").await;
}
