//! Durations as Prometheus writes them: `90s`, `5m`, `1h30m`.

/// Scrape intervals that the window of a rate must hold, so that one missed scrape leaves no hole
/// (robustperception.io, "What range should I use with rate()?").
pub const INTERVALS_IN_WINDOW: u32 = 4;

/// Units, the longest first, in seconds.
const UNITS: [(&str, u32); 4] = [("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)];

/// Seconds of a Prometheus duration (`d`, `h`, `m`, `s`, in this order). None if it is not one, or is zero.
pub fn seconds(text: &str) -> Option<u32> {
    let (mut rest, mut seconds) = (text, 0_u32);
    for (unit, size) in UNITS {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, after) = rest.split_at(digits);
        if let Some(after) = after.strip_prefix(unit) {
            seconds = number.parse::<u32>().ok()?.checked_mul(size)?.checked_add(seconds)?;
            rest = after;
        }
    }
    (rest.is_empty() && seconds > 0).then_some(seconds)
}

/// Milliseconds of a Prometheus duration, which may end in `ms`. None if it is not one, or is zero.
pub fn millis(text: &str) -> Option<u32> {
    let units = text.ends_with(['d', 'h', 'm', 's']) && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let duration = units.then(|| promql_parser::util::parse_duration(text).ok())??;
    u32::try_from(duration.as_millis()).ok().filter(|millis| *millis > 0)
}

/// Seconds of a Prometheus duration as long as a retention, which may be in weeks and years. None if it is not one.
pub fn long_seconds(text: &str) -> Option<u64> {
    let units = text.ends_with(['y', 'w', 'd', 'h', 'm', 's']) && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let duration = units.then(|| promql_parser::util::parse_duration(text).ok())??;
    Some(duration.as_secs())
}

/// The shortest Prometheus duration of that many seconds.
pub fn text(seconds: u32) -> String {
    let mut rest = seconds;
    let mut text = String::new();
    for (unit, size) in UNITS {
        if rest >= size {
            text += &(rest / size).to_string();
            text += unit;
            rest %= size;
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_read_back_as_it_was_written() {
        for written in ["1s", "30s", "5m", "1m30s", "2h", "3d", "1d1h1m1s"] {
            assert_eq!(seconds(written).map(text).as_deref(), Some(written));
        }
    }

    #[test]
    fn what_is_not_a_duration_of_whole_seconds_is_none() {
        for wrong in [
            "",
            "0s",
            "5",
            "-5",
            "inf",
            "1e300s",
            "m",
            "-5m",
            "1.5h",
            "5 m",
            "100ms",
            "5m3d",
            "1m1m",
            "99999999d",
            "4294967296s",
        ] {
            assert_eq!(seconds(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn a_retention_may_be_in_weeks_and_years() {
        assert_eq!(
            ["2w", "1y", "24h", "10"].map(long_seconds),
            [Some(1_209_600), Some(31_536_000), Some(86_400), None]
        );
    }

    #[test]
    fn milliseconds_are_read_and_what_is_none_is_not() {
        let read = ["250ms", "5s", "1s500ms", "2m"].map(millis);
        assert_eq!(read, [Some(250), Some(5_000), Some(1_500), Some(120_000)]);
        for wrong in ["", "0ms", "5", "ms", "-5s", "1.5s", "99999999d"] {
            assert_eq!(millis(wrong), None, "{wrong:?}");
        }
    }
}
