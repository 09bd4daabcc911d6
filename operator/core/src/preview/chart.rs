//! A panel of lines as SVG.

use maud::{Markup, html};

use super::axis::{self, Axis};
use super::marks::Mark;
use super::{Series, Span, quantity};
use crate::grafana::Panel;

/// Height of a chart, and the room around its plot for what is written there, in the units of the drawing.
const HEIGHT: f64 = 220.0;
const LEFT: f64 = 76.0;
const RIGHT: f64 = 14.0;
const TOP: f64 = 8.0;
const BOTTOM: f64 = 22.0;
/// Units of the drawing for a column of the grid.
const COLUMN: f64 = 58.0;
/// Most lines that can be told apart, and that a browser draws without effort.
const MOST_LINES: usize = 24;
/// Colours that are told apart, also by most people who see few colours.
const PALETTE: [&str; 12] = [
    "#3274d9", "#e0a300", "#37872d", "#c4162a", "#8f3bb8", "#1f9e9e", "#ad4800", "#5a6ff0", "#7c8a00", "#d6508f",
    "#444c5c", "#66a3ff",
];

/// A line of a chart.
pub(super) struct Line<'a> {
    /// Its name in the legend.
    pub(super) name: String,
    /// Its values.
    pub(super) series: &'a Series,
}

/// The lines with axes, thresholds, marks and a legend.
pub(super) fn chart(panel: &Panel, span: &Span, lines: &[Line<'_>], marks: &[Mark<'_>], columns: usize) -> Markup {
    let (shown, more) = lines.split_at(lines.len().min(MOST_LINES));
    let values = shown
        .iter()
        .flat_map(|line| &line.series.points)
        .map(|(_, value)| *value);
    let plot = Plot {
        width: columns as f64 * COLUMN - LEFT - RIGHT,
        height: HEIGHT - TOP - BOTTOM,
        values: axis::of_values(panel, values),
        time: axis::of_time(span),
    };
    html! {
        svg viewBox={"0 0 " (columns as f64 * COLUMN) " " (HEIGHT)} role="img" aria-label=(panel.title) {
            (plot.grid())
            svg x=(LEFT) y=(TOP) width=(plot.width) height=(plot.height) {
                @for mark in marks { (plot.mark(mark)) }
                @for threshold in panel.thresholds.iter().filter(|threshold| threshold.value.is_finite()) {
                    @let y = plot.y(threshold.value);
                    line class="threshold" x1="0" x2=(plot.width) y1=(y) y2=(y) stroke=(threshold.color.as_str()) {}
                }
                @for (line, color) in shown.iter().zip(PALETTE.iter().cycle()) { (plot.line(line, color, span.step)) }
            }
        }
        (legend(panel, shown))
        @if !more.is_empty() { p.more { "and " (more.len()) " more series that are not drawn" } }
    }
}

/// Where the lines are.
struct Plot {
    width: f64,
    height: f64,
    values: Axis<f64>,
    time: Axis<i64>,
}

impl Plot {
    fn x(&self, second: i64) -> f64 {
        let (low, high) = (self.time.low, self.time.high);
        short((second - low) as f64 / (high - low) as f64 * self.width)
    }

    fn y(&self, value: f64) -> f64 {
        let (low, high) = (self.values.low, self.values.high);
        // A value beyond the axis is out of sight, and its number stays one that a browser reads.
        short(((high - value) / (high - low)).clamp(-9.0, 9.0) * self.height)
    }

    fn grid(&self) -> Markup {
        html! {
            @for (value, text) in &self.values.ticks {
                @let y = TOP + self.y(*value);
                line class="grid" x1=(LEFT) x2=(LEFT + self.width) y1=(y) y2=(y) {}
                text x=(LEFT - 6.0) y=(y + 4.0) text-anchor="end" { (text) }
            }
            @for (second, text) in &self.time.ticks {
                @let x = LEFT + self.x(*second);
                line class="grid" x1=(x) x2=(x) y1=(TOP) y2=(TOP + self.height) {}
                text x=(x) y=(HEIGHT - 6.0) text-anchor="middle" { (text) }
            }
        }
    }

