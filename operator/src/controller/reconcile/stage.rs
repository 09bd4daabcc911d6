//! The spans of a reconcile and of its stages: for the log, and for traces where they are sent.

use std::hash::{BuildHasher, RandomState};

use observed_crds::v1alpha1::conditions::Reason;
use opentelemetry::trace::{Status, TraceContextExt};
use tracing::field::{Empty, display};
use tracing::{Instrument, Span};
use tracing_opentelemetry::OpenTelemetrySpanExt;

use super::Error;
use crate::controller::memory::Key;

/// Does a reconcile within its span. Lines of the log show the fields of it.
pub(super) async fn whole<T>(
    (namespace, name): &Key,
    generation: Option<i64>,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    let id = RandomState::new().hash_one(());
    let span = tracing::info_span!(
        "reconcile",
        namespace,
        name,
        generation,
        reconcile_id = format_args!("{id:016x}"),
        trace_id = Empty,
        result = Empty,
    );
    let context = span.context();
    let started = context.span();
    let trace = started.span_context();
    if trace.is_valid() {
        span.record("trace_id", display(trace.trace_id()));
    }
    let done = stage(span.clone(), work).await;
    span.record("result", if done.is_ok() { "success" } else { "error" });
    done
}

/// Does a stage within its span, which fails with it.
pub(super) async fn stage<T>(span: Span, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    let done = work.instrument(span.clone()).await;
    if let Err(error) = &done {
        fails(&span, error.reason());
    }
    done
}

/// Says that a stage failed. The reason alone leaves the cluster: the words of an error may tell more.
pub(super) fn fails(span: &Span, reason: Reason) {
    span.set_status(Status::error(reason.as_str()));
    span.set_attribute("error.type", reason.as_str());
}

#[cfg(test)]
mod tests {
    use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider};

    use super::*;
    use crate::settings::LogFormat;
    use crate::telemetry::kept::Lines;
    use crate::telemetry::traces::Traces;

    /// A reconcile whose stage ends so: its lines, and its spans in the order of their ends.
    async fn traced(filter: &str, done: Result<(), Error>) -> (String, Vec<opentelemetry_sdk::trace::SpanData>) {
        let exporter = InMemorySpanExporter::default();
        let provider = SdkTracerProvider::builder()
            .with_simple_exporter(exporter.clone())
            .build();
        let lines = Lines::default();
        let _guard = lines.start(LogFormat::Text, filter, Some(&Traces::of(provider)));
        let work = async {
            let client = tracing::info_span!(target: "kube_client::client", "HTTP");
            let gathered = async {
                tracing::warn!("looking");
                done
            };
            stage(tracing::debug_span!("gather"), gathered.instrument(client)).await
        };
        let _ = whole(&("prod".into(), "api".into()), Some(3), work).await;
        (lines.text(), exporter.get_finished_spans().unwrap())
    }

    #[tokio::test]
    async fn a_stage_is_a_child_of_its_reconcile_and_spans_of_others_stay_here() {
        let (log, spans) = traced("info", Ok(())).await;
        let [gather, reconcile] = &spans[..] else {
            panic!("{spans:?}");
        };
        assert_eq!((&*gather.name, &*reconcile.name), ("gather", "reconcile"));
        assert_eq!(gather.parent_span_id, reconcile.span_context.span_id());
        let of = |key: &str| {
            let found = reconcile
                .attributes
                .iter()
                .find(|attribute| attribute.key.as_str() == key);
            found.map(|attribute| attribute.value.to_string()).unwrap_or_default()
        };
        assert_eq!(
            (&*of("namespace"), &*of("name"), &*of("generation")),
            ("prod", "api", "3")
        );
        assert_eq!(of("result"), "success");
        assert_eq!((&gather.status, &reconcile.status), (&Status::Unset, &Status::Unset));
        // The log names both ids.
        let trace = format!("trace_id={}", reconcile.span_context.trace_id());
        let id = format!("reconcile_id=\"{}\"", of("reconcile_id"));
        assert_eq!(of("reconcile_id").len(), 16);
        assert!(log.contains(&trace) && log.contains(&id.replace('"', "")), "{log}");
    }

    #[tokio::test]
    async fn what_fails_is_marked_with_its_reason_and_the_words_of_the_error_stay_here() {
        let error = Error::Panicked("hunter2".into());
        let reason = error.reason().as_str();
        let (_, spans) = traced("off", Err(error)).await;
        assert_eq!(spans.len(), 2, "the level of the log is no business of the traces");
        for span in &spans {
            assert_eq!(span.status, Status::error(reason), "{span:?}");
            assert!(!format!("{span:?}").contains("hunter2"), "{span:?}");
        }
    }
}
