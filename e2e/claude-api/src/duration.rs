//! Durations as people write them: `500ms`, `2s`, `1m30s`.

use std::time::Duration;

use jiff::SignedDuration;

/// Reads a duration, or says what would be one.
pub fn parse(text: &str) -> Result<Duration, String> {
    text.parse::<SignedDuration>()
        .ok()
        .and_then(|duration| Duration::try_from(duration).ok())
        .ok_or_else(|| format!("must be a duration such as 500ms, 2s or 1m30s, is {text:?}"))
}

/// Writes a duration so that [`parse`] reads it.
pub fn print(duration: Duration) -> String {
    SignedDuration::try_from(duration).map_or_else(|_| "forever".to_owned(), |duration| format!("{duration:#}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_read_as_people_write_it_and_printed_so_that_it_can_be_read_again() {
        for (text, milliseconds) in [("500ms", 500), ("2s", 2_000), ("1m30s", 90_000), ("0s", 0)] {
            let duration = parse(text).unwrap();
            assert_eq!(duration, Duration::from_millis(milliseconds));
            assert_eq!(parse(&print(duration)).unwrap(), duration);
        }
    }

    #[test]
    fn what_is_no_duration_is_refused_with_an_example() {
        for text in ["", "2", "-2s", "two seconds", "2s\n{}"] {
            assert!(parse(text).unwrap_err().contains("such as 500ms"), "{text}");
        }
    }
}
