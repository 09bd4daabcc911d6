//! What would change in the workload, probe by probe, and why: the plan of a gift for people to read first.

use observed_crds::v1alpha1::conditions::Reason;
use observed_crds::v1alpha1::{ObservedServiceSpec, ProbesMode};
use serde::Serialize;
use serde_json::Value;

use super::{probes, target};
use crate::facts::{Container, Facts, Target};
use crate::finding::Finding;
use crate::gift::{Gift, ProbeKind};
use crate::plan::Probes;
use crate::snippet::{Snippet, snippet};

/// What would change in the one container that is given something.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Diff {
    /// The container.
    pub container: String,
    /// Every kind of probe.
    pub probes: Vec<Entry>,
    /// The containers that are left alone.
    pub other_containers: Vec<String>,
    /// Why it does not happen yet, or not at all, though the rest is said as if it did.
    pub waits_for: Vec<String>,
    /// What a person may commit to have it in the source of the workload too: what would be given, and an earlier gift.
    pub snippet: Option<Snippet>,
    /// How what would be given comes into the workload. None where nothing would be given.
    pub comes: Option<Comes>,
    /// What would be given, and for how long the running pods are asked first.
    #[serde(skip)]
    pub gift: Option<(Gift, u32)>,
}

/// How a gift comes into the workload.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Comes {
    /// By a patch of the operator, which rolls the pods.
    ByPatch,
    /// By the policy of the chart, in a rollout of the workload's owner.
    WithARollout,
}

/// One probe.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// Field of the container.
    pub field: &'static str,
    /// What happens to it.
    pub change: Change,
    /// As it is, in words.
    pub now: Option<String>,
    /// As it would be, if that is otherwise.
    pub then: Option<Value>,
    /// Why.
    pub why: String,
}

/// What happens to a probe.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Change {
    /// It is missing, and given.
    Add,
    /// It is an earlier gift, and given anew.
    Update,
    /// It is there, and stays as it is.
    Keep,
    /// It is missing, and stays so.
    None,
}

/// What the operator would give to the workload once it is settled, if its pods answer as they must.
///
/// # Errors
/// Every finding that stops the plan of the probes.
pub fn diff(spec: &ObservedServiceSpec, facts: &Facts) -> Result<Diff, Vec<Finding>> {
    let (mut spec, mut facts) = (spec.clone(), facts.clone());
    let mut waits_for = Vec::new();
    match &mut spec.probes {
        Some(settings) if settings.mode == ProbesMode::Observe => {
            settings.mode = ProbesMode::Patch;
            waits_for.push("spec.probes.mode is Observe: nothing is given".to_owned());
        }
        Some(settings) if settings.mode == ProbesMode::Admission && facts.admits == Some(false) => {
            facts.admits = None;
            waits_for.push(probes::no_policy());
        }
        _ => {}
    }
    if let Some(why) = facts.target.as_mut().and_then(|target| target.unsettled.take()) {
        waits_for.push(format!(
            "the workload is not settled ({why}): nothing is given before it is"
        ));
    }
    let facts = facts.answered(&spec);
    let probes = super::probes(&spec, &facts)?;
    let target = target::target(&spec, &facts)?;
    let container = target::container(&spec, target)?;
    let others = target.containers.iter().filter(|other| other.name != container.name);
    let mut gifts = probes.present.clone();
    gifts.retain(|kind, _| {
        let live = container.probes.get(kind);
        live.is_some_and(|live| probes::is_gift(target, container, *kind, live))
    });
    gifts.extend(probes.coming().into_iter().flat_map(|gift| gift.probes.clone()));
    Ok(Diff {
        snippet: snippet(target, &container.name, &gifts),
        container: container.name.clone(),
        probes: ProbeKind::ALL
            .into_iter()
            .map(|kind| entry(kind, &probes, target, container))
            .collect(),
        other_containers: others.map(|other| other.name.clone()).collect(),
        waits_for,
        comes: match (&probes.gift, &probes.offer) {
            (Some(_), _) => Some(Comes::ByPatch),
            (None, offer) => offer.as_ref().map(|_| Comes::WithARollout),
        },
        gift: probes
            .coming()
            .map(|gift| (gift.clone(), probes::preflight_seconds(&spec))),
    })
}

fn entry(kind: ProbeKind, probes: &Probes, target: &Target, container: &Container) -> Entry {
    let live = container.probes.get(&kind);
    let then = probes.coming().and_then(|gift| gift.probes.get(&kind));
    let (change, why) = match (live, then) {
        (None, Some(_)) => (Change::Add, "the container has none".to_owned()),
        (Some(_), Some(_)) => (
            Change::Update,
            "it is an earlier gift, which nobody has taken over".to_owned(),
        ),
        (Some(live), None) if probes::is_gift(target, container, kind, live) => (
            Change::Keep,
            "it is an earlier gift, which nobody has taken over".to_owned(),
        ),
        (Some(live), None) if live.owned_by.is_empty() => (Change::Keep, "it is theirs".to_owned()),
        (Some(live), None) => (Change::Keep, format!("it is theirs: {}", live.owned_by.join(", "))),
        (None, None) => (Change::None, missing(kind, probes)),
    };
    Entry {
        field: kind.field(),
        change,
        now: live.map(|live| live.shape.words()),
        then: then.map(crate::gift::ProbeShape::to_json),
        why,
    }
}

/// Why a probe is missing and stays so.
fn missing(kind: ProbeKind, probes: &Probes) -> String {
    match probes.refused.get(&kind) {
        Some(why) => why.trim_end_matches('.').to_owned(),
        None if probes.reason == Reason::Disabled => "spec.probes.mode is Disabled".to_owned(),
        // Only the startup probe is wanted by what another one is.
        None => format!(
            "none is wanted: without spec.probes.{kind} it asks as the liveness probe does, and preflight cannot ask like \
             that (a command, or a port that the container does not declare)"
        ),
    }
}
