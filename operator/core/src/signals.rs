//! From packs to rules, alerts, panels and drills of one service.

mod adapt;
mod alert;
mod case;
mod choice;
mod dialect;
mod exposure;
mod indicator;
mod known;
mod panel;
mod prices;
mod rename;
mod rules;
pub(crate) mod text;
mod ties;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use observed_crds::v1alpha1::signal_pack::{Series, Signal, SignalPack};
use observed_crds::v1alpha1::{Histograms, Signals, TargetKind};

use crate::finding::{Code, Finding};
use crate::packs::Packs;
use crate::plan;
use crate::promql::{Error, Expression};
use choice::{Choice, choose};
use exposure::Exposure;
use prices::Prices;
use rename::Renames;
use ties::Ties;

pub use dialect::GUIDE;
pub(crate) use known::own;
pub use known::{Known, default_packs};
pub use rules::rule_groups;
pub(crate) use ties::{selectors, tying_labels};

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
    /// Seconds that a scrape may take.
    pub timeout_seconds: u32,
    /// Most samples in a scrape.
    pub sample_limit: i64,
    /// What the user adapted.
    pub signals: &'a Signals,
    /// Page above the runbooks.
    pub runbook_base: Option<&'a str>,
    /// What is known of what it exposes.
    pub known: Known<'a>,
    /// What the service depends on.
    pub dependencies: &'a [plan::Dependency],
    /// The one of them that a pack is bound to. None for packs about the service itself.
    pub dependency: Option<&'a plan::Dependency>,
}

impl<'a> Binding<'a> {
    /// The namespaces that expressions may select from.
    fn namespaces(&self) -> Vec<&'a str> {
        let exporter = self.dependency.and_then(|dependency| dependency.exporter.as_ref());
        let other = exporter.map(|exporter| exporter.namespace.as_str());
        std::iter::once(self.namespace).chain(other).collect()
    }

    /// The labels of a recorded series or an alert that say which dependency it is about.
    fn dependency_labels(&self) -> BTreeMap<String, String> {
        let own = self.dependency.map(|dependency| {
            [
                ("namespace", self.namespace),
                ("service", self.service),
                ("dependency", &dependency.name),
            ]
        });
        let labels = own.into_iter().flatten();
        labels
            .map(|(label, value)| (label.to_owned(), value.to_owned()))
            .collect()
    }
}

/// What packs become for one service.
#[derive(Debug)]
pub struct Bound {
    /// The packs, as far as the service exposes what they read.
    pub packs: Vec<plan::Pack>,
    /// What it exposes of that, and what it does not.
    pub exposure: plan::Exposure,
    /// Its native histograms, by name.
    pub natives: BTreeSet<String>,
}

/// How the packs are spelled for one service.
struct Adapted<'a> {
    /// Every pack that there is.
    packs: &'a Packs,
    /// The service's own window.
    window: Option<Duration>,
    renames: &'a Renames,
    dialects: &'a BTreeMap<&'a str, &'a str>,
    prices: &'a Prices,
    histograms: Histograms,
}

impl<'a> Adapted<'a> {
    /// How the service spells a series of a pack.
    fn dialect(&self, pack: &SignalPack, series: &Series) -> &'a str {
        dialect::of(self.dialects, pack, series)
    }

    /// The series that another one is computed from, because the service gives prices for its units.
    fn computed_from<'s>(&self, series: &'s Series) -> Option<&'s str> {
        let priced = series.priced.as_ref()?;
        self.prices.of(priced).map(|_| priced.from.as_str())
    }
}

