//! Writes down what is done, and does it.

use jiff::Timestamp;
use kube::api::{Api, DynamicObject, Patch, PatchParams};
use kube::core::ApiResource;
use kube::{Client, ResourceExt};
use observed_core::facts::Target;
use observed_core::remediation::{Decision, Firing, Others, Situation, decide, done, remembered};
use observed_crds::REMEDIATION_MANAGER;
use observed_crds::v1alpha1::{ObservedService, Remediation, RemediationKind, RemediationRecord};
use serde_json::{Value, json};

use super::{Context, Key};
use crate::api_error::words;
use crate::apply::{Held, workloads};
use crate::write_status::{write_once, write_status};

/// The annotation by which `kubectl rollout restart` replaces pods, so that every tool knows it for what it is.
const RESTARTED_AT: &str = "kubectl.kubernetes.io/restartedAt";

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
    let namespace = live.namespace().unwrap_or_default();
    let resource = ApiResource::erase::<ObservedService>(&());
    let api = Api::<DynamicObject>::namespaced_with(context.client.clone(), &namespace, &resource);
    // Where somebody wrote in between, what to do may be another now, and is seen at the next look.
    let note = async |history: &[RemediationRecord]| {
        let noted = write_once::<ObservedService, _>(&api, &live.metadata, REMEDIATION_MANAGER, &of(history)).await;
        noted.map_err(written)
    };
    match decide(remediation, history, firing, &situation) {
        Decision::Leave => Ok(None),
        Decision::Note(record) => {
            note(&remembered(history, record.clone())).await?;
            tell(&record, None).await;
            Ok(None)
        }
        Decision::Act(acting) => {
            let Some(target) = target else { return Ok(None) };
            let before = remembered(history, acting.clone());
            let meta = note(&before).await?;
            context.metrics.remediated(acting.action, acting.outcome);
            let held = Held::new(&namespace, target);
            let tried = match acting.action {
                RemediationKind::Restart => restart(&context.client, &held, target, now).await,
            };
            let record = done(&acting, target, tried, Timestamp::now());
            let after = of(&remembered(&before, record.clone()));
            let concluded = write_status::<ObservedService, _>(&api, &meta, REMEDIATION_MANAGER, None, &after).await;
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

/// The part of the status that is remediation's.
fn of(history: &[RemediationRecord]) -> Value {
    json!({"remediation": {"history": history}})
}
