//! What became of each part of the plan.

use observed_crds::v1alpha1::ObservedServiceStatus;
use observed_crds::v1alpha1::conditions::{ConditionType, Reason};

use super::conditions::{Judged, find};
use crate::check::{Truth, Verdict};
use crate::child::{Applied, ApplyOutcome, Body, Child};
use crate::facts::Facts;
use crate::finding::{Code, Finding};
use crate::outputs::OUTPUTS;
use crate::plan::Plan;

/// The workload. What is worth knowing about the spec, and belongs to no other condition, is told here.
pub(super) fn target(plan: &Plan) -> Judged {
    let target = &plan.target;
    let found = format!(
        "{} {:?}, container {:?}",
        target.kind.as_str(),
        target.name,
        target.container
    );
    let message = with_warnings(found, plan, |finding| finding.code != Code::RiskyProbe);
    Judged::new(ConditionType::TargetResolved, Truth::True, Reason::Found, message)
}

/// The probes. They are installed when the first rollout with them has ended; later rollouts are not theirs.
pub(super) fn probes(
    plan: &Plan,
    facts: &Facts,
    applied: &[Applied],
    previous: Option<&ObservedServiceStatus>,
) -> Judged {
    let kind = ConditionType::ProbesInstalled;
    // A note that is written rolls nothing out.
    let written = |applied: &&Applied| matches!(applied.child.body, Body::Will(_)) && applied.wrote_gift();
    let gift = applied.iter().find(|applied| applied.is_gift() && !written(applied));
    let mut judged = match gift {
        Some(gift) => not_in_place(kind, gift).unwrap_or_else(|| {
            let message = format!("{}. The rollout that follows is awaited", plan.probes.message);
            Judged::new(kind, Truth::False, plan.probes.reason, message)
        }),
        None => match rollout_of_gift(plan, facts, previous) {
            Some(unsettled) => {
                let message = format!("{}. The rollout is awaited: {unsettled}", plan.probes.message);
                Judged::new(kind, Truth::False, Reason::RolloutInProgress, message)
            }
            None => Judged::new(
                kind,
                truth(plan.probes.reason),
                plan.probes.reason,
                with_outdated(plan, facts),
            ),
        },
    };
    judged.message = with_warnings(judged.message, plan, |finding| finding.code == Code::RiskyProbe);
    judged
}

/// The probes are in the template, and pods that stay on purpose do not have them yet.
fn with_outdated(plan: &Plan, facts: &Facts) -> String {
    let outdated = facts.target.as_ref().and_then(|target| target.outdated.as_ref());
    match outdated.filter(|_| plan.probes.reason == Reason::Installed) {
        Some(outdated) => format!("{}. Not in every pod yet: {outdated}", plan.probes.message),
        None => plan.probes.message.clone(),
    }
}

fn truth(reason: Reason) -> Truth {
    match reason {
        Reason::Installed => Truth::True,
        // Nothing was asked for, so there is nothing to judge.
        Reason::Disabled => Truth::Unknown,
        _ => Truth::False,
    }
}

/// Why the rollout that our gift began has not ended, if it has not.
fn rollout_of_gift<'a>(plan: &Plan, facts: &'a Facts, previous: Option<&ObservedServiceStatus>) -> Option<&'a String> {
    let target = facts.target.as_ref()?;
    let gifted = target.gifted.as_ref()?;
    let before = find(previous, ConditionType::ProbesInstalled);
    let ended = before.is_some_and(|before| before.status == Truth::True.as_str());
    let waits = plan.probes.reason == Reason::Installed && gifted.owner_uid == facts.uid && !ended;
    target.unsettled.as_ref().filter(|_| waits)
}

/// An output that is ours whole: what became of its objects, then what the world says about them.
pub(super) fn output(kind: ConditionType, applied: &[Applied], verdicts: &[Verdict]) -> Judged {
    let ids: Vec<&str> = OUTPUTS
        .iter()
        .filter(|output| output.condition() == kind)
        .map(|output| output.id())
        .collect();
    let children: Vec<&Applied> = applied
        .iter()
        .filter(|applied| ids.contains(&applied.child.output))
        .collect();
    if children.is_empty() {
        return Judged::new(kind, Truth::Unknown, Reason::Disabled, "Nothing was asked for");
    }
    let verdict = worst(kind, verdicts);
    let failed = children.iter().find_map(|applied| not_in_place(kind, applied));
    match (failed, verdict) {
        // Nothing is written, and what exists still does what it does.
        (Some(failed), Some(verdict)) if failed.reason == Reason::Paused => verdict,
        (Some(failed), _) => failed,
        (None, Some(verdict)) => match children.iter().find_map(|applied| refusal(applied)) {
            Some(refusal) => not_accepted(&verdict, &refusal),
            None => verdict,
        },
        (None, None) => applied_only(kind, &children),
    }
}

