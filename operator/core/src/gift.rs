//! A gift: probes that are put into somebody else's workload and let go of at once.
//!
//! What was given is known by the annotation [`observed_crds::PROBES_ANNOTATION`] on the workload: the handler and
//! one short hash for each probe, and the UID of the ObservedService that gave it. A probe that still has that hash and that nobody owns
//! is still the gift; everything else is theirs.

pub(crate) mod offer;
mod shape;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use k8s_openapi::api::core::v1::PodTemplateSpec;
use observed_crds::v1alpha1::DeletionPolicy;
use serde::{Deserialize, Serialize};

pub use shape::{Handler, ProbeKind, ProbeShape, port_words};

use crate::names::digest;

/// Sixteen hex digits that tell one revision of a workload from others: its pods' template without any probe.
pub fn template_hash(template: &PodTemplateSpec) -> String {
    let mut bare = template.clone();
    for container in bare.spec.iter_mut().flat_map(|spec| &mut spec.containers) {
        container.liveness_probe = None;
        container.readiness_probe = None;
        container.startup_probe = None;
    }
    digest(&serde_json::to_vec(&bare).unwrap_or_default(), 8)
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

/// The annotation on a workload that received a gift:
/// `<container>/liveness:httpGet-1a2b3c4d,readiness:httpGet-5e6f7a8b@<owner uid>`.
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

/// A gift that is taken out again in one patch, because it hurts or nobody asks for it any more.
#[derive(Clone, Debug, Default, PartialEq)]
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

/// What becomes of a gift when no ObservedService points at the workload any more, noted on the workload: whoever sees to
/// it then has no spec to look at.
#[derive(Clone, Debug, PartialEq)]
pub struct Will {
    /// The policy of the spec.
    pub policy: DeletionPolicy,
    /// UID that the workload must have.
    pub target_uid: String,
    /// resourceVersion that the workload must have.
    pub resource_version: String,
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
    /// What becomes of them when the ObservedService goes.
    pub deletion_policy: DeletionPolicy,
    /// UID that the workload must have.
    pub target_uid: String,
    /// resourceVersion that the workload must have.
    pub resource_version: String,
}

impl Gift {
    /// The probes as a strategic-merge patch, for people who want to give them themselves, whatever probe is there.
    pub fn patch(&self) -> serde_json::Value {
        let mut container = serde_json::json!({"name": self.container});
        for (kind, shape) in &self.probes {
            container[kind.field()] = shape.to_patch();
        }
        serde_json::json!({"spec": {"template": {"spec": {"containers": [container]}}}})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
