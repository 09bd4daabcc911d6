//! What is read, with whose rights, and that nothing is written.

use observed_core::doctor::{Query, diagnose};
use serde_json::{Value, json};

use super::*;
use crate::mock::{self, Asked};

const PROXY: &str = "/api/v1/namespaces/monitoring/services/http:prometheus-main:web/proxy";

fn monitor() -> Value {
    json!({"metadata": {"name": "api", "namespace": "prod"}, "spec": {"selector": {}, "endpoints": []}})
}

fn prometheus() -> Value {
    json!({"metadata": {"name": "main", "namespace": "monitoring"}, "spec": {"serviceMonitorSelector": {"matchLabels": {"release": "kps"}}, "serviceMonitorNamespaceSelector": {}}})
}

/// A cluster with one monitor, which nobody selects and which selects nothing.
fn answer(asked: &Asked) -> (u16, Value) {
    let service = json!({
        "metadata": {"name": "prometheus-main", "namespace": "monitoring"},
        "spec": {"selector": {"prometheus": "main", "app.kubernetes.io/name": "prometheus"}, "ports": [{"name": "web", "port": 9090}]},
    });
    let data = |data: Value| (200, json!({"status": "success", "data": data}));
    match asked.path.as_str() {
        "/apis/monitoring.coreos.com/v1/servicemonitors" => mock::list(&[monitor()]),
        "/apis/monitoring.coreos.com/v1/prometheuses" => mock::list(&[prometheus()]),
        "/api/v1/namespaces/monitoring/services" => mock::list(&[service]),
        path if path == format!("{PROXY}/api/v1/targets") => data(json!({"activeTargets": null})),
        path if path == format!("{PROXY}/api/v1/rules") => data(json!({"groups": []})),
        path if path == format!("{PROXY}/api/v1/label/__name__/values") => data(json!(["up"])),
        path if path == format!("{PROXY}/api/v1/query") => {
            data(json!({"resultType": "vector", "result": [{"metric": {"job": "a"}, "value": [1, "2"]}]}))
        }
        _ => mock::list(&[]),
    }
}

fn scope() -> Scope {
    Scope {
        namespace: Some("prod".into()),
        name: None,
    }
}

#[tokio::test]
async fn a_cluster_is_read_with_nothing_but_get() {
    let (client, log) = mock::client(answer);
    let found = snapshot(&client, scope(), Servers::default()).await.unwrap();
    let ids: Vec<&str> = diagnose(&found).findings.iter().map(|finding| finding.rule).collect();
    assert_eq!(ids, ["monitor-not-selected", "monitor-without-service"]);
    assert!(log.all().len() > 30 && log.writes().is_empty());
    let answers = &found.prometheuses[0];
    assert_eq!(answers.who, "Prometheus monitoring/main");
    assert_eq!(answers.targets.as_deref(), Ok(&[][..]));
    let samples = answers.queries[&Query::EmptyPages].as_ref().unwrap();
    assert_eq!((samples[0].label("job"), samples[0].value), ("a", 2.0));
    // What is only of the namespace is only asked of the namespace.
    let lines = log.lines();
    assert!(lines.contains(&"GET pods".to_owned()), "{lines:?}");
    assert!(
        lines.contains(&"GET /apis/monitoring.coreos.com/v1/prometheuses".to_owned()),
        "{lines:?}"
    );
}

#[tokio::test]
async fn what_may_not_be_read_is_told_and_the_namespace_is_asked_where_the_cluster_may_not_be() {
    let (client, _log) = mock::client(|asked| match asked.path.as_str() {
        path if path.contains("/namespaces/prod/") && !path.ends_with("roles") => answer(asked),
        "/apis/monitoring.coreos.com/v1/thanosrulers" => mock::not_found(),
        _ => mock::refusal(403, "Forbidden", "no"),
    });
    let found = snapshot(&client, scope(), Servers::default()).await.unwrap();
    assert_eq!(found.unseen[&Kind::Role], Unseen::Forbidden);
    assert_eq!(found.unseen[&Kind::ClusterRole], Unseen::Forbidden);
    assert_eq!(found.unseen[&Kind::ThanosRuler], Unseen::NotServed);
    assert!(found.narrow.contains(&Kind::Prometheus) && found.sees(Kind::ServiceMonitor, "prod"));
    assert!(!found.sees(Kind::ServiceMonitor, "monitoring"));
    assert!(
        diagnose(&found)
            .not_run
            .iter()
            .any(|not| not.because.contains("only in namespace prod"))
    );
}

#[tokio::test]
async fn a_prometheus_behind_a_closed_proxy_is_told_with_the_way_around() {
    let (client, _log) = mock::client(|asked| match asked.path.contains("/proxy/") {
        true => mock::refusal(403, "Forbidden", "no"),
        false => answer(asked),
    });
    let found = snapshot(&client, scope(), Servers::default()).await.unwrap();
    let words = found.prometheuses[0].targets.as_ref().unwrap_err();
    assert!(
        words.contains("services/proxy") && words.contains("--prometheus"),
        "{words}"
    );
}

