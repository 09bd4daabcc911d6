//! `Ready`, and kstatus' `Reconciling` and `Stalled`: what the other conditions sum up to.

use jiff::Timestamp;
use observed_crds::v1alpha1::ObservedServiceStatus;
use observed_crds::v1alpha1::conditions::{ConditionType, Reason};

use super::conditions::{Judged, find, shorten};
use crate::check::Truth;
use crate::facts::Facts;
use crate::plan::Plan;

/// How long something is on its way before it counts as not working: prometheus-operator, the kubelet and Prometheus
/// need up to two minutes to load what is new.
const PATIENCE_SECONDS: i64 = 180;
/// Part of another condition's message that `Ready` repeats.
const LONGEST_PART: usize = 300;

/// What the summary depends on beside the conditions themselves.
pub(super) struct Moment<'a> {
    pub(super) plan: &'a Plan,
    pub(super) facts: &'a Facts,
    /// Something was written just now.
    pub(super) written: bool,
    pub(super) previous: Option<&'a ObservedServiceStatus>,
    pub(super) generation: i64,
    pub(super) now: Timestamp,
}

/// The conditions in their order: `Ready`, what was looked at, then `Reconciling` or `Stalled` if it is so.
pub(super) fn summed_up(looked: Vec<Judged>, moment: &Moment<'_>) -> Vec<Judged> {
    let under_way: Vec<&Judged> = looked.iter().filter(|judged| is_under_way(judged, moment)).collect();
    let ready = ready(&looked, &under_way, moment);
    let kstatus = if moment.plan.paused {
        None
    } else if !under_way.is_empty() {
        let message = format!("On its way: {}", names(&under_way));
        Some(Judged::new(
            ConditionType::Reconciling,
            Truth::True,
            Reason::Progressing,
            message,
        ))
    } else {
        looked
            .iter()
            .find(|judged| needs_somebody(judged.reason))
            .map(|judged| {
                let message = format!(
                    "Nothing more is done until somebody changes something: see {}",
                    judged.kind.as_str()
                );
                Judged::new(ConditionType::Stalled, Truth::True, judged.reason, message)
            })
    };
    std::iter::once(ready).chain(looked).chain(kstatus).collect()
}

fn ready(looked: &[Judged], under_way: &[&Judged], moment: &Moment<'_>) -> Judged {
    let kind = ConditionType::Ready;
    if moment.plan.paused {
        let message =
            "spec.paused is true: nothing is written, and what exists stays as it is. Set it to false to go on";
        return Judged::new(kind, Truth::Unknown, Reason::Paused, message);
    }
    let missing = || {
        looked
            .iter()
            .filter(|judged| judged.truth != Truth::True && is_asked_for(judged) && !is_seen(judged, moment))
    };
    // A refusal of preflight is asked again too, but it is the user who can do something about it.
    let is_passing = |judged: &Judged| {
        judged.reason != Reason::PreflightFailed && under_way.iter().any(|under_way| under_way.kind == judged.kind)
    };
    let broken = missing().find(|judged| judged.truth == Truth::False && !is_passing(judged));
    let words = |first: &str| {
        let parts = missing().map(|judged| {
            let message = shorten(&judged.message, LONGEST_PART);
            format!("{} ({}): {message}", judged.kind.as_str(), judged.reason.as_str())
        });
        format!("{first}. {}", parts.collect::<Vec<_>>().join(". "))
    };
    if missing().next().is_none() {
        let mut message = "Everything that was asked for is in place and was seen to work".to_owned();
        for advice in looked.iter().filter(|judged| is_told(judged)) {
            let reason = advice.reason.as_str();
            message.push_str(&format!(". Worth knowing: see {} ({reason})", advice.kind.as_str()));
        }
        return Judged::new(kind, Truth::True, Reason::Converged, message);
    }
    if broken.is_some() {
        return Judged::new(
            kind,
            Truth::False,
            Reason::OutputNotReady,
            words("Something does not work"),
        );
    }
    if missing().any(is_passing) {
        return Judged::new(
            kind,
            Truth::False,
            Reason::Progressing,
            words("Something is on its way"),
        );
    }
    let not_served = missing().any(|judged| judged.reason == Reason::KindNotServed);
    let reason = if not_served {
        Reason::KindNotServed
    } else {
        Reason::NotVerified
    };
    Judged::new(kind, Truth::Unknown, reason, words("Something could not be verified"))
}