    fn mark(&self, mark: &Mark<'_>) -> Markup {
        let (from, to) = (self.x(mark.from), self.x(mark.to));
        // What was seen once is a moment, and has to be seen.
        let width = short((to - from).max(2.0));
        html! {
            rect class="mark" x=(from) y="0" width=(width) height=(self.height) fill=(mark.annotation.color.as_str()) {
                title { (mark.annotation.name) ": " (mark.title) }
            }
        }
    }

    fn line(&self, line: &Line<'_>, color: &str, step: u32) -> Markup {
        let mut path = String::new();
        let mut alone = Vec::new();
        for part in parts(&line.series.points, step) {
            if let [(second, value)] = part {
                alone.push((self.x(*second), self.y(*value)));
            }
            for (n, (second, value)) in part.iter().enumerate() {
                path.push_str(if n == 0 { "M" } else { "L" });
                path.push_str(&format!("{} {}", self.x(*second), self.y(*value)));
            }
        }
        html! {
            path class="line" d=(path) stroke=(color) { title { (line.name) } }
            @for (x, y) in alone { circle cx=(x) cy=(y) r="2" fill=(color) {} }
        }
    }
}

/// A number of the drawing with as many digits as can be seen.
fn short(number: f64) -> f64 {
    (number * 10.0).round() / 10.0
}

/// The points that one stroke joins: a missing value, or one that is no number, is a gap.
fn parts(points: &[(i64, f64)], step: u32) -> impl Iterator<Item = &[(i64, f64)]> {
    let joins = move |a: &(i64, f64), b: &(i64, f64)| {
        a.1.is_finite() && b.1.is_finite() && b.0 - a.0 <= i64::from(step) * 3 / 2
    };
    points
        .chunk_by(joins)
        .filter(|part| part.iter().all(|(_, value)| value.is_finite()))
}

fn legend(panel: &Panel, lines: &[Line<'_>]) -> Markup {
    let most = |series: &Series| {
        let values = series.points.iter().map(|(_, value)| *value);
        values.filter(|value| !value.is_nan()).fold(f64::NAN, f64::max)
    };
    html! {
        table.legend {
            thead { tr { th; th; th { "last" } th { "greatest" } } }
            tbody {
                @for (line, color) in lines.iter().zip(PALETTE.iter().cycle()) {
                    tr {
                        td { svg class="key" viewBox="0 0 12 4" { rect width="12" height="4" fill=(color) {} } }
                        td { (line.name) }
                        td { @if let Some((_, last)) = line.series.points.last() { (quantity::text(panel.unit, *last)) } }
                        td { (quantity::text(panel.unit, most(line.series))) }
                    }
                }
                (thresholds(panel))
            }
        }
    }
}

/// The thresholds in words, because one can be beyond the axis.
fn thresholds(panel: &Panel) -> Markup {
    html! {
        @for threshold in &panel.thresholds {
            tr {
                td {
                    svg class="key" viewBox="0 0 12 4" {
                        line class="threshold" x1="0" x2="12" y1="2" y2="2" stroke=(threshold.color.as_str()) {}
                    }
                }
                td colspan="3" {
                    "alert " @if threshold.above { "above " } @else { "below " }
                    (quantity::text(panel.unit, threshold.value))
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_breaks_where_a_value_is_missing_or_is_no_number() {
        let points = [
            (0, 1.0),
            (5, 1.0),
            (20, 2.0),
            (25, f64::NAN),
            (30, 3.0),
            (35, f64::INFINITY),
        ];
        let parts: Vec<_> = parts(&points, 5).map(<[_]>::len).collect();
        assert_eq!(parts, [2, 1, 1]);
    }
}
