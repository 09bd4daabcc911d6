use observed_core::gift::ProbeKind;
use observed_crds::PROBES_MANAGER;
use observed_crds::v1alpha1::{ObservedServiceSpec, TargetKind};
use serde_json::{Value, json};

use super::workload::Workload;
use super::*;
use crate::mock;

mod restart;

fn service(name: &str, created: &str) -> ObservedService {
    let spec: ObservedServiceSpec = serde_json::from_value(json!({"targetRef": {"name": "api"}})).unwrap();
    let mut service = ObservedService::new(name, spec);
    service.metadata.namespace = Some("prod".into());
    service.metadata.uid = Some(format!("{name}-uid"));
    service.metadata.creation_timestamp = serde_json::from_value(json!(created)).unwrap();
    service
}

const EARLY: &str = "2026-01-01T00:00:00Z";
const LATE: &str = "2026-01-02T00:00:00Z";

fn deployment() -> Value {
    let owned = |container: &str, probe: &str| json!({"f:spec": {"f:template": {"f:spec": {"f:containers": {format!("k:{{\"name\":\"{container}\"}}"): {probe: {}}}}}}});
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {
            "name": "api", "namespace": "prod", "uid": "target-uid", "resourceVersion": "42", "generation": 3,
            "annotations": {"observed.rs/probes": "api/liveness:1a2b3c4d@api-uid"},
            "managedFields": [
                {"manager": "helm", "operation": "Apply", "time": "2026-01-01T00:00:00Z", "fieldsV1": owned("api", "f:readinessProbe")},
                {"manager": PROBES_MANAGER, "operation": "Update", "time": "2026-01-03T00:00:00Z", "fieldsV1": owned("api", "f:livenessProbe")},
                {"manager": "kube-controller-manager", "operation": "Update", "subresource": "status", "time": "2026-01-04T00:00:00Z", "fieldsV1": {}},
            ],
        },
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": {"app": "api"}},
            "template": {
                "metadata": {"labels": {"app": "api", "tier": "web"}, "annotations": {"kubectl.kubernetes.io/default-container": "api"}},
                "spec": {
                    "initContainers": [{"name": "mesh", "image": "m", "restartPolicy": "Always"}],
                    "containers": [{
                        "name": "api", "image": "x",
                        "ports": [{"name": "http", "containerPort": 8000, "protocol": "TCP"}, {"containerPort": 53, "protocol": "UDP"}],
                        "livenessProbe": {"httpGet": {"path": "/health", "port": "http"}},
                        "readinessProbe": {"tcpSocket": {"port": 8000}},
                    }],
                },
            },
        },
        "status": {"observedGeneration": 3, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2, "readyReplicas": 2},
    })
}

fn k8s_service(name: &str, selector: &Value) -> Value {
    json!({"metadata": {"name": name, "labels": {"app": name}}, "spec": {"selector": selector, "ports": [
        {"name": "http", "port": 80, "targetPort": "http"}, {"name": "direct", "port": 81, "targetPort": 8000}, {"name": "dns", "port": 53, "protocol": "UDP"}]}})
}

/// A cluster in which `change` answers first.
async fn gathered(
    mut change: impl FnMut(&str) -> Option<(u16, Value)> + Send + 'static,
    same_target: Vec<ObservedService>,
) -> Result<Facts, Error> {
    let (client, log) = mock::client(move |asked| {
        if let Some(changed) = change(&asked.path) {
            return changed;
        }
        match asked.path.as_str() {
            "/apis/apps/v1/namespaces/prod/deployments/api" => (200, deployment()),
            "/api/v1/namespaces/prod/services" => mock::list(&[
                k8s_service("api", &json!({"app": "api"})),
                k8s_service("other", &json!({"app": "other"})),
                k8s_service("headless", &Value::Null),
            ]),
            "/api/v1/namespaces/prod" => (200, json!({"metadata": {"name": "prod", "labels": {"env": "prod"}}})),
            "/apis/monitoring.coreos.com/v1" => (
                200,
                json!({"kind": "APIResourceList", "groupVersion": "monitoring.coreos.com/v1", "resources":
                (["ServiceMonitor", "PodMonitor", "PrometheusRule", "Prometheus", "Probe"]).map(|kind| json!({"name": "x", "kind": kind, "namespaced": true, "verbs": [], "singularName": ""}))}),
            ),
            "/apis/monitoring.coreos.com/v1/prometheuses" => {
                mock::list(&[json!({"apiVersion": "monitoring.coreos.com/v1", "kind": "Prometheus",
                "metadata": {"name": "main", "namespace": "monitoring"},
                "spec": {"serviceMonitorSelector": {"matchLabels": {"release": "kps"}}, "ruleNamespaceSelector": {}, "routePrefix": "/prom/", "replicas": 2, "shards": 3}})])
            }
            _ => mock::not_found(),
        }
    });
    let surroundings = Surroundings::new(client.clone(), None);
    let context = GatherContext {
        surroundings: &surroundings,
        same_target,
        dependency_namespaces: None,
    };
    let service = service("api", LATE);
    let facts = match Own::read(&client, &service).await {
        Ok(own) => gather(&service, own, &context).await,
        Err(error) => Err(error),
    };
    assert!(log.writes().is_empty());
    facts
}

