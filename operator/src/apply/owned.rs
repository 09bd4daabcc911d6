//! Children that are ours whole: server-side apply, and nothing is ever adopted.
//!
//! An object that carries the mark of an earlier ObservedService of the same name (it was deleted and made again) is
//! not taken over either. It is deleted, tied to its UID and state, and made anew: waiting for the garbage collector
//! would wait for ever where the earlier one was deleted with `--cascade=orphan`.

use std::collections::BTreeMap;

use kube::api::{DeleteParams, DynamicObject, ListParams, Patch, PatchParams, Preconditions};
use kube::{Client, ResourceExt};
use observed_core::binding;
use observed_core::child::{Applied, ApplyOutcome, Body, Child, ResourceKind};
use observed_core::facts::Facts;
use observed_core::outputs;
use observed_crds::{MANAGED_BY, MANAGED_BY_LABEL, MANAGER, OWNER_UID_ANNOTATION, SERVICE_LABEL};
use serde_json::{Value, json};

use super::{Error, api, compare, decided, preconditions};
use crate::api_error;

/// A resourceVersion that no object has, as etcd's first revision is empty: with it an apply makes an object, and is
/// refused where there is one by now.
const NO_OBJECT: &str = "1";

/// Annotations and labels by which people recognise who manages an object.
const HELM_RELEASE: &str = "meta.helm.sh/release-name";

/// The objects that carry our label and the service's name.
pub(super) struct Live {
    objects: BTreeMap<(&'static str, String), DynamicObject>,
    /// Kinds that could not be listed, and what the API server said.
    closed: BTreeMap<&'static str, ApplyOutcome>,
}

impl Live {
    pub(super) async fn read(client: &Client, facts: &Facts) -> Result<Self, Error> {
        let mut live = Self {
            objects: BTreeMap::new(),
            closed: BTreeMap::new(),
        };
        let ours = ListParams::default().labels(&format!(
            "{MANAGED_BY_LABEL}={MANAGED_BY},{SERVICE_LABEL}={}",
            facts.name
        ));
        for kind in outputs::owned_kinds() {
            if kind.optional && !facts.served.contains(kind.kind) {
                live.closed.insert(kind.plural, ApplyOutcome::KindNotServed);
                continue;
            }
            match api(client, &facts.namespace, kind).list(&ours).await {
                Ok(list) => {
                    for object in list.items {
                        live.objects.insert((kind.plural, object.name_any()), object);
                    }
                }
                Err(source) => {
                    let closed = decided(&source).ok_or(Error::List {
                        plural: kind.plural,
                        namespace: facts.namespace.clone(),
                        source,
                    })?;
                    live.closed.insert(kind.plural, closed);
                }
            }
        }
        Ok(live)
    }

