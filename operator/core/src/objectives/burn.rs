//! The windows of the burn-rate alerts, and how fast the budget goes when they fire.
//!
//! Source: The Site Reliability Workbook, chapter 5, "Alerting on SLOs", table 5-8 (recommended parameters for a 99.9 %
//! SLO): 2 % of the budget in 1 hour, 5 % in 6 hours, 10 % in 3 days; the fourth alert, 10 % in 1 day, is the one that
//! Sloth and the kubernetes-mixin add to it. The short window is a twelfth of the long one: it ends the alert soon after
//! the trouble ends.

use observed_crds::v1alpha1::Severity;

use super::share::Share;
use crate::duration::INTERVALS_IN_WINDOW;

pub(super) const HOUR: u32 = 3_600;
pub(super) const DAY: u32 = 24 * HOUR;

/// Seconds of the shortest window.
const SHORTEST: u32 = 300;
/// Seconds of the longest window that is counted from what is scraped. Longer ones are summed up from what was recorded:
/// reading every raw sample of three days at every evaluation costs ten times as much as all shorter windows together.
pub(super) const LONGEST_RAW: u32 = 6 * HOUR;

/// One burn-rate alert.
#[derive(Clone, Copy, Debug)]
pub(super) struct Burn {
    /// Percent of the budget that are gone when it fires.
    pub(super) percent: u64,
    /// Seconds of the long window.
    pub(super) long: u32,
    /// Seconds of the short window.
    pub(super) short: u32,
    pub(super) severity: Severity,
}

impl Burn {
    /// How many times faster than allowed the budget goes: `percent / 100 * period / long`. With 30 days: 14.4, 6, 3
    /// and 1.
    pub(super) fn factor(self, period: u32) -> Share {
        Share::new(self.percent * u64::from(period), 100 * u64::from(self.long))
    }

    /// Seconds in which the whole budget is gone at that rate.
    pub(super) fn exhausted_after(self) -> u32 {
        u32::try_from(u64::from(self.long) * 100 / self.percent).unwrap_or(u32::MAX)
    }
}

/// The shortest window: 5 minutes, or four scrapes if that is longer.
pub(super) fn shortest(interval: u32) -> u32 {
    SHORTEST.max(interval.saturating_mul(INTERVALS_IN_WINDOW))
}

/// The four alerts, the most pressing first.
pub(super) fn burns(interval: u32) -> [Burn; 4] {
    let burn = |percent, long, short, severity| Burn {
        percent,
        long,
        short,
        severity,
    };
    [
        burn(2, HOUR, shortest(interval), Severity::Critical),
        burn(5, 6 * HOUR, HOUR / 2, Severity::Critical),
        burn(10, DAY, 2 * HOUR, Severity::Warning),
        burn(10, 3 * DAY, 6 * HOUR, Severity::Warning),
    ]
}

/// Every window that is recorded, the shortest first and the objective's own last.
pub(super) fn windows(interval: u32, period: u32) -> Vec<u32> {
    let mut windows: Vec<u32> = burns(interval)
        .iter()
        .flat_map(|burn| [burn.short, burn.long])
        .chain([period])
        .collect();
    windows.sort_unstable();
    windows.dedup();
    windows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_factors_of_thirty_days_are_those_of_the_workbook_and_others_are_scaled() {
        let factors = |days| burns(30).map(|burn| burn.factor(days * DAY).decimal());
        assert_eq!(factors(30), ["14.4", "6", "3", "1"]);
        assert_eq!(factors(28), ["13.44", "5.6", "2.8", "0.933333333333333"]);
        assert_eq!(factors(7), ["3.36", "1.4", "0.7", "0.233333333333333"]);
    }

    #[test]
    fn the_windows_are_recorded_once_each_in_their_order() {
        let hours = |interval| -> Vec<u32> { windows(interval, 30 * DAY).iter().map(|s| s / 60).collect() };
        assert_eq!(hours(30), [5, 30, 60, 120, 360, 1_440, 4_320, 43_200]);
        assert_eq!(hours(300), [20, 30, 60, 120, 360, 1_440, 4_320, 43_200]);
    }

    #[test]
    fn at_its_rate_an_alert_leaves_hours_or_days() {
        assert_eq!(
            burns(30).map(Burn::exhausted_after).map(|seconds| seconds / HOUR),
            [50, 120, 240, 720]
        );
    }
}
