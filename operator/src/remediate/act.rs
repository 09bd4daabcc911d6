//! Writes down what is done, and does it.

use jiff::Timestamp;
use kube::api::{Api, DynamicObject, Patch, PatchParams};
use kube::core::ApiResource;
use kube::{Client, ResourceExt};
use observed_core::facts::Target;
use observed_core::remediation::{Decision, Firing, Others, Situation, concluded, decide, done, remembered};
use observed_crds::REMEDIATION_MANAGER;
use observed_crds::v1alpha1::{ObservedService, Remediation, RemediationKind, RemediationOutcome, RemediationRecord};
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
    let history = history(live);
    let now = Timestamp::now();
    let situation = Situation { now, target, others };
    let namespace = live.namespace().unwrap_or_default();
    let api = services(&context.client, &namespace);
    // Where somebody wrote in between, what to do may be another now, and is seen at the next look.
    let note = async |history: &[RemediationRecord]| {
        let noted = write_once::<ObservedService, _>(&api, &live.metadata, REMEDIATION_MANAGER, &of(history)).await;
        noted.map_err(|error| written(&error))
    };
    match decide(remediation, history, firing, &situation) {
        Decision::Leave => Ok(None),
        Decision::Note(record) => {
            note(&remembered(history, record.clone())).await?;
            tell(context, live, &record, None).await;
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
            let tried = match tried {
                Ok(()) => Ok(()),
                Err(Untold::Refused(words)) => Err(words),
                Err(Untold::Unknown(words)) => {
                    tracing::warn!(
                        namespace,
                        name = live.name_any(),
                        words,
                        "what became of it is seen at the next look"
                    );
                    return Ok(Some(now));
                }
            };
            let record = done(&acting, target, tried, Timestamp::now());
            let after = of(&remembered(&before, record.clone()));
            let told = write_status::<ObservedService, _>(&api, &meta, REMEDIATION_MANAGER, None, &after).await;
            match told {
                Ok(()) => tell(context, live, &record, Some(&held)).await,
                Err(error) => tracing::warn!(error = written(&error), "it is told at the next look"),
            }
            Ok(Some(now))
        }
    }
}

/// Finds out what became of actions that nobody saw the end of, lets go of what they wrote, and says it.
pub(super) async fn conclude(context: &Context, key: &Key) -> Result<(), String> {
    // Its watch may not have seen yet what this process wrote itself.
    let Some(live) = read(&context.client, key).await?.filter(is_open) else {
        return Ok(());
    };
    let target = &live.spec.target_ref;
    let workload = workloads(&context.client, &key.0, target.kind)
        .get_opt(&target.name)
        .await;
    let workload = workload.map_err(|error| format!("its workload could not be read: {}", words(&error)))?;
    let held = workload.as_ref().map(|workload| Held {
        kind: target.kind,
        namespace: key.0.clone(),
        name: target.name.clone(),
        uid: workload.uid().unwrap_or_default(),
    });
    if let (Some(held), Some(workload)) = (&held, &workload) {
        let known = Some(workload.metadata.clone());
        let released = held.let_go_of(&context.client, REMEDIATION_MANAGER, known).await;
        released.map_err(|error| error.to_string())?;
    }
    let restarted_at = workload.as_ref().and_then(|workload| {
        workload
            .data
            .pointer("/spec/template/metadata/annotations")?
            .get(RESTARTED_AT)?
            .as_str()
    });
    let history = history(&live).to_vec();
    let open = history
        .iter()
        .filter(|record| record.outcome == RemediationOutcome::Acting);
    let ended: Vec<_> = open
        .map(|acting| {
            let shows = match acting.action {
                RemediationKind::Restart => restarted_at == Some(&written_at(acting.time.0)),
            };
            concluded(acting, target.kind, &target.name, shows)
        })
        .collect();
    let after = ended
        .iter()
        .fold(history, |history, record| remembered(&history, record.clone()));
    let api = services(&context.client, &key.0);
    let told = write_once::<ObservedService, _>(&api, &live.metadata, REMEDIATION_MANAGER, &of(&after)).await;
    told.map_err(|error| written(&error))?;
    for record in &ended {
        tell(context, &live, record, held.as_ref()).await;
    }
    Ok(())
}

/// Whether there is an action that nobody saw the end of.
pub(super) fn is_open(service: &ObservedService) -> bool {
    history(service)
        .iter()
        .any(|record| record.outcome == RemediationOutcome::Acting)
}

fn history(service: &ObservedService) -> &[RemediationRecord] {
    let remediation = service.status.as_ref().and_then(|status| status.remediation.as_ref());
    remediation
        .map(|remediation| remediation.history.as_slice())
        .unwrap_or_default()
}

fn services(client: &Client, namespace: &str) -> Api<DynamicObject> {
    let resource = ApiResource::erase::<ObservedService>(&());
    Api::namespaced_with(client.clone(), namespace, &resource)
}

fn written(error: &kube::Error) -> String {
    format!("its status could not be written: {}", words(error))
}

async fn tell(context: &Context, service: &ObservedService, record: &RemediationRecord, workload: Option<&Held>) {
    let (namespace, name) = (service.namespace().unwrap_or_default(), service.name_any());
    let (alert, outcome) = (&record.alert, record.outcome.as_str());
    tracing::info!(namespace, name, alert, outcome, message = record.message, "remediation");
    context.metrics.remediated(record.action, record.outcome);
    context.events.remediation(service, workload, record).await;
}

/// Why it cannot be said that an action was done.
enum Untold {
    /// The API server did not do it.
    Refused(String),
    /// It may have been done, or something of it is held.
    Unknown(String),
}

/// Replaces the pods, on the very state of the workload that was looked at, and lets go of what was written.
async fn restart(client: &Client, held: &Held, target: &Target, now: Timestamp) -> Result<(), Untold> {
    let params = PatchParams {
        field_manager: Some(REMEDIATION_MANAGER.into()),
        ..PatchParams::default()
    };
    let patch = json!({
        "metadata": {"uid": target.uid, "resourceVersion": target.resource_version},
        "spec": {"template": {"metadata": {"annotations": {RESTARTED_AT: written_at(now)}}}},
    });
    let api = workloads(client, &held.namespace, held.kind);
    let patched = api.patch(&held.name, &params, &Patch::Merge(patch)).await;
    let patched = patched.map_err(|error| match &error {
        kube::Error::Api(status) if status.code < 500 => Untold::Refused(words(&error)),
        _ => Untold::Unknown(words(&error)),
    })?;
    let released = held
        .let_go_of(client, REMEDIATION_MANAGER, Some(patched.metadata))
        .await;
    released.map_err(|error| Untold::Unknown(error.to_string()))
}

/// A time as the annotation has it.
fn written_at(time: Timestamp) -> String {
    format!("{time:.0}")
}

/// The part of the status that is remediation's.
fn of(history: &[RemediationRecord]) -> Value {
    json!({"remediation": {"history": history}})
}
