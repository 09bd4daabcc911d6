//! The commands of the README, as they stand there, in a shell: to install Observed, to observe a service, and to take it away again.

use std::path::Path;
use std::process::Command;

use observed_e2e::{Cluster, Progress, Tool, Tools};

use super::helm::{checkout, text};
use super::life::{WORKLOAD, control_plane};

/// Commands that need what is not here, and where they are run instead.
const ELSEWHERE: [(&str, &str); 5] = [
    ("cargo demo", "builds images; tests/node.rs runs it"),
    ("docker load", "needs Docker"),
    (
        "kubectl -n observed-system rollout status",
        "waits for a pod; tests/node_chart does",
    ),
    (
        "observed status",
        "fails as long as no operator runs; tests/api/status.rs runs one",
    ),
    ("kubectl wait", "waits for a Prometheus; tests/node_chain does"),
];

/// The commands of a section of a text, without their comments.
fn commands(text: &str, section: &str) -> Vec<String> {
    let (_, rest) = text.split_once(&format!("\n## {section}\n")).unwrap();
    let section = rest.split("\n## ").next().unwrap_or_default();
    let blocks = section.split("```console\n").skip(1);
    let lines = blocks.flat_map(|block| block.split("```").next().unwrap_or_default().lines());
    let commands = lines.filter_map(|line| line.strip_prefix("$ "));
    commands
        .map(|command| command.split(" #").next().unwrap_or_default().trim().to_owned())
        .collect()
}

/// Those of the README that are run here.
fn of_readme(section: &str) -> Vec<String> {
    let readme = std::fs::read_to_string(checkout().join("README.md")).unwrap();
    let mut commands = commands(&readme, section);
    assert!(!commands.is_empty(), "{section}");
    commands.retain(|command| !ELSEWHERE.iter().any(|(other, _)| command.starts_with(other)));
    commands
}

/// Runs a command in the checkout, as somebody would who has Helm and kubectl at hand.
async fn run(cluster: &Cluster, command: &str) -> Result<String, String> {
    let tools = Tools::ensure(&[Tool::Helm], &Progress::detect()).await.unwrap();
    let home = |program: &Path| program.parent().unwrap().to_owned();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut path: Vec<_> = std::env::split_paths(&path).collect();
    path.splice(..0, [home(tools.path(Tool::Helm).unwrap()), home(cluster.kubectl())]);
    let own = tempfile::tempdir().unwrap();
    let mut shell = Command::new("sh");
    shell.args(["-c", command]).current_dir(checkout());
    shell.env("PATH", std::env::join_paths(path).unwrap());
    shell.env("KUBECONFIG", cluster.kubeconfig()).env("HOME", own.path());
    text(&shell.output().unwrap()).map_err(|words| format!("$ {command}\n{words}"))
}

/// Installs Observed by some commands, observes a service, and takes all of it away by others.
async fn lives(install: &[String], uninstall: &[String]) {
    let cluster = control_plane().await;
    cluster.apply(WORKLOAD).await.unwrap();
    for command in install.iter().chain(&of_readme("Observe a service")).chain(uninstall) {
        run(&cluster, command).await.unwrap();
    }
    let left = run(&cluster, "kubectl get deployments,clusterroles -A -o name")
        .await
        .unwrap();
    assert!(!left.contains("/observed\n"), "{left}");
    cluster.stop().await.unwrap();
}

fn with<'a>(commands: &'a [String], program: &str) -> impl Iterator<Item = &'a String> {
    commands.iter().filter(move |command| command.starts_with(program))
}

#[tokio::test]
async fn what_the_readme_says_of_kubectl_installs_observes_and_takes_away() {
    let (install, uninstall) = (of_readme("Install"), of_readme("Uninstall"));
    let install: Vec<_> = with(&install, "kubectl ").cloned().collect();
    assert!(
        install.iter().any(|command| command.contains("manifests/install.yaml")),
        "{install:?}"
    );
    lives(&install, &uninstall).await;
}

#[tokio::test]
async fn what_the_readme_says_of_helm_installs_observes_and_takes_away() {
    let (install, uninstall) = (of_readme("Install"), of_readme("Uninstall"));
    let install: Vec<_> = with(&install, "helm ").cloned().collect();
    assert!(
        install.iter().any(|command| command.starts_with("helm install")),
        "{install:?}"
    );
    let readme = std::fs::read_to_string(checkout().join("README.md")).unwrap();
    let (_, instead) = readme.split_once("# or: helm uninstall ").unwrap();
    let instead = format!("helm uninstall {}", instead.lines().next().unwrap_or_default());
    let deleted: Vec<_> = with(&uninstall, "kubectl delete observedservices").cloned().collect();
    lives(&install, &[deleted, vec![instead]].concat()).await;
}

#[tokio::test]
async fn a_command_that_names_what_is_not_there_is_noticed() {
    let readme = "\n## Install\n\n```console\n$ kubectl apply -f manifests/instal.yaml   # a slip\n```\n\n## Next\n";
    let commands = commands(readme, "Install");
    assert_eq!(commands, ["kubectl apply -f manifests/instal.yaml"]);
    let cluster = control_plane().await;
    let error = run(&cluster, &commands[0]).await.unwrap_err();
    assert!(error.contains("does not exist"), "{error}");
    cluster.stop().await.unwrap();
}

#[test]
fn every_command_that_is_not_run_here_stands_in_the_readme() {
    let readme = std::fs::read_to_string(checkout().join("README.md")).unwrap();
    let sections = ["Install", "Observe a service", "Uninstall"];
    let all: Vec<_> = sections.iter().flat_map(|section| commands(&readme, section)).collect();
    for (command, _) in ELSEWHERE {
        assert!(all.iter().any(|other| other.starts_with(command)), "{command}");
    }
}
