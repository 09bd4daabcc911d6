//! The pods of a target: by its selector, and by the chain of owners up to its UID.

use std::collections::BTreeSet;

use k8s_openapi::api::apps::v1::ReplicaSet;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, OwnerReference};
use kube::api::ListParams;
use kube::core::Selector;
use kube::{Api, Client, ResourceExt};
use observed_core::facts::Target;
use observed_crds::v1alpha1::TargetKind;
use observed_crds::v1alpha1::conditions::Reason;

use crate::api_error::{self, Retry};

/// Pods, and ReplicaSets, that are looked at: enough to see what they do, however many there are.
const MOST_PODS: u32 = 500;

/// The pods could not be found out.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The selector of the workload cannot be used.
    #[error("the selector of {kind} {name} cannot be read: {words}")]
    Selector {
        /// Kind of the workload.
        kind: &'static str,
        /// Its name.
        name: String,
        /// Why.
        words: String,
    },
    /// The pods or their ReplicaSets.
    #[error("could not list the {what} in namespace {namespace}: {}", api_error::words(source))]
    List {
        /// `Pods` or `ReplicaSets`.
        what: &'static str,
        /// Their namespace.
        namespace: String,
        /// Why.
        source: kube::Error,
    },
}

impl Error {
    /// The reason that it is reported under.
    pub fn reason(&self) -> Reason {
        match self {
            Self::List { source, .. } => api_error::reason(source),
            Self::Selector { .. } => Reason::ApiError,
        }
    }

    /// When to try again.
    pub fn retry(&self) -> Retry {
        match self {
            Self::List { source, .. } => api_error::retry(source),
            Self::Selector { .. } => Retry::Seldom,
        }
    }
}

/// The pods of the target, those of earlier revisions too.
///
/// # Errors
/// They could not be listed.
pub async fn of_target(client: &Client, namespace: &str, target: &Target) -> Result<Vec<Pod>, Error> {
    // From the API server's cache: a pod that is a moment old is as good.
    let by_labels = ListParams::default()
        .labels_from(&selector(target)?)
        .match_any()
        .limit(MOST_PODS);
    let list_error = |what| {
        move |source| Error::List {
            what,
            namespace: namespace.to_owned(),
            source,
        }
    };
    let owners: BTreeSet<String> = match target.kind {
        TargetKind::Deployment => {
            let sets = Api::<ReplicaSet>::namespaced(client.clone(), namespace)
                .list_metadata(&by_labels)
                .await;
            let sets = sets.map_err(list_error("ReplicaSets"))?;
            let ours = sets
                .items
                .iter()
                .filter(|set| owned_by(set.owner_references(), |uid| *uid == target.uid));
            ours.filter_map(ResourceExt::uid).collect()
        }
        TargetKind::StatefulSet | TargetKind::DaemonSet => BTreeSet::from([target.uid.clone()]),
    };
    let mut pods = Api::<Pod>::namespaced(client.clone(), namespace)
        .list(&by_labels)
        .await
        .map_err(list_error("Pods"))?
        .items;
    pods.retain(|pod| owned_by(pod.owner_references(), |uid| owners.contains(uid)));
    Ok(pods)
}

/// Names of the pods that are ready and are not ending.
pub fn names_of_ready(pods: &[Pod]) -> BTreeSet<String> {
    let ready = pods
        .iter()
        .filter(|pod| pod.metadata.deletion_timestamp.is_none() && is_ready(pod));
    ready.map(ResourceExt::name_any).collect()
}

/// Whether the condition `Ready` of the pod is true.
pub fn is_ready(pod: &Pod) -> bool {
    let conditions = pod
        .status
        .iter()
        .filter_map(|status| status.conditions.as_ref())
        .flatten();
    conditions
        .into_iter()
        .any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

fn owned_by(references: &[OwnerReference], is_owner: impl Fn(&String) -> bool) -> bool {
    references
        .iter()
        .any(|reference| reference.controller == Some(true) && is_owner(&reference.uid))
}

fn selector(target: &Target) -> Result<Selector, Error> {
    let words = |words: String| Error::Selector {
        kind: target.kind.as_str(),
        name: target.name.clone(),
        words,
    };
    let native = serde_json::to_value(&target.selector).map_err(|error| words(error.to_string()))?;
    let native: LabelSelector = serde_json::from_value(native).map_err(|error| words(error.to_string()))?;
    native
        .try_into()
        .map_err(|error: kube::core::ParseExpressionError| words(error.to_string()))
}
