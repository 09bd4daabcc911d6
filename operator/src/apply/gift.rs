//! Probes for somebody else's workload: give, then let go.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{DynamicObject, Patch, PatchParams};
use kube::core::ApiResource;
use kube::{Api, Client};
use observed_core::child::ApplyOutcome;
use observed_core::facts::{Facts, Target};
use observed_core::gift::{Gift, TakeBack, Will};
use observed_crds::v1alpha1::{DeletionPolicy, TargetKind};
use observed_crds::{DELETION_POLICY_ANNOTATION, PROBES_ANNOTATION, PROBES_MANAGER};
use serde_json::{Map, Value, json};

use super::{Error, decided};
use crate::managed_fields;

/// The controllers of a workload write to it all the time, right after a gift above all.
const MOST_ATTEMPTS: usize = 20;

/// Gives the probes in one patch, so that there is one rollout at most, and lets go of them.
pub(super) async fn give(client: &Client, facts: &Facts, gift: &Gift) -> Result<ApplyOutcome, Error> {
    patched(client, facts, |target| patch(target, gift)).await
}

/// Takes out what was given and is still a gift, in one patch.
pub(super) async fn take_back(client: &Client, facts: &Facts, taken: &TakeBack) -> Result<ApplyOutcome, Error> {
    patched(client, facts, |_| without(taken)).await
}

/// Notes what becomes of the gift when its service is gone.
pub(super) async fn note(client: &Client, facts: &Facts, will: &Will) -> Result<ApplyOutcome, Error> {
    patched(client, facts, |_| {
        json!({"metadata": {
            "uid": will.target_uid,
            "resourceVersion": will.resource_version,
            "annotations": {DELETION_POLICY_ANNOTATION: noted(will.policy)},
        }})
    })
    .await
}

/// The default is not written down.
fn noted(policy: DeletionPolicy) -> Value {
    match policy {
        DeletionPolicy::Release => Value::Null,
        DeletionPolicy::Remove => json!(policy.as_str()),
    }
}

/// Patches the workload, and lets go of it.
async fn patched(client: &Client, facts: &Facts, patch: impl Fn(&Target) -> Value) -> Result<ApplyOutcome, Error> {
    let Some(target) = &facts.target else {
        return Ok(ApplyOutcome::Conflict("the workload is gone".into()));
    };
    let params = PatchParams {
        field_manager: Some(PROBES_MANAGER.into()),
        ..PatchParams::default()
    };
    let patch = Patch::Strategic(patch(target));
    let written = match workloads(client, &facts.namespace, target.kind)
        .patch(&target.name, &params, &patch)
        .await
    {
        Ok(written) => written,
        Err(source) => {
            return match decided(&source) {
                Some(ApplyOutcome::KindNotServed) => Ok(ApplyOutcome::Conflict("the workload is gone".into())),
                Some(outcome) => Ok(outcome),
                None => Err(Error::Write {
                    kind: target.kind.as_str(),
                    namespace: facts.namespace.clone(),
                    name: target.name.clone(),
                    source,
                }),
            };
        }
    };
    // It is written, and that must be remembered: what is held still is let go of at the next look.
    let held = Held::new(&facts.namespace, target);
    if let Err(error) = held.let_go_of(client, PROBES_MANAGER, Some(written.metadata)).await {
        tracing::warn!(%error, "not let go of yet");
    }
    Ok(ApplyOutcome::Written)
}

/// Lets go of what was given, if that did not happen yet.
///
/// # Errors
/// The API server did not take it.
pub async fn let_go(client: &Client, facts: &Facts) -> Result<(), Error> {
    match facts.target.as_ref().filter(|target| target.held) {
        Some(target) => Held::new(&facts.namespace, target).let_go(client).await,
        None => Ok(()),
    }
}

/// A workload in which an entry of ours may still stand.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Held {
    /// Its kind.
    pub kind: TargetKind,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its UID: another workload of the same name is not meant.
    pub uid: String,
}

impl Held {
    /// What may stand in this workload.
    pub fn new(namespace: &str, target: &Target) -> Self {
        Self {
            kind: target.kind,
            namespace: namespace.to_owned(),
            name: target.name.clone(),
            uid: target.uid.clone(),
        }
    }

    /// Lets go of it, if there is anything to let go of.
    ///
    /// # Errors
    /// The API server did not take it.
    pub async fn let_go(&self, client: &Client) -> Result<(), Error> {
        self.let_go_of(client, PROBES_MANAGER, None).await
    }

