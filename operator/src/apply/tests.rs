mod gift;

use http::Method;
use observed_core::child::Child;
use observed_core::facts::{Container, Target};
use observed_core::gift::{Gift, Gifted, Handler, ProbeKind, ProbeShape};
use observed_core::outputs;
use observed_crds::v1alpha1::DeletionPolicy;
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

/// What became of each child, where nothing failed.
async fn outcomes(client: &Client, facts: &Facts, children: Vec<Child>) -> Vec<ApplyOutcome> {
    let (applied, failed) = apply(client, facts, Children { items: children }, Writing::Allowed).await;
    assert!(failed.is_none(), "{failed:?}");
    applied.items.into_iter().map(|applied| applied.outcome).collect()
}

async fn outcome(client: &Client, children: Vec<Child>) -> ApplyOutcome {
    outcomes(client, &facts(), children).await.remove(0)
}

#[tokio::test]
async fn a_child_that_does_not_exist_is_made_by_server_side_apply_and_only_if_there_is_still_none() {
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
    assert_eq!(writes[0].body["metadata"]["resourceVersion"], "1");
}

#[tokio::test]
async fn a_child_that_is_as_wanted_is_not_written() {
    let (client, log) = mock::client(with(Some(live())));
    assert_eq!(outcome(&client, vec![config_map()]).await, ApplyOutcome::Unchanged);
    assert!(log.writes().is_empty(), "{:?}", log.lines());
}

#[tokio::test]
async fn a_child_that_a_prometheus_does_not_accept_is_left_as_it_is_with_the_words_of_prometheus_operator() {
    let told = |status: &str| {
        let mut object = live();
        object["status"] = json!({"bindings": [{"resource": "prometheuses", "name": "main", "namespace": "m", "conditions":
            [{"type": "Accepted", "status": status, "reason": "InvalidConfiguration", "message": "why"}]}]});
        object
    };
    let (client, log) = mock::client(with(Some(told("False"))));
    let words = "prometheuses m/main does not accept it: InvalidConfiguration: why";
    assert_eq!(
        outcome(&client, vec![config_map()]).await,
        ApplyOutcome::NotAccepted(words.into())
    );
    assert!(log.writes().is_empty(), "{:?}", log.lines());
    let (client, _) = mock::client(with(Some(told("True"))));
    assert_eq!(outcome(&client, vec![config_map()]).await, ApplyOutcome::Unchanged);
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
    assert_eq!(outcomes(&client, &facts(), vec![]).await, []);
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
    assert_eq!(outcomes(&client, &facts(), vec![]).await, []);
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
    assert_eq!(
        outcomes(&client, &facts, vec![child]).await,
        [ApplyOutcome::KindNotServed]
    );
    assert_eq!(log.lines(), ["GET configmaps"]);
}

#[tokio::test]
async fn a_paused_service_is_neither_read_nor_written() {
    let (client, log) = mock::client(with(None));
    let children = Children {
        items: vec![config_map(), gift_child(&[ProbeKind::Liveness])],
    };
    let (applied, failed) = apply(&client, &facts(), children, Writing::Paused).await;
    assert!(failed.is_none() && applied.items.len() == 2);
    let paused = |applied: &Applied| applied.outcome == ApplyOutcome::Paused;
    assert!(applied.items.iter().all(paused));
    assert!(log.all().is_empty());
}

#[tokio::test]
async fn what_the_api_server_decides_is_an_outcome_and_only_its_failure_is_an_error() {
    for (code, reason, expected) in [
        (404, "NotFound", ApplyOutcome::KindNotServed),
        (409, "Conflict", ApplyOutcome::Conflict("no".into())),
        (403, "Forbidden", ApplyOutcome::Forbidden("no".into())),
        (422, "Invalid", ApplyOutcome::Rejected("no".into())),
        (400, "BadRequest", ApplyOutcome::Rejected("no".into())),
        (500, "InternalError", ApplyOutcome::Failed("no".into())),
        (504, "Timeout", ApplyOutcome::Failed("no".into())),
    ] {
        let mut base = with(None);
        let (client, _) = mock::client(move |asked| {
            if asked.writes() {
                mock::refusal(code, reason, "no")
            } else {
                base(asked)
            }
        });
        let children = Children {
            items: vec![config_map()],
        };
        let (applied, failed) = apply(&client, &facts(), children, Writing::Allowed).await;
        assert_eq!(applied.items[0].outcome, expected, "{code}");
        assert_eq!(failed.is_some(), code >= 500, "{code}");
    }
}

#[tokio::test]
async fn children_that_cannot_be_listed_have_all_failed() {
    let (client, log) = mock::client(|_| mock::refusal(500, "InternalError", "no"));
    let children = Children {
        items: vec![config_map(), gift_child(&[ProbeKind::Liveness])],
    };
    let (applied, failed) = apply(&client, &facts(), children, Writing::Allowed).await;
    assert!(matches!(failed, Some(Error::List { .. })));
    let failed = |applied: &Applied| matches!(applied.outcome, ApplyOutcome::Failed(_));
    assert!(applied.items.len() == 2 && applied.items.iter().all(failed));
    assert!(log.writes().is_empty(), "{:?}", log.lines());
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
    let children = Children {
        items: vec![config_map(), second],
    };
    let (applied, failed) = apply(&client, &facts(), children, Writing::Allowed).await;
    assert!(matches!(failed, Some(Error::Write { .. })));
    assert_eq!(applied.items[1].outcome, ApplyOutcome::Written);
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
        deletion_policy: DeletionPolicy::Release,
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
