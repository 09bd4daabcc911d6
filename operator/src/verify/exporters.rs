//! What is worth knowing of the exporters that a service's dependencies are read from.

use std::collections::BTreeMap;

use futures::future::join_all;
use observed_core::plan::Exporter;

use super::Backends;

/// The exporters that a Prometheus does not scrape, or not with success.
pub(super) async fn advice(
    backends: &Backends<'_>,
    who: &str,
    url: &str,
    exporters: &BTreeMap<String, Exporter>,
) -> Vec<String> {
    // A shard scrapes a part of the targets.
    if backends.shards(who).is_some() {
        return Vec::new();
    }
    let told = exporters.iter().map(async |(dependency, exporter)| {
        let Exporter { namespace, job, .. } = exporter;
        // That nobody could be asked is told of the service's own targets.
        let (up, known) = backends.prometheus.ups(url, namespace, job).await.ok()?;
        let read = format!(
            "of the job {job:?} in the namespace {namespace:?}, which the dependency {dependency:?} is read from"
        );
        match (up, known) {
            (_, 0) => Some(format!(
                "{who} has no target {read}. Let it scrape the exporter, or give the labels of its series in \
                 spec.dependencies[].scrapedFrom"
            )),
            _ if up < known => Some(format!(
                "{who} scrapes {up} of {known} targets {read}: see the exporter, and what `observed doctor` says of it"
            )),
            _ => None,
        }
    });
    join_all(told).await.into_iter().flatten().collect()
}
