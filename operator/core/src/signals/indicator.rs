//! What objectives can be set on, as the service counts it.

use std::collections::BTreeMap;

use observed_crds::v1alpha1::signal_pack::{self, SignalPack};

use super::ties::Ties;
use super::{Binding, proven, text};
use crate::plan::{Events, Flow, Indicator, Part};
use crate::promql::Error;

/// The indicator, tied to the service.
pub(super) fn indicator(
    pack: &SignalPack,
    indicator: &signal_pack::Indicator,
    ties: &Ties<'_>,
    binding: &Binding<'_>,
) -> Result<Indicator, Error> {
    let tie = ties.of(pack)?;
    let tied = |selector: &str| proven(&tie.whole(&*ties.parsed(selector)?)?, ties, binding);
    let (part, beside, counted): (fn(Events) -> Part, _, _) = match (&indicator.bad, &indicator.within) {
        (Some(bad), None) => (Part::Bad, &indicator.total, bad),
        (None, Some(within)) => (Part::Within, within, within),
        _ => {
            return Err(Error::Amount(format!("{}: not one of bad and within", indicator.name)));
        }
    };
    let metrics = [&indicator.total, beside].map(|selector| ties.parsed(selector).map(|it| it.metrics()));
    let metrics = metrics.into_iter().collect::<Result<Vec<_>, _>>()?;
    let metrics: Vec<String> = metrics.into_iter().flatten().collect();
    let events: fn(String) -> Events = if metrics.iter().all(|metric| tie.is_native(metric)) {
        Events::Natives
    } else {
        Events::Counters
    };
    let mut needs = Vec::new();
    for metric in &metrics {
        needs.push(tied(metric)?);
    }
    needs.dedup();
    let mut flows = Vec::new();
    let without = ties.without(pack);
    let series = || indicator.drill.values().flatten();
    // Series that differ in a label that the service does not have are one at the service: the first of them stands.
    let first: BTreeMap<&str, Option<&String>> = without
        .iter()
        .map(|label| (label.as_str(), series().find_map(|series| series.labels.get(label))))
        .collect();
    let stands = |series: &&signal_pack::IndicatorSeries| {
        first
            .iter()
            .all(|(label, value)| series.labels.get(*label) == *value || !series.labels.contains_key(*label))
    };
    for (selector, series) in &indicator.drill {
        let name = tie
            .metric(selector)
            .ok_or_else(|| Error::Undeclared(selector.clone()))?;
        for series in series.iter().filter(stands) {
            let labels = series.labels.iter().filter(|(label, _)| !without.contains(*label));
            flows.push(Flow {
                name: name.to_owned(),
                scope: ties.scope_of(selector)?,
                labels: labels
                    .map(|(label, value)| (tie.label(label).to_owned(), value.clone()))
                    .collect(),
                bucket: series.bucket,
                counts: series.counts.clone(),
            });
        }
    }
    Ok(Indicator {
        name: indicator.name.clone(),
        total: events(tied(&indicator.total)?),
        part: part(events(tied(counted)?)),
        needs,
        impact: text::filled(&indicator.impact, binding),
        first: indicator.first.iter().map(|step| text::filled(step, binding)).collect(),
        flows,
    })
}
