//! `manifests/components`: each is what some values of the chart change, for those who use kustomize and no Helm.

use std::process::Command;

use observed_e2e::{Cluster, Progress, Tool, Tools};
use serde_json::{Map, Value, json};

use super::helm::{chart, checkout, is_current, objects, text};
use super::install::{HEAD, documents};
use super::matrix::dry_run;

/// The component, and the values that it stands for.
pub const COMPONENTS: [(&str, &str); 8] = [
    ("admit", "admitPolicy=always"),
    ("edit", "editPolicy=always"),
    ("ha", "replicas=2"),
    (
        "monitoring",
        "serviceMonitor.enabled=true,prometheusRule.enabled=true,dashboard.enabled=true",
    ),
    ("namespaced", "watchNamespace=prod"),
    ("network-policy", "networkPolicy.enabled=true"),
    ("remediation", "remediation.enabled=true"),
    ("yield", "yieldPolicy=always"),
];

/// Which object it is.
fn identity(object: &Value) -> (String, String, String) {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let metadata = &object["metadata"];
    (
        text(&object["kind"]),
        text(&metadata["name"]),
        text(&metadata["namespace"]),
    )
}

/// What makes one value of another, as a strategic merge patch.
fn patch(from: &Value, to: &Value) -> Option<Value> {
    if from == to {
        return None;
    }
    match (from, to) {
        (Value::Object(from), Value::Object(to)) => {
            let changed = to.iter().filter_map(|(key, to)| {
                let changed = from.get(key).map_or_else(|| Some(to.clone()), |from| patch(from, to));
                Some((key.clone(), changed?))
            });
            let gone = from.keys().filter(|key| !to.contains_key(*key));
            let gone = gone.map(|key| (key.clone(), Value::Null));
            Some(changed.chain(gone).collect::<Map<_, _>>().into())
        }
        (Value::Array(from), Value::Array(to)) if to.iter().chain(from).all(|item| item["name"].is_string()) => {
            let of = |name: &Value| from.iter().find(|item| item["name"] == *name);
            let changed = to.iter().filter_map(|item| {
                let mut changed = of(&item["name"]).map_or_else(|| Some(item.clone()), |from| patch(from, item))?;
                changed["name"] = item["name"].clone();
                Some(changed)
            });
            Some(changed.collect())
        }
        (_, to) => Some(to.clone()),
    }
}

/// The files of a component.
async fn files(name: &str, values: &str) -> Vec<(String, String)> {
    let without: Vec<Value> = objects(&documents(&chart(), &[]).await.join("\n---\n"));
    let texts = documents(&chart(), &["--set", values]).await;
    let with: Vec<Value> = objects(&texts.join("\n---\n"));
    let head = format!("{HEAD} and {values}. Changes here are lost.\n");
    let named = |objects: &[Value], wanted: &Value| objects.iter().find(|it| identity(it) == identity(wanted)).cloned();

    let added = texts
        .iter()
        .zip(&with)
        .filter(|(_, object)| named(&without, object).is_none());
    let added: Vec<&str> = added.map(|(text, _)| text.as_str()).collect();
    let mut patches = Vec::new();
    for before in &without {
        let metadata = json!({"name": before["metadata"]["name"], "namespace": before["metadata"]["namespace"]});
        let of = json!({"apiVersion": before["apiVersion"], "kind": before["kind"], "metadata": metadata});
        let changed = match named(&with, before) {
            Some(now) => patch(before, &now),
            None => Some(json!({"$patch": "delete"})),
        };
        if let Some(mut changed) = changed {
            for (key, value) in of.as_object().unwrap() {
                changed[key] = value.clone();
            }
            changed["metadata"]
                .as_object_mut()
                .unwrap()
                .retain(|_, value| !value.is_null());
            patches.push(serde_saphyr::to_string(&changed).unwrap());
        }
    }
    let mut files = Vec::new();
    let mut kustomization = format!("{head}apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\n");
    if !added.is_empty() {
        files.push(("resources.yaml", format!("{head}{}\n", added.join("\n---\n"))));
        kustomization += "resources: [resources.yaml]\n";
    }
    if !patches.is_empty() {
        files.push(("patches.yaml", format!("{head}{}", patches.join("---\n"))));
        kustomization += "patches: [{path: patches.yaml}]\n";
    }
    files.push(("kustomization.yaml", kustomization));
    files
        .into_iter()
        .map(|(file, text)| (format!("{name}/{file}"), text))
        .collect()
}

/// What kustomize makes of a text with the base and components.
pub async fn kustomized(components: &[&str], more: &str) -> Vec<Value> {
    let tools = Tools::ensure(&[Tool::Kubectl], &Progress::detect()).await.unwrap();
    let overlay = tempfile::tempdir().unwrap();
    // kustomize wants a relative path.
    let up = "../".repeat(overlay.path().components().count() - 1);
    let manifests = checkout().join("manifests");
    let base = format!("{up}{}", manifests.strip_prefix("/").unwrap().display());
    let components: Vec<_> = components
        .iter()
        .map(|name| format!("{base}/components/{name}"))
        .collect();
    let text_of = format!("resources: [{base}]\ncomponents: [{}]\n{more}", components.join(", "));
    std::fs::write(overlay.path().join("kustomization.yaml"), text_of).unwrap();
    let mut kustomize = Command::new(tools.path(Tool::Kubectl).unwrap());
    let output = kustomize.arg("kustomize").arg(overlay.path()).output().unwrap();
    objects(&text(&output).unwrap())
}

