//! W3C Trace Context: which trace a request belongs to, from its `traceparent` or anew.
//!
//! <https://www.w3.org/TR/trace-context/#traceparent-header>

use axum::http::HeaderMap;

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
    /// Goes on with the caller's trace, or begins one.
    pub fn of(headers: &HeaderMap) -> Self {
        let sent = headers.get(HEADER).and_then(|header| header.to_str().ok());
        Self {
            trace_id: sent
                .and_then(trace_id)
                .map_or_else(|| format!("{:032x}", fastrand::u128(1..)), str::to_owned),
            span_id: format!("{:016x}", fastrand::u64(1..)),
        }
    }
}

/// The trace of a `traceparent`: `00-<trace>-<parent>-<flags>`, and what a later version adds behind it.
fn trace_id(header: &str) -> Option<&str> {
    let mut parts = header.splitn(5, '-');
    let (version, trace, parent, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let is_hex = |text: &str, length: usize| {
        text.len() == length && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    let is_id = |text: &str, length: usize| is_hex(text, length) && text.bytes().any(|byte| byte != b'0');
    let is_version = is_hex(version, 2) && version != "ff" && (version != "00" || parts.next().is_none());
    (is_version && is_id(trace, 32) && is_id(parent, 16) && is_hex(flags, 2)).then_some(trace)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

    fn of(header: &str) -> Trace {
        let headers = [(HEADER.parse().unwrap(), header.parse().unwrap())];
        Trace::of(&HeaderMap::from_iter(headers))
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
