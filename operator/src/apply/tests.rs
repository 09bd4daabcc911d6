use http::Method;
use observed_core::child::Child;
use observed_core::facts::{Container, LiveProbe, Target};
use observed_core::gift::{Gift, Gifted, Handler, ProbeKind, ProbeShape};
use observed_core::outputs;
use observed_crds::{MANAGER, PROBES_ANNOTATION, PROBES_MANAGER};
use serde_json::{Value, json};

use super::*;
use crate::mock::{self, Asked};

fn facts() -> Facts {
    Facts {
        namespace: "prod".into(),
        name: "api".into(),
        uid: "our-uid".into(),
        served: outputs::owned_kinds().iter().map(|kind| kind.kind.to_owned()).collect(),
        target: Some(Target {
            name: "api".into(),
            uid: "target-uid".into(),
            resource_version: "100".into(),
            containers: vec![Container {
                name: "api".into(),
                ..Default::default()
            }],
            ..Default::default()
        }),
        ..Default::default()
    }
}

fn config_map() -> Child {
    let kind = outputs::owned_kinds()
        .into_iter()
        .find(|kind| kind.kind == "ConfigMap")
        .unwrap();
    let body = json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {
            "name": "api-dashboard", "namespace": "prod",
            "labels": {"app.kubernetes.io/managed-by": "observed", "observed.rs/service": "api"},
            "annotations": {"observed.rs/owner-uid": "our-uid"},
            "ownerReferences": [{"apiVersion": "observed.rs/v1alpha1", "kind": "ObservedService", "name": "api", "uid": "our-uid", "controller": true}],
        },
        "data": {"a.json": "{}"},
    });
    Child {
        output: "dashboard",
        kind,
        name: "api-dashboard".into(),
        body: Body::Owned(body),
    }
}

/// The config map as it is when it was applied.
fn live() -> Value {
    let Body::Owned(mut live) = config_map().body else {
        unreachable!()
    };
    live["metadata"]["uid"] = json!("live-uid");
    live["metadata"]["resourceVersion"] = json!("7");
    live["metadata"]["managedFields"] =
        json!([{"manager": MANAGER, "operation": "Apply", "fieldsV1": {"f:data": {"f:a.json": {}}}}]);
    live
}

/// An API in which the config map is as given.
fn with(existing: Option<Value>) -> impl FnMut(&Asked) -> (u16, Value) + Send + 'static {
    let labelled = |object: &Value| object["metadata"]["labels"]["observed.rs/service"] == "api";
    move |asked| match (&asked.method, asked.path.rsplit('/').next().unwrap_or_default()) {
        (&Method::GET, "configmaps") => {
            mock::list(&existing.iter().filter(|o| labelled(o)).cloned().collect::<Vec<_>>())
        }
        (&Method::GET, "servicemonitors" | "podmonitors" | "prometheusrules") => mock::list(&[]),
        (&Method::GET, _) => existing.clone().map_or_else(mock::not_found, |found| (200, found)),
        (&Method::DELETE, _) => (200, json!({"kind": "Status", "apiVersion": "v1", "status": "Success"})),
        _ => (200, live()),
    }
}

async fn outcome(client: &Client, children: Vec<Child>) -> ApplyOutcome {
    let applied = apply(client, &facts(), Children { items: children }, Writing::Allowed)
        .await
        .unwrap();
    applied.items[0].outcome.clone()
}

#[tokio::test]
async fn a_child_that_does_not_exist_is_made_by_server_side_apply_and_without_force() {
    let (client, log) = mock::client(with(None));
    assert_eq!(outcome(&client, vec![config_map()]).await, ApplyOutcome::Written);
    let writes = log.writes();
    assert_eq!(writes.len(), 1);
    assert_eq!(writes[0].line(), "PATCH configmaps/api-dashboard");
    assert_eq!(writes[0].content_type, "application/apply-patch+yaml");
    assert!(
        writes[0].query.contains("fieldManager=observed") && !writes[0].query.contains("force"),
        "{}",
        writes[0].query
    );
}

