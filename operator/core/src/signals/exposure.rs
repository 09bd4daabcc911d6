//! What the service exposes of what the packs read, and so what can be generated.

use std::collections::{BTreeMap, BTreeSet};

use observed_crds::v1alpha1::signal_pack::{Series, Signal, SignalPack};
use observed_crds::v1alpha1::{PackSignals, SeenSeries};

use super::known::{of_service, own};
use super::ties::selectors;
use super::{Adapted, Binding, Choice, dialect, meant};
use crate::finding::{Code, Finding, nearest};
use crate::packs::Packs;
use crate::plan;
use crate::promql::Error;

/// Most of each that is kept in the status.
const MOST_LABELS: usize = 32;
const MOST_SERIES: usize = 64;

/// What is exposed of the chosen packs.
pub(super) struct Exposure<'a> {
    /// Every pack that there is.
    known: &'a Packs,
    /// What is known of each pack that reads something of the service, to be kept.
    packs: Vec<PackSignals>,
    /// Missing series of each pack, by the names that its expressions select: another pack may have another dialect.
    missing: BTreeMap<(&'a str, String), &'a str>,
    /// Recorded series that are not generated, with the missing series that they need.
    unrecorded: BTreeMap<&'a str, BTreeSet<Lacked<'a>>>,
    /// Packs and signals that are generated all the same.
    insisted: BTreeSet<(&'a str, &'a str)>,
    /// What is left out, by the missing series.
    left_out: BTreeMap<Lacked<'a>, BTreeSet<String>>,
}

/// A missing series: the name of the pack that reads it, and its own in that pack.
pub(super) type Lacked<'a> = (&'a str, &'a str);

impl<'a> Exposure<'a> {
    /// # Errors
    /// An expression of a pack is not PromQL.
    pub(super) fn new(
        choice: &Choice<'a>,
        adapted: &Adapted<'_>,
        binding: &Binding<'_>,
        findings: &mut Vec<Finding>,
    ) -> Result<Self, Error> {
        let mut exposure = Self {
            known: choice.packs,
            packs: Vec::new(),
            missing: BTreeMap::new(),
            unrecorded: BTreeMap::new(),
            insisted: required(choice, &binding.signals.require, findings)?,
            left_out: BTreeMap::new(),
        };
        for pack in choice.asking() {
            let Some(seen) = look(pack, adapted, binding)? else {
                continue;
            };
            for series in of_service(pack) {
                // What is computed from another series is there when that one is.
                let read = adapted.computed_from(series).unwrap_or(&series.name);
                if seen.missing.iter().any(|missing| missing == read) {
                    let names = selectors(series).into_iter();
                    let pack = pack.metadata.name.as_str();
                    exposure.missing.extend(names.map(|name| ((pack, name), read)));
                }
            }
            exposure.packs.push(seen);
        }
        for lender in choice.lending() {
            exposure.packs.extend(dialect_alone(lender, adapted, binding));
        }
        exposure.follow_records(choice)?;
        Ok(exposure)
    }

    /// A recorded series that reads a missing one is missing too, whatever it is recorded from.
    fn follow_records(&mut self, choice: &Choice<'a>) -> Result<(), Error> {
        loop {
            let before = self.unrecorded.len();
            for (pack, signal) in signals(choice) {
                if let Some(record) = &signal.record {
                    let lacks = self.lacks(pack, signal, &[&record.expr])?;
                    if !lacks.is_empty() {
                        self.unrecorded.insert(&record.r#as, lacks);
                    }
                }
            }
            if self.unrecorded.len() == before {
                return Ok(());
            }
        }
    }

    /// The missing series without which these expressions of a signal say nothing. None when the user insists on it.
    pub(super) fn lacks(
        &self,
        pack: &SignalPack,
        signal: &Signal,
        expressions: &[&str],
    ) -> Result<BTreeSet<Lacked<'a>>, Error> {
        let mut lacks = BTreeSet::new();
        if self.missing.is_empty() || self.insisted.contains(&(&pack.metadata.name, &signal.name)) {
            return Ok(lacks);
        }
        let of_pack = |name: &str| {
            let mut missing = self.missing.iter();
            let found = missing.find(|((of, missing), _)| *of == pack.metadata.name && missing == name);
            found.map(|((of, _), read)| (*of, *read))
        };
        for text in expressions {
            for name in self.known.expression(text)?.metrics() {
                lacks.extend(of_pack(&name));
                lacks.extend(self.unrecorded.get(name.as_str()).into_iter().flatten());
            }
        }
        Ok(lacks)
    }

