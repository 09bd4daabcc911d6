//! The PrometheusRule of a service, and which of its alerts fire.

use std::collections::BTreeMap;

use kube::api::{Api, DynamicObject};
use kube::core::{ApiResource, GroupVersionKind};
use kube::{Client, ResourceExt};
use observed_core::names;
use observed_core::remediation::Firing;
use observed_crds::OWNER_UID_ANNOTATION;
use observed_crds::v1alpha1::ObservedService;
use serde_json::Value;

use super::Key;
use crate::api_error::words;
use crate::verify::{self, Backends};

/// The PrometheusRule that the operator made for a service.
pub(super) struct Rules {
    uid: String,
    labels: BTreeMap<String, String>,
    groups: Vec<String>,
}

/// Reads it. None: there is none, or one of that name is somebody else's.
pub(super) async fn read(client: &Client, key: &Key, service: &ObservedService) -> Result<Option<Rules>, String> {
    let kind = GroupVersionKind::gvk("monitoring.coreos.com", "v1", "PrometheusRule");
    let resource = ApiResource::from_gvk_with_plural(&kind, "prometheusrules");
    let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), &key.0, &resource);
    let found = api.get_opt(&names::child(&key.1, "")).await;
    let found = found.map_err(|error| format!("its PrometheusRule could not be read: {}", words(&error)))?;
    let found = found.filter(|found| found.annotations().get(OWNER_UID_ANNOTATION) == service.metadata.uid.as_ref());
    Ok(found.map(|found| Rules {
        uid: found.uid().unwrap_or_default(),
        labels: found.labels().clone(),
        groups: groups(&found.data),
    }))
}

fn groups(data: &Value) -> Vec<String> {
    let groups = data["spec"]["groups"].as_array().into_iter().flatten();
    groups
        .filter_map(|group| Some(group["name"].as_str()?.to_owned()))
        .collect()
}

impl Rules {
    /// The alert of that name, if it fires in a Prometheus that evaluates these very rules.
    pub(super) async fn firing(&self, backends: &Backends<'_>, alert: &str) -> Result<Option<Firing>, String> {
        let mut told = None;
        for (who, url) in verify::evaluators(backends, &self.labels)? {
            match backends.prometheus.firing(&url, &self.uid, &self.groups, alert).await {
                Ok(Some(firing)) => return Ok(Some(firing)),
                Ok(None) => {}
                Err(error) => told = Some(format!("{who} could not be asked: {error}")),
            }
        }
        told.map_or(Ok(None), Err)
    }
}
