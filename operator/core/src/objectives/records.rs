//! What is recorded for an objective.
//!
//! Events are counted, never averaged: of each window the number of all events and of the bad ones, and their ratio.
//! Windows up to six hours are counted from what is scraped. Of longer ones the last six hours are that count, and before
//! them it is added up what was counted in the shortest window at every evaluation: with an evaluation every `i` seconds
//! and a window of `w` seconds each event is in `w / i` of them, so that their sum times `i / w` counts it once. What is
//! newest in such a sum is in fewer evaluations: an increase over `w` reaches from its first sample to its last, `w - i`,
//! so that `(w - 2i) / 2` seconds are missing on average. By so much the sum begins later than six hours ago. An
//! evaluation that did not happen is missing in both numbers, and an event weighs the same whenever it was.

use std::collections::BTreeMap;
use std::time::Duration;

use super::burn::{LONGEST_RAW, shortest, windows};
use super::goal::{BAD_EVENTS, BUDGET, ERROR_RATIO, EVENTS, Goal, Texts};
use crate::duration;
use crate::plan::{Events, Part, Record};

/// The recording rules, each after those that it reads.
pub(super) fn records(goal: &Goal<'_>) -> Vec<Record> {
    let interval = goal.service.interval_seconds;
    let mut records = Vec::new();
    let least = shortest(interval);
    let (least_text, latest_text) = (duration::text(least), duration::text(LONGEST_RAW));
    let offset = duration::text(LONGEST_RAW - (least - 2 * interval) / 2);
    for seconds in windows(interval, goal.period) {
        let window = &duration::text(seconds);
        let (events, bad) = if seconds <= LONGEST_RAW {
            counted(goal, seconds, window)
        } else {
            let range = duration::text(seconds - LONGEST_RAW);
            let added = |record| {
                let (latest, each) = (goal.series(record, &latest_text), goal.series(record, &least_text));
                // They have another label `window`: of the two, what is there is added up.
                format!("sum({latest} or sum_over_time({each}[{range}] offset {offset}) * {interval} / {least})")
            };
            (added(EVENTS), added(BAD_EVENTS))
        };
        // Without an event there is no ratio: 0 by 0 would be NaN, which spoils whatever is computed from it.
        let (bad_events, all) = (goal.series(BAD_EVENTS, window), goal.series(EVENTS, window));
        let ratio = [&bad_events, " / (", &all, " > 0)"].concat();
        for (name, expr) in [(EVENTS, events), (BAD_EVENTS, bad), (ERROR_RATIO, ratio)] {
            records.push(record(goal, name, window, expr));
        }
    }
    let Texts {
        period, budget_decimal, ..
    } = &goal.texts;
    let left = format!("1 - {} / {budget_decimal}", goal.series(ERROR_RATIO, period));
    records.push(record(goal, BUDGET, period, left));
    records
}

/// All events and the bad ones of a window of so many seconds, which `window` are as a duration, from what is scraped.
fn counted(goal: &Goal<'_>, seconds: u32, window: &str) -> (String, String) {
    let all = goal.series(EVENTS, window);
    let increase = |events: &Events| match events {
        Events::Counters(selector) => grown(selector, window),
        Events::Natives(selector) => format!("histogram_count({})", grown(selector, window)),
        Events::Expression(expr) => format!("sum({})", expr.over(Duration::from_secs(seconds.into()))),
    };
    let bad = match &goal.indicator.part {
        // A counter of errors appears with the first error. Until then there was none.
        Part::Bad(bad) => format!("{} or on () 0 * {all}", increase(bad)),
        // increase() guesses what happened at the ends of its range, so that the good ones can seem more than all.
        Part::Good(good) => format!("clamp_min({all} - on () ({} or on () 0 * {all}), 0)", increase(good)),
        Part::Within(within) => match (within, &goal.bound) {
            // Without an event there is no share of them, and none was bad.
            (Events::Natives(within), Some(bound)) => {
                let histogram = grown(within, window);
                let good = format!("histogram_fraction(0, {bound}, {histogram}) * (histogram_count({histogram}) > 0)");
                format!("clamp_min({all} - on () ({good} or on () 0 * {all}), 0)")
            }
            _ => format!("clamp_min({all} - on () {}, 0)", increase(within)),
        },
    };
    (increase(&goal.indicator.total), bad)
}

fn grown(selector: &str, window: &str) -> String {
    ["sum(increase(", selector, "[", window, "]))"].concat()
}

fn record(goal: &Goal<'_>, name: &str, window: &str, expr: String) -> Record {
    Record {
        name: name.to_owned(),
        expr,
        labels: BTreeMap::from([
            ("namespace".to_owned(), goal.service.namespace.to_owned()),
            ("service".to_owned(), goal.service.name.to_owned()),
            ("objective".to_owned(), goal.name.to_owned()),
            ("window".to_owned(), window.to_owned()),
        ]),
    }
}
