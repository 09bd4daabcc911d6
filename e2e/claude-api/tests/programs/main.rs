//! The program as it runs in a container: signals, sockets, standard output, exit status.

// Clippy knows only functions with `#[test]` as tests, and not what they share.
#![allow(clippy::unwrap_used, clippy::panic)]

mod running;
mod traces;

use std::io::Read;
use std::net::TcpListener;
use std::time::Instant;

use serde_json::Value;

use running::{DEADLINE, QUESTION, Running, answer, program, request};

fn load(url: &str, more: &[&str]) -> (Option<i32>, Vec<Value>) {
    let output = program().args(["load", "--url", url]).args(more).output().unwrap();
    let lines = String::from_utf8(output.stdout).unwrap();
    let lines = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    (output.status.code(), lines)
}

#[test]
fn a_request_is_logged_with_its_id_and_its_trace_as_one_line_of_json() {
    let mut service = Running::serve(&[]);
    assert_eq!(service.ask("POST", "/v1/messages", QUESTION).0, 200);
    let line = service.next_log();
    assert_eq!(line["request_id"], "id-1");
    assert_eq!(line["trace_id"], "4bf92f3577b34da6a3ce929d0e0e4736");
    assert_eq!(
        (&line["endpoint"], &line["status"]),
        (&"/v1/messages".into(), &200.into())
    );
}

