//! `manifests/install.yaml`: the chart, as Helm renders it for those who have no Helm.

use std::path::Path;

use observed_e2e::demo::manifest::Install;
use serde_json::Value;

use super::helm::{chart, chart_with, checkout, helm, is_current, objects, observed};

/// What only Helm's own releases have: labels that say so, and where in the chart something stands.
fn is_of_helm(line: &str) -> bool {
    let line = line.trim();
    line.starts_with("helm.sh/chart: ")
        || line == "app.kubernetes.io/managed-by: Helm"
        || line.starts_with("# Source: ")
}

pub const HEAD: &str = "# Generated: charts/observed as Helm renders it with install.values.yaml";

/// The documents of a rendering, without what is Helm's.
pub async fn documents(chart: &Path, options: &[&str]) -> Vec<String> {
    let values = checkout().join("manifests/install.values.yaml");
    let (chart, values) = (chart.to_str().unwrap(), values.to_str().unwrap());
    let arguments = [
        "template",
        "observed",
        chart,
        "-n",
        "observed-system",
        "--values",
        values,
        "--skip-tests",
    ];
    let text = helm(&[&arguments, options].concat()).await.unwrap();
    let kept = text.lines().filter(|line| !is_of_helm(line));
    let text: String = kept.map(|line| format!("\n{line}")).collect();
    let documents = text.split("\n---\n").map(|document| document.trim().to_owned());
    documents.filter(|document| !document.is_empty()).collect()
}

async fn rendered(chart: &Path) -> String {
    let documents = documents(chart, &[]).await;
    format!("{HEAD}. Changes here are lost.\n{}\n", documents.join("\n---\n"))
}

#[tokio::test]
async fn the_manifest_in_the_repository_is_the_chart_as_helm_renders_it() {
    let text = rendered(&chart()).await;
    is_current(&checkout().join("manifests/install.yaml"), &text);
    assert!(!text.contains("helm.sh") && !text.contains("Helm\n"), "a trace of Helm");

    let other = chart_with("templates/_deployment.tpl", "periodSeconds: 10", "periodSeconds: 11");
    assert_ne!(rendered(other.path()).await, text);
}

/// 1 and 1.0 are the same number.
fn alike(value: &Value) -> Value {
    match value {
        Value::Number(number) => number.as_f64().map_or(Value::Null, Value::from),
        Value::Array(items) => items.iter().map(alike).collect(),
        Value::Object(fields) => fields.iter().map(|(key, value)| (key.clone(), alike(value))).collect(),
        other => other.clone(),
    }
}

#[tokio::test]
async fn the_manifest_holds_what_the_program_prints_and_a_restricted_namespace() {
    let all = objects(&std::fs::read_to_string(checkout().join("manifests/install.yaml")).unwrap());
    let kinds: Vec<_> = all.iter().map(|object| object["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds[0], "Namespace", "it must come first: {kinds:?}");
    let restricted = &all[0]["metadata"]["labels"]["pod-security.kubernetes.io/enforce"];
    assert_eq!(
        (&all[0]["metadata"]["name"], restricted),
        (&"observed-system".into(), &"restricted".into())
    );

    // Labels and order differ; names, rules, subjects and schemas do not.
    let all_alike: Vec<_> = all.iter().map(alike).collect();
    let found = |wanted: &Value| {
        let wanted = alike(wanted);
        let same = |object: &&Value| {
            object["kind"] == wanted["kind"]
                && object["metadata"]["name"] == wanted["metadata"]["name"]
                && object["metadata"]["namespace"] == wanted["metadata"]["namespace"]
        };
        let object = all_alike.iter().find(same)?;
        ["spec", "rules", "roleRef", "subjects"]
            .iter()
            .all(|part| object[*part] == wanted[*part])
            .then_some(())
    };
    for mut wanted in [objects(&observed(&["crds"]).await), objects(&observed(&["rbac"]).await)].concat() {
        assert!(found(&wanted).is_some(), "{} {}", wanted["kind"], wanted["metadata"]);
        wanted["metadata"]["name"] = "another".into();
        assert!(found(&wanted).is_none());
    }
    // What the demo and the tests on a node take from it.
    let install = Install::read().unwrap();
    let found = (&*install.namespace, &*install.name, &*install.account, &*install.image);
    assert_eq!(found, ("observed-system", "observed", "observed", "observed:0.1.0"));
    assert!(
        all.iter().all(|object| object["metadata"]["annotations"].is_null()),
        "an annotation of Helm"
    );
}
