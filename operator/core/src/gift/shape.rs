//! What a probe is, and how it asks.

use std::fmt;

use k8s_openapi::api::core::v1::Probe;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use serde::{Deserialize, Serialize};

use crate::names::digest;

/// One of the three probes of a container.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum ProbeKind {
    /// Restarts a container that no longer answers.
    Liveness,
    /// Takes a pod that cannot serve out of its Services.
    Readiness,
    /// Holds the others back until the container has started.
    Startup,
}

impl ProbeKind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Liveness, Self::Readiness, Self::Startup];

    /// The word for it, as in the spec.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Liveness => "liveness",
            Self::Readiness => "readiness",
            Self::Startup => "startup",
        }
    }

    /// The field of a container.
    pub fn field(self) -> &'static str {
        match self {
            Self::Liveness => "livenessProbe",
            Self::Readiness => "readinessProbe",
            Self::Startup => "startupProbe",
        }
    }
}

impl fmt::Display for ProbeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a probe does, with the defaults of the API server filled in, so that two equal probes compare equal.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct ProbeShape {
    /// How it asks.
    pub handler: Handler,
    /// Seconds between two attempts.
    pub period_seconds: i32,
    /// Seconds that an attempt may take.
    pub timeout_seconds: i32,
    /// Attempts in a row that must fail.
    pub failure_threshold: i32,
    /// Seconds before the first attempt.
    pub initial_delay_seconds: i32,
}

/// How a probe asks.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Handler {
    /// An HTTP request.
    #[serde(rename_all = "camelCase")]
    HttpGet {
        /// Path of the request.
        path: String,
        /// Port by name or number.
        port: IntOrString,
        /// `HTTP` or `HTTPS`.
        scheme: String,
    },
    /// A TCP connection.
    TcpSocket {
        /// Port by name or number.
        port: IntOrString,
    },
    /// A question of the gRPC health protocol.
    #[serde(rename_all = "camelCase")]
    Grpc {
        /// Number of the port.
        port: i32,
        /// Service that is asked about. Empty: the server as a whole.
        service: String,
    },
    /// A command in the container.
    #[serde(rename_all = "camelCase")]
    Exec {
        /// Its words.
        command: Vec<String>,
    },
    /// None, which no API server accepts.
    #[default]
    None,
}

/// The fields of the handlers of a probe; it can have one.
const HANDLERS: [&str; 4] = ["httpGet", "tcpSocket", "exec", "grpc"];
/// Letters of a command that are told.
const LONGEST_COMMAND: usize = 80;

impl Handler {
    fn field(&self) -> &'static str {
        match self {
            Self::HttpGet { .. } => "httpGet",
            Self::TcpSocket { .. } => "tcpSocket",
            Self::Grpc { .. } => "grpc",
            Self::Exec { .. } => "exec",
            Self::None => "",
        }
    }

    /// What it does, in words.
    pub fn words(&self) -> String {
        match self {
            Self::HttpGet { path, port, scheme } => {
                let over = if scheme == "HTTPS" { " over HTTPS" } else { "" };
                format!("GET {path}{over} on port {}", port_words(port))
            }
            Self::TcpSocket { port } => format!("connect to port {}", port_words(port)),
            Self::Grpc { port, service } if service.is_empty() => format!("gRPC health on port {port}"),
            Self::Grpc { port, service } => format!("gRPC health of {service} on port {port}"),
            Self::Exec { command } => {
                let command = command.join(" ");
                let cut = command.chars().take(LONGEST_COMMAND).collect::<String>();
                let more = if cut.len() < command.len() { "…" } else { "" };
                format!("run {cut}{more}")
            }
            Self::None => "nothing".to_owned(),
        }
    }
}

impl ProbeShape {
    /// The shape of a probe as the API server stores it.
    pub fn of(probe: &Probe) -> Self {
        let handler = if let Some(get) = &probe.http_get {
            Handler::HttpGet {
                path: get.path.clone().unwrap_or_else(|| "/".into()),
                port: get.port.clone(),
                scheme: get.scheme.clone().unwrap_or_else(|| "HTTP".into()),
            }
        } else if let Some(tcp) = &probe.tcp_socket {
            Handler::TcpSocket { port: tcp.port.clone() }
        } else if let Some(exec) = &probe.exec {
            Handler::Exec {
                command: exec.command.clone().unwrap_or_default(),
            }
        } else if let Some(grpc) = &probe.grpc {
            Handler::Grpc {
                port: grpc.port,
                service: grpc.service.clone().unwrap_or_default(),
            }
        } else {
            Handler::default()
        };
        Self {
            handler,
            period_seconds: probe.period_seconds.unwrap_or(10),
            timeout_seconds: probe.timeout_seconds.unwrap_or(1),
            failure_threshold: probe.failure_threshold.unwrap_or(3),
            initial_delay_seconds: probe.initial_delay_seconds.unwrap_or(0),
        }
    }

