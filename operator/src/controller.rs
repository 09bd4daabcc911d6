//! The operator's work: what is watched, and what a change of it makes the controller look at again.

mod changes;
mod memory;
mod orphans;
mod packs;
mod reconcile;
mod watches;

use std::sync::Arc;

use futures::{StreamExt, future, stream};
use kube::runtime::controller::{self, Controller};
use kube::runtime::predicates;
use kube::runtime::watcher::{self, watcher};
use kube::runtime::{Predicate, WatchStreamExt};
use kube::{Client, ResourceExt};
use observed_core::packs::Packs;
use tokio::sync::watch;

use crate::events::Events;
use crate::gather::Surroundings;
use crate::metrics::Metrics;
use crate::preflight::Preflight;
use crate::process::Error;
use crate::services::{self, Guarded};
use crate::settings::Settings;
use crate::verify;
use changes::Changes;
use memory::Memory;
use orphans::Orphans;
use reconcile::{Context, after_error, reconcile};
use watches::Triggers;

/// Looks after the services until the process is told to end.
///
/// # Errors
/// It could not be started.
pub async fn control(
    client: Client,
    settings: Settings,
    metrics: Metrics,
    end: impl Future<Output = ()> + Clone + Send + Sync + 'static,
) -> Result<(), Error> {
    let namespace = settings.watch_namespace.clone();
    let namespace = namespace.as_deref();
    let (known, writer) = services::store();
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
        services::scoped::<Guarded>(&client, namespace),
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
    let services = services::logged(services, "observedservices", &metrics.watch_errors).map(move |service| {
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
