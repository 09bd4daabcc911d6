//! What makes the controller look at a service again. Every stream here only ever yields services: a watch that breaks
//! off is started anew behind it and holds no other one up.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::stream::{self, BoxStream};
use futures::{Stream, StreamExt};
use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, StatefulSet};
use k8s_openapi::api::core::v1::Service;
use kube::api::DynamicObject;
use kube::core::{ApiResource, DeserializeGuard, PartialObjectMeta};
use kube::runtime::reflector::{ObjectRef, Store};
use kube::runtime::watcher::{self, watcher};
use kube::runtime::{WatchStreamExt, predicates, reflector};
use kube::{Api, Client, Resource, ResourceExt};
use observed_core::child::ResourceKind;
use observed_core::outputs;
use observed_crds::v1alpha1::signal_pack::UserPack;
use observed_crds::v1alpha1::{ObservedService, TargetKind};
use observed_crds::{GROUP, MANAGED_BY, MANAGED_BY_LABEL, SERVICE_LABEL};
use serde::de::DeserializeOwned;
use tokio::sync::watch;

use super::changes::Changes;
use super::orphans::Tell;
use crate::gather::{self, Surroundings};
use crate::metrics::WatchErrors;
use crate::services::{Guarded, Known, logged, scoped};

/// A SignalPack, or what is left of one that cannot be read.
pub(super) type GuardedPack = DeserializeGuard<UserPack>;
/// Services to look at again.
pub(super) type Triggers = BoxStream<'static, ObjectRef<Guarded>>;

/// The SignalPacks: those whose spec changed, one by one, and all that are known.
pub(super) struct Packs {
    pub(super) changes: BoxStream<'static, watcher::Result<GuardedPack>>,
    pub(super) store: Store<GuardedPack>,
}

/// How often it is asked which kinds are served, while one is missing, and when none is.
const POLL: (Duration, Duration) = (Duration::from_secs(3), Duration::from_secs(30));

/// Tells whether the watch can be relied on.
pub(super) fn relied_on<K, S>(
    stream: S,
    what: &'static str,
    changes: &Changes,
) -> impl Stream<Item = watcher::Result<watcher::Event<K>>> + use<K, S>
where
    S: Stream<Item = watcher::Result<watcher::Event<K>>>,
{
    let changes = changes.clone();
    stream.inspect(move |event| match event {
        Ok(watcher::Event::Init) => changes.list(what),
        Ok(watcher::Event::InitDone) => changes.listed(what),
        Ok(watcher::Event::Apply(_) | watcher::Event::Delete(_) | watcher::Event::InitApply(_)) => {}
        Err(_) => changes.broke(Instant::now()),
    })
}

/// A change of the spec of a service, as its own trigger, and of the services that point at the same workload.
pub(super) fn rivals(known: &Known, changed: &Guarded) -> Vec<ObjectRef<Guarded>> {
    let Ok(changed) = &changed.0 else { return Vec::new() };
    let target = &changed.spec.target_ref;
    refs(&pointing_at(
        known,
        changed.namespace().as_deref(),
        target.kind,
        &target.name,
    ))
    .into_iter()
    .filter(|other| other.name != changed.name_any())
    .collect()
}

/// The services that point at the same workload as this one, itself among them.
pub(super) fn same_target(known: &Known, service: &ObservedService) -> Vec<ObservedService> {
    let target = &service.spec.target_ref;
    let all = pointing_at(known, service.namespace().as_deref(), target.kind, &target.name);
    all.iter()
        .filter_map(|service| service.0.as_ref().ok().cloned())
        .collect()
}

fn pointing_at(known: &Known, namespace: Option<&str>, kind: TargetKind, name: &str) -> Vec<Arc<Guarded>> {
    let points = |service: &ObservedService| {
        service.metadata.namespace.as_deref() == namespace
            && service.spec.target_ref.kind == kind
            && service.spec.target_ref.name == name
    };
    known.state_filter(|service| service.0.as_ref().is_ok_and(points))
}

