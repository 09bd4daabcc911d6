//! What the operator says behind an address that answers queries and lists neither targets nor rules, as Mimir's may: a
//! real Prometheus whose lists a gateway hides.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use observed_e2e::Tool;
use serde_json::json;

use super::doctor_answers::started;
use super::operator::{Operator, RULE, Stage, free_port};

#[tokio::test]
async fn where_neither_targets_nor_rules_are_listed_the_series_decide_and_what_has_none_is_unknown() {
    let stage = Stage::shared("unlisted").await;
    stage.workload("api").await;
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str| directory.path().join(name);
    let served = Arc::new(AtomicBool::new(true));
    let (port, is_served) = (free_port(), Arc::clone(&served));
    let pages = serve(move |stream| page(stream, is_served.load(Ordering::Relaxed)));
    let gateway = serve(move |stream| pass_on(stream, port));
    let url = format!("http://127.0.0.1:{gateway}");
    let _operator = Operator::start_with(&stage, &[("OBSERVED_PROMETHEUS_URL", &url)]).await;
    stage.observe("api", "api").await;
    let rule = stage.appears(RULE, "api").await;

    let arguments = [
        format!("--config.file={}", file("prometheus.yaml").display()),
        format!("--storage.tsdb.path={}", file("tsdb").display()),
        format!("--web.listen-address=127.0.0.1:{port}"),
    ];
    fs::write(file("prometheus.yaml"), "{}").unwrap();
    let idle = started(Tool::Prometheus, &arguments, directory.path()).await;
    for (condition, series) in [("ScrapeVerified", "up"), ("RulesHealthy", "observed:targets_up:ratio")] {
        let words = format!(
            "it has no series {series}{{namespace={:?}, job=\"api\"}}",
            stage.namespace
        );
        says(&stage, condition, "Unknown Unreachable", &words).await;
    }
    drop(idle);

    let mut spec = rule.data["spec"].clone();
    for group in spec["groups"].as_array_mut().unwrap() {
        group["interval"] = json!("1s");
    }
    fs::write(file("rules.yaml"), spec.to_string()).unwrap();
    let targets = json!({
        "targets": [format!("127.0.0.1:{pages}")],
        "labels": {"namespace": stage.namespace, "job": "api"},
    });
    let config = json!({
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s"},
        "rule_files": [file("rules.yaml")],
        "scrape_configs": [{"job_name": "api", "static_configs": [targets]}],
    });
    fs::write(file("prometheus.yaml"), config.to_string()).unwrap();
    let _prometheus = started(Tool::Prometheus, &arguments, directory.path()).await;
    says(&stage, "ScrapeVerified", "True TargetsUp", "1 of 1 pods are scraped").await;
    says(&stage, "RulesHealthy", "True RulesLoaded", "loaded and evaluated").await;
    served.store(false, Ordering::Relaxed);
    says(&stage, "ScrapeVerified", "False TargetsDown", "0 of 1 pods are scraped").await;
}

async fn says(stage: &Stage, kind: &str, verdict: &str, words: &str) {
    let what = format!("{kind}={verdict} to say {words:?}");
    observed_e2e::wait::until(super::operator::SOON, &what, async || {
        let condition = stage.condition("api", kind).await?;
        let is_so =
            format!("{} {}", condition.status, condition.reason) == verdict && condition.message.contains(words);
        if is_so { Ok(()) } else { Err(format!("{condition:?}")) }
    })
    .await
    .unwrap();
}

/// Lets whoever connects be answered so. Who hangs up early asks again.
fn serve(answer: impl Fn(TcpStream) -> std::io::Result<()> + Send + Sync + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let answer = Arc::new(answer);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let answer = Arc::clone(&answer);
            std::thread::spawn(move || answer(stream));
        }
    });
    port
}

/// The lines of a request without a body.
fn request(stream: &TcpStream) -> std::io::Result<Vec<String>> {
    BufReader::new(stream)
        .lines()
        .take_while(|line| line.as_ref().map_or(true, |line| !line.is_empty()))
        .collect()
}

fn page(mut stream: TcpStream, is_served: bool) -> std::io::Result<()> {
    request(&stream)?;
    let status = if is_served { "200 OK" } else { "503 Service Unavailable" };
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: 7\r\nConnection: close\r\n\r\nfine 1\n"
    )
}

/// Passes one request on to this port, unless it asks for a list.
fn pass_on(mut stream: TcpStream, port: u16) -> std::io::Result<()> {
    let mut lines = request(&stream)?;
    let path = lines.first().and_then(|line| line.split([' ', '?']).nth(1));
    if path.is_some_and(|path| ["/api/v1/targets", "/api/v1/rules"].contains(&path)) {
        return stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    }
    lines.push("Connection: close\r\n\r\n".to_owned());
    let mut behind = TcpStream::connect(("127.0.0.1", port))?;
    behind.write_all(lines.join("\r\n").as_bytes())?;
    std::io::copy(&mut behind, &mut stream).map(drop)
}
