//! Writes down what is done, and does it.

use jiff::Timestamp;
use kube::api::{Api, DynamicObject, ObjectMeta, Patch, PatchParams};
use kube::core::ApiResource;
use kube::{Client, Resource, ResourceExt};
use observed_core::facts::Target;
use observed_core::remediation::{Decision, Firing, Others, Situation, decide, done, remembered};
use observed_crds::REMEDIATION_MANAGER;
use observed_crds::v1alpha1::{ObservedService, Remediation, RemediationKind, RemediationRecord};
use serde_json::json;

use super::{Context, Key, words};
use crate::api_error;
use crate::apply::{Held, workloads};

/// The annotation by which `kubectl rollout restart` replaces pods, so that every tool knows it for what it is.
const RESTARTED_AT: &str = "kubectl.kubernetes.io/restartedAt";
/// How often a record is written anew because the object was written to in between.
const MOST_ATTEMPTS: usize = 5;

/// The service as it is now.
pub(super) async fn read(client: &Client, key: &Key) -> Result<Option<ObservedService>, String> {
    let api: Api<ObservedService> = Api::namespaced(client.clone(), &key.0);
    let live = api.get_opt(&key.1).await;
    live.map_err(|error| format!("it could not be read: {}", words(&error)))
}

/// Decides, writes it down, and does it. When something was done: when.
pub(super) async fn act(
    context: &Context,
    live: &ObservedService,
    remediation: &Remediation,
    firing: &Firing,
    target: Option<&Target>,
    others: Others<'_>,
) -> Result<Option<Timestamp>, String> {
    let status = live.status.as_ref().and_then(|status| status.remediation.as_ref());
    let history = status.map(|status| status.history.as_slice()).unwrap_or_default();
    let now = Timestamp::now();
    let situation = Situation { now, target, others };
    let tell = async |record: &RemediationRecord, workload: Option<&Held>| {
        let (namespace, name) = (live.namespace().unwrap_or_default(), live.name_any());
        let (alert, outcome) = (&record.alert, record.outcome.as_str());
        tracing::info!(namespace, name, alert, outcome, message = record.message, "remediation");
        context.metrics.remediated(record.action, record.outcome);
        context.events.remediation(live, workload, record).await;
    };
    let written = |error: kube::Error| format!("its status could not be written: {}", words(&error));
    match decide(remediation, history, firing, &situation) {
        Decision::Leave => Ok(None),
        Decision::Note(record) => {
            let history = remembered(history, record.clone());
            write(&context.client, &live.metadata, &history)
                .await
                .map_err(written)?;
            tell(&record, None).await;
            Ok(None)
        }
        Decision::Act(acting) => {
            let Some(target) = target else { return Ok(None) };
            // Somebody wrote in between: what to do may be another now, and is seen at the next look.
            let before = remembered(history, acting.clone());
            let meta = write(&context.client, &live.metadata, &before).await.map_err(written)?;
            context.metrics.remediated(acting.action, acting.outcome);
            let held = Held::new(&live.namespace().unwrap_or_default(), target);
            let tried = match acting.action {
                RemediationKind::Restart => restart(&context.client, &held, target, now).await,
            };
            let record = done(&acting, target, tried, Timestamp::now());
            let after = remembered(&before, record.clone());
            let concluded = conclude(&context.client, meta, &after).await;
            tell(&record, Some(&held)).await;
            concluded.map_err(written)?;
            Ok(Some(now))
        }
    }
}

/// Replaces the pods, on the very state of the workload that was looked at, and lets go of what was written.
async fn restart(client: &Client, held: &Held, target: &Target, now: Timestamp) -> Result<(), String> {
    let params = PatchParams {
        field_manager: Some(REMEDIATION_MANAGER.into()),
        ..PatchParams::default()
    };
    let patch = json!({
        "metadata": {"uid": target.uid, "resourceVersion": target.resource_version},
        "spec": {"template": {"metadata": {"annotations": {RESTARTED_AT: format!("{now:.0}")}}}},
    });
    let api = workloads(client, &held.namespace, held.kind);
    let patched = api.patch(&held.name, &params, &Patch::Merge(patch)).await;
    let patched = patched.map_err(|error| words(&error))?;
    if let Err(error) = held
        .let_go_of(client, REMEDIATION_MANAGER, Some(patched.metadata))
        .await
    {
        tracing::warn!(%error, "the annotation of the restart still has a manager");
    }
    Ok(())
}

/// Writes what became of it, though the object was written to in between.
async fn conclude(client: &Client, mut meta: ObjectMeta, history: &[RemediationRecord]) -> Result<(), kube::Error> {
    for _ in 0..MOST_ATTEMPTS {
        match write(client, &meta, history).await {
            Ok(_) => return Ok(()),
            Err(error) if !api_error::is_conflict(&error) => return Err(error),
            Err(_) => {}
        }
        let name = meta.name.clone().unwrap_or_default();
        match api(client, &meta).get_metadata_opt(&name).await? {
            Some(live) if live.metadata.uid == meta.uid => meta = live.metadata,
            // Deleted or made anew: its history went with it.
            _ => return Ok(()),
        }
    }
    Ok(())
}

/// Writes the history into the status of the very state that was looked at.
async fn write(
    client: &Client,
    looked_at: &ObjectMeta,
    history: &[RemediationRecord],
) -> Result<ObjectMeta, kube::Error> {
    let name = looked_at.name.clone().unwrap_or_default();
    let body = json!({
        "apiVersion": ObservedService::api_version(&()),
        "kind": ObservedService::kind(&()),
        "metadata": {"name": name, "uid": looked_at.uid, "resourceVersion": looked_at.resource_version},
        "status": {"remediation": {"history": history}},
    });
    let params = PatchParams::apply(REMEDIATION_MANAGER).force();
    let written = api(client, looked_at)
        .patch_status(&name, &params, &Patch::Apply(body))
        .await?;
    Ok(written.metadata)
}

fn api(client: &Client, meta: &ObjectMeta) -> Api<DynamicObject> {
    let namespace = meta.namespace.clone().unwrap_or_default();
    Api::namespaced_with(client.clone(), &namespace, &ApiResource::erase::<ObservedService>(&()))
}
