//! The status: what everything amounts to, in words.
//!
//! It is written only when it changes, so nothing in it may differ from one look to the next while the world is the
//! same.

mod conditions;
mod given;
mod judge;
mod pack;
mod signals;
mod summary;

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use observed_crds::v1alpha1::conditions::{ConditionType, Reason};
use observed_crds::v1alpha1::{InventoryItem, ObservedServiceStatus, Resolved};

use crate::check::{Truth, Verdict};
use crate::child::{Applied, ApplyOutcome, Body, Children};
use crate::duration;
use crate::facts::Facts;
use crate::finding::{Code, Finding};
use crate::gift::port_words;
use crate::plan::{Dependency, Plan, Via};
use conditions::{Judged, conditions, shorten};
pub use given::{trial_over, was_contested};
pub use pack::of_pack;

/// Longest text of `status.resolved`.
const LONGEST_RESOLVED: usize = 512;

/// The status of a service whose plan was applied and verified. Times of conditions that did not change are kept.
pub fn status(
    plan: &Plan,
    facts: &Facts,
    applied: &Children<Applied>,
    verdicts: &[Verdict],
    previous: Option<&ObservedServiceStatus>,
    generation: i64,
    now: Timestamp,
) -> ObservedServiceStatus {
    let looked = vec![
        judge::target(plan),
        signals::signals(plan, facts),
        judge::probes(plan, facts, &applied.items, previous),
        judge::output(ConditionType::ScrapeVerified, &applied.items, verdicts),
        judge::output(ConditionType::RulesHealthy, &applied.items, verdicts),
        judge::routes(verdicts),
        judge::output(ConditionType::DashboardLoaded, &applied.items, verdicts),
    ];
    let count = |kind: ConditionType| {
        let judged = looked.iter().find(|judged| judged.kind == kind)?;
        judged.count.map(|(good, all)| format!("{good}/{all}"))
    };
    let (targets_up, rules_healthy) = (count(ConditionType::ScrapeVerified), count(ConditionType::RulesHealthy));
    let moment = summary::Moment {
        plan,
        facts,
        written: applied
            .items
            .iter()
            .any(|applied| applied.outcome == ApplyOutcome::Written),
        previous,
        generation,
        now,
    };
    let judged = summary::summed_up(looked, &moment);
    ObservedServiceStatus {
        observed_generation: Some(generation),
        conditions: conditions(judged, had(previous), generation, now),
        resolved: Some(resolved(plan)),
        targets_up,
        rules_healthy,
        given: given::given(facts, &applied.items, now),
        offer: plan.probes.offer.as_ref().map(|offered| offered.offer.clone()),
        dependent_liveness: facts.dependent.clone(),
        signals: plan.exposure.seen.clone(),
        // Another process' own.
        remediation: None,
        inventory: inventory(&applied.items, previous),
    }
}

/// The status of a service for which there is no plan. What exists stays, and is not looked at.
pub fn refused(
    findings: &[Finding],
    facts: &Facts,
    previous: Option<&ObservedServiceStatus>,
    generation: i64,
    now: Timestamp,
) -> ObservedServiceStatus {
    let found = |code: Code| findings.iter().any(|finding| finding.code == code);
    let reason = if found(Code::TargetNotFound) {
        Reason::TargetNotFound
    } else if found(Code::TargetTaken) {
        Reason::TargetTaken
    } else {
        Reason::InvalidSpec
    };
    let all: Vec<String> = findings.iter().map(Finding::to_string).collect();
    let list = all.join("\n");
    let of_target = found(Code::Container) || found(Code::Port);
    let target = match (&facts.target, reason) {
        (Some(target), Reason::InvalidSpec) if !of_target => Judged::new(
            ConditionType::TargetResolved,
            Truth::True,
            Reason::Found,
            format!("{} {:?} was found", target.kind.as_str(), target.name),
        ),
        (None, Reason::InvalidSpec) => Judged::new(
            ConditionType::TargetResolved,
            Truth::Unknown,
            reason,
            "The workload was not looked for: see Ready for what to correct",
        ),
        _ => Judged::new(ConditionType::TargetResolved, Truth::False, reason, list.clone()),
    };
    let mut judged = vec![Judged::new(ConditionType::Ready, Truth::False, reason, list), target];
    for kind in [
        ConditionType::SignalsResolved,
        ConditionType::ProbesInstalled,
        ConditionType::ScrapeVerified,
        ConditionType::RulesHealthy,
        ConditionType::AlertsRouted,
        ConditionType::DashboardLoaded,
    ] {
        let message = "What exists stays as it is and was not looked at: see Ready";
        judged.push(Judged::new(kind, Truth::Unknown, reason, message));
    }
    // A workload that is missing is waited for; everything else needs somebody.
    if reason != Reason::TargetNotFound {
        let message = "Nothing is done until the ObservedService, or what it names, is changed: see Ready";
        judged.push(Judged::new(ConditionType::Stalled, Truth::True, reason, message));
    }
    ObservedServiceStatus {
        observed_generation: Some(generation),
        conditions: conditions(judged, had(previous), generation, now),
        given: facts.given.clone(),
        dependent_liveness: facts.dependent.clone(),
        signals: previous.map(|previous| previous.signals.clone()).unwrap_or_default(),
        remediation: None,
        inventory: previous.map(|previous| previous.inventory.clone()).unwrap_or_default(),
        ..ObservedServiceStatus::default()
    }
}

