//! The only writer of children and of gifts. In the steady state it reads and writes nothing.

mod compare;
mod gift;
mod owned;
mod settled;
mod withdraw;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::DynamicObject;
use kube::core::ApiResource;
use kube::{Api, Client};
use observed_core::child::{Applied, ApplyOutcome, Body, Children, Rendered, ResourceKind};
use observed_core::facts::Facts;
use observed_crds::v1alpha1::conditions::Reason;

use crate::api_error::{self, Retry};

pub use gift::{Held, let_go, workloads};
pub use settled::Settled;
pub use withdraw::{Done, withdraw};

/// Whether anything may be written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Writing {
    /// As the plan says.
    Allowed,
    /// `spec.paused`: what exists stays as it is.
    Paused,
}

/// A write, or the read before it, could not be done. What the API server decided about one child is its outcome.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The objects that exist already.
    #[error("could not list the {plural} in namespace {namespace}: {}", api_error::words(source))]
    List {
        /// Plural of the kind.
        plural: &'static str,
        /// The namespace.
        namespace: String,
        /// Why.
        source: kube::Error,
    },
    /// An object of the name that a child should have.
    #[error("could not read {kind} {namespace}/{name}: {}", api_error::words(source))]
    Read {
        /// Kind of the object.
        kind: &'static str,
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
        /// Why.
        source: kube::Error,
    },
    /// A child.
    #[error("could not write {kind} {namespace}/{name}: {}", api_error::words(source))]
    Write {
        /// Kind of the object.
        kind: &'static str,
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
        /// Why.
        source: kube::Error,
    },
    /// A child that is no longer wanted.
    #[error("could not delete {kind} {namespace}/{name}: {}", api_error::words(source))]
    Delete {
        /// Kind of the object.
        kind: &'static str,
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
        /// Why.
        source: kube::Error,
    },
    /// The probes that were given.
    #[error(
        "could not let go of the probes given to {kind} {namespace}/{name}: {}",
        api_error::words(source)
    )]
    LetGo {
        /// Kind of the workload.
        kind: &'static str,
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
        /// Why.
        source: kube::Error,
    },
}

impl Error {
    fn source(&self) -> &kube::Error {
        match self {
            Self::List { source, .. }
            | Self::Read { source, .. }
            | Self::Write { source, .. }
            | Self::Delete { source, .. }
            | Self::LetGo { source, .. } => source,
        }
    }

    /// The reason that it is reported under.
    pub fn reason(&self) -> Reason {
        api_error::reason(self.source())
    }

    /// When to try again.
    pub fn retry(&self) -> Retry {
        api_error::retry(self.source())
    }
}

/// Brings every child to the state that the plan wants, in the order given, and deletes what is no longer wanted. With
/// it comes the first write or read that the API server did not decide about; the other children are still seen to.
pub async fn apply(
    client: &Client,
    facts: &Facts,
    children: Children<Rendered>,
    writing: Writing,
) -> (Children<Applied>, Option<Error>) {
    if writing == Writing::Paused {
        return (all(children, &ApplyOutcome::Paused), None);
    }
    let (mut live, mut failed) = match owned::Live::read(client, facts).await {
        Ok(live) => (Some(live), None),
        Err(error) => (None, Some(error)),
    };
    let unread = failed.as_ref().map(ToString::to_string).unwrap_or_default();
    let mut applied = Vec::new();
    for child in children.items {
        let done = match (&child.body, &mut live) {
            (Body::Owned(wanted), Some(live)) => owned::bring_about(client, facts, live, &child, wanted).await,
            (Body::Gift(gift), Some(_)) => gift::give(client, facts, gift).await,
            // What hurts is taken back whatever else is wrong.
            (Body::TakeBack(taken), _) => gift::take_back(client, facts, taken).await,
            (Body::Will(will), Some(_)) => gift::note(client, facts, will).await,
            (Body::Owned(_) | Body::Gift(_) | Body::Will(_), None) => Ok(ApplyOutcome::Failed(unread.clone())),
        };
        match done {
            Ok(outcome) => applied.push(Applied { child, outcome }),
            Err(error) => {
                let outcome = ApplyOutcome::Failed(api_error::words(error.source()));
                applied.push(Applied { child, outcome });
                failed.get_or_insert(error);
            }
        }
    }
    // A crash between give and let go, or an answer that got lost, left our entry behind.
    let given = applied.iter().any(Applied::wrote_gift);
    if !given && let Err(error) = let_go(client, facts).await {
        failed.get_or_insert(error);
    }
    if let Some(live) = live
        && let Err(error) = live.prune(client, facts, &applied).await
    {
        failed.get_or_insert(error);
    }
    (Children { items: applied }, failed)
}

fn all(children: Children<Rendered>, outcome: &ApplyOutcome) -> Children<Applied> {
    let applied = |child| Applied {
        child,
        outcome: outcome.clone(),
    };
    Children {
        items: children.items.into_iter().map(applied).collect(),
    }
}

fn api_resource(kind: &ResourceKind) -> ApiResource {
    ApiResource {
        group: kind.group.to_owned(),
        version: kind.version.to_owned(),
        api_version: kind.api_version(),
        kind: kind.kind.to_owned(),
        plural: kind.plural.to_owned(),
    }
}

fn api(client: &Client, namespace: &str, kind: &ResourceKind) -> Api<DynamicObject> {
    Api::namespaced_with(client.clone(), namespace, &api_resource(kind))
}

/// What the API server decided about a write, if it decided at all.
fn decided(error: &kube::Error) -> Option<ApplyOutcome> {
    let kube::Error::Api(status) = error else { return None };
    let words = api_error::words(error);
    let of_namespace = status
        .details
        .as_ref()
        .is_some_and(|details| details.kind == "namespaces");
    let terminating = || {
        let causes = status.details.iter().flat_map(|details| &details.causes);
        causes.into_iter().any(|cause| cause.reason == "NamespaceTerminating")
    };
    match status.code {
        404 if of_namespace => Some(ApplyOutcome::Conflict(words)),
        404 => Some(ApplyOutcome::KindNotServed),
        409 => Some(ApplyOutcome::Conflict(words)),
        403 if terminating() => Some(ApplyOutcome::Conflict(words)),
        403 => Some(ApplyOutcome::Forbidden(words)),
        400 | 413 | 422 => Some(ApplyOutcome::Rejected(words)),
        _ => None,
    }
}

/// The conditions that a write or a delete is tied to: this very object in this very state.
fn preconditions(meta: &ObjectMeta) -> (Option<String>, Option<String>) {
    (meta.uid.clone(), meta.resource_version.clone())
}

#[cfg(test)]
mod tests;
