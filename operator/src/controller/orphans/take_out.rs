//! Takes a gift out of a workload whose service is gone.

use kube::api::ListParams;
use kube::{Api, Client};
use observed_core::resolve;
use observed_crds::v1alpha1::{DeletionPolicy, TargetRef};

use crate::apply::{self, Done, Held, withdraw};
use crate::events::Events;
use crate::services::Guarded;
use crate::{api_error, gather};

/// Why it could not be done.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error("the ObservedServices could not be listed: {}", api_error::words(.0))]
    List(#[source] kube::Error),
    #[error(transparent)]
    Read(#[from] gather::Error),
    #[error(transparent)]
    Write(#[from] apply::Error),
}

/// Takes out what is still a gift, if no service points at the workload, and its note still says so. Whether there is
/// nothing more to do.
pub(super) async fn take_out(client: &Client, events: &Events, workload: &Held) -> Result<bool, Error> {
    // What the watch knows may be old, and no pod is restarted on hearsay.
    let services = Api::<Guarded>::namespaced(client.clone(), &workload.namespace);
    let services = services.list(&ListParams::default()).await.map_err(Error::List)?.items;
    // One that cannot be read may well point at it.
    let elsewhere = |service: &Guarded| {
        let service = service.0.as_ref();
        service.is_ok_and(|service| {
            let target = &service.spec.target_ref;
            (target.kind, &target.name) != (workload.kind, &workload.name)
        })
    };
    if !services.iter().all(elsewhere) {
        return Ok(false);
    }
    let target = TargetRef {
        kind: workload.kind,
        name: workload.name.clone(),
        container: None,
    };
    let target = gather::read_target(client, &workload.namespace, &target).await?;
    let Some(target) =
        target.filter(|target| target.uid == workload.uid && target.deletion_policy == DeletionPolicy::Remove)
    else {
        return Ok(true);
    };
    let because = "its ObservedService is gone, and had spec.probes.deletionPolicy Remove";
    let Some(taken) = resolve::remains(&target, because) else {
        return Ok(true);
    };
    match withdraw(client, &workload.namespace, &target, &taken, false).await? {
        Done::Changed => Ok(false),
        Done::Written(_) => {
            if !taken.probes.is_empty() {
                events.removed(workload, because).await;
            }
            Ok(true)
        }
    }
}

#[cfg(test)]
mod tests {
    use observed_core::gift::{Gifted, ProbeKind, ProbeShape};
    use observed_crds::v1alpha1::TargetKind;
    use observed_crds::{DELETION_POLICY_ANNOTATION, PROBES_ANNOTATION};
    use serde_json::{Value, json};

    use super::*;
    use crate::mock;

    /// The Deployment `web` with a gift.
    fn web(change: impl FnOnce(&mut Value)) -> Value {
        let probe = json!({"httpGet": {"path": "/health", "port": 80}, "periodSeconds": 10});
        let shape = ProbeShape::of(&serde_json::from_value(probe.clone()).unwrap());
        let gifted = Gifted {
            container: "web".into(),
            probes: [(ProbeKind::Liveness, shape.hash())].into(),
            owner_uid: "gone".into(),
        };
        let mut web = json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {
                "name": "web", "namespace": "prod", "uid": "u", "resourceVersion": "5",
                "annotations": {PROBES_ANNOTATION: gifted.to_string(), DELETION_POLICY_ANNOTATION: "Remove"},
            },
            "spec": {
                "selector": {},
                "template": {"spec": {"containers": [{"name": "web", "livenessProbe": probe}]}},
            },
        });
        change(&mut web);
        web
    }

    fn service(target: &Value) -> Value {
        json!({
            "apiVersion": "observed.rs/v1alpha1", "kind": "ObservedService",
            "metadata": {"name": "api", "namespace": "prod"}, "spec": {"targetRef": target},
        })
    }

    /// Whether there is nothing more to do, and what is written to the workload.
    async fn outcome(web: Value, services: Vec<Value>) -> (bool, Vec<Value>) {
        let (client, log) = mock::client(move |asked| match asked.path.rsplit('/').next() {
            Some("observedservices") => {
                let list = json!({"apiVersion": "observed.rs/v1alpha1", "kind": "ObservedServiceList", "metadata": {}, "items": services});
                (200, list)
            }
            Some("events") => (201, asked.body.clone()),
            _ => (200, web.clone()),
        });
        let workload = Held {
            kind: TargetKind::Deployment,
            namespace: "prod".into(),
            name: "web".into(),
            uid: "u".into(),
        };
        let events = Events::new(client.clone());
        let done = take_out(&client, &events, &workload).await.unwrap();
        let patches = log.writes().into_iter().filter(|asked| asked.path.ends_with("/web"));
        (done, patches.map(|asked| asked.body).collect())
    }

    #[tokio::test]
    async fn what_is_still_a_gift_is_taken_out_in_one_patch_with_the_note() {
        let (done, patches) = outcome(web(|_| {}), vec![service(&json!({"name": "another"}))]).await;
        assert!(done);
        let containers = json!([{"name": "web", "livenessProbe": null}]);
        assert_eq!(
            patches,
            [json!({
                "metadata": {
                    "uid": "u", "resourceVersion": "5",
                    "annotations": {PROBES_ANNOTATION: null, DELETION_POLICY_ANNOTATION: null},
                },
                "spec": {"template": {"spec": {"containers": containers}}},
            })]
        );
    }

    #[tokio::test]
    async fn a_probe_that_somebody_changed_stays_and_only_the_annotations_go() {
        let changed =
            web(|web| web["spec"]["template"]["spec"]["containers"][0]["livenessProbe"]["periodSeconds"] = json!(9));
        let (done, patches) = outcome(changed, vec![]).await;
        assert!(
            done && patches.len() == 1 && patches[0]["spec"].is_null(),
            "{patches:?}"
        );
    }

    #[tokio::test]
    async fn it_stays_while_a_service_points_at_it_or_may_and_when_its_note_is_gone_or_another_has_its_name() {
        let unreadable = service(&json!({"name": 1}));
        for mine in [service(&json!({"name": "web"})), unreadable] {
            assert_eq!(
                outcome(web(|_| {}), vec![mine]).await,
                (false, vec![]),
                "asked again later"
            );
        }
        let no_note = web(|web| web["metadata"]["annotations"][DELETION_POLICY_ANNOTATION] = json!("Release"));
        let successor = web(|web| web["metadata"]["uid"] = json!("another"));
        for web in [no_note, successor] {
            assert_eq!(outcome(web, vec![]).await, (true, vec![]));
        }
    }
}
