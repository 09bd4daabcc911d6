//! What pods are asked for their readiness, and what their answers mean.

use super::*;
use crate::facts::Content;

pub(super) const CASES: &[Case] = &[
    (
        "readiness-never-fails",
        "FastAPI takes the pair of content and status for the content",
        |s| says(s, Content::StatusInside(503)),
        "JSONResponse(content, status_code=503)",
    ),
    (
        "readiness-never-fails",
        "a good status, and not well",
        |s| says(s, Content::NotWell),
        "answer 503 when all is not well",
    ),
    (
        "readiness-never-fails",
        "the login page of an application",
        |s| says(s, Content::Page),
        "https port 8000 for /ready, and pod api-7d4b9c-x2x4z, which is ready, answers a page for people",
    ),
];

const POD: &str = "Pod prod/api-7d4b9c-x2x4z";

/// What the pod of the healthy cluster answers.
pub(super) fn answered(outcome: Result<AnswerOutcome, Unheard>) -> ProbeAnswer {
    let question = ProbeQuestion {
        workload: Reference {
            namespace: "prod".into(),
            kind: Kind::Deployment,
            name: "api".into(),
        },
        pod: "api-7d4b9c-x2x4z".into(),
        container: "api".into(),
        https: true,
        port: 8000,
        path: "/ready".into(),
    };
    ProbeAnswer { question, outcome }
}

fn says(snapshot: &mut Snapshot, content: Content) {
    snapshot.probes = Some(vec![answered(Ok(AnswerOutcome::Content(content)))]);
}

/// The healthy cluster, with a pod that runs and has a readiness probe.
fn running() -> Snapshot {
    let mut snapshot = healthy();
    let pod = object(&mut snapshot, POD);
    pod.value["metadata"]["ownerReferences"] =
        json!([{"kind": "ReplicaSet", "name": "api-7d4b9c", "controller": true}]);
    pod.value["spec"] = json!({"containers": [{
        "name": "api",
        "ports": [{"name": "http", "containerPort": 8000}],
        "readinessProbe": {"httpGet": {"path": "/ready", "port": "http", "scheme": "HTTPS"}},
    }]});
    pod.value["status"] = json!({"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]});
    snapshot
}

#[test]
fn a_ready_pod_is_asked_what_the_kubelet_asks_it() {
    assert_eq!(
        probe_questions(&running()),
        [answered(Ok(AnswerOutcome::Status(200))).question]
    );
    // The newest pod of a workload, and no other one.
    let mut snapshot = running();
    let mut newer = object(&mut snapshot, POD).clone();
    newer.name = "api-7d4b9c-aaaaa".into();
    newer.value["metadata"]["creationTimestamp"] = json!("2026-01-02T00:00:00Z");
    snapshot.add(newer);
    let asked = probe_questions(&snapshot);
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].pod, "api-7d4b9c-aaaaa");
}

#[test]
fn who_is_not_ready_or_is_asked_otherwise_is_not_asked() {
    let get = "/spec/containers/0/readinessProbe/httpGet";
    for (what, pointer, value) in [
        ("starts", "/status/phase", json!("Pending")),
        ("is not ready", "/status/conditions/0/status", json!("False")),
        ("ends", "/metadata/deletionTimestamp", json!("2026-01-02T00:00:00Z")),
        (
            "is somebody else's",
            "/metadata/ownerReferences/0/name",
            json!("api-admin-7d4b9c"),
        ),
        ("is nobody's", "/metadata/ownerReferences", Value::Null),
        ("has other labels", "/metadata/labels", json!({"app": "b"})),
        ("has no probe", "/spec/containers/0/readinessProbe", Value::Null),
        (
            "is asked over TCP",
            "/spec/containers/0/readinessProbe",
            json!({"tcpSocket": {"port": 1}}),
        ),
        ("has another host", &format!("{get}/host"), json!("10.0.0.1")),
        (
            "wants a header",
            &format!("{get}/httpHeaders"),
            json!([{"name": "Authorization", "value": "x"}]),
        ),
        ("has an unknown port", &format!("{get}/port"), json!("web")),
        ("leads elsewhere", &format!("{get}/path"), json!("/../../other")),
    ] {
        let mut snapshot = running();
        set(&mut snapshot, POD, pointer, value);
        assert_eq!(probe_questions(&snapshot), [], "{what}");
    }
    let mut snapshot = running();
    snapshot.scope = Scope {
        namespace: Some("prod".into()),
        name: Some("worker".into()),
    };
    assert_eq!(probe_questions(&snapshot), []);
    snapshot.scope.name = Some("api".into());
    assert_eq!(probe_questions(&snapshot).len(), 1);
}

#[test]
fn a_pod_that_may_not_be_asked_is_named_and_every_other_rule_is_run() {
    let mut snapshot = healthy();
    snapshot.probes = Some(vec![answered(Err(Unheard::Forbidden))]);
    let not_run = diagnose(&snapshot).not_run;
    assert_eq!(not_run.len(), 1);
    assert_eq!(not_run[0].rule, "readiness-never-fails");
    assert_eq!(
        not_run[0].because,
        "you may not ask pods through the API server in namespace prod (get pods/proxy)"
    );
    assert_eq!(snapshot.not_seen(), Vec::<String>::new(), "it is told once");
    // One that answers is enough to run the rule, and what the other one lacks is told.
    let silent = answered(Err(Unheard::Failed("connection refused".into())));
    snapshot.probes = Some(vec![silent, answered(Ok(AnswerOutcome::Content(Content::NotWell)))]);
    let diagnosis = diagnose(&snapshot);
    assert_eq!(
        (ids(&diagnosis), diagnosis.not_run),
        (vec!["readiness-never-fails"], Vec::new())
    );
    let told = snapshot.not_seen();
    assert!(told.len() == 1 && told[0].contains("connection refused"), "{told:?}");
    // Nobody to ask is an answer, and that nobody was asked is none.
    snapshot.probes = Some(Vec::new());
    assert_eq!(diagnose(&snapshot).not_run, []);
    snapshot.probes = None;
    assert_eq!(diagnose(&snapshot).not_run[0].because, "no pod was asked");
}
