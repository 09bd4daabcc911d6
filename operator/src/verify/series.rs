//! What is worth knowing of the series that working rules read.

use std::collections::BTreeSet;

use futures::future::join_all;
use observed_core::check::{Need, Reads};
use observed_core::doctor::{Sample, TARGET_LABELS};
use observed_core::plan::Priced;

use super::prometheus::Health;
use super::{Backends, LONGEST_WORDS, listed, targets};
use crate::api_error::shorten;

/// Metrics of which it is said what would expose them.
const MOST_STEPS: usize = 2;

/// What a Prometheus has never seen although it scrapes the service, and which labels it stores under other names.
pub(super) async fn advice(backends: &Backends<'_>, who: &str, url: &str, reads: &Reads) -> Vec<String> {
    // A shard has a part of the series.
    if backends.shards(who).is_some() || !is_scraped(backends, url, reads).await {
        return Vec::new();
    }
    let (unseen, renamed, priced) = futures::join!(
        unseen(backends, who, url, reads),
        renamed(backends, who, url, reads),
        join_all(
            reads
                .priced
                .iter()
                .map(|priced| prices(backends, who, url, reads, priced))
        ),
    );
    unseen
        .into_iter()
        .chain(renamed)
        .chain(priced.into_iter().flatten())
        .collect()
}

/// Of a service that is not scraped nothing can be there, and another condition says so.
async fn is_scraped(backends: &Backends<'_>, url: &str, reads: &Reads) -> bool {
    let found = targets::of_monitor(backends, url, reads.kind, backends.namespace, &reads.monitor).await;
    found.is_ok_and(|found| found.targets.iter().any(|target| target.health == Health::Up))
}

async fn unseen(backends: &Backends<'_>, who: &str, url: &str, reads: &Reads) -> Option<String> {
    let metrics: Vec<&str> = reads.needs.iter().map(|need| need.metric.as_str()).collect();
    let never = backends.prometheus.never_seen(url, &metrics).await;
    let unseen: Vec<&Need> = reads
        .needs
        .iter()
        .filter(|need| never.contains(need.metric.as_str()))
        .collect();
    if unseen.is_empty() {
        return None;
    }
    let alerts: BTreeSet<&str> = unseen
        .iter()
        .flat_map(|need| &need.alerts)
        .map(String::as_str)
        .collect();
    let mut told = format!(
        "asked for the names of all its metrics, {who} has none of {}, without which {} cannot fire: {}",
        listed(unseen.iter().map(|need| need.metric.as_str())),
        if alerts.len() == 1 {
            "this alert"
        } else {
            "these alerts"
        },
        listed(alerts.iter().copied())
    );
    // The same for most metrics of one source.
    let mut steps = BTreeSet::new();
    let first = unseen.iter().filter(|need| steps.insert(need.when_missing.as_str()));
    for need in first.filter(|need| !need.when_missing.is_empty()).take(MOST_STEPS) {
        let step = shorten(need.when_missing.trim_end_matches('.'), LONGEST_WORDS);
        told.push_str(&format!(". For {}: {step}", need.metric));
    }
    Some(told)
}

async fn renamed(backends: &Backends<'_>, who: &str, url: &str, reads: &Reads) -> Option<String> {
    let ours = async |label: &'static str| {
        let samples = backends.prometheus.collided(url, label).await;
        let is_ours = samples.iter().any(|sample| is_of(sample, backends, reads));
        is_ours.then_some(label)
    };
    let labels: Vec<&str> = join_all(TARGET_LABELS.map(ours)).await.into_iter().flatten().collect();
    let first = labels.first()?;
    Some(format!(
        "series of the service have labels that the target has too, so that {who} stores the service's own under other names: {}. \
         Rename them in the service; where a pack reads one, tell it with spec.signals.rename ({first}: exported_{first}). \
         honorLabels would keep them, and let the service pretend to be another",
        listed(
            labels
                .iter()
                .map(|label| format!("exported_{label}"))
                .collect::<Vec<_>>()
                .iter()
                .map(String::as_str)
        )
    ))
}

/// Prices of what is not used, and what is used without a price.
async fn prices(backends: &Backends<'_>, who: &str, url: &str, reads: &Reads, priced: &Priced) -> Vec<String> {
    let Priced { metric, label, values } = priced;
    let samples = backends.prometheus.label_values(url, metric, label).await;
    let used: BTreeSet<String> = samples
        .iter()
        .filter(|sample| is_of(sample, backends, reads))
        .map(|sample| shorten(sample.label(label), LONGEST_WORDS))
        .filter(|value| !value.is_empty())
        .collect();
    // Of a service that has counted nothing yet, nobody knows what it uses.
    let Some(example) = used.first() else {
        return Vec::new();
    };
    let (idle, free) = (listed(names(values, &used)), listed(names(&used, values)));
    let asked = format!("asked which {label} {metric} counts, {who}");
    let idle = (!idle.is_empty()).then(|| {
        format!(
            "{asked} knows none called {idle}, now, 6 h ago or 24 h ago, for which spec.signals.prices has a price. Write it as \
             the service counts it, for instance {example}, or take the price out"
        )
    });
    let free = (!free.is_empty()).then(|| {
        format!(
            "{asked} knows {free}, for which spec.signals.prices has no price, so that it costs nothing in rules and budgets. \
             Add its price"
        )
    });
    idle.into_iter().chain(free).collect()
}

/// The names that only the first has.
fn names<'a>(all: &'a BTreeSet<String>, without: &'a BTreeSet<String>) -> impl Iterator<Item = &'a str> {
    all.difference(without).map(String::as_str)
}

fn is_of(sample: &Sample, backends: &Backends<'_>, reads: &Reads) -> bool {
    sample.label("job") == reads.job && sample.label("namespace") == backends.namespace
}
