//! What an unquoted word means. The same as to `kubectl`, which reads YAML 1.1 as go-yaml v2 does.

use serde_json::Number;

use super::Content;

/// What an unquoted word is.
pub(super) fn plain(text: &str) -> Content {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Content::Null,
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            return Content::Bool(true);
        }
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            return Content::Bool(false);
        }
        _ => {}
    }
    match number(text) {
        Some(number) => Content::Number(number),
        None => Content::String(text.to_owned()),
    }
}

fn number(text: &str) -> Option<Number> {
    if !text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.')) {
        return None;
    }
    let bare = text.replace('_', "");
    let (negative, digits) = match bare.strip_prefix(['-', '+']) {
        Some(digits) => (bare.starts_with('-'), digits),
        None => (false, bare.as_str()),
    };
    if let Some(whole) = integer(digits) {
        return if negative {
            i64::try_from(-i128::from(whole)).ok().map(Number::from)
        } else {
            Some(Number::from(whole))
        };
    }
    // `[-+]?[0-9]*\.?[0-9]+([eE][-+][0-9]+)?`, and a dot may stand last.
    let is_float = digits.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        && digits.chars().any(|c| c.is_ascii_digit())
        && digits
            .chars()
            .all(|c| c.is_ascii_digit() || matches!(c, '.' | 'e' | 'E' | '-' | '+'));
    is_float
        .then(|| bare.parse::<f64>().ok())
        .flatten()
        .and_then(Number::from_f64)
}

/// Decimal, or with the prefix of another base: `0x1f`, `0o17` and `017`, `0b101`.
fn integer(digits: &str) -> Option<u64> {
    let lower = digits.to_ascii_lowercase();
    let in_base = |digits: &str, base| {
        let plain = digits.starts_with(|c: char| c.is_ascii_alphanumeric());
        plain.then(|| u64::from_str_radix(digits, base).ok()).flatten()
    };
    for (prefix, base) in [("0x", 16), ("0o", 8), ("0b", 2)] {
        if let Some(rest) = lower.strip_prefix(prefix) {
            return in_base(rest, base);
        }
    }
    match lower.strip_prefix('0') {
        Some(rest) if !rest.is_empty() => in_base(rest, 8),
        _ => in_base(&lower, 10),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::yaml::{Node, Place};

    fn json_of(text: &str) -> Value {
        let place = Place::default();
        let content = plain(text);
        Node { place, content }.to_json()
    }

    #[test]
    fn a_word_means_what_it_means_to_kubectl() {
        for (text, meant) in [
            ("on", json!(true)),
            ("No", json!(false)),
            ("~", json!(null)),
            ("8080", json!(8080)),
            ("-3", json!(-3)),
            ("1_000", json!(1000)),
            ("0x1f", json!(31)),
            ("017", json!(15)),
            ("0.5", json!(0.5)),
            ("1e+3", json!(1000.0)),
        ] {
            assert_eq!(json_of(text), meant, "{text:?}");
        }
    }

    #[test]
    fn a_word_that_only_looks_like_a_number_stays_a_text() {
        for text in [
            "30s",
            "1:30",
            "1.2.3",
            "-",
            ".",
            "+x",
            "0x",
            "e3",
            "2024-01-01",
            ".inf",
            "oN",
        ] {
            assert_eq!(json_of(text), json!(text), "{text:?}");
        }
    }
}
