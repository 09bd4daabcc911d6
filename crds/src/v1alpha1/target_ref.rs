use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A workload in the namespace of the ObservedService, and the container in it that serves.
#[derive(KubeSchema, Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TargetRef {
    /// kind of the workload. Default: `Deployment`. One of `Deployment`, `StatefulSet`, `DaemonSet`.
    #[serde(default, skip_serializing_if = "TargetKind::is_default")]
    pub kind: TargetKind,
    /// name of the workload. Required. A workload that does not exist yet is waited for.
    ///
    /// Example: `claude-api`
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"))]
    pub name: String,
    /// container that serves, by name. Default: the only container, or the one with a port named `http`, or the one
    /// that the annotation `kubectl.kubernetes.io/default-container` names.
    ///
    /// Example: `api`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub container: Option<String>,
}

/// A kind of workload that Observed knows how to watch and to give probes.
#[derive(JsonSchema, Clone, Copy, Debug, Default, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
pub enum TargetKind {
    /// `apps/v1` Deployment.
    #[default]
    Deployment,
    /// `apps/v1` StatefulSet.
    StatefulSet,
    /// `apps/v1` DaemonSet.
    DaemonSet,
}

impl TargetKind {
    /// Every kind, for watches and RBAC.
    pub const ALL: [Self; 3] = [Self::Deployment, Self::StatefulSet, Self::DaemonSet];

    /// The Kubernetes kind.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Deployment => "Deployment",
            Self::StatefulSet => "StatefulSet",
            Self::DaemonSet => "DaemonSet",
        }
    }

    /// The plural resource name in the API group `apps`.
    pub fn plural(self) -> &'static str {
        match self {
            Self::Deployment => "deployments",
            Self::StatefulSet => "statefulsets",
            Self::DaemonSet => "daemonsets",
        }
    }

    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}
