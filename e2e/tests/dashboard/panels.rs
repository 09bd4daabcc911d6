//! Every query of every panel, asked of a real Prometheus that has the values of a healthy service.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime};

use observed_e2e::wait;
use serde_json::Value;

use super::{Programs, programs, prometheus, words};

const HEALTH: &str = include_str!("health.txt");
const POD: &str = "pod=\"llm-api-7d9f8c6b5-x2k4z\"";
/// Seconds between two values.
const INTERVAL: u64 = 30;
const WEEK: u64 = 7 * 86_400;
/// As long as the longest window but that of a day, which shows a part of itself.
const HOURS: u64 = 2 * 3600;
/// A few evaluations.
const SOON: Duration = Duration::from_secs(150);

/// Panels with a query that says nothing in health, as their descriptions tell.
const EMPTY_IN_HEALTH: [&str; 3] = [
    "Failures of probes in 5 minutes",
    "Which alerts fire",
    "cache: Replication",
];

/// What measures the service itself, beside what the golden case has.
const OBJECTIVES: &str = "
  objectives:
  - name: availability
    target: \"99.9%\"
    sli: {errorRatio: {}}
";

/// The labels that a scrape gives, for each scrape that a name stands for.
fn scrapes() -> Vec<(&'static str, Vec<String>)> {
    let workload = format!("namespace=\"prod\",{POD},container=\"llm-api\"");
    let of = |job: &str, labels: &str| vec![format!("job=\"{job}\",{labels}")];
    let exporter = |namespace: &str, job: &str, instance: &str| {
        format!("namespace=\"{namespace}\",job=\"{job}\",instance=\"{instance}\"")
    };
    let databases = [("databases", "postgres-exporter"), ("prod", "reports-exporter")];
    vec![
        (
            "@service",
            of("llm-api", &format!("{workload},instance=\"10.0.0.1:8000\"")),
        ),
        ("@kubelet", of("kubelet", &workload)),
        ("@sandbox", of("kubelet", &format!("namespace=\"prod\",{POD}"))),
        (
            "@volume",
            of("kubelet", "namespace=\"prod\",persistentvolumeclaim=\"data\""),
        ),
        ("@state_of_pod", of("kube-state-metrics", &workload)),
        ("@state", of("kube-state-metrics", "namespace=\"prod\"")),
        (
            "@postgres",
            databases
                .map(|(namespace, job)| exporter(namespace, job, "10.0.0.2:9187"))
                .to_vec(),
        ),
        (
            "@rules",
            of(
                "prometheus",
                "namespace=\"monitoring\",rule_group=\"/etc/rules/a.yaml;observed:prod/llm-api:http\"",
            ),
        ),
        ("@redis", vec![exporter("prod", "redis-exporter", "10.0.0.3:9121")]),
        (
            "@blackbox",
            vec![exporter("monitoring", "blackbox", "https://models.example.com/health")],
        ),
    ]
}

/// The values of those lines until `end`, and of the requests also a week before, in the text of OpenMetrics.
fn values<'a>(lines: impl Iterator<Item = &'a str>, end: u64) -> String {
    let scrapes = scrapes();
    let mut text = String::new();
    for line in lines.filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (series, value) = line.rsplit_once(' ').unwrap();
        let (name, labels) = scrapes.iter().find(|(name, _)| series.contains(name)).unwrap();
        let (rate, value) = match value.strip_prefix('+') {
            Some(rate) => (rate.parse::<f64>().unwrap(), 0.0),
            None => (0.0, value.parse::<f64>().unwrap()),
        };
        let ends = if series.starts_with("http_requests_total") {
            vec![end - WEEK, end]
        } else {
            vec![end]
        };
        for labels in labels {
            let series = series.replace(name, labels);
            for end in &ends {
                for second in (0..=HOURS).step_by(INTERVAL as usize) {
                    let value = value + rate * second as f64;
                    text.push_str(&format!("{series} {value} {}\n", end - HOURS + second));
                }
            }
        }
    }
    text + "# EOF\n"
}

/// The dashboard and the rules of the golden case with every pack and dependency.
fn generated(programs: &Programs, directory: &Path) -> (Value, String) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let golden = root.join("operator/core/tests/golden/llm-api/input.yaml");
    let input = directory.join("input.yaml");
    fs::write(&input, fs::read_to_string(golden).unwrap() + OBJECTIVES).unwrap();
    let observed = |arguments: &[&str]| {
        let output = Command::new(&programs.observed)
            .args(arguments)
            .arg("-f")
            .arg(&input)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", words(&output));
        output.stdout
    };
    let list = observed(&["render", "--only", "dashboard", "-o", "json"]);
    let list: Value = serde_json::from_slice(&list).unwrap();
    let dashboard = list["items"][0]["data"].as_object().unwrap().values().next().unwrap();
    observed(&["drill", "--out", directory.to_str().unwrap()]);
    let rules = fs::read_to_string(directory.join("prod.llm-api-rules.yaml")).unwrap();
    (serde_json::from_str(dashboard.as_str().unwrap()).unwrap(), rules)
}

