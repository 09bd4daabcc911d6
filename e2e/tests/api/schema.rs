//! The CRD on a real API server: what it refuses and in which words, what it defaults, what it prints.

use std::process::Command;

use kube::api::{DynamicObject, Patch, PatchParams};
use serde_json::{Value, json};

use super::operator::Stage;

const SERVICE: (&str, &str, &str) = ("observed.rs/v1alpha1", "ObservedService", "observedservices");

/// What the API server says to a spec, without keeping it.
async fn offered(stage: &Stage, name: &str, spec: &Value) -> Result<DynamicObject, String> {
    let object = json!({"apiVersion": SERVICE.0, "kind": SERVICE.1, "metadata": {"name": name}, "spec": spec});
    let params = PatchParams::apply("a-test").dry_run().validation_strict();
    stage
        .objects(SERVICE)
        .patch(name, &params, &Patch::Apply(object))
        .await
        .map_err(|error| error.to_string())
}

fn with(path: &str, value: Value) -> Value {
    let mut spec = json!({"targetRef": {"name": "api"}});
    let mut place = &mut spec;
    for key in path.split('.') {
        place = &mut place[key];
    }
    *place = value;
    spec
}

#[tokio::test]
async fn what_is_wrong_is_refused_in_words_and_its_twin_is_taken() {
    let stage = Stage::shared("schema").await;
    let long = "x".repeat(300);
    for (path, wrong, words, right) in [
        (
            "targetRef.kind",
            json!("CronJob"),
            "Unsupported value: \"CronJob\"",
            json!("StatefulSet"),
        ),
        ("targetRef.name", json!("Not_A_Name"), "should match", json!("a-name")),
        ("targetRef.container", json!(""), "at least 1 chars long", json!("api")),
        ("tragetRef", json!({}), "field not declared in schema", Value::Null),
        ("probes.mode", json!("Force"), "Unsupported value", json!("Observe")),
        (
            "probes.liveness",
            json!({"httpGet": {"path": "/a"}, "tcpSocket": {}}),
            "give one handler",
            json!({"tcpSocket": {}}),
        ),
        (
            "probes.liveness",
            json!({"timeoutSeconds": 9, "periodSeconds": 5}),
            "must not be greater",
            json!({"timeoutSeconds": 5, "periodSeconds": 5}),
        ),
        (
            "probes.liveness.httpGet",
            json!({"path": "health"}),
            "should match",
            json!({"path": "/health"}),
        ),
        (
            "probes.liveness.httpGet",
            json!({"path": "/../etc"}),
            "must not contain '..'",
            json!({"path": "/etc"}),
        ),
        (
            "probes.readiness.httpGet",
            json!({"path": "/a", "port": 70000}),
            "from 1 to 65535",
            json!({"path": "/a", "port": 7000}),
        ),
        (
            "scrape.port",
            json!("UPPER"),
            "port is a container port's name",
            json!("upper"),
        ),
        ("scrape.interval", json!("fast"), "should match", json!("15s")),
        (
            "scrape.limits.samples",
            json!(0),
            "greater than or equal to 1",
            json!(1),
        ),
        (
            "signals.histograms",
            json!("Exponential"),
            "Unsupported value",
            json!("Native"),
        ),
        (
            "dependencies",
            json!([{"name": "db", "type": "PostgreSQL"}]),
            "scrapedFrom: required for this type",
            json!([{"name": "models", "type": "HTTP", "host": "models.example.com"}]),
        ),
        (
            "dependencies",
            json!([{"name": "models", "type": "HTTP"}]),
            "needs scrapedFrom",
            json!([{"name": "models", "type": "HTTP", "scrapedFrom": {"job": "blackbox", "instance": "https://models.example.com/health"}}]),
        ),
        (
            "dependencies",
            json!([{"name": "cache", "type": "Redis", "scrapedFrom": {"job": "redis-exporter"}, "host": "cache"}]),
            "host: only for dependencies of the type HTTP",
            json!([{"name": "cache", "type": "Redis", "scrapedFrom": {"job": "redis-exporter"}}]),
        ),
        (
            "dependencies",
            json!([{"name": "models", "type": "HTTP", "host": "https://models.example.com"}]),
            "should match",
            json!([{"name": "models", "type": "HTTP", "host": "10.0.0.7"}]),
        ),
        (
            "objectives",
            json!([{"name": "a", "target": "100%", "sli": {"errorRatio": {}}}]),
            "should match",
            json!([{"name": "a", "target": "99.9%", "sli": {"errorRatio": {}}}]),
        ),
        (
            "objectives",
            json!([{"name": "a", "target": "0.0%", "sli": {"errorRatio": {}}}]),
            "a target of 0% promises nothing",
            json!([{"name": "a", "target": "0.1%", "sli": {"errorRatio": {}}}]),
        ),
        (
            "objectives",
            json!([{"name": "a", "target": "99%", "window": "6d", "sli": {"errorRatio": {}}}]),
            "should match",
            json!([{"name": "a", "target": "99%", "window": "7d", "sli": {"errorRatio": {}}}]),
        ),
        (
            "objectives",
            json!([{"name": "a", "target": "99%", "sli": {"errorRatio": {}, "latency": {"below": "5s"}}}]),
            "exactly one of errorRatio, latency, ratio and expr",
            json!([{"name": "a", "target": "99%", "sli": {"latency": {"below": "5s"}}}]),
        ),
        (
            "objectives",
            json!([{"name": "a", "target": "99%", "sli": {"ratio": {"total": "a_total"}}}]),
            "one of good and bad",
            json!([{"name": "a", "target": "99%", "sli": {"ratio": {"bad": "b_total", "total": "a_total"}}}]),
        ),
        (
            "objectives",
            json!([{"name": "a", "target": "99%", "sli": {"expr": {"total": "sum(increase(a_total[5m]))"}}}]),
            "one of good and bad",
            json!([{"name": "a", "target": "99%", "sli": {"expr": {"bad": "sum(increase(b_total[5m]))", "total": "sum(increase(a_total[5m]))"}}}]),
        ),
        (
            "objectives",
            json!([{"name": "a", "target": "99%", "sli": {"errorRatio": {}}, "alerts": {"page": "Disabled"}}]),
            "says why in because",
            json!([{"name": "a", "target": "99%", "sli": {"errorRatio": {}}, "alerts": {"page": "Disabled", "because": "OPS-1"}}]),
        ),
        (
            "objectives",
            json!([{"name": "a", "target": "99%", "sli": {"errorRatio": {}}}, {"name": "a", "target": "98%", "sli": {"errorRatio": {}}}]),
            "duplicate entries",
            json!([{"name": "a", "target": "99%", "sli": {"errorRatio": {}}}, {"name": "b", "target": "98%", "sli": {"errorRatio": {}}}]),
        ),
        (
            "signals.packs",
            json!(["http", "http"]),
            "duplicate entries",
            json!(["http"]),
        ),
        (
            "signals.rename",
            json!({"a": "b-c"}),
            "new name is a Prometheus name",
            json!({"a": "b_c"}),
        ),
        (
            "signals.alerts",
            json!({"A": {"above": "1", "below": "1"}}),
            "not both",
            json!({"A": {"above": "1"}}),
        ),
        (
            "signals.alerts",
            json!({"A": {"state": "Disabled"}}),
            "says why",
            json!({"A": {"state": "Disabled", "because": "OPS-1"}}),
        ),
        (
            "signals.alerts",
            json!({"A": {"above": "a lot"}}),
            "should match",
            json!({"A": {"above": "0.5"}}),
        ),
        (
            "dashboards.labels",
            json!({"a b": "c"}),
            "must be Kubernetes labels",
            json!({"a": "c"}),
        ),
        ("dashboards.folder", json!(long), "128", json!("Team A")),
        (
            "dashboards.logsURL",
            json!("javascript:alert(1)"),
            "should match",
            json!("https://logs.example.org/?namespace=${namespace}&app=${service}"),
        ),
        (
            "runbooks",
            json!({"baseURL": "javascript:alert(1)"}),
            "should match",
            json!({"baseURL": "https://runbooks.example.org"}),
        ),
        ("paused", json!("yes"), "expected boolean", json!(true)),
    ] {
        let refused = offered(&stage, "a", &with(path, wrong.clone())).await;
        let said = refused.expect_err(&format!("{path}: {wrong} was taken"));
        assert!(said.contains(words), "{path}: {wrong}: {said:?} does not say {words:?}");
        if !right.is_null() {
            let taken = offered(&stage, "a", &with(path, right.clone())).await;
            assert!(taken.is_ok(), "{path}: {right}: {taken:?}");
        }
    }
    let refused = offered(&stage, &"a".repeat(53), &json!({"targetRef": {"name": "api"}}))
        .await
        .unwrap_err();
    assert!(refused.contains("at most 52 characters"), "{refused}");
    offered(&stage, &"a".repeat(52), &json!({"targetRef": {"name": "api"}}))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_service_is_born_not_ready_and_listed_with_its_columns() {
    let stage = Stage::shared("born").await;
    stage.observe("api", "api").await;
    let service = stage.services().get("api").await.unwrap();
    assert_eq!(service.status.unwrap().observed_generation, Some(-1));
    let output = Command::new(stage.cluster.kubectl())
        .arg("--kubeconfig")
        .arg(stage.cluster.kubeconfig())
        .args(["-n", &stage.namespace, "get", "obs"])
        .output()
        .unwrap();
    let table = String::from_utf8(output.stdout).unwrap();
    let header: Vec<&str> = table.lines().next().unwrap_or_default().split_whitespace().collect();
    assert_eq!(
        header,
        ["NAME", "TARGET", "READY", "REASON", "TARGETS-UP", "RULES", "AGE"],
        "{table}"
    );
}
