//! The reference, as Markdown: what the packs know, the fields of the resources, the conditions with their reasons. It is
//! generated from what it is about, so that it is never behind.

mod conditions;
mod fields;

pub use conditions::conditions;
pub use fields::fields;

/// `docs/objectives.md` with its tables as they are now.
pub use crate::objectives::page as objectives;

use std::fmt::Write as _;

use observed_crds::v1alpha1::signal_pack::{Alert, DrillCase, Series, Signal, SignalPack};

use crate::packs::Packs;

/// `docs/reference.md`.
pub fn reference(packs: &Packs) -> String {
    let mut text = String::from(
        "<!-- Generated from operator/core/packs by `UPDATE_GOLDEN=1 cargo test -p observed-core --test reference`. -->\n\
         # What the packs know\n\n\
         Every signal, recording rule and alert that Observed has, from the packs as they are embedded in the program. \
         Names are those of the packs: a service that spells a metric otherwise is read in its own dialect \
         ([signals.md](signals.md)). Each alert is proven by the cases that stand beside it: [drills.md](drills.md) has what \
         promtool says of them, and `observed drill -f FILE` plays them for your own service and thresholds.\n",
    );
    for pack in &packs.packs {
        text += &format!("\n- [`{0}`](#{0}): {1}", pack.metadata.name, pack.spec.help);
    }
    text.push('\n');
    for pack in &packs.packs {
        pack_text(&mut text, pack);
    }
    text
}

fn pack_text(text: &mut String, pack: &SignalPack) {
    let spec = &pack.spec;
    *text += &format!("\n## {}\n\n{}\n\n### Series\n\n", pack.metadata.name, spec.help);
    *text += "| series | type | belongs to | labels | what would expose it |\n|---|---|---|---|---|\n";
    for series in &spec.series {
        *text += &format!(
            "| `{}` | {} | {} | {} | {} |\n",
            series.name,
            word(&series.r#type),
            word(&series.scope),
            labels(series),
            cell(&series.when_missing)
        );
    }
    *text += "\n### Signals\n\n| signal | unit | recorded as | panel | alerts |\n|---|---|---|---|---|\n";
    for signal in &spec.signals {
        let alerts = signal
            .alerts
            .iter()
            .map(|alert| format!("[{0}](#{1})", alert.name, anchor(alert)));
        *text += &format!(
            "| {}: {} | {} | {} | {} | {} |\n",
            signal.name,
            cell(&signal.help),
            word(&signal.unit),
            signal
                .record
                .as_ref()
                .map(|record| format!("`{}`", record.r#as))
                .unwrap_or_default(),
            signal
                .panel
                .as_ref()
                .map(|panel| panel.title.as_str())
                .unwrap_or_default(),
            alerts.collect::<Vec<_>>().join(", ")
        );
    }
    for signal in &spec.signals {
        if let Some(record) = &signal.record {
            *text += &format!("\n`{}` is\n\n```promql\n{}\n```\n", record.r#as, record.expr.trim());
        }
    }
    for (signal, alert) in spec
        .signals
        .iter()
        .flat_map(|signal| signal.alerts.iter().map(move |alert| (signal, alert)))
    {
        alert_text(text, signal, alert);
    }
}

fn alert_text(text: &mut String, signal: &Signal, alert: &Alert) {
    *text += &format!("\n### {}\n\n{} {}\n\n", alert.name, alert.summary, alert.impact);
    let value = alert
        .value
        .as_deref()
        .or(signal.record.as_ref().map(|record| record.r#as.as_str()));
    let threshold = match (&alert.above, &alert.below, &alert.needs) {
        (Some(above), ..) => format!("> {above}"),
        (None, Some(below), _) => format!("< {below}"),
        (None, None, Some(side)) => format!(
            "{} a threshold that only the service can know: off until it sets one",
            word(side)
        ),
        (None, None, None) => String::new(),
    };
    let keeps = alert
        .keep_firing_for
        .as_ref()
        .map(|keeps| format!(", goes on for {keeps}"));
    let role = alert.role.map(|role| format!(", a {}", role.as_str()));
    *text += &format!(
        "{}{}; fires after {}{}.\n\n```promql\n{} {threshold}\n```\n",
        alert.severity.as_str(),
        role.unwrap_or_default(),
        alert.r#for,
        keeps.unwrap_or_default(),
        value.unwrap_or_default().trim(),
    );
    if let Some(when) = &alert.when {
        *text += &format!("\nOnly while `{}`.\n", when.trim());
    }
    for (step, number) in alert.first.iter().zip(1..) {
        let _ = write!(text, "\n{number}. {step}");
    }
    *text += &format!(
        "\n\nIt fires when {}. It stays silent when {}.\n",
        cases(&alert.drill.fires),
        cases(&alert.drill.silent)
    );
}

fn cases(cases: &[DrillCase]) -> String {
    let cases: Vec<&str> = cases.iter().map(|case| case.case.as_str()).collect();
    cases.join("; ")
}

fn labels(series: &Series) -> String {
    let labels: Vec<String> = series.labels.iter().map(|label| format!("`{label}`")).collect();
    labels.join(", ")
}

/// The word for a value in a pack.
fn word(value: &impl serde::Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        _ => String::new(),
    }
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

/// As GitHub makes it of a heading.
fn anchor(alert: &Alert) -> String {
    alert.name.to_lowercase()
}
