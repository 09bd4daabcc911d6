//! A cluster: brought up, talked to, and ended without a trace.

mod apply;
mod cgroups;
mod components;
mod control_plane;
pub mod error;
mod forward;
mod init;
mod node;
mod processes;
pub mod requirements;
mod run;
mod run_dir;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::{Namespace, ServiceAccount};
use kube::api::{Api, ObjectMeta, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::json;
use tokio::sync::OnceCell;

pub use error::Error;
pub use requirements::requirements;

use crate::cache::Cache;
use crate::image::Image;
use crate::pki;
use crate::progress::Progress;
use crate::tools::{Tool, Tools};
use crate::wait::Look;
use node::Namespaces;
use run::Run;

/// Set to a kubeconfig, it names the cluster that [`Cluster::shared`] uses.
const EXTERNAL: &str = "OBSERVED_E2E_KUBECONFIG";

/// A namespace is of use once its ServiceAccount is there.
const ACCOUNT_WITHIN: Duration = Duration::from_secs(30);

/// What a control plane has besides etcd and the API server.
#[derive(Clone, Debug, Default)]
pub struct ControlPlane {
    /// Also the controller manager: owned objects are collected, Deployments make ReplicaSets. No pod ever runs.
    pub controller_manager: bool,
}

/// What a cluster with a node is made of.
#[derive(Clone, Debug)]
pub struct Node {
    /// The program that calls [`node_init`] when its first argument is `__node`: `std::env::current_exe()` in the demo,
    /// `env!("CARGO_BIN_EXE_cluster")` in tests.
    pub executable: PathBuf,
    /// Also build the images of the monitoring stack, for [`crate::monitoring::install`].
    pub monitoring: bool,
}

/// A running cluster. It ends with [`Cluster::stop`], when it is dropped, and when this process dies in whatever way.
#[derive(Debug)]
pub struct Cluster {
    kind: Kind,
    kubeconfig: PathBuf,
    config: kube::Config,
    kubectl: PathBuf,
    tools: Option<Tools>,
    run: Run,
}

#[derive(Debug)]
enum Kind {
    ControlPlane {
        /// Namespaces get their ServiceAccounts.
        accounts: bool,
    },
    Node(Namespaces),
    External,
}

impl Cluster {
    /// etcd and the API server on free ports of 127.0.0.1, with RBAC on. Needs no root.
    ///
    /// # Errors
    /// A program cannot be built, or a component does not start: the message names its log.
    pub async fn control_plane(options: ControlPlane, progress: &Progress) -> Result<Self, Error> {
        install_crypto();
        control_plane::start(&options, progress).await
    }

    /// A whole cluster with one node, in namespaces of its own. Needs root.
    ///
    /// # Errors
    /// The machine lacks something, a program cannot be built, or a component does not start: the message names its log.
    pub async fn node(options: Node, progress: &Progress) -> Result<Self, Error> {
        install_crypto();
        node::start(&options, progress).await
    }

    /// A cluster that exists already. Nothing of it is ended by [`Cluster::stop`].
    ///
    /// # Errors
    /// The kubeconfig cannot be used.
    pub async fn external(kubeconfig: &Path) -> Result<Self, Error> {
        install_crypto();
        let config = read_config(kubeconfig).await?;
        let path = std::env::var_os("PATH").unwrap_or_default();
        let kubectl = match crate::tools::debian::on_path("kubectl", &path) {
            Some(kubectl) => kubectl,
            None => {
                let tools = Tools::ensure(&[Tool::Kubectl], &Progress::detect()).await?;
                tools.path(Tool::Kubectl)?.to_owned()
            }
        };
        let mut run = Run::begin(&Cache::of_user()?)?;
        run.ready = true;
        let kubeconfig = kubeconfig.to_owned();
        Ok(Self {
            kind: Kind::External,
            kubeconfig,
            config,
            kubectl,
            tools: None,
            run,
        })
    }

    /// The one control plane (with controller manager) that all tests of this process share. If `OBSERVED_E2E_KUBECONFIG` is set: that
    /// cluster. It ends with the process.
    ///
    /// # Errors
    /// As of [`Cluster::control_plane`].
    pub async fn shared() -> Result<&'static Self, Error> {
        static SHARED: OnceCell<Cluster> = OnceCell::const_new();
        let start = || async {
            match std::env::var_os(EXTERNAL) {
                Some(kubeconfig) => Self::external(Path::new(&kubeconfig)).await,
                None => {
                    let options = ControlPlane {
                        controller_manager: true,
                    };
                    Self::control_plane(options, &Progress::detect()).await
                }
            }
        };
        SHARED.get_or_try_init(start).await
    }

    /// A new client with all rights, for the runtime of the caller.
    ///
    /// # Errors
    /// The keys cannot be used.
    pub fn client(&self) -> Result<kube::Client, Error> {
        kube::Client::try_from(self.config.clone()).map_err(Error::api("make a client"))
    }

    /// A kubeconfig with all rights.
    #[must_use]
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// A kubeconfig of a ServiceAccount, with a fresh token of one hour.
    ///
    /// # Errors
    /// The ServiceAccount does not exist, or the file cannot be written.
    pub async fn kubeconfig_for_service_account(&self, namespace: &str, name: &str) -> Result<PathBuf, Error> {
        let accounts: Api<ServiceAccount> = Api::namespaced(self.client()?, namespace);
        let request = TokenRequest {
            spec: Some(TokenRequestSpec {
                expiration_seconds: Some(3600),
                ..TokenRequestSpec::default()
            }),
            ..TokenRequest::default()
        };
        let action = format!("get a token of the ServiceAccount {namespace}/{name}");
        let work = async {
            let answer = accounts
                .create_token_request(name, &PostParams::default(), &request)
                .await;
            answer.map_err(Error::api(action))
        };
        let token = self.watched(work).await?.status.unwrap_or_default().token;
        let user = json!({ "token": token });
        let path = self.run.directory.path().join(format!("{namespace}.{name}.kubeconfig"));
        pki::write_private(&path, &pki::kubeconfig(&self.cluster_entry()?, &user, namespace))?;
        Ok(path)
    }

    /// Where logs and data of this run are. Removed by [`Cluster::stop`].
    #[must_use]
    pub fn run_dir(&self) -> &Path {
        self.run.directory.path()
    }

    /// `kubectl` of the cluster's version; give it `--kubeconfig`.
    #[must_use]
    pub fn kubectl(&self) -> &Path {
        &self.kubectl
    }

    /// Creates a namespace `<prefix>-<something unique>` and returns its name.
    ///
    /// # Errors
    /// The API server refuses it.
    pub async fn namespace(&self, prefix: &str) -> Result<String, Error> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{prefix}-{}-{count}", std::process::id());
        let client = self.client()?;
        let namespace = Namespace {
            metadata: ObjectMeta {
                name: Some(name.clone()),
                ..ObjectMeta::default()
            },
            ..Namespace::default()
        };
        let api: Api<Namespace> = Api::all(client.clone());
        let work = async {
            let created = api.create(&PostParams::default(), &namespace).await;
            created.map_err(Error::api(format!("create the namespace {name}")))
        };
        self.watched(work).await?;
        if !matches!(self.kind, Kind::ControlPlane { accounts: false }) {
            let accounts: Api<ServiceAccount> = Api::namespaced(client, &name);
            let what = format!("the ServiceAccount default of the namespace {name}");
            let look = || accounts.get("default");
            self.run
                .until(ACCOUNT_WITHIN, &what, "kube-controller-manager", look)
                .await?;
        }
        Ok(name)
    }

    /// Applies all documents of a YAML text (server-side apply, forced), CRDs and Namespaces first; waits for CRDs to be established. An
    /// object without a namespace goes to `default`.
    ///
    /// # Errors
    /// A document is no object, its kind does not exist, or the API server refuses it.
    pub async fn apply(&self, yaml: &str) -> Result<(), Error> {
        let objects = apply::parse(yaml)?;
        self.watched(apply::apply(&self.client()?, objects)).await
    }

    /// Installs prometheus-operator's CRDs.
    ///
    /// # Errors
    /// They cannot be fetched, or the API server refuses them.
    pub async fn install_monitoring_crds(&self, progress: &Progress) -> Result<(), Error> {
        let tools = Tools::ensure(&[Tool::MonitoringCrds], progress).await?;
        let text = read_yaml(tools.path(Tool::MonitoringCrds)?)?;
        self.apply(&text).await
    }

    /// Gives an image to the node. Only on a cluster with a node.
    ///
    /// # Errors
    /// The cluster has no node, a file of the image cannot be read, or the container runtime refuses it.
    pub async fn load_image(&self, image: &Image) -> Result<(), Error> {
        let Kind::Node(namespaces) = &self.kind else {
            return Err(Error::NoNode {
                action: "load an image",
            });
        };
        self.watched(namespaces.load_image(&self.run, image)).await
    }

    /// Opens a port on 127.0.0.1 that leads to a port of a Service inside the cluster, for as long as the cluster lives.
    ///
    /// # Errors
    /// The Service does not exist or has no such port, or the cluster has no node.
    pub async fn forward(&self, namespace: &str, service: &str, port: u16) -> Result<SocketAddr, Error> {
        self.watched(forward::check_service(&self.client()?, namespace, service, port))
            .await?;
        match (&self.kind, &self.run.forwarder) {
            (Kind::External, _) => forward::by_kubectl(self, namespace, service, port).await,
            (_, Some(forwarder)) => forwarder.open_service(namespace, service, port),
            _ => Err(Error::NoNode {
                action: "forward to a Service",
            }),
        }
    }

    /// Is done when a component has ended that should not have, and tells which, with its log.
    pub async fn failure(&self) -> Error {
        Error::ended(&self.run.processes.first_end().await)
    }

    /// The process of a component: `etcd`, `kube-apiserver`, `kubelet` and so on.
    #[must_use]
    pub fn process_id(&self, component: &str) -> Option<u32> {
        let started = self.run.processes.pid(component)?;
        match self.kind {
            // What was started there is the program that enters the namespaces, and waits for the component.
            Kind::Node(_) => processes::children_of(started)
                .first()
                .and_then(|pid| pid.as_raw().try_into().ok()),
            _ => Some(started),
        }
    }

    /// Ends the cluster and removes everything of it.
    ///
    /// # Errors
    /// A cgroup or the run's directory cannot be removed; the next start tries again.
    pub async fn stop(self) -> Result<(), Error> {
        let mut run = self.run;
        let ended = tokio::task::spawn_blocking(move || run.end(false)).await;
        ended.map_err(|_| Error::Stopped)?
    }

    /// The programs that the cluster is made of.
    pub(crate) fn tools(&self) -> Option<&Tools> {
        self.tools.as_ref()
    }

    /// Waits for a condition of the cluster, with the log of the component to blame if it does not come true.
    pub(crate) async fn until<L, F>(
        &self,
        limit: Duration,
        what: &str,
        to_blame: &str,
        look: impl FnMut() -> F,
    ) -> Result<L::Value, Error>
    where
        L: Look,
        F: Future<Output = L>,
    {
        self.run.until(limit, what, to_blame, look).await
    }

    /// Does work, and tells the component's end rather than its consequence if one has ended. What others run is not watched.
    async fn watched<T>(&self, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        match self.kind {
            Kind::External => work.await,
            _ => self.run.watched(work).await,
        }
    }

    /// How the cluster is reached, as the kubeconfig says it.
    fn cluster_entry(&self) -> Result<serde_json::Value, Error> {
        let unusable = |reason: String| Error::Kubeconfig {
            path: self.kubeconfig.clone(),
            reason,
        };
        let config = Kubeconfig::read_from(&self.kubeconfig).map_err(|error| unusable(error.to_string()))?;
        let current = config.current_context.unwrap_or_default();
        let context = config.contexts.into_iter().find(|context| context.name == current);
        let name = context
            .and_then(|context| context.context)
            .map(|context| context.cluster);
        let entry = config
            .clusters
            .into_iter()
            .find(|entry| Some(&entry.name) == name.as_ref());
        let entry = entry
            .and_then(|entry| entry.cluster)
            .ok_or_else(|| unusable("its current context names no cluster".to_owned()))?;
        serde_json::to_value(entry).map_err(|error| unusable(error.to_string()))
    }
}

