use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::http::{StatusCode, Uri};
use axum::response::Redirect;
use axum::routing::get;
use jiff::Timestamp;
use observed_core::check::{Need, Reads};
use observed_core::facts::Selects;
use observed_core::plan::Priced;
use observed_crds::foreign::LabelSelector;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::*;
use crate::settings::{Access, Servers};

mod access;
mod advice;
mod agents;
mod alerts;
mod budget;
mod coverage;
mod dashboards;
mod exporters;
mod hostile;
mod kin;
mod routes;
mod series;
mod stale;

fn client() -> Prometheus {
    crate::mock::provide_tls();
    Prometheus::new(Servers::default()).unwrap()
}

/// A client that asks one kind of server in this way.
fn asking(server: Server, access: Access) -> Prometheus {
    crate::mock::provide_tls();
    let mut servers = Servers::default();
    *match server {
        Server::Prometheus => &mut servers.prometheus,
        Server::Alertmanager => &mut servers.alertmanager,
        Server::Grafana => &mut servers.grafana,
    } = access;
    Prometheus::new(servers).unwrap()
}

async fn serve(router: Router) -> String {
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}")
}

/// A Prometheus that answers so to both questions, and counts them.
async fn fake(targets: Value, rules: Value) -> (String, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let (one, two) = (Arc::clone(&asked), Arc::clone(&asked));
    let answer = |count: Arc<AtomicUsize>, data: Value| {
        get(async move || {
            count.fetch_add(1, Ordering::Relaxed);
            json!({"status": "success", "data": data}).to_string()
        })
    };
    let router = Router::new()
        .route("/api/v1/targets", answer(one, targets))
        .route("/api/v1/rules", answer(two, rules));
    (serve(router).await, asked)
}

/// As Prometheus 3 answers, with what is not read left in.
fn target(pool: &str, health: &str, last_error: &str) -> Value {
    json!({
        "discoveredLabels": {"__address__": "10.244.0.7:8000", "__meta_kubernetes_namespace": "prod"},
        "labels": {"container": "api", "instance": "10.244.0.7:8000", "job": "api", "namespace": "prod", "pod": "api-7d4b9c6f5-x2vqp"},
        "scrapePool": pool,
        "scrapeUrl": "http://10.244.0.7:8000/metrics",
        "globalUrl": "http://10.244.0.7:8000/metrics",
        "lastError": last_error,
        "lastScrape": Timestamp::now().to_string(),
        "lastScrapeDuration": 0.004,
        "health": health,
        "scrapeInterval": "30s",
        "scrapeTimeout": "10s",
    })
}

fn targets(list: &[Value]) -> Value {
    json!({"activeTargets": list, "droppedTargets": [], "droppedTargetCounts": {}})
}

fn group(name: &str, rules: &[(&str, &str, &str)]) -> Value {
    let rules: Vec<Value> = rules
        .iter()
        .map(|(name, health, error)| {
            json!({"name": name, "query": "up == 0", "labels": {}, "health": health, "lastError": error, "type": "recording",
                "evaluationTime": 0.0002, "lastEvaluation": Timestamp::now().to_string()})
        })
        .collect();
    json!({"name": name, "file": "/etc/prometheus/rules/prometheus-main-rulefiles-0/prod-api-0c9d.yaml", "rules": rules,
        "interval": 30, "limit": 0, "evaluationTime": 0.0004, "lastEvaluation": Timestamp::now().to_string()})
}

fn no_rules() -> Value {
    json!({"groups": []})
}

/// What is said of rules that are loaded.
fn of_loaded(verdict: Verdict) -> String {
    assert_eq!(
        (verdict.truth, verdict.reason),
        (Truth::True, Reason::RulesLoaded),
        "{verdict:?}"
    );
    verdict.message
}

const POOL: &str = "serviceMonitor/prod/api/0";

fn targets_check(expected: i32) -> Check {
    Check::Targets {
        kind: "ServiceMonitor",
        namespace: "prod".into(),
        name: "api".into(),
        labels: BTreeMap::new(),
        job: "api".into(),
        expected,
        exporters: BTreeMap::new(),
    }
}

fn rules_check(expected: usize) -> Check {
    let groups = vec!["prod.api.http".to_owned(), "prod.api.target".to_owned()];
    Check::Rules {
        namespace: "prod".into(),
        name: "api".into(),
        labels: BTreeMap::new(),
        groups,
        expected,
        reach: Duration::from_secs(30 * 86_400),
        reads: Reads::default(),
    }
}

