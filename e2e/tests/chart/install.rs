//! `manifests/install.yaml`: the chart, as Helm renders it for those who have no Helm.

use std::path::Path;
use std::process::Command;

use observed_e2e::demo::manifest::Install;
use observed_e2e::{Progress, Tool, Tools};
use serde_json::Value;

use super::helm::{chart, chart_with, checkout, helm, is_current, objects, observed, only, text};

/// What only Helm's own releases have: labels that say so, and where in the chart something stands.
fn is_of_helm(line: &str) -> bool {
    let line = line.trim();
    line.starts_with("helm.sh/chart: ")
        || line == "app.kubernetes.io/managed-by: Helm"
        || line.starts_with("# Source: ")
}

const HEAD: &str = "# Generated: charts/observed as Helm renders it with install.values.yaml";

/// What can be added with kustomize: the file of the component, and the value that it stands for.
const COMPONENTS: [(&str, &str, &str); 2] = [
    (
        "monitoring/servicemonitor.yaml",
        "serviceMonitor.enabled=true",
        "ServiceMonitor",
    ),
    (
        "network-policy/networkpolicy.yaml",
        "networkPolicy.enabled=true",
        "NetworkPolicy",
    ),
];

/// The documents of a rendering, without what is Helm's.
async fn documents(chart: &Path, options: &[&str]) -> Vec<String> {
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

    let other = chart_with("templates/deployment.yaml", "periodSeconds: 10", "periodSeconds: 11");
    assert_ne!(rendered(other.path()).await, text);
}

#[tokio::test]
async fn every_component_is_what_one_value_of_the_chart_adds() {
    let without = documents(&chart(), &[]).await;
    for (file, value, kind) in COMPONENTS {
        let with = documents(&chart(), &["--set", value]).await;
        let added: Vec<_> = with
            .into_iter()
            .filter(|document| !without.contains(document))
            .collect();
        let text = format!(
            "{HEAD} and {value}. Changes here are lost.\n{}\n",
            added.join("\n---\n")
        );
        is_current(&checkout().join("manifests/components").join(file), &text);
        assert_eq!(only(&objects(&text), kind)["metadata"]["namespace"], "observed-system");
        assert_eq!(objects(&text).len(), 1, "{text}");
    }
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

#[tokio::test]
async fn kustomize_gives_it_another_image() {
    let tools = Tools::ensure(&[Tool::Kubectl], &Progress::detect()).await.unwrap();
    let kubectl = tools.path(Tool::Kubectl).unwrap();
    let manifests = checkout().join("manifests");
    let kustomize = |directory: &Path| {
        let command = Command::new(kubectl).arg("kustomize").arg(directory).output();
        objects(&text(&command.unwrap()).unwrap())
    };
    let sorted = |mut objects: Vec<Value>| {
        objects.sort_by_key(|object| format!("{} {}", object["kind"], object["metadata"]["name"]));
        objects
    };
    let all = std::fs::read_to_string(manifests.join("install.yaml")).unwrap();
    assert_eq!(sorted(kustomize(&manifests)), sorted(objects(&all)));

    // The text of the README, but that kustomize wants a relative path.
    let readme = std::fs::read_to_string(checkout().join("README.md")).unwrap();
    let (_, rest) = readme
        .split_once("```yaml\nresources: [PATH/TO/observed/manifests]\n")
        .unwrap();
    let (images, _) = rest.split_once("```").unwrap();
    let overlay = tempfile::tempdir().unwrap();
    let up = "../".repeat(overlay.path().components().count() - 1);
    let base = format!("{up}{}", manifests.strip_prefix("/").unwrap().display());
    let components = COMPONENTS.map(|(file, ..)| format!("{base}/components/{}", file.split('/').next().unwrap()));
    let text = format!("resources: [{base}]\ncomponents: [{}]\n{images}", components.join(", "));
    std::fs::write(overlay.path().join("kustomization.yaml"), text).unwrap();
    let objects = kustomize(overlay.path());
    let pod = &only(&objects, "Deployment")["spec"]["template"]["spec"];
    assert_eq!(pod["containers"][0]["image"], "registry.example.org/observed:0.1.0");
    for (.., kind) in COMPONENTS {
        assert_eq!(only(&objects, kind)["metadata"]["name"], "observed");
    }
}