/// That a Prometheus does not accept a child, in the words of prometheus-operator.
fn refusal(applied: &Applied) -> Option<String> {
    let ApplyOutcome::NotAccepted(words) = &applied.outcome else {
        return None;
    };
    Some(format!("The status of {} says: {words}", called(&applied.child)))
}

/// What the world answers about an object that one Prometheus does not accept: another one may.
fn not_accepted(verdict: &Judged, refusal: &str) -> Judged {
    if verdict.truth == Truth::True {
        let message = format!("{}. Worth knowing: {refusal}", verdict.message);
        return Judged { message, ..*verdict };
    }
    let message = format!(
        "{refusal}. Correct what the message names: in the ObservedService, or in what that Prometheus demands. {}",
        verdict.message
    );
    Judged {
        truth: Truth::False,
        reason: Reason::Rejected,
        message,
        ..*verdict
    }
}

/// Where the alerts go. Without alerts nobody asks.
pub(super) fn routes(verdicts: &[Verdict]) -> Judged {
    let kind = ConditionType::AlertsRouted;
    worst(kind, verdicts)
        .unwrap_or_else(|| Judged::new(kind, Truth::Unknown, Reason::Disabled, "There are no alerts to route"))
}

fn worst(kind: ConditionType, verdicts: &[Verdict]) -> Option<Judged> {
    let of_kind = verdicts.iter().filter(|verdict| verdict.condition == kind);
    let verdict = of_kind.min_by_key(|verdict| match verdict.truth {
        Truth::False => 0,
        Truth::Unknown => 1,
        Truth::True => 2,
    })?;
    Some(Judged {
        count: verdict.count,
        ..Judged::new(kind, verdict.truth, verdict.reason, verdict.message.clone())
    })
}

fn applied_only(kind: ConditionType, children: &[&Applied]) -> Judged {
    let names: Vec<String> = children.iter().map(|applied| called(&applied.child)).collect();
    let names = names.join(", ");
    let message = format!("{names} is in place; nobody was asked whether it works");
    Judged::new(kind, Truth::Unknown, Reason::NotVerified, message)
}

/// Why a child is not as the plan wants it, with the next step.
fn not_in_place(kind: ConditionType, applied: &Applied) -> Option<Judged> {
    let child = &applied.child;
    let what = called(child);
    let (truth, reason, message) = match &applied.outcome {
        ApplyOutcome::Unchanged | ApplyOutcome::NotAccepted(_) | ApplyOutcome::Written => return None,
        ApplyOutcome::Paused => (
            Truth::Unknown,
            Reason::Paused,
            format!("spec.paused is true: {what} stays as it is"),
        ),
        ApplyOutcome::KindNotServed => (
            Truth::Unknown,
            Reason::KindNotServed,
            format!(
                "The API server does not know {} ({}): install the CRDs of its project, for instance \
                 prometheus-operator. It is picked up when they appear",
                child.kind.kind,
                child.kind.api_version()
            ),
        ),
        ApplyOutcome::NameCollision(who) => (
            Truth::False,
            Reason::NameCollision,
            format!("{who}, and is left alone. Give the ObservedService another name, or remove that object"),
        ),
        ApplyOutcome::Conflict(words) => (
            Truth::Unknown,
            Reason::Progressing,
            format!("{what} changed while it was written ({words}); it is tried again"),
        ),
        ApplyOutcome::Failed(words) => (
            Truth::Unknown,
            Reason::ApiError,
            format!("{what} could not be written: {words}. It is tried again"),
        ),
        ApplyOutcome::Rejected(words) => (
            Truth::False,
            Reason::Rejected,
            format!("The API server refuses {what}: {words}"),
        ),
        ApplyOutcome::Forbidden(words) => (
            Truth::False,
            Reason::Forbidden,
            format!("The operator may not write {what}: {words}. Apply the role that `observed rbac` prints"),
        ),
    };
    Some(Judged::new(kind, truth, reason, message))
}

fn called(child: &Child) -> String {
    format!("{} {:?}", child.kind.kind, child.name)
}

fn with_warnings(message: String, plan: &Plan, which: impl Fn(&Finding) -> bool) -> String {
    let warnings = plan.warnings.iter().filter(|finding| which(finding));
    let words = warnings.map(|warning| format!(". Worth knowing: {}. {}", warning.message, warning.help));
    std::iter::once(message).chain(words).collect()
}
