//! The operator under test: the real program, as its own ServiceAccount, for one namespace.

mod process;

use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::api::{ApiResource, DynamicObject, PartialObjectMeta};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client};
use observed_crds::v1alpha1::ObservedService;
use observed_e2e::{Cluster, ControlPlane, Progress, binaries, wait};
use serde_json::Value;
use tokio::sync::OnceCell;

pub use process::{Operator, free_port};

/// What anything here may take. A condition that comes true ends the wait.
pub const SOON: Duration = Duration::from_secs(120);

/// A namespace of its own on a control plane, with everything installed that the operator needs.
pub struct Stage {
    pub cluster: Plane,
    pub client: Client,
    pub namespace: String,
    kubeconfig: PathBuf,
}

/// A control plane: the one that all tests share, or one that ends with the last stage on it.
#[derive(Clone)]
pub enum Plane {
    Shared(&'static Cluster),
    Own(Arc<Cluster>),
}

impl Deref for Plane {
    type Target = Cluster;

    fn deref(&self) -> &Cluster {
        match self {
            Self::Shared(cluster) => cluster,
            Self::Own(cluster) => cluster,
        }
    }
}

/// What a stage has beside Observed.
#[derive(Clone, Copy, Eq, PartialEq)]
pub enum Monitoring {
    Installed,
    Absent,
}

/// The debug build of the operator.
pub async fn program() -> &'static PathBuf {
    static BUILT: OnceCell<PathBuf> = OnceCell::const_new();
    BUILT
        .get_or_init(async || binaries::debug("observed", &Progress::detect()).await.unwrap())
        .await
}

/// The debug build of operators that are wrong.
async fn known_bad() -> &'static PathBuf {
    static BUILT: OnceCell<PathBuf> = OnceCell::const_new();
    BUILT
        .get_or_init(async || binaries::known_bad(&Progress::detect()).await.unwrap())
        .await
}

