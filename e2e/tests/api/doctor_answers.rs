//! What `observed doctor` concludes from the answers of a real Prometheus and a real Alertmanager, and of a stand-in of Grafana.
//! They run beside the API server, and scrape pages of this test under the names that prometheus-operator would give.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufReader, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use observed_e2e::{Tool, wait};
use serde_json::{Value, json};

use super::doctor::{HEALTHY, doctor, found, says};
use super::operator::{Monitoring, RULE, Stage, free_port};
use super::servers::{self, Running};

/// A few scrapes, a few evaluations, and the start of both programs.
const SOON: Duration = Duration::from_secs(120);

/// Services that are scraped, and what is wrong with each.
const SERVICES: [(&str, &str); 6] = [
    ("json", ""),
    ("limited", "sample_limit: 10"),
    ("refused", ""),
    ("empty", ""),
    ("guide", ""),
    ("workers", ""),
];

/// What must be found, and nothing else: `shop` of the healthy namespace is scraped too, and has no finding.
pub const EXPECTED: [&str; 15] = [
    "alert-inhibited PrometheusRule shop",
    "alert-not-delivered PrometheusRule shop",
    "counters-of-several-processes Pod workers-1",
    "dashboard-not-in-grafana ConfigMap shop",
    "empty-page ServiceMonitor empty",
    "label-collision ServiceMonitor guide",
    "metrics-content-type ServiceMonitor json",
    "no-target ServiceMonitor missing",
    "rule-failing PrometheusRule shop",
    "rule-not-loaded PrometheusRule unloaded",
    "rule-slow PrometheusRule shop",
    "sample-limit ServiceMonitor limited",
    "series-never-seen PrometheusRule unloaded",
    "target-down ServiceMonitor refused",
    "unbounded-label ServiceMonitor guide",
];

