//! Whether something is done about an alert that fires: a function of what is known, with every reason not to.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use observed_crds::v1alpha1::{
    Remediation, RemediationAction, RemediationKind, RemediationMode, RemediationOutcome, RemediationRecord, TargetKind,
};

use crate::duration;
use crate::facts::Target;

/// How long an alert must have been firing, where the spec does not say.
const USUAL_AFTER_SECONDS: u32 = 300;
/// Actions within an hour and within a day, where the spec does not say.
const USUAL_PER_HOUR: i32 = 1;
const USUAL_PER_DAY: i32 = 3;
/// Time in which nothing is done to another service: a rollout is over by then, and shows whether it helped.
const APART: SignedDuration = SignedDuration::from_mins(5);
/// So many services with such alerts are a storm, if they are also more than a fifth of all.
const STORM: usize = 3;
const STORM_SHARE: usize = 5;
/// Entries of the history. All that may be done in a day (10) and one alert of each action (16) fit in, so that no entry
/// that counts is dropped.
pub const LONGEST_HISTORY: usize = 32;

/// An alert that fires.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Firing {
    /// Its name.
    pub alert: String,
    /// Since when its condition holds.
    pub active_since: Timestamp,
    /// Since when it fires.
    pub firing_since: Timestamp,
}

/// What is known when it is decided.
#[derive(Clone, Copy, Debug)]
pub struct Situation<'a> {
    /// The time.
    pub now: Timestamp,
    /// The workload, if it is there.
    pub target: Option<&'a Target>,
    /// The other services.
    pub others: Others<'a>,
}

/// What is known of all services.
#[derive(Clone, Copy, Debug, Default)]
pub struct Others<'a> {
    /// Name of the other service to which something was done last, and when.
    pub last: Option<(&'a str, Timestamp)>,
    /// How many services have an alert that fires and has an action, this one among them.
    pub alerting: usize,
    /// How many services there are.
    pub all: usize,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq)]
pub enum Decision {
    /// Nothing, and nothing new is to be said.
    Leave,
    /// Nothing; why is written down.
    Note(RemediationRecord),
    /// The action, once this is written down.
    Act(RemediationRecord),
}

/// What is done about the alert.
pub fn decide(
    spec: &Remediation,
    history: &[RemediationRecord],
    firing: &Firing,
    situation: &Situation<'_>,
) -> Decision {
    let Some(action) = spec.actions.iter().find(|action| action.alert == firing.alert) else {
        return Decision::Leave;
    };
    let active_since = Time(whole(firing.active_since));
    let is_about = |record: &&RemediationRecord| record.alert == firing.alert && record.active_since == active_since;
    let known = history.iter().find(is_about);
    let is_over = |known: &RemediationRecord| match known.outcome {
        // Whoever changes the mode while the alert fires wants it to count.
        RemediationOutcome::WouldAct => spec.mode == RemediationMode::DryRun,
        outcome => !outcome.is_refusal(),
    };
    if known.is_some_and(is_over) || situation.now < due(action, firing) {
        return Decision::Leave;
    }
    let record = |outcome: RemediationOutcome, message: String| RemediationRecord {
        alert: firing.alert.clone(),
        active_since: active_since.clone(),
        action: action.action,
        outcome,
        time: Time(whole(situation.now)),
        message,
    };
    if let Some((outcome, message)) = refusal(spec, history, situation) {
        return match known {
            Some(known) if known.outcome == outcome => Decision::Leave,
            _ => Decision::Note(record(outcome, message)),
        };
    }
    let what = what(
        action.action,
        situation.target.map(|target| (target.kind, target.name.as_str())),
    );
    match spec.mode {
        RemediationMode::DryRun => Decision::Note(record(
            RemediationOutcome::WouldAct,
            format!("Would {what}. Nothing is done while spec.remediation.mode is DryRun"),
        )),
        RemediationMode::Act => Decision::Act(record(RemediationOutcome::Acting, format!("About to {what}"))),
    }
}

/// The record once the action was tried.
pub fn done(
    acting: &RemediationRecord,
    target: &Target,
    tried: Result<(), String>,
    now: Timestamp,
) -> RemediationRecord {
    let what = what(acting.action, Some((target.kind, &target.name)));
    let (outcome, message) = match tried {
        Ok(()) => (
            RemediationOutcome::Acted,
            format!("Did {what}. If the alert goes on, it did not help, and is not done again for it"),
        ),
        Err(words) => (RemediationOutcome::Failed, format!("Could not {what}: {words}")),
    };
    RemediationRecord {
        outcome,
        time: Time(whole(now)),
        message: message.chars().take(512).collect(),
        ..acting.clone()
    }
}

