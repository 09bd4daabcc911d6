//! A receiver of traces by OTLP/HTTP, as a collector is one, for tests of programs that send them.

use std::collections::BTreeMap;
use std::future::pending;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode as Ended;
use prost::Message;
use tokio::net::TcpListener;

/// Where the receiver takes traces: `/v1/traces` below a prefix that whoever sends has to keep.
const PATH: &str = "/prefix/v1/traces";

/// What a receiver does with what it is sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Manner {
    /// Keeps it.
    Takes,
    /// Answers 503.
    Refuses,
    /// Never answers.
    Hangs,
}

/// What a receiver was sent.
#[derive(Debug, Default)]
pub struct Sent {
    /// Requests, whatever became of them.
    pub requests: usize,
    /// The spans that were taken, in the order in which they came.
    pub spans: Vec<Span>,
    /// What the last of them were of.
    pub resource: BTreeMap<String, String>,
    /// The header `authorization` of the last request that was taken.
    pub authorization: Option<String>,
}

impl Sent {
    /// The spans of one name.
    #[must_use]
    pub fn named(&self, name: &str) -> Vec<&Span> {
        self.spans.iter().filter(|span| span.name == name).collect()
    }

    /// The spans whose parent is this one, in the order in which they began.
    #[must_use]
    pub fn below(&self, parent: &Span) -> Vec<&Span> {
        let of_parent = |span: &&Span| span.trace_id == parent.trace_id && span.parent_span_id == parent.span_id;
        let mut below: Vec<_> = self.spans.iter().filter(of_parent).collect();
        below.sort_by_key(|span| span.start_time_unix_nano);
        below
    }
}

/// A receiver of OTLP/HTTP on this machine.
#[derive(Clone, Debug)]
pub struct Receiver {
    /// What to set as the endpoint.
    pub url: String,
    manner: Arc<Mutex<Manner>>,
    sent: Arc<Mutex<Sent>>,
}

impl Receiver {
    /// Listens on a port of its own, until the runtime ends.
    ///
    /// # Errors
    /// No port is free.
    pub async fn start(manner: Manner) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let receiver = Self {
            url: format!("http://{}/prefix/", listener.local_addr()?),
            manner: Arc::new(Mutex::new(manner)),
            sent: Arc::default(),
        };
        let router = Router::new().fallback(take).with_state(receiver.clone());
        tokio::spawn(async { axum::serve(listener, router).await });
        Ok(receiver)
    }

    /// Does something else from now on.
    pub fn becomes(&self, manner: Manner) {
        *lock(&self.manner) = manner;
    }

    /// What it was sent so far. Nothing more is taken as long as this is held.
    pub fn sent(&self) -> MutexGuard<'_, Sent> {
        lock(&self.sent)
    }
}

fn lock<T>(what: &Mutex<T>) -> MutexGuard<'_, T> {
    what.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn take(State(receiver): State<Receiver>, uri: Uri, headers: HeaderMap, body: Bytes) -> StatusCode {
    receiver.sent().requests += 1;
    let manner = *lock(&receiver.manner);
    match manner {
        Manner::Hangs => return pending().await,
        Manner::Refuses => return StatusCode::SERVICE_UNAVAILABLE,
        Manner::Takes => {}
    }
    if uri.path() != PATH {
        return StatusCode::NOT_FOUND;
    }
    if headers
        .get(header::CONTENT_TYPE)
        .is_none_or(|kind| kind != "application/x-protobuf")
    {
        return StatusCode::UNSUPPORTED_MEDIA_TYPE;
    }
    let Ok(request) = ExportTraceServiceRequest::decode(body) else {
        return StatusCode::BAD_REQUEST;
    };
    let mut sent = receiver.sent();
    let authorization = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    sent.authorization = authorization.map(str::to_owned);
    for resource in request.resource_spans {
        sent.resource = values(&resource.resource.unwrap_or_default().attributes);
        sent.spans
            .extend(resource.scope_spans.into_iter().flat_map(|scope| scope.spans));
    }
    StatusCode::OK
}

/// Attributes by name, as text.
#[must_use]
pub fn values(attributes: &[KeyValue]) -> BTreeMap<String, String> {
    let text = |attribute: &KeyValue| match attribute.value.as_ref().and_then(|value| value.value.as_ref()) {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::IntValue(number)) => number.to_string(),
        other => format!("{other:?}"),
    };
    let named = attributes
        .iter()
        .map(|attribute| (attribute.key.clone(), text(attribute)));
    named.collect()
}

/// How a span says that it ended.
#[must_use]
pub fn ended(span: &Span) -> Ended {
    span.status.clone().unwrap_or_default().code()
}
