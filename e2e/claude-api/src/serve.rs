//! Runs the service: two listeners, and an end that loses no request.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use clap::{Args, Parser};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use crate::api::{self, App};
use crate::dependencies::Dependencies;
use crate::faults::Faults;
use crate::telemetry::traces::{self, Traces};
use crate::{admin, dependencies, duration, tasks};

/// How to serve.
#[derive(Args, Clone, Debug)]
pub struct Options {
    /// Where the API, its probes and its metrics listen.
    #[arg(long, env = "CLAUDE_API_LISTEN", default_value = "0.0.0.0:8080")]
    listen: SocketAddr,
    /// Where faults are switched.
    #[arg(long, env = "CLAUDE_API_ADMIN_LISTEN", default_value = "0.0.0.0:9901")]
    admin_listen: SocketAddr,
    /// How long it takes to start, as if a model were loaded: nothing listens before.
    #[arg(long, default_value = "0s", value_parser = duration::parse)]
    starting: Duration,
    /// How long to go on answering after SIGTERM while not ready, until nobody sends new requests.
    #[arg(long, default_value = "3s", value_parser = duration::parse)]
    drain: Duration,
    /// How long requests that are in flight then have to end.
    #[arg(long, default_value = "20s", value_parser = duration::parse)]
    grace: Duration,
    /// What is wrong from the start, as the admin port takes it: a version that is broken. `{"errorRatio": 0.5}`.
    #[arg(long, env = "CLAUDE_API_FAULTS", default_value = "{}", value_parser = Faults::from_option)]
    faults: Faults,
    /// Base URL of what receives traces by OTLP/HTTP: they are sent to /v1/traces below it. None are sent without it.
    #[arg(long, env = "OTEL_EXPORTER_OTLP_ENDPOINT")]
    otlp_endpoint: Option<String>,
    #[command(flatten)]
    dependencies: dependencies::Options,
}

impl Options {
    /// Where spans go, if anywhere.
    pub fn traces(&self) -> Result<Option<Traces>, traces::Error> {
        // OpenTelemetry says that an empty variable is as good as none.
        let endpoint = self.otlp_endpoint.as_deref().filter(|url| !url.is_empty());
        endpoint.map(Traces::to).transpose()
    }
}

#[derive(Parser)]
struct Defaults {
    #[command(flatten)]
    options: Options,
}

impl Default for Options {
    fn default() -> Self {
        Defaults::parse_from(["claude-api"]).options
    }
}

/// The service could not run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An address cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The operating system refused a signal handler.
    #[error("cannot wait for signals: {0}")]
    Signals(#[source] io::Error),
    /// A dependency cannot be used as it is configured.
    #[error(transparent)]
    Dependencies(#[from] dependencies::Error),
    /// Traces cannot be sent as it is configured.
    #[error(transparent)]
    Traces(#[from] traces::Error),
    /// A listener broke.
    #[error("cannot go on serving: {0}")]
    Serve(#[source] io::Error),
}

/// Listens on an address, and says which it became.
pub async fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr), Error> {
    let failed = |source| Error::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
}

/// Returns when the process is asked to end. Without this the first process of a container would ignore it.
pub fn asked_to_end() -> Result<impl Future<Output = ()>, Error> {
    let mut terminate = signal(SignalKind::terminate()).map_err(Error::Signals)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Error::Signals)?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

/// The worker and what counts, where there are databases. Returns never: a worker that ends early does not end the service.
async fn background(app: &App) {
    if let Some((dependencies, usage)) = &app.dependencies {
        tokio::join!(tasks::work(app, dependencies, usage), tasks::count(dependencies, usage));
    }
    std::future::pending().await
}

/// Serves until the process is asked to end.
pub async fn run(options: Options) -> Result<(), Error> {
    let app = App::new(Dependencies::new(options.dependencies)?);
    app.faults.set(options.faults);
    let end = asked_to_end()?;
    tokio::time::sleep(options.starting).await;
    let (main, main_address) = listen(options.listen).await?;
    let (admin, admin_address) = listen(options.admin_listen).await?;
    tracing::info!(listen = %main_address, admin_listen = %admin_address, "serving");

    let closing = Arc::new(tokio::sync::Notify::new());
    let close = {
        let (app, closing) = (Arc::clone(&app), Arc::clone(&closing));
        async move {
            end.await;
            app.draining.store(true, Ordering::Relaxed);
            tracing::info!(
                seconds = options.drain.as_secs_f64(),
                "no longer ready, still answering"
            );
            tokio::time::sleep(options.drain).await;
            closing.notify_one();
        }
    };
    let overdue = async {
        closing.notified().await;
        tokio::time::sleep(options.grace).await;
    };
    tokio::select! {
        served = async { axum::serve(main, api::router(&app)).with_graceful_shutdown(close).await } => {
            served.map_err(Error::Serve)?;
            tracing::info!("every request answered");
        }
        served = async { axum::serve(admin, admin::router(Arc::clone(&app))).await } => served.map_err(Error::Serve)?,
        () = admin::act(Arc::clone(&app)) => {}
        () = background(&app) => {}
        () = overdue => tracing::warn!("ending with requests in flight"),
    }
    Ok(())
}
