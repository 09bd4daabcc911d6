//! What happens around every request: an id, one line of log, the metrics, and the faults.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::{Instant, SystemTime};

use axum::Json;
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures::FutureExt;
use http_body::{Frame, SizeHint};
use serde_json::json;
use tracing::field::Empty;
use tracing::{Instrument, Span};

use crate::api::App;
use crate::metrics::UNMATCHED;
use crate::trace::Trace;

const REQUEST_ID: &str = "x-request-id";
const MAX_REQUEST_ID: usize = 128;

// As nginx counts a client that went away before its answer.
const CLIENT_CLOSED_REQUEST: u16 = 499;

/// What is known of a request before it is read.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Identifies it in the logs: what the caller sent, or one of our own.
    pub id: String,
    /// Its place in a trace.
    pub trace: Trace,
    /// When it came.
    pub at: Instant,
}

impl Asked {
    fn of(request: &Request, span: &Span) -> Self {
        let sent = request.headers().get(REQUEST_ID).and_then(|id| id.to_str().ok());
        let usable =
            sent.filter(|id| !id.is_empty() && id.len() <= MAX_REQUEST_ID && id.bytes().all(|b| b.is_ascii_graphic()));
        Self {
            id: usable.map_or_else(generated, str::to_owned),
            trace: Trace::of(request.headers(), span),
            at: Instant::now(),
        }
    }
}

fn generated() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let nanoseconds = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default().as_nanos();
    format!("{nanoseconds:x}-{:x}", NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Counts, times and logs a request, and turns a panic into a 500 that is counted like any other answer.
pub async fn track(State(app): State<Arc<App>>, mut request: Request, next: Next) -> Response {
    let endpoint = request.extensions().get::<MatchedPath>();
    let endpoint = endpoint.map_or(UNMATCHED, MatchedPath::as_str).to_owned();
    let method = method_label(request.method());
    let span = span(method, &endpoint, request.uri().path());
    let asked = Asked::of(&request, &span);
    request.extensions_mut().insert(asked.clone());
    let tracked = Tracked::begin(&app, method, endpoint, &asked, span.clone());
    let answered = AssertUnwindSafe(next.run(request).instrument(span))
        .catch_unwind()
        .await;
    let mut response = answered.unwrap_or_else(|panic| {
        app.metrics.panicked();
        tracing::error!(
            request_id = asked.id,
            trace_id = asked.trace.trace_id,
            panic = panic_message(panic.as_ref()),
            "request handler panicked"
        );
        error(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal_error",
            "the request failed",
        )
    });
    if let Ok(id) = HeaderValue::from_str(&asked.id) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    let status = response.status().as_u16();
    response.map(|body| Body::new(Answer::new(body, tracked, status)))
}

/// A request in a trace, as OpenTelemetry names what is known of it.
fn span(method: &'static str, endpoint: &str, path: &str) -> Span {
    tracing::info_span!(
        "request",
        otel.name = format!("{method} {endpoint}"),
        otel.kind = "server",
        otel.status_code = Empty,
        http.request.method = method,
        http.route = endpoint,
        http.response.status_code = Empty,
        url.path = path,
    )
}

/// The body of an answer. The request has ended when all of it was handed out: an answer that is streamed takes as long as
/// its last word.
struct Answer {
    body: Body,
    tracked: Option<Tracked>,
    status: u16,
}

impl Answer {
    fn new(body: Body, tracked: Tracked, status: u16) -> Self {
        let mut answer = Self {
            body,
            tracked: Some(tracked),
            status,
        };
        answer.look_for_the_end();
        answer
    }

    fn look_for_the_end(&mut self) {
        if self.body.is_end_stream() {
            self.end();
        }
    }

    fn end(&mut self) {
        if let Some(tracked) = self.tracked.take() {
            tracked.end(self.status);
        }
    }
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        match frame {
            None => self.end(),
            Some(_) => self.look_for_the_end(),
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A request that has begun. A caller that goes away drops it.
struct Tracked {
    app: Arc<App>,
    method: &'static str,
    endpoint: String,
    asked: Asked,
    span: Span,
    status: u16,
}

impl Tracked {
    fn begin(app: &Arc<App>, method: &'static str, endpoint: String, asked: &Asked, span: Span) -> Self {
        app.metrics.begin();
        Self {
            app: Arc::clone(app),
            method,
            endpoint,
            asked: asked.clone(),
            span,
            status: CLIENT_CLOSED_REQUEST,
        }
    }

    fn end(mut self, status: u16) {
        self.status = status;
    }
}

impl Drop for Tracked {
    fn drop(&mut self) {
        let Asked { id, trace, at } = &self.asked;
        let took = at.elapsed();
        // A span ends when it was last entered, and a stream goes on after that.
        let _entered = self.span.enter();
        self.span.record("http.response.status_code", self.status);
        if self.status >= 500 {
            self.span.record("otel.status_code", "ERROR");
        }
        self.app
            .metrics
            .end(self.method, &self.endpoint, self.status, took, &trace.trace_id);
        tracing::info!(
            request_id = id,
            trace_id = trace.trace_id,
            span_id = trace.span_id,
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
