//! Every error of the dictionary in `docs/doctor.md`, made by a real Prometheus that scrapes what people let it scrape.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

use observed_e2e::pki::{Authority, Subject};
use observed_e2e::wait;
use serde_json::{Value, json};

use super::doctor::doctor;
use super::doctor_answers::MONITOR;
use super::operator::{Stage, free_port};
use super::servers::{self, Running};

/// The start of two programs, and a few scrapes.
const SOON: Duration = Duration::from_secs(120);

/// Who is scraped.
#[derive(Clone, Copy)]
enum At {
    /// Pages over HTTP, one for each path.
    Pages,
    /// What answers like a Redis.
    Redis,
    /// What resets every connection once it was asked something.
    Resets,
    /// A Prometheus that wants a client certificate.
    Guarded,
    /// A port on which nobody listens.
    Nobody,
    /// A host that nobody knows: no resolver is asked about a name with an empty label.
    Unknown,
}

/// What is scraped under which name, the settings of the scrape, and what `observed doctor` says that the error means.
const SCRAPES: [(&str, At, &str, &str); 23] = [
    ("refused", At::Nobody, "", "nothing listens on that port"),
    ("resets", At::Resets, "", "cut off before an answer"),
    ("silent", At::Pages, "", "took longer than the scrape timeout"),
    ("page-404", At::Pages, "", "there is no page at that path"),
    ("page-401", At::Pages, "", "wants credentials or a client certificate"),
    ("page-403", At::Pages, "", "wants credentials or a client certificate"),
    ("page-500", At::Pages, "", "the page answers with an error"),
    ("json", At::Pages, "", "does not take the page's Content-Type"),
    ("untyped", At::Pages, "", "does not take the page's Content-Type"),
    ("html", At::Pages, "", "not of the metrics text format"),
    ("prose", At::Pages, "", "not of the metrics text format"),
    ("nonsense", At::Pages, "", "not of the metrics text format"),
    ("samples", At::Pages, "sample_limit: 1", "more samples than the limit"),
    ("labels", At::Pages, "label_limit: 1", "more or longer labels"),
    (
        "names",
        At::Pages,
        "label_name_length_limit: 3",
        "more or longer labels",
    ),
    (
        "values",
        At::Pages,
        "label_value_length_limit: 3",
        "more or longer labels",
    ),
    ("body", At::Pages, "body_size_limit: 8B", "larger than the limit"),
    ("plain", At::Pages, "scheme: https", "the port speaks plain HTTP"),
    ("hangs-up", At::Pages, "", "speaks no HTTP"),
    ("redis", At::Redis, "", "speaks no HTTP"),
    (
        "untrusted",
        At::Guarded,
        "scheme: https",
        "the certificate is not accepted",
    ),
    (
        "unknown-client",
        At::Guarded,
        "{scheme: https, tls_config: {insecure_skip_verify: true}}",
        "wants credentials or a client certificate",
    ),
    ("host", At::Unknown, "", "does not resolve"),
];

#[tokio::test]
async fn every_error_of_the_dictionary_is_made_by_a_real_prometheus_and_told_by_what_it_means() {
    let stage = Stage::shared("errors").await;
    let namespace = stage.namespace.clone();
    for (name, ..) in SCRAPES {
        stage.workload(name).await;
        stage.apply(&MONITOR.replace("NAME_", name)).await;
    }
    let directory = tempfile::tempdir().unwrap();
    let (guarded, _guarded) = guarded(&directory.path().join("guarded")).await;
    let (pages, redis, resets) = (servers::serve(page), servers::serve(redis), servers::serve(reset));
    let jobs = SCRAPES.map(|(name, at, settings, _)| {
        let address = match at {
            At::Pages => format!("127.0.0.1:{pages}"),
            At::Redis => format!("127.0.0.1:{redis}"),
            At::Resets => format!("127.0.0.1:{resets}"),
            At::Guarded => format!("127.0.0.1:{guarded}"),
            At::Nobody => format!("127.0.0.1:{}", free_port()),
            At::Unknown => "no..host:80".to_owned(),
        };
        let mut job: Value = serde_saphyr::from_str(settings).unwrap();
        if job.is_null() {
            job = json!({});
        }
        job["job_name"] = format!("serviceMonitor/{namespace}/{name}/0").into();
        job["metrics_path"] = format!("/{name}").into();
        job["static_configs"] = json!([{"targets": [address], "labels": {"namespace": namespace, "job": name}}]);
        job
    });
    let config = json!({"global": {"scrape_interval": "1s", "scrape_timeout": "1s"}, "scrape_configs": jobs});
    let file = directory.path().join("prometheus.yaml");
    fs::write(&file, config.to_string()).unwrap();
    let port = free_port();
    let _prometheus = servers::prometheus(port, &file, directory.path(), &[]).await;

    let admin = stage.cluster.kubeconfig().to_owned();
    let url = format!("http://127.0.0.1:{port}");
    let look = async || {
        let (_, told) = doctor(&admin, &["-n", &namespace, "--prometheus-url", &url]).await;
        let evidence = evidence(&told);
        // Of a client without a certificate a scrape now and then only sees that the other side cut it off.
        let wrong: Vec<_> = SCRAPES
            .into_iter()
            .filter(|(name, .., words)| !evidence.get(*name).is_some_and(|told| told.contains(words)))
            .map(|(name, .., words)| format!("{name}: {words:?} is not in {:?}", evidence.get(name)))
            .collect();
        if wrong.is_empty() {
            Ok(())
        } else {
            Err(format!("{wrong:#?}, {}", told["notRun"]))
        }
    };
    let all = "the error of every target, in words";
    wait::until(SOON, all, look).await.unwrap();
}

