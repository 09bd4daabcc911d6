//! Somebody who writes at the very moment at which the operator does keeps what they wrote.

use std::sync::Arc;

use futures::FutureExt;
use kube::ResourceExt;
use kube::api::{DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use super::super::operator::{CONFIG_MAP, DEPLOYMENT, MONITOR, Stage};
use super::plan::{Step, WORKLOADS};
use super::scene::Scene;

const PLAIN: &str = "{targetRef: {name: shop}, probes: {preflight: {window: 1s}}}";

/// Plays on until the rival has written and everything is quiet.
async fn until_met(scene: &Scene) {
    let look = async || {
        if scene.proxy.met() {
            Ok(())
        } else {
            Err("the rival has not written yet")
        }
    };
    observed_e2e::wait::until(std::time::Duration::from_secs(60), "the rival", look)
        .await
        .unwrap();
    scene.is_quiet().await.unwrap();
}

/// A probe that its owner sets while the gift is on its way. What stands there afterwards, and whether it is theirs alone.
async fn probe_of_a_rival(wrong: Option<&'static str>) -> bool {
    let scene = Scene::of(&WORKLOADS[0], wrong).await;
    let stage = Arc::clone(&scene.stage);
    let set =
        move || {
            let stage = Arc::clone(&stage);
            async move {
            let theirs = json!({"spec": {"template": {"spec": {"containers": [
                {"name": "shop", "livenessProbe": {"httpGet": {"path": "/mine", "port": "http"}, "periodSeconds": 17}},
            ]}}}});
            let somebody = PatchParams {
                field_manager: Some("somebody".into()),
                ..PatchParams::default()
            };
            let deployments = stage.objects(DEPLOYMENT);
            deployments.patch("shop", &somebody, &Patch::Strategic(theirs)).await.unwrap();
        }
        .boxed()
        };
    scene.proxy.rival("give to deployments/shop", Box::new(set));
    scene.step(Step::Target("shop")).await;
    scene.step(Step::Observe(PLAIN)).await;
    until_met(&scene).await;
    let found = scene.stage.objects(DEPLOYMENT).get("shop").await.unwrap();
    let probe = &found.data["spec"]["template"]["spec"]["containers"][0]["livenessProbe"];
    probe["httpGet"]["path"] == "/mine" && probe["periodSeconds"] == 17
}

/// A ConfigMap that somebody makes under the name of a child, right before it is made. Whether it stays as it was made.
async fn object_of_a_rival(wrong: Option<&'static str>) -> bool {
    let scene = Scene::of(&WORKLOADS[0], wrong).await;
    let stage = Arc::clone(&scene.stage);
    let make = move || {
        let stage = Arc::clone(&stage);
        async move { theirs(&stage, CONFIG_MAP, "shop-dashboard", json!({"data": {"theirs": "1"}})).await }.boxed()
    };
    scene.proxy.rival("PATCH configmaps/shop-dashboard", Box::new(make));
    scene.step(Step::Target("shop")).await;
    scene.step(Step::Observe(PLAIN)).await;
    until_met(&scene).await;
    is_theirs(&scene.stage, CONFIG_MAP, "shop-dashboard").await
}

/// A monitor that somebody puts in the place of ours, right before that is deleted. Whether it is still there.
async fn object_in_place_of_ours(wrong: Option<&'static str>) -> bool {
    let scene = Scene::of(&WORKLOADS[0], wrong).await;
    scene.step(Step::Target("shop")).await;
    scene.step(Step::Observe(PLAIN)).await;
    scene.stage.appears(MONITOR, "shop").await;
    scene.is_quiet().await.unwrap();
    let stage = Arc::clone(&scene.stage);
    let replace = move || {
        let stage = Arc::clone(&stage);
        async move {
            stage
                .objects(MONITOR)
                .delete("shop", &DeleteParams::default())
                .await
                .unwrap();
            theirs(
                &stage,
                MONITOR,
                "shop",
                json!({"spec": {"selector": {}, "endpoints": []}}),
            )
            .await;
        }
        .boxed()
    };
    scene.proxy.rival("DELETE servicemonitors/shop", Box::new(replace));
    // Without a Service the pods are scraped by a PodMonitor.
    scene.step(Step::NoService("shop")).await;
    until_met(&scene).await;
    is_theirs(&scene.stage, MONITOR, "shop").await
}

/// Somebody makes an object.
async fn theirs(stage: &Stage, kind: (&str, &str, &str), name: &str, mut object: Value) {
    object["apiVersion"] = json!(kind.0);
    object["kind"] = json!(kind.1);
    object["metadata"] = json!({"name": name});
    let somebody = PostParams {
        field_manager: Some("somebody".into()),
        ..PostParams::default()
    };
    let object: DynamicObject = serde_json::from_value(object).unwrap();
    stage.objects(kind).create(&somebody, &object).await.unwrap();
}

/// Whether it is there, and theirs alone.
async fn is_theirs(stage: &Stage, kind: (&str, &str, &str), name: &str) -> bool {
    let found = stage.objects(kind).get_opt(name).await.unwrap();
    found.is_some_and(|found| found.labels().is_empty() && found.managed_fields().len() == 1)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_probe_that_its_owner_sets_meanwhile_stays_and_an_operator_that_looks_at_no_version_is_noticed() {
    let (right, wrong) = tokio::join!(probe_of_a_rival(None), probe_of_a_rival(Some("no-resource-version")));
    assert!(right, "the owner's probe was changed");
    assert!(!wrong, "the wrong operator was not noticed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_object_that_somebody_makes_meanwhile_stays_and_an_operator_that_forces_is_noticed() {
    let (right, wrong) = tokio::join!(object_of_a_rival(None), object_of_a_rival(Some("force")));
    assert!(right, "their object was joined");
    assert!(!wrong, "the wrong operator was not noticed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_object_in_the_place_of_ours_is_not_deleted_and_an_operator_that_deletes_by_name_is_noticed() {
    let (right, wrong) = tokio::join!(
        object_in_place_of_ours(None),
        object_in_place_of_ours(Some("deletes-by-name"))
    );
    assert!(right, "their object was deleted");
    assert!(!wrong, "the wrong operator was not noticed");
}