    /// The probe as it is given: every field that the API server would default is written out.
    pub fn to_json(&self) -> serde_json::Value {
        let mut probe = serde_json::json!({
            "periodSeconds": self.period_seconds,
            "timeoutSeconds": self.timeout_seconds,
            "failureThreshold": self.failure_threshold,
            "successThreshold": 1,
        });
        match &self.handler {
            Handler::HttpGet { path, port, scheme } => {
                probe["httpGet"] = serde_json::json!({"path": path, "port": port, "scheme": scheme});
            }
            Handler::TcpSocket { port } => probe["tcpSocket"] = serde_json::json!({"port": port}),
            Handler::Grpc { port, service } => probe["grpc"] = serde_json::json!({"port": port, "service": service}),
            Handler::Exec { command } => probe["exec"] = serde_json::json!({"command": command}),
            Handler::None => {}
        }
        if self.initial_delay_seconds > 0 {
            probe["initialDelaySeconds"] = self.initial_delay_seconds.into();
        }
        probe
    }

    /// The probe as a strategic-merge patch that holds whatever probe is there: every other handler goes, and a delay.
    pub fn to_patch(&self) -> serde_json::Value {
        let mut probe = self.to_json();
        for handler in HANDLERS.into_iter().filter(|handler| *handler != self.handler.field()) {
            probe[handler] = serde_json::Value::Null;
        }
        if self.initial_delay_seconds == 0 {
            probe["initialDelaySeconds"] = serde_json::Value::Null;
        }
        probe
    }

    /// How it asks, and eight hex digits that tell this shape from others: `httpGet-1a2b3c4d`. The policy `observed-yield` of
    /// the chart reads the first part.
    pub fn hash(&self) -> String {
        let hash = digest(&serde_json::to_vec(self).unwrap_or_default(), 4);
        format!("{}-{hash}", self.handler.field())
    }

    /// The shape in words: `GET /health on port http every 10s, 5s to answer, 6 failures`.
    pub fn words(&self) -> String {
        format!(
            "{} every {}s, {}s to answer, {} failures",
            self.handler.words(),
            self.period_seconds,
            self.timeout_seconds,
            self.failure_threshold
        )
    }

    /// Seconds from the first failed attempt to the verdict: (failureThreshold - 1) periods and one timeout.
    pub fn verdict_seconds(&self) -> i32 {
        // Somebody else's probe may hold any number.
        self.failure_threshold
            .saturating_sub(1)
            .saturating_mul(self.period_seconds)
            .saturating_add(self.timeout_seconds)
    }
}

/// A port as a person writes it.
pub fn port_words(port: &IntOrString) -> String {
    match port {
        IntOrString::Int(number) => number.to_string(),
        IntOrString::String(name) => name.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(path: &str) -> ProbeShape {
        ProbeShape {
            handler: Handler::HttpGet {
                path: path.into(),
                port: IntOrString::String("http".into()),
                scheme: "HTTP".into(),
            },
            period_seconds: 10,
            timeout_seconds: 5,
            failure_threshold: 6,
            initial_delay_seconds: 0,
        }
    }

    #[test]
    fn a_probe_that_is_stored_and_read_back_has_the_same_hash() {
        let given = shape("/health");
        let stored: Probe = serde_json::from_value(given.to_json()).unwrap();
        assert_eq!(ProbeShape::of(&stored).hash(), given.hash());
    }

    #[test]
    fn a_probe_that_somebody_changed_has_another_hash() {
        let given = shape("/health");
        for changed in [
            shape("/healthz"),
            ProbeShape {
                period_seconds: 11,
                ..given.clone()
            },
        ] {
            assert_ne!(changed.hash(), given.hash());
        }
    }
}
