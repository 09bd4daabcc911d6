//! A cluster.
#![allow(unused)]
use crate::{Image, Progress};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
/// A cluster could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {}
/// What a control plane has besides etcd and the API server.
#[derive(Clone, Debug, Default)]
pub struct ControlPlane {
    /// Also the controller manager: owned objects are collected, Deployments make ReplicaSets. No pod ever runs.
    pub controller_manager: bool,
}
/// What a cluster with a node is made of.
#[derive(Clone, Debug)]
pub struct Node {
    /// The program that calls [`node_init`] when its first argument is `__node`: `std::env::current_exe()` in the demo, `env!("CARGO_BIN_EXE_demo")` in tests.
    pub executable: PathBuf,
    /// Also build the images of the monitoring stack, for [`crate::monitoring::install`].
    pub monitoring: bool,
}
/// A running cluster. It ends with [`Cluster::stop`], when it is dropped, and when this process dies in whatever way.
#[derive(Debug)]
pub struct Cluster {}
impl Cluster {
    /// etcd and the API server on free ports of 127.0.0.1, with RBAC on. Needs no root.
    /// # Errors
    /// x
    pub async fn control_plane(options: ControlPlane, progress: &Progress) -> Result<Self, Error> {
        todo!()
    }
    /// A whole cluster with one node.
    /// # Errors
    /// x
    pub async fn node(options: Node, progress: &Progress) -> Result<Self, Error> {
        todo!()
    }
    /// A cluster that exists already. Nothing of it is ended by [`Cluster::stop`].
    /// # Errors
    /// x
    pub async fn external(kubeconfig: &Path) -> Result<Self, Error> {
        todo!()
    }
    /// The one control plane (with controller manager) that all tests of this process share. If `OBSERVED_E2E_KUBECONFIG` is set: that cluster.
    /// # Errors
    /// x
    pub async fn shared() -> Result<&'static Self, Error> {
        todo!()
    }
    /// A new client with all rights, for the runtime of the caller.
    /// # Errors
    /// x
    pub fn client(&self) -> Result<kube::Client, Error> {
        todo!()
    }
    /// A kubeconfig with all rights.
    #[must_use]
    pub fn kubeconfig(&self) -> &Path {
        todo!()
    }
    /// A kubeconfig of a ServiceAccount, with a fresh token of one hour.
    /// # Errors
    /// x
    pub async fn kubeconfig_for_service_account(&self, namespace: &str, name: &str) -> Result<PathBuf, Error> {
        todo!()
    }
    /// Where logs and data of this run are. Removed by [`Cluster::stop`].
    #[must_use]
    pub fn run_dir(&self) -> &Path {
        todo!()
    }
    /// `kubectl` of the cluster's version; give it `--kubeconfig`.
    #[must_use]
    pub fn kubectl(&self) -> &Path {
        todo!()
    }
    /// Creates a namespace `<prefix>-<something unique>` and returns its name.
    /// # Errors
    /// x
    pub async fn namespace(&self, prefix: &str) -> Result<String, Error> {
        todo!()
    }
    /// Applies all documents of a YAML text (server-side apply, forced), CRDs and Namespaces first; waits for CRDs to be established. An object without a namespace goes to `default`.
    /// # Errors
    /// x
    pub async fn apply(&self, yaml: &str) -> Result<(), Error> {
        todo!()
    }
    /// Installs prometheus-operator's CRDs.
    /// # Errors
    /// x
    pub async fn install_monitoring_crds(&self, progress: &Progress) -> Result<(), Error> {
        todo!()
    }
    /// Gives an image to the node. Only on a cluster with a node.
    /// # Errors
    /// x
    pub async fn load_image(&self, image: &Image) -> Result<(), Error> {
        todo!()
    }
    /// Opens a port on 127.0.0.1 that leads to a port of a Service inside the cluster, for as long as the cluster lives.
    /// # Errors
    /// x
    pub async fn forward(&self, namespace: &str, service: &str, port: u16) -> Result<SocketAddr, Error> {
        todo!()
    }
    /// Ends the cluster and removes everything of it.
    /// # Errors
    /// x
    pub async fn stop(self) -> Result<(), Error> {
        todo!()
    }
}
/// The first process inside a node's namespaces. A program whose first argument is `__node` calls this with the second, before it does anything else, and
/// exits with what it returns.
#[must_use]
pub fn node_init(run_dir: &Path) -> ExitCode {
    todo!()
}
