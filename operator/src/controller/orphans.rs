//! Sees to workloads that no ObservedService points at any more.
//!
//! A gift is let go of by the reconcile that gives it. Where the operator ends in between and the service is deleted or
//! pointed elsewhere before it is back, no reconcile ever comes to that workload again, and its owner could not change
//! the probes without a conflict. And where the service said so (`deletionPolicy: Remove`), what is still a gift is taken
//! out: a note on the workload says it, so that no finalizer has to wait for an operator that may be gone.

mod take_out;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use kube::Client;
use kube::api::ObjectMeta;
use observed_crds::v1alpha1::{DeletionPolicy, TargetKind};
use observed_crds::{PROBES_ANNOTATION, PROBES_MANAGER};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::watches;
use crate::apply::Held;
use crate::events::Events;
use crate::services::Known;
use crate::{gather, managed_fields};

/// Time until what did not succeed is tried again.
const AGAIN: Duration = Duration::from_secs(15);
/// How long nobody must have pointed at a workload before its gift is taken out: who deletes a service and makes it anew
/// wants no rollout.
const FORGOTTEN: Duration = Duration::from_secs(10);

/// What a workload has of ours that somebody must see to when its service is gone.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
struct Traces {
    /// An entry in its managedFields.
    held: bool,
    /// A gift that is to be taken out then.
    to_remove: bool,
}

impl Traces {
    fn of(meta: &ObjectMeta) -> Self {
        let entries = meta.managed_fields.as_deref().unwrap_or_default();
        let gifted = meta
            .annotations
            .as_ref()
            .is_some_and(|all| all.contains_key(PROBES_ANNOTATION));
        Self {
            held: !managed_fields::positions(entries, PROBES_MANAGER).is_empty(),
            to_remove: gifted
                && meta.deletion_timestamp.is_none()
                && gather::deletion_policy(meta) == DeletionPolicy::Remove,
        }
    }
}

/// What was seen.
enum Seen {
    /// A workload, and what it has of ours.
    Workload(Held, Traces),
    /// A service that was changed or deleted.
    Service,
}

/// Where it is told what was seen.
#[derive(Clone)]
pub(super) struct Tell(UnboundedSender<Seen>);

impl Tell {
    /// A workload as its watch shows it.
    pub(super) fn workload(&self, kind: TargetKind, meta: &ObjectMeta) {
        let workload = Held {
            kind,
            namespace: meta.namespace.clone().unwrap_or_default(),
            name: meta.name.clone().unwrap_or_default(),
            uid: meta.uid.clone().unwrap_or_default(),
        };
        // Whoever listens lives as long as the controller.
        let _ = self.0.send(Seen::Workload(workload, Traces::of(meta)));
    }

    /// A service was changed or deleted.
    pub(super) fn service(&self) {
        let _ = self.0.send(Seen::Service);
    }
}

/// Workloads that were last seen with something of ours.
pub(super) struct Orphans {
    seen: UnboundedReceiver<Seen>,
    left: BTreeMap<Held, Left>,
}

#[derive(Default)]
struct Left {
    traces: Traces,
    /// Since when no service has pointed at it.
    forgotten: Option<Instant>,
}

impl Orphans {
    /// Those that are told.
    pub(super) fn new() -> (Tell, Self) {
        let (sender, seen) = unbounded_channel();
        let left = BTreeMap::new();
        (Tell(sender), Self { seen, left })
    }

