//! Whether the CRDs in the cluster are as new as this program: what they do not know the API server takes out of what users write, without a word.
//!
//! Asked of the API server's own OpenAPI document, which whoever may talk to it may read: the operator has no right to read CRDs.

use std::collections::BTreeSet;
use std::time::Duration;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{Client, Resource};
use observed_core::rbac::NAME;
use observed_crds::GROUP;
use observed_crds::v1alpha1::{self, ObservedService, signal_pack};
use serde_json::Value;

use crate::api_error;
use crate::server::{Check, Readiness};

/// How a user mends it.
pub const FIX: &str = "observed crds apply";
/// Time between two looks at CRDs that are older.
const AGAIN: Duration = Duration::from_secs(3);
/// Fields that are named; the others are counted.
const NAMED: usize = 5;

/// Waits until the CRDs are as new as this program: with older ones it would write what the API server throws away.
pub async fn wait(client: &Client, readiness: &Readiness) {
    let mut told = String::new();
    loop {
        match older(client).await {
            Ok(None) => break,
            Ok(Some(words)) => {
                if words != told {
                    tracing::error!("{words}");
                }
                readiness.fails(Check::Crds, &words);
                told = words;
            }
            // An API server that hides its schemas is no reason to do nothing.
            Err(error) if api_error::is_forbidden(&error) || api_error::is_not_found(&error) => {
                tracing::warn!(
                    "whether the CRDs are as new as this program could not be seen: {}",
                    api_error::words(&error)
                );
                break;
            }
            Err(error) => readiness.fails(Check::Crds, &api_error::words(&error)),
        }
        tokio::time::sleep(AGAIN).await;
    }
    readiness.passes(Check::Crds);
}

/// What the served CRDs lack, in words. None: nothing.
///
/// # Errors
/// The API server did not show its schemas.
pub async fn older(client: &Client) -> Result<Option<String>, kube::Error> {
    let api_version = ObservedService::api_version(&());
    let request = http::Request::get(format!("/openapi/v3/apis/{api_version}")).body(Vec::new());
    let served: Value = client.request(request.map_err(kube::Error::HttpError)?).await?;
    Ok(words(&served))
}

fn words(served: &Value) -> Option<String> {
    let lacks: Vec<String> = own()
        .into_iter()
        .flat_map(|(kind, own)| lacking(served, &kind, &own))
        .collect();
    if lacks.is_empty() {
        return None;
    }
    let more = match lacks.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let named = lacks.into_iter().take(NAMED).collect::<Vec<_>>().join(", ");
    Some(format!(
        "the CRDs in the cluster are older than this {NAME} {}: they lack {named}{more}. To upgrade them: {FIX}",
        env!("CARGO_PKG_VERSION")
    ))
}

/// The CRDs of this program.
///
/// # Errors
/// A schema is no JSON, which tests keep from ever being released.
pub fn crds() -> Result<[CustomResourceDefinition; 2], serde_json::Error> {
    Ok([v1alpha1::crd(), signal_pack::crd()?])
}

/// The schemas of this program, by their kinds.
fn own() -> Vec<(String, Value)> {
    let schema = |crd: CustomResourceDefinition| {
        let kind = crd.spec.names.kind.clone();
        let crd = serde_json::to_value(crd).ok()?;
        Some((kind, crd.pointer("/spec/versions/0/schema/openAPIV3Schema")?.clone()))
    };
    crds().into_iter().flatten().filter_map(schema).collect()
}

/// The fields that one kind should have and has not, the outermost ones.
fn lacking(served: &Value, kind: &str, own: &Value) -> Vec<String> {
    let is_it = |schema: &&Value| {
        let kinds = schema["x-kubernetes-group-version-kind"].as_array();
        kinds
            .into_iter()
            .flatten()
            .any(|of| of["kind"] == kind && of["group"] == GROUP)
    };
    let schemas = served.pointer("/components/schemas").and_then(Value::as_object);
    let Some(schema) = schemas.and_then(|schemas| schemas.values().find(is_it)) else {
        return vec![format!("the kind {kind}")];
    };
    let mut lacks = BTreeSet::new();
    compare(schema, own, "", &mut lacks);
    lacks.into_iter().map(|path| format!("{kind} {path}")).collect()
}

fn compare(served: &Value, own: &Value, path: &str, lacks: &mut BTreeSet<String>) {
    for (name, field) in own["properties"].as_object().into_iter().flatten() {
        // Every kind of Kubernetes has these, and the API server describes them in its own words.
        if path.is_empty() && ["apiVersion", "kind", "metadata"].contains(&name.as_str()) {
            continue;
        }
        let below = if path.is_empty() {
            name.clone()
        } else {
            format!("{path}.{name}")
        };
        match served["properties"].get(name) {
            Some(seen) => compare(seen, field, &below, lacks),
            None => {
                lacks.insert(below);
            }
        }
    }
    for part in ["items", "additionalProperties"] {
        if own[part].is_object() {
            compare(&served[part], &own[part], path, lacks);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// The document as the API server makes it of the CRDs of this program.
    fn document() -> Value {
        let mut document = json!({"components": {"schemas": {}}});
        for (kind, mut schema) in own() {
            schema["x-kubernetes-group-version-kind"] = json!([{"group": GROUP, "version": "v1alpha1", "kind": kind}]);
            document["components"]["schemas"][format!("rs.observed.{kind}")] = schema;
        }
        document
    }

    #[test]
    fn crds_that_are_as_new_or_newer_lack_nothing() {
        let mut served = document();
        assert_eq!(own().len(), 2);
        assert_eq!(words(&served), None);
        served["components"]["schemas"]["rs.observed.ObservedService"]["properties"]["spec"]["properties"]["newer"] =
            json!({"type": "string"});
        assert_eq!(words(&served), None);
    }

    #[test]
    fn every_field_that_older_crds_lack_is_named_with_what_mends_it() {
        let mut served = document();
        let spec = "/components/schemas/rs.observed.ObservedService/properties/spec/properties";
        let spec = served.pointer_mut(spec).unwrap().as_object_mut().unwrap();
        spec.remove("paused").unwrap();
        let objective = spec["objectives"].pointer_mut("/items/properties").unwrap();
        objective.as_object_mut().unwrap().remove("name").unwrap();
        let words = words(&served).unwrap();
        assert!(
            words.contains("lack ObservedService spec.objectives.name, ObservedService spec.paused. To upgrade"),
            "{words}"
        );
        assert!(words.ends_with("observed crds apply"), "{words}");
    }

    #[test]
    fn a_kind_that_is_not_served_is_named_and_of_many_fields_only_the_first() {
        let mut served = document();
        let schemas = served["components"]["schemas"].as_object_mut().unwrap();
        schemas.remove("rs.observed.SignalPack").unwrap();
        schemas["rs.observed.ObservedService"]["properties"]["spec"]["properties"] = json!({});
        let words = words(&served).unwrap();
        assert!(words.contains(" more. To upgrade"), "{words}");
        assert!(super::words(&json!({})).unwrap().contains("the kind SignalPack"));
    }
}
