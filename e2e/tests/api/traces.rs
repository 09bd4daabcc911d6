//! Traces of reconciles, as a receiver of OTLP/HTTP gets them from the real program.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use observed_e2e::otlp::{Manner, Receiver, ended, values};
use observed_e2e::wait;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode as Ended;

use super::operator::{MONITOR, Operator, RULE, SOON, Stage};

/// How the thread that sends begins, as far as the kernel keeps its name.
const THREAD: &str = "OpenTelemetry.T";
/// The operator gives spans 2 s at its end, and has little else to do.
const ENDS_WITHIN: Duration = Duration::from_secs(6);

/// Waits until a receiver was asked so often.
async fn is_asked(receiver: &Receiver, times: usize) {
    let look = || std::future::ready(receiver.sent().requests >= times);
    wait::until(SOON, "requests with traces", look).await.unwrap();
}

/// Tells it to end, and says how long that takes.
async fn end(mut operator: Operator) -> Duration {
    let began = Instant::now();
    operator.signal(Signal::SIGTERM);
    let status = operator.ends().await;
    assert!(status.success(), "{status}: {}", operator.log());
    began.elapsed()
}

#[tokio::test]
async fn a_reconcile_is_a_trace_of_its_stages_and_what_is_left_is_sent_when_the_operator_ends() {
    let stage = Stage::shared("traces").await;
    let receiver = Receiver::start(Manner::Takes).await.unwrap();
    let settings = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url.as_str()),
        ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer hunter2"),
        ("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test"),
        // Nothing is sent before the end, as long as there are fewer than 512 spans.
        ("OTEL_BSP_SCHEDULE_DELAY", "3600000"),
        ("RUST_LOG", "debug"),
    ];
    let operator = Operator::start_with(&stage, &settings).await;
    assert!(operator.threads().iter().any(|name| name == THREAD));
    stage.workload("api").await;
    stage.observe("api", "api").await;
    stage.appears(MONITOR, "api").await;
    stage.appears(RULE, "api").await;
    stage.becomes("api", "TargetResolved", "True", "Found").await;
    let log = operator.log();
    end(operator).await;

    let sent = receiver.sent();
    assert_eq!(sent.resource["service.name"], "observed");
    assert_eq!(sent.resource["service.version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(sent.resource["deployment.environment.name"], "test");
    assert_eq!(sent.authorization.as_deref(), Some("Bearer hunter2"));
    assert!(!log.contains("hunter2"), "{log}");

    let names = ["reconcile", "gather", "preflight", "apply", "verify", "write_status"];
    for span in &sent.spans {
        assert!(names.contains(&span.name.as_str()), "not a span of ours: {span:?}");
        assert!(span.parent_span_id.is_empty() == (span.name == "reconcile"), "{span:?}");
        assert!(span.end_time_unix_nano > span.start_time_unix_nano, "{span:?}");
    }
    // One that wrote the children: all stages, in their order, within its time.
    let whole = sent
        .spans
        .iter()
        .filter(|span| span.name == "reconcile")
        .find_map(|root| {
            let children = sent.below(root);
            let stages: Vec<_> = children.iter().map(|span| span.name.as_str()).collect();
            (stages == names[1..]).then_some((root, children))
        });
    let (root, children) = whole.unwrap_or_else(|| panic!("{:#?}", sent.spans));
    let attributes = values(&root.attributes);
    assert_eq!(attributes["namespace"], stage.namespace);
    assert_eq!((&*attributes["name"], &*attributes["generation"]), ("api", "1"));
    assert_eq!(attributes["result"], "success");
    for child in children {
        assert_eq!(child.trace_id, root.trace_id);
        assert!(child.start_time_unix_nano >= root.start_time_unix_nano);
        assert!(child.end_time_unix_nano <= root.end_time_unix_nano);
        assert_eq!(ended(child), Ended::Unset, "{child:?}");
    }
}

#[tokio::test]
async fn without_the_setting_nothing_is_sent_and_no_thread_waits_to_send() {
    let stage = Stage::shared("untraced").await;
    let receiver = Receiver::start(Manner::Takes).await.unwrap();
    let traces = format!("{}v1/traces", receiver.url);
    let settings = [
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", traces.as_str()),
        ("OTEL_BSP_SCHEDULE_DELAY", "100"),
    ];
    let operator = Operator::start_with(&stage, &settings).await;
    stage.workload("api").await;
    stage.observe("api", "api").await;
    stage.appears(RULE, "api").await;
    operator.reconciles(2.0).await;
    assert!(!operator.threads().iter().any(|name| name == THREAD));
    end(operator).await;
    assert_eq!(receiver.sent().requests, 0);
}

#[tokio::test]
async fn a_receiver_that_hangs_holds_up_neither_the_work_nor_the_end() {
    let stage = Stage::shared("hangs").await;
    let receiver = Receiver::start(Manner::Hangs).await.unwrap();
    let settings = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url.as_str()),
        ("OTEL_BSP_SCHEDULE_DELAY", "100"),
        // Full at once.
        ("OTEL_BSP_MAX_QUEUE_SIZE", "4"),
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "2"),
    ];
    let operator = Operator::start_with(&stage, &settings).await;
    stage.workload("api").await;
    stage.observe("api", "api").await;
    is_asked(&receiver, 1).await;
    stage.workload("later").await;
    stage.observe("later", "later").await;
    for name in ["api", "later"] {
        stage.appears(MONITOR, name).await;
        stage.becomes(name, "TargetResolved", "True", "Found").await;
    }
    operator.reconciles(4.0).await;
    let took = end(operator).await;
    assert!(took < ENDS_WITHIN, "{took:?}");
    // The twin: it was the receiver that would have held it up.
    assert!(receiver.sent().spans.is_empty());
}

#[tokio::test]
async fn that_spans_are_lost_is_logged_once_until_they_are_taken_again() {
    let stage = Stage::shared("refuses").await;
    let receiver = Receiver::start(Manner::Refuses).await.unwrap();
    let settings = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url.as_str()),
        ("OTEL_BSP_SCHEDULE_DELAY", "100"),
    ];
    let operator = Operator::start_with(&stage, &settings).await;
    stage.workload("api").await;
    stage.observe("api", "api").await;
    is_asked(&receiver, 6).await;
    stage.appears(RULE, "api").await;
    let log = operator.log();
    assert_eq!(log.matches("traces could not be sent").count(), 1, "{log}");
    assert!(
        log.contains("it answered 503") && !log.contains("can be sent again"),
        "{log}"
    );
    receiver.becomes(Manner::Takes);
    let look = || std::future::ready(operator.log().contains("traces can be sent again"));
    wait::until(SOON, "traces that are taken again", look).await.unwrap();
    assert!(!receiver.sent().spans.is_empty());
}
