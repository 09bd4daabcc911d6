//! The page: rows, panels, and what is said where there is nothing to draw.

use std::collections::BTreeSet;

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::chart::{self, Line};
use super::marks::{self, Mark};
use super::{Answer, Answers, Span, asked, axis, named, quantity};
use crate::grafana::{self, Annotation, Dashboard, Panel, PanelKind, Row};

const STYLE: &str = include_str!("page.css");
/// The browser loads nothing for the page, and runs nothing in it.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'";

/// The dashboard as one HTML page. `source` says where the values come from.
pub fn page(dashboard: &Dashboard, span: &Span, answers: &Answers, source: &str) -> String {
    let drawn = Drawn {
        dashboard,
        span,
        answers,
    };
    let marked = dashboard
        .annotations
        .iter()
        .map(|annotation| (annotation, drawn.answer(&annotation.expr)));
    let marked: Vec<(&Annotation, Answer)> = marked.collect();
    let marks: Vec<Mark<'_>> = marked
        .iter()
        .flat_map(|(annotation, answer)| marks::marks(annotation, answer, span))
        .collect();
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (dashboard.title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                h1 { (dashboard.title) }
                p.help { (dashboard.description) }
                p.source {
                    (source) ", " (axis::moment(span.start, span.clock)) " to " (axis::moment(span.end, span.clock)) "."
                }
                @for (annotation, answer) in &marked { (drawn.marked(annotation, answer, &marks)) }
                @for row in dashboard.rows.iter().filter(|row| !row.panels.is_empty()) { (drawn.row(row, &marks)) }
            }
        }
    };
    page.into_string()
}

/// What is drawn.
struct Drawn<'a> {
    dashboard: &'a Dashboard,
    span: &'a Span,
    answers: &'a Answers,
}

impl Drawn<'_> {
    fn answer(&self, expr: &str) -> Answer {
        let missing = || Err("it was not asked".to_owned());
        self.answers.get(expr).cloned().unwrap_or_else(missing)
    }

    /// What is marked on every panel, in words.
    fn marked(&self, annotation: &Annotation, answer: &Answer, marks: &[Mark<'_>]) -> Markup {
        let own: Vec<&Mark<'_>> = marks.iter().filter(|mark| mark.annotation == annotation).collect();
        html! {
            @if let Err(words) = answer {
                p.failed { (annotation.name) ": the query failed: " (words) }
            } @else if own.is_empty() {
                p { (annotation.name) ": none in this time." }
            } @else {
                @for mark in own {
                    p.firing {
                        (annotation.name) ": " (mark.title) ", "
                        (axis::moment(mark.from, self.span.clock)) " to " (axis::moment(mark.to, self.span.clock)) "."
                    }
                }
            }
        }
    }

    fn row(&self, row: &Row, marks: &[Mark<'_>]) -> Markup {
        html! {
            h2 { (row.title) }
            div.row {
                @for (panel, columns) in row.panels.iter().zip(grafana::widths(row)) {
                    section.panel style={"grid-column: span " (columns)} {
                        h3 { (panel.title) }
                        (self.panel(panel, marks, columns))
                        p.help { (panel.description) }
                        details {
                            summary { "Queries" }
                            @for query in &panel.queries { pre { (asked(self.dashboard, query, self.span)) } }
                        }
                    }
                }
            }
        }
    }

    fn panel(&self, panel: &Panel, marks: &[Mark<'_>], columns: usize) -> Markup {
        let answers = panel.queries.iter().map(|query| {
            let answer = self.answer(&asked(self.dashboard, query, self.span));
            (query, answer)
        });
        let answers: Vec<_> = answers.collect();
        let lines = answers.iter().flat_map(|(query, answer)| {
            let series = answer.iter().flatten().filter(|series| !series.points.is_empty());
            series.map(|series| Line {
                name: named(&query.legend, &series.labels),
                series,
            })
        });
        let lines: Vec<Line<'_>> = lines.collect();
        html! {
            @for words in answers.iter().filter_map(|(_, answer)| answer.as_ref().err()) {
                p.failed { "The query failed: " (words) }
            }
            @match (panel.kind, lines.as_slice()) {
                (_, []) => p.none { "no data" },
                (PanelKind::Stat, lines) => (self.stat(panel, lines)),
                (PanelKind::Table, lines) => (self.table(lines)),
                (PanelKind::Timeseries, lines) => (chart::chart(panel, self.span, lines, marks, columns)),
            }
        }
    }

    /// The labels of the series that are there at the end, a line for each.
    fn table(&self, lines: &[Line<'_>]) -> Markup {
        let is_now = |line: &&Line<'_>| {
            line.series
                .points
                .last()
                .is_some_and(|(second, _)| second + i64::from(self.span.step) > self.span.end)
        };
        let now: Vec<&Line<'_>> = lines.iter().filter(is_now).collect();
        let labels: BTreeSet<&String> = now.iter().flat_map(|line| line.series.labels.keys()).collect();
        html! {
            @if now.is_empty() { p.none { "no data at the end of this time" } } @else {
                table.list {
                    thead { tr { @for label in &labels { th { (label) } } } }
                    tbody {
                        @for line in now {
                            tr { @for label in &labels { td { (line.series.labels.get(*label).map_or("", String::as_str)) } } }
                        }
                    }
                }
            }
        }
    }

    /// The last value of each series, as Grafana shows it: also when it is older than the end.
    fn stat(&self, panel: &Panel, lines: &[Line<'_>]) -> Markup {
        let last = |line: &Line<'_>| {
            line.series
                .points
                .iter()
                .rev()
                .find(|(_, value)| !value.is_nan())
                .copied()
        };
        // What no alert judges is neither good nor bad.
        let color = |value: f64| {
            let judged = !panel.thresholds.is_empty();
            judged.then(|| format!("color: {}", grafana::meaning(&panel.thresholds, value).as_str()))
        };
        html! {
            @for line in lines {
                @if let Some((second, value)) = last(line) {
                    p.value style=[color(value)] {
                        (quantity::text(panel.unit, value))
                    }
                    @if second + i64::from(self.span.step) < self.span.end {
                        p.help { "last seen at " (axis::moment(second, self.span.clock)) }
                    }
                    @if panel.has_names() { p.help { (line.name) } }
                } @else {
                    p.none { "no data" }
                }
            }
        }
    }
}