#[tokio::test]
async fn a_child_that_is_as_wanted_is_not_written() {
    let (client, log) = mock::client(with(Some(live())));
    assert_eq!(outcome(&client, vec![config_map()]).await, ApplyOutcome::Unchanged);
    assert!(log.writes().is_empty(), "{:?}", log.lines());
}

#[tokio::test]
async fn a_child_that_was_edited_is_put_right_if_it_is_still_the_one_that_was_read() {
    let mut edited = live();
    edited["data"]["a.json"] = json!("broken");
    let (client, log) = mock::client(with(Some(edited)));
    assert_eq!(outcome(&client, vec![config_map()]).await, ApplyOutcome::Written);
    let writes = log.writes();
    assert_eq!(writes.len(), 1);
    assert!(writes[0].query.contains("force=true"));
    assert_eq!(writes[0].body["metadata"]["uid"], "live-uid");
    assert_eq!(writes[0].body["metadata"]["resourceVersion"], "7");
}

#[tokio::test]
async fn a_child_whose_labels_were_taken_off_is_put_right() {
    let mut edited = live();
    edited["metadata"]["labels"] = Value::Null;
    let (client, log) = mock::client(with(Some(edited)));
    assert_eq!(outcome(&client, vec![config_map()]).await, ApplyOutcome::Written);
    assert_eq!(log.writes().len(), 1);
}

#[tokio::test]
async fn an_object_of_somebody_else_is_never_written_and_its_owner_is_named() {
    for (metadata, words) in [
        (
            json!({"name": "api-dashboard", "annotations": {"meta.helm.sh/release-name": "grafana"}}),
            "Helm release \"grafana\"",
        ),
        (
            json!({"name": "api-dashboard", "labels": {"app.kubernetes.io/managed-by": "argocd"}}),
            "managed by \"argocd\"",
        ),
        (
            json!({"name": "api-dashboard", "managedFields": [{"manager": "kubectl", "operation": "Update"}]}),
            "made by \"kubectl\"",
        ),
        (
            json!({"name": "api-dashboard", "annotations": {"observed.rs/owner-uid": "another-uid"},
                "labels": {"app.kubernetes.io/managed-by": "observed", "observed.rs/service": "another"},
                "managedFields": [{"manager": MANAGER, "operation": "Apply"}],
                "ownerReferences": [{"apiVersion": "observed.rs/v1alpha1", "kind": "ObservedService", "name": "another", "uid": "another-uid", "controller": true}]}),
            "belongs to ObservedService \"another\"",
        ),
        // Somebody took it over as its controller: our mark alone does not make it ours.
        (
            json!({"name": "api-dashboard", "annotations": {"observed.rs/owner-uid": "our-uid"},
                "ownerReferences": [{"apiVersion": "v1", "kind": "Thing", "name": "t", "uid": "t-uid", "controller": true}]}),
            "belongs to Thing \"t\"",
        ),
    ] {
        let (client, log) = mock::client(with(Some(json!({"metadata": metadata, "data": {}}))));
        match outcome(&client, vec![config_map()]).await {
            ApplyOutcome::NameCollision(told) => assert!(told.contains(words), "{told:?} does not say {words:?}"),
            other => panic!("{other:?} for {metadata}"),
        }
        assert!(log.writes().is_empty(), "{:?}", log.lines());
    }
}

#[tokio::test]
async fn the_child_of_a_predecessor_of_the_same_name_is_deleted_by_its_uid_and_made_anew() {
    let mut orphan = live();
    orphan["metadata"]["annotations"]["observed.rs/owner-uid"] = json!("earlier-uid");
    orphan["metadata"]["ownerReferences"] = Value::Null;
    let (client, log) = mock::client(with(Some(orphan)));
    assert_eq!(outcome(&client, vec![config_map()]).await, ApplyOutcome::Written);
    let writes = log.writes();
    assert_eq!(
        writes.iter().map(Asked::line).collect::<Vec<_>>(),
        ["DELETE configmaps/api-dashboard", "PATCH configmaps/api-dashboard"]
    );
    assert_eq!(
        writes[0].body["preconditions"],
        json!({"uid": "live-uid", "resourceVersion": "7"})
    );
    assert!(!writes[1].query.contains("force"));
}