/// The status of a service that could not be worked on. What was known of it stays; that it is known no longer is said.
pub fn failed(
    reason: Reason,
    words: &str,
    previous: Option<&ObservedServiceStatus>,
    generation: i64,
    now: Timestamp,
) -> ObservedServiceStatus {
    let mut status = previous.cloned().unwrap_or_default();
    let message = format!("Nobody knows how it stands now: {words}");
    let ready = Judged::new(ConditionType::Ready, Truth::Unknown, reason, message);
    let ready = conditions(vec![ready], had(previous), generation, now);
    status
        .conditions
        .retain(|condition| condition.type_ != ConditionType::Ready.as_str());
    status.conditions.splice(0..0, ready);
    status
}

fn had(previous: Option<&ObservedServiceStatus>) -> &[Condition] {
    previous.map_or(&[], |previous| &previous.conditions)
}

/// What exists because of this service: what is in place, and what was and could not be written this time.
fn inventory(applied: &[Applied], previous: Option<&ObservedServiceStatus>) -> Vec<InventoryItem> {
    let before = |item: &InventoryItem| previous.is_some_and(|previous| previous.inventory.contains(item));
    let mut items: Vec<InventoryItem> = applied
        .iter()
        .filter(|applied| matches!(applied.child.body, Body::Owned(_)))
        .map(|applied| (applied.child.item(), &applied.outcome))
        .filter(|(item, outcome)| match outcome {
            ApplyOutcome::Unchanged | ApplyOutcome::NotAccepted(_) | ApplyOutcome::Written => true,
            ApplyOutcome::KindNotServed | ApplyOutcome::NameCollision(_) => false,
            ApplyOutcome::Paused
            | ApplyOutcome::Conflict(_)
            | ApplyOutcome::Rejected(_)
            | ApplyOutcome::Forbidden(_)
            | ApplyOutcome::Failed(_) => before(item),
        })
        .map(|(item, _)| item)
        .collect();
    items.sort();
    items.dedup();
    items
}

fn resolved(plan: &Plan) -> Resolved {
    let mut probes: BTreeMap<_, _> = plan.probes.present.iter().collect();
    probes.extend(plan.probes.coming().into_iter().flat_map(|gift| &gift.probes));
    let scrape = &plan.scrape;
    let what = match &scrape.via {
        Via::Service { name, port, .. } => format!("port {port} of Service {name:?}"),
        Via::Pods { port, .. } => format!("port {} of the pods", port_words(port)),
    };
    let words = format!(
        "GET {} on {what} every {}, {} to answer, as job {:?}",
        scrape.path,
        duration::text(scrape.interval_seconds),
        duration::text(scrape.timeout_seconds),
        scrape.job
    );
    let own = plan.packs.iter().filter(|pack| pack.dependency.is_none());
    Resolved {
        container: plan.target.container.clone(),
        probes: probes
            .into_iter()
            .map(|(kind, shape)| shorten(&format!("{kind}: {}", shape.words()), LONGEST_RESOLVED))
            .collect(),
        scrape: shorten(&words, LONGEST_RESOLVED),
        packs: own.map(|pack| pack.name.clone()).collect(),
        dependencies: plan
            .packs
            .iter()
            .filter_map(|pack| pack.dependency.as_ref())
            .map(in_words)
            .collect(),
    }
}

fn in_words(dependency: &Dependency) -> String {
    let Dependency {
        name,
        kind,
        exporter,
        host,
    } = dependency;
    let exporter = exporter.as_ref().map(|exporter| {
        let instance = exporter.instance.as_ref();
        let instance = instance.map_or(String::new(), |instance| format!(", instance {instance:?}"));
        let (namespace, job) = (&exporter.namespace, &exporter.job);
        format!("read from the job {job:?} in the namespace {namespace}{instance}")
    });
    let calls = host
        .as_ref()
        .map(|host| format!("calls of {host:?} as the service measures them"));
    let read: Vec<String> = exporter.into_iter().chain(calls).collect();
    shorten(
        &format!("{name}: {}, {}", kind.as_str(), read.join("; ")),
        LONGEST_RESOLVED,
    )
}

#[cfg(test)]
mod tests;
