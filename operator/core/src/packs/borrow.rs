//! The series of the service that a pack reads and another one declares.

use std::collections::BTreeMap;

use observed_crds::v1alpha1::signal_pack::{Series, SignalPack};

use crate::finding::{Code, Finding, nearest};
use crate::signals::own;

/// Puts series that a pack borrows beside its own, as their lenders declare them. Findings for what cannot be borrowed,
/// with their paths in the pack that wants them.
pub(super) fn borrow(
    pack: &mut SignalPack,
    wanted: &BTreeMap<String, Vec<String>>,
    lenders: &[SignalPack],
) -> Vec<Finding> {
    let mut findings = Vec::new();
    if pack.spec.dependency.is_some() && !wanted.is_empty() {
        let message = "a pack about a dependency reads nothing else";
        let help = "Borrow in a pack of your own that extends none";
        return vec![Finding::error(Code::Expression, "spec.borrows", message, help)];
    }
    let mut borrowed: Vec<Series> = Vec::new();
    for (name, wanted) in wanted {
        let path = format!("spec.borrows.{name}");
        let Some(lender) = lenders.iter().find(|lender| lender.metadata.name == *name) else {
            let known = || lenders.iter().map(|lender| lender.metadata.name.as_str());
            let message = format!("there is no built-in pack {name:?}");
            findings.push(unknown(path, message, "The built-in packs", name, known));
            continue;
        };
        for (index, wanted) in wanted.iter().enumerate() {
            let path = format!("{path}[{index}]");
            match lent(lender).find(|series| series.name == *wanted) {
                None => {
                    let known = || lent(lender).map(|series| series.name.as_str());
                    let message = format!("the pack {name:?} lends no series {wanted:?}");
                    let what = format!(
                        "Only what the service exposes is lent, by the pack that declares it. Of {name:?} that"
                    );
                    findings.push(unknown(path, message, &what, wanted, known));
                }
                Some(series) => match against(pack, &borrowed, series) {
                    Some((message, help)) => findings.push(Finding::error(Code::InvalidValue, path, message, help)),
                    None => borrowed.push(series.clone()),
                },
            }
        }
    }
    for series in &borrowed {
        let Some(from) = series.priced.as_ref().map(|priced| &priced.from) else {
            continue;
        };
        if borrowed
            .iter()
            .chain(&pack.spec.series)
            .all(|series| series.name != *from)
        {
            findings.push(Finding::error(
                Code::InvalidValue,
                "spec.borrows",
                format!(
                    "{:?} can be computed from {from:?}, which the pack does not have",
                    series.name
                ),
                format!("Borrow {from:?} too"),
            ));
        }
    }
    pack.spec.series.extend(borrowed);
    findings
}

/// The series of a pack's own that the service exposes: what Kubernetes, Prometheus and exporters do is spelled the same everywhere.
fn lent(lender: &SignalPack) -> impl Iterator<Item = &Series> {
    own(lender).filter(|series| series.host_label.is_none())
}

/// Why a series cannot stand beside those of the pack and what it borrowed before, and what to do.
fn against(pack: &SignalPack, borrowed: &[Series], series: &Series) -> Option<(String, String)> {
    let there = || pack.spec.series.iter().chain(borrowed);
    if there().any(|other| other.name == series.name) {
        let message = format!("the pack has {:?} already", series.name);
        return Some((message, "Leave it out of series or of borrows".to_owned()));
    }
    let lender = pack.lender(&series.name);
    let spelled = |series: &Series, label: &String| {
        let mut dialects = series.dialects.values();
        dialects.any(|spelling| spelling.labels.contains_key(label) || spelling.without.contains(label))
    };
    let (label, other) = there()
        .filter(|other| pack.lender(&other.name) != lender)
        .flat_map(|other| other.labels.iter().map(move |label| (label, other)))
        .find(|(label, other)| series.labels.contains(label) && (spelled(series, label) || spelled(other, label)))?;
    Some((
        format!(
            "the label {label:?} of it and of {:?} can have different names at a service",
            other.name
        ),
        "Read them in packs of their own".to_owned(),
    ))
}

fn unknown<'a, I: Iterator<Item = &'a str>>(
    path: String,
    message: String,
    what: &str,
    written: &str,
    known: impl Fn() -> I,
) -> Finding {
    let meant = nearest(written, known())
        .map(|name| format!("Did you mean {name:?}? "))
        .unwrap_or_default();
    let known = known().collect::<Vec<_>>().join(", ");
    Finding::error(
        Code::UnknownSignal,
        path,
        message,
        format!("{meant}{what} are: {known}"),
    )
}
