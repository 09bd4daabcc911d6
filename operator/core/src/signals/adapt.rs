//! `spec.signals.window` and `spec.signals.alerts`: what the user changed, checked against what the packs allow.

use std::collections::BTreeMap;
use std::time::Duration;

use observed_crds::v1alpha1::signal_pack::{Alert, Side, Signal, SignalPack, Unit};
use observed_crds::v1alpha1::{AlertOverride, Severity, State};

use super::{Binding, Choice, meant};
use crate::duration::{self, INTERVALS_IN_WINDOW};
use crate::finding::{Code, Finding, nearest};
use crate::plan::{Dependency, Threshold};

/// Longest duration that can be meant. Sums of several stay within their type.
const LONGEST_SECONDS: u32 = 365 * 86_400;

/// An alert as the service has it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Settings {
    pub(super) value: f64,
    pub(super) above: bool,
    pub(super) for_seconds: u32,
    pub(super) keep_firing_seconds: Option<u32>,
    pub(super) severity: Severity,
}

impl Settings {
    pub(super) fn threshold(&self) -> Threshold {
        Threshold {
            value: self.value,
            above: self.above,
            severity: self.severity,
        }
    }
}

/// The service's window, if it has one and it fits.
pub(super) fn window(binding: &Binding<'_>, findings: &mut Vec<Finding>) -> Option<Duration> {
    let written = binding.signals.window.as_deref()?;
    let least = binding.interval_seconds.saturating_mul(INTERVALS_IN_WINDOW);
    let mut wrong = |message: String, help: String| {
        findings.push(Finding::error(Code::Duration, "spec.signals.window", message, help));
    };
    match seconds(written) {
        None => wrong(
            format!("{written:?} is not a duration from 1s to 365d"),
            "Write it as Prometheus does, for instance 5m".to_owned(),
        ),
        Some(seconds) if seconds < least => wrong(
            format!(
                "the window {written:?} holds fewer than {INTERVALS_IN_WINDOW} scrapes, one every {}",
                duration::text(binding.interval_seconds)
            ),
            format!("Make it at least {}, or scrape more often", duration::text(least)),
        ),
        Some(seconds) => return Some(Duration::from_secs(seconds.into())),
    }
    None
}

/// Findings for changes of alerts that no chosen pack has.
pub(super) fn unknown_alerts(
    choice: &Choice<'_>,
    overrides: &BTreeMap<String, AlertOverride>,
    findings: &mut Vec<Finding>,
) {
    let mut known: Vec<&str> = choice.all().flat_map(alerts).collect();
    known.dedup();
    for name in overrides.keys().filter(|name| !known.contains(&name.as_str())) {
        let help = choice
            .elsewhere(|pack| alerts(pack).any(|alert| alert == name))
            .unwrap_or_else(|| {
                let guess = meant(nearest(name, known.iter().copied()));
                format!("{guess}The alerts are: {}", known.join(", "))
            });
        findings.push(Finding::error(
            Code::UnknownSignal,
            format!("spec.signals.alerts.{name}"),
            format!("no pack of the service has an alert {name:?}"),
            help,
        ));
    }
}

fn alerts(pack: &SignalPack) -> impl Iterator<Item = &str> {
    pack.spec
        .signals
        .iter()
        .flat_map(|signal| &signal.alerts)
        .map(|alert| alert.name.as_str())
}

/// Findings for changes of alerts that the target's kind does not have.
pub(super) fn alerts_of_other_kinds(signal: &Signal, binding: &Binding<'_>) -> Vec<Finding> {
    let changed = |alert: &&Alert| binding.signals.alerts.contains_key(&alert.name);
    let finding = |alert: &Alert| {
        Finding::error(
            Code::UnknownSignal,
            format!("spec.signals.alerts.{}", alert.name),
            format!("a {} has no alert {:?}", binding.target_kind.as_str(), alert.name),
            "It is for workloads of another kind: leave it out",
        )
    };
    signal.alerts.iter().filter(changed).map(finding).collect()
}

/// Findings for changes of alerts on series that no dependency of the type has.
pub(super) fn alerts_of_other_sources(signal: &Signal, dependency: &Dependency, binding: &Binding<'_>) -> Vec<Finding> {
    let changed = |alert: &&Alert| binding.signals.alerts.contains_key(&alert.name);
    let (lacking, what) = if dependency.host.is_none() {
        ("host", "the host that the service calls")
    } else {
        ("scrapedFrom", "the scrape of its exporter")
    };
    let finding = |alert: &Alert| {
        Finding::error(
            Code::UnknownSignal,
            format!("spec.signals.alerts.{}", alert.name),
            format!(
                "no dependency of the type {} has {lacking}, from which {:?} is known",
                dependency.kind.as_str(),
                alert.name
            ),
            format!("Give one in spec.dependencies[].{lacking} {what}, or leave this out"),
        )
    };
    signal.alerts.iter().filter(changed).map(finding).collect()
}