#[tokio::test]
async fn what_a_real_prometheus_and_alertmanager_answer_is_found_by_the_rules_that_are_for_it() {
    let stage = Stage::own(Monitoring::Installed, "answers").await;
    let namespace = stage.namespace.clone();
    let failing = "[{alert: Down, expr: 'sum by (namespace) (up) < 1', labels: {severity: critical}}, \
                   {alert: Join, expr: 'requests_total * on (namespace, job) requests_total > 0', labels: {severity: critical}}]";
    // Evaluated for longer than it rests: 360,000 steps every 50 ms.
    let slow =
        "{name: slow, interval: 50ms, rules: [{record: 'slow:steps', expr: 'count_over_time(vector(1)[1h:10ms])'}]}";
    let healthy = HEALTHY
        .replace(
            "[{alert: Down, expr: 'sum by (namespace) (up) < 1', labels: {severity: critical}}]",
            failing,
        )
        .replace(
            "spec: {groups: [{name: shop,",
            &format!("spec: {{groups: [{slow}, {{name: shop,"),
        );
    assert_ne!(healthy, HEALTHY);
    stage.apply(&healthy).await;
    for (name, _) in SERVICES.into_iter().chain([("missing", "")]) {
        stage.workload(name).await;
        stage.apply(&MONITOR.replace("NAME_", name)).await;
    }
    stage.apply(OTHERS).await;
    let rule = stage.objects(RULE).get("shop").await.unwrap();
    let uid = rule.metadata.uid.clone().unwrap();

    let directory = tempfile::tempdir().unwrap();
    let rules = directory.path().join(format!("{namespace}-shop-{uid}.yaml"));
    fs::write(&rules, serde_json::to_string(&rule.data["spec"]).unwrap()).unwrap();
    let (prometheus, _prometheus) = prometheus(directory.path(), &rules, &namespace).await;
    let (alertmanager, _alertmanager) = alertmanager(directory.path()).await;

    let title = namespace.clone();
    let grafana = servers::serve(move |stream| grafana(&title, stream));
    let grafana_at = |path: &str| format!("http://127.0.0.1:{grafana}/{path}");
    let token = directory.path().join("token");
    fs::write(&token, TOKEN).unwrap();

    let admin = stage.cluster.kubeconfig().to_owned();
    let token = format!("--grafana-token-file={}", token.display());
    let grafana_url = format!("--grafana-url={}", grafana_at("empty"));
    let arguments = [
        "-n",
        &namespace,
        "--prometheus-url",
        &prometheus,
        "--alertmanager-url",
        &alertmanager,
        &grafana_url,
        &token,
    ];
    let look = async || {
        let (_, told) = doctor(&admin, &arguments).await;
        let all: BTreeSet<String> = found(&told).into_iter().collect();
        if all == EXPECTED.map(str::to_owned).into() {
            Ok(told)
        } else {
            Err(format!("{all:#?}\n{}", told["notRun"]))
        }
    };
    let told = wait::until(SOON, "every finding, and no other one", look)
        .await
        .unwrap();
    assert_eq!(told["notRun"], json!([]), "{told:#}");
    let says = |rule: &str| says(&told, rule);
    assert!(says("metrics-content-type").contains("CONTENT_TYPE_LATEST"));
    assert!(says("rule-failing").contains("many-to-many"));
    assert!(says("unbounded-label").contains("300 values"));
    assert!(says("label-collision").contains("exported_endpoint"));
    assert!(says("dashboard-not-in-grafana").contains("has no dashboard with the uid"));

    // The same Grafana with another dashboard under that uid, with this one, and without a token that it takes.
    let ask_grafana = async |path: &str, more: &[&str]| {
        let url = format!("--grafana-url={}", grafana_at(path));
        let (_, told) = doctor(&admin, &[&["-n", namespace.as_str(), &url], more].concat()).await;
        let findings = told["findings"].as_array().unwrap().iter();
        let mut findings = findings.filter(|finding| finding["rule"] == "dashboard-not-in-grafana");
        (findings.next().map(Value::to_string), told["notRun"].to_string())
    };
    let (taken, _) = ask_grafana("taken", &[&token]).await;
    assert!(taken.unwrap().contains("belongs to the dashboard \\\"Copy\\\""));
    let (finding, not_run) = ask_grafana("full", &[&token]).await;
    assert!(
        finding.is_none() && !not_run.contains("dashboard-not-in-grafana"),
        "{not_run}"
    );
    let (finding, not_run) = ask_grafana("full", &[]).await;
    assert!(
        finding.is_none() && not_run.contains("HTTP 401: see whether --grafana-token-file"),
        "{not_run}"
    );
}

const TOKEN: &str = "glsa_of_a_test";

/// Answers as Grafana documents its HTTP API, which is under the AGPL and so not part of these tests: `/empty` has no
/// dashboard, `/full` that of the namespace, `/taken` another one under its uid.
fn grafana(title: &str, mut stream: TcpStream) -> std::io::Result<()> {
    let request = servers::request(BufReader::new(&stream))?;
    let knows = format!("authorization: bearer {TOKEN}");
    let asked = servers::path(&request).split_once("/api/dashboards/uid/");
    let (status, body) = match asked {
        _ if !request.iter().any(|line| line.to_lowercase() == knows) => {
            ("401 Unauthorized", json!({"message": "Invalid API key"}))
        }
        Some(("full", uid)) if uid == title => (
            "200 OK",
            json!({"dashboard": {"title": title}, "meta": {"folderTitle": "Shop"}}),
        ),
        Some(("taken", _)) => (
            "200 OK",
            json!({"dashboard": {"title": "Copy"}, "meta": {"folderTitle": "Shop"}}),
        ),
        Some(_) => ("404 Not Found", json!({"message": "Dashboard not found"})),
        None => ("404 Not Found", json!({"message": "Not found"})),
    };
    let body = body.to_string();
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}

pub const MONITOR: &str = "
apiVersion: monitoring.coreos.com/v1
kind: ServiceMonitor
metadata: {name: NAME_, namespace: NAMESPACE, labels: {stage: NAMESPACE}}
spec: {selector: {matchLabels: {app: NAME_}}, endpoints: [{port: http}]}
";

