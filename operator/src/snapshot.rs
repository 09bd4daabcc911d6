//! Reads a cluster for `observed doctor`, with the rights of whoever asks. It only reads: every request is a GET, also what
//! pods are asked, which the kubelet asks them every few seconds. What
//! may not be read, is not served or does not answer becomes a fact of the snapshot; the rest goes on.

mod backends;
mod grafana;
mod probes;

use std::collections::BTreeSet;

use futures::future::{join, join_all};
use kube::api::{ApiResource, DynamicObject, ListParams};
use kube::core::GroupVersion;
use kube::{Api, Client};
use observed_core::doctor::{Kind, Object, Scope, Snapshot, Unseen, dashboard_labels, probe_questions};
use strum::IntoEnumIterator;

use crate::api_error;
use crate::settings::Servers;

/// Objects in one answer of the API server.
const PAGE: u32 = 500;

/// The cluster could not be read at all.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No client could be set up for Prometheus.
    #[error(transparent)]
    Client(#[from] crate::verify::Error),
    /// Nothing could be listed.
    #[error("nothing could be read: {0}")]
    Nothing(String),
}

/// Everything that is asked about, as it is now.
///
/// # Errors
/// Nothing at all could be read.
pub async fn snapshot(client: &Client, scope: Scope, servers: Servers) -> Result<Snapshot, Error> {
    let mut snapshot = Snapshot {
        scope,
        ..Snapshot::default()
    };
    // Of ConfigMaps only those with dashboards are wanted, and the label is not known before the workloads are.
    let kinds: Vec<Kind> = Kind::iter().filter(|kind| *kind != Kind::ConfigMap).collect();
    let scope = snapshot.scope.clone();
    let looks = join_all(
        kinds
            .into_iter()
            .map(|kind| look(client, &scope, kind, "", kind.is_wide())),
    )
    .await;
    looks.into_iter().for_each(|look| look.add_to(&mut snapshot));
    let unread: Vec<&Unseen> = Kind::iter().filter_map(|kind| snapshot.unseen.get(&kind)).collect();
    if unread.len() + 1 == Kind::iter().count() {
        let failed = unread.iter().find_map(|unseen| match unseen {
            Unseen::Failed(words) => Some(words.clone()),
            _ => None,
        });
        return Err(Error::Nothing(
            failed.unwrap_or_else(|| "you may list none of it".to_owned()),
        ));
    }
    let labels = dashboard_labels(&snapshot);
    let maps = labels
        .iter()
        .map(|label| look(client, &scope, Kind::ConfigMap, label, true));
    let mut seen = BTreeSet::new();
    for mut look in join_all(maps).await {
        if let Ok(objects) = &mut look.objects {
            objects.retain(|object| seen.insert(object.reference()));
        }
        look.add_to(&mut snapshot);
    }
    let questions = probe_questions(&snapshot);
    let (asked, answers) = join(
        backends::ask(client, servers, &mut snapshot),
        probes::ask(client, questions),
    )
    .await;
    asked?;
    snapshot.probes = Some(answers);
    Ok(snapshot)
}

/// What a look at one kind gave.
struct Look {
    kind: Kind,
    /// Only the namespace that is asked about was looked into.
    narrow: bool,
    objects: Result<Vec<Object>, Unseen>,
}

impl Look {
    fn add_to(self, snapshot: &mut Snapshot) {
        match self.objects {
            Ok(objects) => {
                if self.narrow {
                    snapshot.narrow.insert(self.kind);
                }
                objects.into_iter().for_each(|object| snapshot.add(object));
            }
            Err(unseen) => {
                snapshot.unseen.insert(self.kind, unseen);
            }
        }
    }
}

/// The objects of a kind: of the whole cluster where that is wanted and allowed, else of the namespace.
async fn look(client: &Client, scope: &Scope, kind: Kind, label: &str, wide: bool) -> Look {
    let namespace = scope.namespace.as_deref();
    let (objects, narrow) = match namespace {
        Some(namespace) if kind.is_namespaced() && !wide => (list(client, kind, Some(namespace), label).await, true),
        Some(namespace) => match list(client, kind, None, label).await {
            Err(Unseen::Forbidden) if kind.is_namespaced() => (list(client, kind, Some(namespace), label).await, true),
            // Whoever may see a namespace from inside may see what it is called and labelled.
            Err(Unseen::Forbidden) if kind == Kind::Namespace => (one_namespace(client, namespace).await, true),
            objects => (objects, false),
        },
        None => (list(client, kind, None, label).await, false),
    };
    Look { kind, narrow, objects }
}

/// Where the API server has the objects of a kind.
pub fn resource(kind: Kind) -> ApiResource {
    let (group, version) = kind.api_version().split_once('/').unwrap_or(("", kind.api_version()));
    let name: &str = kind.into();
    let version = GroupVersion::gv(group, version);
    ApiResource {
        api_version: version.api_version(),
        group: version.group,
        version: version.version,
        kind: name.to_owned(),
        plural: kind.plural().to_owned(),
    }
}

async fn list(client: &Client, kind: Kind, namespace: Option<&str>, label: &str) -> Result<Vec<Object>, Unseen> {
    let api: Api<DynamicObject> = match namespace {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource(kind)),
        None => Api::all_with(client.clone(), &resource(kind)),
    };
    let mut params = ListParams::default().limit(PAGE);
    if !label.is_empty() {
        params = params.labels(label);
    }
    if kind == Kind::Event {
        params = params.fields("type=Warning");
    }
    let mut objects = Vec::new();
    loop {
        let page = api.list(&params).await.map_err(|error| unseen(kind, &error))?;
        objects.extend(page.items.into_iter().filter_map(|item| object(kind, &item)));
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => params = params.continue_token(&token),
            None => return Ok(objects),
        }
    }
}

async fn one_namespace(client: &Client, name: &str) -> Result<Vec<Object>, Unseen> {
    let api: Api<DynamicObject> = Api::all_with(client.clone(), &resource(Kind::Namespace));
    let found = api.get(name).await.map_err(|error| unseen(Kind::Namespace, &error))?;
    Ok(object(Kind::Namespace, &found).into_iter().collect())
}

fn object(kind: Kind, item: &DynamicObject) -> Option<Object> {
    let value = serde_json::to_value(item).ok()?;
    Some(Object::new(kind, value, ""))
}

fn unseen(kind: Kind, error: &kube::Error) -> Unseen {
    if api_error::is_forbidden(error) {
        Unseen::Forbidden
    } else if kind.is_optional() && api_error::is_not_found(error) {
        Unseen::NotServed
    } else {
        Unseen::Failed(api_error::words(error))
    }
}

#[cfg(test)]
mod tests;
