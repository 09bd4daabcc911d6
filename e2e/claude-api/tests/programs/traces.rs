//! Traces of requests, as a receiver of OTLP/HTTP gets them from the program.

use std::collections::BTreeMap;
use std::future::pending;
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode as Ended;
use prost::Message;

use crate::running::{QUESTION, Running, TRACEPARENT, answer, request, request_with};

/// The service waits no longer than 2 s for its last spans.
const ENDS_WITHIN: Duration = Duration::from_secs(6);

/// A receiver of OTLP/HTTP, and what it was sent.
#[derive(Clone, Default)]
struct Receiver {
    hangs: bool,
    url: String,
    requests: Arc<Mutex<usize>>,
    spans: Arc<Mutex<Vec<Span>>>,
    resource: Arc<Mutex<BTreeMap<String, String>>>,
}

impl Receiver {
    async fn start(hangs: bool) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let receiver = Self {
            hangs,
            url: format!("http://{}/prefix/", listener.local_addr().unwrap()),
            ..Self::default()
        };
        let router = Router::new().fallback(take).with_state(receiver.clone());
        tokio::spawn(async { axum::serve(listener, router).await });
        receiver
    }

    fn named(&self, name: &str) -> Vec<Span> {
        let spans = self.spans.lock().unwrap();
        spans.iter().filter(|span| span.name == name).cloned().collect()
    }
}

async fn take(State(receiver): State<Receiver>, uri: Uri, body: Bytes) -> StatusCode {
    assert_eq!(uri.path(), "/prefix/v1/traces");
    *receiver.requests.lock().unwrap() += 1;
    if receiver.hangs {
        return pending().await;
    }
    for resource in ExportTraceServiceRequest::decode(body).unwrap().resource_spans {
        *receiver.resource.lock().unwrap() = values(&resource.resource.unwrap_or_default().attributes);
        for scope in resource.scope_spans {
            receiver.spans.lock().unwrap().extend(scope.spans);
        }
    }
    StatusCode::OK
}

fn values(attributes: &[KeyValue]) -> BTreeMap<String, String> {
    let text = |attribute: &KeyValue| match attribute.value.as_ref().and_then(|value| value.value.as_ref()) {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::IntValue(number)) => number.to_string(),
        other => format!("{other:?}"),
    };
    attributes
        .iter()
        .map(|attribute| (attribute.key.clone(), text(attribute)))
        .collect()
}

fn hexadecimal(id: &[u8]) -> String {
    id.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn ended(span: &Span) -> Ended {
    span.status.clone().unwrap_or_default().code()
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
    let receiver = Receiver::start(false).await;
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
    assert_eq!(*receiver.requests.lock().unwrap(), 1);

    let resource = receiver.resource.lock().unwrap().clone();
    assert_eq!(resource["service.name"], "claude-api");
    assert_eq!(resource["service.version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(resource["deployment.environment.name"], "test");

    let (requests, models) = (receiver.named("POST /v1/messages"), receiver.named("chat claude-opus"));
    assert_eq!((requests.len(), models.len()), (2, 2));
    for line in &logged[..2] {
        let ours = |span: &&Span| hexadecimal(&span.span_id) == line["span_id"].as_str().unwrap();
        let request = requests.iter().find(ours).unwrap();
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
    let [begun] = &receiver.named("GET unmatched")[..] else {
        panic!("{:#?}", receiver.spans);
    };
    assert!(begun.parent_span_id.is_empty());
    assert_eq!(logged[3]["trace_id"], hexadecimal(&begun.trace_id));
    assert_eq!(receiver.spans.lock().unwrap().len(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_fails_is_a_failed_span_of_the_request_and_a_check_is_none() {
    let receiver = Receiver::start(false).await;
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

    let [request] = &receiver.named("POST /v1/messages")[..] else {
        panic!("{:#?}", receiver.spans);
    };
    let [call] = &receiver.named("knows")[..] else {
        panic!("{:#?}", receiver.spans);
    };
    assert_eq!((ended(request), ended(call)), (Ended::Error, Ended::Error));
    assert_eq!(values(&request.attributes)["http.response.status_code"], "503");
    assert_eq!(
        (&call.parent_span_id, call.kind()),
        (&request.span_id, SpanKind::Client)
    );
    assert_eq!(values(&call.attributes)["db.system.name"], "postgresql");
    assert!(call.status.as_ref().unwrap().message.contains("refused"), "{call:?}");
    let all = receiver.spans.lock().unwrap();
    assert_eq!(all.len(), 2, "{all:#?}");
    assert!(!format!("{all:?}").contains("hunter2"));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_setting_nothing_is_sent() {
    let receiver = Receiver::start(false).await;
    let traces = format!("{}v1/traces", receiver.url);
    for endpoint in [None, Some(("OTEL_EXPORTER_OTLP_ENDPOINT", ""))] {
        let of_others = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", traces.as_str());
        let settings: Vec<_> = endpoint.into_iter().chain([of_others]).collect();
        let mut service = Running::serve_with(&["--drain", "0s"], &settings);
        assert_eq!(service.ask("POST", "/v1/messages", QUESTION).0, 200);
        end(&mut service);
    }
    assert_eq!(*receiver.requests.lock().unwrap(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_hangs_or_is_not_there_delays_no_answer_and_loses_none() {
    let receiver = Receiver::start(true).await;
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
    assert!(*receiver.requests.lock().unwrap() > 0);
    assert!(receiver.spans.lock().unwrap().is_empty());
}
