//! Children: made, repaired, never taken from others, gone with their ObservedService.

use kube::ResourceExt;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use observed_e2e::wait;
use serde_json::json;

use super::operator::{CONFIG_MAP, DEPLOYMENT, MONITOR, Operator, RULE, SOON, Stage};

const DASHBOARD: &str = "api-dashboard";

#[tokio::test]
async fn one_service_makes_a_monitor_rules_and_a_dashboard_that_belong_to_it() {
    let stage = Stage::shared("children").await;
    let _operator = Operator::start(&stage).await;
    stage.workload("api").await;
    stage.observe("api", "api").await;
    let uid = stage.services().get("api").await.unwrap().uid();
    for (kind, name) in [(MONITOR, "api"), (RULE, "api"), (CONFIG_MAP, DASHBOARD)] {
        let child = stage.appears(kind, name).await;
        let owner = &child.owner_references()[0];
        assert_eq!(
            (Some(&owner.uid), owner.controller),
            (uid.as_ref(), Some(true)),
            "{name}"
        );
    }
    stage.becomes("api", "TargetResolved", "True", "Found").await;
    stage.becomes("api", "DashboardLoaded", "Unknown", "NoGrafana").await;
    stage.becomes("api", "ScrapeVerified", "Unknown", "Unreachable").await;
}

#[tokio::test]
async fn a_child_that_is_deleted_or_edited_is_repaired_and_what_others_added_stays() {
    let stage = Stage::shared("repair").await;
    let _operator = Operator::start(&stage).await;
    stage.workload("api").await;
    stage.observe("api", "api").await;
    let first = stage.appears(MONITOR, "api").await;
    stage.appears(RULE, "api").await;

    stage
        .objects(MONITOR)
        .delete("api", &DeleteParams::default())
        .await
        .unwrap();
    let look = || async {
        stage
            .objects(MONITOR)
            .get("api")
            .await
            .is_ok_and(|again| again.uid() != first.uid())
    };
    wait::until(SOON, "the monitor to be made anew", look).await.unwrap();

    let whole = stage.objects(RULE).get("api").await.unwrap();
    let theirs = PatchParams {
        field_manager: Some("somebody".into()),
        ..PatchParams::default()
    };
    let edit = json!({"metadata": {"labels": {"theirs": "stays"}}, "spec": {"groups": []}});
    stage
        .objects(RULE)
        .patch("api", &theirs, &Patch::Merge(edit))
        .await
        .unwrap();
    let look = || async {
        let now = stage
            .objects(RULE)
            .get("api")
            .await
            .map_err(|error| error.to_string())?;
        if now.data["spec"] == whole.data["spec"] {
            Ok(now)
        } else {
            Err(now.data["spec"].to_string())
        }
    };
    let repaired = wait::until(SOON, "the rules to be as they were", look).await.unwrap();
    assert_eq!(repaired.labels().get("theirs").map(String::as_str), Some("stays"));
}

#[tokio::test]
async fn an_object_of_somebody_else_is_never_taken_over() {
    let stage = Stage::shared("collision").await;
    stage
        .apply(&format!(
            "{{apiVersion: v1, kind: ConfigMap, metadata: {{name: {DASHBOARD}, namespace: NAMESPACE}}, data: {{theirs: text}}}}"
        ))
        .await;
    let before = stage.objects(CONFIG_MAP).get(DASHBOARD).await.unwrap();
    let _operator = Operator::start(&stage).await;
    stage.workload("api").await;
    stage.observe("api", "api").await;
    let message = stage.becomes("api", "DashboardLoaded", "False", "NameCollision").await;
    assert!(message.contains(DASHBOARD), "{message}");
    stage.appears(MONITOR, "api").await;
    assert_eq!(
        stage.objects(CONFIG_MAP).get(DASHBOARD).await.unwrap(),
        before,
        "it was changed"
    );

    stage
        .objects(CONFIG_MAP)
        .delete(DASHBOARD, &DeleteParams::default())
        .await
        .unwrap();
    stage.becomes("api", "DashboardLoaded", "Unknown", "NoGrafana").await;
}

