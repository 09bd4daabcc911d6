//! What the rules cost a real Prometheus, which evaluates those of both over the same series.

use std::fmt::Write as _;
use std::fs;
use std::process::Stdio;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use observed_e2e::wait;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::process::Command;

use super::programs::{Programs, print_table};

const SERVICES: u32 = 50;
const PODS: u32 = 10;
/// Evaluations whose durations are averaged.
const EVALUATIONS: u32 = 12;
const INTERVAL_SECONDS: u32 = 5;
const DEADLINE: Duration = Duration::from_secs(180);

pub async fn compare(programs: &Programs) {
    let names: Vec<String> = (0..SERVICES).map(|index| format!("api-{index}")).collect();
    let directory = tempfile::tempdir().unwrap();
    let write = |file: &str, text: String| fs::write(directory.path().join(file), text).unwrap();
    let interval = format!("{INTERVAL_SECONDS}s");
    write("observed.yaml", programs.observed_rules(&interval, &names).to_string());
    write("sloth.yaml", programs.sloth_rules(&names).to_string());

    let pages = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let scraped = pages.local_addr().unwrap().to_string();
    let serving = tokio::spawn(serve(pages));
    // Prometheus names no port that it was given, so that one is chosen for it and left free.
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let own = free.local_addr().unwrap().to_string();
    drop(free);
    let config = json!({
        "global": {"scrape_interval": interval, "evaluation_interval": interval},
        "rule_files": ["observed.yaml", "sloth.yaml"],
        "scrape_configs": [
            {"job_name": "apis", "honor_labels": true, "static_configs": [{"targets": [scraped]}]},
            {"job_name": "prometheus", "static_configs": [{"targets": [own]}]},
        ],
    });
    write("prometheus.yaml", config.to_string());
    let mut prometheus = Command::new(&programs.prometheus)
        .arg(format!("--web.listen-address={own}"))
        .args(["--config.file=prometheus.yaml", "--storage.tsdb.path=data"])
        .current_dir(directory.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();

    let url = format!("http://{own}");
    let ask = |expr: String| {
        let url = url.clone();
        async move { tokio::task::block_in_place(|| programs.query(&url, &expr)) }
    };
    // What both have recorded since all of their windows could be computed.
    let of = |file: &str| format!("rule_group=~\".*{file}.yaml;.*\"");
    let range = INTERVAL_SECONDS * EVALUATIONS;
    let evaluated =
        format!("min(count_over_time(prometheus_rule_group_last_duration_seconds[{range}s])) >= {EVALUATIONS}");
    wait::until(DEADLINE, "both to be evaluated often enough", || ask(evaluated.clone()))
        .await
        .unwrap();
    let per_service = |value: Option<f64>| value.unwrap_or_default() / f64::from(SERVICES);
    let mut rows = Vec::new();
    for (what, unit, exprs) in [
        (
            "evaluation",
            "ms",
            ["sloth", "observed"].map(|file| {
                let duration = format!("prometheus_rule_group_last_duration_seconds{{{}}}", of(file));
                format!("1000 * sum(avg_over_time({duration}[{range}s]))")
            }),
        ),
        (
            "rules",
            "",
            ["sloth", "observed"].map(|file| format!("sum(prometheus_rule_group_rules{{{}}})", of(file))),
        ),
        (
            "series recorded",
            "",
            ["{__name__=~\"slo:.*|sloth_.*\"}", "{__name__=~\"observed:.*\"}"].map(|series| format!("count({series})")),
        ),
    ] {
        let [theirs, ours] = exprs;
        let (theirs, ours) = (per_service(ask(theirs).await), per_service(ask(ours).await));
        let number = |value: f64| format!("{value:.2} {unit}").trim_end().to_owned();
        rows.push(vec![
            what.to_owned(),
            number(theirs),
            number(ours),
            format!("{:.2}", theirs / ours),
        ]);
    }
    print_table(
        &format!("Cost of one objective in Prometheus ({SERVICES} services of {PODS} pods)"),
        &["per service", "Sloth", "Observed", "ratio"],
        &rows,
    );
    prometheus.kill().await.unwrap();
    serving.abort();
}

/// Answers everything with the counters of every pod.
async fn serve(listener: TcpListener) {
    loop {
        let (mut connection, _) = listener.accept().await.unwrap();
        tokio::spawn(async move {
            let mut request = [0; 4096];
            let body = page();
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                body.len()
            );
            // A Prometheus that goes away while it is answered is none of the benchmark's business.
            let _ = connection.read(&mut request).await;
            let _ = connection.write_all([head, body].concat().as_bytes()).await;
        });
    }
}

fn page() -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() % 1_000_000;
    let mut page = "# TYPE http_requests_total counter\n".to_owned();
    for service in 0..SERVICES {
        for pod in 0..PODS {
            for (status, each_second) in [("200", 20), ("404", 2), ("500", 1)] {
                writeln!(
                    page,
                    "http_requests_total{{namespace=\"prod\",job=\"api-{service}\",pod=\"api-{pod}\",status=\"{status}\"}} {}",
                    since * each_second
                )
                .unwrap();
            }
        }
    }
    page
}
