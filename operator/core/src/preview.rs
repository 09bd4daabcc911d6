//! A dashboard drawn as one page that needs nothing but a browser: what is asked for it, and the page itself.
//!
//! Every text comes in as data and is escaped by maud; the page's own policy lets it load and run nothing.

mod axis;
mod chart;
mod marks;
mod page;
mod quantity;

use std::collections::{BTreeMap, BTreeSet};

use crate::drill::replay::{Replay, Replayed};
use crate::duration;
use crate::grafana::{Dashboard, Query, Variable};

pub use page::page;

/// The shortest window that Grafana puts for `$__rate_interval`, in steps of the series.
const STEPS_IN_WINDOW: u32 = duration::INTERVALS_IN_WINDOW;

/// Moments of a page about the last hours, one for every few points of a chart.
const MOMENTS: u32 = 180;

/// The time that a page shows.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Span {
    /// First second.
    pub start: i64,
    /// Last second.
    pub end: i64,
    /// Seconds between two values.
    pub step: u32,
    /// What the seconds are counted from.
    pub clock: Clock,
}

/// What seconds are counted from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Clock {
    /// 1970, as everywhere: the page shows times in UTC.
    Utc,
    /// The start of what is shown.
    Start,
}

impl Span {
    /// The last so many seconds, for series that are scraped in such an interval.
    pub fn last(seconds: u32, now: i64, interval_seconds: u32) -> Self {
        let step = (seconds / MOMENTS).max(interval_seconds).max(1);
        // At a multiple of the step, so that the same moment has the same value a little later.
        let end = now - now.rem_euclid(i64::from(step));
        Self {
            start: end - i64::from(seconds),
            end,
            step,
            clock: Clock::Utc,
        }
    }

    /// The whole of a drill.
    pub fn of(replay: &Replay) -> Self {
        Self {
            start: 0,
            end: i64::from(replay.length_seconds()),
            step: replay.step_seconds(),
            clock: Clock::Start,
        }
    }
}

/// A series with its values.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Series {
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its values, by second, in order.
    pub points: Vec<(i64, f64)>,
}

/// What was answered: the series, or why there is no answer.
pub type Answer = Result<Vec<Series>, String>;

/// Answers by what was asked.
pub type Answers = BTreeMap<String, Answer>;

/// What a drill said, as answers. An expression that failed at any moment has failed.
pub fn replayed(expressions: &BTreeSet<String>, mut replayed: Replayed) -> Answers {
    let mut answers = Answers::new();
    for expression in expressions {
        let mut all: BTreeMap<BTreeMap<String, String>, Vec<(i64, f64)>> = BTreeMap::new();
        let mut failed = None;
        for (second, said) in replayed.remove(expression).unwrap_or_default() {
            match said {
                Ok(samples) => {
                    for (labels, value) in samples {
                        all.entry(labels).or_default().push((second, value));
                    }
                }
                Err(words) => failed = failed.or(Some(words)),
            }
        }
        let series = all.into_iter().map(|(labels, points)| Series { labels, points });
        answers.insert(expression.clone(), failed.map_or_else(|| Ok(series.collect()), Err));
    }
    answers
}

/// Everything that is asked for a page, without a variable of Grafana.
pub fn questions(dashboard: &Dashboard, span: &Span) -> BTreeSet<String> {
    let panels = dashboard.rows.iter().flat_map(|row| &row.panels);
    let queries = panels.flat_map(|panel| &panel.queries);
    let asked = queries.map(|query| asked(dashboard, query, span));
    let marks = dashboard.annotations.iter().map(|marks| marks.expr.clone());
    asked.chain(marks).collect()
}

/// The expression with what Grafana puts for its variables.
fn asked(dashboard: &Dashboard, query: &Query, span: &Span) -> String {
    let shortest = query.step_seconds.max(1);
    let interval = span.step.max(shortest);
    let window = (interval + shortest).max(STEPS_IN_WINDOW * shortest);
    let expr = query.expr.replace("$__rate_interval", &duration::text(window));
    let expr = expr.replace("$__interval", &duration::text(interval));
    let fill = |expr: String, variable: &Variable| expr.replace(&format!("${}", variable.name), variable.unchosen());
    dashboard.variables.iter().fold(expr, fill)
}

/// A legend or title, where `{{label}}` stands for a label's value. Without one the labels themselves.
fn named(template: &str, labels: &BTreeMap<String, String>) -> String {
    let mut text = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{{") {
        let Some((label, after)) = after.split_once("}}") else {
            break;
        };
        text.push_str(before);
        text.push_str(labels.get(label.trim()).map_or("", String::as_str));
        rest = after;
    }
    text.push_str(rest);
    if text.trim().is_empty() {
        let labels = labels.iter().map(|(label, value)| format!("{label}={value:?}"));
        text = format!("{{{}}}", labels.collect::<Vec<_>>().join(", "));
    }
    text
}

#[cfg(test)]
mod tests;
