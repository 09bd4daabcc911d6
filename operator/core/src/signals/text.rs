//! Texts of alerts. Prometheus runs them through a template engine, so that what is not ours is escaped.

use observed_crds::v1alpha1::signal_pack::Unit;

use super::Binding;

/// The text so that Prometheus' template engine prints it as it stands.
pub(crate) fn literal(text: &str) -> String {
    // Every single brace, because two texts may meet: a brace at the end of one opens an action with the next.
    text.replace('{', "{{\"{\"}}")
}

/// What Prometheus' template engine prints of such a text.
pub(crate) fn printed(text: &str) -> String {
    text.replace("{{\"{\"}}", "{")
}

/// One of the steps of what to look at first.
pub(crate) fn step(number: usize, text: &str) -> String {
    [&number.to_string(), ". ", text].concat()
}

/// The text of a pack with its places filled in, as Prometheus' template engine prints it as it stands.
pub(super) fn filled(text: &str, binding: &Binding<'_>) -> String {
    fill(text, binding, literal)
}

/// The text of a pack with its places filled in, for people.
pub(super) fn plain(text: &str, binding: &Binding<'_>) -> String {
    fill(text, binding, str::to_owned)
}

/// Fills in `{kind}`, `{target}`, `{namespace}`, `{service}` and `{dependency}`, and writes every other text as `written` says.
fn fill(text: &str, binding: &Binding<'_>, written: impl Fn(&str) -> String) -> String {
    let value = |place: &str| {
        Some(match place {
            "kind" => written(&binding.target_kind.as_str().to_lowercase()),
            "target" => written(binding.target_name),
            "namespace" => written(binding.namespace),
            "service" => written(binding.service),
            "dependency" => written(binding.dependency.map_or("", |dependency| dependency.name.as_str())),
            _ => return None,
        })
    };
    let mut filled = String::with_capacity(2 * text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        filled.push_str(before);
        let place = after.split_once('}');
        let known = place.and_then(|(place, after)| Some((value(place)?, after)));
        let (value, after) = known.unwrap_or_else(|| (written("{"), after));
        filled.push_str(&value);
        rest = after;
    }
    filled.push_str(rest);
    filled
}

/// The template that prints the alert's value. None where the value says nothing.
pub(super) fn value_now(unit: Unit) -> Option<&'static str> {
    match unit {
        Unit::Ratio => Some("{{ $value | humanizePercentage }}"),
        Unit::Seconds => Some("{{ $value | humanizeDuration }}"),
        Unit::Bytes => Some("{{ $value | humanize1024 }}B"),
        Unit::BytesPerSecond => Some("{{ $value | humanize1024 }}B/s"),
        Unit::RequestsPerSecond => Some("{{ $value | humanize }} requests/s"),
        Unit::Cores => Some("{{ $value | humanize }} cores"),
        Unit::OperationsPerSecond | Unit::DiskOperationsPerSecond => Some("{{ $value | humanize }}/s"),
        Unit::TokensPerMinute => Some("{{ $value | humanize }} tokens/min"),
        Unit::Usd => Some("{{ $value | printf \"%.2f\" }} USD"),
        Unit::UsdPerHour => Some("{{ $value | printf \"%.2f\" }} USD/h"),
        Unit::Times => Some("{{ $value | printf \"%.2f\" }} times"),
        Unit::Count => Some("{{ $value | humanize }}"),
        Unit::Flag => None,
    }
}

/// A value with its unit, for people.
pub(super) fn value(unit: Unit, value: f64) -> String {
    match unit {
        Unit::Ratio => format!("{}%", rounded(value * 100.0)),
        Unit::Seconds => format!("{}s", rounded(value)),
        Unit::Bytes => format!("{} bytes", rounded(value)),
        Unit::BytesPerSecond => format!("{} bytes/s", rounded(value)),
        Unit::RequestsPerSecond => format!("{} requests/s", rounded(value)),
        Unit::Cores => format!("{} cores", rounded(value)),
        Unit::OperationsPerSecond | Unit::DiskOperationsPerSecond => format!("{}/s", rounded(value)),
        Unit::TokensPerMinute => format!("{} tokens/min", rounded(value)),
        Unit::Usd => format!("{} USD", rounded(value)),
        Unit::UsdPerHour => format!("{} USD/h", rounded(value)),
        Unit::Times => format!("{} times", rounded(value)),
        Unit::Count | Unit::Flag => rounded(value),
    }
}

/// Without the last digits, in which binary fractions show: 0.07 * 100 is 7.000000000000001.
fn rounded(value: f64) -> String {
    let text = format!("{value:.9}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