/// The alert as the service has it. None when it is disabled, or lacks the threshold that only the service knows.
pub(super) fn settings(
    signal: &Signal,
    alert: &Alert,
    change: Option<&AlertOverride>,
) -> Result<Option<Settings>, Vec<Finding>> {
    let unchanged = AlertOverride::default();
    let change = change.unwrap_or(&unchanged);
    if change.state == Some(State::Disabled) {
        return Ok(None);
    }
    if alert.needs.is_some() && *change == AlertOverride::default() {
        return Ok(None);
    }
    let mut findings = Vec::new();
    let value = threshold(signal, alert, change, &mut findings);
    let mut lasting = |field: &str, written: Option<&String>, default: Option<&String>, zero: bool| {
        let text = written.or(default)?;
        let within = seconds(text);
        if within.is_none() && !(zero && is_zero(text)) {
            findings.push(Finding::error(
                Code::Duration,
                format!("spec.signals.alerts.{}.{field}", alert.name),
                format!(
                    "{text:?} is not a duration from {} to 365d",
                    if zero { "0s" } else { "1s" }
                ),
                "Write it as Prometheus does, for instance 5m",
            ));
        }
        within
    };
    let for_seconds = lasting("for", change.r#for.as_ref(), Some(&alert.r#for), false);
    let keep_firing_seconds = lasting(
        "keepFiringFor",
        change.keep_firing_for.as_ref(),
        alert.keep_firing_for.as_ref(),
        true,
    );
    match (value, for_seconds) {
        (Some((value, above)), Some(for_seconds)) if findings.is_empty() => Ok(Some(Settings {
            value,
            above,
            for_seconds,
            keep_firing_seconds,
            severity: change.severity.unwrap_or(alert.severity),
        })),
        _ => Err(findings),
    }
}

/// Seconds of a duration that can be meant.
fn seconds(text: &str) -> Option<u32> {
    duration::seconds(text).filter(|seconds| *seconds <= LONGEST_SECONDS)
}

/// `0s` and the like: the alert ends with its condition.
fn is_zero(text: &str) -> bool {
    text.trim_end_matches(['d', 'h', 'm', 's']) == "0"
}

/// The threshold, and whether the alert fires above it.
fn threshold(
    signal: &Signal,
    alert: &Alert,
    change: &AlertOverride,
    findings: &mut Vec<Finding>,
) -> Option<(f64, bool)> {
    let (above, default) = match (&alert.above, &alert.below, alert.needs) {
        (Some(above), _, _) => (true, Some(above)),
        (None, Some(below), _) => (false, Some(below)),
        (None, None, Some(side)) => (side == Side::Above, None),
        (None, None, None) => return None,
    };
    let about_default = default.map_or_else(
        || "It has no default: nobody else knows it".to_owned(),
        |default| format!("The default is {default:?}"),
    );
    let (right, wrong, given, misplaced) = if above {
        ("above", "below", &change.above, &change.below)
    } else {
        ("below", "above", &change.below, &change.above)
    };
    let path = |side: &str| format!("spec.signals.alerts.{}.{side}", alert.name);
    if let Some(misplaced) = misplaced {
        findings.push(Finding::error(
            Code::InvalidValue,
            path(wrong),
            format!("{} fires {right} a value, not {wrong} {misplaced:?}", alert.name),
            format!("Set its threshold by {right}. {about_default}"),
        ));
    }
    let Some(text) = given.as_ref().or(default) else {
        if misplaced.is_none() {
            findings.push(Finding::error(
                Code::InvalidValue,
                path(right),
                format!("{} has no threshold, so it is off", alert.name),
                format!("Set {right}. {about_default}"),
            ));
        }
        return None;
    };
    let problem = match (decimal(text), given) {
        (None, _) => Some("it is not a decimal number"),
        (Some(_), Some(_)) if signal.unit == Unit::Flag => {
            Some("the alert has no threshold to set: it tells yes or no")
        }
        (Some(value), _) => unreachable(signal.unit, above, value),
    };
    if let Some(problem) = problem {
        findings.push(Finding::error(
            Code::InvalidValue,
            path(right),
            format!("{} cannot have the threshold {text:?}: {problem}", alert.name),
            about_default,
        ));
    }
    decimal(text).map(|value| (value, above))
}

/// A plain decimal: no exponent, no infinity.
fn decimal(text: &str) -> Option<f64> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let plain = digits.starts_with(|c: char| c.is_ascii_digit())
        && digits.ends_with(|c: char| c.is_ascii_digit())
        && digits.chars().all(|c| c.is_ascii_digit() || c == '.');
    text.parse().ok().filter(|value: &f64| plain && value.is_finite())
}

/// Why the alert would always or never fire with this threshold.
fn unreachable(unit: Unit, above: bool, value: f64) -> Option<&'static str> {
    match (unit, above) {
        (Unit::Ratio, true) if value >= 1.0 => {
            Some("the value is a ratio from 0 to 1, never above; 5 percent are written 0.05")
        }
        (Unit::Ratio, false) if value > 1.0 => {
            Some("the value is a ratio from 0 to 1, always below; 50 percent are written 0.5")
        }
        (_, true) if value < 0.0 => Some("the value is never negative, so always above"),
        (_, false) if value <= 0.0 => Some("the value is never negative, so never below"),
        (Unit::Seconds, true) if value <= 0.0 => Some("everything takes longer than 0 seconds"),
        (Unit::Count, _) if value.fract() != 0.0 => Some("the value is counted in whole numbers"),
        _ => None,
    }
}
