//! Traces, sent to a receiver of OpenTelemetry's protocol by HTTP. No request waits for that: finished spans go into a
//! queue that holds 2048, a thread of its own sends them, and what does not fit is dropped.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use axum::body::Bytes;
use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider;
use opentelemetry_http::{HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{ExporterBuildError, Protocol, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::resource::{EnvResourceDetector, TelemetryResourceDetector};
use opentelemetry_sdk::trace::SdkTracerProvider;
use tokio::runtime::Handle;
use tracing::Subscriber;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::registry::LookupSpan;

/// How long the receiver may take for an answer.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How long the last spans may take once the service ends.
const LAST_WITHIN: Duration = Duration::from_secs(2);
/// Who makes our spans: their targets begin so.
const OURS: &str = "claude_api";

/// Traces could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The HTTP client.
    #[error("cannot set up the HTTP client of the traces: {0}")]
    Client(#[from] reqwest::Error),
    /// What OpenTelemetry's own variables in the environment say.
    #[error("cannot set up the traces: {0}")]
    Exporter(#[from] ExporterBuildError),
}

/// Where spans go.
pub struct Traces(SdkTracerProvider);

impl Traces {
    /// Sends to the receiver at this base URL. It needs the runtime around it.
    pub fn to(endpoint: &str) -> Result<Self, Error> {
        // Another one that is there already is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let builder = || reqwest::Client::builder().no_proxy().timeout(TIMEOUT);
        // Where the system has no CA certificates, as in a small image, plain HTTP still works.
        let http = builder().build().or_else(|_| builder().tls_certs_only([]).build())?;
        let exporter = SpanExporter::builder()
            .with_http()
            .with_protocol(Protocol::HttpBinary)
            .with_timeout(TIMEOUT)
            .with_endpoint(format!("{}/v1/traces", endpoint.trim_end_matches('/')))
            .with_http_client(Sender {
                http,
                runtime: Handle::current(),
                failing: Arc::default(),
            })
            .build()?;
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_resource(resource())
            .build();
        Ok(Self(provider))
    }

    /// What makes traces of our own spans, and of nobody else's.
    pub(super) fn layer<S>(&self) -> impl Layer<S> + use<S>
    where
        S: Subscriber + for<'span> LookupSpan<'span>,
    {
        // A tracing span knows its parent: no second stack of contexts is kept.
        tracing_opentelemetry::layer()
            .with_tracer(self.0.tracer(OURS))
            .with_context_activation(false)
            .with_tracked_inactivity(false)
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_filter(
                filter_fn(|metadata| metadata.is_span() && metadata.target().starts_with(OURS))
                    .with_max_level_hint(LevelFilter::INFO),
            )
    }

    /// Sends the last spans, as far as that is done in 2 s.
    pub async fn finish(self) {
        let sent = tokio::task::spawn_blocking(move || self.0.shutdown_with_timeout(LAST_WITHIN));
        if let Ok(Err(error)) = sent.await {
            tracing::warn!(%error, "the last spans could not be sent");
        }
    }
}

/// What the spans are of: OTEL_RESOURCE_ATTRIBUTES and OTEL_SERVICE_NAME have the last word.
fn resource() -> Resource {
    let name = std::env::var("OTEL_SERVICE_NAME").ok().filter(|name| !name.is_empty());
    Resource::builder_empty()
        .with_attributes([
            KeyValue::new("service.name", "claude-api"),
            KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
        ])
        .with_detectors(&[
            Box::new(TelemetryResourceDetector),
            Box::new(EnvResourceDetector::new()),
        ])
        .with_attributes(name.map(|name| KeyValue::new("service.name", name)))
        .build()
}

/// Sends for a thread that is none of the runtime's.
#[derive(Clone, Debug)]
struct Sender {
    http: reqwest::Client,
    runtime: Handle,
    failing: Arc<AtomicBool>,
}

#[async_trait]
impl HttpClient for Sender {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let http = self.http.clone();
        let sent = self.runtime.spawn(async move { send(&http, request).await }).await?;
        let wrong = match &sent {
            Ok(answer) if answer.status().is_success() => None,
            Ok(answer) => Some(format!("it answered {}", answer.status())),
            Err(error) => Some(super::in_words(error)),
        };
        // Once until they are taken again: a receiver that is down for long shall not fill the log.
        let failed_before = self.failing.swap(wrong.is_some(), Ordering::Relaxed);
        match (wrong, failed_before) {
            (Some(error), false) => tracing::warn!(error, "traces could not be sent: they are lost until they can"),
            (None, true) => tracing::info!("traces can be sent again"),
            _ => {}
        }
        Ok(sent?)
    }
}

async fn send(http: &reqwest::Client, request: Request<Bytes>) -> Result<Response<Bytes>, reqwest::Error> {
    let answer = http.execute(request.try_into()?).await?;
    let status = answer.status();
    let mut response = Response::new(answer.bytes().await?);
    *response.status_mut() = status;
    Ok(response)
}