/// The first process inside a node's namespaces. A program whose first argument is `__node` calls this with the second, before it does
/// anything else, and exits with what it returns.
#[must_use]
pub fn node_init(run_dir: &Path) -> ExitCode {
    init::run(run_dir)
}

/// Of two possible crypto providers in one program, neither is the default: name ours.
fn install_crypto() {
    let _ = rustls::crypto::ring::default_provider().install_default(); // one that is there already is as good
}

async fn read_config(kubeconfig: &Path) -> Result<kube::Config, Error> {
    let unusable = |error: kube::config::KubeconfigError| Error::Kubeconfig {
        path: kubeconfig.to_owned(),
        reason: error::chain(&error),
    };
    let read = Kubeconfig::read_from(kubeconfig).map_err(unusable)?;
    kube::Config::from_custom_kubeconfig(read, &KubeConfigOptions::default())
        .await
        .map_err(unusable)
}

/// All YAML files of a directory as one text.
pub(crate) fn read_yaml(directory: &Path) -> Result<String, Error> {
    let failed = || run_dir::io_error("read", directory);
    let entries = std::fs::read_dir(directory).map_err(failed())?;
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort();
    let mut text = String::new();
    for path in paths {
        text.push_str("\n---\n");
        text.push_str(&std::fs::read_to_string(&path).map_err(run_dir::io_error("read", &path))?);
    }
    Ok(text)
}
