//! Everything that the golden cases render is taken by a real API server that refuses unknown fields, and so does
//! whatever reads it: nothing in it is silently dropped.

use std::fs;
use std::path::Path;

use kube::Api;
use kube::api::{DynamicObject, Patch, PatchParams, ValidationDirective};
use kube::core::{ApiResource, GroupVersionKind};

use super::operator::Stage;

/// The objects of the golden cases, each with the file that it stands in.
fn rendered() -> Vec<(String, DynamicObject)> {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .join("operator/core/tests/golden");
    let mut found = Vec::new();
    for case in fs::read_dir(golden).unwrap() {
        let expected = case.unwrap().path().join("expected");
        for file in fs::read_dir(expected).unwrap() {
            let path = file.unwrap().path();
            let text = fs::read_to_string(&path).unwrap();
            // Rule files, drills and patches are no objects.
            if let Ok(object) = serde_saphyr::from_str::<DynamicObject>(&text)
                && object.types.is_some()
            {
                found.push((path.display().to_string(), object));
            }
        }
    }
    found
}

/// What the API server says to it, without keeping it.
async fn offered(stage: &Stage, mut object: DynamicObject) -> Result<DynamicObject, kube::Error> {
    let types = object.types.clone().unwrap();
    let kind = GroupVersionKind::try_from(&types).unwrap();
    object.metadata.namespace = Some(stage.namespace.clone());
    let api: Api<DynamicObject> =
        Api::namespaced_with(stage.client.clone(), &stage.namespace, &ApiResource::from_gvk(&kind));
    let params = PatchParams {
        dry_run: true,
        field_validation: Some(ValidationDirective::Strict),
        ..PatchParams::apply("test")
    };
    let name = object.metadata.name.clone().unwrap();
    api.patch(&name, &params, &Patch::Apply(object)).await
}

#[tokio::test]
async fn every_object_that_is_rendered_is_taken_and_one_with_an_unknown_field_is_not() {
    let stage = Stage::shared("rendered").await;
    let objects = rendered();
    let kinds = |kind: &str| {
        let of_kind = objects
            .iter()
            .filter(|(_, object)| object.types.as_ref().unwrap().kind == kind);
        of_kind.count()
    };
    for kind in ["ServiceMonitor", "PodMonitor", "PrometheusRule", "ConfigMap"] {
        assert!(kinds(kind) > 0, "no golden case has a {kind}");
    }
    for (file, object) in &objects {
        let taken = offered(&stage, object.clone())
            .await
            .unwrap_or_else(|error| panic!("{file}: {error}"));
        let sent = object.data.get("spec").or(object.data.get("data")).unwrap();
        let kept = taken.data.get("spec").or(taken.data.get("data")).unwrap();
        assert_eq!(kept, sent, "{file}: the API server made something else of it");
    }

    let (_, rule) = objects
        .iter()
        .find(|(_, object)| object.types.as_ref().unwrap().kind == "PrometheusRule")
        .unwrap();
    for (field, value) in [("intervall", "30s"), ("interval", "often")] {
        let mut broken = rule.clone();
        broken.data["spec"]["groups"][0][field] = value.into();
        let refused = offered(&stage, broken).await.unwrap_err().to_string();
        assert!(refused.contains(field), "{refused}");
    }
}