#[tokio::test]
async fn a_workload_is_read_with_its_ports_probes_and_their_owners() {
    let facts = gathered(|_| None, vec![]).await.unwrap();
    let target = facts.target.unwrap();
    assert_eq!(
        (target.kind, target.replicas, target.unsettled.as_deref()),
        (TargetKind::Deployment, 2, None)
    );
    assert_eq!(
        (target.uid.as_str(), target.resource_version.as_str()),
        ("target-uid", "42")
    );
    assert_eq!(target.default_container.as_deref(), Some("api"));
    let [container] = target.containers.as_slice() else {
        panic!("{:?}", target.containers)
    };
    assert_eq!(
        container.ports,
        [facts::ContainerPort {
            name: Some("http".into()),
            port: 8000
        }]
    );
    assert_eq!(container.probes[&ProbeKind::Readiness].owned_by, ["helm"]);
    // What we hold is on its way to nobody: it is no owner, but it is to be let go of.
    assert!(container.probes[&ProbeKind::Liveness].owned_by.is_empty());
    assert!(target.held);
    assert_eq!(target.last_writer.as_deref(), Some("helm"));
    assert_eq!(target.gifted.unwrap().owner_uid, "api-uid");
}

#[tokio::test]
async fn only_services_that_select_the_pods_are_facts() {
    let facts = gathered(|_| None, vec![]).await.unwrap();
    let [service] = facts.services.as_slice() else {
        panic!("{:?}", facts.services)
    };
    assert_eq!(service.name, "api");
    let ports: Vec<_> = service
        .ports
        .iter()
        .map(|p| (p.target_port_name.as_deref(), p.target_port))
        .collect();
    assert_eq!(ports, [(Some("http"), None), (None, Some(8000))]);
}

#[test]
fn a_prometheus_that_serves_https_is_asked_by_https_and_no_other() {
    let url = |web: serde_json::Value| {
        let spec = serde_json::from_value(json!({"web": web})).unwrap();
        surroundings::fact(&observed_crds::foreign::Prometheus::new("main", spec)).url
    };
    let tls = json!({"tlsConfig": {"cert": {"secret": {"name": "web", "key": "tls.crt"}}, "keySecret": {"name": "web", "key": "tls.key"}}});
    assert!(url(tls).starts_with("https://prometheus-main-0."));
    assert!(url(json!({"pageTitle": "Prod"})).starts_with("http://prometheus-main-0."));
    assert!(url(json!(null)).starts_with("http://prometheus-main-0."));
}

#[tokio::test]
async fn a_prometheus_is_a_fact_with_its_address_and_what_it_selects() {
    let facts = gathered(|_| None, vec![]).await.unwrap();
    let [prometheus] = facts.prometheuses.as_slice() else {
        panic!("{:?}", facts.prometheuses)
    };
    assert_eq!(
        prometheus.url,
        "http://prometheus-main-0.prometheus-operated.monitoring.svc:9090/prom"
    );
    assert_eq!(
        prometheus.retention_seconds,
        Some(86_400),
        "that of prometheus-operator"
    );
    assert_eq!(prometheus.shards, Some(3));
    let monitors = &prometheus.selects["ServiceMonitor"];
    assert_eq!(monitors.objects.as_ref().unwrap().match_labels["release"], "kps");
    assert_eq!(monitors.namespaces, None);
    // Absent is not the same as empty.
    assert_eq!(prometheus.selects["PrometheusRule"].objects, None);
    assert!(prometheus.selects["PrometheusRule"].namespaces.is_some());
    assert_eq!(facts.namespace_labels["env"], "prod");
    assert!(!facts.served.contains("Probe"), "{:?}", facts.served);
}

#[tokio::test]
async fn a_workload_that_does_not_exist_is_a_fact() {
    let facts = gathered(|path| path.contains("deployments").then(mock::not_found), vec![])
        .await
        .unwrap();
    assert_eq!(facts.target, None);
}

