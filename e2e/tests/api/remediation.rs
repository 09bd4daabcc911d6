//! `observed run --remediate` beside an operator: the real rules in a real Prometheus fire, and their workload is restarted.

mod faults;

use std::path::PathBuf;

use k8s_openapi::api::apps::v1::Deployment;
use kube::Api;
use kube::api::{Patch, PatchParams};
use observed_crds::v1alpha1::{RemediationOutcome, RemediationRecord};
use observed_e2e::wait;
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use super::operator::{Monitoring, Operator, RULE, SOON, Stage, free_port, printed};
use super::servers::{self, Running};

/// What stays of a restart in the template.
const RESTARTED_AT: &str = "kubectl.kubernetes.io/restartedAt";

/// The kubeconfig of the ServiceAccount that the program says is needed, without the right to one resource.
async fn account(stage: &Stage, denied: Option<&str>) -> PathBuf {
    let home = stage.namespace.as_str();
    let printed = printed(&["rbac", "--watch-namespace", home, "--namespace", home, "--remediation"]).await;
    let objects: Vec<Value> = serde_saphyr::from_multiple(&printed).unwrap();
    let of_it = |object: &Value| {
        object["metadata"]["name"]
            .as_str()
            .unwrap()
            .starts_with("observed-remediator")
    };
    for mut object in objects.into_iter().filter(of_it) {
        if let Some(rules) = object.get_mut("rules").and_then(Value::as_array_mut) {
            let is_denied = |rule: &Value| {
                rule["resources"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .any(|r| r.as_str() == denied)
            };
            rules.retain(|rule| !is_denied(rule));
        }
        stage.cluster.apply(&object.to_string()).await.unwrap();
    }
    let kubeconfig = stage
        .cluster
        .kubeconfig_for_service_account(home, "observed-remediator")
        .await;
    kubeconfig.unwrap()
}

/// An ObservedService whose alert that there is no target fires after a second, and is acted on after another one.
fn service(mode: &str, alert: &str) -> String {
    let service = json!({
        "apiVersion": "observed.rs/v1alpha1", "kind": "ObservedService",
        "metadata": {"name": "api", "namespace": "NAMESPACE"},
        "spec": {
            "targetRef": {"name": "api"},
            "signals": {"alerts": {"TargetAbsent": {"for": "1s"}}},
            "remediation": {"mode": mode, "actions": [{"alert": alert, "action": "Restart", "after": "1s"}]},
        },
    });
    service.to_string()
}

async fn deployment(stage: &Stage) -> Deployment {
    let api: Api<Deployment> = Api::namespaced(stage.client.clone(), &stage.namespace);
    api.get("api").await.unwrap()
}

/// When the pods were last replaced, as the template says.
fn restarted_at(deployment: &Deployment) -> Option<&String> {
    deployment
        .spec
        .template
        .metadata
        .as_ref()?
        .annotations
        .as_ref()?
        .get(RESTARTED_AT)
}

async fn history(stage: &Stage) -> Vec<RemediationRecord> {
    let service = stage.services().get("api").await.unwrap();
    let remediation = service.status.unwrap_or_default().remediation;
    remediation.unwrap_or_default().history
}

/// Waits until the history ends in this outcome, and returns the last entry.
async fn ends_in(stage: &Stage, outcome: RemediationOutcome) -> RemediationRecord {
    let look = async || {
        let last = history(stage).await.pop().ok_or("nothing happened")?;
        if last.outcome == outcome {
            Ok(last)
        } else {
            Err(format!("{last:?}"))
        }
    };
    wait::until(SOON, &format!("{outcome:?}"), look).await.unwrap()
}

/// Waits until it has looked at the alerts a few times more: each look at one that fires reads its service.
async fn looks_again(remediator: &Operator) {
    let asked = || remediator.counter("rest_client_requests_total");
    let before = asked().await;
    let look = async || {
        let now = asked().await;
        if now >= before + 12.0 {
            Ok(())
        } else {
            Err(now - before)
        }
    };
    wait::until(SOON, "more looks", look).await.unwrap();
}

/// A Prometheus that evaluates the service's rules every second, in a file of the name that prometheus-operator would give
/// it; and where they were put.
async fn evaluating(stage: &Stage, uid: Option<&str>) -> (Running, String, tempfile::TempDir) {
    let rule = stage.appears(RULE, "api").await;
    let directory = tempfile::tempdir().unwrap();
    let uid = uid.map_or_else(|| rule.metadata.uid.clone().unwrap(), str::to_owned);
    let rules = directory.path().join(format!("{}-api-{uid}.yaml", stage.namespace));
    std::fs::write(&rules, servers::every_second(&rule)).unwrap();
    let config = directory.path().join("prometheus.yaml");
    let text = json!({"global": {"evaluation_interval": "1s"}, "rule_files": [rules]});
    std::fs::write(&config, text.to_string()).unwrap();
    let port = free_port();
    let running = servers::prometheus(port, &config, directory.path(), &[]).await;
    (running, format!("http://127.0.0.1:{port}"), directory)
}

/// A stage with an operator and a service that it has accepted.
async fn observed(mode: &str, alert: &str) -> (Stage, Operator) {
    // No Prometheus of another test is there to be asked.
    static PLANE: OnceCell<Stage> = OnceCell::const_new();
    let plane = PLANE.get_or_init(|| Stage::own(Monitoring::Installed, "remediation"));
    let stage = plane.await.beside("remediation").await;
    stage.workload("api").await;
    let operator = Operator::start(&stage).await;
    stage.apply(&service(mode, alert)).await;
    stage.appears(RULE, "api").await;
    (stage, operator)
}

#[tokio::test]
async fn an_alert_that_goes_on_firing_restarts_the_workload_once_and_a_dry_run_says_so_before() {
    let (stage, _operator) = observed("DryRun", "TargetAbsent").await;
    let (_prometheus, url, _files) = evaluating(&stage, None).await;
    let before = deployment(&stage).await.metadata;
    let remediator = Operator::remediator(&stage, &account(&stage, None).await, &url).await;

    let would = ends_in(&stage, RemediationOutcome::WouldAct).await;
    assert!(would.message.starts_with("Would restart Deployment api."), "{would:?}");
    looks_again(&remediator).await;
    assert_eq!(history(&stage).await, std::slice::from_ref(&would));
    assert_eq!(deployment(&stage).await.metadata.generation, before.generation);

    stage.apply(&service("Act", "TargetAbsent")).await;
    let acted = ends_in(&stage, RemediationOutcome::Acted).await;
    assert_eq!(acted.active_since, would.active_since);
    let after = deployment(&stage).await;
    assert!(restarted_at(&after).is_some(), "{after:?}");
    assert_eq!(
        after.metadata.generation,
        before.generation.map(|generation| generation + 1)
    );
    // It was given, and let go of.
    let managers = after.metadata.managed_fields.iter().flatten();
    let managers: Vec<_> = managers.filter_map(|entry| entry.manager.as_deref()).collect();
    assert!(!managers.contains(&"observed-remediation"), "{managers:?}");

    looks_again(&remediator).await;
    assert_eq!(history(&stage).await, [acted]);
    assert_eq!(deployment(&stage).await.metadata.generation, after.metadata.generation);
    let page = remediator.metrics().await;
    for outcome in ["WouldAct", "Acting", "Acted"] {
        let line = format!("observed_remediations_total{{action=\"Restart\",outcome=\"{outcome}\"}} 1\n");
        assert!(page.contains(&line), "{page}");
    }
    for name in ["RemediationWouldAct", "RemediationActed"] {
        let look = async || {
            let events: Api<k8s_openapi::api::events::v1::Event> =
                Api::namespaced(stage.client.clone(), &stage.namespace);
            let all = events
                .list(&kube::api::ListParams::default())
                .await
                .map_err(|error| error.to_string())?;
            let told: Vec<_> = all.items.iter().filter_map(|event| event.reason.clone()).collect();
            if told.iter().any(|reason| reason == name) {
                Ok(())
            } else {
                Err(format!("{told:?}"))
            }
        };
        wait::until(SOON, name, look).await.unwrap();
    }
}

#[tokio::test]
async fn an_alert_of_anybody_elses_rules_moves_nothing() {
    let (stage, _operator) = observed("Act", "TargetAbsent").await;
    // The same groups and alerts with the same labels, but not from the PrometheusRule that the operator made.
    let forged = "00000000-0000-4000-8000-000000000000";
    let (_forger, url, _files) = evaluating(&stage, Some(forged)).await;
    let kubeconfig = account(&stage, None).await;
    let remediator = Operator::remediator(&stage, &kubeconfig, &url).await;
    looks_again(&remediator).await;
    assert_eq!(history(&stage).await, []);
    assert!(restarted_at(&deployment(&stage).await).is_none());
    remediator.kill();
    // The twin: its own rules.
    stage.free_lease_of("observed-remediator").await;
    let (_prometheus, url, _files) = evaluating(&stage, None).await;
    let _remediator = Operator::remediator(&stage, &kubeconfig, &url).await;
    ends_in(&stage, RemediationOutcome::Acted).await;
    assert!(restarted_at(&deployment(&stage).await).is_some());
}

#[tokio::test]
async fn a_workload_that_is_not_settled_is_waited_for_and_a_right_that_lacks_is_told() {
    let (stage, _operator) = observed("Act", "TargetAbsent").await;
    let api: Api<Deployment> = Api::namespaced(stage.client.clone(), &stage.namespace);
    let scale = async |replicas: i32| {
        let patch = Patch::Merge(json!({"spec": {"replicas": replicas}}));
        api.patch("api", &PatchParams::default(), &patch).await.unwrap();
    };
    // Nobody runs pods here.
    scale(2).await;
    let (_prometheus, url, _files) = evaluating(&stage, None).await;
    let kubeconfig = account(&stage, Some("deployments")).await;
    let remediator = Operator::remediator(&stage, &kubeconfig, &url).await;
    let look = async || {
        let log = remediator.log();
        if log.contains("nothing could be done about an alert") && log.contains("forbidden") {
            Ok(())
        } else {
            Err(log)
        }
    };
    wait::until(SOON, "the log to say what it lacks", look).await.unwrap();
    assert_eq!(history(&stage).await, []);

    account(&stage, None).await;
    let refused = ends_in(&stage, RemediationOutcome::RefusedUnsettled).await;
    assert!(refused.message.contains("Deployment api is not settled"), "{refused:?}");
    assert!(restarted_at(&deployment(&stage).await).is_none());
    scale(0).await;
    let acted = ends_in(&stage, RemediationOutcome::Acted).await;
    assert_eq!(
        (acted.active_since, history(&stage).await.len()),
        (refused.active_since, 1)
    );
}
