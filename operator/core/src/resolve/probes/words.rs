//! What is told about the probes, with the seconds after which they act.

use std::collections::BTreeMap;

use super::remains::still_gifts;
use crate::facts::{Container, Facts, Target};
use crate::gift::{ProbeKind, ProbeShape};
use crate::rbac::YIELD_POLICY;

/// What a probe does to a pod, and after how many seconds.
fn words(kind: ProbeKind, shape: &ProbeShape) -> String {
    let seconds = shape.verdict_seconds();
    let effect = match kind {
        ProbeKind::Liveness => format!("liveness restarts after {seconds} s without an answer"),
        ProbeKind::Readiness => format!("readiness takes a pod out after {seconds} s without an answer"),
        ProbeKind::Startup => format!("startup allows a start of {seconds} s"),
    };
    format!("{effect} ({})", shape.words())
}

pub(super) fn all_words(verb: &str, shapes: &BTreeMap<ProbeKind, ProbeShape>) -> Option<String> {
    let all: Vec<_> = shapes.iter().map(|(kind, shape)| words(*kind, shape)).collect();
    (!all.is_empty()).then(|| format!("{verb}: {}", all.join("; ")))
}

pub(super) fn in_place(present: &BTreeMap<ProbeKind, ProbeShape>) -> Option<String> {
    all_words("In place", present)
}

/// Where a person may write down what was given, and what tells how. Nothing where nobody is known to keep the workload's
/// source, or nothing of ours is in place.
pub(super) fn source(facts: &Facts, target: &Target, container: &Container) -> Option<String> {
    let source = target.source.as_ref()?;
    (!still_gifts(target, container).is_empty()).then(|| {
        format!(
            "The workload comes from {}; what to commit there to keep them says: observed diff {} -n {}",
            source.words(),
            facts.name,
            facts.namespace
        )
    })
}

/// What their owner cannot do with them without the policy that lets them yield.
pub(super) fn no_yield(facts: &Facts, target: &Target, container: &Container) -> Option<String> {
    let cannot = facts.yields == Some(false) && !still_gifts(target, container).is_empty();
    cannot.then(|| {
        format!(
            "This cluster has no policy {YIELD_POLICY} (Kubernetes 1.36, yieldPolicy in the chart): who wants another kind of \
             handler in one of them takes them out first: observed probes remove {} -n {}",
            facts.name, facts.namespace
        )
    })
}

pub(super) fn refusals(refused: &BTreeMap<ProbeKind, String>) -> Option<String> {
    let all: Vec<_> = refused
        .iter()
        .map(|(kind, why)| format!("No {kind} probe: {why}"))
        .collect();
    (!all.is_empty()).then(|| all.join(". "))
}

pub(super) fn waits(pending: &BTreeMap<ProbeKind, String>) -> Option<String> {
    let all: Vec<_> = pending
        .iter()
        .map(|(kind, why)| format!("The {kind} probe waits: {why}"))
        .collect();
    (!all.is_empty()).then(|| all.join(". "))
}

pub(super) fn sentences<const N: usize>(parts: [Option<String>; N]) -> String {
    parts.into_iter().flatten().collect::<Vec<_>>().join(". ")
}