fn refs(services: &[Arc<Guarded>]) -> Vec<ObjectRef<Guarded>> {
    services
        .iter()
        .map(|service| ObjectRef::from_obj(service.as_ref()))
        .collect()
}

/// Whether any service points at this workload.
pub(super) fn is_pointed_at(known: &Known, namespace: &str, kind: TargetKind, name: &str) -> bool {
    !pointing_at(known, Some(namespace), kind, name).is_empty()
}

/// What every watch needs.
#[derive(Clone)]
pub(super) struct Watch {
    pub(super) client: Client,
    /// Only this one, if any.
    pub(super) namespace: Option<String>,
    pub(super) known: Known,
    pub(super) errors: WatchErrors,
    pub(super) changes: Changes,
}

impl Watch {
    fn scoped<K>(&self) -> Api<K>
    where
        K: Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>,
    {
        scoped(&self.client, self.namespace.as_deref())
    }

    /// Changes of the workloads, mapped to the services that point at them. Each workload that is seen is told.
    pub(super) fn workloads(&self, tell: &Tell) -> Vec<Triggers> {
        vec![
            self.workload::<Deployment>(TargetKind::Deployment, tell.clone()),
            self.workload::<StatefulSet>(TargetKind::StatefulSet, tell.clone()),
            self.workload::<DaemonSet>(TargetKind::DaemonSet, tell.clone()),
        ]
    }

    fn workload<W>(&self, kind: TargetKind, tell: Tell) -> Triggers
    where
        W: Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>,
        W: Clone + Debug + DeserializeOwned + Send + Sync + 'static,
    {
        let known = self.known.clone();
        let api = self.scoped::<PartialObjectMeta<W>>();
        self.metadata(api, watcher::Config::default(), kind.plural())
            .flat_map(move |changed| {
                tell.workload(kind, &changed.metadata);
                let (namespace, name) = (changed.metadata.namespace.as_deref(), changed.name_any());
                stream::iter(refs(&pointing_at(&known, namespace, kind, &name)))
            })
            .boxed()
    }

    /// Changes of Services, mapped to all services of the namespace: which one selects the pods may have changed.
    pub(super) fn services(&self) -> Triggers {
        let known = self.known.clone();
        let api = self.scoped::<PartialObjectMeta<Service>>();
        self.metadata(api, watcher::Config::default(), "services")
            .flat_map(move |changed| {
                let of_namespace = known.state_filter(|service| service.meta().namespace == changed.metadata.namespace);
                stream::iter(refs(&of_namespace))
            })
            .boxed()
    }

    /// The SignalPacks, each time that the spec of one changes; and the services that such a change, or the deletion of a
    /// pack that they name, is about.
    pub(super) fn packs(&self) -> (Packs, Triggers) {
        let known = self.known.clone();
        let (store, writer) = reflector::store();
        let (tell_gone, gone) = futures::channel::mpsc::unbounded::<GuardedPack>();
        let (tell_changed, changed) = futures::channel::mpsc::unbounded::<GuardedPack>();
        let packs = watcher(self.scoped::<GuardedPack>(), watcher::Config::default()).default_backoff();
        let packs = relied_on(packs, "signalpacks", &self.changes)
            .reflect(writer)
            .inspect(move |event| {
                if let Ok(watcher::Event::Delete(pack)) = event {
                    let _ = tell_gone.unbounded_send(pack.clone());
                }
            })
            .applied_objects()
            .predicate_filter(predicates::generation, Default::default());
        let changes = logged(packs, "signalpacks", &self.errors)
            .map(move |pack| {
                let _ = tell_changed.unbounded_send(pack.clone());
                Ok(pack)
            })
            .boxed();
        let triggers = stream::select(gone, changed).flat_map(move |pack| {
            let name = pack.name_any();
            let names = |service: &ObservedService| {
                service.metadata.namespace == pack.meta().namespace
                    && gather::own_packs(&service.spec).any(|own| own == name)
            };
            stream::iter(refs(&known.state_filter(|service| service.0.as_ref().is_ok_and(names))))
        });
        (Packs { changes, store }, triggers.boxed())
    }

