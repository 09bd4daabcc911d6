//! What the demo deploys before Observed is there: the sample API without probes, scrape config, alerts or dashboard, somebody who uses it, and a
//! receiver for its alerts.

use serde_json::{Value, json};

/// The API's Deployment, Service and ObservedService.
pub const NAME: &str = "claude-api";
/// The API's container.
pub const CONTAINER: &str = "api";
/// Its pods.
pub const REPLICAS: u64 = 2;
/// The image that its manifests name.
pub const IMAGE: &str = "claude-api:0.1.0";
/// The port where its faults are switched.
pub const ADMIN_PORT: u16 = 9901;
/// The pod that receives notifications.
pub const WEBHOOK: &str = "webhook";
/// Its port.
pub const WEBHOOK_PORT: u16 = 9000;

/// The objects, as a list that `kubectl apply` takes.
#[must_use]
pub fn manifests(namespace: &str, image: &str) -> String {
    let items = [
        deployment(namespace, image),
        service(
            namespace,
            NAME,
            &json!({"name": "http", "port": 80, "targetPort": "http"}),
        ),
        load(namespace, image),
        webhook(namespace, image),
        service(
            namespace,
            WEBHOOK,
            &json!({"name": "http", "port": WEBHOOK_PORT, "targetPort": "http"}),
        ),
        json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": WEBHOOK, "namespace": namespace},
            "stringData": {"url": format!("http://{WEBHOOK}.{namespace}.svc.cluster.local:{WEBHOOK_PORT}/")},
        }),
        json!({
            "apiVersion": "monitoring.coreos.com/v1alpha1",
            "kind": "AlertmanagerConfig",
            "metadata": {"name": WEBHOOK, "namespace": namespace},
            "spec": {
                "route": {
                    "receiver": WEBHOOK,
                    "groupBy": ["alertname"],
                    "groupWait": "1s",
                    "groupInterval": "5s",
                    "repeatInterval": "1h",
                },
                "receivers": [{
                    "name": WEBHOOK,
                    "webhookConfigs": [{"urlSecret": {"name": WEBHOOK, "key": "url"}, "sendResolved": true}],
                }],
            },
        }),
    ];
    json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string()
}

fn deployment(namespace: &str, image: &str) -> Value {
    let ports = json!([
        {"name": "http", "containerPort": 8080},
        {"name": "admin", "containerPort": ADMIN_PORT},
    ]);
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": NAME, "namespace": namespace, "labels": {"app": NAME}},
        "spec": {
            "replicas": REPLICAS,
            "selector": {"matchLabels": {"app": NAME}},
            "template": {
                "metadata": {"labels": {"app": NAME}},
                "spec": pod(image, CONTAINER, &json!(["serve"]), &ports, "128Mi"),
            },
        },
    })
}

fn service(namespace: &str, name: &str, port: &Value) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": namespace, "labels": {"app": name}},
        "spec": {"selector": {"app": name}, "ports": [port]},
    })
}

/// Requests from inside the cluster, bounded in number, rate and time.
fn load(namespace: &str, image: &str) -> Value {
    let url = format!("http://{NAME}/v1/messages");
    let how = ["--url", &url, "--rate", "20", "--for", "1h", "--count", "72000"];
    caller(namespace, image, "load", &how)
}

/// A Job that asks from inside the cluster, as these arguments of the sample's `load` say.
#[must_use]
pub fn caller(namespace: &str, image: &str, name: &str, how: &[&str]) -> Value {
    let arguments = [&["load"], how].concat();
    let mut pod = pod(image, "load", &json!(arguments), &json!([]), "64Mi");
    pod["restartPolicy"] = json!("Never");
    json!({
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "backoffLimit": 3,
            "activeDeadlineSeconds": 3700,
            "template": {"metadata": {"labels": {"app": "load"}}, "spec": pod},
        },
    })
}

fn webhook(namespace: &str, image: &str) -> Value {
    let ports = json!([{"name": "http", "containerPort": WEBHOOK_PORT}]);
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": WEBHOOK, "namespace": namespace, "labels": {"app": WEBHOOK}},
        "spec": pod(image, WEBHOOK, &json!(["receive"]), &ports, "64Mi"),
    })
}

fn pod(image: &str, container: &str, arguments: &Value, ports: &Value, memory: &str) -> Value {
    json!({
        "automountServiceAccountToken": false,
        "securityContext": {"runAsNonRoot": true},
        "containers": [{
            "name": container,
            "image": image,
            "imagePullPolicy": "IfNotPresent",
            "args": arguments,
            "ports": ports,
            "resources": {
                "requests": {"cpu": "20m", "memory": "32Mi"},
                "limits": {"cpu": "500m", "memory": memory},
            },
            "securityContext": {
                "allowPrivilegeEscalation": false,
                "capabilities": {"drop": ["ALL"]},
                "readOnlyRootFilesystem": true,
            },
        }],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sample_has_nothing_of_what_observed_gives() {
        let text = manifests("prod", IMAGE);
        for word in [
            "Probe",
            "ServiceMonitor",
            "PodMonitor",
            "PrometheusRule",
            "dashboard",
            "prometheus.io",
        ] {
            assert!(!text.contains(word), "{word}: {text}");
        }
        assert!(text.contains("\"containerPort\":8080"));
    }

    #[test]
    fn every_object_is_in_the_namespace_that_was_asked_for() {
        let list: Value = serde_json::from_str(&manifests("prod-x7", IMAGE)).unwrap();
        let items = list["items"].as_array().unwrap();
        assert!(items.len() >= 7);
        for item in items {
            assert_eq!(item["metadata"]["namespace"], "prod-x7", "{item}");
        }
    }
}