#[tokio::test]
async fn children_go_with_their_service_and_the_workload_is_left_as_it_is() {
    let stage = Stage::shared("deletion").await;
    let _operator = Operator::start(&stage).await;
    stage.workload("api").await;
    stage.observe("api", "api").await;
    for (kind, name) in [(MONITOR, "api"), (RULE, "api"), (CONFIG_MAP, DASHBOARD)] {
        stage.appears(kind, name).await;
    }
    let generation = stage.objects(DEPLOYMENT).get("api").await.unwrap().metadata.generation;
    stage.services().delete("api", &DeleteParams::default()).await.unwrap();
    for (kind, name) in [(MONITOR, "api"), (RULE, "api"), (CONFIG_MAP, DASHBOARD)] {
        stage.vanishes(kind, name).await;
    }
    let after = stage.objects(DEPLOYMENT).get("api").await.unwrap();
    assert_eq!(after.metadata.generation, generation);
    let ours = |entry: &&_| matches!(entry, k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry { manager: Some(manager), .. } if manager.starts_with("observed"));
    assert!(
        !after.managed_fields().iter().any(|entry| ours(&entry)),
        "{:?}",
        after.managed_fields()
    );
}

#[tokio::test]
async fn a_service_that_is_made_anew_gets_its_children_even_where_the_old_ones_were_orphaned() {
    let stage = Stage::shared("anew").await;
    let _operator = Operator::start(&stage).await;
    stage.workload("api").await;
    stage.observe("api", "api").await;
    stage.appears(RULE, "api").await;
    let old = stage.services().get("api").await.unwrap().uid();
    stage.services().delete("api", &DeleteParams::orphan()).await.unwrap();
    stage
        .vanishes(("observed.rs/v1alpha1", "ObservedService", "observedservices"), "api")
        .await;
    stage.observe("api", "api").await;
    let new = stage.services().get("api").await.unwrap().uid();
    assert_ne!(old, new);
    for (kind, name) in [(MONITOR, "api"), (RULE, "api"), (CONFIG_MAP, DASHBOARD)] {
        let look = || async {
            let child = stage.objects(kind).get(name).await.map_err(|error| error.to_string())?;
            let owners: Vec<_> = child.owner_references().iter().map(|owner| owner.uid.clone()).collect();
            if owners.iter().eq(new.iter()) {
                Ok(())
            } else {
                Err(format!("{owners:?}"))
            }
        };
        wait::until(SOON, &format!("{name} to belong to the new one"), look)
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn one_workload_belongs_to_the_older_of_two_services_until_that_is_gone() {
    let stage = Stage::shared("rivals").await;
    let _operator = Operator::start(&stage).await;
    stage.workload("api").await;
    stage.observe("first", "api").await;
    stage.becomes("first", "TargetResolved", "True", "Found").await;
    stage.observe("second", "api").await;
    let message = stage.becomes("second", "TargetResolved", "False", "TargetTaken").await;
    assert!(message.contains("first"), "{message}");
    assert!(stage.objects(MONITOR).get_opt("second").await.unwrap().is_none());
    stage
        .services()
        .delete("first", &DeleteParams::default())
        .await
        .unwrap();
    stage.becomes("second", "TargetResolved", "True", "Found").await;
    stage.appears(MONITOR, "second").await;
}

#[tokio::test]
async fn a_workload_that_does_not_exist_is_waited_for_and_found() {
    let stage = Stage::shared("waiting").await;
    let operator = Operator::start(&stage).await;
    stage.observe("api", "api").await;
    let message = stage.becomes("api", "TargetResolved", "False", "TargetNotFound").await;
    assert!(message.contains("\"api\""), "{message}");
    operator.reconciles(2.0).await;
    assert!(stage.objects(MONITOR).get_opt("api").await.unwrap().is_none());
    stage.workload("api").await;
    stage.becomes("api", "TargetResolved", "True", "Found").await;
    stage.appears(MONITOR, "api").await;
    // And gone again: what was made stays until the service goes, and the status says so.
    stage
        .objects(DEPLOYMENT)
        .delete("api", &DeleteParams::default())
        .await
        .unwrap();
    stage.becomes("api", "TargetResolved", "False", "TargetNotFound").await;
}

#[tokio::test]
async fn pods_that_no_service_selects_are_scraped_by_a_pod_monitor() {
    const POD_MONITOR: (&str, &str, &str) = ("monitoring.coreos.com/v1", "PodMonitor", "podmonitors");
    let stage = Stage::shared("pods").await;
    let _operator = Operator::start(&stage).await;
    stage.workload("api").await;
    let services = kube::Api::<k8s_openapi::api::core::v1::Service>::namespaced(stage.client.clone(), &stage.namespace);
    let service = services.get("api").await.unwrap();
    services.delete("api", &DeleteParams::default()).await.unwrap();
    stage.observe("api", "api").await;
    stage.appears(POD_MONITOR, "api").await;
    assert!(stage.objects(MONITOR).get_opt("api").await.unwrap().is_none());
    // The Service comes: one monitor takes the place of the other.
    let mut again = k8s_openapi::api::core::v1::Service {
        spec: service.spec,
        ..Default::default()
    };
    again.metadata.name = Some("api".into());
    again.metadata.labels = service.metadata.labels;
    if let Some(spec) = &mut again.spec {
        (spec.cluster_ip, spec.cluster_ips) = (None, None);
    }
    services.create(&PostParams::default(), &again).await.unwrap();
    stage.appears(MONITOR, "api").await;
    stage.vanishes(POD_MONITOR, "api").await;
}

/// What the operator relies on where it makes a child: an object that somebody makes at that moment stays theirs.
#[tokio::test]
async fn an_apply_with_a_resource_version_that_no_object_has_makes_one_and_never_joins_one() {
    let stage = Stage::shared("make").await;
    let maps = stage.objects(CONFIG_MAP);
    let body = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "data": {"ours": "1"},
        "metadata": {"name": "child", "resourceVersion": "1"},
    });
    let ours = PatchParams::apply("observed");
    let made = maps.patch("child", &ours, &Patch::Apply(&body)).await.unwrap();
    assert_eq!(made.data["data"], json!({"ours": "1"}));
    let again = maps.patch("child", &ours, &Patch::Apply(&body)).await.unwrap_err();
    assert!(
        matches!(&again, kube::Error::Api(status) if status.code == 409),
        "{again}"
    );

    maps.delete("child", &DeleteParams::default()).await.unwrap();
    let theirs: kube::api::DynamicObject = serde_json::from_value(json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "child"}, "data": {"theirs": "1"},
    }))
    .unwrap();
    maps.create(&PostParams::default(), &theirs).await.unwrap();
    for ours in [ours.clone(), ours.force()] {
        let joined = maps.patch("child", &ours, &Patch::Apply(&body)).await;
        assert!(
            matches!(&joined, Err(kube::Error::Api(status)) if status.code == 409),
            "{joined:?}"
        );
    }
    assert_eq!(maps.get("child").await.unwrap().data["data"], json!({"theirs": "1"}));
}

/// What the operator relies on where it writes a status: it reaches the very service that was looked at.
#[tokio::test]
async fn a_status_is_tied_to_a_service_by_its_resource_version_and_not_by_its_uid() {
    let stage = Stage::shared("successor").await;
    stage.observe("api", "api").await;
    let first = stage.services().get("api").await.unwrap();
    stage.services().delete("api", &DeleteParams::default()).await.unwrap();
    stage.observe("api", "api").await;
    let written = async |metadata: serde_json::Value| {
        let body = json!({
            "apiVersion": "observed.rs/v1alpha1", "kind": "ObservedService", "metadata": metadata,
            "status": {"targetsUp": "1/1"},
        });
        let ours = PatchParams::apply("observed-status").force();
        stage.services().patch_status("api", &ours, &Patch::Apply(body)).await
    };
    let refused = written(json!({"uid": first.uid(), "resourceVersion": first.resource_version()})).await;
    assert!(
        matches!(&refused, Err(kube::Error::Api(status)) if status.code == 409),
        "{refused:?}"
    );
    assert!(
        written(json!({"uid": first.uid()})).await.is_ok(),
        "the UID alone ties it to nothing"
    );
}
