//! What happens around every request: an id, one line of log, the metrics, and the faults.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Instant, SystemTime};

use axum::Json;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures::FutureExt;
use serde_json::json;

use crate::api::App;
use crate::metrics::UNMATCHED;

const REQUEST_ID: &str = "x-request-id";
const MAX_REQUEST_ID: usize = 128;

// As nginx counts a client that went away before its answer.
const CLIENT_CLOSED_REQUEST: u16 = 499;

/// Identifies a request in the logs: what the caller sent, or one of our own.
#[derive(Clone, Debug)]
pub struct RequestId(pub String);

impl RequestId {
    fn of(request: &Request) -> Self {
        let sent = request.headers().get(REQUEST_ID).and_then(|id| id.to_str().ok());
        let usable =
            sent.filter(|id| !id.is_empty() && id.len() <= MAX_REQUEST_ID && id.bytes().all(|b| b.is_ascii_graphic()));
        Self(usable.map_or_else(generated, str::to_owned))
    }
}

fn generated() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let nanoseconds = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default().as_nanos();
    format!("{nanoseconds:x}-{:x}", NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Counts, times and logs a request, and turns a panic into a 500 that is counted like any other answer.
pub async fn track(State(app): State<Arc<App>>, mut request: Request, next: Next) -> Response {
    let id = RequestId::of(&request);
    request.extensions_mut().insert(id.clone());
    let endpoint = request.extensions().get::<MatchedPath>();
    let tracked = Tracked::begin(
        &app,
        method_label(request.method()),
        endpoint.map_or(UNMATCHED, MatchedPath::as_str),
        &id,
    );
    let answered = AssertUnwindSafe(next.run(request)).catch_unwind().await;
    let mut response = answered.unwrap_or_else(|panic| {
        app.metrics.panicked();
        tracing::error!(
            request_id = id.0,
            panic = panic_message(panic.as_ref()),
            "request handler panicked"
        );
        error(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal_error",
            "the request failed",
        )
    });
    if let Ok(id) = HeaderValue::from_str(&id.0) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    tracked.end(response.status().as_u16());
    response
}

/// A request that has begun. A caller that goes away drops it.
struct Tracked {
    app: Arc<App>,
    method: &'static str,
    endpoint: String,
    id: String,
    start: Instant,
    status: u16,
}

impl Tracked {
    fn begin(app: &Arc<App>, method: &'static str, endpoint: &str, id: &RequestId) -> Self {
        app.metrics.begin();
        Self {
            app: Arc::clone(app),
            method,
            endpoint: endpoint.to_owned(),
            id: id.0.clone(),
            start: Instant::now(),
            status: CLIENT_CLOSED_REQUEST,
        }
    }

    fn end(mut self, status: u16) {
        self.status = status;
    }
}

impl Drop for Tracked {
    fn drop(&mut self) {
        let took = self.start.elapsed();
        self.app.metrics.end(self.method, &self.endpoint, self.status, took);
        tracing::info!(
            request_id = self.id,
            method = self.method,
            endpoint = self.endpoint,
            status = self.status,
            duration_seconds = took.as_secs_f64(),
            "request"
        );
    }
}

/// Holds a request for as long as the service hangs.
pub async fn hold(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    app.faults.pass().await;
    next.run(request).await
}

/// Delays a request, and answers in its place, or panics, if it is one of those that fail.
pub async fn inject(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let latency = app.faults.get().latency;
    if !latency.is_zero() {
        tokio::time::sleep(latency).await;
    }
    if app.faults.fails() {
        return error(
            StatusCode::INTERNAL_SERVER_ERROR,
            "injected_fault",
            "switched on at the admin port",
        );
    }
    if app.faults.get().panic {
        // What a panic does, without the words on standard error that would be no JSON.
        std::panic::resume_unwind(Box::new("switched on at the admin port"));
    }
    next.run(request).await
}

/// An answer that is an error.
pub fn error(status: StatusCode, kind: &str, message: &str) -> Response {
    let body = json!({"error": {"type": kind, "message": message}});
    (status, Json(body)).into_response()
}

// A caller may invent methods; each would be a series.
fn method_label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        Method::HEAD => "HEAD",
        Method::OPTIONS => "OPTIONS",
        Method::PATCH => "PATCH",
        _ => "other",
    }
}

fn panic_message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no message")
}