/// What a verb of the command line prints.
pub async fn printed(arguments: &[&str]) -> String {
    let output = Command::new(program().await).args(arguments).output().unwrap();
    assert!(
        output.status.success(),
        "{arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

/// What the operator may do. Printed once: there are hundreds of stages.
async fn rights() -> &'static Vec<Value> {
    static PRINTED: OnceCell<Vec<Value>> = OnceCell::const_new();
    PRINTED
        .get_or_init(async || serde_saphyr::from_multiple(&printed(&["rbac"]).await).unwrap())
        .await
}

impl Stage {
    /// A namespace on the control plane that all tests share.
    pub async fn shared(prefix: &str) -> Self {
        static READY: OnceCell<PathBuf> = OnceCell::const_new();
        let cluster = Cluster::shared().await.unwrap();
        let install = async || install(cluster, Monitoring::Installed).await;
        let kubeconfig = READY.get_or_init(install).await.clone();
        Self::on(Plane::Shared(cluster), kubeconfig, prefix).await
    }

    /// A namespace on a control plane of the test's own, which ends with it: one that idles costs as much as a test.
    pub async fn own(monitoring: Monitoring, prefix: &str) -> Self {
        let plane = ControlPlane {
            controller_manager: true,
        };
        let started = Cluster::control_plane(plane, &Progress::silent()).await.unwrap();
        let kubeconfig = install(&started, monitoring).await;
        Self::on(Plane::Own(Arc::new(started)), kubeconfig, prefix).await
    }

    /// Another namespace on the same control plane.
    pub async fn beside(&self, prefix: &str) -> Self {
        Self::on(self.cluster.clone(), self.kubeconfig.clone(), prefix).await
    }

    async fn on(cluster: Plane, kubeconfig: PathBuf, prefix: &str) -> Self {
        let namespace = cluster.namespace(prefix).await.unwrap();
        // The operators of a stage have a Lease of their own there, as if it were the namespace that they run in.
        for mut right in rights().await.iter().cloned() {
            if matches!(right["kind"].as_str(), Some("Role" | "RoleBinding")) {
                right["metadata"]["namespace"] = namespace.as_str().into();
                cluster.apply(&right.to_string()).await.unwrap();
            }
        }
        let mut there = Kubeconfig::read_from(&kubeconfig).unwrap();
        for context in there.contexts.iter_mut().filter_map(|context| context.context.as_mut()) {
            context.namespace = Some(namespace.clone());
        }
        let kubeconfig = cluster.run_dir().join(format!("{namespace}.kubeconfig"));
        std::fs::write(&kubeconfig, serde_saphyr::to_string(&there).unwrap()).unwrap();
        Self {
            client: cluster.client().unwrap(),
            cluster,
            namespace,
            kubeconfig,
        }
    }

    /// Releases the Lease in the place of an operator that was killed, so that the next one need not wait.
    pub async fn free_lease(&self) {
        self.free_lease_of("observed").await;
    }

    /// The same of the Lease of that name.
    pub async fn free_lease_of(&self, name: &str) {
        let free = "{apiVersion: coordination.k8s.io/v1, kind: Lease, metadata: {name: NAME_, namespace: NAMESPACE}, \
                    spec: {holderIdentity: ''}}";
        self.apply(&free.replace("NAME_", name)).await;
    }

    /// Applies objects, in this stage's namespace where the text says `NAMESPACE`.
    pub async fn apply(&self, yaml: &str) {
        self.cluster
            .apply(&yaml.replace("NAMESPACE", &self.namespace))
            .await
            .unwrap();
    }

    /// A workload of no pods, and the Service that would select them.
    pub async fn workload(&self, name: &str) {
        self.apply(&WORKLOAD.replace("NAME_", name)).await;
    }

    /// The smallest ObservedService there is.
    pub async fn observe(&self, name: &str, target: &str) {
        self.apply(&format!(
            "{{apiVersion: observed.rs/v1alpha1, kind: ObservedService, metadata: {{name: {name}, namespace: NAMESPACE}}, \
             spec: {{targetRef: {{name: {target}}}}}}}"
        ))
        .await;
    }

    /// A client with the rights of the operator.
    pub async fn operators_client(&self) -> Client {
        client(&self.kubeconfig).await
    }

    pub fn services(&self) -> Api<ObservedService> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// Objects of a kind, as `("monitoring.coreos.com/v1", "ServiceMonitor", "servicemonitors")`.
    pub fn objects(&self, kind: (&str, &str, &str)) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), &self.namespace, &resource(kind))
    }

    /// The same, of which only the metadata is read.
    pub fn metadata(&self, kind: (&str, &str, &str)) -> Api<PartialObjectMeta<DynamicObject>> {
        Api::namespaced_with(self.client.clone(), &self.namespace, &resource(kind))
    }

    /// A condition of a service, once the operator has seen its latest spec.
    pub async fn condition(&self, name: &str, kind: &str) -> Result<Condition, String> {
        let service = self.services().get(name).await.map_err(|error| error.to_string())?;
        let status = service.status.unwrap_or_default();
        if status.observed_generation != service.metadata.generation {
            return Err(format!("status of generation {:?}", status.observed_generation));
        }
        let all: Vec<_> = status
            .conditions
            .iter()
            .map(|c| format!("{}={} {}", c.type_, c.status, c.reason))
            .collect();
        status
            .conditions
            .into_iter()
            .find(|c| c.type_ == kind)
            .ok_or(all.join(", "))
    }

    /// Waits until a condition has this status and reason, and returns its message.
    pub async fn becomes(&self, name: &str, kind: &str, status: &str, reason: &str) -> String {
        self.says(name, kind, (status, reason), "").await
    }

    /// The same, once the message has these words.
    pub async fn says(&self, name: &str, kind: &str, (status, reason): (&str, &str), words: &str) -> String {
        let what = format!("{name}: {kind}={status} {reason} {words}");
        let look = async || {
            let condition = self.condition(name, kind).await?;
            let seen = format!(
                "{}={} {}: {}",
                condition.type_, condition.status, condition.reason, condition.message
            );
            if condition.status == status && condition.reason == reason && condition.message.contains(words) {
                Ok(condition.message)
            } else {
                Err(seen)
            }
        };
        wait::until(SOON, &what, look).await.unwrap()
    }

    /// Waits for an object and returns it.
    pub async fn appears(&self, kind: (&str, &str, &str), name: &str) -> DynamicObject {
        let api = self.objects(kind);
        let what = format!("{} {name}", kind.1);
        wait::until(SOON, &what, || async { api.get(name).await })
            .await
            .unwrap()
    }

    /// Waits until an object is gone.
    pub async fn vanishes(&self, kind: (&str, &str, &str), name: &str) {
        let api = self.objects(kind);
        let what = format!("the end of {} {name}", kind.1);
        let look = || async { api.get_opt(name).await.is_ok_and(|found| found.is_none()) };
        wait::until(SOON, &what, look).await.unwrap();
    }
}

