//! Starts the operator: what is watched, and what a change of it makes the controller look at again.

mod changes;
mod memory;
mod orphans;
mod packs;
mod reconcile;
mod watches;
mod write_status;

use std::sync::Arc;
use std::time::Duration;

use futures::{FutureExt, StreamExt, future, stream};
use kube::client::ClientBuilder;
use kube::runtime::controller::{self, Controller};
use kube::runtime::predicates;
use kube::runtime::watcher::{self, watcher};
use kube::runtime::{Predicate, WatchStreamExt};
use kube::{Api, Client, Config, ResourceExt};
use observed_core::packs::{PackError, Packs};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::events::Events;
use crate::gather::Surroundings;
use crate::lease::{self, Gate, Lease};
use crate::metrics::Metrics;
use crate::preflight::{self, Preflight};
use crate::server::{self, Check, Guard, Readiness, Secured};
use crate::settings::Settings;
use crate::skew;
use crate::telemetry::traces::Traces;
use crate::telemetry::{self, traces};
use crate::verify;
use changes::Changes;
use memory::Memory;
use orphans::Orphans;
use reconcile::{Context, after_error, reconcile};
use watches::{Guarded, Triggers};

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
        .with_layer(&gate)
        .build();
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
        &settings.lease_name,
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
    metrics.leads(&settings.lease_name, false);
    let held = async {
        // Who could not do the work does not compete for it.
        watches::can_be_listed(&client, settings.watch_namespace.as_deref(), &readiness).await;
        skew::wait(&client, &readiness).await;
        lease.acquire(&readiness).await
    };
    let mut held = tokio::select! { held = held => held, () = end.clone() => return Ok(()) };
    gate.watch(|| {
        tracing::error!("the Lease could not be renewed in time: somebody else may write now, so this process ends");
        std::process::exit(1);
    });
    metrics.leads(&settings.lease_name, true);
    // Whoever is next does not wait for an answer that this one waits for.
    let too_long = async {
        end.clone().await;
        tokio::time::sleep(FINISH).await;
    };
    let finished = tokio::select! {
        done = control(client, settings, metrics, end.clone()) => done.map(|()| true)?,
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

async fn control(
    client: Client,
    settings: Settings,
    metrics: Metrics,
    end: impl Future<Output = ()> + Clone + Send + Sync + 'static,
) -> Result<(), Error> {
    let namespace = settings.watch_namespace.clone();
    let namespace = namespace.as_deref();
    let (known, writer) = watches::store();
    metrics.counts(known.clone());
    metrics.at_most(settings.concurrency);
    let surroundings = Arc::new(Surroundings::new(client.clone(), settings.watch_namespace.clone()));
    let (served_sender, served) = watch::channel(Default::default());
    let poller = tokio::spawn(watches::poll_served(Arc::clone(&surroundings), served_sender));

    let (gone_sender, gone) = futures::channel::mpsc::unbounded::<Guarded>();
    let (changed_sender, changed) = futures::channel::mpsc::unbounded::<Guarded>();
    let (tell, orphans) = Orphans::new();
    let tell_of = tell.clone();
    let changes = Changes::default();
    let services = watcher(
        watches::scoped::<Guarded>(&client, namespace),
        watcher::Config::default(),
    )
    .default_backoff();
    let services = watches::relied_on(services, "observedservices", &changes)
        .reflect(writer)
        .inspect(move |event| {
            if let Ok(watcher::Event::Delete(service)) = event {
                let _ = gone_sender.unbounded_send(service.clone());
            }
        })
        .applied_objects()
        // Without this every status write would lead to another reconcile.
        .predicate_filter(
            predicates::generation
                .combine(predicates::annotations)
                .combine(predicates::finalizers),
            Default::default(),
        );
    let (queue, told) = (metrics.queue.clone(), changes.clone());
    let triggered = move |namespace: Option<String>, name: String| {
        let namespace = namespace.unwrap_or_default();
        queue.triggered(&namespace, &name);
        told.of((namespace, name));
    };
    let tell_triggered = triggered.clone();
    let services = watches::logged(services, "observedservices", &metrics.watch_errors).map(move |service| {
        tell_triggered(service.namespace(), service.name_any());
        let _ = changed_sender.unbounded_send(service.clone());
        Ok(service)
    });
    let others = known.clone();
    let rivals = stream::select(gone, changed).flat_map(move |of| {
        tell_of.service();
        stream::iter(watches::rivals(&others, &of))
    });
    let orphans = orphans.see_to(client.clone(), known.clone());
    let orphans = async {
        orphans.await;
        future::pending::<()>().await
    };

    let counted = move |triggers: Triggers| {
        let triggered = triggered.clone();
        triggers.inspect(move |service| triggered(service.namespace.clone(), service.name.clone()))
    };
    let watch = watches::Watch {
        client: client.clone(),
        namespace: settings.watch_namespace.clone(),
        known: known.clone(),
        errors: metrics.watch_errors.clone(),
        changes: changes.clone(),
    };
    let (packs, of_packs) = watch.packs();
    let builtin = Packs::builtin()?;
    let packs = packs::judge(client.clone(), packs, builtin.clone(), end.clone());
    let packs = async {
        packs.await;
        future::pending::<()>().await
    };

    let context = Arc::new(Context {
        packs: builtin.without_drills(),
        preflight: Preflight::new()?,
        prometheus: verify::Prometheus::new(settings.servers())?,
        events: Events::new(client.clone()),
        memory: Memory::default(),
        changes: changes.clone(),
        known: known.clone(),
        surroundings,
        metrics,
        client: client.clone(),
        settings: settings.clone(),
    });
    let mut controller = Controller::for_stream(services, known.clone())
        .with_config(controller::Config::default().concurrency(settings.concurrency))
        .reconcile_on(counted(rivals.boxed()))
        .reconcile_on(counted(watch.services()))
        .reconcile_on(counted(of_packs))
        .reconcile_all_on(watches::served_changes(served.clone()).inspect(move |()| changes.of_any()))
        .graceful_shutdown_on(end);
    for triggers in watch.workloads(&tell).into_iter().chain(watch.children(&served)) {
        controller = controller.reconcile_on(counted(triggers));
    }
    let ready = async {
        if known.wait_until_ready().await.is_ok() {
            tracing::info!(services = known.len(), "ready");
        }
        future::pending::<()>().await
    };
    let forgetful = Arc::clone(&context);
    let work = controller.run(reconcile, after_error, context).for_each(|done| {
        if let Err(controller::Error::ObjectNotFound(gone)) = done {
            let key = (gone.namespace.unwrap_or_default(), gone.name);
            forgetful.memory.forget(&key);
            forgetful.changes.forget(&key);
            forgetful.metrics.forget(&key);
        }
        future::ready(())
    });
    tokio::select! { () = work => {}, () = ready => {}, () = orphans => {}, () = packs => {} }
    poller.abort();
    Ok(())
}
