//! What the operator says behind an address that answers queries and lists neither targets nor rules, as Mimir's may: a
//! real Prometheus whose lists a gateway hides.

use std::fs;
use std::io::{BufReader, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::json;

use super::operator::{Operator, RULE, Stage, free_port};
use super::servers;

#[tokio::test]
async fn where_neither_targets_nor_rules_are_listed_the_series_decide_and_what_has_none_is_unknown() {
    let stage = Stage::shared("unlisted").await;
    stage.workload("api").await;
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str| directory.path().join(name);
    let served = Arc::new(AtomicBool::new(true));
    let (port, is_served) = (free_port(), Arc::clone(&served));
    let pages = servers::serve(move |stream| page(stream, is_served.load(Ordering::Relaxed)));
    let gateway = servers::serve(move |stream| pass_on(stream, port));
    let url = format!("http://127.0.0.1:{gateway}");
    let _operator = Operator::start_with(&stage, &[("OBSERVED_PROMETHEUS_URL", &url)]).await;
    stage.observe("api", "api").await;
    let rule = stage.appears(RULE, "api").await;

    let config = file("prometheus.yaml");
    fs::write(&config, "{}").unwrap();
    let idle = servers::prometheus(port, &config, directory.path(), &[]).await;
    for (condition, series) in [("ScrapeVerified", "up"), ("RulesHealthy", "observed:targets_up:ratio")] {
        let words = format!(
            "it has no series {series}{{namespace={:?}, job=\"api\"}}",
            stage.namespace
        );
        stage.says("api", condition, ("Unknown", "Unreachable"), &words).await;
    }
    drop(idle);

    fs::write(file("rules.yaml"), servers::every_second(&rule)).unwrap();
    let targets = json!({
        "targets": [format!("127.0.0.1:{pages}")],
        "labels": {"namespace": stage.namespace, "job": "api"},
    });
    let scraping = json!({
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s"},
        "rule_files": [file("rules.yaml")],
        "scrape_configs": [{"job_name": "api", "static_configs": [targets]}],
    });
    fs::write(&config, scraping.to_string()).unwrap();
    let _prometheus = servers::prometheus(port, &config, directory.path(), &[]).await;
    stage
        .says(
            "api",
            "ScrapeVerified",
            ("True", "TargetsUp"),
            "1 of 1 pods are scraped",
        )
        .await;
    stage
        .says("api", "RulesHealthy", ("True", "RulesLoaded"), "loaded and evaluated")
        .await;
    served.store(false, Ordering::Relaxed);
    stage
        .says(
            "api",
            "ScrapeVerified",
            ("False", "TargetsDown"),
            "0 of 1 pods are scraped",
        )
        .await;
}

fn page(mut stream: TcpStream, is_served: bool) -> std::io::Result<()> {
    servers::request(BufReader::new(&stream))?;
    let status = if is_served { "200 OK" } else { "503 Service Unavailable" };
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: 7\r\nConnection: close\r\n\r\nfine 1\n"
    )
}

/// Passes one request on to this port, unless it asks for a list.
fn pass_on(mut stream: TcpStream, port: u16) -> std::io::Result<()> {
    let mut lines = servers::request(BufReader::new(&stream))?;
    if ["api/v1/targets", "api/v1/rules"].contains(&servers::path(&lines)) {
        return stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    }
    lines.push("Connection: close\r\n\r\n".to_owned());
    let mut behind = TcpStream::connect(("127.0.0.1", port))?;
    behind.write_all(lines.join("\r\n").as_bytes())?;
    std::io::copy(&mut behind, &mut stream).map(drop)
}
