//! The alerts of an objective.

use std::collections::BTreeMap;

use observed_crds::v1alpha1::Severity;

use super::burn::{Burn, shortest};
use super::drills;
use super::goal::{BAD_EVENTS, ERROR_RATIO, Goal, Texts};
use super::share::Share;
use crate::duration;
use crate::names;
use crate::plan::{Alert, Runbook};
use crate::promql::quoted;
use crate::signals::text::{literal, printed, step};

/// Names of the alerts. Which objective, and which of its windows, is in their labels.
pub(super) const BURNING: &str = "ErrorBudgetBurn";
pub(super) const UNMEASURED: &str = "ObjectiveUnmeasured";

/// Between conditions on recorded series of different windows.
const AND: &str = " and ignoring (window) ";

/// How long a page goes on after its condition has ended: one that ends and begins again wakes people twice.
const KEEP_PAGING: &str = "5m";
/// How long series must be gone before a person is called. A rollout and a restart of Prometheus are shorter.
const GONE_SECONDS: u32 = 600;
/// How long a new service may count nothing before somebody is told.
const NEVER_SECONDS: u32 = 3_600;

/// The alerting rules, each with its proof.
pub(super) fn alerts(goal: &Goal<'_>) -> Vec<Alert> {
    let burns = goal.burns.iter().map(|burn| burning(goal, *burn));
    let unmeasured = goal.unmeasured.then(|| [gone(goal), never(goal)]);
    burns.chain(unmeasured.into_iter().flatten()).collect()
}

/// Both windows burn, and there are enough bad events to speak of.
fn burning(goal: &Goal<'_>, burn: Burn) -> Alert {
    let severity = burn.severity;
    let (long, short) = (duration::text(burn.long), duration::text(burn.short));
    let (threshold, percent) = (goal.threshold(burn).decimal(), goal.threshold(burn).percent());
    let above = |window: &str| [&goal.series(ERROR_RATIO, window), " > ", &threshold].concat();
    let mut expr = [&above(&long), AND, &above(&short)].concat();
    if goal.min_bad_events > 0 {
        // Half an event less, because increase() does not count in whole numbers.
        let floor = Share::new(u64::from(goal.min_bad_events) * 2 - 1, 2).decimal();
        expr = [&expr, AND, &goal.series(BAD_EVENTS, &long), " > ", &floor].concat();
    }
    let (fires, silent) = proof(goal, |goal| drills::burning(goal, burn));
    let summary = format!("The error budget of the objective {} burns too fast.", named(goal));
    let text = burning_text(goal, burn, [&long, &short, &percent]);
    let condition = format!("the last {long} and the last {short} both have more than {percent} bad events");
    let mut labels = labels(goal, severity);
    labels.extend([("long".to_owned(), long), ("short".to_owned(), short)]);
    Alert {
        name: BURNING.to_owned(),
        expr,
        severity,
        // No symptom: a page without a `for` is out before the cause that would mute it.
        role: None,
        r#for: "0s".to_owned(),
        keep_firing_for: (severity == Severity::Critical).then(|| KEEP_PAGING.to_owned()),
        labels,
        annotations: annotations(goal, BURNING, &summary, &text, &goal.indicator.first),
        runbook: runbook(goal, &summary, condition, &goal.indicator.first),
        onset_seconds: shortest(goal.service.interval_seconds),
        reach_seconds: burn.short,
        fires,
        silent,
    }
}

/// The proof of an alert, where anybody wants it: to compute it costs as much as the rules.
fn proof(goal: &Goal<'_>, cases: impl FnOnce(&Goal<'_>) -> drills::Cases) -> drills::Cases {
    if goal.service.known.has_drills() {
        cases(goal)
    } else {
        drills::Cases::default()
    }
}

/// `percent` is the threshold.
fn burning_text(goal: &Goal<'_>, burn: Burn, [long, short, percent]: [&str; 3]) -> String {
    let Texts {
        period, target, budget, ..
    } = &goal.texts;
    format!(
        "{}\nOf the last {long}, {{{{ $value | humanizePercentage }}}} of the events were bad. The objective of {target} over {period} \
         allows {budget}; the alert fires while the last {long} and the last {short} are both above {percent}, {} times that. At this \
         rate the error budget of {period} is gone in {}.",
        goal.indicator.impact,
        burn.factor(goal.period).decimal(),
        duration::text(burn.exhausted_after()),
    )
}

