//! How long pods took to start, as their history tells.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Pod;

/// A pod that became ready later than this after its start had been ready before.
const LONGEST: u32 = 1800;

/// Seconds from the start of each container to the readiness of its pod. Of several pods the one in the middle counts:
/// readiness that went and came back looks like a slow start. Without a probe a pod is ready as soon as it runs, which
/// says nothing, and after a restart the start of then is not known.
pub(super) fn starts(pods: &[Pod]) -> BTreeMap<String, u32> {
    let mut all: BTreeMap<String, Vec<u32>> = BTreeMap::new();
    for pod in pods {
        let (Some(spec), Some(status)) = (&pod.spec, &pod.status) else {
            continue;
        };
        let ready = status
            .conditions
            .iter()
            .flatten()
            .find(|condition| condition.type_ == "Ready" && condition.status == "True")
            .and_then(|condition| condition.last_transition_time.as_ref());
        let Some(ready) = ready else { continue };
        for container in &spec.containers {
            if container.readiness_probe.is_none() && container.startup_probe.is_none() {
                continue;
            }
            let statuses = status.container_statuses.iter().flatten();
            let started = statuses
                .filter(|of| of.name == container.name && of.restart_count == 0)
                .find_map(|of| of.state.as_ref()?.running.as_ref()?.started_at.as_ref());
            let took = started.and_then(|started| u32::try_from(ready.0.as_second() - started.0.as_second()).ok());
            if let Some(took) = took.filter(|took| *took <= LONGEST) {
                all.entry(container.name.clone()).or_default().push(took);
            }
        }
    }
    let middle = all.into_iter().filter_map(|(container, mut took)| {
        took.sort_unstable();
        Some((container, *took.get(took.len() / 2)?))
    });
    middle.collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn pod(ready_after: u32, change: impl FnOnce(&mut Value)) -> Pod {
        let ready = jiff::Timestamp::from_second(1_000_000 + i64::from(ready_after)).unwrap();
        let started = jiff::Timestamp::from_second(1_000_000).unwrap();
        let mut pod = json!({
            "spec": {"containers": [{"name": "api", "readinessProbe": {"tcpSocket": {"port": 80}}}, {"name": "proxy"}]},
            "status": {
                "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": ready}],
                "containerStatuses": [
                    {"name": "api", "image": "", "imageID": "", "ready": true, "restartCount": 0, "state": {"running": {"startedAt": started}}},
                    {"name": "proxy", "image": "", "imageID": "", "ready": true, "restartCount": 0, "state": {"running": {"startedAt": started}}},
                ],
            },
        });
        change(&mut pod);
        serde_json::from_value(pod).unwrap()
    }

    #[test]
    fn the_start_is_that_of_the_pod_in_the_middle_where_a_probe_says_when_it_is_over() {
        let pods = [pod(200, |_| {}), pod(190, |_| {}), pod(1700, |_| {})];
        assert_eq!(starts(&pods), [("api".to_owned(), 200)].into());
    }

    #[test]
    fn a_pod_that_was_restarted_is_not_ready_or_has_no_probe_tells_nothing() {
        for change in [
            |pod: &mut Value| pod["status"]["containerStatuses"][0]["restartCount"] = json!(1),
            |pod: &mut Value| pod["status"]["conditions"][0]["status"] = json!("False"),
            |pod: &mut Value| pod["spec"]["containers"][0]["readinessProbe"] = Value::Null,
        ] {
            assert_eq!(starts(&[pod(200, change)]), BTreeMap::new());
        }
        assert_eq!(starts(&[pod(LONGEST + 1, |_| {})]), BTreeMap::new());
    }
}