    /// Sees to each that no service points at, until nobody tells any more.
    pub(super) async fn see_to(mut self, client: Client, known: Known) {
        // Before all services are known every workload looks like an orphan.
        if known.wait_until_ready().await.is_err() {
            return;
        }
        let events = Events::new(client.clone());
        loop {
            let next = match self.pause() {
                None => Ok(self.seen.recv().await),
                Some(pause) => tokio::time::timeout(pause, self.seen.recv()).await,
            };
            match next {
                Ok(None) => return,
                Ok(Some(Seen::Workload(workload, traces))) if traces != Traces::default() => {
                    self.left.entry(workload).or_default().traces = traces;
                }
                Ok(Some(Seen::Workload(workload, _))) => _ = self.left.remove(&workload),
                Ok(Some(Seen::Service)) | Err(_) => {}
            }
            for (workload, left) in &mut self.left {
                if watches::is_pointed_at(&known, &workload.namespace, workload.kind, &workload.name) {
                    left.forgotten = None;
                    continue;
                }
                let since = *left.forgotten.get_or_insert_with(Instant::now);
                if left.traces.held {
                    match workload.let_go(&client).await {
                        Ok(()) => left.traces.held = false,
                        Err(error) => tracing::warn!(%error, "tried again"),
                    }
                }
                if left.traces.to_remove && since.elapsed() >= FORGOTTEN {
                    match take_out::take_out(&client, &events, workload).await {
                        Ok(done) => left.traces.to_remove = !done,
                        Err(error) => tracing::warn!(%error, "tried again"),
                    }
                }
            }
            self.left.retain(|_, left| left.traces != Traces::default());
        }
    }

    /// When to look without being told anything: that a service went while its watch was broken is told by nobody.
    fn pause(&self) -> Option<Duration> {
        let next = self.left.values().map(|left| {
            let rest = |since: Instant| FORGOTTEN.checked_sub(since.elapsed());
            let rest = left.forgotten.filter(|_| left.traces.to_remove).and_then(rest);
            rest.filter(|rest| !rest.is_zero()).unwrap_or(AGAIN)
        });
        next.min()
    }
}

#[cfg(test)]
mod tests {
    use kube::runtime::watcher::Event;
    use serde_json::{Value, json};

    use super::*;
    use crate::mock;
    use crate::services::{self, Guarded};

    /// The Deployment `web`, with one managedFields entry.
    fn web(manager: &str) -> Value {
        json!({
            "apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata",
            "metadata": {"name": "web", "namespace": "prod", "uid": "u", "resourceVersion": "5",
                "managedFields": [{"manager": manager, "operation": "Update"}]},
        })
    }

    /// What is written where a watch shows that Deployment, and a service of `prod` points at `target` or at nothing.
    async fn written(manager: &'static str, target: Option<&str>) -> Vec<String> {
        let (client, log) = mock::client(move |_| (200, web(manager)));
        let (known, mut writer) = services::store();
        writer.apply_watcher_event(&Event::Init);
        if let Some(target) = target {
            let service: Guarded = serde_json::from_value(json!({
                "apiVersion": "observed.rs/v1alpha1", "kind": "ObservedService",
                "metadata": {"name": "api", "namespace": "prod"}, "spec": {"targetRef": {"name": target}},
            }))
            .unwrap();
            writer.apply_watcher_event(&Event::InitApply(service));
        }
        writer.apply_watcher_event(&Event::InitDone);
        let (tell, orphans) = Orphans::new();
        let meta: ObjectMeta = serde_json::from_value(web(manager)["metadata"].clone()).unwrap();
        tell.workload(TargetKind::Deployment, &meta);
        // Nobody tells any more: what was told is seen to, and it ends.
        drop(tell);
        orphans.see_to(client, known).await;
        log.writes().iter().map(mock::Asked::line).collect()
    }

    #[tokio::test]
    async fn a_workload_that_no_service_points_at_is_let_go_of() {
        for nobody in [None, Some("another")] {
            assert_eq!(
                written(PROBES_MANAGER, nobody).await,
                ["PATCH deployments/web"],
                "{nobody:?}"
            );
        }
    }

    #[tokio::test]
    async fn a_workload_is_left_to_the_service_that_points_at_it_and_so_is_what_others_hold() {
        assert!(written(PROBES_MANAGER, Some("web")).await.is_empty());
        assert!(written("helm", None).await.is_empty());
    }
}