    /// Remembers what is not generated because of missing series.
    pub(super) fn leave_out(&mut self, lacks: &BTreeSet<Lacked<'a>>, what: &str) {
        for series in lacks {
            self.left_out.entry(*series).or_default().insert(what.to_owned());
        }
    }

    /// What is told and kept about it.
    pub(super) fn told(self, choice: &Choice<'a>, adapted: &Adapted<'_>) -> Result<plan::Exposure, Error> {
        let renames = adapted.renames;
        let mut told = plan::Exposure::default();
        for pack in choice.asking().into_iter().chain(choice.lending()) {
            if own(pack).next().is_some() {
                let name = pack.metadata.name.as_str();
                told.dialects
                    .insert(name.to_owned(), dialect::chosen(adapted.dialects, pack).to_owned());
            }
        }
        for pack in choice.asking() {
            let name = pack.metadata.name.as_str();
            if of_service(pack).next().is_none() {
                continue;
            }
            let Some(seen) = self.packs.iter().find(|seen| seen.pack == name) else {
                told.unasked.push(name.to_owned());
                continue;
            };
            for series in of_service(pack) {
                let dialect = adapted.dialect(pack, series);
                if seen.missing.contains(&series.name) {
                    let left_out = self.left_out.get(&(name, series.name.as_str()));
                    told.missing.push(plan::MissingSeries {
                        pack: name.to_owned(),
                        name: renames.metric(series, dialect).to_owned(),
                        left_out: left_out.into_iter().flatten().cloned().collect(),
                        objectives: Vec::new(),
                        when_missing: dialect::when_missing(series, dialect).to_owned(),
                    });
                } else if let Some(labels) = seen.seen.iter().find(|seen| seen.name == series.name) {
                    let labels = labels.labels.as_deref().map(|labels| labels.iter().cloned().collect());
                    if let Some(labels) = labels {
                        for label in lacking(choice.packs, pack, series, adapted, &labels)? {
                            // Packs that read the same series have the same to say of it.
                            if !told.lacking.contains(&label) {
                                told.lacking.push(label);
                            }
                        }
                    }
                }
            }
        }
        told.seen = self.packs;
        Ok(told)
    }
}

