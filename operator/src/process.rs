//! What a process that writes does around its work: it tells of itself, waits for its Lease, and ends in time. Its work is
//! the controller's, or that of remediation.

use std::time::Duration;

use futures::{FutureExt, future};
use kube::client::ClientBuilder;
use kube::{Api, Client, Config};
use observed_core::packs::PackError;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::controller;
use crate::lease::{self, Gate, Lease};
use crate::metrics::Metrics;
use crate::preflight;
use crate::remediate;
use crate::server::{self, Check, Guard, Readiness, Secured};
use crate::services;
use crate::settings::Settings;
use crate::skew;
use crate::telemetry::traces::Traces;
use crate::telemetry::{self, traces};
use crate::verify;

/// How long a reconcile that is under way may go on after the signal to end.
const FINISH: Duration = Duration::from_secs(5);
/// How long everything may take after the signal to end.
const GRACE: Duration = Duration::from_secs(20);

/// The operator could not do its job.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Logging could not be started.
    #[error("could not start logging")]
    Telemetry(#[source] tracing_subscriber::util::TryInitError),
    /// What sends traces.
    #[error(transparent)]
    Traces(#[from] traces::Error),
    /// There is neither a kubeconfig nor a cluster around the operator.
    #[error("found no cluster: neither a kubeconfig nor the environment of a pod")]
    Config(#[source] Box<kube::config::InferConfigError>),
    /// The client of the Kubernetes API could not be set up.
    #[error("could not set up the client of the Kubernetes API")]
    Client(#[source] kube::Error),
    /// The signals to end could not be listened to.
    #[error("could not listen to signals")]
    Signals(#[source] std::io::Error),
    /// The server of health and metrics.
    #[error(transparent)]
    Server(#[from] server::Error),
    /// The built-in packs.
    #[error(transparent)]
    Packs(#[from] PackError),
    /// What asks the pods.
    #[error(transparent)]
    Preflight(#[from] preflight::Error),
    /// The client of Prometheus.
    #[error(transparent)]
    Verify(#[from] verify::Error),
    /// Somebody else writes now.
    #[error(transparent)]
    Lost(#[from] lease::Lost),
}

/// Runs the operator until it is told to end.
///
/// # Errors
/// It could not be started, or the server of health and metrics broke off.
pub async fn run(settings: Settings) -> Result<(), Error> {
    let sent = settings.otlp_endpoint().map(Traces::to).transpose()?;
    telemetry::init(settings.log, sent.as_ref()).map_err(Error::Telemetry)?;
    let done = operate(settings).await;
    if let Some(traces) = sent {
        traces.finish().await;
    }
    done
}

async fn operate(settings: Settings) -> Result<(), Error> {
    let end = end()?;
    let metrics = Metrics::new();
    let mut config = Config::infer().await.map_err(|error| Error::Config(Box::new(error)))?;
    let file = settings
        .config
        .as_ref()
        .map(|file| tracing::field::display(file.display()));
    tracing::info!(version = env!("CARGO_PKG_VERSION"), api_server = %config.cluster_url, config = file, "starting");
    // We try again ourselves. What the client sends again has passed the gate long before.
    config.default_retry = false;
    let gate = Gate::new();
    let requests = metrics.requests.of(&config.cluster_url);
    let client = ClientBuilder::try_from(config.clone())
        .map_err(Error::Client)?
        .with_layer(&requests)
        .with_layer(&gate);
    #[cfg(feature = "known-bad")]
    let client = client.with_layer(&tower::util::option_layer(crate::known_bad::KnownBad::named()));
    let client = client.build();
    let home = ClientBuilder::try_from(config).map_err(Error::Client)?;
    let home = home.with_layer(&requests).build();
    let secured = settings.metrics_listen.map(|address| Secured {
        address,
        files: settings.metrics_identity(),
        // Who waits for the Lease is scraped too.
        guard: Guard::new(home.clone()),
    });
    let lease = Lease::new(
        Api::default_namespaced(home),
        &settings.lease(),
        settings.lease_duration,
        gate.clone(),
    );
    let readiness = Readiness::default();
    let served = server::serve(
        settings.listen,
        secured,
        metrics.clone(),
        readiness.clone(),
        end.clone(),
    );
    let led = lead(client, lease, gate, settings, metrics, readiness.clone(), end.clone());
    let too_late = async {
        end.await;
        readiness.fails(Check::Shutdown, "it was told to end");
        tracing::info!("ending: what is under way is finished");
        tokio::time::sleep(GRACE).await;
        tracing::warn!("not everything ended in time");
    };
    tokio::select! {
        done = future::try_join(async { served.await.map_err(Error::Server) }, led) => done.map(|_| ()),
        () = too_late => Ok(()),
    }
}

/// Waits for the Lease, and works while it is held.
async fn lead(
    client: Client,
    lease: Lease,
    gate: Gate,
    settings: Settings,
    metrics: Metrics,
    readiness: Readiness,
    end: impl Future<Output = ()> + Clone + Send + Sync + 'static,
) -> Result<(), Error> {
    metrics.leads(&settings.lease(), false);
    let held = async {
        // Who could not do the work does not compete for it.
        services::can_be_listed(&client, settings.watch_namespace.as_deref(), &readiness).await;
        skew::wait(&client, &readiness).await;
        lease.acquire(&readiness).await
    };
    let mut held = tokio::select! { held = held => held, () = end.clone() => return Ok(()) };
    gate.watch(|| {
        tracing::error!("the Lease could not be renewed in time: somebody else may write now, so this process ends");
        std::process::exit(1);
    });
    metrics.leads(&settings.lease(), true);
    // Whoever is next does not wait for an answer that this one waits for.
    let too_long = async {
        end.clone().await;
        tokio::time::sleep(FINISH).await;
    };
    let work = if settings.remediate {
        remediate::remediate(client, settings, metrics, end.clone()).boxed()
    } else {
        controller::control(client, settings, metrics, end.clone()).boxed()
    };
    let finished = tokio::select! {
        done = work => done.map(|()| true)?,
        lost = held.keep() => return Err(lost.into()),
        () = too_long => false,
    };
    if !finished {
        tracing::warn!("what was under way did not finish in time; whoever leads next sees to it");
    }
    held.release(finished).await;
    Ok(())
}

/// Done when the process is told to end.
fn end() -> Result<impl Future<Output = ()> + Clone + Send + Sync + 'static, Error> {
    let mut terminate = signal(SignalKind::terminate()).map_err(Error::Signals)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Error::Signals)?;
    let (told, mut heard) = watch::channel(false);
    tokio::spawn(async move {
        tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
        let _ = told.send(true);
    });
    let waiting = async move {
        let _ = heard.wait_for(|told| *told).await;
    };
    Ok(waiting.boxed().shared())
}
