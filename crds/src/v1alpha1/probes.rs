use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A container port, by the name that the container gives it or by number.
pub type Port = IntOrString;

/// Which probes the target is given, and how.
#[derive(KubeSchema, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Probes {
    /// mode is what Observed does with a probe that is missing. Default: `Patch` (ask the running pods first, then add
    /// it). `Observe` only reports what would be added. `Admission` asks first, too, and then waits for a rollout of the
    /// workload's owner, in which the policy `observed-admit` adds it, so that there is no other one; it has to be
    /// installed (Kubernetes 1.36). `Disabled` does neither.
    #[serde(default, skip_serializing_if = "ProbesMode::is_default")]
    pub mode: ProbesMode,
    /// preflight is how the running pods are asked before anything is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preflight: Option<Preflight>,
    /// deletionPolicy is what becomes of the probes that were given when this resource is deleted or points elsewhere.
    /// Default: `Release` (they stay, and nothing is rolled out). `Remove` takes what is still a gift out of the workload,
    /// with one rollout, soon afterwards: nothing waits for it, so that an operator that is gone can hold nothing up.
    #[serde(default, skip_serializing_if = "DeletionPolicy::is_default")]
    pub deletion_policy: DeletionPolicy,
    /// liveness restarts a container that no longer answers. It must not touch a dependency.
    /// Default: `GET /health`, every 10 s, 5 s to answer, 6 failures in a row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub liveness: Option<ProbeSettings>,
    /// readiness takes a pod that cannot serve out of its Services. Default: `GET /ready`, every 5 s, 3 s to answer,
    /// 3 failures in a row. Where a pod takes more than a second to answer, every 10 s instead, and 10 s to answer; with
    /// periodSeconds as long as that, at most 10 s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub readiness: Option<ProbeSettings>,
    /// startup holds liveness and readiness back until the container has started. Default: the liveness handler, every
    /// 5 s, 3 s to answer, within 5m.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub startup: Option<StartupSettings>,
}

/// How the running pods are asked before anything is given.
#[derive(KubeSchema, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Preflight {
    /// window is how long every running pod must have answered well, asked every few seconds. Default: `30s`. A
    /// Prometheus duration, at most `10m`.
    ///
    /// Example: `2m`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16), regex(pattern = r"^([0-9]+m)?([0-9]+s)?$"))]
    pub window: Option<String>,
}

/// What Observed does with a probe that is missing.
#[derive(JsonSchema, Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub enum ProbesMode {
    /// Ask the running pods first, then add what is missing in one patch, then let go of it.
    #[default]
    Patch,
    /// Only say in the status what would be added.
    Observe,
    /// Ask the running pods first, then offer what is missing in the status: a policy of the API server adds it to the
    /// next rollout of the workload's owner.
    Admission,
    /// Leave probes alone.
    Disabled,
}

impl ProbesMode {
    /// Whether the workload gets what is missing.
    pub fn gives(self) -> bool {
        matches!(self, Self::Patch | Self::Admission)
    }

    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// What becomes of probes that were given when no `ObservedService` points at the workload any more.
#[derive(JsonSchema, Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub enum DeletionPolicy {
    /// They stay in the workload.
    #[default]
    Release,
    /// What is still a gift is taken out, with one rollout.
    Remove,
}

impl DeletionPolicy {
    /// The word for it, as in the spec.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Release => "Release",
            Self::Remove => "Remove",
        }
    }

    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// A liveness or readiness probe.
#[derive(KubeSchema, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("[has(self.httpGet), has(self.tcpSocket), has(self.grpc), has(self.exec)].filter(given, given).size() <= 1").message("give one handler: httpGet, tcpSocket, grpc or exec"),
    validation = Rule::new("!has(self.timeoutSeconds) || !has(self.periodSeconds) || self.timeoutSeconds <= self.periodSeconds").message("timeoutSeconds must not be greater than periodSeconds, or probes overlap")
)]
pub struct ProbeSettings {
    /// httpGet asks over HTTP; an answer from 200 to 399 is good. Default: see the probe.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http_get: Option<HttpGet>,
    /// tcpSocket only opens a connection: it proves that the process accepts, not that it works.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tcp_socket: Option<TcpSocket>,
    /// grpc asks the gRPC health protocol (`grpc.health.v1`) in plain text; `SERVING` is good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grpc: Option<Grpc>,
    /// exec runs a command in the container; status 0 is good. Observed runs nothing in a container, so that this is the
    /// one handler that is given without having been tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exec: Option<Exec>,
    /// periodSeconds is the time between two attempts. 1 to 300.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 300))]
    pub period_seconds: Option<i32>,
    /// timeoutSeconds is the time that one attempt may take. 1 to 60, at most periodSeconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 60))]
    pub timeout_seconds: Option<i32>,
    /// failureThreshold is how many attempts in a row must fail. 1 to 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100))]
    pub failure_threshold: Option<i32>,
}

