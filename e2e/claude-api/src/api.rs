//! The API itself, its probes and its metrics.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use serde_json::{Value, json};

use crate::dependencies::{Caller, Dependencies, hash, hexadecimal};
use crate::faults::Switchboard;
use crate::findings::{Findings, kind, object};
use crate::metrics::usage::Usage;
use crate::metrics::{CONTENT_TYPE, Metrics};
use crate::model::{Answer, MODELS, Model};
use crate::requests::{Asked, error, hold, inject, track};
use crate::{stream, tasks, trace};

const MAX_BODY_BYTES: usize = 1 << 20;
const MAX_TOKENS: u64 = 8192;
// What a careless service says when its provider does not answer: a success that no model made.
const FALLBACK: &str = "Please try again later.";

/// What all requests share.
#[derive(Debug)]
pub struct App {
    /// What is counted.
    pub metrics: Metrics,
    /// What is switched on.
    pub faults: Switchboard,
    /// PostgreSQL and Redis, where they are configured, and what is counted of them.
    pub dependencies: Option<(Arc<Dependencies>, Usage)>,
    /// The service is ending: it still answers, but wants no new requests.
    pub draining: AtomicBool,
}

impl App {
    /// A service that has just started, with databases or without.
    pub fn new(dependencies: Option<Arc<Dependencies>>) -> Arc<Self> {
        let mut metrics = Metrics::new();
        let dependencies = dependencies.map(|dependencies| (dependencies, metrics.with_usage()));
        Arc::new(Self {
            metrics,
            faults: Switchboard::default(),
            dependencies,
            draining: AtomicBool::new(false),
        })
    }
}

/// Every route of the main port.
pub fn router(app: &Arc<App>) -> Router {
    let mut api = Router::new().route("/v1/messages", post(messages));
    if app.dependencies.is_some() {
        api = api.merge(tasks::router());
    }
    let api = api.fallback(unknown);
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
pub struct Question {
    model: &'static Model,
    max_tokens: u64,
    /// The answer is wanted word by word.
    stream: bool,
    conversation: Vec<String>,
}

impl Question {
    /// Reads what was sent.
    pub fn parse(body: &[u8]) -> Result<Self, Findings> {
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
        let stream = findings.optional(&object, "stream", |value| {
            value
                .as_bool()
                .ok_or_else(|| format!("must be true or false, is {value}"))
        });
        let conversation = conversation(&messages.unwrap_or_default(), &mut findings);
        match (model, max_tokens) {
            (Some(model), Some(max_tokens)) => findings.or(Self {
                model,
                max_tokens,
                stream,
                conversation,
            }),
            _ => Err(findings),
        }
    }

    /// What the model says.
    pub fn answer(&self) -> Answer {
        let conversation = self.conversation.iter().map(String::as_str);
        self.model.answer(conversation, self.max_tokens)
    }

    /// Takes the time that the model takes.
    pub async fn wait_for(&self, answer: &Answer) {
        let _span = trace::model(self.model, answer);
        tokio::time::sleep(answer.thinking).await;
    }

    /// The same for the same question, and only for it.
    fn fingerprint(&self) -> String {
        hexadecimal(&hash(format!(
            "{:?}",
            (self.model.name, self.max_tokens, &self.conversation)
        )))
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
    Extension(asked): Extension<Asked>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Response> {
    let dependencies = app.dependencies.as_ref().map(|(dependencies, _)| dependencies);
    let caller = match dependencies {
        Some(dependencies) => Some(dependencies.admit(&headers).await?),
        None => None,
    };
    let question = Question::parse(&body).map_err(IntoResponse::into_response)?;
    let fingerprint = question.fingerprint();
    // A cache that does not answer is as good as one that knows nothing. Who wants to see the words come asks the model.
    let kept = match dependencies.filter(|_| !question.stream) {
        Some(dependencies) => dependencies.cache.answer(&fingerprint).await.unwrap_or_default(),
        None => None,
    };
    if let Some(kept) = kept {
        return Ok(([(header::CONTENT_TYPE, "application/json")], kept).into_response());
    }
    if app.faults.get().fallback {
        return Ok(Json(json!({"type": "message", "role": "assistant", "content": FALLBACK})).into_response());
    }
    let answer = question.answer();
    if !question.stream {
        question.wait_for(&answer).await;
    }
    app.metrics.answered(question.model, &answer);
    let text = json!({
        "id": answer.id,
        "type": "message",
        "role": "assistant",
        "model": question.model.name,
        "content": [{"type": "text", "text": answer.text}],
        "stop_reason": answer.stop_reason(),
        "usage": {"input_tokens": answer.input_tokens, "output_tokens": answer.output_tokens},
    })
    .to_string();
    if let (Some(dependencies), Some(Caller(key))) = (dependencies, caller) {
        let tokens = [answer.input_tokens, answer.output_tokens];
        let kept = dependencies
            .database
            .answered(&asked.id, &key, question.model.name, tokens);
        kept.await.map_err(IntoResponse::into_response)?;
        let _ = dependencies.cache.keep_answer(&fingerprint, &text).await; // only slower the next time
    }
    if question.stream {
        return Ok(stream::stream(app, question.model, &answer, asked.at));
    }
    Ok(([(header::CONTENT_TYPE, "application/json")], text).into_response())
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
    } else if let Some((dependencies, _)) = &app.dependencies
        && let Err(unavailable) = dependencies.ready().await
    {
        unavailable.into_response()
    } else {
        Json(json!({"status": "ready"})).into_response()
    }
}

async fn metrics(State(app): State<Arc<App>>) -> Response {
    if let Some((dependencies, usage)) = &app.dependencies {
        usage.connections(dependencies.database.connections());
    }
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