#[tokio::test]
async fn without_the_crds_or_the_right_to_see_them_there_is_no_prometheus() {
    for (path, answer) in [
        ("/apis/monitoring.coreos.com/v1", mock::not_found()),
        (
            "/apis/monitoring.coreos.com/v1/prometheuses",
            mock::refusal(403, "Forbidden", "no"),
        ),
        ("/apis/monitoring.coreos.com/v1/prometheuses", mock::not_found()),
    ] {
        let facts = gathered(move |asked| (asked == path).then(|| answer.clone()), vec![])
            .await
            .unwrap();
        assert!(facts.prometheuses.is_empty() && facts.target.is_some(), "{path}");
    }
}

#[tokio::test]
async fn a_prometheus_that_cannot_be_read_does_not_hide_the_others() {
    let broken = json!({"metadata": {"name": "broken", "namespace": "m"}, "spec": {"serviceMonitorSelector": "all"}});
    let good = json!({"metadata": {"name": "good", "namespace": "m"}, "spec": {}});
    let facts = gathered(
        move |path| {
            path.ends_with("/prometheuses")
                .then(|| mock::list(&[broken.clone(), good.clone()]))
        },
        vec![],
    );
    let names: Vec<_> = facts
        .await
        .unwrap()
        .prometheuses
        .into_iter()
        .map(|prometheus| prometheus.name)
        .collect();
    assert_eq!(names, ["good"]);
}

#[tokio::test]
async fn what_cannot_be_read_is_an_error_that_says_what_is_missing() {
    let facts = gathered(
        |path| {
            path.contains("deployments")
                .then(|| mock::refusal(403, "Forbidden", "may not get"))
        },
        vec![],
    );
    let error = facts.await.unwrap_err();
    assert_eq!((error.reason(), error.retry()), (Reason::Forbidden, Retry::Seldom));
    assert_eq!(error.to_string(), "could not read Deployment prod/api: may not get");
    let facts = gathered(
        |path| {
            path.contains("services")
                .then(|| mock::refusal(500, "InternalError", "oops"))
        },
        vec![],
    );
    let error = facts.await.unwrap_err();
    assert_eq!((error.reason(), error.retry()), (Reason::ApiError, Retry::Backoff));
}

#[test]
fn the_workload_belongs_to_the_older_service_then_to_the_first_by_name() {
    let late = service("m", LATE);
    assert_eq!(taken_by(&late, std::slice::from_ref(&late)), None);
    assert_eq!(taken_by(&late, &[service("z", EARLY)]).as_deref(), Some("z"));
    assert_eq!(taken_by(&late, &[service("a", LATE)]).as_deref(), Some("a"));
    assert_eq!(taken_by(&late, &[service("z", LATE), service("n", LATE)]), None);
    assert_eq!(
        taken_by(&late, &[service("z", EARLY), service("y", EARLY)]).as_deref(),
        Some("y")
    );
    let mut going = service("z", EARLY);
    going.metadata.deletion_timestamp = serde_json::from_value(json!(LATE)).unwrap();
    assert_eq!(taken_by(&late, &[going]), None);
}

fn unsettled<W: Workload + serde::de::DeserializeOwned>(base: &Value, change: &Value) -> Option<String> {
    changed::<W>(base, change).unsettled()
}

fn changed<W: Workload + serde::de::DeserializeOwned>(base: &Value, change: &Value) -> W {
    let mut object = base.clone();
    object["kind"] = json!(W::KIND.as_str());
    for (path, value) in change.as_object().unwrap() {
        let (parent, key) = path.rsplit_once('/').unwrap();
        object.pointer_mut(parent).unwrap()[key] = value.clone();
    }
    serde_json::from_value(object).unwrap()
}

#[test]
fn a_deployment_in_the_middle_of_a_rollout_is_not_settled() {
    for (change, words) in [
        (json!({"/spec/paused": true}), "paused"),
        (json!({"/metadata/generation": 4}), "has not seen the last change"),
        (json!({"/status": {}}), "has not seen"),
        (json!({"/status/updatedReplicas": 1}), "1 pods of an earlier revision"),
        (
            json!({"/status/replicas": 1, "/status/updatedReplicas": 1}),
            "1 of 2 pods are updated",
        ),
        (json!({"/status/replicas": 3}), "1 pods of an earlier revision"),
        (json!({"/status/availableReplicas": 1}), "1 of 2 pods are available"),
        (
            json!({"/status/conditions": [{"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded", "message": "timed out"}]}),
            "stuck: timed out",
        ),
    ] {
        let told = unsettled::<Deployment>(&deployment(), &change).unwrap_or_default();
        assert!(told.contains(words), "{change}: {told:?}");
    }
    assert_eq!(unsettled::<Deployment>(&deployment(), &json!({})), None);
}