const OTHERS: &str = "
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: missing-1, namespace: NAMESPACE, labels: {kubernetes.io/service-name: missing}}
addressType: IPv4
ports: [{name: http, port: 8080}]
endpoints: [{addresses: [10.255.255.1], conditions: {ready: true}}]
---
apiVersion: v1
kind: Pod
metadata: {name: workers-1, namespace: NAMESPACE, labels: {made: by-hand}}
spec: {automountServiceAccountToken: false, containers: [{name: api, image: 'observed.local/none:1'}]}
---
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata: {name: unloaded, namespace: NAMESPACE, labels: {stage: NAMESPACE}}
spec: {groups: [{name: unloaded, rules: [{alert: Renamed, expr: 'sum by (namespace) (renamed_total) > 1', labels: {severity: info}}]}]}
";

async fn prometheus(directory: &Path, rules: &Path, namespace: &str) -> (String, Running) {
    let pages = servers::serve(answer);
    let job = |(name, more): (&str, &str)| {
        let port = if name == "refused" { free_port() } else { pages };
        let endpoint = if name == "shop" { "web" } else { "http" };
        format!(
            "- job_name: serviceMonitor/{namespace}/{name}/0\n  metrics_path: /{name}\n  {more}\n  static_configs: \
             [{{targets: ['127.0.0.1:{port}'], labels: {{namespace: {namespace}, job: {name}, endpoint: {endpoint}, pod: {name}-1}}}}]\n"
        )
    };
    let jobs: String = SERVICES.into_iter().chain([("shop", "")]).map(job).collect();
    let config = format!(
        "global: {{scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}}\nrule_files: ['{}']\nscrape_configs:\n{jobs}",
        rules.display()
    );
    let file = directory.join("prometheus.yaml");
    fs::write(&file, config).unwrap();
    let port = free_port();
    let child = servers::prometheus(port, &file, directory, &[]).await;
    (format!("http://127.0.0.1:{port}"), child)
}

async fn alertmanager(directory: &Path) -> (String, Running) {
    let file = directory.join("alertmanager.yaml");
    let routes = "route: {receiver: nobody, routes: [{receiver: chat, matchers: ['alertname=\"Other\"']}]}\n\
                  receivers: [{name: nobody}, {name: chat, webhook_configs: [{url: 'http://127.0.0.1:1'}]}]\n\
                  inhibit_rules:\n\
                  - {source_matchers: ['alertname=\"Down\"'], target_matchers: ['alertname=\"Join\"'], equal: [team]}\n\
                  - {source_matchers: ['alertname=\"Join\"'], target_matchers: ['alertname=\"Down\"'], equal: [team]}\n";
    fs::write(&file, routes).unwrap();
    let port = free_port();
    let child = servers::started(
        Tool::Alertmanager,
        &[
            format!("--config.file={}", file.display()),
            format!("--storage.path={}", directory.join("alertmanager").display()),
            format!("--web.listen-address=127.0.0.1:{port}"),
            "--cluster.listen-address=".to_owned(),
        ],
        directory,
    )
    .await;
    (format!("http://127.0.0.1:{port}"), child)
}

fn answer(mut stream: TcpStream) -> std::io::Result<()> {
    static SCRAPES: AtomicU64 = AtomicU64::new(0);
    let request = servers::request(BufReader::new(&stream))?;
    let text = "text/plain; version=0.0.4";
    let many = |label: &str, most: usize| -> String {
        (0..most)
            .map(|number| format!("requests_total{{{label}=\"{number}\"}} 1\n"))
            .collect()
    };
    let (kind, body) = match servers::path(&request) {
        // What a FastAPI handler sends that returns generate_latest().
        "json" => ("application/json", Value::from(many("code", 2)).to_string()),
        "limited" => (text, many("code", 20)),
        "empty" => (text, String::new()),
        "guide" => (text, format!("{}seen_total{{endpoint=\"/v1\"}} 1\n", many("path", 300))),
        // Two workers that take turns.
        "workers" => (
            text,
            format!(
                "process_start_time_seconds {}\n",
                100 + SCRAPES.fetch_add(1, Ordering::Relaxed) % 2
            ),
        ),
        _ => (text, "fine 1\n".to_owned()),
    };
    write!(
        stream,
        "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}
