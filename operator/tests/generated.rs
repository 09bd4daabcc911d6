//! The generated files in the repository are what the program prints. `UPDATE_GOLDEN=1` writes them anew.

// Clippy knows only functions with `#[test]` as tests, and not what they share.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

fn printed(arguments: &[&str]) -> String {
    let done = Command::new(env!("CARGO_BIN_EXE_observed"))
        .args(arguments)
        .output()
        .unwrap();
    assert!(
        done.status.success(),
        "{arguments:?}: {}",
        String::from_utf8_lossy(&done.stderr)
    );
    String::from_utf8(done.stdout).unwrap()
}

fn file(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

fn objects(text: &str) -> Vec<Value> {
    let documents = serde_yaml::Deserializer::from_str(text);
    documents
        .map(|document| serde::Deserialize::deserialize(document).unwrap())
        .collect()
}

fn is_up_to_date(path: &str, arguments: &[&str]) {
    is_current(path, &printed(arguments));
}

fn is_current(path: &str, text: &str) {
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(file(path), text).unwrap();
    }
    let written = fs::read_to_string(file(path)).unwrap_or_default();
    assert!(
        written == text,
        "{path} is stale: UPDATE_GOLDEN=1 cargo test -p observed --test generated"
    );
}

#[test]
fn the_crd_in_the_repository_is_the_one_of_the_program() {
    is_up_to_date("crds/observedservices.yaml", &["crds", "--only", "observedservice"]);
    is_up_to_date("crds/signalpacks.yaml", &["crds", "--only", "signalpack"]);
}

#[test]
fn the_crds_and_rules_in_the_chart_are_those_of_the_program() {
    for kind in ["observedservice", "signalpack"] {
        let path = format!("charts/observed/files/crds/{kind}s.yaml");
        is_up_to_date(&path, &["crds", "--only", kind]);
    }
    is_current("charts/observed/files/rbac.yaml", &rules_of_the_chart());
}

/// The rules of every role, by what the chart makes of them.
fn rules_of_the_chart() -> String {
    let everywhere = objects(&printed(&["rbac"]));
    let in_one_namespace = objects(&printed(&["rbac", "--watch-namespace", "prod"]));
    let rules = |objects: &[Value], kind: &str, name: &str| {
        let is_it = |object: &&Value| object["kind"] == kind && object["metadata"]["name"] == name;
        objects.iter().find(is_it).unwrap()["rules"].clone()
    };
    let guarded = objects(&printed(&["rbac", "--watch-namespace", "prod", "--secure-metrics"]));
    let open = rules(&in_one_namespace, "ClusterRole", "observed-prod");
    let mut reviews = rules(&guarded, "ClusterRole", "observed-prod");
    let of_all = open.as_array().unwrap();
    reviews.as_array_mut().unwrap().retain(|rule| !of_all.contains(rule));
    let remediation = objects(&printed(&["rbac", "--watch-namespace", "prod", "--remediation"]));
    let rules = serde_json::json!({
        "home": rules(&everywhere, "Role", "observed-lease"),
        "services": rules(&in_one_namespace, "Role", "observed"),
        "everywhere": open,
        "reviews": reviews,
        "metricsReader": rules(&guarded, "ClusterRole", "observed-prod-metrics-reader"),
        "remediation": rules(&remediation, "Role", "observed-remediator"),
        "remediationEverywhere": rules(&remediation, "ClusterRole", "observed-remediator-prod"),
        "view": rules(&everywhere, "ClusterRole", "observed-view"),
        "edit": rules(&everywhere, "ClusterRole", "observed-edit"),
    });
    let text = observed_core::yaml::to_string([&rules]);
    format!("# Generated from `observed rbac`. Changes here are lost.\n{text}")
}

/// What the sample that observes Observed itself becomes, with a place for each name that a release has of its own.
fn generated_for_itself(output: &str) -> String {
    let sample = fs::read_to_string(file("manifests/samples/observed.yaml")).unwrap();
    let renamed = sample
        .replace("namespace: observed-system", "namespace: the-namespace")
        .replace("name: observed\n", "name: the-release\n");
    let input = tempfile::NamedTempFile::new().unwrap();
    fs::write(input.path(), renamed).unwrap();
    let text = printed(&["render", "-f", input.path().to_str().unwrap(), "--only", output]);
    let uid = text.split("obs-").nth(1).map(|rest| &rest[..36]);
    let text = uid.map_or_else(
        || text.clone(),
        |uid| text.replace(&format!("obs-{uid}"), "the-dashboard"),
    );
    format!("# Generated from manifests/samples/observed.yaml. Changes here are lost.\n{text}")
}

#[test]
fn what_the_chart_brings_to_watch_the_operator_is_what_the_program_generates_for_it() {
    for output in ["service-monitor", "prometheus-rule", "runbooks", "dashboard"] {
        let text = generated_for_itself(output);
        assert!(
            text.contains("the-namespace") && text.contains("the-release"),
            "{output}"
        );
        assert_eq!(text.contains("the-dashboard"), output == "dashboard", "{output}");
        assert!(!text.contains("observed-system"), "{output}");
        is_current(&format!("charts/observed/files/monitoring/{output}.yaml"), &text);
    }
}

#[test]
fn the_page_about_the_rules_of_doctor_is_the_one_of_the_program() {
    is_up_to_date("docs/doctor.md", &["doctor", "--page"]);
}

#[test]
fn the_pages_of_the_reference_are_those_of_the_program() {
    for page in ["settings", "fields", "conditions", "metrics"] {
        is_up_to_date(&format!("docs/{page}.md"), &["docs", page]);
    }
}

#[test]
fn the_samples_have_no_finding() {
    let samples = file("manifests/samples");
    for sample in [
        "minimal.yaml",
        "llm-api.yaml",
        "claude-api-dependencies.yaml",
        "python-fastapi.yaml",
        "worker.yaml",
        "observed.yaml",
    ] {
        let printed = printed(&["lint", "--strict", "-f", samples.join(sample).to_str().unwrap()]);
        assert_eq!(printed, "", "{sample}");
    }
    let sample = samples.join("claude-api.yaml");
    let done = Command::new(env!("CARGO_BIN_EXE_observed"))
        .args(["lint", "-f"])
        .arg(sample)
        .output()
        .unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stdout));
}