#[tokio::test]
async fn what_is_no_longer_rendered_is_deleted_by_its_uid() {
    let (client, log) = mock::client(with(Some(live())));
    apply(&client, &facts(), Children { items: vec![] }, Writing::Allowed)
        .await
        .unwrap();
    let writes = log.writes();
    assert_eq!(
        writes.iter().map(Asked::line).collect::<Vec<_>>(),
        ["DELETE configmaps/api-dashboard"]
    );
    assert_eq!(
        writes[0].body["preconditions"],
        json!({"uid": "live-uid", "resourceVersion": "7"})
    );
}

#[tokio::test]
async fn what_only_carries_our_label_is_not_deleted() {
    let mut foreign = live();
    foreign["metadata"]["annotations"] = Value::Null;
    foreign["metadata"]["ownerReferences"] = Value::Null;
    let (client, log) = mock::client(with(Some(foreign)));
    apply(&client, &facts(), Children { items: vec![] }, Writing::Allowed)
        .await
        .unwrap();
    assert!(log.writes().is_empty(), "{:?}", log.lines());
}

#[tokio::test]
async fn a_kind_that_is_not_served_is_not_asked_for() {
    let monitor = outputs::owned_kinds()
        .into_iter()
        .find(|kind| kind.kind == "ServiceMonitor")
        .unwrap();
    let child = Child {
        output: "service-monitor",
        kind: monitor,
        name: "api".into(),
        body: Body::Owned(json!({"metadata": {"name": "api"}})),
    };
    let (client, log) = mock::client(with(None));
    let facts = Facts {
        served: Default::default(),
        ..facts()
    };
    let applied = apply(&client, &facts, Children { items: vec![child] }, Writing::Allowed)
        .await
        .unwrap();
    assert_eq!(applied.items[0].outcome, ApplyOutcome::KindNotServed);
    assert_eq!(log.lines(), ["GET configmaps"]);
}

#[tokio::test]
async fn a_paused_service_is_neither_read_nor_written() {
    let (client, log) = mock::client(with(None));
    let children = Children {
        items: vec![config_map(), gift_child(&[ProbeKind::Liveness])],
    };
    let applied = apply(&client, &facts(), children, Writing::Paused).await.unwrap();
    assert!(
        applied
            .items
            .iter()
            .all(|applied| applied.outcome == ApplyOutcome::Paused)
    );
    assert!(log.all().is_empty());
}

#[tokio::test]
async fn what_the_api_server_decides_is_an_outcome_and_only_its_failure_is_an_error() {
    for (code, reason, expected) in [
        (404, "NotFound", Some(ApplyOutcome::KindNotServed)),
        (409, "Conflict", Some(ApplyOutcome::Conflict("no".into()))),
        (403, "Forbidden", Some(ApplyOutcome::Forbidden("no".into()))),
        (422, "Invalid", Some(ApplyOutcome::Rejected("no".into()))),
        (400, "BadRequest", Some(ApplyOutcome::Rejected("no".into()))),
        (500, "InternalError", None),
        (504, "Timeout", None),
    ] {
        let mut base = with(None);
        let (client, _) = mock::client(move |asked| {
            if asked.writes() {
                mock::refusal(code, reason, "no")
            } else {
                base(asked)
            }
        });
        let applied = apply(
            &client,
            &facts(),
            Children {
                items: vec![config_map()],
            },
            Writing::Allowed,
        )
        .await;
        assert_eq!(
            applied.ok().map(|applied| applied.items[0].outcome.clone()),
            expected,
            "{code}"
        );
    }
}

#[tokio::test]
async fn a_child_that_fails_does_not_keep_the_others_from_being_written() {
    let mut second = config_map();
    second.name = "second".into();
    let mut base = with(None);
    let (client, log) = mock::client(move |asked| {
        if asked.line() == "PATCH configmaps/api-dashboard" {
            mock::refusal(500, "InternalError", "no")
        } else {
            base(asked)
        }
    });
    let done = apply(
        &client,
        &facts(),
        Children {
            items: vec![config_map(), second],
        },
        Writing::Allowed,
    )
    .await;
    assert!(matches!(done, Err(Error::Write { .. })));
    assert!(
        log.lines().contains(&"PATCH configmaps/second".to_owned()),
        "{:?}",
        log.lines()
    );
}

