//! What is secret, or may hold what is secret, is nowhere in what the operator and the command line say of it: not in the log at its
//! most talkative, nor in Events, metrics, the status, generated objects, `observed status`, `observed diff` and the support archive.

use std::collections::BTreeSet;
use std::fs;
use std::net::SocketAddr;
use std::process::Command;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use kube::api::ListParams;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::doctor_bundle::unpacked;
use super::operator::{CONFIG_MAP, MONITOR, Operator, RULE, Stage, observed, program};
use super::shop;
use super::signals::own_address;

/// Name of the ObservedService. It is printed everywhere, so that a search that finds nothing would be noticed.
const PRINTED: &str = "planted-name";

/// What is planted, and where it stands.
const PLANTED: [&str; 22] = [
    "planted-secret-object",
    // The same as the API server shows it.
    "cGxhbnRlZC1zZWNyZXQtb2JqZWN0",
    "planted-env-value",
    "planted-argument",
    "planted-annotation",
    "planted-template-annotation",
    "planted-health-body",
    "planted-ready-body",
    "planted-endpoint-label",
    "planted-malformed-line",
    "planted-basic-password",
    // The same as a request carries it.
    "b2JzZXJ2ZWQ6cGxhbnRlZC1iYXNpYy1wYXNzd29yZA",
    "planted-token",
    "planted-header",
    "planted-header-of-grafana",
    "planted-userinfo",
    "planted-scrape-password",
    "planted-scrape-query",
    "planted-alertmanager-password",
    "planted-webhook",
    "planted-slack",
    "planted-wrong-type",
];

/// The planted values that a text holds.
fn leaks(text: &str, token: &str) -> BTreeSet<String> {
    let planted = PLANTED.into_iter().chain([token]);
    planted
        .filter(|value| text.contains(value))
        .map(str::to_owned)
        .collect()
}

/// A pod, a Prometheus, an Alertmanager and a Grafana in one, each under its path, that keeps what it was asked with.
#[derive(Clone)]
struct World {
    address: SocketAddr,
    namespace: String,
    heard: Arc<Mutex<String>>,
    /// The metrics page is broken, and so are some answers.
    broken: Arc<Mutex<bool>>,
}