fn prometheus(name: &str, url: &str, objects: Option<LabelSelector>) -> facts::Prometheus {
    let selects = Selects {
        objects,
        namespaces: Some(LabelSelector::default()),
    };
    facts::Prometheus {
        namespace: "monitoring".into(),
        name: name.into(),
        url: url.into(),
        retention_seconds: None,
        shards: None,
        selects: [
            ("ServiceMonitor".to_owned(), selects.clone()),
            ("PrometheusRule".to_owned(), selects),
        ]
        .into(),
    }
}

fn unlisted<'a>() -> BoxFuture<'a, Option<BTreeSet<String>>> {
    Box::pin(async { None })
}

/// Those that the facts name, and no other address.
fn backends<'a>(facts: &'a Facts, prometheus: &'a Prometheus) -> Backends<'a> {
    Backends {
        prometheus,
        prometheus_url: None,
        alertmanager_url: None,
        grafana_url: None,
        sidecars: &facts.sidecars,
        prometheuses: &facts.prometheuses,
        agents: &facts.agents,
        namespace: &facts.namespace,
        namespace_labels: &facts.namespace_labels,
        ready_pods: &unlisted,
    }
}

async fn ask(prometheuses: Vec<facts::Prometheus>, url: Option<&str>, check: Check) -> Verdict {
    ask_with(prometheuses, Vec::new(), url, check).await
}

async fn ask_with(
    prometheuses: Vec<facts::Prometheus>,
    agents: Vec<facts::Prometheus>,
    url: Option<&str>,
    check: Check,
) -> Verdict {
    let facts = Facts {
        namespace: "prod".into(),
        prometheuses,
        agents,
        ..Default::default()
    };
    let client = client();
    let backends = Backends {
        prometheus_url: url,
        ..backends(&facts, &client)
    };
    verify(&backends, &[check]).await.remove(0)
}

async fn ask_one(url: &str, check: Check) -> Verdict {
    ask(
        vec![prometheus("main", url, Some(LabelSelector::default()))],
        None,
        check,
    )
    .await
}

#[tokio::test]
async fn targets_that_are_up_are_counted() {
    let (url, _) = fake(targets(&[target(POOL, "up", ""), target(POOL, "up", "")]), no_rules()).await;
    let verdict = ask_one(&url, targets_check(2)).await;
    assert_eq!(
        (verdict.truth, verdict.reason, verdict.count),
        (Truth::True, Reason::TargetsUp, Some((2, 2)))
    );
    assert_eq!(verdict.message, "Prometheus monitoring/main scrapes 2 of 2 pods");
}

#[tokio::test]
async fn a_target_that_is_down_is_told_with_the_words_of_prometheus() {
    let down = target(POOL, "down", "server returned HTTP status 404 Not Found");
    let (url, _) = fake(targets(&[target(POOL, "up", ""), down]), no_rules()).await;
    let verdict = ask_one(&url, targets_check(2)).await;
    assert_eq!(
        (verdict.truth, verdict.reason, verdict.count),
        (Truth::False, Reason::TargetsDown, Some((1, 2)))
    );
    assert!(
        verdict
            .message
            .contains("http://10.244.0.7:8000/metrics says \"server returned HTTP status 404 Not Found\"")
    );
    assert!(verdict.message.contains("there is no page at that path"));
}

#[tokio::test]
async fn a_target_that_was_not_scraped_yet_or_is_not_known_yet_is_not_up() {
    let (url, _) = fake(
        targets(&[target(POOL, "up", ""), target(POOL, "unknown", "")]),
        no_rules(),
    )
    .await;
    let verdict = ask_one(&url, targets_check(2)).await;
    assert_eq!((verdict.reason, verdict.count), (Reason::TargetsDown, Some((1, 2))));
    let (url, _) = fake(targets(&[target(POOL, "up", "")]), no_rules()).await;
    let verdict = ask_one(&url, targets_check(2)).await;
    assert_eq!((verdict.truth, verdict.count), (Truth::False, Some((1, 2))));
}

#[tokio::test]
async fn targets_of_other_monitors_do_not_count() {
    let others = [
        target("serviceMonitor/prod/api-two/0", "up", ""),
        target("serviceMonitor/test/api/0", "up", ""),
    ];
    let (url, _) = fake(targets(&others), no_rules()).await;
    let verdict = ask_one(&url, targets_check(2)).await;
    assert_eq!(
        (verdict.truth, verdict.reason, verdict.count),
        (Truth::False, Reason::NoTargets, Some((0, 2)))
    );
}

#[tokio::test]
async fn a_workload_without_pods_has_nothing_to_verify() {
    let (url, _) = fake(json!({"activeTargets": null}), no_rules()).await;
    assert_eq!(ask_one(&url, targets_check(0)).await.truth, Truth::Unknown);
}