/// A query of a panel.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
struct Asked {
    title: String,
    description: String,
    expr: String,
}

/// Every query of every panel, with what Grafana puts for its variables.
fn queries(dashboard: &Value) -> BTreeSet<Asked> {
    let all = dashboard["panels"].as_array().unwrap().iter();
    let all = all.flat_map(|panel| std::iter::once(panel).chain(panel["panels"].as_array().into_iter().flatten()));
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let of = |panel: &Value| {
        let targets = panel["targets"].as_array().cloned().unwrap_or_default();
        let asked = |target: &Value| Asked {
            title: text(&panel["title"]),
            description: text(&panel["description"]),
            expr: text(&target["expr"])
                .replace("$__rate_interval", "2m")
                .replace("$__interval", "1m")
                .replace("$pod", ".*"),
        };
        targets.iter().map(asked).collect::<Vec<_>>()
    };
    all.flat_map(of).collect()
}

/// Those queries to which Prometheus says nothing at that time.
fn empty(programs: &Programs, url: &str, at: u64, queries: &BTreeSet<Asked>) -> BTreeSet<Asked> {
    let is_empty = |asked: &&Asked| {
        let answer = programs.asked(url, &asked.expr, Some(at));
        answer.unwrap_or_else(|error| panic!("{asked:?}: {error}")).is_empty()
    };
    queries.iter().filter(is_empty).cloned().collect()
}

fn titles(queries: &BTreeSet<Asked>) -> BTreeSet<&str> {
    queries.iter().map(|asked| asked.title.as_str()).collect()
}

fn now() -> u64 {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap()
        .as_secs()
}

#[tokio::test]
async fn every_query_of_every_panel_has_values_in_health_or_its_description_says_when_not() {
    let (programs, directory) = (programs().await, tempfile::tempdir().unwrap());
    let (dashboard, rules) = generated(programs, directory.path());
    let queries = queries(&dashboard);
    assert!(queries.len() > 80, "{}", queries.len());
    let end = now();
    let values = values(HEALTH.lines(), end);
    let (url, _prometheus) = prometheus(programs, directory.path(), &values, &rules).await;
    let without = empty(programs, &url, end, &queries);
    // What is recorded is there once the rules were evaluated.
    let (recorded, empty_in_health): (BTreeSet<_>, BTreeSet<_>) =
        without.into_iter().partition(|asked| asked.expr.contains("observed:"));
    assert!(!recorded.is_empty());
    let seen = wait::until(SOON, "the recorded series", async || {
        let missing = empty(programs, &url, now(), &recorded);
        if missing.is_empty() {
            Ok(())
        } else {
            Err(format!("{missing:#?}"))
        }
    });
    seen.await.unwrap();
    assert_eq!(
        titles(&empty_in_health),
        BTreeSet::from(EMPTY_IN_HEALTH),
        "{empty_in_health:#?}"
    );
    for asked in &empty_in_health {
        let is_told = asked.description.contains("Absent") || asked.description.contains("Empty in health");
        assert!(is_told, "{asked:?}");
    }
}

#[tokio::test]
async fn a_series_that_is_missing_is_noticed_by_the_panels_that_read_it() {
    let (programs, directory) = (programs().await, tempfile::tempdir().unwrap());
    let (dashboard, _) = generated(programs, directory.path());
    let mut queries = queries(&dashboard);
    queries.retain(|asked| !asked.expr.contains("observed:"));
    let end = now();
    let missing = ["pg_up", "scrape_duration_seconds", "redis_memory_max_bytes"];
    let is_there = |line: &&str| !missing.iter().any(|name| line.starts_with(&format!("{name}{{")));
    let values = values(HEALTH.lines().filter(is_there), end);
    let (url, _prometheus) = prometheus(programs, directory.path(), &values, "groups: []\n").await;
    let without = empty(programs, &url, end, &queries);
    let noticed = ["Scrape duration", "cache: Memory of maxmemory", "db: Up", "reports: Up"];
    let expected = EMPTY_IN_HEALTH.into_iter().chain(noticed).collect();
    assert_eq!(titles(&without), expected, "{without:#?}");
}