#[test]
fn the_documentation_has_no_error_that_is_not_made_here() {
    let page = super::doctor::page();
    let (_, table) = page.split_once("\n| the error has | it means |").unwrap();
    let meanings: BTreeSet<&str> = table
        .lines()
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .map(|row| row.split(" | ").nth(1).unwrap())
        .collect();
    let made: BTreeSet<&str> = meanings
        .iter()
        .filter(|meaning| SCRAPES.iter().any(|(.., words)| meaning.contains(words)))
        .copied()
        .collect();
    assert!(!made.is_empty());
    assert_eq!(made, meanings);
}

/// What was seen of each monitor with a target that is down.
fn evidence(told: &Value) -> BTreeMap<String, String> {
    let findings = told["findings"].as_array().unwrap().iter();
    findings
        .filter(|finding| {
            let rules = ["target-down", "metrics-content-type", "sample-limit"];
            rules.iter().any(|rule| finding["rule"] == *rule)
        })
        .map(|finding| {
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            (text(&finding["object"]["name"]), text(&finding["evidence"]))
        })
        .collect()
}

/// A server whose certificate nobody knows, and that wants one of its clients.
async fn guarded(directory: &Path) -> (u16, Running) {
    fs::create_dir(directory).unwrap();
    let authority = Authority::create(&directory.join("ca")).unwrap();
    authority
        .issue(&Subject {
            name: "web",
            common_name: "web",
            names: &["localhost"],
            addresses: &["127.0.0.1".parse().unwrap()],
            ..Subject::default()
        })
        .unwrap();
    let web = json!({"tls_server_config": {
        "cert_file": authority.path("web.crt"),
        "key_file": authority.path("web.key"),
        "client_ca_file": authority.path("ca.crt"),
        "client_auth_type": "RequireAndVerifyClientCert",
    }});
    let (config, nothing) = (directory.join("web.yaml"), directory.join("nothing.yaml"));
    fs::write(&config, web.to_string()).unwrap();
    fs::write(&nothing, "{}").unwrap();
    let port = free_port();
    let secured = [format!("--web.config.file={}", config.display())];
    (port, servers::prometheus(port, &nothing, directory, &secured).await)
}

fn redis(mut stream: TcpStream) -> std::io::Result<()> {
    let _ = stream.read(&mut [0; 1024])?;
    stream.write_all(b"-ERR unknown command\r\n")
}

/// What is closed while something that came in was not read is reset, as Linux does it.
fn reset(stream: TcpStream) -> std::io::Result<()> {
    stream.peek(&mut [0])?;
    drop(stream);
    Ok(())
}

fn page(mut stream: TcpStream) -> std::io::Result<()> {
    let mut reader = BufReader::new(&stream);
    // What a server of plain HTTP says to one that speaks TLS.
    if reader.fill_buf()?.first() == Some(&0x16) {
        return stream.write_all(b"HTTP/1.0 400 Bad Request\r\n\r\n");
    }
    let request = servers::request(&mut reader)?;
    let text = "Content-Type: text/plain; version=0.0.4\r\n";
    let labelled = "seen_total{colour=\"green\",shape=\"round\"} 1\nseen_total{colour=\"red\",shape=\"round\"} 1\n";
    let (status, kind, body) = match servers::path(&request) {
        "hangs-up" => return Ok(()),
        // Until Prometheus hangs up.
        "silent" => return reader.read(&mut [0]).map(drop),
        "page-404" => ("404 Not Found", text, ""),
        "page-401" => ("401 Unauthorized", text, ""),
        "page-403" => ("403 Forbidden", text, ""),
        "page-500" => ("500 Internal Server Error", text, ""),
        "json" => ("200 OK", "Content-Type: application/json\r\n", "{\"status\": \"ok\"}"),
        "untyped" => ("200 OK", "", labelled),
        "html" => ("200 OK", text, "<!doctype html>\n"),
        "prose" => ("200 OK", text, "hello world\n"),
        "nonsense" => ("200 OK", text, "# TYPE seen nonsense\nseen 1\n"),
        _ => ("200 OK", text, labelled),
    };
    write!(
        stream,
        "HTTP/1.1 {status}\r\n{kind}Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}
