//! A gift: probes that are put into somebody else's workload and let go of at once.
//!
//! What was given is known by the annotation [`observed_crds::PROBES_ANNOTATION`] on the workload: one short hash for
//! each probe, and the UID of the ObservedService that gave it. A probe that still has that hash and that nobody owns
//! is still the gift; everything else is theirs.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use k8s_openapi::api::core::v1::{PodTemplateSpec, Probe};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

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
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
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
    /// A command or a gRPC call: Observed reads them, and never gives them.
    Other(String),
}

impl Default for Handler {
    fn default() -> Self {
        Self::Other("none".into())
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
        } else if probe.exec.is_some() {
            Handler::Other("exec".into())
        } else if probe.grpc.is_some() {
            Handler::Other("grpc".into())
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
            Handler::Other(_) => {}
        }
        if self.initial_delay_seconds > 0 {
            probe["initialDelaySeconds"] = self.initial_delay_seconds.into();
        }
        probe
    }

    /// Eight hex digits that tell this shape from others.
    pub fn hash(&self) -> String {
        hex(&serde_json::to_vec(self).unwrap_or_default(), 4)
    }

    /// The shape in words: `GET /health on port http every 10s, 5s to answer, 6 failures`.
    pub fn words(&self) -> String {
        let handler = match &self.handler {
            Handler::HttpGet { path, port, .. } => format!("GET {path} on port {}", port_words(port)),
            Handler::TcpSocket { port } => format!("connect to port {}", port_words(port)),
            Handler::Other(what) => what.clone(),
        };
        format!(
            "{handler} every {}s, {}s to answer, {} failures",
            self.period_seconds, self.timeout_seconds, self.failure_threshold
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

/// Sixteen hex digits that tell one revision of a workload from others: its pods' template without any probe.
pub fn template_hash(template: &PodTemplateSpec) -> String {
    let mut bare = template.clone();
    for container in bare.spec.iter_mut().flat_map(|spec| &mut spec.containers) {
        container.liveness_probe = None;
        container.readiness_probe = None;
        container.startup_probe = None;
    }
    hex(&serde_json::to_vec(&bare).unwrap_or_default(), 8)
}

fn hex(canonical: &[u8], bytes: usize) -> String {
    Sha256::digest(canonical)
        .iter()
        .take(bytes)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// Seconds for which a pod that has started may be not ready. A process may warm up, and says so by its readiness.
pub const UNREADY_SECONDS: u64 = 180;

/// Seconds after which a gift that hurt nobody has passed its trial: a start as long as the startup probe allows, then
/// the time to become ready, and a minute more than the liveness probe needs to restart.
pub fn trial_seconds(probes: &BTreeMap<ProbeKind, ProbeShape>) -> u64 {
    let verdict = |kind| probes.get(&kind).map_or(0, ProbeShape::verdict_seconds);
    let probes = verdict(ProbeKind::Startup).saturating_add(verdict(ProbeKind::Liveness));
    UNREADY_SECONDS + 60 + u64::try_from(probes).unwrap_or_default()
}

/// A port as a person writes it.
pub fn port_words(port: &IntOrString) -> String {
    match port {
        IntOrString::Int(number) => number.to_string(),
        IntOrString::String(name) => name.clone(),
    }
}

/// The annotation on a workload that received a gift: `<container>/liveness:1a2b3c4d,readiness:5e6f7a8b@<owner uid>`.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Gifted {
    /// Container that received it.
    pub container: String,
    /// Hash of each probe that was given.
    pub probes: BTreeMap<ProbeKind, String>,
    /// UID of the ObservedService that gave.
    pub owner_uid: String,
}

impl Gifted {
    /// Reads the annotation. A value that Observed did not write reads as nothing given.
    pub fn parse(annotation: &str) -> Option<Self> {
        let (given, owner_uid) = annotation.split_once('@')?;
        let (container, probes) = given.split_once('/')?;
        let mut gifted = Self {
            container: container.to_owned(),
            probes: BTreeMap::new(),
            owner_uid: owner_uid.to_owned(),
        };
        for part in probes.split(',').filter(|p| !p.is_empty()) {
            let (kind, hash) = part.split_once(':')?;
            let kind = ProbeKind::ALL.into_iter().find(|k| k.as_str() == kind)?;
            gifted.probes.insert(kind, hash.to_owned());
        }
        Some(gifted)
    }
}

impl fmt::Display for Gifted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let probes: Vec<_> = self
            .probes
            .iter()
            .map(|(kind, hash)| format!("{kind}:{hash}"))
            .collect();
        write!(f, "{}/{}@{}", self.container, probes.join(","), self.owner_uid)
    }
}

/// A gift that hurts, and is taken out again in one patch.
#[derive(Clone, Debug, PartialEq)]
pub struct TakeBack {
    /// Container that received it.
    pub container: String,
    /// Its image.
    pub image: String,
    /// The probes that are still the gift.
    pub probes: BTreeSet<ProbeKind>,
    /// UID that the workload must have.
    pub target_uid: String,
    /// resourceVersion that the workload must have.
    pub resource_version: String,
    /// What was seen, in words.
    pub because: String,
}

/// What is put into the workload, in one patch.
#[derive(Clone, Debug, PartialEq)]
pub struct Gift {
    /// Container that receives it.
    pub container: String,
    /// Probes to add or to update.
    pub probes: BTreeMap<ProbeKind, ProbeShape>,
    /// The annotation afterwards.
    pub gifted: Gifted,
    /// UID that the workload must have.
    pub target_uid: String,
    /// resourceVersion that the workload must have.
    pub resource_version: String,
}

impl Gift {
    /// The probes as a strategic-merge patch, for people who want to give them themselves.
    pub fn patch(&self) -> serde_json::Value {
        let mut container = serde_json::json!({"name": self.container});
        for (kind, shape) in &self.probes {
            container[kind.field()] = shape.to_json();
        }
        serde_json::json!({"spec": {"template": {"spec": {"containers": [container]}}}})
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

    #[test]
    fn the_annotation_is_read_back_as_it_was_written() {
        let gifted = Gifted {
            container: "api".into(),
            probes: [
                (ProbeKind::Liveness, "1a2b3c4d".into()),
                (ProbeKind::Startup, "00ff00ff".into()),
            ]
            .into(),
            owner_uid: "b7c0".into(),
        };
        assert_eq!(Gifted::parse(&gifted.to_string()), Some(gifted));
    }

    #[test]
    fn an_annotation_that_observed_did_not_write_is_nothing_given() {
        for foreign in [
            "",
            "yes",
            "liveness:1234@uid",
            "api/liveness@x@y:z,",
            "api/surprise:1234@uid",
        ] {
            assert_eq!(Gifted::parse(foreign), None, "{foreign:?}");
        }
    }

    #[test]
    fn a_template_is_known_by_everything_but_its_probes() {
        let template = |image: &str, probe: serde_json::Value| -> PodTemplateSpec {
            let container = serde_json::json!({"name": "api", "image": image, "livenessProbe": probe});
            serde_json::from_value(serde_json::json!({"spec": {"containers": [container]}})).unwrap()
        };
        let probe = serde_json::json!({"httpGet": {"path": "/health", "port": 80}});
        let bare = template_hash(&template("a", serde_json::Value::Null));
        assert_eq!(bare.len(), 16);
        assert_eq!(template_hash(&template("a", probe)), bare);
        assert_ne!(template_hash(&template("b", serde_json::Value::Null)), bare);
    }
}
