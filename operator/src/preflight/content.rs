//! What a content gives away about an endpoint that answers with a good status.

use observed_core::facts::{AnswerOutcome, Content};
use serde_json::Value;

/// Fields in which a health check says how it is, and what it says when all is not well.
const STATE_FIELDS: [&str; 3] = ["status", "state", "health"];
const NOT_WELL: [&str; 12] = [
    "not_ready",
    "not ready",
    "notready",
    "unready",
    "unhealthy",
    "down",
    "fail",
    "failed",
    "failing",
    "error",
    "unavailable",
    "critical",
];
const FLAGS: [&str; 3] = ["ready", "healthy", "ok"];

/// Bytes of an answer that are read, looked at and thrown away.
pub const MOST_BYTES: usize = 4096;

/// What an HTTP answer says, by its status and the beginning of its content.
pub fn outcome(status: u16, body: &[u8]) -> AnswerOutcome {
    match told(body).filter(|_| (200..300).contains(&status)) {
        Some(content) => AnswerOutcome::Content(content),
        None => AnswerOutcome::Status(status),
    }
}

/// What the beginning of a content says against its status, if it says anything.
fn told(body: &[u8]) -> Option<Content> {
    // It may be cut off in the middle of a character.
    let whole = |error: std::str::Utf8Error| std::str::from_utf8(&body[..error.valid_up_to()]);
    let text = std::str::from_utf8(body).or_else(whole).unwrap_or_default();
    let text = text.trim_start_matches('\u{feff}').trim();
    if let Ok(value) = serde_json::from_str::<Value>(text) {
        return of_json(&value);
    }
    let lower = text.to_ascii_lowercase();
    let is_html = lower.starts_with("<!doctype html") || lower.starts_with("<html");
    // A health check may well answer in HTML, as that of Rails does, but asks for no password and runs no script.
    if is_html && (lower.contains("type=\"password\"") || lower.contains("<script")) {
        return Some(Content::Page);
    }
    (text.starts_with("# HELP ") || text.starts_with("# TYPE ")).then_some(Content::Metrics)
}

fn of_json(value: &Value) -> Option<Content> {
    match value {
        Value::Array(items) => match items.as_slice() {
            [Value::Object(_), Value::Number(status)] | [Value::Object(_), Value::Number(status), Value::Object(_)] => {
                let status = status.as_u64().and_then(|status| u16::try_from(status).ok());
                status
                    .filter(|status| (200..600).contains(status))
                    .map(Content::StatusInside)
            }
            _ => None,
        },
        Value::Object(fields) => {
            let said = STATE_FIELDS.iter().filter_map(|field| fields.get(*field)?.as_str());
            let mut said = said.map(str::to_ascii_lowercase);
            let denied = FLAGS.iter().any(|flag| fields.get(*flag) == Some(&Value::Bool(false)));
            (denied || said.any(|said| NOT_WELL.contains(&said.as_str()))).then_some(Content::NotWell)
        }
        // Metrics that a framework wrote as a JSON string.
        Value::String(text) => text.starts_with("# HELP ").then_some(Content::Metrics),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_content_that_contradicts_a_good_status_is_told() {
        for (body, expected) in [
            // What FastAPI 0.139 makes of `return {"status": "not_ready"}, 503`.
            (r#"[{"status":"not_ready"},503]"#, Content::StatusInside(503)),
            (r#"[{"status":"ok"},200,{}]"#, Content::StatusInside(200)),
            (
                r#"{"status":"DOWN","components":{"db":{"status":"DOWN"}}}"#,
                Content::NotWell,
            ),
            (r#"{"ready":false}"#, Content::NotWell),
            (
                "<!DOCTYPE html><html><form><input type=\"password\"></form>",
                Content::Page,
            ),
            ("\n<html><head><script src=/app.js></script>", Content::Page),
            ("# HELP up x\n# TYPE up gauge\nup 1", Content::Metrics),
            (r##""# HELP up x\n""##, Content::Metrics),
        ] {
            assert_eq!(told(body.as_bytes()), Some(expected), "{body}");
        }
    }

    #[test]
    fn the_answers_of_health_checks_that_people_have_say_nothing_against_it() {
        for body in [
            "",
            "OK",
            "Healthy",
            "ok\n",
            r#"{"status":"UP"}"#,
            r#"{"status":"ok","error":null,"database":"down for nobody"}"#,
            r#"{"status":"ready","errors":[]}"#,
            "[]",
            "[1,200]",
            r#"[{"name":"db","status":"ok"},{"name":"cache"}]"#,
            r#"[{"x":1},7]"#,
            // Rails' `/up`.
            r#"<!DOCTYPE html><html><body style="background-color: green"></body></html>"#,
            r#"{"cut": "off in the mid"#,
        ] {
            assert_eq!(told(body.as_bytes()), None, "{body}");
        }
        assert_eq!(told(b"\xff\xfe"), None);
    }
}
