//! Axes: where they begin and end, and what is written on them.

use jiff::Timestamp;

use super::quantity::Scale;
use super::{Clock, Span};
use crate::duration;
use crate::grafana::Panel;

/// Most parts of an axis of values.
const PARTS: f64 = 5.0;
/// Most parts of an axis of time.
const TIME_PARTS: i64 = 8;
/// Steps of time that people count in.
const TIME_STEPS: [i64; 19] = [
    1, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400, 172_800, 604_800,
];
const DAY: i64 = 86_400;
const MONTH: i64 = 30 * DAY;

/// An axis.
pub(super) struct Axis<T> {
    /// Where it begins.
    pub(super) low: T,
    /// Where it ends.
    pub(super) high: T,
    /// What is written on it, and where.
    pub(super) ticks: Vec<(T, String)>,
}

/// The axis of a panel's values. The panel's own ends hold; else it ends at a round number beyond what is drawn.
pub(super) fn of_values(panel: &Panel, values: impl Iterator<Item = f64>) -> Axis<f64> {
    let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
    for value in values.filter(|value| value.is_finite()) {
        (low, high) = (low.min(value), high.max(value));
    }
    if low > high {
        (low, high) = (0.0, 1.0);
    }
    let is_end = |end: &f64| end.is_finite();
    let (min, max) = (panel.min.filter(is_end), panel.max.filter(is_end));
    // A threshold is drawn where it does not make a flat line of the values.
    let reach = low.abs().max(high.abs()) * 2.0;
    for threshold in panel
        .thresholds
        .iter()
        .filter(|threshold| threshold.value.abs() <= reach)
    {
        (low, high) = (low.min(threshold.value), high.max(threshold.value));
    }
    low = min.unwrap_or(low);
    high = max.unwrap_or(high);
    // Of two numbers that are alike nothing can be read.
    if high - low <= (high.abs() + low.abs()) * 1e-9 {
        let room = if high == 0.0 { 1.0 } else { high.abs() };
        high += room;
        if min.is_none() && low != 0.0 {
            low -= room;
        }
    }
    let scale = Scale::of(panel.unit, high.abs().max(low.abs()));
    let step = round((high - low) / scale.one / PARTS) * scale.one;
    if min.is_none() {
        low = (low / step).floor() * step;
    }
    if max.is_none() {
        high = (high / step).ceil() * step;
    }
    // Whole steps have as many digits as the step has.
    let decimals = (-(step / scale.one).log10().floor()).clamp(0.0, 9.0) as usize;
    let first = (low / step - 1e-9).ceil();
    let ticks = (0..=(PARTS as u32 * 3)).map(|n| (first + f64::from(n)) * step);
    let ticks = ticks.take_while(|value| *value <= high + step * 1e-6);
    let ticks = ticks.map(|value| (value, scale.fixed(value, decimals))).collect();
    Axis { low, high, ticks }
}

/// 1, 2 or 5 times a power of ten, not less than that.
fn round(step: f64) -> f64 {
    let ten = 10_f64.powf(step.log10().floor());
    let found = [1.0, 2.0, 5.0]
        .into_iter()
        .map(|times| times * ten)
        .find(|round| *round >= step * (1.0 - 1e-9));
    found.unwrap_or(10.0 * ten)
}

/// The axis of time.
pub(super) fn of_time(span: &Span) -> Axis<i64> {
    let (low, high) = (span.start, span.end.max(span.start + 1));
    let fits = |step: &i64| (high - low) / step <= TIME_PARTS;
    let months = (high - low) / TIME_PARTS / MONTH + 1;
    let step = TIME_STEPS.into_iter().find(fits).unwrap_or(months * MONTH);
    let first = low.div_euclid(step) * step;
    let ticks = (0..).map(|n| first + n * step).skip_while(|second| *second < low);
    let ticks = ticks.take_while(|second| *second <= high);
    Axis {
        low,
        high,
        ticks: ticks
            .map(|second| (second, tick(second, step, high - low, span.clock)))
            .collect(),
    }
}