    /// Takes what stands of a manager of ours out of managedFields, and nothing else: no rollout, no new generation.
    ///
    /// # Errors
    /// The API server did not take it.
    pub async fn let_go_of(&self, client: &Client, manager: &str, known: Option<ObjectMeta>) -> Result<(), Error> {
        release(client, self, manager, known).await
    }
}

async fn release(client: &Client, held: &Held, manager: &str, mut known: Option<ObjectMeta>) -> Result<(), Error> {
    let api = workloads(client, &held.namespace, held.kind);
    let error = |source| Error::LetGo {
        kind: held.kind.as_str(),
        namespace: held.namespace.clone(),
        name: held.name.clone(),
        source,
    };
    let mut refused = None;
    for _ in 0..MOST_ATTEMPTS {
        let meta = match known.take() {
            Some(meta) => Some(meta),
            None => api
                .get_metadata_opt(&held.name)
                .await
                .map_err(error)?
                .map(|found| found.metadata),
        };
        // Gone, or another object of the same name: there is nothing of ours.
        let Some(meta) = meta.filter(|meta| meta.uid.as_ref() == Some(&held.uid)) else {
            return Ok(());
        };
        let entries = meta.managed_fields.as_deref().unwrap_or_default();
        let positions = managed_fields::positions(entries, manager);
        if positions.is_empty() {
            return Ok(());
        }
        let mut steps =
            vec![json!({"op": "test", "path": "/metadata/resourceVersion", "value": meta.resource_version})];
        for position in positions {
            let entry = format!("/metadata/managedFields/{position}");
            steps.push(json!({"op": "test", "path": format!("{entry}/manager"), "value": manager}));
            steps.push(json!({"op": "remove", "path": entry}));
        }
        let steps =
            serde_json::from_value(Value::Array(steps)).map_err(|source| error(kube::Error::SerdeError(source)))?;
        let params = PatchParams {
            field_manager: Some(manager.into()),
            ..PatchParams::default()
        };
        match api.patch_metadata(&held.name, &params, &Patch::<()>::Json(steps)).await {
            Ok(_) => return Ok(()),
            // The test failed, or another write came between: look again.
            Err(source) if matches!(&source, kube::Error::Api(status) if matches!(status.code, 404 | 409 | 422)) => {
                refused = Some(source);
            }
            Err(source) => return Err(error(source)),
        }
    }
    match refused {
        Some(source) => Err(error(source)),
        None => Ok(()),
    }
}

fn patch(target: &Target, gift: &Gift) -> Value {
    let present = target
        .containers
        .iter()
        .find(|container| container.name == gift.container);
    let mut container = Map::from_iter([("name".to_owned(), json!(gift.container))]);
    for (kind, shape) in &gift.probes {
        let replaces = present.is_some_and(|container| container.probes.contains_key(kind));
        let probe = if replaces { shape.to_patch() } else { shape.to_json() };
        container.insert(kind.field().to_owned(), probe);
    }
    json!({
        "metadata": {
            "uid": gift.target_uid,
            "resourceVersion": gift.resource_version,
            "annotations": {
                PROBES_ANNOTATION: gift.gifted.to_string(),
                DELETION_POLICY_ANNOTATION: noted(gift.deletion_policy),
            },
        },
        "spec": {"template": {"spec": {"containers": [container]}}},
    })
}

/// Takes the probes out, and the annotations with them.
pub(super) fn without(taken: &TakeBack) -> Value {
    let mut patch = json!({"metadata": {
        "uid": taken.target_uid,
        "resourceVersion": taken.resource_version,
        "annotations": {PROBES_ANNOTATION: null, DELETION_POLICY_ANNOTATION: null},
    }});
    // A container that is named and not there would be added.
    if !taken.probes.is_empty() {
        let mut container = Map::from_iter([("name".to_owned(), json!(taken.container))]);
        container.extend(taken.probes.iter().map(|kind| (kind.field().to_owned(), Value::Null)));
        patch["spec"] = json!({"template": {"spec": {"containers": [container]}}});
    }
    patch
}

/// The workloads of a kind.
pub fn workloads(client: &Client, namespace: &str, kind: TargetKind) -> Api<DynamicObject> {
    let resource = ApiResource {
        group: "apps".into(),
        version: "v1".into(),
        api_version: "apps/v1".into(),
        kind: kind.as_str().into(),
        plural: kind.plural().into(),
    };
    Api::namespaced_with(client.clone(), namespace, &resource)
}
