//! Traces, sent to a receiver of OpenTelemetry's protocol by HTTP. What it does holds nothing up: finished spans wait in a
//! queue that holds 2048, and what does not fit is dropped.

use std::error::Error as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{ExporterBuildError, Protocol, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::resource::{EnvResourceDetector, TelemetryResourceDetector};
use opentelemetry_sdk::trace::SdkTracerProvider;
use reqwest::redirect;
use tokio::runtime::Handle;
use tracing::Subscriber;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::registry::LookupSpan;

/// How long the receiver may take for an answer: what OpenTelemetry's specification says.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How long the last spans may take once the operator ends.
const LAST_WITHIN: Duration = Duration::from_secs(2);
/// Largest part of an answer that is read.
const MOST_BYTES: usize = 64 << 10;
/// Who makes our spans: their targets begin so.
const OURS: &str = "observed::";

/// Traces could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The HTTP client.
    #[error("could not set up the HTTP client of the traces")]
    Client(#[source] reqwest::Error),
    /// What OpenTelemetry's own variables in the environment say.
    #[error("could not set up the traces: {0}")]
    Exporter(#[from] ExporterBuildError),
}

/// Where spans go.
pub struct Traces {
    provider: SdkTracerProvider,
}

impl Traces {
    /// Sends to the receiver at this base URL. It needs the runtime around it.
    ///
    /// # Errors
    /// The HTTP client cannot be set up, or a variable of OpenTelemetry in the environment makes no sense.
    pub fn to(endpoint: &str) -> Result<Self, Error> {
        let url = format!("{endpoint}/v1/traces");
        let builder = || {
            reqwest::Client::builder()
                .redirect(redirect::Policy::none())
                .no_proxy()
                .timeout(TIMEOUT)
                .user_agent("observed")
        };
        // Where the system has no CA certificates, as in a small image, plain HTTP still works.
        let http = builder().build().or_else(|_| builder().tls_certs_only([]).build());
        let sender = Sender {
            http: http.map_err(Error::Client)?,
            runtime: Handle::current(),
            failing: Arc::default(),
        };
        let exporter = SpanExporter::builder()
            .with_http()
            .with_protocol(Protocol::HttpBinary)
            .with_timeout(TIMEOUT)
            .with_endpoint(url)
            .with_http_client(sender)
            .build()?;
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_resource(resource())
            .build();
        Ok(Self { provider })
    }

    /// Sends to whatever the provider sends to.
    #[cfg(test)]
    pub fn of(provider: SdkTracerProvider) -> Self {
        Self { provider }
    }

    /// What makes traces of our own spans, and of nobody else's.
    pub(super) fn layer<S>(&self) -> impl Layer<S> + use<S>
    where
        S: Subscriber + for<'span> LookupSpan<'span>,
    {
        // A tracing span knows its parent: no second stack of contexts is kept.
        tracing_opentelemetry::layer()
            .with_tracer(self.provider.tracer("observed"))
            .with_context_activation(false)
            .with_tracked_inactivity(false)
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_filter(
                filter_fn(|metadata| metadata.is_span() && metadata.target().starts_with(OURS))
                    .with_max_level_hint(LevelFilter::DEBUG),
            )
    }

    /// Sends the last spans, as far as that is done in 2 s.
    pub async fn finish(self) {
        let sent = tokio::task::spawn_blocking(move || self.provider.shutdown_with_timeout(LAST_WITHIN));
        if let Ok(Err(error)) = sent.await {
            tracing::debug!(%error, "the last spans could not be sent");
        }
    }
}

/// What the spans are of: ours, unless OTEL_RESOURCE_ATTRIBUTES and OTEL_SERVICE_NAME say otherwise.
fn resource() -> Resource {
    let name = std::env::var("OTEL_SERVICE_NAME").ok().filter(|name| !name.is_empty());
    Resource::builder_empty()
        .with_attributes([
            KeyValue::new("service.name", "observed"),
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
        let url = request.uri().to_string();
        let http = self.http.clone();
        let sent = self.runtime.spawn(async move { send(&http, request).await }).await?;
        let wrong = match &sent {
            Ok(answer) if answer.status().is_success() => None,
            Ok(answer) => Some(format!("it answered {}", answer.status())),
            Err(error) => Some(words(error)),
        };
        self.tell(&url, wrong.as_deref());
        Ok(sent?)
    }
}

impl Sender {
    /// Logs that spans are lost, once until they are taken again.
    fn tell(&self, url: &str, wrong: Option<&str>) {
        match (wrong, self.failing.swap(wrong.is_some(), Ordering::Relaxed)) {
            (Some(error), false) => {
                tracing::warn!(
                    url,
                    error,
                    "traces could not be sent: they are lost until it takes them"
                );
            }
            (None, true) => tracing::info!(url, "traces can be sent again"),
            _ => {}
        }
    }
}

async fn send(http: &reqwest::Client, request: Request<Bytes>) -> Result<Response<Bytes>, reqwest::Error> {
    let mut answer = http
        .execute(request.try_into()?)
        .await
        .map_err(reqwest::Error::without_url)?;
    let mut body = Vec::new();
    while body.len() < MOST_BYTES
        && let Some(chunk) = answer.chunk().await.map_err(reqwest::Error::without_url)?
    {
        body.extend_from_slice(&chunk[..chunk.len().min(MOST_BYTES - body.len())]);
    }
    let mut response = Response::new(Bytes::from(body));
    *response.status_mut() = answer.status();
    *response.headers_mut() = std::mem::take(answer.headers_mut());
    Ok(response)
}

/// What went wrong, by its innermost cause.
fn words(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return format!("it did not answer within {} s", TIMEOUT.as_secs());
    }
    let mut cause = error.source();
    let mut words = error.to_string();
    while let Some(error) = cause {
        words = error.to_string();
        cause = error.source();
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::LogFormat;
    use crate::telemetry::kept::Lines;

    #[test]
    fn the_resource_says_which_program_and_which_version_it_is() {
        let resource = resource();
        let of = |key: &'static str| resource.get(&key.into()).map(|value| value.to_string());
        assert_eq!(of("service.name").as_deref(), Some("observed"));
        assert_eq!(of("service.version").as_deref(), Some(env!("CARGO_PKG_VERSION")));
        assert_eq!(of("telemetry.sdk.language").as_deref(), Some("rust"));
    }

    #[tokio::test]
    async fn that_spans_are_lost_is_logged_once_until_they_are_taken_again() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let sender = Sender {
            http: reqwest::Client::builder().tls_certs_only([]).build().unwrap(),
            runtime: Handle::current(),
            failing: Arc::default(),
        };
        let lines = Lines::default();
        let _guard = lines.start(LogFormat::Text, "info", None);
        for wrong in [None, Some("refused"), Some("refused"), None, None, Some("refused")] {
            sender.tell("http://collector/v1/traces", wrong);
        }
        let text = lines.text();
        assert_eq!(text.matches("could not be sent").count(), 2, "{text}");
        assert_eq!(text.matches("can be sent again").count(), 1, "{text}");
    }
}