    /// Changes of every kind of child. The watch of a kind that is not served starts when it is.
    pub(super) fn children(&self, served: &watch::Receiver<BTreeSet<String>>) -> Vec<Triggers> {
        let watch = |kind: &'static ResourceKind| self.child(kind, served.clone());
        outputs::owned_kinds().into_iter().map(watch).collect()
    }

    fn child(&self, kind: &'static ResourceKind, mut served: watch::Receiver<BTreeSet<String>>) -> Triggers {
        let resource = ApiResource {
            group: kind.group.to_owned(),
            version: kind.version.to_owned(),
            api_version: kind.api_version(),
            kind: kind.kind.to_owned(),
            plural: kind.plural.to_owned(),
        };
        let client = self.client.clone();
        let api: Api<PartialObjectMeta<DynamicObject>> = match &self.namespace {
            Some(namespace) => Api::namespaced_with(client, namespace, &resource),
            None => Api::all_with(client, &resource),
        };
        let appeared = async move {
            if kind.optional {
                // The poller lives as long as the controller: if it is gone, so is the need to wait.
                let _ = served.wait_for(|served| served.contains(kind.kind)).await;
            }
        };
        let watch = self.clone();
        let ours = watcher::Config::default().labels(&format!("{MANAGED_BY_LABEL}={MANAGED_BY}"));
        stream::once(appeared)
            .flat_map(move |()| watch.metadata(api.clone(), ours.clone(), kind.plural))
            .flat_map(|child| stream::iter(owners(&child.metadata)))
            .boxed()
    }

    fn metadata<K>(&self, api: Api<K>, config: watcher::Config, what: &'static str) -> BoxStream<'static, K>
    where
        K: Resource + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
        K::DynamicType: Clone + Debug + Eq + std::hash::Hash,
    {
        let events = relied_on(watcher(api, config).default_backoff(), what, &self.changes);
        logged(events.touched_objects(), what, &self.errors)
    }
}

/// The services that a child says it belongs to, by its owner and by its label: one of the two may have been taken off.
fn owners(child: &kube::api::ObjectMeta) -> Vec<ObjectRef<Guarded>> {
    let of_us = |api_version: &str| api_version.split('/').next() == Some(GROUP);
    let references = child.owner_references.iter().flatten();
    let owners = references.filter(|owner| owner.kind == "ObservedService" && of_us(&owner.api_version));
    let label = child.labels.as_ref().and_then(|labels| labels.get(SERVICE_LABEL));
    let namespace = child.namespace.clone().unwrap_or_default();
    let names: BTreeSet<&String> = owners.map(|owner| &owner.name).chain(label).collect();
    names
        .into_iter()
        .map(|name| ObjectRef::new(name).within(&namespace))
        .collect()
}

/// Asks again and again which optional kinds are served, until nobody listens any more.
pub(super) async fn poll_served(surroundings: Arc<Surroundings>, served: watch::Sender<BTreeSet<String>>) {
    let wanted = outputs::owned_kinds().into_iter().filter(|kind| kind.optional).count();
    loop {
        match surroundings.served_now().await {
            Ok(now) => {
                served.send_if_modified(|before| {
                    let changed = *before != now;
                    *before = now;
                    changed
                });
            }
            Err(error) => tracing::debug!(%error, "the served kinds could not be asked for"),
        }
        let missing = served.borrow().iter().filter(|kind| *kind != "Prometheus").count() < wanted;
        tokio::select! {
            () = tokio::time::sleep(if missing { POLL.0 } else { POLL.1 }) => {}
            () = served.closed() => return,
        }
    }
}

/// An item each time that the served kinds change.
pub(super) fn served_changes(served: watch::Receiver<BTreeSet<String>>) -> BoxStream<'static, ()> {
    stream::unfold(served, |mut served| async {
        served.changed().await.ok().map(|()| ((), served))
    })
    .boxed()
}

#[cfg(test)]
mod tests;
