use std::collections::BTreeSet;

use super::super::kind::{Kind, Need};
use super::super::selectors::{is_sharded, selected_by};
use super::super::{Found, Rule, Severity, Snapshot, alerts};
use crate::finding::nearest;

pub(super) const RULE: Rule = Rule {
    id: "series-never-seen",
    title: "A rule reads a metric that Prometheus has never seen",
    effect: "An alert on it cannot fire. Either the metric was renamed or nobody exposes it, or it only begins with the first event",
    fix: "Correct the name; let the service initialise the metric, so that it is there before the first event",
    needs: &[Need::Any(&[Kind::PrometheusRule]), Need::Prometheus],
    find,
};

/// Metrics that are named in a finding.
const MOST: usize = 5;

fn find(snapshot: &Snapshot) -> Vec<Found> {
    let recorded: BTreeSet<String> = alerts::written(snapshot)
        .filter_map(|rule| rule.record().map(str::to_owned))
        .collect();
    let mut found = Vec::new();
    for object in snapshot.of(Kind::PrometheusRule) {
        let readers = selected_by(snapshot, object);
        for answers in &snapshot.prometheuses {
            let reads = readers
                .iter()
                .any(|reader| !is_sharded(reader) && answers.is_of(reader));
            let (true, Ok(metrics)) = (reads, &answers.metrics) else {
                continue;
            };
            let mut unseen = BTreeSet::new();
            for expr in alerts::of(object).filter_map(|rule| rule.parsed()) {
                // One that looks for the absence of a series needs it not to be there.
                let awaited = expr.absences();
                unseen.extend(expr.metrics().into_iter().filter(|metric| {
                    !metrics.contains(metric)
                        && !recorded.contains(metric)
                        && !awaited.contains(metric)
                        && metric != "ALERTS"
                }));
            }
            let Some(first) = unseen.first() else { continue };
            let shown: Vec<&str> = unseen.iter().take(MOST).map(String::as_str).collect();
            let more = match unseen.len().saturating_sub(MOST) {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            let evidence = format!("{} has never seen {}{more}", answers.who, shown.join(", "));
            let fix = match nearest(first, metrics.iter().map(String::as_str)) {
                Some(near) => format!("Is {near} meant by {first}?"),
                None => "Correct the names, or expose the metrics".to_owned(),
            };
            found.push(Found::new(Severity::Note, object, evidence, fix));
        }
    }
    found
}
