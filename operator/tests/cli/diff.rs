//! `observed diff` on files.

use serde_json::Value;

use super::{Done, GOOD, observed};

const DEPLOYMENT: &str = "---
apiVersion: apps/v1
kind: Deployment
metadata: {name: claude-api, namespace: prod}
spec:
  selector: {matchLabels: {app: claude-api}}
  template:
    metadata: {labels: {app: claude-api}}
    spec:
      containers:
      - {name: proxy, image: proxy}
      - name: claude-api
        image: api
        ports: [{name: http, containerPort: 8080}]
";

const READINESS: &str = "        readinessProbe: {tcpSocket: {port: 8080}}\n";

const ALL: &str = "        livenessProbe: {tcpSocket: {port: 8080}}
        readinessProbe: {tcpSocket: {port: 8080}}
        startupProbe: {tcpSocket: {port: 8080}}
";

fn diff(text: &str) -> Done {
    observed(&["diff", "-f", "-"], text)
}

fn service(spec: &str) -> String {
    GOOD.replace(
        "{name: claude-api}\n",
        &format!("{{name: claude-api, container: claude-api}}\n{spec}"),
    )
}

#[test]
fn every_probe_is_told_with_what_happens_to_it_and_why() {
    let done = diff(&format!("{}{DEPLOYMENT}{READINESS}", service("")));
    assert_eq!(done.status, 1, "{done:?}");
    for part in [
        "Deployment prod/claude-api, container claude-api, for ObservedService prod/claude-api\n",
        "+ livenessProbe: # the container has none\n",
        "+     path: /health\n",
        "= readinessProbe: connect to port 8080 every 10s, 1s to answer, 3 failures # it is theirs\n",
        "+ startupProbe: # the container has none\n",
        "Left alone: container proxy\n",
        "has answered as it must for 30 s\n",
    ] {
        assert!(done.out.contains(part), "{part:?} is not in\n{}", done.out);
    }
}

#[test]
fn where_every_probe_is_there_nothing_would_change() {
    let done = diff(&format!("{}{DEPLOYMENT}{ALL}", service("")));
    assert_eq!(done.status, 0, "{done:?}");
    assert!(
        !done.out.contains("\n+ ") && !done.out.contains("Given"),
        "{}",
        done.out
    );
}

#[test]
fn what_is_shown_is_what_render_gives_as_a_patch() {
    let text = format!("{}{DEPLOYMENT}", service(""));
    let done = observed(&["diff", "-f", "-", "-o", "json"], &text);
    let told: Value = serde_json::from_str(&done.out).unwrap();
    let rendered = observed(&["render", "-f", "-", "--only", "probes", "-o", "json"], &service(""));
    let patch: Value = serde_json::from_str(&rendered.out).unwrap();
    let container = &patch["spec"]["template"]["spec"]["containers"][0];
    let probes = told["services"][0]["probes"].as_array().unwrap();
    assert_eq!(probes.len(), 3);
    for probe in probes {
        assert_eq!(probe["change"], "add");
        // A patch also takes away whatever other handler is there, as the operator's own does.
        let mut patch = container[probe["field"].as_str().unwrap()].as_object().unwrap().clone();
        assert_eq!(patch["tcpSocket"], Value::Null);
        patch.retain(|_, value| !value.is_null());
        assert_eq!(probe["then"], Value::Object(patch));
    }
}

#[test]
fn under_observe_it_is_shown_and_said_that_it_is_not_given_and_under_disabled_nothing_is_shown() {
    let observe = diff(&format!("{}{DEPLOYMENT}", service("  probes: {mode: Observe}\n")));
    assert_eq!(observe.status, 1, "{observe:?}");
    assert!(observe.out.contains("+ livenessProbe"), "{}", observe.out);
    assert!(
        observe.out.contains("Not now: spec.probes.mode is Observe"),
        "{}",
        observe.out
    );
    let admission = diff(&format!("{}{DEPLOYMENT}", service("  probes: {mode: Admission}\n")));
    assert_eq!(admission.status, 1, "{admission:?}");
    assert!(
        admission.out.contains("+ livenessProbe")
            && admission
                .out
                .contains("Added by the policy observed-admit in a rollout of the workload's own"),
        "{}",
        admission.out
    );
    let disabled = diff(&format!("{}{DEPLOYMENT}", service("  probes: {mode: Disabled}\n")));
    assert_eq!(disabled.status, 0, "{disabled:?}");
    assert!(
        disabled.out.contains("! livenessProbe: # spec.probes.mode is Disabled"),
        "{}",
        disabled.out
    );
}