fn names(judged: &[&Judged]) -> String {
    let names = judged
        .iter()
        .map(|judged| format!("{} ({})", judged.kind.as_str(), judged.reason.as_str()));
    names.collect::<Vec<_>>().join(", ")
}

fn is_asked_for(judged: &Judged) -> bool {
    !is_advice(judged) && !matches!(judged.reason, Reason::Disabled | Reason::Observed | Reason::Offered)
}

/// What could be more is told, and what is there is ready all the same. So it is where nobody can say who is told of an
/// alert (Thanos and others that evaluate rules do not say whom they tell), and where no Grafana is seen.
fn is_advice(judged: &Judged) -> bool {
    match judged.kind {
        ConditionType::SignalsResolved => true,
        ConditionType::AlertsRouted => judged.truth == Truth::Unknown,
        ConditionType::DashboardLoaded => {
            judged.truth == Truth::Unknown
                && matches!(
                    judged.reason,
                    Reason::NoGrafana | Reason::Unreachable | Reason::NotSelected
                )
        }
        _ => false,
    }
}

/// Advice that is worth a word.
fn is_told(judged: &Judged) -> bool {
    let unknown = judged.kind != ConditionType::SignalsResolved && judged.reason != Reason::Disabled;
    judged.reason == Reason::Offered || is_advice(judged) && (judged.truth == Truth::False || unknown)
}

fn needs_somebody(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::Contested
            | Reason::Declined
            | Reason::Withdrawn
            | Reason::PolicyMissing
            | Reason::NameCollision
            | Reason::Rejected
            | Reason::Forbidden
    )
}

/// Whether pods are down that are watched as they should be: an alert tells of it, and `Ready` speaks of Observed's work
/// only. Where no pod was ever up it may be the scrape that is wrong.
fn is_seen(judged: &Judged, moment: &Moment<'_>) -> bool {
    let some_up = judged.count.is_some_and(|(up, _)| up > 0);
    let was_ready = || {
        find(moment.previous, ConditionType::Ready).is_some_and(|ready| {
            ready.status == Truth::True.as_str() && ready.observed_generation == Some(moment.generation)
        })
    };
    judged.reason == Reason::TargetsDown && (some_up || was_ready())
}

/// Whether it may well be otherwise at the next look, without anybody changing anything.
fn is_under_way(judged: &Judged, moment: &Moment<'_>) -> bool {
    let has_pods = moment.plan.target.replicas > 0;
    match judged.reason {
        Reason::RolloutInProgress | Reason::Progressing => true,
        Reason::PreflightPending => has_pods && !moment.facts.uid.is_empty() && is_new(judged, moment),
        Reason::NoTargets => has_pods && is_new(judged, moment),
        Reason::TargetsDown => has_pods && !is_seen(judged, moment) && is_new(judged, moment),
        Reason::ApiError
        | Reason::ScrapedTwice
        | Reason::RulesNotLoaded
        | Reason::NotLoaded
        | Reason::NoAlertmanager
        | Reason::Unreachable
        | Reason::NotVerified
        | Reason::PreflightFailed => is_new(judged, moment),
        _ => false,
    }
}

/// Whether it has been so for a short time only.
fn is_new(judged: &Judged, moment: &Moment<'_>) -> bool {
    let unsettled = moment.facts.target.as_ref().is_some_and(|t| t.unsettled.is_some());
    let Some(previous) = moment.previous.filter(|_| !moment.written && !unsettled) else {
        return true;
    };
    if previous.observed_generation != Some(moment.generation) {
        return true;
    }
    let before = find(Some(previous), judged.kind).filter(|before| before.status == judged.truth.as_str());
    let Some(before) = before else { return true };
    let since = find(Some(previous), ConditionType::Reconciling).map_or(before.last_transition_time.0, |working| {
        working.last_transition_time.0.max(before.last_transition_time.0)
    });
    moment.now.as_second() - since.as_second() < PATIENCE_SECONDS
}
