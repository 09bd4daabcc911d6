//! The names that a service uses instead of a pack's: those of its dialect, and above them `spec.signals.rename`.

use std::collections::{BTreeMap, BTreeSet};

use observed_crds::v1alpha1::signal_pack::{Scope, Series, SeriesType, SignalPack};

use super::known::of_service;
use super::{Choice, dialect, meant};
use crate::finding::{Code, Finding, nearest};
use crate::promql::{is_label_name, is_metric_name};

/// Labels that Prometheus puts on everything it scrapes, and those with a meaning of their own. A label of the
/// application with such a name is stored as `exported_<name>`.
const TAKEN: [&str; 8] = [
    "namespace",
    "job",
    "service",
    "pod",
    "container",
    "instance",
    "le",
    "quantile",
];

/// The user's new names, all of which fit.
#[derive(Debug, Default)]
pub(super) struct Renames {
    metrics: BTreeMap<String, String>,
    labels: BTreeMap<String, String>,
}

impl Renames {
    /// The user's name for a series.
    pub(super) fn user_metric(&self, series: &str) -> Option<&String> {
        self.metrics.get(series)
    }

    /// The name of a series at the service, without the suffixes of a histogram.
    pub(super) fn metric<'a>(&'a self, series: &'a Series, dialect: &str) -> &'a str {
        if series.scope == Scope::Service {
            dialect::metric(series, dialect, self.user_metric(&series.name))
        } else {
            &series.name
        }
    }

    /// The name of a label of a series at the service. None when the dialect is without it.
    pub(super) fn label<'a>(&'a self, series: &'a Series, dialect: &str, label: &'a str) -> Option<&'a str> {
        if let Some(new) = self.labels.get(label) {
            return Some(new);
        }
        let Some(spelling) = dialect::spelling(series, dialect) else {
            return Some(label);
        };
        if spelling.without.iter().any(|without| without == label) {
            return None;
        }
        Some(spelling.labels.get(label).map_or(label, String::as_str))
    }

    /// The new names of labels that the service exposes in a pack, by the dialect of each series.
    pub(super) fn labels_in<'a>(
        &self,
        pack: &SignalPack,
        dialect: impl Fn(&Series) -> &'a str,
    ) -> BTreeMap<String, String> {
        let all = of_service(pack).flat_map(|series| series.labels.iter().map(move |label| (series, label)));
        all.filter_map(|(series, label)| {
            let new = self.label(series, dialect(series), label)?;
            (new != label).then(|| (label.clone(), new.to_owned()))
        })
        .collect()
    }

    /// Labels that the service's dialect is without in a pack.
    pub(super) fn without<'a>(&self, pack: &SignalPack, dialect: impl Fn(&Series) -> &'a str) -> BTreeSet<String> {
        let all = of_service(pack).flat_map(|series| series.labels.iter().map(move |label| (series, label)));
        all.filter(|(series, label)| self.label(series, dialect(series), label).is_none())
            .map(|(_, label)| label.clone())
            .collect()
    }

    /// Two series, or two labels of one series, that would have the same name.
    pub(super) fn clashes(&self, choice: &Choice<'_>, dialects: &BTreeMap<&str, &str>, findings: &mut Vec<Finding>) {
        for pack in choice.asking() {
            for series in of_service(pack) {
                self.clash(series, dialect::of(dialects, pack, series), findings);
            }
        }
        self.metric_clashes(choice, dialects, findings);
    }

    /// Two series that the packs read, and that a new name makes one: each would show the other's values.
    fn metric_clashes(&self, choice: &Choice<'_>, dialects: &BTreeMap<&str, &str>, findings: &mut Vec<Finding>) {
        let mut names: BTreeMap<&str, &str> = BTreeMap::new();
        for pack in choice.all() {
            for series in &pack.spec.series {
                let name = self.metric(series, dialect::of(dialects, pack, series));
                let other = *names.entry(name).or_insert(&series.name);
                if other == series.name {
                    continue;
                }
                let renamed = [series.name.as_str(), other];
                for renamed in renamed.into_iter().filter(|old| self.metrics.contains_key(*old)) {
                    findings.push(Finding::error(
                        Code::UnknownSignal,
                        format!("spec.signals.rename.{renamed}"),
                        format!("the series {other:?} and {:?} would both be {name:?}", series.name),
                        "Give each series a name of its own: they tell different things",
                    ));
                }
            }
        }
    }

    fn clash(&self, series: &Series, dialect: &str, findings: &mut Vec<Finding>) {
        let mut names: BTreeMap<&str, &str> = BTreeMap::new();
        for label in &series.labels {
            let Some(name) = self.label(series, dialect, label) else {
                continue;
            };
            if let Some(other) = names.insert(name, label) {
                let renamed = if self.labels.contains_key(label) { label } else { other };
                findings.push(Finding::error(
                    Code::UnknownSignal,
                    format!("spec.signals.rename.{renamed}"),
                    format!(
                        "the labels {other:?} and {label:?} of {:?} would both be {name:?}",
                        series.name
                    ),
                    "Give each label a name of its own",
                ));
            }
        }
    }
}

