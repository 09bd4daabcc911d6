use observed_core::facts::LiveProbe;
use observed_core::gift::{TakeBack, Will};
use observed_crds::DELETION_POLICY_ANNOTATION;

use super::*;

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
    assert_eq!(outcomes(&client, &facts, vec![]).await, []);
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
    assert_eq!(outcomes(&client, &facts(), vec![]).await, []);
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
    assert_eq!(outcomes(&client, &facts, vec![]).await, []);
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
    let children = vec![gift_child(&[ProbeKind::Liveness])];
    assert_eq!(outcomes(&client, &facts, children).await, [ApplyOutcome::Written]);
    let probe = log.writes()[0].body["spec"]["template"]["spec"]["containers"][0]["livenessProbe"].clone();
    assert_eq!(probe["tcpSocket"], Value::Null);
    assert!(probe.as_object().unwrap().contains_key("tcpSocket"));
    assert_eq!(probe["httpGet"]["path"], "/health");
}

fn take_back() -> Child {
    let taken = TakeBack {
        container: "api".into(),
        image: "api:1".into(),
        probes: [ProbeKind::Liveness, ProbeKind::Startup].into(),
        target_uid: "target-uid".into(),
        resource_version: "100".into(),
        because: "it hurts".into(),
    };
    Child {
        body: Body::TakeBack(taken),
        ..gift_child(&[])
    }
}

#[tokio::test]
async fn a_gift_is_taken_back_in_one_patch_of_that_very_state_and_let_go_of() {
    let (client, log) = mock::client(taking(|_| (200, deployment("102", &[PROBES_MANAGER, "helm"]))));
    assert_eq!(outcome(&client, vec![take_back()]).await, ApplyOutcome::Written);
    let writes = log.writes();
    assert_eq!(writes.len(), 2, "{:?}", log.lines());
    assert_eq!(writes[0].content_type, "application/strategic-merge-patch+json");
    assert_eq!(
        writes[0].body,
        json!({
            "metadata": {
                "uid": "target-uid", "resourceVersion": "100",
                "annotations": {PROBES_ANNOTATION: null, DELETION_POLICY_ANNOTATION: null},
            },
            "spec": {"template": {"spec": {"containers": [
                {"name": "api", "livenessProbe": null, "startupProbe": null},
            ]}}},
        })
    );
    // The mock's answer to a strategic patch names our entry second.
    assert_eq!(
        writes[1].body[2],
        json!({"op": "remove", "path": "/metadata/managedFields/1"})
    );
}

#[tokio::test]
async fn what_hurts_is_taken_back_whatever_else_fails_and_nothing_is_given_then() {
    let mut base = taking(|_| (200, deployment("102", &[PROBES_MANAGER, "helm"])));
    let (client, log) = mock::client(move |asked| {
        if asked.path.ends_with("prometheusrules") {
            mock::refusal(500, "InternalError", "no")
        } else {
            base(asked)
        }
    });
    for (child, written) in [(take_back(), true), (gift_child(&[ProbeKind::Liveness]), false)] {
        let children = Children { items: vec![child] };
        let (applied, failed) = apply(&client, &facts(), children, Writing::Allowed).await;
        assert!(matches!(failed, Some(Error::List { .. })));
        assert_eq!(applied.items[0].outcome == ApplyOutcome::Written, written);
    }
    assert_eq!(log.writes().iter().filter(|asked| is_strategic(asked)).count(), 1);
}

#[tokio::test]
async fn a_gift_that_cannot_be_let_go_of_is_written_all_the_same() {
    let mut base = taking(|_| (200, deployment("102", &[PROBES_MANAGER])));
    let (client, _) = mock::client(move |asked| {
        if asked.writes() && !is_strategic(asked) {
            mock::refusal(500, "InternalError", "no")
        } else {
            base(asked)
        }
    });
    let given = outcome(&client, vec![gift_child(&[ProbeKind::Liveness])]).await;
    assert_eq!(given, ApplyOutcome::Written);
}

#[tokio::test]
async fn what_becomes_of_a_gift_is_noted_without_a_word_about_the_pods_and_let_go_of() {
    for (policy, noted) in [
        (DeletionPolicy::Remove, json!("Remove")),
        (DeletionPolicy::Release, Value::Null),
    ] {
        let (client, log) = mock::client(taking(|_| (200, deployment("102", &[PROBES_MANAGER]))));
        let will = Will {
            policy,
            target_uid: "target-uid".into(),
            resource_version: "100".into(),
        };
        let note = Child {
            body: Body::Will(will),
            ..gift_child(&[])
        };
        assert_eq!(outcome(&client, vec![note]).await, ApplyOutcome::Written);
        let writes = log.writes();
        assert_eq!(writes.len(), 2, "{:?}", log.lines());
        let meta = json!({
            "uid": "target-uid", "resourceVersion": "100", "annotations": {DELETION_POLICY_ANNOTATION: noted},
        });
        assert_eq!(writes[0].body, json!({"metadata": meta}));
    }
}
