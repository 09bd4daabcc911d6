//! What stands against a user's pack, whatever service names it.

use std::collections::BTreeSet;
use std::time::Duration;

use observed_crds::v1alpha1::signal_pack::{Signal, SignalPack};
use observed_crds::v1alpha1::{DependencyType, Signals, TargetKind};

use super::Packs;
use crate::duration;
use crate::finding::{Code, Finding};
use crate::names;
use crate::plan::{Dependency, Exporter};
use crate::promql::{Declared, Error, Expression, Match, RULE_GROUP, Tie};
use crate::signals::{Binding, Known, bind, selectors, tying_labels};

/// Namespace, service, workload and exporter that stand for those of whoever will name the pack.
const STAND_IN: &str = "stand-in";

/// Everything that is wrong with a pack of a user, with its path in the SignalPack. First what is wrong with single
/// expressions; when nothing is, what is wrong with the whole.
pub fn check(builtin: &Packs, pack: &SignalPack) -> Vec<Finding> {
    let mut packs = builtin.clone();
    let mut findings = packs.put(pack);
    if let Some(seconds) = duration::seconds(&pack.spec.window) {
        findings.extend(of_expressions(&packs, pack, seconds));
    } else {
        findings.push(Finding::error(
            Code::Duration,
            "spec.window",
            format!("{:?} is no duration", pack.spec.window),
            "Write a Prometheus duration, for instance \"5m\"",
        ));
    }
    if findings.is_empty() {
        findings.extend(of_whole(&packs));
    }
    findings.sort();
    findings.dedup();
    findings
}

/// The expressions of a pack, each with its path.
fn expressions(pack: &SignalPack) -> Vec<(String, &str)> {
    let mut found = Vec::new();
    for (index, signal) in pack.spec.signals.iter().enumerate() {
        let signal_path = format!("spec.signals[{index}]");
        if let Some(record) = &signal.record {
            found.push((format!("{signal_path}.record.expr"), record.expr.as_str()));
        }
        let queries = signal.panel.iter().flat_map(|panel| &panel.queries).enumerate();
        found.extend(
            queries.map(|(nth, query)| (format!("{signal_path}.panel.queries[{nth}].expr"), query.expr.as_str())),
        );
        for (nth, alert) in signal.alerts.iter().enumerate() {
            let path = format!("{signal_path}.alerts[{nth}]");
            found.extend(
                alert
                    .value
                    .iter()
                    .map(|value| (format!("{path}.value"), value.as_str())),
            );
            found.extend(alert.when.iter().map(|when| (format!("{path}.when"), when.as_str())));
        }
    }
    found
}

/// Expressions that are no PromQL, or that cannot be tied to a service.
fn of_expressions(packs: &Packs, pack: &SignalPack, window_seconds: u32) -> Vec<Finding> {
    let rule_groups = names::rule_group_pattern(STAND_IN, STAND_IN);
    let tie = match tie(packs, pack, window_seconds, &rule_groups) {
        Ok(tie) => tie,
        Err(error) => return vec![unfit("spec.series".to_owned(), &error)],
    };
    let recorded = pack.spec.signals.iter().enumerate();
    let recorded = recorded.filter_map(|(index, signal)| recorded_of_rules(packs, pack, index, signal));
    let wrong = |(path, text): (String, &str)| {
        let tied = Expression::parse(text).and_then(|expr| tie.rule(&expr));
        let proven = tied.and_then(|tied| tied.prove_in(&[STAND_IN], Some(&rule_groups)));
        proven.err().map(|error| unfit(path, &error))
    };
    expressions(pack)
        .into_iter()
        .filter_map(wrong)
        .chain(recorded)
        .collect()
}

