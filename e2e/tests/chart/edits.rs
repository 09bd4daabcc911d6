//! The policy that ties edits of an ObservedService to the right to patch its target: where it is rendered, and where each of several releases
//! in a cluster demands it. What it demands is in `e2e/tests/api/edits.rs`.

use std::io::Write;
use std::process::{Command, Stdio};

use observed_e2e::{Cluster, wait};
use serde_json::{Value, json};

use super::helm::{chart, render, text};
use super::life::{CRD, SOON};

/// The policy of a release and its binding.
async fn policy(options: &str) -> Vec<Value> {
    let rendered = render(&chart(), &["--set", options]).await.unwrap();
    let of_it = |object: &Value| {
        let kind = object["kind"].as_str().unwrap();
        kind.starts_with("ValidatingAdmissionPolicy")
    };
    rendered.into_iter().filter(of_it).collect()
}

#[tokio::test]
async fn edits_are_tied_to_the_workload_only_where_it_is_asked_for_and_by_a_policy_of_the_release() {
    for options in ["editPolicy=never", "watchNamespace=prod"] {
        assert_eq!(policy(options).await, [] as [Value; 0], "{options}");
    }
    for (options, name) in [
        ("editPolicy=always", "observed-edit"),
        ("editPolicy=always,watchNamespace=prod", "observed-prod-edit"),
        ("editPolicy=always,fullnameOverride=another", "another-edit"),
    ] {
        let policy = policy(options).await;
        let names: Vec<_> = policy.iter().map(|object| &object["metadata"]["name"]).collect();
        assert_eq!(names, [name, name], "{options}");
        assert_eq!(policy[1]["spec"]["policyName"], name, "{options}");
    }
}

/// What the API server says when somebody who may edit all ObservedServices, and nothing else, creates one in a namespace.
fn created(cluster: &Cluster, namespace: &str) -> Result<String, String> {
    let service = json!({
        "apiVersion": "observed.rs/v1alpha1", "kind": "ObservedService", "metadata": {"name": "api", "namespace": namespace},
        "spec": {"targetRef": {"name": "api"}},
    });
    let mut child = Command::new(cluster.kubectl())
        .arg("--kubeconfig")
        .arg(cluster.kubeconfig())
        .args(["create", "--as=dev", "--dry-run=server", "-f", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(service.to_string().as_bytes())
        .unwrap();
    text(&child.wait_with_output().unwrap())
}

async fn becomes_refused(cluster: &Cluster, namespace: &str, policy: &str) {
    let said = format!(
        "ValidatingAdmissionPolicy '{policy}' with binding '{policy}' denied request: dev may not patch the Deployment {namespace}/api"
    );
    let look = async || match created(cluster, namespace) {
        Err(words) if words.contains(&said) => Ok(()),
        other => Err(format!("{other:?}")),
    };
    wait::until(SOON, "the policy to be in effect", look).await.unwrap();
}

#[tokio::test]
async fn releases_of_one_namespace_tie_edits_there_and_nowhere_else() {
    let cluster = Cluster::shared().await.unwrap();
    let (one, two) = (
        cluster.namespace("one").await.unwrap(),
        cluster.namespace("two").await.unwrap(),
    );
    let crd = std::fs::read_to_string(chart().join(CRD)).unwrap();
    cluster.apply(&crd).await.unwrap();
    let rights = "
{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {name: dev}, rules: [{apiGroups: [observed.rs], resources: ['*'], verbs: ['*']}]}
---
{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRoleBinding, metadata: {name: dev}, roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: dev},
 subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: dev}]}";
    cluster.apply(rights).await.unwrap();
    for namespace in [&one, &two] {
        let look = async || created(cluster, namespace);
        wait::until(SOON, "the rights to be known", look).await.unwrap();
    }
    let install = async |namespace: &str| {
        for object in policy(&format!("editPolicy=always,watchNamespace={namespace}")).await {
            cluster.apply(&object.to_string()).await.unwrap();
        }
    };
    install(&one).await;
    becomes_refused(cluster, &one, &format!("observed-{one}-edit")).await;
    created(cluster, &two).unwrap();
    // The twin: a release there demands it there, beside the other one.
    install(&two).await;
    becomes_refused(cluster, &two, &format!("observed-{two}-edit")).await;
    becomes_refused(cluster, &one, &format!("observed-{one}-edit")).await;
}
