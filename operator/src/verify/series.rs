//! What is worth knowing of the series that working rules read.

use std::collections::BTreeSet;

use futures::future::join_all;
use observed_core::check::{Need, Reads};
use observed_core::doctor::TARGET_LABELS;

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
    let (unseen, renamed) = futures::join!(unseen(backends, who, url, reads), renamed(backends, who, url, reads));
    unseen.into_iter().chain(renamed).collect()
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
        let is_ours = samples
            .iter()
            .any(|sample| sample.label("job") == reads.job && sample.label("namespace") == backends.namespace);
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
