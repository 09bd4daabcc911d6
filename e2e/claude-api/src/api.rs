//! The API itself, its probes and its metrics.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{StatusCode, header};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use serde_json::{Value, json};

use crate::faults::Switchboard;
use crate::findings::{Findings, kind, object};
use crate::metrics::{CONTENT_TYPE, Metrics};
use crate::model::{MODELS, Model};
use crate::requests::{RequestId, error, hold, inject, track};

const MAX_BODY_BYTES: usize = 1 << 20;
const MAX_TOKENS: u64 = 8192;

/// What all requests share.
#[derive(Debug)]
pub struct App {
    /// What is counted.
    pub metrics: Metrics,
    /// What is switched on.
    pub faults: Switchboard,
    /// The service is ending: it still answers, but wants no new requests.
    pub draining: AtomicBool,
}

impl App {
    /// A service that has just started.
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            metrics: Metrics::new(),
            faults: Switchboard::default(),
            draining: AtomicBool::new(false),
        })
    }
}

/// Every route of the main port.
pub fn router(app: &Arc<App>) -> Router {
    let api = Router::new().route("/v1/messages", post(messages)).fallback(unknown);
    let around = Router::new()
        .route("/health", get(health))
        .route("/ready", get(ready))
        .route("/metrics", get(metrics))
        .layer(from_fn_with_state(Arc::clone(app), hold));
    tracked(app, api).merge(around).with_state(Arc::clone(app))
}

/// Routes whose requests are counted, logged and subject to faults.
fn tracked(app: &Arc<App>, api: Router<Arc<App>>) -> Router<Arc<App>> {
    // The last layer is the outermost: what hangs or fails is counted too.
    api.layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(from_fn_with_state(Arc::clone(app), inject))
        .layer(from_fn_with_state(Arc::clone(app), hold))
        .layer(from_fn_with_state(Arc::clone(app), track))
}

/// A question to a model.
#[derive(Debug)]
struct Question {
    model: &'static Model,
    max_tokens: u64,
    conversation: Vec<String>,
}

impl Question {
    fn parse(body: &[u8]) -> Result<Self, Findings> {
        let object = object(body)?;
        let mut findings = Findings::default();
        let model = findings.required(&object, "", "model", |value| {
            value.as_str().and_then(Model::named).ok_or_else(|| {
                let known: Vec<&str> = MODELS.iter().map(|model| model.name).collect();
                format!("must be one of {}, is {value}", known.join(", "))
            })
        });
        let max_tokens = findings.required(&object, "", "max_tokens", |value| match value.as_u64() {
            Some(tokens) if (1..=MAX_TOKENS).contains(&tokens) => Ok(tokens),
            _ => Err(format!("must be a whole number from 1 to {MAX_TOKENS}, is {value}")),
        });
        let messages = findings.required(&object, "", "messages", |value| match value {
            Value::Array(messages) if !messages.is_empty() => Ok(messages.clone()),
            Value::Array(_) => Err("must not be empty".to_owned()),
            other => Err(format!("must be a list, is {}", kind(other))),
        });
        let conversation = conversation(&messages.unwrap_or_default(), &mut findings);
        match (model, max_tokens) {
            (Some(model), Some(max_tokens)) => findings.or(Self {
                model,
                max_tokens,
                conversation,
            }),
            _ => Err(findings),
        }
    }
}

fn conversation(messages: &[Value], findings: &mut Findings) -> Vec<String> {
    let mut texts = Vec::new();
    for (index, message) in messages.iter().enumerate() {
        let path = format!("messages[{index}]");
        let Value::Object(message) = message else {
            findings.add(path, format!("must be an object, is {}", kind(message)));
            continue;
        };
        let path = format!("{path}.");
        findings.required(message, &path, "role", |value| match value.as_str() {
            Some("user" | "assistant") => Ok(()),
            _ => Err(format!("must be \"user\" or \"assistant\", is {value}")),
        });
        texts.extend(
            findings.required(message, &path, "content", |value| match value.as_str() {
                Some("") => Err("must not be empty".to_owned()),
                Some(text) => Ok(text.to_owned()),
                None => Err(format!("must be a string, is {}", kind(value))),
            }),
        );
    }
    texts
}

async fn messages(
    State(app): State<Arc<App>>,
    Extension(RequestId(request_id)): Extension<RequestId>,
    body: Bytes,
) -> Result<Json<Value>, Findings> {
    let question = Question::parse(&body)?;
    let conversation = question.conversation.iter().map(String::as_str);
    let answer = question.model.answer(conversation, question.max_tokens);
    tokio::time::sleep(answer.thinking).await;
    app.metrics.answered(question.model, &answer);
    tracing::debug!(request_id, model = question.model.name, answer = answer.id, "answered");
    Ok(Json(json!({
        "id": answer.id,
        "type": "message",
        "role": "assistant",
        "model": question.model.name,
        "content": [{"type": "text", "text": answer.text}],
        "stop_reason": if answer.cut { "max_tokens" } else { "end_turn" },
        "usage": {"input_tokens": answer.input_tokens, "output_tokens": answer.output_tokens},
    })))
}

// Touches nothing: it says only that the process answers.
async fn health() -> Json<Value> {
    Json(json!({"status": "ok"}))
}

async fn ready(State(app): State<Arc<App>>) -> Response {
    if app.draining.load(Ordering::Relaxed) {
        error(StatusCode::SERVICE_UNAVAILABLE, "not_ready", "shutting down")
    } else if app.faults.get().not_ready {
        error(
            StatusCode::SERVICE_UNAVAILABLE,
            "not_ready",
            "switched off at the admin port",
        )
    } else {
        Json(json!({"status": "ready"})).into_response()
    }
}

async fn metrics(State(app): State<Arc<App>>) -> Response {
    match app.metrics.expose() {
        Ok(text) => ([(header::CONTENT_TYPE, CONTENT_TYPE)], text).into_response(),
        Err(failed) => error(StatusCode::INTERNAL_SERVER_ERROR, "internal_error", &failed.to_string()),
    }
}

async fn unknown() -> Response {
    error(StatusCode::NOT_FOUND, "not_found", "no such path")
}

#[cfg(test)]
mod tests;
