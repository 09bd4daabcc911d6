//! A value that nobody knows is refused, wherever it stands.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Value, json};

use super::helm::{chart, chart_with, helm, render};
use super::values::schema;

/// What Kubernetes gave a form, and its API server checks.
const OPEN: &[&str] = &[
    "affinity/nodeAffinity",
    "affinity/podAffinity",
    "affinity/podAntiAffinity",
    "extraEnv/0/valueFrom",
    "extraObjects/0",
    "global",
    "networkPolicy/egress/0/ports/0",
    "networkPolicy/egress/0/to/0",
    "networkPolicy/from/0/ipBlock",
    "networkPolicy/from/0/namespaceSelector",
    "networkPolicy/from/0/podSelector",
];

/// Every object in the schema: those whose fields it lists, and those that are open.
#[derive(Default)]
struct Levels {
    listed: BTreeSet<String>,
    open: BTreeSet<String>,
}

fn walk(node: &Value, path: &str, levels: &mut Levels) {
    let below = |step: &str| match path {
        "" => step.to_owned(),
        path => format!("{path}/{step}"),
    };
    if node["type"].to_string().contains("object") {
        if let Some(properties) = node["properties"].as_object() {
            levels.listed.insert(path.to_owned());
            for (key, node) in properties {
                walk(node, &below(key), levels);
            }
        } else if node["additionalProperties"]["type"].is_null() {
            levels.open.insert(path.to_owned());
        }
    }
    if node.get("items").is_some() {
        walk(&node["items"], &below("0"), levels);
    }
}

fn levels(schema: &Value) -> Levels {
    let mut levels = Levels::default();
    walk(schema, "", &mut levels);
    levels
}

/// Values in which an object has a field that nobody knows.
fn with_unknown(path: &str) -> Value {
    let steps = path.split('/').filter(|step| !step.is_empty()).rev();
    steps.fold(json!({"unknownKey": 1}), |value, step| match step {
        "0" => json!([value]),
        key => json!({key: value}),
    })
}

async fn render_with(chart: &Path, values: &Value) -> Result<Vec<Value>, String> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), values.to_string()).unwrap();
    render(chart, &["--values", file.path().to_str().unwrap()]).await
}

#[tokio::test]
async fn a_key_that_nobody_knows_is_refused_at_every_level() {
    let levels = levels(&schema());
    assert!(levels.listed.len() >= 15, "{:?}", levels.listed);
    for path in &levels.listed {
        let refused = render_with(&chart(), &with_unknown(path)).await.unwrap_err();
        let place = if path.is_empty() {
            String::new()
        } else {
            format!("/{path}")
        };
        let words = format!("at '{place}': additional properties 'unknownKey' not allowed");
        assert!(refused.contains(&words), "{path}: {refused}");
    }
}

#[tokio::test]
async fn a_level_that_is_left_open_would_be_noticed() {
    let closed = "\"log\": {\n      \"type\": \"object\",\n      \"additionalProperties\": false,";
    let open = chart_with("values.schema.json", closed, "\"log\": {\n      \"type\": \"object\",");
    render_with(open.path(), &with_unknown("log")).await.unwrap();
}

#[test]
fn only_what_the_api_server_checks_is_open() {
    let open = levels(&schema()).open;
    assert_eq!(open.iter().map(String::as_str).collect::<Vec<_>>(), OPEN);
}

#[tokio::test]
async fn a_value_that_makes_no_sense_is_refused_and_the_message_names_it() {
    for (value, names) in [
        ("image.digest=sha256:abc", "/image/digest"),
        ("image.tag=a b", "/image/tag"),
        ("image.pullPolicy=Sometimes", "/image/pullPolicy"),
        ("watchNamespace=Prod", "/watchNamespace"),
        ("prometheus.url=prometheus:9090", "/prometheus/url"),
        ("prometheus.url=http://user:password@prometheus", "/prometheus/url"),
        ("grafana.url=grafana", "/grafana/url"),
        ("traces.otlpEndpoint=collector:4318", "/traces/otlpEndpoint"),
        ("resync=soon", "/resync"),
        ("concurrency=0", "/concurrency"),
        ("log.format=xml", "/log/format"),
        ("crds.keep=perhaps", "/crds/keep"),
        ("replicas=0", "/replicas"),
        ("leaseDuration=soon", "/leaseDuration"),
        ("replicaCount=2", "'replicaCount' not allowed"),
        ("serviceAccount.create=false", "serviceAccount.name"),
    ] {
        let refused = render(&chart(), &["--set", value]).await.unwrap_err();
        assert!(refused.contains(names), "{value}: {refused}");
    }
}

#[tokio::test]
async fn another_chart_can_depend_on_it() {
    // Helm gives a chart that is depended on a value that it did not ask for: `global`.
    let parent = tempfile::tempdir().unwrap();
    let depends = format!(
        "{{apiVersion: v2, name: platform, version: 1.0.0, dependencies: [{{name: observed, version: 0.1.0, repository: 'file://{}'}}]}}",
        chart().display()
    );
    std::fs::write(parent.path().join("Chart.yaml"), depends).unwrap();
    std::fs::write(
        parent.path().join("values.yaml"),
        "global: {region: a}\nobserved: {resync: 30s}\n",
    )
    .unwrap();
    helm(&["dependency", "build", parent.path().to_str().unwrap()])
        .await
        .unwrap();
    let objects = render(parent.path(), &[]).await.unwrap();
    assert!(objects.iter().any(|object| object["kind"] == "Deployment"));
}