fn shape() -> ProbeShape {
    let port = serde_json::from_value(json!("http")).unwrap();
    ProbeShape {
        handler: Handler::HttpGet {
            path: "/health".into(),
            port,
            scheme: "HTTP".into(),
        },
        period_seconds: 10,
        timeout_seconds: 5,
        failure_threshold: 6,
        initial_delay_seconds: 0,
    }
}

fn gift_child(kinds: &[ProbeKind]) -> Child {
    let gift = Gift {
        container: "api".into(),
        probes: kinds.iter().map(|kind| (*kind, shape())).collect(),
        gifted: Gifted {
            container: "api".into(),
            probes: kinds.iter().map(|kind| (*kind, shape().hash())).collect(),
            owner_uid: "our-uid".into(),
        },
        target_uid: "target-uid".into(),
        resource_version: "100".into(),
    };
    let kind = outputs::owned_kinds()[0];
    Child {
        output: "probes",
        kind,
        name: "api".into(),
        body: Body::Gift(gift),
    }
}

fn deployment(resource_version: &str, managers: &[&str]) -> Value {
    let entries: Vec<Value> = managers
        .iter()
        .map(|manager| json!({"manager": manager, "operation": "Update"}))
        .collect();
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {
        "name": "api", "uid": "target-uid", "resourceVersion": resource_version, "managedFields": entries}})
}

fn is_strategic(asked: &Asked) -> bool {
    asked.content_type == "application/strategic-merge-patch+json"
}

/// An API that takes the gift, and answers reads and the letting go as the test says.
fn taking(
    mut rest: impl FnMut(&Asked) -> (u16, Value) + Send + 'static,
) -> impl FnMut(&Asked) -> (u16, Value) + Send + 'static {
    move |asked| {
        if !asked.path.contains("/deployments") {
            mock::list(&[])
        } else if is_strategic(asked) {
            (200, deployment("101", &["helm", PROBES_MANAGER]))
        } else {
            rest(asked)
        }
    }
}

#[tokio::test]
async fn all_probes_are_given_in_one_patch_and_let_go_of_in_the_next() {
    let (client, log) = mock::client(taking(|_| (200, deployment("102", &["helm"]))));
    let child = gift_child(&[ProbeKind::Liveness, ProbeKind::Readiness]);
    assert_eq!(outcome(&client, vec![child]).await, ApplyOutcome::Written);

    let writes = log.writes();
    assert_eq!(writes.len(), 2, "{:?}", log.lines());
    let give = &writes[0];
    assert!(is_strategic(give) && give.query.contains("fieldManager=observed-probes") && !give.query.contains("force"));
    assert_eq!(give.body["metadata"]["uid"], "target-uid");
    assert_eq!(give.body["metadata"]["resourceVersion"], "100");
    assert!(
        give.body["metadata"]["annotations"][PROBES_ANNOTATION]
            .as_str()
            .unwrap()
            .ends_with("@our-uid")
    );
    let containers = &give.body["spec"]["template"]["spec"]["containers"];
    assert_eq!(containers.as_array().unwrap().len(), 1);
    assert_eq!(containers[0]["livenessProbe"], shape().to_json());
    assert_eq!(containers[0]["readinessProbe"], shape().to_json());
    assert_eq!(containers[0].get("startupProbe"), None);

    assert_eq!(writes[1].content_type, "application/json-patch+json");
    assert_eq!(
        writes[1].body,
        json!([
            {"op": "test", "path": "/metadata/resourceVersion", "value": "101"},
            {"op": "test", "path": "/metadata/managedFields/1/manager", "value": PROBES_MANAGER},
            {"op": "remove", "path": "/metadata/managedFields/1"},
        ])
    );
}

