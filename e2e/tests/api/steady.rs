//! The steady state writes nothing.

use std::collections::BTreeMap;

use kube::ResourceExt;
use kube::api::{ListParams, Patch, PatchParams};
use observed_e2e::wait;
use serde_json::json;

use super::operator::{CONFIG_MAP, DEPLOYMENT, MONITOR, Operator, RULE, SOON, Stage};

/// The resourceVersion of everything that the operator could write to.
async fn versions(stage: &Stage) -> BTreeMap<String, Option<String>> {
    let mut versions = BTreeMap::new();
    let service = ("observed.rs/v1alpha1", "ObservedService", "observedservices");
    for kind in [service, MONITOR, RULE, CONFIG_MAP, DEPLOYMENT] {
        for object in stage.objects(kind).list(&ListParams::default()).await.unwrap() {
            versions.insert(format!("{} {}", kind.1, object.name_any()), object.resource_version());
        }
    }
    versions
}

/// Waits until the operator has looked twice without writing.
async fn settled(stage: &Stage, operator: &Operator) {
    let look = async || {
        let before = (operator.counter("observed_writes_total").await, versions(stage).await);
        operator.reconciles(2.0).await;
        let after = (operator.counter("observed_writes_total").await, versions(stage).await);
        if before == after {
            Ok(())
        } else {
            Err(format!("{before:?}, then {after:?}"))
        }
    };
    wait::until(SOON, "the writes to end", look).await.unwrap();
}

#[tokio::test]
async fn three_resyncs_write_nothing_and_the_counter_would_have_shown_it() {
    let stage = Stage::shared("steady").await;
    let operator = Operator::start(&stage).await;
    stage.workload("api").await;
    stage.observe("api", "api").await;
    stage.becomes("api", "DashboardLoaded", "Unknown", "NoGrafana").await;
    settled(&stage, &operator).await;

    let (writes, seen) = (operator.counter("observed_writes_total").await, versions(&stage).await);
    operator.reconciles(3.0).await;
    assert_eq!(
        operator.counter("observed_writes_total").await,
        writes,
        "{}",
        operator.log()
    );
    assert_eq!(versions(&stage).await, seen);

    // The twin: one change of a child is one write more.
    let edit = Patch::Merge(json!({"spec": {"sampleLimit": 1}}));
    stage
        .objects(MONITOR)
        .patch("api", &PatchParams::default(), &edit)
        .await
        .unwrap();
    let look = async || operator.counter("observed_writes_total").await > writes;
    wait::until(SOON, "the repair to be counted", look).await.unwrap();
}

/// Requests to the API server for each look, while the operator looks so often.
async fn requests_for_a_look(operator: &Operator, looks: f64) -> f64 {
    let counted = async || {
        (
            operator.counter("rest_client_requests_total").await,
            operator.counter("controller_runtime_reconcile_total").await,
        )
    };
    let before = counted().await;
    operator.reconciles(looks).await;
    let after = counted().await;
    (after.0 - before.0) / (after.1 - before.1)
}

#[tokio::test]
async fn at_rest_the_api_server_is_not_asked_about_a_service_until_something_of_it_changes() {
    let stage = Stage::shared("rest").await;
    let operator = Operator::start(&stage).await;
    let names: Vec<String> = (0..10).map(|number| format!("api-{number}")).collect();
    for name in &names {
        stage.workload(name).await;
        stage.observe(name, name).await;
    }
    for name in &names {
        stage.becomes(name, "DashboardLoaded", "Unknown", "NoGrafana").await;
    }
    // What is asked for all services alike, and the Lease, come on top: at a look a second they are a few in ten.
    let quiet = async || match requests_for_a_look(&operator, 40.0).await {
        requests if requests < 1.0 => Ok(()),
        requests => Err(format!("{requests} requests for each look")),
    };
    wait::until(SOON, "the operator to be at rest", quiet).await.unwrap();

    // The twin: what changes all the time is read all the time.
    let changed = async || {
        for number in 0.. {
            for name in &names {
                let note = Patch::Merge(json!({"metadata": {"annotations": {"note": number.to_string()}}}));
                let deployments = stage.objects(DEPLOYMENT);
                deployments.patch(name, &PatchParams::default(), &note).await.unwrap();
            }
        }
    };
    tokio::select! {
        requests = requests_for_a_look(&operator, 40.0) => assert!(requests > 3.0, "{requests}"),
        () = changed() => {}
    }
}