#[test]
fn on_sigterm_it_is_first_not_ready_then_ends_what_is_in_flight_and_exits_well() {
    let mut service = Running::serve(&["--drain", "2s"]);
    assert_eq!(service.admin("PUT", r#"{"latency": "1s"}"#).0, 200);
    let in_flight = request(service.address("listen"), "POST", "/v1/messages", QUESTION);
    service.terminate();
    service.log_until("no longer ready");
    assert_eq!(service.ask("GET", "/ready", "").0, 503);
    assert_eq!(service.ask("GET", "/health", "").0, 200);
    assert_eq!(service.ask("POST", "/v1/messages", QUESTION).0, 200);
    assert_eq!(answer(in_flight).0, 200);
    service.log_until("every request answered");
    assert!(service.ended().success());
}

#[test]
fn on_sigterm_an_answer_that_is_streamed_is_streamed_to_its_end() {
    let mut service = Running::serve(&["--drain", "0s"]);
    let streamed = QUESTION.replacen('{', r#"{"stream":true,"#, 1);
    let mut stream = request(service.address("listen"), "POST", "/v1/messages", &streamed);
    let mut begun = [0; 12];
    stream.read_exact(&mut begun).unwrap();
    service.terminate();
    let mut rest = String::new();
    stream.read_to_string(&mut rest).unwrap();
    assert!(
        begun.ends_with(b"200") && rest.contains("event: message_stop"),
        "{rest}"
    );
    service.log_until("every request answered");
    assert!(service.ended().success());
}

#[test]
fn a_request_that_takes_too_long_does_not_keep_it_from_ending() {
    let mut service = Running::serve(&["--drain", "0s", "--grace", "100ms"]);
    assert_eq!(service.admin("PUT", r#"{"latency": "5m"}"#).0, 200);
    let _slow = request(service.address("listen"), "POST", "/v1/messages", QUESTION);
    let start = Instant::now();
    while !service
        .ask("GET", "/metrics", "")
        .1
        .contains("http_requests_inprogress 1")
    {
        assert!(start.elapsed() < DEADLINE);
    }
    service.terminate();
    service.log_until("ending with requests in flight");
    assert!(service.ended().success());
}

#[test]
fn a_crash_that_was_asked_for_is_answered_and_then_happens() {
    let mut service = Running::serve(&[]);
    assert_eq!(service.admin("PUT", r#"{"crash": "now"}"#).0, 400);
    assert_eq!(service.ask("GET", "/health", "").0, 200);
    assert_eq!(service.admin("PUT", r#"{"crash": true}"#).0, 200);
    assert!(!service.ended().success());
}

#[test]
fn an_address_in_use_is_an_error_in_words() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let mut service = Running::start(&["serve", "--listen", &address]);
    let message = service.started["error"].as_str().unwrap();
    assert!(message.starts_with(&format!("cannot listen on {address}")), "{message}");
    assert_eq!(service.ended().code(), Some(1));
}

#[test]
fn load_sends_as_much_as_it_was_told_and_counts_every_answer() {
    let service = Running::serve(&[]);
    assert_eq!(service.admin("PUT", r#"{"errorRatio": 0.25}"#).0, 200);
    let url = format!("http://{}/v1/messages", service.address("listen"));
    let (code, lines) = load(&url, &["--rate", "200", "--count", "40"]);
    assert_eq!((code, lines.len()), (Some(0), 1));
    assert_eq!(lines[0]["statuses"], serde_json::json!({"200": 30, "500": 10}));
    assert_eq!((&lines[0]["sent"], &lines[0]["failed"]), (&40.into(), &0.into()));
    let page = service.ask("GET", "/metrics", "").1;
    let expected = r#"http_requests_total{method="POST",endpoint="/v1/messages",status="500"} 10"#;
    assert!(page.contains(expected), "{page}");
}

#[test]
fn a_version_that_is_broken_fails_from_its_first_request_until_it_is_mended() {
    let service = Running::serve(&["--faults", r#"{"errorRatio": 1}"#]);
    assert_eq!(service.ask("POST", "/v1/messages", QUESTION).0, 500);
    assert_eq!(service.ask("GET", "/ready", "").0, 200);
    assert_eq!(service.admin("PUT", "{}").0, 200);
    assert_eq!(service.ask("POST", "/v1/messages", QUESTION).0, 200);
}

#[test]
fn load_without_an_answer_fails_and_says_how() {
    let address = {
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        free.local_addr().unwrap()
    };
    let (code, lines) = load(&format!("http://{address}/"), &["--count", "3", "--rate", "100"]);
    assert_eq!(code, Some(1));
    assert_eq!(lines[0]["failures"], serde_json::json!({"connect": 3}));
}

#[test]
fn load_counts_a_request_that_takes_too_long_and_one_too_many() {
    let service = Running::serve(&[]);
    assert_eq!(service.admin("PUT", r#"{"hang": true}"#).0, 200);
    let url = format!("http://{}/v1/messages", service.address("listen"));
    let bounds = [
        "--concurrency",
        "2",
        "--timeout",
        "300ms",
        "--rate",
        "100",
        "--for",
        "200ms",
    ];
    let (code, lines) = load(&url, &bounds);
    assert_eq!(code, Some(1));
    assert_eq!(lines[0]["failures"], serde_json::json!({"timeout": 2}));
    assert!(lines[0]["skipped"].as_u64() > Some(0), "{}", lines[0]);
}

#[test]
fn load_reports_on_the_way_when_told_to() {
    let service = Running::serve(&[]);
    let url = format!("http://{}/v1/messages", service.address("listen"));
    let bounds = ["--report-every", "50ms", "--rate", "50", "--for", "500ms"];
    let (_, lines) = load(&url, &bounds);
    let (last, before) = lines.split_last().unwrap();
    assert!(last["final"] == true && !before.is_empty());
    assert!(before.iter().all(|line| line["final"] == false));
}

#[test]
fn misuse_is_told_in_words_and_exits_with_2() {
    for arguments in [
        &["load", "--url", "https://host/"][..],
        &["load"],
        &["serve", "--drain", "soon"],
        &["serve", "--faults", r#"{"errorRatio": 2}"#],
        &["sing"],
    ] {
        let output = program().args(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(!output.stderr.is_empty() && output.stdout.is_empty());
    }
}

#[test]
fn receive_logs_a_line_for_each_alert_and_ends_on_sigterm() {
    let mut receiver = Running::start(&["receive", "--listen", "127.0.0.1:0"]);
    let notification = r#"{"status":"firing","alerts":[
        {"status":"firing","labels":{"alertname":"A"}}, {"status":"resolved","labels":{"alertname":"B"}}]}"#;
    assert_eq!(receiver.ask("POST", "/", notification).0, 200);
    let first = receiver.next_log();
    assert_eq!((&first["alertname"], &first["status"]), (&"A".into(), &"firing".into()));
    assert_eq!(receiver.next_log()["status"], "resolved");
    let list: Value = serde_json::from_str(&receiver.ask("GET", "/alerts", "").1).unwrap();
    assert_eq!(list[0]["payload"]["alerts"][1]["labels"]["alertname"], "B");
    receiver.terminate();
    assert!(receiver.ended().success());
}