/// A startup probe.
#[derive(KubeSchema, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("[has(self.httpGet), has(self.tcpSocket), has(self.grpc), has(self.exec)].filter(given, given).size() <= 1").message("give one handler: httpGet, tcpSocket, grpc or exec"),
    validation = Rule::new("!has(self.timeoutSeconds) || !has(self.periodSeconds) || self.timeoutSeconds <= self.periodSeconds").message("timeoutSeconds must not be greater than periodSeconds, or probes overlap")
)]
pub struct StartupSettings {
    /// httpGet asks over HTTP. Default: the liveness probe's handler.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http_get: Option<HttpGet>,
    /// tcpSocket only opens a connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tcp_socket: Option<TcpSocket>,
    /// grpc asks the gRPC health protocol (`grpc.health.v1`) in plain text; `SERVING` is good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grpc: Option<Grpc>,
    /// exec runs a command in the container; status 0 is good. Observed runs nothing in a container, so that this is the
    /// one handler that is given without having been tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exec: Option<Exec>,
    /// periodSeconds is the time between two attempts. Default: 5. 1 to 300.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 300))]
    pub period_seconds: Option<i32>,
    /// timeoutSeconds is the time that one attempt may take. Default: 3. 1 to 60.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 60))]
    pub timeout_seconds: Option<i32>,
    /// within is how long a start may take before the container is restarted; failureThreshold follows from it.
    /// Default: `5m`, or twice the time that the running pods took, where a probe of their own tells. A Prometheus
    /// duration, at most `1h`.
    ///
    /// Example: `2m`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16), regex(pattern = r"^([0-9]+m)?([0-9]+s)?$"))]
    pub within: Option<String>,
}

/// An HTTP request that a probe sends.
#[derive(KubeSchema, Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!self.path.contains('..')").message("path must not contain '..'"))]
pub struct HttpGet {
    /// scheme of the request. Default: `HTTP`. With `HTTPS` nobody checks the certificate, neither the kubelet nor
    /// Observed: such a probe does not notice one that has expired.
    #[serde(default, skip_serializing_if = "Scheme::is_default")]
    pub scheme: Scheme,
    /// path of the request. Starts with `/`, no spaces.
    ///
    /// Example: `/health`
    #[schemars(length(min = 1, max = 256), regex(pattern = r"^/[!-~]*$"))]
    pub path: String,
    /// port of the container, by name or number. Default: the port named `http`, or the only one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new("type(self) == int ? self >= 1 && self <= 65535 : self.matches('^[a-z0-9]([a-z0-9-]{0,13}[a-z0-9])?$')").message("port is a container port's name (at most 15 of a-z, 0-9, -) or a number from 1 to 65535"))]
    pub port: Option<Port>,
}

/// Whether a request is encrypted.
#[derive(JsonSchema, Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Scheme {
    /// In plain text.
    #[default]
    Http,
    /// By TLS.
    Https,
}

impl Scheme {
    /// The word for it, as in a probe.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "HTTP",
            Self::Https => "HTTPS",
        }
    }

    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// A question of the gRPC health protocol.
#[derive(KubeSchema, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Grpc {
    /// port of the container, by name or number. Default: the port named `grpc`, or the only one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new("type(self) == int ? self >= 1 && self <= 65535 : self.matches('^[a-z0-9]([a-z0-9-]{0,13}[a-z0-9])?$')").message("port is a container port's name (at most 15 of a-z, 0-9, -) or a number from 1 to 65535"))]
    pub port: Option<Port>,
    /// service that is asked about. Default: the server as a whole.
    ///
    /// Example: `shop.v1.Cart`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256), regex(pattern = r"^[!-~]+$"))]
    pub service: Option<String>,
}

/// A command that a probe runs.
#[derive(KubeSchema, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Exec {
    /// command with its arguments; no shell runs it. 1 to 32 words.
    ///
    /// Example: `[pg_isready, -q]`
    #[schemars(length(min = 1, max = 32), inner(length(max = 1024)))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub command: Vec<String>,
}

/// A connection that a probe opens.
#[derive(KubeSchema, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TcpSocket {
    /// port of the container, by name or number. Default: the port named `http`, or the only one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new("type(self) == int ? self >= 1 && self <= 65535 : self.matches('^[a-z0-9]([a-z0-9-]{0,13}[a-z0-9])?$')").message("port is a container port's name (at most 15 of a-z, 0-9, -) or a number from 1 to 65535"))]
    pub port: Option<Port>,
}
