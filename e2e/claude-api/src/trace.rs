//! Which trace a request belongs to, by W3C Trace Context from its `traceparent` or anew, and the spans of what it needs.
//!
//! <https://www.w3.org/TR/trace-context/#traceparent-header>

use axum::http::HeaderMap;
use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState};
use tracing::Span;
use tracing::field::Empty;
use tracing_opentelemetry::OpenTelemetrySpanExt;

use crate::model::{Answer, Model};

const HEADER: &str = "traceparent";

/// The place of a request in a trace.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Trace {
    /// 32 hexadecimal digits, the same for everything that one caller set off.
    pub trace_id: String,
    /// 16 hexadecimal digits, of what is done here.
    pub span_id: String,
}

impl Trace {
    /// Goes on with the caller's trace, or begins one. Where spans are sent, this one becomes the request's.
    pub fn of(headers: &HeaderMap, span: &Span) -> Self {
        let sent = headers.get(HEADER).and_then(|header| header.to_str().ok());
        let caller = sent.and_then(caller);
        if let Some(caller) = &caller {
            // Refused where no spans are sent, and then nobody asks for it.
            let _ = span.set_parent(Context::new().with_remote_span_context(caller.clone()));
        }
        let ours = span.context().span().span_context().clone();
        if ours.is_valid() {
            return Self {
                trace_id: ours.trace_id().to_string(),
                span_id: ours.span_id().to_string(),
            };
        }
        Self {
            trace_id: caller.map_or_else(
                || format!("{:032x}", fastrand::u128(1..)),
                |caller| caller.trace_id().to_string(),
            ),
            span_id: format!("{:016x}", fastrand::u64(1..)),
        }
    }
}

/// Who asks, by a `traceparent`: `00-<trace>-<parent>-<flags>`, and what a later version adds behind it.
fn caller(header: &str) -> Option<SpanContext> {
    let mut parts = header.splitn(5, '-');
    let (version, trace, parent, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let is_hex = |text: &str, length: usize| {
        text.len() == length && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    let is_version = is_hex(version, 2) && version != "ff" && (version != "00" || parts.next().is_none());
    if !(is_version && is_hex(trace, 32) && is_hex(parent, 16) && is_hex(flags, 2)) {
        return None;
    }
    let caller = SpanContext::new(
        TraceId::from_hex(trace).ok()?,
        SpanId::from_hex(parent).ok()?,
        // Whoever does not sample leaves no trace here either.
        TraceFlags::new(u8::from_str_radix(flags, 16).ok()?) & TraceFlags::SAMPLED,
        true,
        TraceState::default(),
    );
    caller.is_valid().then_some(caller)
}

/// A call of a database, as part of the request or the task that needs it. What belongs to neither, such as a check, has none.
pub fn call(system: &'static str, operation: &'static str) -> Span {
    if Span::current().is_none() {
        return Span::none();
    }
    tracing::info_span!(
        "call",
        otel.name = operation,
        otel.kind = "client",
        otel.status_code = Empty,
        otel.status_description = Empty,
        db.system.name = system,
        db.query.summary = operation,
    )
}

/// What the model is asked for.
pub fn model(model: &Model, answer: &Answer) -> Span {
    tracing::info_span!(
        "model",
        otel.name = format!("chat {}", model.name),
        otel.kind = "client",
        gen_ai.operation.name = "chat",
        gen_ai.request.model = model.name,
        gen_ai.usage.input_tokens = answer.input_tokens,
        gen_ai.usage.output_tokens = answer.output_tokens,
    )
}

/// Says of a span that it failed, and why.
pub fn failed(span: &Span, error: &str) {
    span.record("otel.status_code", "ERROR");
    span.record("otel.status_description", error);
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

    fn of(header: &str) -> Trace {
        let headers = [(HEADER.parse().unwrap(), header.parse().unwrap())];
        Trace::of(&HeaderMap::from_iter(headers), &Span::none())
    }

    #[test]
    fn the_callers_trace_goes_on_with_a_span_of_its_own() {
        let header = format!("00-{TRACE}-00f067aa0ba902b7-01");
        let trace = of(&header);
        assert_eq!(trace.trace_id, TRACE);
        assert!(trace.span_id.len() == 16 && trace.span_id != "00f067aa0ba902b7");
        assert_eq!(of(&format!("01-{TRACE}-00f067aa0ba902b7-01-more")).trace_id, TRACE);
    }

    #[test]
    fn what_is_no_traceparent_begins_a_trace() {
        for wrong in [
            "",
            "nonsense",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
        ] {
            let (first, second) = (of(wrong), of(wrong));
            assert_eq!(first.trace_id.len(), 32, "{wrong}");
            assert!(first.trace_id != TRACE && first.trace_id != second.trace_id, "{wrong}");
        }
    }
}