#[test]
fn a_stateful_set_in_the_middle_of_a_rollout_is_not_settled() {
    let mut set = deployment();
    set["spec"]["serviceName"] = json!("api");
    set["status"] = json!({"observedGeneration": 3, "replicas": 2, "availableReplicas": 2, "currentRevision": "a", "updateRevision": "a"});
    assert_eq!(unsettled::<StatefulSet>(&set, &json!({})), None);
    assert!(unsettled::<StatefulSet>(&set, &json!({"/status/updateRevision": "b"})).is_some());
    assert!(unsettled::<StatefulSet>(&set, &json!({"/status/availableReplicas": 1})).is_some());
    // Old pods that are to stay are no rollout.
    let on_delete = json!({"/status/updateRevision": "b", "/spec/updateStrategy": {"type": "OnDelete"}});
    assert_eq!(unsettled::<StatefulSet>(&set, &on_delete), None);
    let partition = json!({"/status/updateRevision": "b", "/status/updatedReplicas": 1,
        "/spec/updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 1}}});
    for (change, words) in [
        (on_delete, Some("0 of 2 pods are updated: the update strategy OnDelete")),
        (partition, Some("1 of 2 pods are updated: the partition")),
        (json!({"/status/updateRevision": "b"}), None),
        (json!({"/spec/updateStrategy": {"type": "OnDelete"}}), None),
    ] {
        let outdated = changed::<StatefulSet>(&set, &change).outdated();
        match words {
            Some(words) => assert!(
                outdated.as_ref().is_some_and(|told| told.contains(words)),
                "{outdated:?}"
            ),
            None => assert_eq!(outdated, None, "{change}"),
        }
    }
}

#[test]
fn a_daemon_set_in_the_middle_of_a_rollout_is_not_settled() {
    let mut set = deployment();
    set["status"] = json!({"observedGeneration": 3, "desiredNumberScheduled": 3, "currentNumberScheduled": 3, "numberMisscheduled": 0,
        "numberReady": 3, "updatedNumberScheduled": 3, "numberAvailable": 3});
    assert_eq!(unsettled::<DaemonSet>(&set, &json!({})), None);
    assert!(unsettled::<DaemonSet>(&set, &json!({"/status/updatedNumberScheduled": 2})).is_some());
    assert!(unsettled::<DaemonSet>(&set, &json!({"/status/numberAvailable": 2})).is_some());
    let on_delete = json!({"/status/updatedNumberScheduled": 2, "/spec/updateStrategy": {"type": "OnDelete"}});
    assert_eq!(unsettled::<DaemonSet>(&set, &on_delete), None);
    let outdated = changed::<DaemonSet>(&set, &on_delete).outdated().unwrap_or_default();
    assert!(
        outdated.contains("2 of 3 pods are updated: the update strategy OnDelete"),
        "{outdated}"
    );
    assert_eq!(changed::<DaemonSet>(&set, &json!({})).outdated(), None);
}

#[tokio::test]
async fn an_agent_is_a_fact_with_the_monitors_that_it_selects_and_without_a_right_there_is_none() {
    const PATH: &str = "/apis/monitoring.coreos.com/v1alpha1/prometheusagents";
    let agent = json!({"metadata": {"name": "edge", "namespace": "monitoring"},
        "spec": {"serviceMonitorSelector": {"matchLabels": {"team": "a"}}, "podMonitorNamespaceSelector": {}}});
    let facts = gathered(
        move |path| (path == PATH).then(|| mock::list(std::slice::from_ref(&agent))),
        vec![],
    );
    let facts = facts.await.unwrap();
    let [agent] = facts.agents.as_slice() else {
        panic!("{:?}", facts.agents)
    };
    assert_eq!((agent.namespace.as_str(), agent.name.as_str()), ("monitoring", "edge"));
    let monitors = &agent.selects["ServiceMonitor"];
    assert_eq!(monitors.objects.as_ref().unwrap().match_labels["team"], "a");
    assert_eq!(
        agent.selects.keys().collect::<Vec<_>>(),
        ["PodMonitor", "ServiceMonitor"]
    );

    for answer in [mock::refusal(403, "Forbidden", "no"), mock::not_found()] {
        let facts = gathered(move |path| (path == PATH).then(|| answer.clone()), vec![])
            .await
            .unwrap();
        assert_eq!((facts.agents.len(), facts.prometheuses.len()), (0, 1));
    }
}

#[tokio::test]
async fn the_labels_of_a_namespace_are_read_once_for_all_its_services() {
    let (client, log) = mock::client(|asked| {
        (
            200,
            json!({"metadata": {"name": asked.path, "labels": {"env": "prod"}}}),
        )
    });
    let surroundings = Surroundings::new(client, None);
    for namespace in ["prod", "prod", "shop", "prod"] {
        assert_eq!(surroundings.namespace_labels(namespace).await.unwrap()["env"], "prod");
    }
    assert_eq!(
        log.lines(),
        ["GET /api/v1/namespaces/prod", "GET /api/v1/namespaces/shop"]
    );
}
