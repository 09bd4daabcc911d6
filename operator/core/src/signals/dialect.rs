//! `spec.signals.dialect`: how the service's instrumentation spells what the packs read.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use observed_crds::v1alpha1::signal_pack::{Series, SignalPack, Spelling};

use super::known;
use super::rename::Renames;
use super::{Binding, Choice, meant};
use crate::facts::{Exposed, Family};
use crate::finding::{Code, Finding, nearest};

/// The dialect in which packs are written: the names that the guide recommends.
pub const GUIDE: &str = "guide";
/// The dialect is what the pods show.
const AUTO: &str = "auto";

/// The dialect that was chosen for a pack.
pub(super) fn chosen<'a>(dialects: &BTreeMap<&str, &'a str>, pack: &SignalPack) -> &'a str {
    dialects.get(pack.metadata.name.as_str()).copied().unwrap_or(GUIDE)
}

/// The dialect of a series: that of its pack, or of the one which lends it.
pub(super) fn of<'a>(dialects: &BTreeMap<&str, &'a str>, pack: &SignalPack, series: &Series) -> &'a str {
    match pack.lender(&series.name) {
        Some(lender) => dialects.get(lender).copied().unwrap_or(GUIDE),
        None => chosen(dialects, pack),
    }
}

/// The dialects of a pack, the one in which it is written first.
pub(super) fn names(pack: &SignalPack) -> Vec<&str> {
    let others: BTreeSet<&str> = known::own(pack)
        .flat_map(|series| series.dialects.keys())
        .map(String::as_str)
        .collect();
    std::iter::once(GUIDE).chain(others).collect()
}

/// How a dialect spells a series, where it is not as the pack does.
pub(super) fn spelling<'a>(series: &'a Series, dialect: &str) -> Option<&'a Spelling> {
    series.dialects.get(dialect)
}

/// The name of a series in a dialect, unless the user has a name for it.
pub(super) fn metric<'a>(series: &'a Series, dialect: &str, renamed: Option<&'a String>) -> &'a str {
    let spelled = || spelling(series, dialect).and_then(|spelling| spelling.metric.as_ref());
    renamed.or_else(spelled).unwrap_or(&series.name)
}

/// What would expose a series.
pub(super) fn when_missing<'a>(series: &'a Series, dialect: &str) -> &'a str {
    let spelled = spelling(series, dialect).and_then(|spelling| spelling.when_missing.as_ref());
    spelled.unwrap_or(&series.when_missing)
}

/// The dialect of each chosen pack, and of those that lend it a series.
pub(super) fn dialects<'a>(
    choice: &Choice<'a>,
    renames: &Renames,
    binding: &Binding<'a>,
    findings: &mut Vec<Finding>,
) -> BTreeMap<&'a str, &'a str> {
    let wanted = binding.signals.dialect.as_deref().filter(|wanted| *wanted != AUTO);
    // A dialect that only a pack has which does not apply here is one all the same.
    let every: BTreeSet<&str> = choice.packs.packs.iter().flat_map(names).collect();
    if let Some(unknown) = wanted.filter(|wanted| !every.contains(wanted)) {
        let all: Vec<&str> = std::iter::once(AUTO).chain(every).collect();
        findings.push(Finding::error(
            Code::UnknownSignal,
            "spec.signals.dialect",
            format!("no pack knows a dialect {unknown:?}"),
            format!(
                "{}The dialects are: {}",
                meant(nearest(unknown, all.iter().copied())),
                all.join(", ")
            ),
        ));
    }
    let of_pack = |pack: &'a SignalPack| {
        let names = names(pack);
        let dialect = match wanted.filter(|wanted| names.contains(wanted)) {
            Some(wanted) => wanted,
            None => auto(pack, &names, renames, binding),
        };
        (pack.metadata.name.as_str(), dialect)
    };
    choice
        .asking()
        .into_iter()
        .chain(choice.lending())
        .map(of_pack)
        .collect()
}

/// The dialect that the pods show. Without a pod that answers, or while a rollout is under way, it stays what it was.
fn auto<'a>(pack: &'a SignalPack, names: &[&'a str], renames: &Renames, binding: &Binding<'_>) -> &'a str {
    let known = &binding.known;
    let before = known.before(pack).and_then(|before| {
        let was = names.iter().find(|name| **name == before.dialect);
        was.copied()
    });
    let shown = known.now.and_then(|exposed| {
        names.iter().copied().max_by_key(|name| {
            let fit = fit(pack, name, renames, exposed);
            // As good as another: the one that it was, then the pack's own, then the first by name.
            (fit, Some(*name) == before, *name == GUIDE, Reverse(*name))
        })
    });
    match (shown, before) {
        (Some(shown), None) => shown,
        (Some(shown), Some(_)) if known.settled => shown,
        (_, Some(before)) => before,
        (None, None) => GUIDE,
    }
}

/// How well what is exposed fits to a dialect: how many series it has of it, then how many of their labels.
fn fit(pack: &SignalPack, dialect: &str, renames: &Renames, exposed: &Exposed) -> (usize, usize) {
    let found: Vec<(&Series, &Family)> = known::own(pack)
        .filter_map(|series| {
            let name = renames.metric(series, dialect);
            exposed.family(name, series.r#type).map(|family| (series, family))
        })
        .collect();
    let labels = |(series, family): &(&Series, &Family)| {
        // Without a sample they are unknown, and speak for no dialect.
        family.labels.as_ref().map_or(series.labels.len(), |labels| {
            let own = series
                .labels
                .iter()
                .filter_map(|label| renames.label(series, dialect, label));
            own.filter(|label| has_label(labels, label)).count()
        })
    };
    (found.len(), found.iter().map(labels).sum())
}

/// Whether a series with these labels on the page has that label in Prometheus.
pub(super) fn has_label(labels: &BTreeSet<String>, label: &str) -> bool {
    let exported = label.strip_prefix("exported_");
    labels.contains(label) || exported.is_some_and(|label| labels.contains(label))
}