/// What became of an action that nobody saw the end of: its process ended in between, or was not answered. Whether it was
/// done shows in the workload.
pub fn concluded(acting: &RemediationRecord, kind: TargetKind, name: &str, shows: bool) -> RemediationRecord {
    let what = what(acting.action, Some((kind, name)));
    let (outcome, message) = if shows {
        (
            RemediationOutcome::Acted,
            format!(
                "Did {what}, which could not be said before. If the alert goes on, it did not help, and is not done again for it"
            ),
        )
    } else {
        (
            RemediationOutcome::Failed,
            format!("Was about to {what}, and nothing of it shows there: it is not tried again for this alert"),
        )
    };
    RemediationRecord {
        outcome,
        message,
        ..acting.clone()
    }
}

/// The history with the record in it: one for each time that an alert began to fire.
pub fn remembered(history: &[RemediationRecord], record: RemediationRecord) -> Vec<RemediationRecord> {
    let is_other =
        |other: &&RemediationRecord| other.alert != record.alert || other.active_since != record.active_since;
    let mut all: Vec<_> = history.iter().filter(is_other).cloned().collect();
    all.push(record);
    while all.len() > LONGEST_HISTORY {
        let oldest_refusal = all.iter().position(|record| record.outcome.is_refusal());
        all.remove(oldest_refusal.unwrap_or_default());
    }
    all
}

/// When something was done last, or may have been.
pub fn last_action(history: &[RemediationRecord]) -> Option<Timestamp> {
    let done = history.iter().filter(|record| counts(record, RemediationMode::Act));
    done.map(|record| record.time.0).max()
}

/// As the API server keeps it: without parts of seconds.
fn whole(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}

/// From when on something is done.
fn due(action: &RemediationAction, firing: &Firing) -> Timestamp {
    let after = action.after.as_deref().and_then(duration::seconds);
    let after = SignedDuration::from_secs(after.unwrap_or(USUAL_AFTER_SECONDS).into());
    firing.firing_since.saturating_add(after).unwrap_or(Timestamp::MAX)
}

/// Whether a record is one of what was done, or in a dry run would have been.
fn counts(record: &RemediationRecord, mode: RemediationMode) -> bool {
    match record.outcome {
        RemediationOutcome::Acting | RemediationOutcome::Acted | RemediationOutcome::Failed => true,
        RemediationOutcome::WouldAct => mode == RemediationMode::DryRun,
        _ => false,
    }
}

fn refusal(
    spec: &Remediation,
    history: &[RemediationRecord],
    situation: &Situation<'_>,
) -> Option<(RemediationOutcome, String)> {
    let Situation { now, target, others } = *situation;
    let Some(target) = target else {
        let message = "The workload is not there".to_owned();
        return Some((RemediationOutcome::RefusedUnsettled, message));
    };
    let who = format!("{} {}", target.kind.as_str(), target.name);
    if others.alerting >= STORM && others.alerting * STORM_SHARE > others.all {
        let message = "More than a fifth of the services that Observed looks after have alerts that something would be done \
                       about: that is the platform (a node, the network, what they all depend on), and no restart mends it";
        return Some((RemediationOutcome::RefusedStorm, message.to_owned()));
    }
    if let Some(why) = &target.unfit_for_restart {
        return Some((
            RemediationOutcome::RefusedUnfit,
            format!("{who} is not restarted: {why}"),
        ));
    }
    if let Some(why) = &target.unsettled {
        // Numbers in it change from look to look; the record is of the first one.
        return Some((
            RemediationOutcome::RefusedUnsettled,
            format!("{who} is not settled: {why}. It is waited for"),
        ));
    }
    let within = |span: SignedDuration| {
        let is_within = |record: &&RemediationRecord| now.duration_since(record.time.0) < span;
        let counted = history.iter().filter(|record| counts(record, spec.mode));
        counted.filter(is_within).count()
    };
    for (most, field, span, words) in [
        (
            spec.max_per_hour.unwrap_or(USUAL_PER_HOUR),
            "maxPerHour",
            SignedDuration::from_hours(1),
            "hour",
        ),
        (
            spec.max_per_day.unwrap_or(USUAL_PER_DAY),
            "maxPerDay",
            SignedDuration::from_hours(24),
            "24 hours",
        ),
    ] {
        if within(span) >= usize::try_from(most).unwrap_or_default() {
            let message = format!(
                "So much was done already within the last {words} as spec.remediation.{field} allows ({most}): see why it \
                 does not last"
            );
            return Some((RemediationOutcome::RefusedBudget, message));
        }
    }
    let (other, when) = others.last?;
    (now.duration_since(when) < APART).then(|| {
        let message = format!(
            "Something was done to {other} less than {} minutes ago, and never to two services at once. It is waited for",
            APART.as_mins()
        );
        (RemediationOutcome::RefusedElsewhere, message)
    })
}

fn what(action: RemediationKind, workload: Option<(TargetKind, &str)>) -> String {
    let (kind, name) = workload.map_or(("workload", ""), |(kind, name)| (kind.as_str(), name));
    match action {
        RemediationKind::Restart => format!("restart {kind} {name}"),
    }
}

#[cfg(test)]
mod tests;
