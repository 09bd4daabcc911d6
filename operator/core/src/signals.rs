//! From packs to rules, alerts, panels and drills of one service.

mod adapt;
mod alert;
mod case;
mod indicator;
mod panel;
mod rename;
mod rules;
pub(crate) mod text;
mod ties;

use std::collections::BTreeMap;

use observed_crds::v1alpha1::signal_pack::{Signal, SignalPack};
use observed_crds::v1alpha1::{Signals, TargetKind};

use crate::finding::{Code, Finding, nearest};
use crate::packs::Packs;
use crate::plan;
use crate::promql::{Error, Expression};
use ties::Ties;

pub use rules::rule_groups;

/// What ties packs to one service.
#[derive(Clone, Copy, Debug)]
pub struct Binding<'a> {
    /// Namespace of the service.
    pub namespace: &'a str,
    /// Name of the ObservedService: the label `service` of its alerts.
    pub service: &'a str,
    /// The `job` label of its scrape.
    pub job: &'a str,
    /// Kind of the workload.
    pub target_kind: TargetKind,
    /// Name of the workload.
    pub target_name: &'a str,
    /// Seconds between two scrapes and two evaluations.
    pub interval_seconds: u32,
    /// What the user adapted.
    pub signals: &'a Signals,
    /// Page above the runbooks.
    pub runbook_base: Option<&'a str>,
}

/// The packs that exist, and those of them that apply.
struct Choice<'a> {
    packs: &'a Packs,
    chosen: Vec<&'a SignalPack>,
}

impl Choice<'_> {
    /// The pack that does not apply and has what is looked for, in words.
    fn elsewhere(&self, has: impl Fn(&SignalPack) -> bool) -> Option<String> {
        let others = self.packs.packs.iter().filter(|pack| !self.has(&pack.metadata.name));
        let pack = others.into_iter().find(|pack| has(pack))?;
        let name = &pack.metadata.name;
        Some(format!(
            "It belongs to the pack {name:?}: add it to spec.signals.packs, or leave this out"
        ))
    }

    fn has(&self, name: &str) -> bool {
        self.chosen.iter().any(|pack| pack.metadata.name == name)
    }
}

/// The named packs, tied to the service.
///
/// # Errors
/// Every finding: packs and alerts that do not exist, thresholds and renames that do not fit.
pub fn bind(packs: &Packs, names: &[String], binding: &Binding<'_>) -> Result<Vec<plan::Pack>, Vec<Finding>> {
    let mut findings = Vec::new();
    let choice = choose(packs, names, &mut findings);
    let window = adapt::window(binding, &mut findings);
    let renames = rename::renames(&choice, &binding.signals.rename, &mut findings);
    adapt::unknown_alerts(&choice, &binding.signals.alerts, &mut findings);
    let mut bound = Vec::new();
    match Ties::new(&choice.chosen, binding, window, &renames) {
        Ok(ties) => {
            for pack in &choice.chosen {
                match bind_pack(pack, &ties, binding) {
                    Ok(pack) => bound.push(pack),
                    Err(found) => findings.extend(found),
                }
            }
        }
        Err(finding) => findings.push(finding),
    }
    if findings.is_empty() {
        return Ok(bound);
    }
    findings.sort();
    findings.dedup();
    Err(findings)
}

fn choose<'a>(packs: &'a Packs, names: &[String], findings: &mut Vec<Finding>) -> Choice<'a> {
    let mut chosen: Vec<&SignalPack> = Vec::new();
    for (index, name) in names.iter().enumerate() {
        match packs.get(name) {
            Some(pack) => {
                if !chosen.contains(&pack) {
                    chosen.push(pack);
                }
            }
            None => {
                let known = packs.names().collect::<Vec<_>>().join(", ");
                findings.push(Finding::error(
                    Code::UnknownSignal,
                    format!("spec.signals.packs[{index}]"),
                    format!("there is no pack {name:?}"),
                    format!("{}The packs are: {known}", meant(nearest(name, packs.names()))),
                ));
            }
        }
    }
    Choice { packs, chosen }
}

/// One pack, as the service has it.
fn bind_pack(pack: &SignalPack, ties: &Ties<'_>, binding: &Binding<'_>) -> Result<plan::Pack, Vec<Finding>> {
    let mut findings = Vec::new();
    let mut bound = plan::Pack {
        name: pack.metadata.name.clone(),
        title: pack.spec.title.clone(),
        series: ties.series(pack),
        records: Vec::new(),
        alerts: Vec::new(),
        panels: Vec::new(),
        indicators: Vec::new(),
    };
    for signal in &pack.spec.signals {
        let wrong = |part: &str, error: &Error| broken(pack, &format!("{part} of signal {:?}", signal.name), error);
        if let Some(record) = &signal.record {
            match ties.record(&record.r#as).map(|expr| proven(expr, binding)) {
                Some(Ok(expr)) => bound.records.push(plan::Record {
                    name: record.r#as.clone(),
                    expr,
                    labels: BTreeMap::new(),
                }),
                Some(Err(error)) => findings.push(wrong("record", &error)),
                None => {}
            }
        }
        let mut thresholds = Vec::new();
        for alert in &signal.alerts {
            match adapt::settings(signal, alert, binding.signals.alerts.get(&alert.name)) {
                Ok(None) => {}
                Ok(Some(settings)) => {
                    thresholds.push(settings.threshold());
                    match alert::alert(pack, signal, alert, &settings, ties, binding) {
                        Ok(alert) => bound.alerts.push(alert),
                        Err(error) => findings.push(wrong(&format!("alert {:?}", alert.name), &error)),
                    }
                }
                Err(found) => findings.extend(found),
            }
        }
        match panel::panel(pack, signal, thresholds, ties, binding) {
            Ok(panel) => bound.panels.extend(panel),
            Err(error) => findings.push(wrong("panel", &error)),
        }
    }
    for written in &pack.spec.indicators {
        match indicator::indicator(pack, written, ties, binding) {
            Ok(indicator) => bound.indicators.push(indicator),
            Err(error) => findings.push(broken(pack, &format!("indicator {:?}", written.name), &error)),
        }
    }
    if findings.is_empty() { Ok(bound) } else { Err(findings) }
}

/// The text of an expression of which it is proven that it stays in the namespace.
fn proven(expression: &Expression, binding: &Binding<'_>) -> Result<String, Error> {
    let text = expression.to_string();
    crate::promql::prove_namespaced(&text, binding.namespace)?;
    Ok(text)
}

/// A pack whose expressions cannot be tied. The built-in ones always can.
fn broken(pack: &SignalPack, part: &str, error: &Error) -> Finding {
    let name = &pack.metadata.name;
    Finding::error(
        Code::Expression,
        "spec.signals.packs",
        format!("pack {name:?}, {part}: {error}"),
        format!("Correct the pack, or leave {name:?} out of spec.signals.packs"),
    )
}

/// The name that was meant, as the beginning of a help.
fn meant(nearest: Option<&str>) -> String {
    nearest
        .map(|name| format!("did you mean {name:?}? "))
        .unwrap_or_default()
}

/// What an alert of the signal compares when it says nothing else.
fn recorded(signal: &Signal) -> Option<&str> {
    signal.record.as_ref().map(|record| record.r#as.as_str())
}

#[cfg(test)]
pub(crate) mod sample;
#[cfg(test)]
mod tests;