#[tokio::test]
async fn an_operator_that_is_started_again_finds_everything_done() {
    let stage = Stage::shared("restart").await;
    let operator = Operator::start(&stage).await;
    stage.workload("api").await;
    stage.observe("api", "api").await;
    stage.becomes("api", "DashboardLoaded", "Unknown", "NoGrafana").await;
    settled(&stage, &operator).await;
    let seen = versions(&stage).await;
    operator.kill();
    let again = Operator::start(&stage).await;
    again.reconciles(3.0).await;
    assert_eq!(again.counter("observed_writes_total").await, 0.0, "{}", again.log());
    assert_eq!(versions(&stage).await, seen);
}

#[tokio::test]
async fn a_paused_service_is_left_alone() {
    let stage = Stage::shared("paused").await;
    let operator = Operator::start(&stage).await;
    stage.workload("api").await;
    stage.observe("api", "api").await;
    stage.becomes("api", "DashboardLoaded", "Unknown", "NoGrafana").await;
    settled(&stage, &operator).await;
    let pause = |paused: bool| {
        let services = stage.services();
        async move {
            let patch = Patch::Merge(json!({"spec": {"paused": paused}}));
            services.patch("api", &PatchParams::default(), &patch).await.unwrap();
        }
    };
    pause(true).await;
    let look = async || stage.condition("api", "Ready").await.map(|_| ());
    wait::until(SOON, "the pause to be seen", look).await.unwrap();
    let edit = Patch::Merge(json!({"spec": {"sampleLimit": 1}}));
    let edited = stage
        .objects(MONITOR)
        .patch("api", &PatchParams::default(), &edit)
        .await
        .unwrap();
    operator.reconciles(3.0).await;
    assert_eq!(
        stage.objects(MONITOR).get("api").await.unwrap().resource_version(),
        edited.resource_version()
    );
    pause(false).await;
    let look = async || {
        let now = stage
            .objects(MONITOR)
            .get("api")
            .await
            .map_err(|error| error.to_string())?;
        if now.data["spec"]["sampleLimit"] == 1 {
            Err("still as it was edited".to_owned())
        } else {
            Ok(())
        }
    };
    wait::until(SOON, "the repair after the pause", look).await.unwrap();
}

#[tokio::test]
async fn a_rule_group_that_others_added_stays_and_is_not_written_against() {
    let stage = Stage::shared("group").await;
    let operator = Operator::start(&stage).await;
    stage.workload("api").await;
    stage.observe("api", "api").await;
    stage.becomes("api", "DashboardLoaded", "Unknown", "NoGrafana").await;
    settled(&stage, &operator).await;

    let rules = json!([{"record": "theirs", "expr": "vector(1)"}]);
    let theirs = json!({
        "apiVersion": RULE.0, "kind": RULE.1, "metadata": {"name": "api"},
        "spec": {"groups": [{"name": "theirs", "rules": rules}]},
    });
    let somebody = PatchParams::apply("somebody");
    let added = stage.objects(RULE).patch("api", &somebody, &Patch::Apply(theirs)).await;
    let version = added.unwrap().resource_version();
    settled(&stage, &operator).await;
    let now = stage.objects(RULE).get("api").await.unwrap();
    assert_eq!(now.resource_version(), version, "{}", operator.log());

    // The twin: what they take out of ours is put back, and theirs stays.
    let groups = |object: &kube::api::DynamicObject| object.data["spec"]["groups"].as_array().unwrap().clone();
    let named = |groups: &[serde_json::Value]| -> Vec<String> {
        groups
            .iter()
            .map(|group| group["name"].as_str().unwrap().to_owned())
            .collect()
    };
    let whole = named(&groups(&now));
    let less = groups(&now)[1..].to_vec();
    assert_eq!(
        (less.len(), named(&less).contains(&"theirs".to_owned())),
        (whole.len() - 1, true)
    );
    let edit = Patch::Merge(json!({"spec": {"groups": less}}));
    stage
        .objects(RULE)
        .patch("api", &PatchParams::default(), &edit)
        .await
        .unwrap();
    let look = async || {
        let mut now = named(&groups(&stage.objects(RULE).get("api").await.unwrap()));
        let mut whole = whole.clone();
        now.sort();
        whole.sort();
        if now == whole { Ok(()) } else { Err(format!("{now:?}")) }
    };
    wait::until(SOON, "our group to be back", look).await.unwrap();
}