/// The named packs, tied to the service.
///
/// # Errors
/// Every finding: packs and alerts that do not exist, thresholds, renames, a dialect and requirements that do not fit.
pub fn bind(packs: &Packs, names: &[String], binding: &Binding<'_>) -> Result<Bound, Vec<Finding>> {
    let mut findings = Vec::new();
    let choice = choose(packs, names, binding, &mut findings);
    let window = adapt::window(binding, &mut findings);
    let renames = rename::renames(&choice, &binding.signals.rename, &mut findings);
    let dialects = dialect::dialects(&choice, &renames, binding, &mut findings);
    renames.clashes(&choice, &dialects, &mut findings);
    let prices = prices::prices(&choice, &binding.signals.prices, &mut findings);
    adapt::unknown_alerts(&choice, &binding.signals.alerts, &mut findings);
    let adapted = Adapted {
        packs,
        window,
        renames: &renames,
        dialects: &dialects,
        prices: &prices,
        histograms: binding.signals.histograms.unwrap_or_default(),
    };
    let bound = match Exposure::new(&choice, &adapted, binding, &mut findings) {
        Ok(exposure) => bind_all(&choice, &adapted, exposure, binding, &mut findings),
        Err(error) => {
            findings.push(unreadable(&choice, &error));
            None
        }
    };
    if let Some(bound) = bound.filter(|_| findings.is_empty()) {
        return Ok(bound);
    }
    findings.sort();
    findings.dedup();
    Err(findings)
}

/// The chosen packs, and those about dependencies.
fn bind_all<'a>(
    choice: &Choice<'a>,
    adapted: &Adapted<'_>,
    mut exposure: Exposure<'a>,
    binding: &Binding<'_>,
    findings: &mut Vec<Finding>,
) -> Option<Bound> {
    let (mut packs, mut natives) = (Vec::new(), BTreeSet::new());
    let mut tied = |chosen: &[&SignalPack], binding: &Binding<'_>| match Ties::new(chosen, binding, adapted) {
        Ok(ties) => {
            for pack in chosen {
                natives.extend(ties.natives(pack));
                match bind_pack(pack, &ties, &mut exposure, binding) {
                    Ok(pack) => packs.push(pack),
                    Err(found) => findings.extend(found),
                }
            }
        }
        Err(finding) => findings.push(finding),
    };
    tied(&choice.chosen, binding);
    for (pack, dependency) in &choice.depended {
        let dependency = Some(*dependency);
        tied(&[*pack], &Binding { dependency, ..*binding });
    }
    match exposure.told(choice, adapted) {
        Ok(exposure) => Some(Bound {
            packs,
            exposure,
            natives,
        }),
        Err(error) => {
            findings.push(unreadable(choice, &error));
            None
        }
    }
}