#[tokio::test]
async fn an_answer_that_is_none_is_told() {
    for (status, body, words) in [
        (200, json!("<html>"), "has no /data/activeTargets"),
        (200, json!({"data": {"activeTargets": 5}}), "is not understood"),
        (
            503,
            json!({"message": "no endpoints available"}),
            "no endpoints available",
        ),
    ] {
        let (client, log) = mock::client(move |asked| match asked.path.contains("/proxy/") {
            true => (status, body.clone()),
            false => answer(asked),
        });
        let found = snapshot(&client, scope(), Servers::default()).await.unwrap();
        let told = found.prometheuses[0].targets.as_ref().unwrap_err();
        assert!(told.contains(words), "{told}");
        let proxied = log.all().into_iter().filter(|asked| asked.path.contains("/proxy/"));
        assert_eq!(proxied.count(), 1, "who gives no answer is not asked more");
    }
}

#[tokio::test]
async fn who_may_read_nothing_gets_an_error_and_not_a_clean_bill() {
    let (client, _log) = mock::client(|_| mock::refusal(403, "Forbidden", "no"));
    let error = snapshot(&client, scope(), Servers::default()).await.unwrap_err();
    assert_eq!(error.to_string(), "nothing could be read: you may list none of it");
    let (client, _log) = mock::client(|_| mock::refusal(401, "Unauthorized", "who are you"));
    let error = snapshot(&client, scope(), Servers::default()).await.unwrap_err();
    assert_eq!(error.to_string(), "nothing could be read: who are you");
}

#[tokio::test]
async fn a_long_list_is_read_to_its_end() {
    let (client, _log) = mock::client(|asked| match asked.path.as_str() {
        "/apis/monitoring.coreos.com/v1/servicemonitors" if asked.query.contains("continue=more") => {
            mock::list(&[monitor()])
        }
        "/apis/monitoring.coreos.com/v1/servicemonitors" => {
            let mut page = mock::list(&[monitor()]);
            page.1["metadata"]["continue"] = json!("more");
            page
        }
        _ => answer(asked),
    });
    let found = snapshot(&client, scope(), Servers::default()).await.unwrap();
    assert_eq!(found.of(Kind::ServiceMonitor).len(), 2);
}

/// A workload with a ready pod, whose answer is given.
fn probed(asked: &Asked, answered: &(u16, Value)) -> (u16, Value) {
    let template = json!({"metadata": {"labels": {"app": "api"}}, "spec": {"containers": []}});
    let deployment = json!({
        "metadata": {"name": "api", "namespace": "prod"},
        "spec": {"selector": {"matchLabels": {"app": "api"}}, "template": template},
    });
    let pod = json!({
        "metadata": {
            "name": "api-1-a", "namespace": "prod", "labels": {"app": "api"},
            "ownerReferences": [{"kind": "ReplicaSet", "name": "api-1", "controller": true}],
        },
        "spec": {"containers": [{"name": "api", "readinessProbe": {"httpGet": {"path": "/ready?deep=1", "port": 8000, "scheme": "HTTPS"}}}]},
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]},
    });
    match asked.path.as_str() {
        "/apis/apps/v1/deployments" => mock::list(&[deployment]),
        "/api/v1/namespaces/prod/pods" => mock::list(&[pod]),
        path if path.contains("/pods/") => answered.clone(),
        _ => mock::list(&[]),
    }
}

async fn told(answered: (u16, Value)) -> (Snapshot, Vec<String>) {
    let (client, log) = mock::client(move |asked| probed(asked, &answered));
    let found = snapshot(&client, scope(), Servers::default()).await.unwrap();
    assert_eq!(log.writes().len(), 0);
    let asked = log.all().into_iter().filter(|asked| asked.path.contains("/pods/"));
    let asked = asked.map(|asked| format!("{}?{}", asked.path, asked.query)).collect();
    (found, asked)
}

#[tokio::test]
async fn a_pod_whose_readiness_never_fails_is_asked_once_and_told_by_its_answer() {
    let (found, asked) = told((200, json!([{"status": "not_ready"}, 503]))).await;
    assert_eq!(
        asked,
        ["/api/v1/namespaces/prod/pods/https:api-1-a:8000/proxy/ready?deep=1"]
    );
    let findings = diagnose(&found).findings;
    assert_eq!(findings.len(), 1);
    assert_eq!(findings[0].object.to_string(), "Deployment prod/api");
    assert!(
        findings[0].evidence.contains("holds the status 503"),
        "{}",
        findings[0].evidence
    );
    // The twins: it is well, or says that it is not by its status.
    for well in [(200, json!({"status": "ready"})), (503, json!({"status": "not_ready"}))] {
        let (found, _) = told(well).await;
        assert_eq!(diagnose(&found).findings, []);
        assert_eq!(found.not_seen(), Vec::<String>::new());
    }
}

#[tokio::test]
async fn a_pod_that_may_not_be_asked_or_cannot_be_reached_is_told_in_words() {
    for (refusal, words) in [
        (mock::refusal(403, "Forbidden", "no"), "get pods/proxy"),
        (
            mock::refusal(
                503,
                "ServiceUnavailable",
                "error trying to reach service: connection refused",
            ),
            "pod api-1-a of Deployment prod/api could not be asked through the API server: error trying to reach service",
        ),
    ] {
        let (found, _) = told(refusal).await;
        let not_run = diagnose(&found).not_run;
        let because = not_run.iter().find(|not| not.rule == "readiness-never-fails").unwrap();
        assert!(because.because.contains(words), "{because:?}");
    }
    // What a pod says itself is its answer.
    let (found, _) = told((403, json!({"detail": "log in"}))).await;
    assert!(found.probes.unwrap()[0].outcome.is_ok());
}
