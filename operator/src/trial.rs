//! Looks at the pods that run with a gift: whether it restarts them, or keeps them from becoming ready.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Container, ContainerStatus, Pod};
use kube::{Client, ResourceExt};
use observed_core::facts::{Facts, TrialPod};
use observed_core::gift::{Gifted, ProbeKind, ProbeShape};

use crate::pods;

/// How the kubelet names the end of a container that went over its memory limit.
const OOM_KILLED: &str = "OOMKilled";

/// The pods whose container has the probes that were given, by name.
///
/// # Errors
/// The pods could not be listed.
pub async fn look(client: &Client, facts: &Facts, now: Timestamp) -> Result<Vec<TrialPod>, pods::Error> {
    let Some(target) = &facts.target else {
        return Ok(Vec::new());
    };
    let Some(gifted) = &target.gifted else {
        return Ok(Vec::new());
    };
    let pods = pods::of_target(client, &facts.namespace, target).await?;
    let mut looked: Vec<_> = pods.iter().filter_map(|pod| on_trial(pod, gifted, now)).collect();
    looked.sort_by(|a, b| a.pod.cmp(&b.pod));
    Ok(looked)
}

fn on_trial(pod: &Pod, gifted: &Gifted, now: Timestamp) -> Option<TrialPod> {
    let spec = pod.spec.as_ref()?;
    let container = spec.containers.iter().find(|c| c.name == gifted.container)?;
    if pod.metadata.deletion_timestamp.is_some() || !has(container, &gifted.probes) {
        return None;
    }
    let statuses = pod
        .status
        .as_ref()
        .and_then(|status| status.container_statuses.as_ref());
    let status = statuses
        .into_iter()
        .flatten()
        .find(|status| status.name == gifted.container)?;
    Some(TrialPod {
        pod: pod.name_any(),
        restarts: restarts(status),
        ran_seconds: ran_seconds(status),
        unready_seconds: unready_seconds(pod, status, now),
    })
}

fn has(container: &Container, given: &BTreeMap<ProbeKind, String>) -> bool {
    let probe = |kind: &ProbeKind| match kind {
        ProbeKind::Liveness => &container.liveness_probe,
        ProbeKind::Readiness => &container.readiness_probe,
        ProbeKind::Startup => &container.startup_probe,
    };
    given.iter().all(|(kind, hash)| {
        probe(kind)
            .as_ref()
            .is_some_and(|probe| ProbeShape::of(probe).hash() == *hash)
    })
}

fn restarts(status: &ContainerStatus) -> i32 {
    let last = status.last_state.as_ref().and_then(|state| state.terminated.as_ref());
    let by_kernel = last.is_some_and(|ended| ended.reason.as_deref() == Some(OOM_KILLED));
    if by_kernel { 0 } else { status.restart_count }
}

fn ran_seconds(status: &ContainerStatus) -> Option<u64> {
    let last = status.last_state.as_ref()?.terminated.as_ref()?;
    let ran = last.finished_at.as_ref()?.0.as_second() - last.started_at.as_ref()?.0.as_second();
    u64::try_from(ran).ok()
}

/// Since the container runs and the pod is not ready, whichever came later.
fn unready_seconds(pod: &Pod, status: &ContainerStatus, now: Timestamp) -> u64 {
    if status.ready || status.started != Some(true) {
        return 0;
    }
    let running = status.state.as_ref().and_then(|state| state.running.as_ref());
    let began = running.and_then(|running| running.started_at.as_ref());
    let conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
    let unready = conditions
        .into_iter()
        .find(|condition| condition.type_ == "Ready" && condition.status == "False");
    let since = unready.and_then(|condition| condition.last_transition_time.as_ref());
    let Some(latest) = began.into_iter().chain(since).map(|time| time.0).max() else {
        return 0;
    };
    u64::try_from(now.as_second() - latest.as_second()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn gifted() -> Gifted {
        let probe = serde_json::from_value(json!({"httpGet": {"path": "/health", "port": "http"}})).unwrap();
        Gifted {
            container: "api".into(),
            probes: [(ProbeKind::Liveness, ProbeShape::of(&probe).hash())].into(),
            owner_uid: "us".into(),
        }
    }

    fn looked(change: impl FnOnce(&mut Value)) -> Option<TrialPod> {
        let mut pod = json!({
            "metadata": {"name": "api-1"},
            "spec": {"containers": [{"name": "api", "livenessProbe": {"httpGet": {"path": "/health", "port": "http"}}}]},
            "status": {
                "conditions": [{"type": "Ready", "status": "False", "lastTransitionTime": "2026-01-01T00:00:00Z"}],
                "containerStatuses": [{
                    "name": "api", "image": "x", "imageID": "x", "ready": false, "started": true, "restartCount": 2,
                    "state": {"running": {"startedAt": "2026-01-01T00:01:00Z"}},
                    "lastState": {"terminated": {"exitCode": 137, "reason": "Error",
                        "startedAt": "2026-01-01T00:00:00Z", "finishedAt": "2026-01-01T00:00:50Z"}},
                }],
            },
        });
        change(&mut pod);
        let pod: Pod = serde_json::from_value(pod).unwrap();
        on_trial(&pod, &gifted(), "2026-01-01T00:05:00Z".parse().unwrap())
    }

    #[test]
    fn a_pod_that_runs_with_the_gift_is_looked_at_and_no_other() {
        let expected = TrialPod {
            pod: "api-1".into(),
            restarts: 2,
            ran_seconds: Some(50),
            unready_seconds: 240,
        };
        assert_eq!(looked(|_| {}), Some(expected));
        type Change = fn(&mut Value);
        let others: [Change; 4] = [
            |pod| pod["spec"]["containers"][0]["livenessProbe"] = Value::Null,
            |pod| pod["spec"]["containers"][0]["livenessProbe"]["periodSeconds"] = json!(99),
            |pod| pod["spec"]["containers"][0]["name"] = json!("other"),
            |pod| pod["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z"),
        ];
        for change in others {
            assert_eq!(looked(change), None);
        }
    }

    #[test]
    fn what_the_kernel_killed_and_what_has_not_started_speaks_not_against_the_gift() {
        let container = "/status/containerStatuses/0";
        let set = |path: &str, value: Value| {
            looked(|pod| *pod.pointer_mut(&format!("{container}{path}")).unwrap() = value).unwrap()
        };
        assert_eq!(set("/lastState/terminated/reason", json!(OOM_KILLED)).restarts, 0);
        assert_eq!(set("/started", json!(false)).unready_seconds, 0);
        assert_eq!(set("/ready", json!(true)).unready_seconds, 0);
    }
}
