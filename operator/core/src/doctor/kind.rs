//! The kinds of objects that are looked at.

use serde::Serialize;

use super::snapshot::{Snapshot, Unseen};

/// A kind of object.
#[derive(
    Clone,
    Copy,
    Debug,
    Eq,
    Hash,
    Ord,
    PartialEq,
    PartialOrd,
    Serialize,
    strum::EnumIter,
    strum::EnumString,
    strum::IntoStaticStr,
)]
#[expect(missing_docs, reason = "each is the Kubernetes kind of that name")]
pub enum Kind {
    Namespace,
    Deployment,
    StatefulSet,
    DaemonSet,
    Pod,
    Service,
    EndpointSlice,
    NetworkPolicy,
    ConfigMap,
    Event,
    Role,
    RoleBinding,
    ClusterRole,
    ClusterRoleBinding,
    ServiceMonitor,
    PodMonitor,
    PrometheusRule,
    AlertmanagerConfig,
    Prometheus,
    PrometheusAgent,
    ThanosRuler,
    Alertmanager,
}

/// What is scraped.
pub(super) const MONITORS: [Kind; 2] = [Kind::ServiceMonitor, Kind::PodMonitor];
/// The workloads whose pods are scraped.
pub(super) const WORKLOADS: [Kind; 3] = [Kind::Deployment, Kind::StatefulSet, Kind::DaemonSet];

/// A namespace whose workloads are not the user's to change.
pub(super) const SYSTEM: &str = "kube-system";

impl Kind {
    /// `group/version` under which it is read.
    pub fn api_version(self) -> &'static str {
        match self {
            Self::Namespace | Self::Pod | Self::Service | Self::ConfigMap | Self::Event => "v1",
            Self::Deployment | Self::StatefulSet | Self::DaemonSet => "apps/v1",
            Self::EndpointSlice => "discovery.k8s.io/v1",
            Self::NetworkPolicy => "networking.k8s.io/v1",
            Self::Role | Self::RoleBinding | Self::ClusterRole | Self::ClusterRoleBinding => {
                "rbac.authorization.k8s.io/v1"
            }
            Self::ServiceMonitor
            | Self::PodMonitor
            | Self::PrometheusRule
            | Self::Prometheus
            | Self::ThanosRuler
            | Self::Alertmanager => "monitoring.coreos.com/v1",
            Self::PrometheusAgent | Self::AlertmanagerConfig => "monitoring.coreos.com/v1alpha1",
        }
    }

    /// Its name in the API's paths.
    pub fn plural(self) -> &'static str {
        match self {
            Self::Namespace => "namespaces",
            Self::Deployment => "deployments",
            Self::StatefulSet => "statefulsets",
            Self::DaemonSet => "daemonsets",
            Self::Pod => "pods",
            Self::Service => "services",
            Self::EndpointSlice => "endpointslices",
            Self::NetworkPolicy => "networkpolicies",
            Self::ConfigMap => "configmaps",
            Self::Event => "events",
            Self::Role => "roles",
            Self::RoleBinding => "rolebindings",
            Self::ClusterRole => "clusterroles",
            Self::ClusterRoleBinding => "clusterrolebindings",
            Self::ServiceMonitor => "servicemonitors",
            Self::PodMonitor => "podmonitors",
            Self::PrometheusRule => "prometheusrules",
            Self::AlertmanagerConfig => "alertmanagerconfigs",
            Self::Prometheus => "prometheuses",
            Self::PrometheusAgent => "prometheusagents",
            Self::ThanosRuler => "thanosrulers",
            Self::Alertmanager => "alertmanagers",
        }
    }

    /// Whether its objects are in namespaces.
    pub fn is_namespaced(self) -> bool {
        !matches!(self, Self::Namespace | Self::ClusterRole | Self::ClusterRoleBinding)
    }

    /// Whether it is of prometheus-operator, and so may not be served.
    pub fn is_optional(self) -> bool {
        self.api_version().starts_with("monitoring.coreos.com/")
    }

    /// Whether all of the cluster is wanted of it even when one namespace is asked about: what selects, loads or shows
    /// the objects of that namespace may be anywhere.
    pub fn is_wide(self) -> bool {
        matches!(
            self,
            Self::Namespace
                | Self::Deployment
                | Self::StatefulSet
                | Self::ConfigMap
                | Self::Role
                | Self::RoleBinding
                | Self::ClusterRole
                | Self::ClusterRoleBinding
                | Self::ServiceMonitor
                | Self::PodMonitor
                | Self::PrometheusRule
                | Self::AlertmanagerConfig
                | Self::Prometheus
                | Self::PrometheusAgent
                | Self::ThanosRuler
                | Self::Alertmanager
        )
    }
}

/// What a rule needs to be run.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Need {
    /// Objects of the kind.
    Objects(Kind),
    /// All objects of the kind in the cluster: one that is not seen could be the one that counts.
    Every(Kind),
    /// Objects of any of the kinds: the rule is about them. Files that hold none are an answer.
    Any(&'static [Kind]),
    /// An answer of a Prometheus.
    Prometheus,
    /// An answer of an Alertmanager.
    Alertmanager,
    /// An answer of a Grafana.
    Grafana,
    /// The answers of pods to what their probes ask.
    Probes,
}

impl Need {
    /// Why the snapshot does not have it, in words.
    pub(super) fn lacking(self, snapshot: &Snapshot) -> Option<String> {
        match self {
            Self::Objects(kind) => match snapshot.unseen.get(&kind)? {
                // Nothing of the kind can exist, which is an answer.
                Unseen::NotServed => None,
                unseen => Some(unseen.words(kind)),
            },
            Self::Every(kind) => match Self::Objects(kind).lacking(snapshot) {
                None if !snapshot.sees_all(kind) => Some(format!(
                    "you may list {} only in namespace {}",
                    kind.plural(),
                    snapshot.scope.namespace.as_deref().unwrap_or_default()
                )),
                lacking => lacking,
            },
            Self::Any(kinds) => {
                let hidden = |kind: &Kind| match snapshot.unseen.get(kind)? {
                    Unseen::NotServed | Unseen::NotGiven => None,
                    unseen => Some(unseen.words(*kind)),
                };
                let hidden: Option<Vec<String>> = kinds.iter().map(hidden).collect();
                hidden.map(|words| words.join("; "))
            }
            Self::Prometheus => snapshot.prometheus_silence(),
            Self::Alertmanager => snapshot.alertmanager_silence(),
            Self::Grafana => snapshot.grafana_silence(),
            Self::Probes => snapshot.probe_silence(),
        }
    }

    /// What it is, in words.
    pub(super) fn words(self) -> String {
        match self {
            Self::Objects(kind) | Self::Every(kind) => kind.plural().to_owned(),
            Self::Any(kinds) => {
                let plurals: Vec<&str> = kinds.iter().map(|kind| kind.plural()).collect();
                plurals.join(" or ")
            }
            Self::Prometheus => "an answer of Prometheus".to_owned(),
            Self::Alertmanager => "an answer of Alertmanager".to_owned(),
            Self::Grafana => "an answer of Grafana".to_owned(),
            Self::Probes => "answers of pods".to_owned(),
        }
    }
}