pub const MONITOR: (&str, &str, &str) = ("monitoring.coreos.com/v1", "ServiceMonitor", "servicemonitors");
pub const RULE: (&str, &str, &str) = ("monitoring.coreos.com/v1", "PrometheusRule", "prometheusrules");
pub const CONFIG_MAP: (&str, &str, &str) = ("v1", "ConfigMap", "configmaps");
pub const DEPLOYMENT: (&str, &str, &str) = ("apps/v1", "Deployment", "deployments");

/// A client by a kubeconfig.
pub async fn client(kubeconfig: &Path) -> Client {
    let config = Kubeconfig::read_from(kubeconfig).unwrap();
    let config = kube::Config::from_custom_kubeconfig(config, &KubeConfigOptions::default()).await;
    Client::try_from(config.unwrap()).unwrap()
}

fn resource((api_version, kind, plural): (&str, &str, &str)) -> ApiResource {
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    ApiResource {
        group: group.into(),
        version: version.into(),
        api_version: api_version.into(),
        kind: kind.into(),
        plural: plural.into(),
    }
}

/// A Deployment of no pods, and its Service.
pub const WORKLOAD: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: NAME_, namespace: NAMESPACE}
spec:
  replicas: 0
  selector: {matchLabels: {app: NAME_}}
  template:
    metadata: {labels: {app: NAME_}}
    spec:
      containers:
      - {name: api, image: 'observed.local/none:1', imagePullPolicy: Never, ports: [{name: http, containerPort: 8080}]}
---
apiVersion: v1
kind: Service
metadata: {name: NAME_, namespace: NAMESPACE, labels: {app: NAME_}}
spec: {selector: {app: NAME_}, ports: [{name: http, port: 80, targetPort: http}]}
";

/// The program with the kubeconfig of a user: its status, and what it prints and tells.
pub async fn observed(kubeconfig: &Path, arguments: &[&str]) -> (i32, String, String) {
    let output = Command::new(program().await)
        .args(arguments)
        .env("KUBECONFIG", kubeconfig)
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (
        output.status.code().unwrap(),
        text(&output.stdout),
        text(&output.stderr),
    )
}

/// The CRDs and the role, from the program itself, and the kubeconfig of its ServiceAccount.
async fn install(cluster: &Cluster, monitoring: Monitoring) -> PathBuf {
    if monitoring == Monitoring::Installed {
        cluster.install_monitoring_crds(&Progress::silent()).await.unwrap();
    }
    cluster
        .apply("{apiVersion: v1, kind: Namespace, metadata: {name: observed-system}}")
        .await
        .unwrap();
    cluster.apply(&printed(&["crds"]).await).await.unwrap();
    cluster.apply(&printed(&["rbac"]).await).await.unwrap();
    cluster
        .kubeconfig_for_service_account("observed-system", "observed")
        .await
        .unwrap()
}
