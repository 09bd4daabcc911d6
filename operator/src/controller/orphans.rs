//! Lets go of workloads that no ObservedService points at any more.
//!
//! A gift is let go of by the reconcile that gives it. Where the operator ends in between and the service is deleted or
//! pointed elsewhere before it is back, no reconcile ever comes to that workload again, and its owner could not change
//! the probes without a conflict.

use std::collections::BTreeSet;
use std::time::Duration;

use kube::Client;
use kube::api::ObjectMeta;
use observed_crds::PROBES_MANAGER;
use observed_crds::v1alpha1::TargetKind;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::watches::{self, Known};
use crate::apply::Held;
use crate::managed_fields;

/// Time until letting go is tried again.
const AGAIN: Duration = Duration::from_secs(15);

/// What was seen.
enum Seen {
    /// A workload, and whether an entry of ours stands in it.
    Workload(Held, bool),
    /// A service that was changed or deleted.
    Service,
}

/// Where it is told what was seen.
#[derive(Clone)]
pub(super) struct Tell(UnboundedSender<Seen>);

impl Tell {
    /// A workload as its watch shows it.
    pub(super) fn workload(&self, kind: TargetKind, meta: &ObjectMeta) {
        let entries = meta.managed_fields.as_deref().unwrap_or_default();
        let held = !managed_fields::positions(entries, PROBES_MANAGER).is_empty();
        let workload = Held {
            kind,
            namespace: meta.namespace.clone().unwrap_or_default(),
            name: meta.name.clone().unwrap_or_default(),
            uid: meta.uid.clone().unwrap_or_default(),
        };
        // Whoever listens lives as long as the controller.
        let _ = self.0.send(Seen::Workload(workload, held));
    }

    /// A service was changed or deleted.
    pub(super) fn service(&self) {
        let _ = self.0.send(Seen::Service);
    }
}

/// Workloads that were last seen with an entry of ours.
pub(super) struct Orphans {
    seen: UnboundedReceiver<Seen>,
    held: BTreeSet<Held>,
}

impl Orphans {
    /// Those that are told.
    pub(super) fn new() -> (Tell, Self) {
        let (sender, seen) = unbounded_channel();
        let held = BTreeSet::new();
        (Tell(sender), Self { seen, held })
    }

    /// Lets go of each that no service points at, until nobody tells any more.
    pub(super) async fn let_go(mut self, client: Client, known: Known) {
        // Before all services are known every workload looks like an orphan.
        if known.wait_until_ready().await.is_err() {
            return;
        }
        loop {
            let next = if self.held.is_empty() {
                Ok(self.seen.recv().await)
            } else {
                tokio::time::timeout(AGAIN, self.seen.recv()).await
            };
            match next {
                Ok(None) => return,
                Ok(Some(Seen::Workload(workload, true))) => _ = self.held.insert(workload),
                Ok(Some(Seen::Workload(workload, false))) => _ = self.held.remove(&workload),
                Ok(Some(Seen::Service)) | Err(_) => {}
            }
            let pointed_at = |held: &Held| watches::is_pointed_at(&known, &held.namespace, held.kind, &held.name);
            let orphans: Vec<Held> = self.held.iter().filter(|held| !pointed_at(held)).cloned().collect();
            for orphan in orphans {
                match orphan.let_go(&client).await {
                    Ok(()) => _ = self.held.remove(&orphan),
                    Err(error) => tracing::warn!(%error, "tried again"),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use kube::runtime::watcher::Event;
    use serde_json::{Value, json};

    use super::*;
    use crate::controller::watches::Guarded;
    use crate::mock;

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
        let (known, mut writer) = watches::store();
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
        orphans.let_go(client, known).await;
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
