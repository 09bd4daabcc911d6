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
    /// it). `Observe` only reports what would be added. `Disabled` does neither.
    #[serde(default, skip_serializing_if = "ProbesMode::is_default")]
    pub mode: ProbesMode,
    /// preflight is how the running pods are asked before anything is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preflight: Option<Preflight>,
    /// liveness restarts a container that no longer answers. It must not touch a dependency.
    /// Default: `GET /health`, every 10 s, 5 s to answer, 6 failures in a row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub liveness: Option<ProbeSettings>,
    /// readiness takes a pod that cannot serve out of its Services. Default: `GET /ready`, every 5 s, 3 s to answer,
    /// 3 failures in a row.
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
    /// Leave probes alone.
    Disabled,
}

impl ProbesMode {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// A liveness or readiness probe.
#[derive(KubeSchema, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!(has(self.httpGet) && has(self.tcpSocket))").message("give one handler: httpGet or tcpSocket, not both"),
    validation = Rule::new("!has(self.timeoutSeconds) || !has(self.periodSeconds) || self.timeoutSeconds <= self.periodSeconds").message("timeoutSeconds must not be greater than periodSeconds, or probes overlap")
)]
pub struct ProbeSettings {
    /// httpGet asks over HTTP; an answer from 200 to 399 is good. Default: see the probe.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http_get: Option<HttpGet>,
    /// tcpSocket only opens a connection: it proves that the process accepts, not that it works.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tcp_socket: Option<TcpSocket>,
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
    validation = Rule::new("!(has(self.httpGet) && has(self.tcpSocket))").message("give one handler: httpGet or tcpSocket, not both"),
    validation = Rule::new("!has(self.timeoutSeconds) || !has(self.periodSeconds) || self.timeoutSeconds <= self.periodSeconds").message("timeoutSeconds must not be greater than periodSeconds, or probes overlap")
)]
pub struct StartupSettings {
    /// httpGet asks over HTTP. Default: the liveness probe's handler.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http_get: Option<HttpGet>,
    /// tcpSocket only opens a connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tcp_socket: Option<TcpSocket>,
    /// periodSeconds is the time between two attempts. Default: 5. 1 to 300.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 300))]
    pub period_seconds: Option<i32>,
    /// timeoutSeconds is the time that one attempt may take. Default: 3. 1 to 60.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 60))]
    pub timeout_seconds: Option<i32>,
    /// within is how long a start may take before the container is restarted; failureThreshold follows from it.
    /// Default: `5m`. A Prometheus duration, at most `1h`.
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

/// A connection that a probe opens.
#[derive(KubeSchema, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TcpSocket {
    /// port of the container, by name or number. Default: the port named `http`, or the only one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new("type(self) == int ? self >= 1 && self <= 65535 : self.matches('^[a-z0-9]([a-z0-9-]{0,13}[a-z0-9])?$')").message("port is a container port's name (at most 15 of a-z, 0-9, -) or a number from 1 to 65535"))]
    pub port: Option<Port>,
}