fn tick(second: i64, step: i64, whole: i64, clock: Clock) -> String {
    let form = match step {
        ..60 => "%H:%M:%S",
        60..DAY if whole < DAY => "%H:%M",
        60..DAY => "%b %-d %H:%M",
        _ => "%b %-d",
    };
    written(second, form, clock)
}

/// A moment, for people.
pub(super) fn moment(second: i64, clock: Clock) -> String {
    written(second, "%F %T UTC", clock)
}

fn written(second: i64, form: &str, clock: Clock) -> String {
    match clock {
        Clock::Start => duration::text(u32::try_from(second).unwrap_or_default()),
        Clock::Utc => {
            Timestamp::from_second(second).map_or_else(|_| second.to_string(), |at| at.strftime(form).to_string())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::panel;
    use super::*;
    use crate::grafana::{Color, Threshold, Unit};

    fn ticks(panel: &Panel, values: &[f64]) -> Vec<String> {
        let axis = of_values(panel, values.iter().copied());
        axis.ticks.into_iter().map(|(_, text)| text).collect()
    }

    #[test]
    fn an_axis_ends_at_round_numbers_beyond_the_values_unless_the_panel_says_where() {
        let mut panel = panel("Rate");
        panel.min = None;
        assert_eq!(ticks(&panel, &[0.0, 0.43]), ["0%", "10%", "20%", "30%", "40%", "50%"]);
        (panel.min, panel.max) = (Some(0.0), Some(1.0));
        assert_eq!(ticks(&panel, &[0.3, 0.43]), ["0%", "20%", "40%", "60%", "80%", "100%"]);
        assert_eq!(ticks(&panel, &[]).len(), 6);
    }

    #[test]
    fn an_axis_has_ticks_whatever_the_values_are() {
        for unit in [Unit::Number, Unit::Seconds, Unit::Bytes, Unit::Ratio] {
            for values in [
                vec![],
                vec![0.0],
                vec![1.0],
                vec![-3.0, -3.0],
                vec![1e-12],
                vec![1e300],
                vec![f64::NAN, f64::INFINITY],
                vec![-1e9, 1e9],
            ] {
                let panel = Panel {
                    unit,
                    min: None,
                    max: None,
                    ..panel("Any")
                };
                let axis = of_values(&panel, values.iter().copied());
                assert!(
                    axis.low < axis.high && (2..=16).contains(&axis.ticks.len()),
                    "{unit:?} {values:?} {:?}",
                    axis.ticks
                );
            }
        }
    }

    #[test]
    fn a_threshold_is_in_sight_unless_it_would_flatten_the_values() {
        let with = |value| Panel {
            thresholds: vec![Threshold {
                value,
                above: true,
                color: Color::Red,
            }],
            ..panel("Rate")
        };
        assert!(of_values(&with(0.05), [0.03].into_iter()).high >= 0.05);
        assert!(of_values(&with(500.0), [0.03].into_iter()).high < 1.0);
    }

    #[test]
    fn time_is_written_in_steps_that_people_count_in() {
        let span = |end, clock| Span {
            start: 0,
            end,
            step: 5,
            clock,
        };
        let ticks = |span: Span| {
            of_time(&span)
                .ticks
                .into_iter()
                .map(|(_, text)| text)
                .collect::<Vec<_>>()
        };
        assert_eq!(
            ticks(span(240, Clock::Start)),
            ["0s", "30s", "1m", "1m30s", "2m", "2m30s", "3m", "3m30s", "4m"]
        );
        assert_eq!(
            ticks(span(10_800, Clock::Utc)),
            ["00:00", "00:30", "01:00", "01:30", "02:00", "02:30", "03:00"]
        );
        assert_eq!(ticks(span(3 * DAY, Clock::Utc))[..2], ["Jan 1 00:00", "Jan 1 12:00"]);
        assert!(ticks(span(100 * 365 * DAY, Clock::Utc)).len() <= 10);
    }
}