#[test]
fn a_startup_probe_that_cannot_follow_the_liveness_probe_is_told_as_that() {
    let exec = "        livenessProbe: {exec: {command: [x]}}\n";
    let done = diff(&format!("{}{DEPLOYMENT}{exec}", service("")));
    assert!(done.out.contains("= livenessProbe: run x every 10s"), "{}", done.out);
    assert!(done.out.contains("! startupProbe: # none is wanted"), "{}", done.out);
    let own = diff(&format!(
        "{}{DEPLOYMENT}{exec}",
        service("  probes: {startup: {tcpSocket: {}}}\n")
    ));
    assert!(
        own.out.contains("+ startupProbe: # the container has none"),
        "{}",
        own.out
    );
}

#[test]
fn a_rollout_under_way_is_said_and_not_taken_for_a_difference_that_is_gone() {
    let busy = "status: {observedGeneration: 1, replicas: 1, updatedReplicas: 0}\n";
    let done = diff(&format!("{}{DEPLOYMENT}{busy}", service("")));
    assert_eq!(done.status, 1, "{done:?}");
    assert!(
        done.out.contains("Not now: the workload is not settled"),
        "{}",
        done.out
    );
    let settled = diff(&format!("{}{DEPLOYMENT}", service("")));
    assert!(!settled.out.contains("Not now"), "{}", settled.out);
}

#[test]
fn a_workload_that_is_not_there_and_an_error_in_the_service_are_no_difference() {
    let alone = diff(&service(""));
    assert_eq!((alone.status, alone.out.as_str()), (2, ""), "{alone:?}");
    assert!(
        alone
            .err
            .contains("Deployment prod/claude-api is not in what was given"),
        "{}",
        alone.err
    );
    let elsewhere = diff(&format!(
        "{}{}",
        service(""),
        DEPLOYMENT.replace("namespace: prod", "namespace: other")
    ));
    assert_eq!(elsewhere.status, 2, "another namespace's is not meant: {elsewhere:?}");
    let wrong = diff(&format!("{}{DEPLOYMENT}", service("  probes: {mode: Sometimes}\n")));
    assert_eq!((wrong.status, wrong.out.as_str()), (2, ""), "{wrong:?}");
    let lost = diff(&format!(
        "{}{DEPLOYMENT}",
        service("").replace("container: claude-api", "container: nobody")
    ));
    assert_eq!((lost.status, lost.out.as_str()), (2, ""), "{lost:?}");
}

#[test]
fn what_to_commit_has_the_form_of_the_tool_that_the_workload_comes_from() {
    let from = |labels: &str| {
        let metadata = format!("{{name: claude-api, namespace: prod, labels: {labels}}}");
        let deployment = DEPLOYMENT.replace("{name: claude-api, namespace: prod}", &metadata);
        diff(&format!("{}{deployment}", service("")))
    };
    for (labels, place, first) in [
        (
            "{helm.toolkit.fluxcd.io/name: shop}",
            "Flux (HelmRelease shop): in the values",
            "\n    livenessProbe:\n",
        ),
        (
            "{kustomize.toolkit.fluxcd.io/name: apps}",
            "Flux (Kustomization apps): in a file",
            "\n    kind: Deployment\n",
        ),
        (
            "{argocd.argoproj.io/instance: shop}",
            "Argo CD (Application shop): in container",
            "\n    livenessProbe:\n",
        ),
        ("{}", "its manifest: in container", "\n    livenessProbe:\n"),
    ] {
        let done = from(labels);
        assert!(
            done.out.contains(place) && done.out.contains(first),
            "{labels}: {}",
            done.out
        );
    }
    let whole = diff(&format!("{}{DEPLOYMENT}{ALL}", service("")));
    assert!(!whole.out.contains("To have them in the source"), "{}", whole.out);
}
