//! The programs of the cluster: which they are, and how they come into the cache.
//!
//! Every program is built once, from the Go module of its family in `e2e/tools/`. Programs that are not written in Go come from Debian's packages
//! ([`debian`]), unpacked into the cache and not installed.

pub mod build;
pub mod debian;
mod family;
pub(crate) mod go;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use build::Error;
pub use family::Family;

use crate::cache::Cache;
use crate::progress::Progress;

/// One thing that a build puts into the cache: a program, or files that a Go module carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs, reason = "the names are the programs' own")]
pub enum Tool {
    Etcd,
    KubeApiserver,
    KubeControllerManager,
    Kubectl,
    KubeScheduler,
    KubeProxy,
    Kubelet,
    Containerd,
    ContainerdShim,
    Ctr,
    CniBridge,
    CniHostLocal,
    CniLoopback,
    CniPortmap,
    Coredns,
    /// The custom resource definitions of prometheus-operator: a directory of YAML files, copied from its Go module.
    MonitoringCrds,
    /// The deployment and roles of prometheus-operator: a directory of YAML files, copied from its Go module.
    MonitoringRbac,
    PrometheusOperator,
    ConfigReloader,
    Prometheus,
    Promtool,
    Alertmanager,
    /// A program that does nothing until it is told to end: what keeps a pod's namespaces.
    Pause,
    /// A server for tests of the cluster itself: answers, fetches, allocates.
    Reply,
    /// The exporter of the sample's database.
    PostgresExporter,
    /// What tells Prometheus of the objects of Kubernetes.
    KubeStateMetrics,
    /// A peer that benchmarks compare with.
    Sloth,
    Helm,
    /// The server that judges PrometheusRules before prometheus-operator takes them.
    AdmissionWebhook,
    /// Judges dashboards by Grafana's own model.
    DashboardModel,
    Kubeconform,
    /// Says what Flux and kustomize make of a status.
    Kstatus,
}

/// Where a tool comes from in its module.
pub(crate) enum Origin {
    /// A Go package that is a program.
    Package(&'static str),
    /// A directory of a module, whose YAML files are copied.
    Files {
        module: &'static str,
        directory: &'static str,
    },
}

impl Tool {
    /// What the cluster does without: peers that benchmarks compare with, what users install Observed with, judges of what is
    /// generated, and what stands beside the sample in one test. Whoever needs one asks for it.
    const BESIDE: [Self; 9] = [
        Self::Reply,
        Self::PostgresExporter,
        Self::Sloth,
        Self::Helm,
        Self::AdmissionWebhook,
        Self::DashboardModel,
        Self::Kubeconform,
        Self::Kstatus,
        Self::KubeStateMetrics,
    ];

    /// Everything of the cluster, in the order it is built: what the smallest cluster needs comes first.
    pub const ALL: [Self; 23] = [
        Self::Etcd,
        Self::KubeApiserver,
        Self::Kubectl,
        Self::KubeControllerManager,
        Self::MonitoringCrds,
        Self::MonitoringRbac,
        Self::KubeScheduler,
        Self::KubeProxy,
        Self::Kubelet,
        Self::Containerd,
        Self::ContainerdShim,
        Self::Ctr,
        Self::CniBridge,
        Self::CniHostLocal,
        Self::CniLoopback,
        Self::CniPortmap,
        Self::Pause,
        Self::Coredns,
        Self::PrometheusOperator,
        Self::ConfigReloader,
        Self::Prometheus,
        Self::Promtool,
        Self::Alertmanager,
    ];

