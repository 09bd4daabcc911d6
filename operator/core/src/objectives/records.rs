//! What is recorded for an objective.
//!
//! Events are counted, never averaged: of each window the number of all events and of the bad ones, and their ratio.
//! Windows up to six hours are counted from what is scraped. Longer ones add up what was counted in the shortest window
//! at every evaluation: with an evaluation every `i` seconds and a window of `w` seconds each event is in `w / i` of
//! them, so that their sum times `i / w` counts it once. An evaluation that did not happen is missing in both numbers,
//! and an event weighs the same whenever it was.

use std::collections::BTreeMap;

use super::burn::{LONGEST_RAW, shortest, windows};
use super::goal::{BAD_EVENTS, BUDGET, ERROR_RATIO, EVENTS, Goal, Texts};
use crate::duration;
use crate::plan::{Counted, Part, Record};

/// The recording rules, each after those that it reads.
pub(super) fn records(goal: &Goal<'_>) -> Vec<Record> {
    let interval = goal.service.interval_seconds;
    let mut records = Vec::new();
    let least = shortest(interval);
    let least_text = duration::text(least);
    for seconds in windows(interval, goal.period) {
        let window = &duration::text(seconds);
        let (events, bad) = if seconds <= LONGEST_RAW {
            counted(goal, window)
        } else {
            let added = |record| {
                let recorded = goal.series(record, &least_text);
                format!("sum_over_time({recorded}[{window}]) * {interval} / {least}")
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

/// All events and the bad ones of a window, from what is scraped.
fn counted(goal: &Goal<'_>, window: &str) -> (String, String) {
    let grown = |selector: &str| ["sum(increase(", selector, "[", window, "]))"].concat();
    let increase = |selector: &str| match goal.indicator.counted {
        Counted::Counters => grown(selector),
        Counted::Natives => format!("histogram_count({})", grown(selector)),
    };
    let all = goal.series(EVENTS, window);
    let events = increase(&goal.indicator.total);
    let bad = match &goal.indicator.part {
        // A counter of errors appears with the first error. Until then there was none.
        Part::Bad(bad) => format!("{} or on () 0 * {all}", increase(bad)),
        // increase() guesses what happened at the ends of its range, so that the good ones can seem more than all.
        Part::Good(good) => format!("clamp_min({all} - on () ({} or on () 0 * {all}), 0)", increase(good)),
        Part::Within(within) => match (goal.indicator.counted, &goal.bound) {
            // Without an event there is no share of them, and none was bad.
            (Counted::Natives, Some(bound)) => {
                let histogram = grown(within);
                let good = format!("histogram_fraction(0, {bound}, {histogram}) * (histogram_count({histogram}) > 0)");
                format!("clamp_min({all} - on () ({good} or on () 0 * {all}), 0)")
            }
            (Counted::Natives | Counted::Counters, _) => {
                format!("clamp_min({all} - on () {}, 0)", increase(within))
            }
        },
    };
    (events, bad)
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
