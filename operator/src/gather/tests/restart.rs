//! Which workloads a restart would hurt.

use super::*;

fn unfit<W: Workload + serde::de::DeserializeOwned>(replicas: i32, field: &str, strategy: &Value) -> Option<String> {
    let object = json!({
        "apiVersion": "apps/v1", "kind": W::KIND.as_str(), "metadata": {"name": "api"},
        "spec": {"replicas": replicas, "selector": {}, "template": {}, "serviceName": "api", field: strategy},
        "status": {
            "replicas": replicas, "currentNumberScheduled": replicas, "desiredNumberScheduled": replicas,
            "numberMisscheduled": 0, "numberReady": replicas,
        },
    });
    serde_json::from_value::<W>(object).unwrap().unfit_for_restart()
}

/// Whether it is unfit exactly where there are words, and says them.
fn says(unfit: Option<String>, words: Option<&str>, of: &Value) {
    assert_eq!(unfit.is_some(), words.is_some(), "{of}: {unfit:?}");
    assert!(unfit.unwrap_or_default().contains(words.unwrap_or_default()), "{of}");
}

#[test]
fn a_deployment_that_would_be_left_without_pods_is_not_fit_for_a_restart() {
    for (replicas, strategy, words) in [
        (1, json!({}), None),
        (1, json!({"rollingUpdate": {"maxUnavailable": "25%"}}), None),
        (4, json!({"rollingUpdate": {"maxUnavailable": "75%"}}), None),
        (2, json!({"rollingUpdate": {"maxUnavailable": 1}}), None),
        (0, json!({"rollingUpdate": {"maxUnavailable": "100%"}}), None),
        (2, json!({"type": "Recreate"}), Some("Recreate")),
        (
            2,
            json!({"rollingUpdate": {"maxUnavailable": "100%"}}),
            Some("maxUnavailable"),
        ),
        (
            1,
            json!({"rollingUpdate": {"maxUnavailable": 1}}),
            Some("maxUnavailable"),
        ),
    ] {
        says(unfit::<Deployment>(replicas, "strategy", &strategy), words, &strategy);
    }
}

#[test]
fn a_stateful_set_of_one_pod_or_with_pods_that_are_kept_back_is_not_fit_for_a_restart() {
    for (replicas, strategy, words) in [
        (2, json!({}), None),
        (1, json!({}), Some("its only pod")),
        (2, json!({"type": "OnDelete"}), Some("OnDelete")),
        (2, json!({"rollingUpdate": {"partition": 1}}), Some("partition")),
        (
            2,
            json!({"rollingUpdate": {"maxUnavailable": "100%"}}),
            Some("maxUnavailable"),
        ),
    ] {
        says(
            unfit::<StatefulSet>(replicas, "updateStrategy", &strategy),
            words,
            &strategy,
        );
    }
}

#[test]
fn a_daemon_set_of_one_pod_is_fit_for_a_restart_only_with_a_surge() {
    for (replicas, strategy, words) in [
        (3, json!({}), None),
        (1, json!({"rollingUpdate": {"maxSurge": 1}}), None),
        (1, json!({"rollingUpdate": {"maxSurge": "0%"}}), Some("its only pod")),
        (1, json!({}), Some("its only pod")),
        (3, json!({"type": "OnDelete"}), Some("OnDelete")),
        (
            3,
            json!({"rollingUpdate": {"maxUnavailable": "100%"}}),
            Some("maxUnavailable"),
        ),
    ] {
        says(
            unfit::<DaemonSet>(replicas, "updateStrategy", &strategy),
            words,
            &strategy,
        );
    }
}
