//! Names of the objects and series that Observed makes. They never change with a rollout.

use observed_crds::v1alpha1::TargetKind;

/// Letters of the random suffixes of Kubernetes' generated names: no vowels, no 0, 1, 3.
/// Source: k8s.io/apimachinery/pkg/util/rand.
const SUFFIX: &str = "[bcdfghjklmnpqrstvwxz2456789]";

/// Name of an ObservedService's object. The CRD bounds the service's name so that it stays within 63 characters.
pub fn child(service: &str, suffix: &str) -> String {
    if suffix.is_empty() {
        service.to_owned()
    } else {
        format!("{service}-{suffix}")
    }
}

/// Regular expression (anchored by PromQL) of the names of a workload's pods, and of no other workload's.
///
/// A Deployment's ReplicaSet cuts a long name at 58 characters before it adds the suffix.
pub fn pod_pattern(kind: TargetKind, name: &str) -> String {
    let name = name.replace('.', "\\.");
    match kind {
        TargetKind::Deployment => format!("{name}-{SUFFIX}{{6,10}}-{SUFFIX}{{5}}"),
        TargetKind::StatefulSet => format!("{name}-[0-9]+"),
        TargetKind::DaemonSet => format!("{name}-{SUFFIX}{{5}}"),
    }
}

/// A name that a pod of the workload could have, for drills.
pub fn sample_pod(kind: TargetKind, name: &str) -> String {
    match kind {
        TargetKind::Deployment => format!("{name}-7d4b9c6f5-x2vqp"),
        TargetKind::StatefulSet => format!("{name}-0"),
        TargetKind::DaemonSet => format!("{name}-x2vqp"),
    }
}
