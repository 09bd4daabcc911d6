//! Applies YAML as `kubectl apply --server-side` does, with the order that makes one call enough.

use std::collections::HashMap;
use std::time::Duration;

use futures::future::try_join_all;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinitionCondition;
use kube::Client;
use kube::api::{Api, DynamicObject, Patch, PatchParams};
use kube::core::GroupVersionKind;
use kube::discovery::{ApiCapabilities, ApiResource, Scope, pinned_kind};
use serde::Deserialize;
use serde_json::Value;

use super::Error;
use crate::wait;

const MANAGER: &str = "e2e";
const ESTABLISHED_WITHIN: Duration = Duration::from_secs(30);
/// The API server tells of a new kind a moment after its definition is established.
const KNOWN_WITHIN: Duration = Duration::from_secs(5);

/// One object of a YAML text.
#[derive(Clone, Debug)]
pub(super) struct Document {
    number: usize,
    kind: GroupVersionKind,
    object: DynamicObject,
}

/// The objects of a YAML text; empty documents are none.
pub(super) fn parse(yaml: &str) -> Result<Vec<Document>, Error> {
    let values: Vec<Value> = serde_saphyr::from_multiple(yaml).map_err(|error| Error::Yaml {
        number: 0,
        reason: error.to_string(),
    })?;
    let numbered = (1..).zip(values).filter(|(_, value)| !value.is_null());
    numbered.map(|(number, value)| document(number, value)).collect()
}

fn document(number: usize, value: Value) -> Result<Document, Error> {
    let wrong = |reason: String| Error::Yaml { number, reason };
    let object: DynamicObject = serde_json::from_value(value).map_err(|error| wrong(error.to_string()))?;
    let types = object
        .types
        .as_ref()
        .ok_or_else(|| wrong("it has no apiVersion and kind".to_owned()))?;
    let kind = GroupVersionKind::try_from(types).map_err(|error| wrong(error.to_string()))?;
    if object.metadata.name.is_none() {
        return Err(wrong(format!("the {} has no metadata.name", kind.kind)));
    }
    Ok(Document { number, kind, object })
}

/// Applies Namespaces and CRDs, waits until those are of use, then applies the rest in the order of the text.
pub(super) async fn apply(client: &Client, documents: Vec<Document>) -> Result<(), Error> {
    let is_first =
        |document: &Document| matches!(document.kind.kind.as_str(), "Namespace" | "CustomResourceDefinition");
    let (first, rest): (Vec<_>, Vec<_>) = documents.into_iter().partition(is_first);
    let mut known = HashMap::new();
    for document in &first {
        know(client, &mut known, document).await?;
    }
    try_join_all(first.iter().map(|document| put(client, &known, document))).await?;
    // One after the other: while one is waited for the others get there, too.
    for document in &first {
        established(client, document).await?;
    }
    for document in &rest {
        know(client, &mut known, document).await?;
        put(client, &known, document).await?;
    }
    Ok(())
}

type Known = HashMap<GroupVersionKind, (ApiResource, ApiCapabilities)>;

/// Asks the API server for the resource of a kind, once.
async fn know(client: &Client, known: &mut Known, document: &Document) -> Result<(), Error> {
    if known.contains_key(&document.kind) {
        return Ok(());
    }
    let look = || pinned_kind(client, &document.kind);
    let found = wait::until(KNOWN_WITHIN, "its kind", look).await;
    let found = found.map_err(|error| Error::Yaml {
        number: document.number,
        reason: format!(
            "the API server knows no {} in {}: {}",
            document.kind.kind,
            document.kind.api_version(),
            error.last_seen
        ),
    })?;
    known.insert(document.kind.clone(), found);
    Ok(())
}

async fn put(client: &Client, known: &Known, document: &Document) -> Result<(), Error> {
    let Some((resource, capabilities)) = known.get(&document.kind) else {
        return Ok(());
    };
    let object = &document.object;
    let api: Api<DynamicObject> = if capabilities.scope == Scope::Namespaced {
        let namespace = object.metadata.namespace.as_deref().unwrap_or("default");
        Api::namespaced_with(client.clone(), namespace, resource)
    } else {
        Api::all_with(client.clone(), resource)
    };
    let name = object.metadata.name.as_deref().unwrap_or_default();
    let parameters = PatchParams::apply(MANAGER).force();
    let applied = api.patch(name, &parameters, &Patch::Apply(object)).await;
    applied.map_err(Error::api(format!("apply the {} {name}", resource.kind)))?;
    Ok(())
}

/// What is looked at of a definition. With its schema it can be half a megabyte.
#[derive(Deserialize)]
struct Definition {
    #[serde(default)]
    status: DefinitionStatus,
}

#[derive(Default, Deserialize)]
struct DefinitionStatus {
    #[serde(default)]
    conditions: Vec<CustomResourceDefinitionCondition>,
}

/// Waits until a definition is established; anything else is at once.
async fn established(client: &Client, document: &Document) -> Result<(), Error> {
    if document.kind.kind != "CustomResourceDefinition" {
        return Ok(());
    }
    let name = document.object.metadata.name.as_deref().unwrap_or_default();
    let path = format!("/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{name}");
    let look = || async {
        let request = http::Request::get(&path).body(Vec::new());
        let request = request.map_err(|error| error.to_string())?;
        let definition: Definition = client.request(request).await.map_err(|error| error.to_string())?;
        let conditions = definition.status.conditions;
        if conditions.iter().any(is_established) {
            return Ok(());
        }
        let messages: Vec<_> = conditions
            .into_iter()
            .filter_map(|condition| condition.message)
            .collect();
        Err(messages.join("; "))
    };
    let waited = wait::until(ESTABLISHED_WITHIN, "it to be established", look).await;
    waited.map_err(|error| Error::Api {
        action: format!("use the CRD {name}"),
        reason: error.to_string(),
        unreachable: false,
    })
}

fn is_established(condition: &CustomResourceDefinitionCondition) -> bool {
    condition.type_ == "Established" && condition.status == "True"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_document_is_an_object_and_empty_ones_are_none() {
        let text = "---\n# nothing\n---\n{apiVersion: v1, kind: Namespace, metadata: {name: a}}\n---\n{apiVersion: apps/v1, kind: Deployment, metadata: {name: b}}\n";
        let documents = parse(text).unwrap();
        let kinds: Vec<_> = documents.iter().map(|document| document.kind.kind.as_str()).collect();
        assert_eq!(kinds, ["Namespace", "Deployment"]);
    }

    #[test]
    fn a_document_that_is_no_object_is_named_by_its_number() {
        let without_kind = "{apiVersion: v1, kind: ConfigMap, metadata: {name: a}}\n---\n{metadata: {name: b}}\n";
        let error = parse(without_kind).unwrap_err().to_string();
        assert!(error.contains("document 2"), "{error}");
        let without_name = parse("{apiVersion: v1, kind: ConfigMap}").unwrap_err().to_string();
        assert!(
            without_name.contains("ConfigMap has no metadata.name"),
            "{without_name}"
        );
        assert!(parse("a: b: c").is_err());
    }
}