#[tokio::test]
async fn letting_go_looks_again_when_another_write_came_between() {
    let mut refusals = 3;
    let (client, log) = mock::client(taking(move |asked| match asked.method {
        Method::GET => (200, deployment("105", &["controller", "helm", PROBES_MANAGER])),
        _ if refusals > 0 => {
            refusals -= 1;
            mock::refusal(if refusals == 1 { 422 } else { 409 }, "Conflict", "changed")
        }
        _ => (200, deployment("106", &["controller", "helm"])),
    }));
    assert_eq!(
        outcome(&client, vec![gift_child(&[ProbeKind::Liveness])]).await,
        ApplyOutcome::Written
    );
    let last = log.writes().pop().unwrap();
    assert_eq!(last.body[0]["value"], "105");
    assert_eq!(last.body[2]["path"], "/metadata/managedFields/2");
}

#[tokio::test]
async fn a_gift_to_a_workload_that_changed_meanwhile_is_not_given() {
    let (client, log) = mock::client(|asked| {
        if asked.writes() {
            mock::refusal(409, "Conflict", "the object has been modified")
        } else {
            mock::list(&[])
        }
    });
    let told = outcome(&client, vec![gift_child(&[ProbeKind::Liveness])]).await;
    assert_eq!(told, ApplyOutcome::Conflict("the object has been modified".into()));
    assert_eq!(log.writes().len(), 1, "{:?}", log.lines());
}

#[tokio::test]
async fn what_a_crash_left_behind_is_let_go_of_with_nothing_to_give() {
    let (client, log) = mock::client(taking(|_| (200, deployment("101", &[PROBES_MANAGER, "helm"]))));
    let mut facts = facts();
    facts.target.as_mut().unwrap().held = true;
    apply(&client, &facts, Children { items: vec![] }, Writing::Allowed)
        .await
        .unwrap();
    let writes = log.writes();
    assert_eq!(writes.len(), 1, "{:?}", log.lines());
    assert_eq!(
        writes[0].body[2],
        json!({"op": "remove", "path": "/metadata/managedFields/0"})
    );
}

#[tokio::test]
async fn a_workload_that_is_not_held_is_left_alone() {
    let (client, log) = mock::client(taking(|_| (200, deployment("101", &["helm"]))));
    apply(&client, &facts(), Children { items: vec![] }, Writing::Allowed)
        .await
        .unwrap();
    assert!(
        log.lines().iter().all(|line| !line.contains("deployments")),
        "{:?}",
        log.lines()
    );
}

#[tokio::test]
async fn a_workload_of_the_same_name_that_was_made_anew_is_not_let_go_of() {
    let mut anew = deployment("200", &[PROBES_MANAGER]);
    anew["metadata"]["uid"] = json!("another-uid");
    let (client, log) = mock::client(taking(move |_| (200, anew.clone())));
    let mut facts = facts();
    facts.target.as_mut().unwrap().held = true;
    apply(&client, &facts, Children { items: vec![] }, Writing::Allowed)
        .await
        .unwrap();
    assert!(log.writes().is_empty(), "{:?}", log.lines());
}

#[tokio::test]
async fn an_update_of_an_earlier_gift_takes_its_old_handler_away() {
    let mut facts = facts();
    let earlier = ProbeShape {
        handler: Handler::TcpSocket {
            port: serde_json::from_value(json!(80)).unwrap(),
        },
        ..shape()
    };
    let live = LiveProbe {
        shape: earlier,
        owned_by: vec![],
    };
    facts.target.as_mut().unwrap().containers[0].probes = [(ProbeKind::Liveness, live)].into();
    let (client, log) = mock::client(taking(|_| (200, deployment("102", &[]))));
    apply(
        &client,
        &facts,
        Children {
            items: vec![gift_child(&[ProbeKind::Liveness])],
        },
        Writing::Allowed,
    )
    .await
    .unwrap();
    let probe = log.writes()[0].body["spec"]["template"]["spec"]["containers"][0]["livenessProbe"].clone();
    assert_eq!(probe["tcpSocket"], Value::Null);
    assert!(probe.as_object().unwrap().contains_key("tcpSocket"));
    assert_eq!(probe["httpGet"]["path"], "/health");
}