impl World {
    async fn start(namespace: &str) -> Self {
        let listener = TcpListener::bind((own_address(), 0)).await.unwrap();
        let world = Self {
            address: listener.local_addr().unwrap(),
            namespace: namespace.to_owned(),
            heard: Arc::default(),
            broken: Arc::default(),
        };
        let router = Router::new().fallback(answer).with_state(world.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        world
    }

    fn url(&self, server: &str) -> String {
        format!("http://{}/{server}", self.address)
    }

    fn targets(&self) -> Value {
        let url = format!(
            "http://u:planted-scrape-password@{}/metrics?key=planted-scrape-query",
            self.address
        );
        json!({"status": "success", "data": {"activeTargets": [{
            "scrapePool": format!("serviceMonitor/{}/{PRINTED}/0", self.namespace), "scrapeUrl": url,
            "lastError": format!("Get {url:?}: context deadline exceeded"), "health": "down", "lastScrape": jiff::Timestamp::now().to_string(),
            "scrapeInterval": "30s", "scrapeTimeout": "10s", "discoveredLabels": {}, "globalUrl": "", "lastScrapeDuration": 10.0,
            "labels": {"job": "shop", "namespace": self.namespace, "pod": "shop-0", "instance": self.address.to_string()},
        }]}})
    }
}

async fn answer(State(world): State<World>, uri: Uri, headers: HeaderMap) -> Response {
    let heard = format!("{uri} {headers:?}\n");
    world.heard.lock().unwrap().push_str(&heard);
    let broken = *world.broken.lock().unwrap();
    let ok = |value: Value| axum::Json(value).into_response();
    let page = |text: &'static str| ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response();
    match uri.path() {
        "/health" => ok(json!({"status": "ok", "key": "planted-health-body"})),
        // As FastAPI makes it of `return {...}, 503`.
        "/ready" => ok(json!([{"status": "not_ready", "key": "planted-ready-body"}, 503])),
        "/metrics" if broken => page("planted-malformed-line !\n"),
        "/metrics" => page(
            "# TYPE http_requests_total counter\n\
             http_requests_total{method=\"GET\",endpoint=\"planted-endpoint-label\",status=\"200\"} 1\n",
        ),
        "/prometheus/api/v1/targets" => ok(world.targets()),
        "/prometheus/api/v1/rules" if broken => {
            ok(json!({"status": "success", "data": {"groups": "planted-wrong-type"}}))
        }
        "/prometheus/api/v1/rules" => ok(json!({"status": "success", "data": {"groups": []}})),
        "/prometheus/api/v1/alertmanagers" => {
            let url = format!(
                "http://u:planted-alertmanager-password@{}/alertmanager/api/v2/alerts",
                world.address
            );
            ok(json!({"status": "success", "data": {"activeAlertmanagers": [{"url": url}]}}))
        }
        "/alertmanager/api/v2/status" => {
            let original = "global: {slack_api_url: 'https://hooks.example.org/planted-slack'}\n\
                            route: {receiver: chat}\n\
                            receivers: [{name: chat, webhook_configs: [{url: 'http://chat.example.org/planted-webhook'}]}]\n";
            ok(json!({"config": {"original": original}}))
        }
        "/alertmanager/api/v2/silences" | "/alertmanager/api/v2/alerts" => ok(json!([])),
        // As a proxy that helps to find mistakes.
        _ => (StatusCode::UNAUTHORIZED, ok(json!({"message": heard}))).into_response(),
    }
}

/// What the program says of the service in every way but the log.
async fn told(stage: &Stage, operator: &Operator, world: &World) -> Vec<(&'static str, String)> {
    let admin = stage.cluster.kubeconfig();
    let n = stage.namespace.as_str();
    let (_, status, status_error) = observed(admin, &["status", "-n", n, "-o", "json"]).await;
    let (_, table, table_error) = observed(admin, &["status", PRINTED, "-n", n]).await;
    let (_, diff, diff_error) = observed(admin, &["diff", PRINTED, "-n", n]).await;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("seen.tar.gz");
    let servers = ["prometheus", "alertmanager", "grafana"];
    let servers = servers.map(|server| format!("--{server}-url={}", world.url(server)));
    let servers = servers.each_ref().map(String::as_str);
    let bundle = ["doctor", "-n", n, "--bundle", file.to_str().unwrap()];
    observed(admin, &[&bundle[..], &servers[..]].concat()).await;
    let mut objects = String::new();
    for kind in [MONITOR, RULE, CONFIG_MAP] {
        let list = stage.objects(kind).list(&ListParams::default()).await.unwrap();
        objects += &serde_json::to_string(&list.items).unwrap();
    }
    let events = stage.objects(("events.k8s.io/v1", "Event", "events"));
    let events = events.list(&ListParams::default()).await.unwrap().items;
    let service = stage.services().get(PRINTED).await.unwrap();
    vec![
        ("observed status -o json", status + &status_error),
        ("observed status", table + &table_error),
        ("observed diff", diff + &diff_error),
        ("the support archive", unpacked(&file)),
        ("what is generated", objects),
        ("the Events", serde_json::to_string(&events).unwrap()),
        ("the ObservedService", serde_json::to_string(&service).unwrap()),
        ("/metrics", operator.metrics().await),
    ]
}

/// The token with which the operator of the stage speaks to the API server.
fn token(stage: &Stage) -> String {
    let file = stage.cluster.run_dir().join(format!("{}.kubeconfig", stage.namespace));
    let kubeconfig: Value = serde_saphyr::from_str(&fs::read_to_string(file).unwrap()).unwrap();
    kubeconfig["users"][0]["user"]["token"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn what_is_secret_is_in_no_log_no_event_no_status_and_no_archive() {
    let stage = Arc::new(Stage::shared("secrets").await);
    let world = World::start(&stage.namespace).await;
    let token = token(&stage);
    assert!(token.len() > 100, "{token}");
    let planted = shop::TARGET
        .replace("NAME_", shop::NAME)
        .replace("PORT", &world.address.port().to_string())
        .replace(
            "kind: Deployment\nmetadata: {",
            "kind: Deployment\nmetadata: {annotations: {ci/token: planted-annotation}, ",
        )
        .replace(
            "metadata: {labels: {app: shop}}\n    spec",
            "metadata: {labels: {app: shop}, annotations: {ci/key: planted-template-annotation}}\n    spec",
        )
        .replace(
            "image: 'observed",
            "env: [{name: DATABASE_URL, value: planted-env-value}], args: [--key, planted-argument], image: 'observed",
        );
    for value in ["planted-annotation", "planted-template-annotation", "planted-env-value"] {
        assert!(planted.contains(value), "{planted}");
    }
    stage.apply(&planted).await;
    stage
        .apply("{apiVersion: v1, kind: Secret, metadata: {name: shop, namespace: NAMESPACE}, stringData: {k: planted-secret-object}}")
        .await;
    let kubelet = tokio::spawn(shop::kubelet(Arc::clone(&stage), world.address.ip().to_string()));
    shop::is_available(&stage, shop::NAME).await;
    stage.observe(PRINTED, shop::NAME).await;

    let files = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = files.path().join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let basic = file("basic", "observed:planted-basic-password");
    let bearer = file("token", "planted-token");
    let config = json!({
        "prometheus-url": world.url("prometheus"), "prometheus-basic-auth-file": basic, "prometheus-header": ["X-Key: planted-header"],
        "alertmanager-url": world.url("alertmanager"), "alertmanager-token-file": bearer,
        "grafana-url": world.url("grafana"), "grafana-token-file": bearer,
    });
    let config = file("settings.yaml", &config.to_string());
    let with_file = [
        ("OBSERVED_CONFIG", config.as_str()),
        ("RUST_LOG", "debug"),
        ("OBSERVED_LOG", "text"),
    ];
    let (prometheus, grafana) = (world.url("prometheus"), world.url("grafana"));
    let by_environment = [
        ("OBSERVED_PROMETHEUS_URL", prometheus.as_str()),
        ("OBSERVED_PROMETHEUS_TOKEN_FILE", &bearer),
        ("OBSERVED_GRAFANA_URL", &grafana),
        ("OBSERVED_GRAFANA_HEADER", "X-Key: planted-header-of-grafana"),
        ("RUST_LOG", "debug"),
        ("OBSERVED_LOG", "json"),
    ];
    for (settings, broken) in [(&with_file[..], false), (&by_environment[..], true)] {
        *world.broken.lock().unwrap() = broken;
        let operator = Operator::start_with(&stage, settings).await;
        stage
            .becomes(PRINTED, "ProbesInstalled", "False", "PreflightFailed")
            .await;
        stage.becomes(PRINTED, "ScrapeVerified", "False", "TargetsDown").await;
        stage.becomes(PRINTED, "AlertsRouted", "True", "Routed").await;
        if broken {
            let message = stage.becomes(PRINTED, "RulesHealthy", "Unknown", "Unreachable").await;
            assert!(message.contains("JSON of another form"), "{message}");
            stage
                .becomes(PRINTED, "SignalsResolved", "False", "MetricsUnreadable")
                .await;
        } else {
            stage
                .becomes(PRINTED, "SignalsResolved", "False", "SeriesMissing")
                .await;
        }
        operator.reconciles(2.0).await;
        let mut all = told(&stage, &operator, &world).await;
        all.push(("the log", operator.log()));
        for (what, text) in &all {
            let leaks = leaks(text, &token);
            assert!(
                leaks.is_empty(),
                "{leaks:?} in {what} (broken: {broken}):\n{}",
                shown(text, &leaks)
            );
            // The twin: what is no secret is found by the same look.
            if *what != "/metrics" {
                assert!(text.contains(PRINTED), "{what} says nothing of the service:\n{text}");
            }
        }
        let log = operator.log();
        assert_eq!(log.starts_with('{'), broken, "{log}");
        assert!(log.contains("DEBUG"), "{log}");
        operator.kill();
        stage.free_lease().await;
    }
    kubelet.abort();

    // The twin: what was searched for was really there, and is found in a text that holds it.
    let heard = world.heard.lock().unwrap().clone();
    let sent = leaks(&heard, &token);
    for value in [
        "b2JzZXJ2ZWQ6cGxhbnRlZC1iYXNpYy1wYXNzd29yZA",
        "planted-token",
        "planted-header",
        "planted-header-of-grafana",
    ] {
        assert!(sent.contains(value), "{value} was never sent:\n{heard}");
    }
    assert!(
        !heard.contains(&token),
        "the token of the API server was sent to somebody else"
    );
    let got = Command::new(stage.cluster.kubectl())
        .args([
            "get",
            "deployments,pods,secrets",
            "-o",
            "yaml",
            "-n",
            &stage.namespace,
            "--kubeconfig",
        ])
        .arg(stage.cluster.kubeconfig())
        .output()
        .unwrap();
    let there = leaks(&String::from_utf8(got.stdout).unwrap(), &token);
    for value in &PLANTED[1..6] {
        assert!(there.contains(*value), "{value} was never in the cluster: {there:?}");
    }
}

#[tokio::test]
async fn an_address_with_a_password_is_refused_without_being_repeated_and_help_shows_no_header() {
    let run = async |settings: &[(&str, &str)], arguments: &[&str]| {
        let output = Command::new(program().await)
            .arg("run")
            .args(arguments)
            .envs(settings.iter().copied())
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        (output.status.success(), text.into_owned())
    };
    let url = "http://user:planted-userinfo@prometheus";
    let (good, text) = run(&[("OBSERVED_PROMETHEUS_URL", url)], &[]).await;
    assert!(
        !good && text.contains("--prometheus-url") && !text.contains("planted"),
        "{text}"
    );
    let (good, text) = run(&[("OBSERVED_PROMETHEUS_HEADER", "X-Key: planted-header")], &["--help"]).await;
    assert!(good && !text.contains("planted"), "{text}");
    // The twin: help shows what else the environment holds.
    let (_, text) = run(&[("OBSERVED_LEASE_NAME", "planted-name")], &["--help"]).await;
    assert!(text.contains("planted-name"), "{text}");
}

/// The lines that hold them.
fn shown(text: &str, leaks: &BTreeSet<String>) -> String {
    let holds = |line: &&str| leaks.iter().any(|leak| line.contains(leak));
    let lines: Vec<String> = text
        .lines()
        .filter(holds)
        .map(|line| line.chars().take(3000).collect())
        .collect();
    lines.join("\n")
}
