//! When an answer is about what was, and not about what is.

use std::time::Duration;

use jiff::Timestamp;

/// How many times in a row something must have been left out.
const MISSED: u32 = 5;
/// What is younger is never stale: clocks differ, and an answer is kept for a while.
const LEAST: Duration = Duration::from_secs(120);
/// The interval where none is told (Thanos and VictoriaMetrics): how far back Prometheus looks for a sample.
const UNTOLD: Duration = Duration::from_secs(300);

/// Whether what should be done at this interval was done too long ago. What was never done, or at no time that can be
/// read, is not stale.
pub(super) fn is_stale(last: &str, interval: Option<Duration>, now: Timestamp) -> bool {
    let Ok(last) = last.parse::<Timestamp>() else {
        return false;
    };
    let Ok(age) = Duration::try_from(now.duration_since(last)) else {
        return false;
    };
    let allowed = interval.unwrap_or(UNTOLD).saturating_mul(MISSED).max(LEAST);
    // The zero times of Go and of Unix: not done yet.
    last.as_second() > 0 && age > allowed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stale_is_what_was_left_out_several_times_and_for_more_than_two_minutes() {
        let now: Timestamp = "2026-11-24T15:00:00Z".parse().unwrap();
        let second = |seconds| Some(Duration::from_secs(seconds));
        for (last, interval, stale) in [
            ("2026-11-24T14:59:30.123456789Z", second(30), false),
            ("2026-11-24T14:57:29Z", second(30), true),
            ("2026-11-24T14:57:31Z", second(30), false),
            ("2026-11-24T16:57:29+02:00", second(30), true),
            // A short interval, and a long one.
            ("2026-11-24T14:58:30Z", second(1), false),
            ("2026-11-24T14:57:30Z", second(1), true),
            ("2026-11-24T13:00:00Z", second(3600), false),
            ("2026-11-24T14:40:00Z", None, false),
            ("2026-11-24T14:30:00Z", None, true),
            // A clock that is ahead, what was never done, and no time.
            ("2026-11-24T15:10:00Z", second(30), false),
            ("0001-01-01T00:00:00Z", second(30), false),
            ("1970-01-01T00:00:00Z", second(30), false),
            ("", second(30), false),
        ] {
            assert_eq!(is_stale(last, interval, now), stale, "{last} {interval:?}");
        }
    }
}