#[tokio::test]
async fn rules_are_healthy_when_all_are_loaded_and_evaluated() {
    let groups = [
        group("prod.api.http", &[("a", "ok", ""), ("b", "ok", "")]),
        group("prod.api.target", &[("c", "ok", "")]),
    ];
    let (url, _) = fake(targets(&[]), json!({"groups": groups})).await;
    let verdict = ask_one(&url, rules_check(3)).await;
    assert_eq!(
        (verdict.truth, verdict.reason, verdict.count),
        (Truth::True, Reason::RulesLoaded, Some((3, 3)))
    );
}

#[tokio::test]
async fn rules_that_are_missing_failing_or_not_evaluated_yet_are_told_apart() {
    let other = group("test.other.http", &[("x", "err", "not ours")]);
    for (groups, reason, words) in [
        (vec![], Reason::RulesNotLoaded, "0 of 2 rules"),
        (vec![other.clone()], Reason::RulesNotLoaded, "0 of 2 rules"),
        (
            vec![other, group("prod.api.http", &[("a", "ok", "")])],
            Reason::RulesNotLoaded,
            "1 of 2 rules",
        ),
        (
            vec![group("prod.api.http", &[("a", "ok", ""), ("b", "unknown", "")])],
            Reason::RulesNotLoaded,
            "evaluated 1",
        ),
        (
            vec![group(
                "prod.api.http",
                &[("a", "ok", ""), ("b", "err", "found duplicate series")],
            )],
            Reason::RuleFailing,
            "cannot evaluate the rule \"b\": found duplicate series",
        ),
    ] {
        let (url, _) = fake(targets(&[]), json!({"groups": groups})).await;
        let verdict = ask_one(&url, rules_check(2)).await;
        assert_eq!((verdict.truth, verdict.reason), (Truth::False, reason));
        assert!(
            verdict.message.contains(words),
            "{:?} does not say {words:?}",
            verdict.message
        );
    }
}

#[tokio::test]
async fn an_address_that_does_not_answer_is_left_alone_for_a_while() {
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let (client, url) = (client(), format!("http://{address}"));
    assert!(client.targets(&url, POOL).await.is_err());
    // Somebody answers there now, but is not asked yet.
    let listener = TcpListener::bind(address).await.unwrap();
    let router = Router::new().route(
        "/api/v1/targets",
        get(async || json!({"data": targets(&[])}).to_string()),
    );
    tokio::spawn(async move { axum::serve(listener, router).await });
    // Of targets it is known that nobody answered; of rules nobody asked.
    assert!(matches!(client.rules(&url, &[]).await, Err(Error::NoAnswer { .. })));
    assert!(super::tests::client().targets(&url, POOL).await.is_ok());
}

#[tokio::test]
async fn without_any_prometheus_it_is_unknown_and_the_setting_is_named() {
    let verdict = ask(vec![], None, targets_check(1)).await;
    assert_eq!((verdict.truth, verdict.reason), (Truth::Unknown, Reason::Unreachable));
    assert!(verdict.message.contains("--prometheus-url"));
}

#[tokio::test]
async fn an_object_that_nobody_selects_is_told_with_the_missing_label_and_nobody_is_asked() {
    let (url, asked) = fake(targets(&[]), no_rules()).await;
    let selector = LabelSelector {
        match_labels: [("release".to_owned(), "kps".to_owned())].into(),
        ..Default::default()
    };
    let verdict = ask(vec![prometheus("main", &url, Some(selector))], None, targets_check(1)).await;
    assert_eq!((verdict.truth, verdict.reason), (Truth::False, Reason::NotSelected));
    assert!(verdict.message.contains("release=kps"), "{}", verdict.message);
    assert_eq!(asked.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn it_works_when_one_of_several_works() {
    let (good, _) = fake(targets(&[target(POOL, "up", "")]), no_rules()).await;
    let (empty, _) = fake(targets(&[]), no_rules()).await;
    let all = || Some(LabelSelector::default());
    let both = vec![prometheus("a", &empty, all()), prometheus("b", &good, all())];
    let verdict = ask(both, None, targets_check(1)).await;
    assert_eq!(verdict.truth, Truth::True);
    assert!(verdict.message.contains("monitoring/b") && verdict.message.contains("2 Prometheus select it"));
}

#[tokio::test]
async fn the_address_of_the_setting_is_asked_instead_of_all_others_and_once() {
    let (good, asked) = fake(targets(&[target(POOL, "up", "")]), no_rules()).await;
    let all = || Some(LabelSelector::default());
    let both = vec![
        prometheus("a", "http://a.invalid", all()),
        prometheus("b", "http://b.invalid", all()),
    ];
    assert_eq!(ask(both, Some(&good), targets_check(1)).await.truth, Truth::True);
    assert_eq!(asked.load(Ordering::Relaxed), 1);
    assert_eq!(ask(vec![], Some(&good), targets_check(1)).await.truth, Truth::True);
}