/// It was measured within its window, and is not any more.
fn gone(goal: &Goal<'_>) -> Alert {
    let expr = format!("{} unless on () {}", history(goal), measured(goal));
    unmeasured(
        goal,
        Severity::Critical,
        GONE_SECONDS,
        expr,
        &format!("The objective {} is not measured any more.", named(goal)),
        "Its series are gone, so that nobody would see it if the objective were missed now.",
        proof(goal, drills::gone),
    )
}

/// The service is scraped, and what is to be measured was never there.
fn never(goal: &Goal<'_>) -> Alert {
    let up = format!(
        "group(up{{namespace={},job={}}} == 1)",
        quoted(goal.service.namespace),
        quoted(goal.service.job)
    );
    let expr = format!("{up} unless on () {} unless on () {}", measured(goal), history(goal));
    unmeasured(
        goal,
        Severity::Warning,
        NEVER_SECONDS,
        expr,
        &format!("The objective {} was never measured.", named(goal)),
        "The service is scraped, but the series of the objective are not there: either nothing was ever counted, or the \
         service counts under another name.",
        proof(goal, drills::never),
    )
}

fn unmeasured(
    goal: &Goal<'_>,
    severity: Severity,
    for_seconds: u32,
    expr: String,
    summary: &str,
    text: &str,
    (fires, silent): drills::Cases,
) -> Alert {
    let needs: Vec<String> = goal.indicator.needs.iter().map(|needed| literal(needed)).collect();
    let first = [
        format!("What Prometheus has of it now: {}", needs.join(" and ")),
        format!(
            "Whether the pods run and are scraped: kubectl get pods -n {}",
            literal(goal.service.namespace)
        ),
        format!(
            "Whether it began with a rollout: kubectl rollout history {}/{} -n {}",
            goal.service.target_kind.as_str().to_lowercase(),
            literal(goal.service.target_name),
            literal(goal.service.namespace)
        ),
    ];
    Alert {
        name: UNMEASURED.to_owned(),
        expr,
        severity,
        role: None,
        r#for: duration::text(for_seconds),
        keep_firing_for: None,
        labels: labels(goal, severity),
        annotations: annotations(goal, UNMEASURED, summary, text, &first),
        runbook: runbook(
            goal,
            summary,
            format!("it is so for {}", duration::text(for_seconds)),
            &first,
        ),
        onset_seconds: shortest(goal.service.interval_seconds),
        reach_seconds: goal.service.interval_seconds,
        fires,
        silent,
    }
}

/// It holds while every metric that the objective needs is there, whatever its labels: a service that nobody asks
/// still counts its probes.
fn measured(goal: &Goal<'_>) -> String {
    let groups: Vec<String> = goal
        .indicator
        .needs
        .iter()
        .map(|needed| format!("group({needed})"))
        .collect();
    match groups.as_slice() {
        [one] => one.clone(),
        _ => format!("({})", groups.join(" and on () ")),
    }
}

/// It holds while anything was measured within the window of the objective.
fn history(goal: &Goal<'_>) -> String {
    goal.series(BAD_EVENTS, &goal.texts.period)
}

fn labels(goal: &Goal<'_>, severity: Severity) -> BTreeMap<String, String> {
    [
        ("namespace", goal.service.namespace),
        ("service", goal.service.name),
        ("severity", severity.as_str()),
        ("objective", goal.name),
        // In place of the window of whichever series the expression begins with.
        ("window", &goal.texts.period),
    ]
    .map(|(label, value)| (label.to_owned(), literal(value)))
    .into()
}

fn runbook(goal: &Goal<'_>, summary: &str, condition: String, first: &[String]) -> Runbook {
    Runbook {
        summary: printed(summary),
        impact: printed(&goal.indicator.impact),
        signal: format!(
            "Bad events of the objective {:?}: {} of all are to be good over {}.",
            goal.name, goal.texts.target, goal.texts.period
        ),
        condition,
        first: first.iter().map(|step| printed(step)).collect(),
    }
}

fn annotations(goal: &Goal<'_>, alert: &str, summary: &str, text: &str, first: &[String]) -> BTreeMap<String, String> {
    let steps = first.iter().zip(1..).map(|(text, number)| step(number, text));
    let lines: Vec<String> = [text.to_owned(), "What to look at first:".to_owned()]
        .into_iter()
        .chain(steps)
        .collect();
    let mut annotations = BTreeMap::from([
        ("summary".to_owned(), summary.to_owned()),
        ("description".to_owned(), lines.join("\n")),
    ]);
    if let Some(base) = goal.service.runbook_base {
        let url = names::runbook_url(base, alert);
        annotations.insert("runbook_url".to_owned(), literal(&url));
    }
    annotations
}

fn named(goal: &Goal<'_>) -> String {
    literal(&format!("{:?}", goal.name))
}