/// What is known of the series of a pack. None when nobody knows anything, or there is nothing to know.
fn look(pack: &SignalPack, adapted: &Adapted<'_>, binding: &Binding<'_>) -> Result<Option<PackSignals>, Error> {
    let known = &binding.known;
    let before = known.before(pack);
    if of_service(pack).next().is_none() || known.now.is_none() && before.is_none() {
        return Ok(None);
    }
    let kept = before.filter(|before| known.holds(before));
    let mut seen = PackSignals {
        pack: pack.metadata.name.clone(),
        dialect: dialect::chosen(adapted.dialects, pack).to_owned(),
        generation: kept.map_or(known.generation, |kept| kept.generation),
        ..PackSignals::default()
    };
    let exposed = of_service(pack).filter(|series| adapted.computed_from(series).is_none());
    for series in exposed.take(MOST_SERIES) {
        let name = adapted.renames.metric(series, adapted.dialect(pack, series));
        let mut found = kept.and_then(|kept| kept.seen.iter().find(|seen| seen.name == series.name).cloned());
        let now_as = Some(name).filter(|name| *name != series.name).map(str::to_owned);
        if let Some(found) = found.as_mut().filter(|found| found.r#as != now_as) {
            // What was seen under another name says nothing about the labels of this one.
            *found = SeenSeries {
                name: series.name.clone(),
                r#as: now_as.clone(),
                ..SeenSeries::default()
            };
        }
        if let Some(family) = known.now.and_then(|now| now.family(name, series.r#type)) {
            let found = found.get_or_insert_with(|| SeenSeries {
                name: series.name.clone(),
                r#as: now_as,
                ..SeenSeries::default()
            });
            if let Some(labels) = &family.labels {
                let mut all: BTreeSet<String> = labels.clone();
                all.extend(found.labels.take().unwrap_or_default());
                found.labels = Some(all.into_iter().take(MOST_LABELS).collect());
            }
            if !family.bounds.is_empty() || family.has_no_bounds() {
                found.bounds = family.kept_bounds();
            }
        }
        match found {
            Some(found) => seen.seen.push(found),
            None if !is_read(pack, series, adapted)? => {}
            // Of a series that is new in the pack since then nothing is known.
            None if known.now.is_none() && kept.is_some_and(|kept| !kept.missing.contains(&series.name)) => {}
            None => seen.missing.push(series.name.clone()),
        }
    }
    Ok(Some(seen))
}

/// The dialect of a pack that only lends, to be kept. None when nobody knows anything.
fn dialect_alone(lender: &SignalPack, adapted: &Adapted<'_>, binding: &Binding<'_>) -> Option<PackSignals> {
    let known = &binding.known;
    if known.now.is_none() && known.before(lender).is_none() {
        return None;
    }
    Some(PackSignals {
        pack: lender.metadata.name.clone(),
        dialect: dialect::chosen(adapted.dialects, lender).to_owned(),
        generation: known.generation,
        ..PackSignals::default()
    })
}

/// Whether anything reads the series: an expression of the pack, or prices that another one is computed with.
fn is_read(pack: &SignalPack, series: &Series, adapted: &Adapted<'_>) -> Result<bool, Error> {
    let mut others = of_service(pack).filter_map(|other| adapted.computed_from(other));
    if others.any(|from| from == series.name) {
        return Ok(true);
    }
    let selectors = selectors(series);
    for text in pack.spec.signals.iter().flat_map(Signal::expressions) {
        let read = adapted.packs.expression(text)?.metrics();
        if read.iter().any(|metric| selectors.contains(metric)) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Labels that expressions use of a series and that it does not have.
fn lacking(
    packs: &Packs,
    pack: &SignalPack,
    series: &Series,
    adapted: &Adapted<'_>,
    labels: &BTreeSet<String>,
) -> Result<Vec<plan::LackingLabel>, Error> {
    let (dialect, renames) = (adapted.dialect(pack, series), adapted.renames);
    let own = |label: &String| renames.label(series, dialect, label).map(str::to_owned);
    let absent = |label: &&String| own(label).is_some_and(|name| !dialect::has_label(labels, &name));
    let absent: Vec<&String> = series.labels.iter().filter(absent).collect();
    if absent.is_empty() {
        return Ok(Vec::new());
    }
    // The label of the host is in every selector.
    let mut used: BTreeSet<String> = series.host_label.clone().into_iter().collect();
    let computed = |other: &&Series| adapted.computed_from(other) == Some(series.name.as_str());
    for priced in of_service(pack)
        .filter(computed)
        .filter_map(|other| other.priced.as_ref())
    {
        used.extend([priced.model.clone(), priced.direction.clone()]);
    }
    let selectors = selectors(series);
    for text in pack.spec.signals.iter().flat_map(Signal::expressions) {
        let expression = packs.expression(text)?;
        if expression.metrics().iter().any(|metric| selectors.contains(metric)) {
            used.extend(expression.labels());
        }
    }
    let taken: BTreeSet<String> = series.labels.iter().filter_map(own).collect();
    let free = || {
        labels
            .iter()
            .map(String::as_str)
            .filter(|label| !taken.contains(*label))
    };
    let mut lacking = Vec::new();
    for label in absent.into_iter().filter(|label| used.contains(*label)) {
        let name = own(label).unwrap_or_default();
        // A name that another dialect has for it, one that is written much like it, or the only one that is left.
        let elsewhere = series
            .dialects
            .values()
            .filter_map(|spelling| spelling.labels.get(label));
        let elsewhere = elsewhere.chain([label]).map(String::as_str);
        let instead = elsewhere
            .into_iter()
            .find(|name| free().any(|free| free == *name))
            .or_else(|| nearest(&name, free()))
            .or_else(|| free().next().filter(|_| free().count() == 1));
        lacking.push(plan::LackingLabel {
            series: renames.metric(series, dialect).to_owned(),
            label: label.clone(),
            name,
            has: labels.iter().cloned().collect(),
            nearest: instead.map(str::to_owned),
        });
    }
    Ok(lacking)
}

/// Packs and signals that the user insists on, with the recorded series that they read.
fn required<'a>(
    choice: &Choice<'a>,
    written: &[String],
    findings: &mut Vec<Finding>,
) -> Result<BTreeSet<(&'a str, &'a str)>, Error> {
    let mut insisted: BTreeSet<(&str, &str)> = BTreeSet::new();
    for (index, required) in written.iter().enumerate() {
        let (pack, signal) = match required.split_once('/') {
            Some((pack, signal)) => (pack, Some(signal)),
            None => (required.as_str(), None),
        };
        let meant: Vec<_> = signals(choice)
            .filter(|(of, known)| of.metadata.name == pack && signal.is_none_or(|signal| known.name == signal))
            .map(|(pack, signal)| (pack.metadata.name.as_str(), signal.name.as_str()))
            .collect();
        if meant.is_empty() {
            findings.push(unknown_requirement(choice, index, required));
        }
        insisted.extend(meant);
    }
    loop {
        let mut read = BTreeSet::new();
        for (_, signal) in signals(choice).filter(|(pack, signal)| insists(&insisted, pack, signal)) {
            for text in signal.expressions() {
                read.extend(choice.packs.expression(text)?.metrics());
            }
        }
        let before = insisted.len();
        let recording = signals(choice).filter(|(_, signal)| {
            let record = signal.record.as_ref();
            record.is_some_and(|record| read.contains(&record.r#as))
        });
        insisted.extend(recording.map(|(pack, signal)| (pack.metadata.name.as_str(), signal.name.as_str())));
        if insisted.len() == before {
            return Ok(insisted);
        }
    }
}

fn insists(insisted: &BTreeSet<(&str, &str)>, pack: &SignalPack, signal: &Signal) -> bool {
    insisted.contains(&(pack.metadata.name.as_str(), signal.name.as_str()))
}

fn unknown_requirement(choice: &Choice<'_>, index: usize, required: &str) -> Finding {
    let (pack, signal) = required.split_once('/').unwrap_or((required, ""));
    let known: Vec<String> = signals(choice)
        .map(|(pack, signal)| format!("{}/{}", pack.metadata.name, signal.name))
        .collect();
    let asking = choice.asking();
    let packs = asking.iter().map(|pack| pack.metadata.name.as_str());
    let all = || packs.clone().chain(known.iter().map(String::as_str));
    let has = |other: &SignalPack| {
        let mut signals = other.spec.signals.iter();
        other.metadata.name == pack && (signal.is_empty() || signals.any(|known| known.name == signal))
    };
    let help = choice.elsewhere(has).unwrap_or_else(|| {
        let of_pack: Vec<&str> = all().filter(|name| name.split('/').next() == Some(pack)).collect();
        let shown = if of_pack.is_empty() {
            packs.clone().collect()
        } else {
            of_pack
        };
        format!(
            "{}It can be one of: {}",
            meant(nearest(required, all())),
            shown.join(", ")
        )
    });
    Finding::error(
        Code::UnknownSignal,
        format!("spec.signals.require[{index}]"),
        format!("no pack of the service is or has {required:?}"),
        help,
    )
}

fn signals<'a>(choice: &Choice<'a>) -> impl Iterator<Item = (&'a SignalPack, &'a Signal)> {
    let signals = |pack: &'a SignalPack| pack.spec.signals.iter().map(move |signal| (pack, signal));
    choice.asking().into_iter().flat_map(signals)
}
