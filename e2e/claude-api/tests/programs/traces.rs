//! Traces of requests, as a receiver of OTLP/HTTP gets them from the program.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use observed_e2e::otlp::{Manner, Receiver, ended, values};
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode as Ended;

use crate::running::{QUESTION, Running, TRACEPARENT, answer, request, request_with};

/// The service waits no longer than 2 s for its last spans.
const ENDS_WITHIN: Duration = Duration::from_secs(6);

fn hexadecimal(id: &[u8]) -> String {
    id.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// An address at which nobody listens.
fn closed() -> String {
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    free.local_addr().unwrap().to_string()
}

/// Tells it to end, and says how long that takes.
fn end(service: &mut Running) -> Duration {
    let start = Instant::now();
    service.terminate();
    service.log_until("every request answered");
    assert!(service.ended().success());
    start.elapsed()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_a_span_of_the_callers_trace_and_the_model_is_one_of_the_request() {
    let receiver = Receiver::start(Manner::Takes).await.unwrap();
    let settings = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url.as_str()),
        ("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test"),
        // Nothing is sent before the end.
        ("OTEL_BSP_SCHEDULE_DELAY", "3600000"),
    ];
    let mut service = Running::serve_with(&["--drain", "0s"], &settings);
    let streamed = QUESTION.replacen('{', r#"{"stream":true,"#, 1);
    let mut logged = Vec::new();
    for question in [QUESTION, &streamed] {
        assert_eq!(service.ask("POST", "/v1/messages", question).0, 200);
        logged.push(service.log_until("request"));
    }
    assert_eq!(service.ask("GET", "/health", "").0, 200);
    let unsampled = format!("traceparent: {}00\r\n", &TRACEPARENT[..TRACEPARENT.len() - 2]);
    for (headers, path) in [(&*unsampled, "/unsampled"), ("", "/own")] {
        let asked = request_with(service.address("listen"), "GET", path, headers, "");
        assert_eq!(answer(asked).0, 404);
        logged.push(service.log_until("request"));
    }
    end(&mut service);
    let sent = receiver.sent();
    assert_eq!(sent.requests, 1);

    let resource = &sent.resource;
    assert_eq!(resource["service.name"], "claude-api");
    assert_eq!(resource["service.version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(resource["deployment.environment.name"], "test");

    let (requests, models) = (sent.named("POST /v1/messages"), sent.named("chat claude-opus"));
    assert_eq!((requests.len(), models.len()), (2, 2));
    for line in &logged[..2] {
        let ours = line["span_id"].as_str().unwrap();
        let request = requests.iter().find(|span| hexadecimal(&span.span_id) == ours).unwrap();
        let (trace, parent) = (hexadecimal(&request.trace_id), hexadecimal(&request.parent_span_id));
        assert_eq!(format!("00-{trace}-{parent}-01"), TRACEPARENT);
        assert_eq!(line["trace_id"], trace);
        assert_eq!((request.kind(), ended(request)), (SpanKind::Server, Ended::Unset));
        let attributes = values(&request.attributes);
        assert_eq!(attributes["http.request.method"], "POST");
        assert_eq!(attributes["http.route"], "/v1/messages");
        assert_eq!(attributes["http.response.status_code"], "200");

        let model = models.iter().find(|model| model.parent_span_id == request.span_id);
        let model = model.unwrap();
        assert_eq!((model.kind(), &model.trace_id), (SpanKind::Client, &request.trace_id));
        assert_eq!(values(&model.attributes)["gen_ai.usage.output_tokens"], "9");
        // It thinks for 5 ms and more, and a streamed answer ends with its last word.
        assert!(model.end_time_unix_nano - model.start_time_unix_nano > 5_000_000);
        assert!(model.end_time_unix_nano <= request.end_time_unix_nano);
    }
    // Who sent no trace begins one. Who does not sample is not sampled, and probes are no requests.
    assert_eq!(logged[2]["trace_id"], logged[0]["trace_id"]);
    let [begun] = sent.named("GET unmatched")[..] else {
        panic!("{:#?}", sent.spans);
    };
    assert!(begun.parent_span_id.is_empty());
    assert_eq!(logged[3]["trace_id"], hexadecimal(&begun.trace_id));
    assert_eq!(sent.spans.len(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_fails_is_a_failed_span_of_the_request_and_a_check_is_none() {
    let receiver = Receiver::start(Manner::Takes).await.unwrap();
    let (database, cache) = (
        format!("postgres://api@{}/api", closed()),
        format!("redis://{}", closed()),
    );
    let settings = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url.as_str()),
        ("DATABASE_URL", &database),
        ("REDIS_URL", &cache),
    ];
    let mut service = Running::serve_with(&["--drain", "0s"], &settings);
    let key = "x-api-key: hunter2\r\n";
    let asked = request_with(service.address("listen"), "POST", "/v1/messages", key, QUESTION);
    assert_eq!(answer(asked).0, 503);
    assert_eq!(service.ask("GET", "/ready", "").0, 503);
    end(&mut service);

    let sent = receiver.sent();
    let [request] = sent.named("POST /v1/messages")[..] else {
        panic!("{:#?}", sent.spans);
    };
    let [call] = sent.named("knows")[..] else {
        panic!("{:#?}", sent.spans);
    };
    assert_eq!((ended(request), ended(call)), (Ended::Error, Ended::Error));
    assert_eq!(values(&request.attributes)["http.response.status_code"], "503");
    assert_eq!(
        (&call.parent_span_id, call.kind()),
        (&request.span_id, SpanKind::Client)
    );
    assert_eq!(values(&call.attributes)["db.system.name"], "postgresql");
    assert!(call.status.as_ref().unwrap().message.contains("refused"), "{call:?}");
    let all = &sent.spans;
    assert_eq!(all.len(), 2, "{all:#?}");
    assert!(!format!("{all:?}").contains("hunter2"));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_setting_nothing_is_sent() {
    let receiver = Receiver::start(Manner::Takes).await.unwrap();
    let traces = format!("{}v1/traces", receiver.url);
    for endpoint in [None, Some(("OTEL_EXPORTER_OTLP_ENDPOINT", ""))] {
        let of_others = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", traces.as_str());
        let settings: Vec<_> = endpoint.into_iter().chain([of_others]).collect();
        let mut service = Running::serve_with(&["--drain", "0s"], &settings);
        assert_eq!(service.ask("POST", "/v1/messages", QUESTION).0, 200);
        end(&mut service);
    }
    assert_eq!(receiver.sent().requests, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_hangs_or_is_not_there_delays_no_answer_and_loses_none() {
    let receiver = Receiver::start(Manner::Hangs).await.unwrap();
    let closed = format!("http://{}", closed());
    for endpoint in [&receiver.url, &closed] {
        let settings = [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
            // Full at once.
            ("OTEL_BSP_SCHEDULE_DELAY", "10"),
            ("OTEL_BSP_MAX_QUEUE_SIZE", "4"),
            ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "2"),
        ];
        let mut service = Running::serve_with(&["--drain", "0s"], &settings);
        for _ in 0..50 {
            let start = Instant::now();
            let asked = request(service.address("listen"), "POST", "/v1/messages", QUESTION);
            assert_eq!(answer(asked).0, 200);
            let took = start.elapsed();
            assert!(took < Duration::from_secs(2), "{took:?}");
        }
        if *endpoint == closed {
            let line = service.log_until("traces could not be sent");
            assert!(line["error"].as_str().unwrap().contains("refused"), "{line}");
        }
        let took = end(&mut service);
        assert!(took < ENDS_WITHIN, "{took:?}");
    }
    // The twin: it was the receiver that would have held it up.
    let sent = receiver.sent();
    assert!(sent.requests > 0);
    assert!(sent.spans.is_empty());
}