/// A record of what Prometheus tells of rules, which has the namespace of Prometheus: nobody would find it by the service's.
fn recorded_of_rules(packs: &Packs, pack: &SignalPack, index: usize, signal: &Signal) -> Option<Finding> {
    let record = signal.record.as_ref()?;
    let read = packs.read_of_rules(pack, &record.expr)?;
    Some(Finding::error(
        Code::Expression,
        format!("spec.signals[{index}].record"),
        format!(
            "{:?} is of the scope rules, of which nothing can be recorded",
            read.name
        ),
        "Leave the record out, and write its expression as the value of the alerts and in the panel",
    ))
}

fn unfit(path: String, error: &Error) -> Finding {
    let help = match error {
        Error::Syntax { .. } => "Write PromQL that promtool accepts as it stands",
        Error::Nameless(_) => "Name one metric that the pack declares under series",
        Error::Undeclared(_) => "Declare it under series, with the scope that ties it to the service",
        Error::Contradiction { .. } => "Leave the matcher out: it is put in for the service that has the pack",
        Error::Alternatives(_) => "Write two selectors with or between them",
        Error::LabelFunction(_) => "Leave the labels as they are",
        _ => "Correct the expression",
    };
    Finding::error(Code::Expression, path, error.to_string(), help)
}

/// A tie that knows what the pack declares, and what is recorded in any pack.
fn tie(packs: &Packs, pack: &SignalPack, window_seconds: u32, rule_groups: &str) -> Result<Tie, Error> {
    let window = Duration::from_secs(window_seconds.into());
    let mut tie = Tie::new(window, window, [].into())?;
    let whole = packs.whole(pack);
    for name in whole.spec.settings.keys() {
        tie.number(name, 0.0);
    }
    for series in &whole.spec.series {
        let labels = tying_labels(series, TargetKind::Deployment);
        let matches: Vec<_> = labels
            .iter()
            .map(|label| match label.as_str() {
                RULE_GROUP => (RULE_GROUP, Match::Like(rule_groups)),
                label => (label, Match::Is(STAND_IN)),
            })
            .collect();
        for selector in selectors(series) {
            let declared = Declared {
                name: &selector,
                matches: &matches,
                windowed: false,
            };
            tie.declare(&selector, declared)?;
        }
    }
    let records = packs.packs.iter().flat_map(|pack| &pack.spec.signals);
    for record in records.filter_map(|signal| signal.record.as_ref()) {
        let declared = Declared {
            name: &record.r#as,
            matches: &[("namespace", Match::Is(STAND_IN))],
            windowed: false,
        };
        tie.declare(&record.r#as, declared)?;
    }
    Ok(tie)
}

/// What is wrong once every pack is bound to a service: what no single expression shows, such as a formula of a drill.
fn of_whole(packs: &Packs) -> Vec<Finding> {
    let names: Vec<String> = packs
        .packs
        .iter()
        .filter(|pack| pack.spec.dependency.is_none())
        .map(|pack| pack.metadata.name.clone())
        .collect();
    let dependencies = DependencyType::ALL.map(|kind| Dependency {
        name: STAND_IN.to_owned(),
        kind,
        exporter: Some(Exporter {
            namespace: STAND_IN.to_owned(),
            job: format!("{STAND_IN}-exporter"),
            instance: None,
        }),
        host: Some(STAND_IN.to_owned()),
    });
    let signals = Signals::default();
    let bound = |target_kind| {
        let binding = Binding {
            namespace: STAND_IN,
            service: STAND_IN,
            job: STAND_IN,
            target_kind,
            target_name: STAND_IN,
            interval_seconds: 30,
            timeout_seconds: 10,
            sample_limit: 1000,
            signals: &signals,
            runbook_base: None,
            known: Known::default(),
            dependencies: &dependencies,
            dependency: None,
        };
        bind(packs, &names, &binding).err().unwrap_or_default()
    };
    let found: BTreeSet<Finding> = TargetKind::ALL.into_iter().flat_map(bound).collect();
    let at_spec = |finding: Finding| Finding {
        path: "spec".to_owned(),
        ..finding
    };
    found.into_iter().map(at_spec).collect()
}

#[cfg(test)]
mod tests;
