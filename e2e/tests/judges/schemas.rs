//! The schemas of the CRDs as kubeconform reads them.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::piped;

/// One file a kind, named as the location below asks for it.
pub fn write(crds: &Path) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    for file in fs::read_dir(crds).unwrap() {
        let text = fs::read_to_string(file.unwrap().path()).unwrap();
        let crd: Value = serde_saphyr::from_str(&text).unwrap();
        let kind = crd["spec"]["names"]["kind"].as_str().unwrap().to_lowercase();
        for version in crd["spec"]["versions"].as_array().unwrap() {
            let mut schema = version["schema"]["openAPIV3Schema"].clone();
            close(&mut schema);
            // The API server's own part of every object.
            schema["properties"]["metadata"] = json!({"type": "object"});
            let name = format!("{kind}-{}.json", version["name"].as_str().unwrap());
            fs::write(directory.path().join(name), schema.to_string()).unwrap();
        }
    }
    directory
}

/// A field that no schema lists is none, as for an API server with strict field validation.
fn close(schema: &mut Value) {
    if schema.get("properties").is_some() && schema["x-kubernetes-preserve-unknown-fields"] != true {
        schema["additionalProperties"] = json!(false);
    }
    match schema {
        Value::Object(fields) => fields.values_mut().for_each(close),
        Value::Array(items) => items.iter_mut().for_each(close),
        _ => {}
    }
}

/// How many objects are valid, and what is wrong with the others.
pub fn judged(kubeconform: &Path, schemas: &Path, objects: &[&Value]) -> (usize, Vec<Value>) {
    let location = schemas.join("{{.ResourceKind}}-{{.ResourceAPIVersion}}.json");
    let text: Vec<String> = objects.iter().map(ToString::to_string).collect();
    let mut command = Command::new(kubeconform);
    command.args(["-strict", "-summary", "-output", "json", "-schema-location"]);
    command.arg(location).arg("-");
    let output = piped(&mut command, &text.join("\n---\n"));
    let answer: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("kubeconform says: {}", String::from_utf8_lossy(&output.stderr)));
    let valid = answer["summary"]["valid"].as_u64().unwrap();
    let refusals = answer["resources"].as_array().cloned().unwrap_or_default();
    (usize::try_from(valid).unwrap(), refusals)
}
