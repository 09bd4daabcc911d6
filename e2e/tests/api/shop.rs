//! A workload whose pods this process plays: it does the kubelet's part, and answers for them.

use std::net::SocketAddr;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use futures::StreamExt;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{DynamicObject, Patch, PatchParams};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, ResourceExt};
use observed_e2e::wait;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::operator::{DEPLOYMENT, Operator, SOON, Stage};
use super::signals::own_address;

/// Name of the workload, of its container, and of the ObservedService.
pub const NAME: &str = "shop";

/// A workload of one pod, and its Service.
pub const TARGET: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: NAME_, namespace: NAMESPACE}
spec:
  replicas: 1
  selector: {matchLabels: {app: NAME_}}
  template:
    metadata: {labels: {app: NAME_}}
    spec:
      automountServiceAccountToken: false
      containers: [{name: NAME_, image: 'observed.local/none:1', ports: [{name: http, containerPort: PORT}]}]
---
apiVersion: v1
kind: Service
metadata: {name: NAME_, namespace: NAMESPACE, labels: {app: NAME_}}
spec: {selector: {app: NAME_}, ports: [{name: http, port: 80, targetPort: http}]}
";

/// What the pods answer: good on `/health`, and on `/ready` as it is said.
pub async fn answers(ready: Arc<AtomicBool>) -> SocketAddr {
    let listener = TcpListener::bind((own_address(), 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let is_ready = async move || match ready.load(Ordering::Relaxed) {
        true => StatusCode::OK,
        false => StatusCode::SERVICE_UNAVAILABLE,
    };
    let router = Router::new()
        .route("/health", get(async || "ok"))
        .route("/metrics", get(async || "# TYPE up gauge\n"))
        .route("/ready", get(is_ready));
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

/// Waits until the workload runs as it is written.
pub async fn is_available(stage: &Stage, name: &str) {
    let look = async || {
        let found = stage.objects(DEPLOYMENT).get(name).await;
        let found = found.map_err(|error| error.to_string())?;
        let status = &found.data["status"];
        let seen = status["observedGeneration"].as_i64() == found.metadata.generation;
        if seen && status["availableReplicas"] == 1 && status["updatedReplicas"] == 1 && status["replicas"] == 1 {
            Ok(())
        } else {
            Err(status.to_string())
        }
    };
    wait::until(SOON, "the workload to be available", look).await.unwrap();
}

/// Plays the kubelet: every pod runs, is ready, and has the address at which this process answers.
pub async fn kubelet(stage: impl Deref<Target = Stage>, address: String) {
    let pods: Api<Pod> = Api::namespaced(stage.client.clone(), &stage.namespace);
    let seen = watcher(pods.clone(), watcher::Config::default()).default_backoff();
    let mut seen = std::pin::pin!(seen.applied_objects());
    while let Some(pod) = seen.next().await {
        let is_new = |pod: &Pod| pod.status.as_ref().is_none_or(|status| status.pod_ip.is_none());
        let Some(pod) = pod.ok().filter(is_new) else { continue };
        let container = pod.spec.iter().flat_map(|spec| &spec.containers).next();
        let now = jiff::Timestamp::now();
        let status = json!({"status": {
            "phase": "Running", "podIP": address, "podIPs": [{"ip": address}], "hostIP": "198.51.100.1",
            "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": now}],
            "containerStatuses": [{
                "name": container.map(|container| &container.name), "image": "observed.local/none:1", "imageID": "",
                "ready": true, "started": true, "restartCount": 0, "state": {"running": {"startedAt": now}},
            }],
        }});
        let (name, by, status) = (pod.name_any(), PatchParams::default(), Patch::Merge(status));
        let run = async || {
            match pods.patch_status(&name, &by, &status).await {
                // It may be gone by now.
                Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
                done => done.map(drop).map_err(|error| error.to_string()),
            }
        };
        wait::until(SOON, "the pod to run", run).await.unwrap();
    }
}

/// The workload, with an operator that has given it probes.
pub struct Shop {
    pub stage: Arc<Stage>,
    pub operator: Operator,
    kubelet: JoinHandle<()>,
}

impl Drop for Shop {
    fn drop(&mut self) {
        self.kubelet.abort();
    }
}

impl Shop {
    /// Probes are given as this `spec.probes` says.
    pub async fn gifted(probes: &str) -> Self {
        Self::gifted_on("", probes).await
    }

    /// The same, of a container with more ports than `http`: `, {name: grpc, containerPort: 9000}`.
    pub async fn gifted_on(ports: &str, probes: &str) -> Self {
        let stage = Arc::new(Stage::shared("shop").await);
        let operator = Operator::start(&stage).await;
        let address = answers(Arc::new(AtomicBool::new(true))).await;
        let kubelet = tokio::spawn(kubelet(Arc::clone(&stage), address.ip().to_string()));
        let shop = Self {
            stage,
            operator,
            kubelet,
        };
        let target = TARGET
            .replace("NAME_", NAME)
            .replace("PORT}", &format!("{}}}{ports}", address.port()));
        shop.stage.apply(&target).await;
        is_available(&shop.stage, NAME).await;
        shop.observe(probes).await;
        shop.stage.becomes(NAME, "ProbesInstalled", "True", "Installed").await;
        shop
    }

    /// The ObservedService.
    pub async fn observe(&self, probes: &str) {
        let service = format!(
            "{{apiVersion: observed.rs/v1alpha1, kind: ObservedService, metadata: {{name: {NAME}, namespace: NAMESPACE}}, \
             spec: {{targetRef: {{name: {NAME}}}, probes: {probes}}}}}"
        );
        self.stage.apply(&service).await;
    }

    pub async fn settled(&self) {
        is_available(&self.stage, NAME).await;
    }

    pub async fn workload(&self) -> DynamicObject {
        self.stage.objects(DEPLOYMENT).get(NAME).await.unwrap()
    }
}
