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
    let text = printed(arguments);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(file(path), &text).unwrap();
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
fn the_installation_in_the_repository_is_the_one_of_the_program() {
    is_up_to_date("manifests/install.yaml", &["manifests"]);
}

#[test]
fn the_page_about_the_rules_of_doctor_is_the_one_of_the_program() {
    is_up_to_date("docs/doctor.md", &["doctor", "--page"]);
}

#[test]
fn the_image_and_the_namespace_of_an_installation_can_be_chosen() {
    let objects = objects(&printed(&[
        "manifests",
        "--image",
        "registry.example.org/o:1",
        "-n",
        "elsewhere",
    ]));
    let deployment = objects.iter().find(|object| object["kind"] == "Deployment").unwrap();
    assert_eq!(
        deployment["spec"]["template"]["spec"]["containers"][0]["image"],
        "registry.example.org/o:1"
    );
    let namespaces = objects
        .iter()
        .filter_map(|object| object["metadata"]["namespace"].as_str());
    assert!(namespaces.clone().count() >= 2 && namespaces.clone().all(|namespace| namespace == "elsewhere"));
}

#[test]
fn the_operator_runs_as_restricted_as_its_namespace_demands() {
    let objects = objects(&printed(&["manifests"]));
    let namespace = objects.iter().find(|object| object["kind"] == "Namespace").unwrap();
    assert_eq!(
        namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"],
        "restricted"
    );
    let deployment = objects.iter().find(|object| object["kind"] == "Deployment").unwrap();
    let pod = &deployment["spec"]["template"]["spec"];
    assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
    assert_eq!(pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault");
    for container in pod["containers"].as_array().unwrap() {
        let context = &container["securityContext"];
        assert_eq!(context["allowPrivilegeEscalation"], false);
        assert_eq!(context["readOnlyRootFilesystem"], true);
        assert_eq!(context["capabilities"]["drop"][0], "ALL");
        assert!(container["resources"]["limits"]["memory"].is_string());
    }
    for volume in ["volumes", "hostNetwork", "hostPID"] {
        assert!(pod[volume].is_null(), "{volume}");
    }
}

#[test]
fn the_roles_of_the_installation_are_those_of_rbac() {
    let all = objects(&printed(&["manifests"]));
    for object in objects(&printed(&["rbac"])) {
        assert!(all.contains(&object), "{}", object["metadata"]["name"]);
    }
    let other = objects(&printed(&["rbac", "-n", "elsewhere"]));
    assert!(!other.iter().all(|object| all.contains(object)));
}

#[test]
fn the_samples_have_no_finding() {
    let samples = file("manifests/samples");
    for sample in ["minimal.yaml", "llm-api.yaml", "claude-api-dependencies.yaml"] {
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
