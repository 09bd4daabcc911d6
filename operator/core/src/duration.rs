//! Durations as Prometheus writes them: `90s`, `5m`, `1h30m`.

/// Scrape intervals that the window of a rate must hold, so that one missed scrape leaves no hole
/// (robustperception.io, "What range should I use with rate()?").
pub const INTERVALS_IN_WINDOW: u32 = 4;

/// Units, the longest first, in milliseconds.
const UNITS: [(&str, u64); 7] = [
    ("y", 365 * DAY),
    ("w", 7 * DAY),
    ("d", DAY),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];
const DAY: u64 = 86_400_000;

/// Milliseconds of a Prometheus duration that ends in one of these units. None if it does not, is no duration,
/// or is zero.
///
/// Every service has a dozen of them, and the parser of PromQL reads each with a regular expression.
fn read(text: &str, ends: &[char]) -> Option<u64> {
    let (mut rest, mut millis) = (text, 0_u64);
    for (unit, size) in UNITS {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, after) = rest.split_at(digits);
        // The `m` of `ms` is no minute.
        let after = after
            .strip_prefix(unit)
            .filter(|after| unit != "m" || !after.starts_with('s'));
        if let Some(after) = after {
            millis = number.parse::<u64>().ok()?.checked_mul(size)?.checked_add(millis)?;
            rest = after;
        }
    }
    (millis > 0 && rest.is_empty() && text.ends_with(ends)).then_some(millis)
}

/// Seconds of a Prometheus duration of whole seconds that ends in `d`, `h`, `m` or `s`. None if it is not one, or is zero.
pub fn seconds(text: &str) -> Option<u32> {
    let whole = read(text, &['d', 'h', 'm', 's']).filter(|millis| millis % 1_000 == 0)?;
    u32::try_from(whole / 1_000).ok()
}

/// Milliseconds of a Prometheus duration, which may end in `ms`. None if it is not one, or is zero.
pub fn millis(text: &str) -> Option<u32> {
    u32::try_from(read(text, &['d', 'h', 'm', 's'])?).ok()
}

/// Seconds of a Prometheus duration as long as a retention, which may be in weeks and years. None if it is not one.
pub fn long_seconds(text: &str) -> Option<u64> {
    Some(read(text, &['y', 'w', 'd', 'h', 'm', 's'])? / 1_000)
}

/// The shortest Prometheus duration of that many seconds.
pub fn text(seconds: u32) -> String {
    let mut rest = seconds;
    let mut text = String::new();
    for (unit, size) in [("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)] {
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
    use proptest::prelude::*;

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

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(5_000))]

        #[test]
        fn a_duration_is_what_the_parser_of_promql_takes_it_for(text in "(0|[1-9][0-9]{0,3}|[a-z.])?(y|w|d|h|m|s|ms)?([0-9]{1,4}(y|w|d|h|m|s|ms)){0,3}[0-9ms -]?") {
            let is_one = text.ends_with(['y', 'w', 'd', 'h', 'm', 's']) && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
            let parsed = is_one.then(|| promql_parser::util::parse_duration(&text).ok()).flatten();
            prop_assert_eq!(long_seconds(&text), parsed.map(|it| it.as_secs()), "{}", text);
            let short = parsed.filter(|it| !it.is_zero() && text.ends_with(['d', 'h', 'm', 's']));
            prop_assert_eq!(millis(&text), short.and_then(|it| u32::try_from(it.as_millis()).ok()), "{}", text);
            let whole = short.filter(|it| it.subsec_nanos() == 0);
            prop_assert_eq!(seconds(&text), whole.and_then(|it| u32::try_from(it.as_secs()).ok()), "{}", text);
        }
    }
}
