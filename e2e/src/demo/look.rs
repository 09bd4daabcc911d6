//! One look at the cluster: everything that the promises are judged by, read at the same moment.
//!
//! Prometheus, Alertmanager and the pods are asked through the API server's proxy. So it works on every cluster, and each pod can be asked by its name.

use std::time::Duration;

use http::{Method, Request};
use observed_crds::SERVICE_LABEL;
use serde_json::Value;

use super::sample;

/// Something that does not answer in this time is told as not seen; the next look asks again.
const PATIENCE: Duration = Duration::from_secs(5);

/// What was seen, or why it could not be seen. `null` is what does not exist.
pub type Looked = Result<Value, String>;

/// A port of a Service.
#[derive(Clone, Debug)]
pub struct Backend {
    /// The Service's namespace.
    pub namespace: String,
    /// The Service's name.
    pub service: String,
    /// The Service's port.
    pub port: u16,
}

impl Backend {
    /// Where the API server's proxy leads to it.
    fn path(&self, path: &str) -> String {
        let Self {
            namespace,
            service,
            port,
        } = self;
        format!("/api/v1/namespaces/{namespace}/services/{service}:{port}/proxy{path}")
    }
}

/// Looks at a cluster.
#[derive(Clone)]
pub struct Eyes {
    /// A client with all rights.
    pub client: kube::Client,
    /// Where the sample is.
    pub namespace: String,
    /// The Prometheus that scrapes it.
    pub prometheus: Backend,
    /// The Alertmanager that the Prometheus tells of alerts.
    pub alertmanager: Backend,
}

/// What the promises about the objects are judged by.
#[derive(Clone, Debug)]
pub struct Objects {
    /// The namespace that all of them are in.
    pub namespace: String,
    /// The sample's Deployment.
    pub deployment: Looked,
    /// Its ReplicaSets.
    pub replica_sets: Looked,
    /// Its pods.
    pub pods: Looked,
    /// The ObservedService.
    pub service: Looked,
    /// The ServiceMonitors made for it.
    pub monitors: Looked,
    /// The PrometheusRules made for it.
    pub rules: Looked,
    /// The ConfigMaps made for it.
    pub dashboards: Looked,
    /// What Prometheus scrapes.
    pub targets: Looked,
    /// The rule groups that Prometheus evaluates.
    pub groups: Looked,
}

/// What the promises about the alert are judged by.
#[derive(Clone, Debug)]
pub struct Alerts {
    /// The namespace that the alert speaks of.
    pub namespace: String,
    /// Prometheus' alerts.
    pub prometheus: Looked,
    /// Alertmanager's alerts.
    pub alertmanager: Looked,
    /// What the webhook received.
    pub received: Looked,
}

impl Eyes {
    /// Reads the objects.
    pub async fn objects(&self) -> Objects {
        let namespace = &self.namespace;
        let core = format!("/api/v1/namespaces/{namespace}");
        let apps = format!("/apis/apps/v1/namespaces/{namespace}");
        let monitoring = format!("/apis/monitoring.coreos.com/v1/namespaces/{namespace}");
        let name = sample::NAME;
        let (ours, theirs) = (selector(SERVICE_LABEL, name), selector("app", name));
        let service = format!("/apis/observed.rs/v1alpha1/namespaces/{namespace}/observedservices/{name}");
        let paths = [
            format!("{apps}/deployments/{name}"),
            format!("{apps}/replicasets{theirs}"),
            format!("{core}/pods{theirs}"),
            service,
            format!("{monitoring}/servicemonitors{ours}"),
            format!("{monitoring}/prometheusrules{ours}"),
            format!("{core}/configmaps{ours}"),
            self.prometheus.path("/api/v1/targets?state=active"),
            self.prometheus.path("/api/v1/rules"),
        ];
        let looked = futures::future::join_all(paths.iter().map(|path| self.get(path))).await;
        let mut looked = looked.into_iter();
        let mut next = move || looked.next().unwrap_or_else(|| Err("not looked at".to_owned()));
        Objects {
            namespace: namespace.clone(),
            deployment: next(),
            replica_sets: next(),
            pods: next(),
            service: next(),
            monitors: next(),
            rules: next(),
            dashboards: next(),
            targets: next(),
            groups: next(),
        }
    }

    /// Reads the alerts, at all three places where they pass.
    pub async fn alerts(&self) -> Alerts {
        let (prometheus, alertmanager) = (
            self.prometheus.path("/api/v1/alerts"),
            self.alertmanager.path("/api/v2/alerts"),
        );
        let received = self.pod_path(sample::WEBHOOK, sample::WEBHOOK_PORT, "/alerts");
        let (prometheus, alertmanager, received) =
            tokio::join!(self.get(&prometheus), self.get(&alertmanager), self.get(&received));
        Alerts {
            namespace: self.namespace.clone(),
            prometheus,
            alertmanager,
            received,
        }
    }

    /// Reads one address of the API server.
    pub async fn get(&self, path: &str) -> Looked {
        self.send(Method::GET, path, Vec::new()).await
    }

    /// Asks whether a ServiceAccount may do everything.
    pub async fn is_admin(&self, namespace: &str, account: &str) -> Looked {
        let review = serde_json::json!({
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            "spec": {
                "user": format!("system:serviceaccount:{namespace}:{account}"),
                "resourceAttributes": {"verb": "*", "group": "*", "resource": "*"},
            },
        });
        let path = "/apis/authorization.k8s.io/v1/subjectaccessreviews";
        self.send(Method::POST, path, review.to_string().into_bytes()).await
    }

    /// Sends a request to a port of a pod.
    pub async fn tell_pod(&self, method: Method, pod: &str, port: u16, path: &str, body: &Value) -> Looked {
        let body = if body.is_null() {
            Vec::new()
        } else {
            body.to_string().into_bytes()
        };
        self.send(method, &self.pod_path(pod, port, path), body).await
    }

    fn pod_path(&self, pod: &str, port: u16, path: &str) -> String {
        format!("/api/v1/namespaces/{}/pods/{pod}:{port}/proxy{path}", self.namespace)
    }

    async fn send(&self, method: Method, path: &str, body: Vec<u8>) -> Looked {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(http::header::CONTENT_TYPE, "application/json");
        let request = request.body(body).map_err(|error| error.to_string())?;
        match tokio::time::timeout(PATIENCE, self.client.request::<Value>(request)).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(kube::Error::Api(status))) if status.code == 404 => Ok(Value::Null),
            Ok(Err(error)) => Err(crate::demo::chain(&error)),
            Err(_) => Err(format!("no answer within {} s", PATIENCE.as_secs())),
        }
    }
}

fn selector(label: &str, value: &str) -> String {
    format!("?labelSelector={}%3D{value}", label.replace('/', "%2F"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_selector_can_stand_in_an_address() {
        let address = format!("/api/v1/pods{}", selector(SERVICE_LABEL, "claude-api"));
        let uri: http::Uri = address.parse().unwrap();
        assert_eq!(uri.query(), Some("labelSelector=observed.rs%2Fservice%3Dclaude-api"));
    }
}
