//! The Go modules that programs are built from.

/// Programs that share one Go module, and so one set of library versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// etcd.
    Etcd,
    /// Kubernetes itself.
    Kubernetes,
    /// The container runtime.
    Containerd,
    /// The network plugins of the container runtime.
    Cni,
    /// The cluster's name server.
    Coredns,
    /// prometheus-operator.
    PrometheusOperator,
    /// Prometheus.
    Prometheus,
    /// Alertmanager.
    Alertmanager,
    /// The exporter of PostgreSQL.
    PostgresExporter,
    /// What tells Prometheus of the objects of Kubernetes.
    KubeStateMetrics,
    /// Small programs of our own that run in pods.
    Pods,
    /// Sloth, a generator of rules for objectives.
    Sloth,
    /// Helm.
    Helm,
    /// Programs that judge what Observed generates.
    Judges,
    /// What Flux and kustomize make of a status.
    Kstatus,
}

impl Family {
    /// The directory under `e2e/tools/`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Etcd => "etcd",
            Self::Kubernetes => "kubernetes",
            Self::Containerd => "containerd",
            Self::Cni => "cni",
            Self::Coredns => "coredns",
            Self::PrometheusOperator => "prometheus-operator",
            Self::Prometheus => "prometheus",
            Self::Alertmanager => "alertmanager",
            Self::PostgresExporter => "postgres-exporter",
            Self::KubeStateMetrics => "kube-state-metrics",
            Self::Pods => "pods",
            Self::Sloth => "sloth",
            Self::Helm => "helm",
            Self::Judges => "judges",
            Self::Kstatus => "kstatus",
        }
    }

    /// The module's files, by the path inside the module.
    pub(crate) fn sources(self) -> Vec<(&'static str, &'static str)> {
        macro_rules! module {
            ($directory:literal) => {
                vec![
                    (
                        "go.mod",
                        include_str!(concat!("../../tools/", $directory, "/go.mod")),
                    ),
                    (
                        "go.sum",
                        include_str!(concat!("../../tools/", $directory, "/go.sum")),
                    ),
                ]
            };
        }
        match self {
            Self::Etcd => module!("etcd"),
            Self::Kubernetes => module!("kubernetes"),
            Self::Containerd => module!("containerd"),
            Self::Cni => module!("cni"),
            Self::Coredns => [
                module!("coredns"),
                vec![("dns/main.go", include_str!("../../tools/coredns/dns/main.go"))],
            ]
            .concat(),
            Self::PrometheusOperator => module!("prometheus-operator"),
            Self::Prometheus => module!("prometheus"),
            Self::Alertmanager => module!("alertmanager"),
            Self::PostgresExporter => module!("postgres-exporter"),
            Self::KubeStateMetrics => module!("kube-state-metrics"),
            Self::Sloth => module!("sloth"),
            Self::Helm => module!("helm"),
            Self::Judges => [
                module!("judges"),
                vec![(
                    "dashboard/main.go",
                    include_str!("../../tools/judges/dashboard/main.go"),
                )],
            ]
            .concat(),
            Self::Kstatus => [
                module!("kstatus"),
                vec![("judge/main.go", include_str!("../../tools/kstatus/judge/main.go"))],
            ]
            .concat(),
            Self::Pods => vec![
                ("go.mod", include_str!("../../tools/pods/go.mod")),
                ("pause/main.go", include_str!("../../tools/pods/pause/main.go")),
                ("reply/main.go", include_str!("../../tools/pods/reply/main.go")),
            ],
        }
    }

    /// What the linker sets. Without it every object of Kubernetes says it is of version v0.0.0-master.
    pub(crate) fn link_flags(self) -> &'static str {
        match self {
            Self::Kubernetes => {
                "-s -w -X k8s.io/component-base/version.gitVersion=v1.37.2 -X k8s.io/client-go/pkg/version.gitVersion=v1.37.2"
            }
            Self::Prometheus => "-s -w -X github.com/prometheus/common/version.Version=3.16.0",
            Self::Alertmanager => "-s -w -X github.com/prometheus/common/version.Version=0.28.1",
            Self::PrometheusOperator => "-s -w -X github.com/prometheus/common/version.Version=0.93.0",
            Self::Helm => "-s -w -X helm.sh/helm/v4/internal/version.version=v4.3.2",
            Self::PostgresExporter => "-s -w -X github.com/prometheus/common/version.Version=0.19.1",
            _ => "-s -w",
        }
    }

    /// What is left out of the programs. Prometheus finds its targets by Kubernetes, files and HTTP alone, without the clients of
    /// every cloud.
    pub(crate) fn tags(self) -> Option<&'static str> {
        (self == Self::Prometheus).then_some("remove_all_sd,enable_kubernetes_sd")
    }
}