/// One pack, as the service has it.
fn bind_pack<'a>(
    pack: &SignalPack,
    ties: &Ties<'_>,
    exposure: &mut Exposure<'a>,
    binding: &Binding<'_>,
) -> Result<plan::Pack, Vec<Finding>> {
    let mut findings = Vec::new();
    let mut bound = plan::Pack {
        name: pack.metadata.name.clone(),
        title: match binding.dependency {
            Some(dependency) => format!("{} {}", pack.spec.title, dependency.name),
            None => pack.spec.title.clone(),
        },
        dependency: binding.dependency.cloned(),
        series: ties.series(pack),
        records: Vec::new(),
        alerts: Vec::new(),
        panels: Vec::new(),
        indicators: Vec::new(),
        priced: ties.priced_counters(pack),
    };
    let lacking = ties.lacking(pack, binding.dependency);
    for signal in &pack.spec.signals {
        if ties.reads(signal, &lacking) {
            let has_it = |other: &&plan::Dependency| !ties.reads(signal, &ties.lacking(pack, Some(*other)));
            let mut of_type = binding
                .dependencies
                .iter()
                .filter(|it| Some(it.kind) == pack.spec.dependency);
            match binding.dependency {
                None => findings.extend(adapt::alerts_of_other_kinds(signal, binding)),
                // What another dependency of the type has may be adapted.
                Some(_) if of_type.any(|other| has_it(&other)) => {}
                Some(own) => findings.extend(adapt::alerts_of_other_sources(signal, own, binding)),
            }
            continue;
        }
        let wrong = |part: &str, error: &Error| broken(pack, &format!("{part} of signal {:?}", signal.name), error);
        let lacks = |exposure: &Exposure<'a>, expressions: &[&str]| {
            // What cannot be parsed is told where it is tied.
            exposure.lacks(pack, signal, expressions).unwrap_or_default()
        };
        let record = signal
            .record
            .as_ref()
            .filter(|record| lacks(exposure, &[&record.expr]).is_empty());
        if let Some(record) = record {
            match ties.record(&record.r#as).map(|expr| proven(expr, ties, binding)) {
                Some(Ok(expr)) => bound.records.push(plan::Record {
                    name: record.r#as.clone(),
                    expr,
                    labels: record_labels(ties.is_own_record(&record.r#as), binding),
                }),
                Some(Err(error)) => findings.push(wrong("record", &error)),
                None => {}
            }
        }
        let (mut thresholds, before) = (Vec::new(), bound.alerts.len());
        for alert in &signal.alerts {
            match adapt::settings(signal, alert, binding.signals.alerts.get(&alert.name)) {
                Ok(None) => {}
                Ok(Some(settings)) => {
                    let value = alert.value.as_deref().or(recorded(signal));
                    let read: Vec<&str> = value.into_iter().chain(alert.when.as_deref()).collect();
                    let lacks = lacks(exposure, &read);
                    if !lacks.is_empty() {
                        exposure.leave_out(&lacks, &format!("alert {}", alert.name));
                        continue;
                    }
                    if is_drawn(signal, alert.value.as_deref(), ties) {
                        thresholds.push(settings.threshold());
                    }
                    match alert::alert(pack, signal, alert, &settings, ties, binding) {
                        Ok(alert) => bound.alerts.push(alert),
                        Err(error) => findings.push(wrong(&format!("alert {:?}", alert.name), &error)),
                    }
                }
                Err(found) => findings.extend(found),
            }
        }
        let stands = |expr: &str| lacks(exposure, &[expr]).is_empty();
        let alerts = bound.alerts.iter().skip(before).map(|alert| alert.name.clone());
        match panel::panel(pack, signal, thresholds, alerts.collect(), &stands, ties, binding) {
            Ok(panel) => bound.panels.extend(panel),
            Err(error) => findings.push(wrong("panel", &error)),
        }
        if let Some(panel) = &signal.panel {
            for query in &panel.queries {
                let lacks = lacks(exposure, &[&query.expr]);
                exposure.leave_out(&lacks, &format!("panel {:?}", panel.title));
            }
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

/// Whether the panel draws what an alert compares, so that the threshold is a line of it: what compares something else
/// has another scale. Without a value of its own an alert compares what is recorded, which the panel draws.
fn is_drawn(signal: &Signal, value: Option<&str>, ties: &Ties<'_>) -> bool {
    let Some(value) = value else {
        return true;
    };
    let mut queries = signal.panel.iter().flat_map(|panel| &panel.queries);
    // What cannot be parsed is told where it is tied.
    queries.any(|query| {
        let parsed = ties
            .parsed(value)
            .and_then(|value| Ok((value, ties.parsed(&query.expr)?)));
        parsed.is_ok_and(|(value, drawn)| value.is_shown_by(&drawn))
    })
}

/// The labels that are written over those of a recorded series. What a user's expression records is recorded for the
/// namespace of the service, whatever labels it leaves.
fn record_labels(own: bool, binding: &Binding<'_>) -> BTreeMap<String, String> {
    let mut labels = binding.dependency_labels();
    if own {
        labels.insert("namespace".to_owned(), binding.namespace.to_owned());
    }
    labels
}

/// The text of an expression of which it is proven that it stays in the namespace, or in that of the dependency, or with the
/// rule groups of the service.
fn proven(expression: &Expression, ties: &Ties<'_>, binding: &Binding<'_>) -> Result<String, Error> {
    expression.prove_in(&binding.namespaces(), Some(ties.rule_groups()))?;
    Ok(expression.into())
}

/// A pack whose expressions cannot be read.
fn unreadable(choice: &Choice<'_>, error: &Error) -> Finding {
    let packs = choice.chosen.iter().map(|pack| pack.metadata.name.as_str());
    Finding::error(
        Code::Expression,
        "spec.signals.packs",
        format!("one of the packs {}: {error}", packs.collect::<Vec<_>>().join(", ")),
        "Correct the pack, or leave it out of spec.signals.packs",
    )
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