    /// Deletes what is ours and is no longer among the children.
    pub(super) async fn prune(self, client: &Client, facts: &Facts, applied: &[Applied]) -> Result<(), Error> {
        let wanted = |kind: &ResourceKind, name: &str| {
            applied.iter().any(|applied| {
                let child = &applied.child;
                matches!(child.body, Body::Owned(_)) && child.kind.plural == kind.plural && child.name == name
            })
        };
        for kind in outputs::owned_kinds() {
            for ((plural, name), object) in &self.objects {
                if *plural != kind.plural || wanted(kind, name) || !is_ours(object, facts) {
                    continue;
                }
                delete(client, facts, kind, object).await?;
            }
        }
        Ok(())
    }
}

/// Brings one child to the wanted state.
pub(super) async fn bring_about(
    client: &Client,
    facts: &Facts,
    live: &mut Live,
    child: &Child,
    wanted: &Value,
) -> Result<ApplyOutcome, Error> {
    if let Some(outcome) = live.closed.get(child.kind.plural) {
        return Ok(outcome.clone());
    }
    let api = api(client, &facts.namespace, child.kind);
    let found = match live.objects.remove(&(child.kind.plural, child.name.clone())) {
        Some(object) => Some(object),
        // It may be somebody else's, or have lost its labels.
        None => api.get_opt(&child.name).await.map_err(|source| Error::Read {
            kind: child.kind.kind,
            namespace: facts.namespace.clone(),
            name: child.name.clone(),
            source,
        })?,
    };
    let write =
        async |body: &Value, params: PatchParams| match api.patch(&child.name, &params, &Patch::Apply(body)).await {
            Ok(_) => Ok(ApplyOutcome::Written),
            Err(source) => decided(&source).ok_or(Error::Write {
                kind: child.kind.kind,
                namespace: facts.namespace.clone(),
                name: child.name.clone(),
                source,
            }),
        };
    // If somebody else makes an object of this name at this moment, it is theirs.
    let create = async || {
        let mut body = wanted.clone();
        body["metadata"]["resourceVersion"] = json!(NO_OBJECT);
        write(&body, PatchParams::apply(MANAGER)).await
    };
    let Some(found) = found else {
        return create().await;
    };
    if found.metadata.deletion_timestamp.is_some() {
        return Ok(ApplyOutcome::Conflict(format!(
            "{} {:?} is being deleted",
            child.kind.kind, child.name
        )));
    }
    if is_ours(&found, facts) {
        let managed = found.metadata.managed_fields.clone().unwrap_or_default();
        let as_json = serde_json::to_value(&found).unwrap_or_default();
        if compare::is_as_wanted(wanted, &as_json, &managed) {
            let refused = binding::refused(&as_json);
            return Ok(refused.map_or(ApplyOutcome::Unchanged, ApplyOutcome::NotAccepted));
        }
        let mut body = wanted.clone();
        let (uid, resource_version) = preconditions(&found.metadata);
        body["metadata"]["uid"] = json!(uid);
        body["metadata"]["resourceVersion"] = json!(resource_version);
        return write(&body, PatchParams::apply(MANAGER).force()).await;
    }
    if is_of_a_predecessor(&found, facts) {
        delete(client, facts, child.kind, &found).await?;
        return create().await;
    }
    Ok(ApplyOutcome::NameCollision(format!(
        "{} {:?} {}",
        child.kind.kind,
        child.name,
        whose(&found)
    )))
}

async fn delete(client: &Client, facts: &Facts, kind: &ResourceKind, object: &DynamicObject) -> Result<(), Error> {
    let (uid, resource_version) = preconditions(&object.metadata);
    let params = DeleteParams {
        preconditions: Some(Preconditions { uid, resource_version }),
        ..DeleteParams::background()
    };
    match api(client, &facts.namespace, kind)
        .delete(&object.name_any(), &params)
        .await
    {
        Ok(_) => Ok(()),
        // Gone, or changed since: the next reconcile sees which.
        Err(error) if api_error::is_not_found(&error) || api_error::is_conflict(&error) => Ok(()),
        Err(source) => Err(Error::Delete {
            kind: kind.kind,
            namespace: facts.namespace.clone(),
            name: object.name_any(),
            source,
        }),
    }
}

/// By UID, never by name: the mark that we left, or the owner reference.
fn is_ours(object: &DynamicObject, facts: &Facts) -> bool {
    let marked = object.annotations().get(OWNER_UID_ANNOTATION) == Some(&facts.uid);
    let owned = object
        .owner_references()
        .iter()
        .any(|o| o.controller == Some(true) && o.uid == facts.uid);
    let owned_by_another = object
        .owner_references()
        .iter()
        .any(|o| o.controller == Some(true) && o.uid != facts.uid);
    (marked && !owned_by_another) || owned
}

/// Made by Observed for an ObservedService that had this one's name. Only one can have it, so the other one is gone.
fn is_of_a_predecessor(object: &DynamicObject, facts: &Facts) -> bool {
    let written_by_us = object
        .managed_fields()
        .iter()
        .any(|entry| entry.manager.as_deref() == Some(MANAGER));
    let mut owners = object
        .owner_references()
        .iter()
        .filter(|owner| owner.controller == Some(true));
    let label = |key: &str| object.labels().get(key).map(String::as_str);
    written_by_us
        && owners.all(|owner| owner.kind == "ObservedService")
        && label(MANAGED_BY_LABEL) == Some(MANAGED_BY)
        && label(SERVICE_LABEL) == Some(&facts.name)
        && object.annotations().contains_key(OWNER_UID_ANNOTATION)
}

/// Who manages an object, in words.
fn whose(object: &DynamicObject) -> String {
    if let Some(owner) = object
        .owner_references()
        .iter()
        .find(|owner| owner.controller == Some(true))
    {
        return format!("exists and belongs to {} {:?}", owner.kind, owner.name);
    }
    if let Some(release) = object.annotations().get(HELM_RELEASE) {
        return format!("exists and belongs to the Helm release {release:?}");
    }
    if let Some(manager) = object.labels().get(MANAGED_BY_LABEL) {
        return format!("exists and is managed by {manager:?}");
    }
    let managers: Vec<&str> = object
        .managed_fields()
        .iter()
        .filter_map(|entry| entry.manager.as_deref())
        .collect();
    match managers.first() {
        Some(manager) => format!("exists and was made by {manager:?}"),
        None => "exists and does not belong to this ObservedService".to_owned(),
    }
}
