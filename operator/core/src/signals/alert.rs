//! One alert of a pack, as a rule of the service with its texts and its proof.

use std::collections::BTreeMap;

use observed_crds::v1alpha1::signal_pack::{self, Scope, Signal, SignalPack};

use super::adapt::Settings;
use super::ties::{self, Ties};
use super::{Binding, case, proven, recorded, text};
use crate::duration;
use crate::names;
use crate::plan;
use crate::promql::{Error, Expression};

pub(super) fn alert(
    pack: &SignalPack,
    signal: &Signal,
    alert: &signal_pack::Alert,
    settings: &Settings,
    ties: &Ties<'_>,
    binding: &Binding<'_>,
) -> Result<plan::Alert, Error> {
    let value = alert.value.as_deref().or(recorded(signal)).unwrap_or_default();
    let (expr, scope) = expression(pack, value, alert.when.as_deref(), settings, ties)?;
    let mut variables = vec![("threshold", settings.value), ("for", f64::from(settings.for_seconds))];
    let numbers = pack.spec.settings.iter();
    variables.extend(numbers.map(|(name, setting)| (name.as_str(), ties::value(*setting, binding))));
    let without = ties.without(pack);
    let cases = |cases: &[signal_pack::DrillCase]| {
        let cases = cases.iter().filter(|given| case::can_be(given, &without));
        let bound = cases.map(|given| case::case(pack, given, &variables, ties));
        bound.collect::<Result<Vec<_>, Error>>()
    };
    let reach_seconds = ties.reach_seconds(&expr);
    let side = text::value_now(signal.unit).map(|_| side(signal, settings));
    Ok(plan::Alert {
        name: alert.name.clone(),
        onset_seconds: reach_seconds,
        reach_seconds,
        expr: proven(&expr, ties, binding)?,
        severity: settings.severity,
        role: alert.role,
        r#for: duration::text(settings.for_seconds),
        keep_firing_for: settings.keep_firing_seconds.map(duration::text),
        labels: labels(alert, settings, binding),
        annotations: annotations(
            alert,
            description(signal, alert, settings, scope, side.as_deref(), binding),
            binding,
        ),
        runbook: runbook(signal, alert, settings, side.as_deref(), binding),
        fires: cases(&alert.drill.fires)?,
        silent: cases(&alert.drill.silent)?,
    })
}

/// `value > threshold`, and the guard on the labels that both sides have.
fn expression(
    pack: &SignalPack,
    value: &str,
    when: Option<&str>,
    settings: &Settings,
    ties: &Ties<'_>,
) -> Result<(Expression, Scope), Error> {
    let tie = ties.of(pack)?;
    let value = ties.parsed(value)?;
    let scope = ties.scope(&value);
    let compared = tie.rule(&value)?.compared(settings.above, settings.value);
    let Some(when) = when else {
        return Ok((compared, scope));
    };
    let when = ties.parsed(when)?;
    let on: &[&str] = match (scope, ties.scope(&when)) {
        (Scope::Pod, Scope::Pod) => &["namespace", "pod"],
        (Scope::Service, Scope::Service) => &["namespace", "job"],
        // What is recorded of a dependency has the service's namespace, what is scraped from it its own.
        (Scope::Dependency, Scope::Dependency) => &["job", "instance"],
        // What Prometheus tells of rules has the namespace of Prometheus.
        (Scope::Rules, _) | (_, Scope::Rules) => &[],
        // The guard is of the same service: its own matchers say so.
        _ => &["namespace"],
    };
    Ok((compared.guarded(on, &tie.rule(&when)?), scope))
}

/// The namespace is in most expressions' labels already. Where one drops it, as `absent` may, this keeps the alert on
/// the routes of its namespace: an AlertmanagerConfig matches on it.
fn labels(alert: &signal_pack::Alert, settings: &Settings, binding: &Binding<'_>) -> BTreeMap<String, String> {
    let role = alert.role.map(|role| ("role".to_owned(), role.as_str().to_owned()));
    let own = [
        ("namespace", binding.namespace),
        ("service", binding.service),
        ("severity", settings.severity.as_str()),
    ]
    .map(|(label, value)| (label.to_owned(), text::literal(value)));
    let dependency = binding.dependency_labels();
    let dependency = dependency
        .into_iter()
        .map(|(label, value)| (label, text::literal(&value)));
    dependency.chain(own).chain(role).collect()
}

fn annotations(alert: &signal_pack::Alert, description: String, binding: &Binding<'_>) -> BTreeMap<String, String> {
    let mut annotations = BTreeMap::from([
        ("summary".to_owned(), text::filled(&alert.summary, binding)),
        ("description".to_owned(), description),
    ]);
    if let Some(base) = binding.runbook_base {
        let url = names::runbook_url(base, &alert.name);
        annotations.insert("runbook_url".to_owned(), text::literal(&url));
    }
    annotations
}

fn runbook(
    signal: &Signal,
    alert: &signal_pack::Alert,
    settings: &Settings,
    side: Option<&str>,
    binding: &Binding<'_>,
) -> plan::Runbook {
    let lasting = duration::text(settings.for_seconds);
    let condition = match side {
        Some(side) => format!("{side} for {lasting}"),
        None => format!("it is so for {lasting}"),
    };
    plan::Runbook {
        summary: text::plain(&alert.summary, binding),
        impact: text::plain(&alert.impact, binding),
        signal: signal.help.clone(),
        condition,
        first: alert.first.iter().map(|step| text::plain(step, binding)).collect(),
    }
}

/// `above 5%`.
fn side(signal: &Signal, settings: &Settings) -> String {
    let side = if settings.above { "above" } else { "below" };
    format!("{side} {}", text::value(signal.unit, settings.value))
}

fn description(
    signal: &Signal,
    alert: &signal_pack::Alert,
    settings: &Settings,
    scope: Scope,
    side: Option<&str>,
    binding: &Binding<'_>,
) -> String {
    let mut lines = vec![text::filled(&alert.impact, binding)];
    if scope == Scope::Pod {
        lines.push(
            "{{ with $labels.pod }}Pod {{ . }}{{ end }}{{ with $labels.container }}, container {{ . }}{{ end }}\
             {{ with $labels.persistentvolumeclaim }}, volume {{ . }}{{ end }}\
             {{ with $labels.probe_type }}, {{ . }} probe{{ end }}"
                .to_owned(),
        );
    }
    if let Some((now, side)) = text::value_now(signal.unit).zip(side) {
        lines.push(format!(
            "The value is {now}; the alert fires after {} {side}.",
            duration::text(settings.for_seconds)
        ));
    }
    lines.push("What to look at first:".to_owned());
    let steps = alert.first.iter().zip(1..);
    lines.extend(steps.map(|(step, number)| text::step(number, &text::filled(step, binding))));
    lines.join("\n")
}
