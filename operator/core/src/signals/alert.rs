//! One alert of a pack, as a rule of the service with its texts and its proof.

use std::collections::BTreeMap;

use observed_crds::v1alpha1::signal_pack::{self, Scope, Signal, SignalPack};

use super::adapt::Settings;
use super::ties::Ties;
use super::{Binding, case, proven, recorded, text};
use crate::duration;
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
    let variables = [("threshold", settings.value), ("for", f64::from(settings.for_seconds))];
    let cases = |cases: &[signal_pack::DrillCase]| {
        let bound = cases.iter().map(|given| case::case(pack, given, &variables, ties));
        bound.collect::<Result<Vec<_>, Error>>()
    };
    Ok(plan::Alert {
        name: alert.name.clone(),
        onset_seconds: ties.reach_seconds(&expr),
        reach_seconds: ties.reach_seconds(&expr),
        expr: proven(&expr, binding)?,
        severity: settings.severity,
        r#for: duration::text(settings.for_seconds),
        keep_firing_for: settings.keep_firing_seconds.map(duration::text),
        labels: labels(settings, binding),
        annotations: annotations(signal, alert, settings, scope, binding),
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
    let scope = ties.scope(&Expression::parse(value)?);
    let sign = if settings.above { '>' } else { '<' };
    let mut text = format!("{} {sign} {}", tie.rule(value)?.operand(), settings.value);
    if let Some(when) = when {
        let on = match (scope, ties.scope(&Expression::parse(when)?)) {
            (Scope::Pod, Scope::Pod) => "namespace, pod",
            // The guard is of the same service: its own matchers say so.
            (Scope::Pod, _) | (_, Scope::Pod) => "namespace",
            _ => "namespace, job",
        };
        text = format!("{text} and on ({on}) {}", tie.rule(when)?.operand());
    }
    Ok((Expression::parse(&text)?, scope))
}

/// The namespace is in most expressions' labels already. Where one drops it, as `absent` may, this keeps the alert on
/// the routes of its namespace: an AlertmanagerConfig matches on it.
fn labels(settings: &Settings, binding: &Binding<'_>) -> BTreeMap<String, String> {
    [
        ("namespace", binding.namespace),
        ("service", binding.service),
        ("severity", settings.severity.as_str()),
    ]
    .map(|(label, value)| (label.to_owned(), text::literal(value)))
    .into()
}

fn annotations(
    signal: &Signal,
    alert: &signal_pack::Alert,
    settings: &Settings,
    scope: Scope,
    binding: &Binding<'_>,
) -> BTreeMap<String, String> {
    let mut annotations = BTreeMap::from([
        ("summary".to_owned(), text::filled(&alert.summary, binding)),
        (
            "description".to_owned(),
            description(signal, alert, settings, scope, binding),
        ),
    ]);
    if let Some(base) = binding.runbook_base {
        let url = format!("{}/{}", base.trim_end_matches('/'), alert.name);
        annotations.insert("runbook_url".to_owned(), text::literal(&url));
    }
    annotations
}

fn description(
    signal: &Signal,
    alert: &signal_pack::Alert,
    settings: &Settings,
    scope: Scope,
    binding: &Binding<'_>,
) -> String {
    let mut lines = vec![text::filled(&alert.impact, binding)];
    if scope == Scope::Pod {
        lines.push(
            "{{ with $labels.pod }}Pod {{ . }}{{ end }}{{ with $labels.container }}, container {{ . }}{{ end }}"
                .to_owned(),
        );
    }
    if let Some(now) = text::value_now(signal.unit) {
        let side = if settings.above { "above" } else { "below" };
        lines.push(format!(
            "The value is {now}; the alert fires after {} {side} {}.",
            duration::text(settings.for_seconds),
            text::value(signal.unit, settings.value)
        ));
    }
    lines.push("What to look at first:".to_owned());
    let steps = alert.first.iter().zip(1..);
    lines.extend(steps.map(|(step, number)| format!("{number}. {}", text::filled(step, binding))));
    lines.join("\n")
}
