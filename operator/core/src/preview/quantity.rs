//! Numbers with their unit, as short as they can be read.

use crate::grafana::Unit;

/// Steps of powers of ten.
const TENS: [(f64, &str); 5] = [(1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, "")];
/// Steps of powers of 1024.
const BYTES: [(f64, &str); 5] = [
    (1_099_511_627_776.0, " TiB"),
    (1_073_741_824.0, " GiB"),
    (1_048_576.0, " MiB"),
    (1024.0, " KiB"),
    (1.0, " B"),
];
/// Steps of time, each from where the one below it gets hard to read.
const TIMES: [(f64, f64, &str); 6] = [
    (172_800.0, 86_400.0, " d"),
    (7200.0, 3600.0, " h"),
    (120.0, 60.0, " min"),
    (1.0, 1.0, " s"),
    (1e-3, 1e-3, " ms"),
    (0.0, 1e-6, " µs"),
];

/// How numbers of a size are written.
#[derive(Clone, Copy)]
pub(super) struct Scale {
    before: &'static str,
    /// What stands for one.
    pub(super) one: f64,
    prefix: &'static str,
    after: &'static str,
}

impl Scale {
    /// How numbers up to this size are written.
    pub(super) fn of(unit: Unit, size: f64) -> Self {
        let size = size.abs();
        let tens = |before, after| {
            let (one, prefix) = of_steps(&TENS, size);
            Self {
                before,
                one,
                prefix,
                after,
            }
        };
        let bytes = |after| {
            let (one, prefix) = of_steps(&BYTES, size);
            Self {
                before: "",
                one,
                prefix,
                after,
            }
        };
        match unit {
            Unit::Ratio => Self {
                before: "",
                one: 0.01,
                prefix: "",
                after: "%",
            },
            Unit::Seconds => {
                let step = TIMES.iter().find(|(from, ..)| size >= *from);
                // Nothing is written in seconds.
                let (_, one, after) = step.filter(|_| size > 0.0).unwrap_or(&TIMES[3]);
                Self {
                    before: "",
                    one: *one,
                    prefix: "",
                    after,
                }
            }
            Unit::Bytes => bytes(""),
            Unit::BytesPerSecond => bytes("/s"),
            Unit::RequestsPerSecond => tens("", " req/s"),
            Unit::OperationsPerSecond => tens("", " ops/s"),
            Unit::DiskOperationsPerSecond => tens("", " io/s"),
            Unit::CountsPerMinute => tens("", " /min"),
            Unit::Usd => tens("$", ""),
            Unit::Number => tens("", ""),
        }
    }

    /// A number with so many digits after its point.
    pub(super) fn fixed(&self, value: f64, decimals: usize) -> String {
        self.wrapped(&format!("{:.decimals$}", value / self.one))
    }

    fn wrapped(&self, number: &str) -> String {
        // Minus nought is nought.
        let is_zero = number.chars().all(|c| matches!(c, '-' | '0' | '.'));
        let number = if is_zero {
            number.trim_start_matches('-')
        } else {
            number
        };
        match number.strip_prefix('-') {
            Some(number) => format!("-{}{number}{}{}", self.before, self.prefix, self.after),
            None => format!("{}{number}{}{}", self.before, self.prefix, self.after),
        }
    }
}

fn of_steps(steps: &[(f64, &'static str)], size: f64) -> (f64, &'static str) {
    let found = steps.iter().find(|(one, _)| size >= *one).or(steps.last());
    found.copied().unwrap_or((1.0, ""))
}

/// A number with its unit, with three digits.
pub(super) fn text(unit: Unit, value: f64) -> String {
    if value.is_nan() {
        return "not a number".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "∞" } else { "-∞" }.to_owned();
    }
    let scale = Scale::of(unit, value);
    let shown = value / scale.one;
    if shown != 0.0 && shown.abs() < 1e-6 {
        return scale.wrapped(&format!("{shown:.2e}"));
    }
    let magnitude = if shown == 0.0 { 0.0 } else { shown.abs().log10().floor() };
    // Between 0 and 8, because what is smaller was written above.
    let decimals = (2.0 - magnitude).clamp(0.0, 8.0) as usize;
    let number = format!("{shown:.decimals$}");
    let number = match number.split_once('.') {
        Some(_) => number.trim_end_matches('0').trim_end_matches('.'),
        None => &number,
    };
    scale.wrapped(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_written_in_the_step_of_its_unit_that_is_short() {
        for (unit, value, written) in [
            (Unit::Ratio, 0.05, "5%"),
            (Unit::Ratio, 0.001_234, "0.123%"),
            (Unit::Ratio, -0.25, "-25%"),
            (Unit::Seconds, 0.25, "250 ms"),
            (Unit::Seconds, 0.0, "0 s"),
            (Unit::Seconds, 2.5, "2.5 s"),
            (Unit::Seconds, 600.0, "10 min"),
            (Unit::Seconds, 1_209_600.0, "14 d"),
            (Unit::Bytes, 536_870_912.0, "512 MiB"),
            (Unit::BytesPerSecond, 2048.0, "2 KiB/s"),
            (Unit::RequestsPerSecond, 12.34, "12.3 req/s"),
            (Unit::CountsPerMinute, 120_000.0, "120k /min"),
            (Unit::Usd, -1500.0, "-$1.5k"),
            (Unit::Number, -0.0, "0"),
            (Unit::Number, 1e-9, "1.00e-9"),
            (Unit::Number, f64::NAN, "not a number"),
            (Unit::Number, f64::INFINITY, "∞"),
        ] {
            assert_eq!(text(unit, value), written, "{unit:?} {value}");
        }
    }
}
