//! The sidecars of Grafana in the cluster, and what they load beside the dashboards of Observed. With no right that the
//! operator does not have for its own work: it reads workloads and ConfigMaps, and no Secret.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{ListParams, ObjectList};
use kube::{Api, Client, Resource, ResourceExt};
use observed_core::sidecar::{self, Shown, Sidecar, Sidecars};
use observed_crds::{MANAGED_BY, MANAGED_BY_LABEL};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::api_error;

/// Workloads in one answer of the API server.
const PAGE: u32 = 500;
/// ConfigMaps in one answer: each may hold 1 MiB.
const MAPS: u32 = 20;

/// The sidecars of the cluster, or of the one namespace that the operator may look into.
pub(super) async fn sidecars(client: &Client, namespace: Option<&str>) -> Sidecars {
    let mut sidecars = Sidecars {
        unseen: namespace.map(|namespace| format!("the operator may look into namespace {namespace:?} alone")),
        ..Sidecars::default()
    };
    let workloads = async {
        let mut found = in_workloads::<Deployment>(client, namespace, "Deployment").await?;
        found.extend(in_workloads::<StatefulSet>(client, namespace, "StatefulSet").await?);
        Ok::<_, kube::Error>(found)
    };
    match workloads.await {
        Ok(found) => sidecars.found = found,
        Err(error) => {
            sidecars.unseen = Some(format!(
                "the workloads could not be listed: {}",
                api_error::words(&error)
            ))
        }
    }
    let labels: BTreeSet<String> = sidecars.found.iter().map(|sidecar| sidecar.label.clone()).collect();
    for label in labels {
        // Whoever cannot see the others does not know of duplicates, and that is all.
        if let Err(error) = add_loaded(client, namespace, &label, &mut sidecars.found).await {
            tracing::debug!(%error, label, "the ConfigMaps with dashboards cannot be listed");
        }
    }
    sidecars
}

async fn in_workloads<W>(client: &Client, namespace: Option<&str>, kind: &str) -> Result<Vec<Sidecar>, kube::Error>
where
    W: Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>,
    W: Clone + std::fmt::Debug + DeserializeOwned + Serialize,
{
    let mut found = Vec::new();
    each::<W>(client, namespace, ListParams::default().limit(PAGE), |workload| {
        found.extend(sidecar::read(kind, &serde_json::to_value(workload).unwrap_or_default()));
    })
    .await?;
    Ok(found)
}

/// Adds what each sidecar loads. Dashboards that an ObservedService owns are left out: they do not meet one another, and
/// there may be thousands. A copy of one has no owner.
async fn add_loaded(
    client: &Client,
    namespace: Option<&str>,
    label: &str,
    sidecars: &mut [Sidecar],
) -> Result<(), kube::Error> {
    let mut loaded = |map: ConfigMap| {
        let at = (map.namespace().unwrap_or_default(), map.name_any());
        for sidecar in &mut *sidecars {
            let selects = sidecar.label == label && sidecar.misses(&at.0, map.labels()).is_none();
            if selects {
                let shown = shown(sidecar, (&at.0, &at.1), &map);
                sidecar.loads.extend(shown);
            }
        }
    };
    let others = format!("{label},{MANAGED_BY_LABEL}!={MANAGED_BY}");
    each(
        client,
        namespace,
        ListParams::default().limit(MAPS).labels(&others),
        &mut loaded,
    )
    .await?;
    let ours = ListParams::default().labels(&format!("{label},{MANAGED_BY_LABEL}={MANAGED_BY}"));
    for map in api::<ConfigMap>(client, namespace).list_metadata(&ours).await?.items {
        if map.metadata.owner_references.as_ref().is_none_or(Vec::is_empty) {
            let home = Api::<ConfigMap>::namespaced(client.clone(), &map.namespace().unwrap_or_default());
            home.get_opt(&map.name_any()).await?.into_iter().for_each(&mut loaded);
        }
    }
    Ok(())
}

fn shown(sidecar: &Sidecar, at: (&str, &str), map: &ConfigMap) -> Vec<Shown> {
    let annotations: &BTreeMap<String, String> = map.annotations();
    let files = map.data.iter().flatten().filter(|(key, _)| key.ends_with(".json"));
    let shown = files.filter_map(|(key, text)| {
        let json: Value = serde_json::from_str(text).ok()?;
        Some(sidecar.shown(at, annotations, key, &json))
    });
    shown.collect()
}

fn api<K>(client: &Client, namespace: Option<&str>) -> Api<K>
where
    K: Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>,
{
    match namespace {
        Some(namespace) => Api::namespaced(client.clone(), namespace),
        None => Api::all(client.clone()),
    }
}

/// All objects, page by page, so that never more than a page is held.
async fn each<K>(
    client: &Client,
    namespace: Option<&str>,
    mut params: ListParams,
    mut with: impl FnMut(K),
) -> Result<(), kube::Error>
where
    K: Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>,
    K: Clone + std::fmt::Debug + DeserializeOwned,
{
    loop {
        let page: ObjectList<K> = api::<K>(client, namespace).list(&params).await?;
        page.items.into_iter().for_each(&mut with);
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => params = params.continue_token(&token),
            None => return Ok(()),
        }
    }
}