    /// The family, the place in its module, the name in the cache, and the seconds that a cold build took on two cores, measured in
    /// [`Tool::ALL`]'s order: later programs of a family reuse what the first compiled.
    fn entry(self) -> (Family, Origin, &'static str, u64) {
        use Origin::{Files, Package};
        const OPERATOR: &str = "github.com/prometheus-operator/prometheus-operator";
        match self {
            Self::Etcd => (Family::Etcd, Package("go.etcd.io/etcd/server/v3"), "etcd", 40),
            Self::KubeApiserver => (
                Family::Kubernetes,
                Package("k8s.io/kubernetes/cmd/kube-apiserver"),
                "kube-apiserver",
                240,
            ),
            Self::Kubectl => (
                Family::Kubernetes,
                Package("k8s.io/kubernetes/cmd/kubectl"),
                "kubectl",
                30,
            ),
            Self::KubeControllerManager => (
                Family::Kubernetes,
                Package("k8s.io/kubernetes/cmd/kube-controller-manager"),
                "kube-controller-manager",
                60,
            ),
            Self::KubeScheduler => (
                Family::Kubernetes,
                Package("k8s.io/kubernetes/cmd/kube-scheduler"),
                "kube-scheduler",
                25,
            ),
            Self::KubeProxy => (
                Family::Kubernetes,
                Package("k8s.io/kubernetes/cmd/kube-proxy"),
                "kube-proxy",
                20,
            ),
            Self::Kubelet => (
                Family::Kubernetes,
                Package("k8s.io/kubernetes/cmd/kubelet"),
                "kubelet",
                90,
            ),
            Self::Containerd => (
                Family::Containerd,
                Package("github.com/containerd/containerd/v2/cmd/containerd"),
                "containerd",
                50,
            ),
            Self::ContainerdShim => (
                Family::Containerd,
                Package("github.com/containerd/containerd/v2/cmd/containerd-shim-runc-v2"),
                "containerd-shim-runc-v2",
                8,
            ),
            Self::Ctr => (
                Family::Containerd,
                Package("github.com/containerd/containerd/v2/cmd/ctr"),
                "ctr",
                8,
            ),
            Self::CniBridge => (
                Family::Cni,
                Package("github.com/containernetworking/plugins/plugins/main/bridge"),
                "bridge",
                8,
            ),
            Self::CniHostLocal => (
                Family::Cni,
                Package("github.com/containernetworking/plugins/plugins/ipam/host-local"),
                "host-local",
                2,
            ),
            Self::CniLoopback => (
                Family::Cni,
                Package("github.com/containernetworking/plugins/plugins/main/loopback"),
                "loopback",
                2,
            ),
            Self::CniPortmap => (
                Family::Cni,
                Package("github.com/containernetworking/plugins/plugins/meta/portmap"),
                "portmap",
                2,
            ),
            Self::Coredns => (Family::Coredns, Package("./dns"), "coredns", 60),
            Self::MonitoringCrds => {
                let directory = "example/prometheus-operator-crd";
                (
                    Family::PrometheusOperator,
                    Files {
                        module: OPERATOR,
                        directory,
                    },
                    "crds",
                    5,
                )
            }
            Self::MonitoringRbac => {
                let directory = "example/rbac/prometheus-operator";
                (
                    Family::PrometheusOperator,
                    Files {
                        module: OPERATOR,
                        directory,
                    },
                    "rbac",
                    1,
                )
            }
            Self::PrometheusOperator => (
                Family::PrometheusOperator,
                Package("github.com/prometheus-operator/prometheus-operator/cmd/operator"),
                "operator",
                100,
            ),
            Self::ConfigReloader => (
                Family::PrometheusOperator,
                Package("github.com/prometheus-operator/prometheus-operator/cmd/prometheus-config-reloader"),
                "prometheus-config-reloader",
                10,
            ),
            Self::Prometheus => (
                Family::Prometheus,
                Package("github.com/prometheus/prometheus/cmd/prometheus"),
                "prometheus",
                160,
            ),
            Self::Promtool => (
                Family::Prometheus,
                Package("github.com/prometheus/prometheus/cmd/promtool"),
                "promtool",
                20,
            ),
            Self::Alertmanager => (
                Family::Alertmanager,
                Package("github.com/prometheus/alertmanager/cmd/alertmanager"),
                "alertmanager",
                40,
            ),
            Self::Pause => (Family::Pods, Package("./pause"), "pause", 2),
            Self::Reply => (Family::Pods, Package("./reply"), "reply", 5),
            Self::PostgresExporter => (
                Family::PostgresExporter,
                Package("github.com/prometheus-community/postgres_exporter/cmd/postgres_exporter"),
                "postgres_exporter",
                15,
            ),
            Self::KubeStateMetrics => (
                Family::KubeStateMetrics,
                Package("k8s.io/kube-state-metrics/v2"),
                "kube-state-metrics",
                75,
            ),
            Self::Sloth => (Family::Sloth, Package("github.com/slok/sloth/cmd/sloth"), "sloth", 100),
            Self::Helm => (Family::Helm, Package("helm.sh/helm/v4/cmd/helm"), "helm", 120),
            Self::AdmissionWebhook => (
                Family::Judges,
                Package("github.com/prometheus-operator/prometheus-operator/cmd/admission-webhook"),
                "admission-webhook",
                100,
            ),
            Self::DashboardModel => (Family::Judges, Package("./dashboard"), "dashboard", 40),
            Self::Kubeconform => (
                Family::Judges,
                Package("github.com/yannh/kubeconform/cmd/kubeconform"),
                "kubeconform",
                5,
            ),
            Self::Kstatus => (Family::Kstatus, Package("./judge"), "kstatus", 20),
        }
    }