/// The renames that fit; findings for the others.
pub(super) fn renames(choice: &Choice<'_>, written: &BTreeMap<String, String>, findings: &mut Vec<Finding>) -> Renames {
    let mut renames = Renames::default();
    let asking = choice.asking();
    let series = || asking.iter().flat_map(|pack| of_service(pack));
    let metrics: BTreeMap<&str, SeriesType> = series().map(|s| (s.name.as_str(), s.r#type)).collect();
    let labels: BTreeSet<&str> = series().flat_map(|s| &s.labels).map(String::as_str).collect();
    for (old, new) in written {
        let wrong = |message: String, help: String| {
            let path = format!("spec.signals.rename.{old}");
            Finding::error(Code::UnknownSignal, path, message, help)
        };
        if let Some(kind) = metrics.get(old.as_str()) {
            match metric_problem(*kind, new) {
                Some((message, help)) => findings.push(wrong(message, help)),
                None => drop(renames.metrics.insert(old.clone(), new.clone())),
            }
        } else if labels.contains(old.as_str()) {
            match label_problem(new) {
                Some((message, help)) => findings.push(wrong(message, help)),
                None => drop(renames.labels.insert(old.clone(), new.clone())),
            }
        } else {
            let message = format!("no pack reads a metric or label {old:?} of the service");
            findings.push(wrong(message, help_for_unknown(choice, old, &metrics, &labels)));
        }
    }
    renames
}

fn metric_problem(kind: SeriesType, new: &str) -> Option<(String, String)> {
    if !is_metric_name(new) {
        return Some((
            format!("{new:?} is not the name of a metric"),
            "Use a-z, A-Z, 0-9, _ and :, and no digit first".to_owned(),
        ));
    }
    let suffix = ["_bucket", "_sum", "_count"]
        .into_iter()
        .find(|suffix| kind == SeriesType::Histogram && new.ends_with(suffix))?;
    let base = new.strip_suffix(suffix).unwrap_or(new);
    Some((
        format!("{new:?} is one series of a histogram, not the histogram"),
        format!("Write {base:?}: {suffix} is added to it"),
    ))
}

fn label_problem(new: &str) -> Option<(String, String)> {
    if !is_label_name(new) {
        return Some((
            format!("{new:?} is not the name of a label"),
            "Use a-z, A-Z, 0-9 and _, no digit first, and no __ first".to_owned(),
        ));
    }
    TAKEN.contains(&new).then(|| {
        (
            format!("the label {new:?} belongs to Prometheus, not to the application"),
            format!("Prometheus stores such a label of the application as exported_{new}: write that"),
        )
    })
}

fn help_for_unknown(
    choice: &Choice<'_>,
    old: &str,
    metrics: &BTreeMap<&str, SeriesType>,
    labels: &BTreeSet<&str>,
) -> String {
    let base = ["_bucket", "_sum", "_count"]
        .into_iter()
        .find_map(|suffix| old.strip_suffix(suffix));
    if let Some(base) = base.filter(|base| metrics.contains_key(base)) {
        return format!("Rename {base:?}: its suffixes follow");
    }
    let others = || choice.all().flat_map(|pack| &pack.spec.series);
    if others().any(|series| series.scope != Scope::Service && series.name == old) {
        return "It is not exposed by the service but by Kubernetes or Prometheus, where its name is fixed".to_owned();
    }
    let reads = |series: &Series| series.name == old || series.labels.iter().any(|label| label == old);
    if let Some(help) = choice.elsewhere(|pack| of_service(pack).any(reads)) {
        return help;
    }
    let known: Vec<&str> = metrics.keys().chain(labels).copied().collect();
    if known.is_empty() {
        return "The packs of spec.signals.packs read nothing of the service that could be renamed".to_owned();
    }
    let guess = meant(nearest(old, known.iter().copied()));
    format!("{guess}The names that can be renamed are: {}", known.join(", "))
}