/// The same objects, whatever their order and that of lists whose items have names.
fn sorted(mut objects: Vec<Value>) -> Vec<Value> {
    fn sort(value: &mut Value) {
        match value {
            Value::Array(items) => {
                items.iter_mut().for_each(sort);
                if items.iter().all(|item| item["name"].is_string()) {
                    items.sort_by_key(|item| item["name"].to_string());
                }
            }
            Value::Object(fields) => fields.values_mut().for_each(sort),
            _ => {}
        }
    }
    objects.iter_mut().for_each(sort);
    objects.sort_by_key(identity);
    objects
}

#[tokio::test]
async fn every_component_is_what_its_values_of_the_chart_change() {
    for (name, values) in COMPONENTS {
        let directory = checkout().join("manifests/components");
        for (file, text) in files(name, values).await {
            is_current(&directory.join(file), &text);
        }
        let wanted = documents(&chart(), &["--set", values]).await.join("\n---\n");
        assert_eq!(
            sorted(kustomized(&[name], "").await),
            sorted(objects(&wanted)),
            "{name}"
        );
    }
    let found = std::fs::read_dir(checkout().join("manifests/components")).unwrap();
    assert_eq!(found.count(), COMPONENTS.len());
    // The twin: a component does not do what another one does.
    let other = documents(&chart(), &["--set", COMPONENTS[2].1]).await.join("\n---\n");
    assert_ne!(
        sorted(kustomized(&[COMPONENTS[4].0], "").await),
        sorted(objects(&other))
    );
}

#[tokio::test]
async fn the_api_server_takes_every_component_and_all_of_them_together() {
    let cluster = Cluster::shared().await.unwrap();
    cluster.install_monitoring_crds(&Progress::silent()).await.unwrap();
    for namespace in ["observed-system", "prod"] {
        let text = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}});
        cluster.apply(&text.to_string()).await.unwrap();
    }
    let names = COMPONENTS.map(|(name, _)| name);
    let each = names.iter().map(std::slice::from_ref);
    for components in each.chain([&names[..]]) {
        let objects = kustomized(components, "").await;
        let text: Vec<String> = objects.iter().map(Value::to_string).collect();
        dry_run(cluster, &text.join("\n---\n")).unwrap_or_else(|words| panic!("{components:?}: {words}"));
    }
    let mut wrong = kustomized(&["ha"], "").await;
    let budget = wrong
        .iter_mut()
        .find(|object| object["kind"] == "PodDisruptionBudget")
        .unwrap();
    budget["spec"]["maxUnavailabel"] = json!(1);
    assert!(dry_run(cluster, &budget.to_string()).is_err());
}

/// A block of YAML in the README.
fn readme(begins: &str) -> String {
    let readme = std::fs::read_to_string(checkout().join("README.md")).unwrap();
    let (_, rest) = readme.split_once(&format!("```yaml\n{begins}")).unwrap();
    rest.split_once("```").unwrap().0.to_owned()
}

#[tokio::test]
async fn what_the_readme_says_of_kustomize_gives_it_another_image_and_another_namespace() {
    let manifests = checkout().join("manifests");
    let all = std::fs::read_to_string(manifests.join("install.yaml")).unwrap();
    assert_eq!(sorted(kustomized(&[], "").await), sorted(objects(&all)));

    let names = COMPONENTS.map(|(name, _)| name);
    let more = readme("resources: [PATH/TO/observed/manifests]\n");
    let objects = kustomized(&names, &more).await;
    let pod = |objects: &[Value]| {
        let deployment = objects.iter().find(|object| object["kind"] == "Deployment").unwrap();
        deployment["spec"]["template"]["spec"]["containers"][0].clone()
    };
    assert_eq!(pod(&objects)["image"], "registry.example.org/observed:0.1.0");

    let more = readme("components: [PATH/TO/observed/manifests/components/namespaced]\n");
    let objects = kustomized(&["namespaced"], &more).await;
    let variable = json!({"name": "OBSERVED_WATCH_NAMESPACE", "value": "shop"});
    assert!(pod(&objects)["env"].as_array().unwrap().contains(&variable));
    let prod: Vec<_> = objects
        .iter()
        .filter(|object| object["metadata"]["namespace"] == "prod")
        .collect();
    assert!(prod.is_empty(), "{prod:?}");
    let shop = objects
        .iter()
        .filter(|object| object["metadata"]["namespace"] == "shop");
    assert_eq!(shop.count(), 2, "its Role and the binding");
}
