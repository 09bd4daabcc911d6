//! Everything that is installed to run Observed in a cluster.

use observed_crds::v1alpha1::{crd, signal_pack};
use serde_json::{Value, json};

use crate::rbac::{self, NAME, Scope};

/// Namespace that the operator runs in.
pub const NAMESPACE: &str = "observed-system";

/// Port of /livez, /readyz and /metrics.
const PORT: i32 = 8080;

/// The objects of an installation, in the order in which they can be applied.
///
/// # Errors
/// A CRD cannot be written as JSON.
pub fn objects(namespace: &str, image: &str) -> Result<Vec<Value>, serde_json::Error> {
    let mut own_namespace = rbac::metadata(namespace, None);
    for mode in ["enforce", "audit", "warn"] {
        own_namespace["labels"][format!("pod-security.kubernetes.io/{mode}")] = json!("restricted");
    }
    let mut objects = vec![
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": own_namespace}),
        serde_json::to_value(crd())?,
        serde_json::to_value(signal_pack::crd()?)?,
    ];
    objects.extend(rbac::objects(Scope::Cluster, namespace));
    objects.extend(rbac::user_roles());
    objects.push(deployment(namespace, image));
    Ok(objects)
}

fn deployment(namespace: &str, image: &str) -> Value {
    let labels = json!({"app.kubernetes.io/name": NAME});
    let get = |path: &str| json!({"path": path, "port": "http"});
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": rbac::metadata(NAME, Some(namespace)),
        "spec": {
            // Two operators at once would write against each other.
            "replicas": 1,
            "strategy": {"type": "Recreate"},
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {
                    "labels": labels,
                    "annotations": {"kubectl.kubernetes.io/default-container": NAME},
                },
                "spec": {
                    "serviceAccountName": NAME,
                    "securityContext": {"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}},
                    "terminationGracePeriodSeconds": 30,
                    "containers": [{
                        "name": NAME,
                        "image": image,
                        "imagePullPolicy": "IfNotPresent",
                        "args": ["run"],
                        "env": [{"name": "OBSERVED_LOG", "value": "json"}],
                        "ports": [{"name": "http", "containerPort": PORT}],
                        "livenessProbe": {
                            "httpGet": get("/livez"), "periodSeconds": 10, "timeoutSeconds": 5, "failureThreshold": 6,
                        },
                        "readinessProbe": {
                            "httpGet": get("/readyz"), "periodSeconds": 5, "timeoutSeconds": 3, "failureThreshold": 3,
                        },
                        "resources": {
                            "requests": {"cpu": "20m", "memory": "64Mi"},
                            "limits": {"cpu": "500m", "memory": "256Mi"},
                        },
                        "securityContext": {
                            "allowPrivilegeEscalation": false,
                            "readOnlyRootFilesystem": true,
                            "capabilities": {"drop": ["ALL"]},
                        },
                    }],
                },
            },
        },
    })
}
