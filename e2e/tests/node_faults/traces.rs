//! What a trace tells of the calls of PostgreSQL and Redis: a replica of the API outside of the cluster sends its spans to a receiver.

use std::process::Stdio;

use observed_e2e::otlp::{Manner, Receiver, Sent, ended, values};
use observed_e2e::{Progress, binaries, wait};
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode as Ended;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use crate::stage::{NAMESPACE, SOON, Stage};

const KEY: &str = "key-of-the-replica";

/// What a question needs that nobody has asked before, in its order, and the same once it was answered.
const FIRST: [(&str, &str); 6] = [
    ("knows", "postgresql"),
    ("count", "redis"),
    ("answer", "redis"),
    ("chat", ""),
    ("answered", "postgresql"),
    ("keep_answer", "redis"),
];
const KNOWN: [(&str, &str); 3] = [FIRST[0], FIRST[1], FIRST[2]];
/// What taking a task needs, and then working on it.
const TAKEN: [(&str, &str); 4] = [FIRST[0], FIRST[1], ("add_task", "postgresql"), ("offer", "redis")];
const WORKED_ON: [(&str, &str); 3] = [("begin_task", "postgresql"), ("chat", ""), ("end_task", "postgresql")];

pub async fn tell_of_each_call(stage: &Stage) {
    let receiver = Receiver::start(Manner::Takes).await.unwrap();
    let (mut replica, address) = replica(stage, &receiver.url).await;
    // It makes its key first.
    let ready = async || ask(&address, "GET /ready").await == 200;
    wait::until(SOON, "the replica to be ready", ready).await.unwrap();
    // The same question twice: the second answer is a kept one.
    for _ in 0..2 {
        assert_eq!(ask(&address, "POST /v1/messages").await, 200);
    }
    // Tasks are worked on by whichever replica comes first: by this one, when there are some.
    for _ in 0..12 {
        assert_eq!(ask(&address, "POST /v1/tasks").await, 202);
    }
    let all = [
        ("POST /v1/messages", &FIRST[..]),
        ("POST /v1/messages", &KNOWN[..]),
        ("POST /v1/tasks", &TAKEN[..]),
        ("task", &WORKED_ON[..]),
    ];
    let look = || std::future::ready(missing(&receiver.sent(), &all));
    wait::until(SOON, "the spans of all calls", look).await.unwrap();
    replica.kill().await.unwrap();

    let sent = receiver.sent();
    for span in &sent.spans {
        // What belongs to no request and no task, as the checks and the counting, is no trace.
        let is_root = span.parent_span_id.is_empty();
        let is_work = span.name == "task" || span.name.starts_with("POST /v1/");
        assert_eq!(is_root, is_work, "{span:?}");
        assert_eq!(ended(span), Ended::Unset, "{span:?}");
        if !is_root {
            assert_eq!(span.kind(), SpanKind::Client, "{span:?}");
        }
    }
    let everything = format!("{:?}", sent.spans);
    assert!(
        !everything.contains(KEY) && !everything.contains("change-me"),
        "a secret is in a span"
    );
}

/// Looks for one span of each name that has these below it, one after the other and within its time.
fn missing(sent: &Sent, all: &[(&str, &[(&str, &str)])]) -> Result<(), String> {
    for (name, calls) in all {
        let whole = |root: &&&Span| {
            let below = sent.below(root);
            let within = below.iter().all(|span| {
                span.start_time_unix_nano >= root.start_time_unix_nano
                    && span.end_time_unix_nano <= root.end_time_unix_nano
            });
            let in_turn = below
                .windows(2)
                .all(|pair| pair[0].end_time_unix_nano <= pair[1].start_time_unix_nano);
            let are: Vec<_> = below.iter().map(|span| call(span)).collect();
            within
                && in_turn
                && are
                    .iter()
                    .map(|(name, system)| (&**name, &**system))
                    .eq(calls.iter().copied())
        };
        let named = sent.named(name);
        if named.iter().find(whole).is_none() {
            let are: Vec<Vec<_>> = named
                .iter()
                .map(|root| sent.below(root).into_iter().map(call).collect())
                .collect();
            return Err(format!("no {name} with {calls:?}: {are:?}"));
        }
    }
    Ok(())
}

/// The operation of a call and the system that it asks, where that is a database.
fn call(span: &Span) -> (String, String) {
    let attributes = values(&span.attributes);
    let operation = span.name.split(' ').next().unwrap_or_default();
    let system = attributes.get("db.system.name").cloned().unwrap_or_default();
    assert!(
        system.is_empty() || attributes["db.query.summary"] == operation,
        "{span:?}"
    );
    (operation.to_owned(), system)
}

/// Asks what nobody else asks, and returns the status of the answer.
async fn ask(address: &str, what: &str) -> u16 {
    let body = r#"{"model":"claude-opus","max_tokens":9,"messages":[{"role":"user","content":"Who calls whom?"}]}"#;
    let length = body.len();
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!(
        "{what} HTTP/1.1\r\nhost: test\r\nconnection: close\r\nx-api-key: {KEY}\r\ncontent-length: {length}\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer[9..12].parse().unwrap()
}

/// The API with the databases of the cluster and a key of its own. Where it listens.
async fn replica(stage: &Stage, endpoint: &str) -> (Child, String) {
    let postgres = stage.cluster.forward(NAMESPACE, "postgres", 5432).await.unwrap();
    let redis = stage.cluster.forward(NAMESPACE, "redis", 6379).await.unwrap();
    let program = binaries::debug("claude-api", &Progress::silent()).await.unwrap();
    let mut command = Command::new(program);
    command
        .env_clear()
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .args(["serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"])
        .env("DATABASE_URL", format!("postgres://api@{postgres}/api"))
        .env("DATABASE_PASSWORD", "change-me-api")
        .env("REDIS_URL", format!("redis://{redis}"))
        .env("REDIS_PASSWORD", "change-me-redis")
        .env("API_KEY", KEY)
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
        .env("OTEL_BSP_SCHEDULE_DELAY", "100");
    let mut child = command.spawn().unwrap();
    let mut log = BufReader::new(child.stdout.take().unwrap()).lines();
    let started: Value = serde_json::from_str(&log.next_line().await.unwrap().unwrap()).unwrap();
    // It goes on to log, and shall not wait for somebody to read that.
    tokio::spawn(async move { while let Ok(Some(_)) = log.next_line().await {} });
    (child, started["listen"].as_str().unwrap().to_owned())
}