    /// Everything that there is, in the order it is built.
    pub(crate) fn every() -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().chain(Self::BESIDE)
    }

    /// Everything that tests need.
    pub fn of_tests() -> impl Iterator<Item = Self> {
        Self::every().filter(|tool| *tool != Self::Sloth)
    }

    /// Whose Go module it is built from.
    #[must_use]
    pub fn family(self) -> Family {
        self.entry().0
    }

    pub(crate) fn origin(self) -> Origin {
        self.entry().1
    }

    /// The name of the program's file, or of the directory of files.
    #[must_use]
    pub fn binary(self) -> &'static str {
        self.entry().2
    }

    /// How long a cold build takes, measured on two cores.
    #[must_use]
    pub fn estimate(self) -> Duration {
        Duration::from_secs(self.entry().3)
    }
}

/// Tools that are there, and where.
#[derive(Clone, Debug)]
pub struct Tools {
    paths: BTreeMap<Tool, PathBuf>,
}

impl Tools {
    /// Makes sure that the tools are in the user's cache, and builds those that are not. Other processes that want to build wait for this one.
    ///
    /// If `KUBEBUILDER_ASSETS` is set, the programs found in that directory are used as they are.
    ///
    /// # Errors
    /// Go is missing, the disk is too full, or a build failed: the message says what to do and names the log.
    pub async fn ensure(tools: &[Tool], progress: &Progress) -> Result<Self, Error> {
        Self::ensure_in(&Cache::of_user()?, tools, progress).await
    }

    /// [`Tools::ensure`] in a cache of the caller's choice.
    ///
    /// # Errors
    /// As of [`Tools::ensure`].
    pub async fn ensure_in(cache: &Cache, tools: &[Tool], progress: &Progress) -> Result<Self, Error> {
        let (cache, tools, progress) = (cache.clone(), tools.to_vec(), progress.clone());
        let built = tokio::task::spawn_blocking(move || build::ensure(&cache, &tools, &progress)).await;
        built.map_err(|_| Error::Interrupted)?.map(|paths| Self { paths })
    }

    /// The file of a program, or the directory of files, that was asked for.
    ///
    /// # Errors
    /// The tool was not among those asked for.
    pub fn path(&self, tool: Tool) -> Result<&Path, Error> {
        self.paths
            .get(&tool)
            .map(PathBuf::as_path)
            .ok_or(Error::NotAskedFor { tool })
    }

    /// The directories of all programs, for `PATH`.
    pub(crate) fn directories(&self) -> Vec<PathBuf> {
        let mut directories: Vec<_> = self
            .paths
            .values()
            .filter_map(|path| path.parent())
            .map(Path::to_owned)
            .collect();
        directories.dedup();
        directories
    }
}

#[cfg(test)]
mod tests;
