//! The verdict on the targets of a service.

use std::collections::BTreeSet;

use observed_core::check::{Check, Truth, Verdict};
use observed_core::doctor::of_addresses;
use observed_core::scrape_error::cause;
use observed_core::scrape_pool;
use observed_crds::v1alpha1::conditions::Reason;

use super::kin::{self, Asked};
use super::prometheus::{Error, Found, Health};
use super::{Backends, LONGEST_WORDS, exporters, listed, unreachable, verdict};
use crate::api_error::shorten;

/// Whether a Prometheus scrapes every pod, and once.
pub(super) async fn targets(backends: &Backends<'_>, who: &str, url: &str, check: &Check) -> Verdict {
    let Check::Targets {
        kind,
        namespace,
        name,
        expected,
        exporters,
        ..
    } = check
    else {
        return verdict(check, Truth::Unknown, Reason::Unreachable, String::new(), None);
    };
    let found = match of_monitor(backends, url, kind, namespace, name).await {
        Ok(found) => found,
        Err(error) => {
            let told = kin::not_served(backends, check, url, Asked::Targets, &error).await;
            return told.unwrap_or_else(|| unreachable(check, who, &error));
        }
    };
    let targets = &found.targets;
    let expected = usize::try_from(*expected).unwrap_or(0);
    let shards = backends.shards(who);
    if let Some(shards) = shards
        && targets.len() < expected
        && targets.iter().all(|target| target.health == Health::Up)
    {
        let message = format!(
            "{who} runs in {shards} shards, each of which scrapes a part of the targets, and only the first was asked: it scrapes \
             {} of {expected} pods. Give the operator the address of what answers for all of them, as Thanos does: \
             --prometheus-url",
            targets.len()
        );
        return verdict(check, Truth::Unknown, Reason::Unreachable, message, None);
    }
    let uncovered = if targets.len() < expected && shards.is_none() {
        uncovered(backends, &found).await.map(|pods| no_target(kind, &pods))
    } else {
        None
    };
    let uncovered = uncovered.unwrap_or_default();
    if targets.is_empty() {
        if expected == 0 {
            let message = "The workload should have no pods, so there is nothing to scrape".to_owned();
            return verdict(check, Truth::Unknown, Reason::NoTargets, message, Some((0, 0)));
        }
        if let Some(told) = kin::not_listed(backends, check, url, Asked::Targets).await {
            return told;
        }
        let message = format!(
            "{who} has no target for the {kind} {name:?} yet. It can take two minutes to load it; if it stays so, see \
             whether a Service with a ready pod leads to the port, and whether Prometheus may list pods and endpoints \
             in namespace {namespace:?}{uncovered}"
        );
        return verdict(check, Truth::False, Reason::NoTargets, message, Some((0, expected)));
    }
    let all = targets.len().max(expected);
    let up = targets.iter().filter(|target| target.health == Health::Up).count();
    let stale = targets.iter().filter(|target| target.is_stale);
    let count = Some((up - stale.clone().count(), all));
    if up < all {
        let why = why_not(&found, expected);
        let message = format!("{who} scrapes {up} of {all} pods: {why}{uncovered}");
        return verdict(check, Truth::False, Reason::TargetsDown, message, count);
    }
    if let Some(target) = stale.min_by_key(|target| &target.scrape_url) {
        let message = format!(
            "{who} calls {} up, and has not scraped it since {}, so that what it says is stale. See whether it hangs or has too \
             little CPU, and whether its clock is right",
            shorten(&target.scrape_url, LONGEST_WORDS),
            shorten(&target.last_scrape, LONGEST_WORDS)
        );
        return verdict(check, Truth::Unknown, Reason::Stale, message, count);
    }
    let mut message = format!("{who} scrapes {up} of {all} pods");
    for advice in exporters::advice(backends, who, url, exporters).await {
        message.push_str(". Worth knowing: ");
        message.push_str(&advice);
    }
    let Some(again) = &found.again else {
        return verdict(check, Truth::True, Reason::TargetsUp, message, count);
    };
    let other = in_words(&again.pool);
    if again.same_job {
        message.push_str(&format!(
            ", and the same pages once more for {other}, under the same job: every series exists twice, so that rates and sums \
             count double. Delete {other}, or let it select other pods or another path"
        ));
        return verdict(check, Truth::False, Reason::ScrapedTwice, message, count);
    }
    message.push_str(&format!(
        ". Worth knowing: it scrapes the same pages once more for {other}, under another job: the rules of this service are not \
         touched, but whoever sums without a job counts double. If nobody needs it, delete {other}"
    ));
    verdict(check, Truth::True, Reason::TargetsUp, message, count)
}

/// The targets of a monitor. What answers at the address of the settings may have been told of it by the operator of
/// VictoriaMetrics.
pub(super) async fn of_monitor(
    backends: &Backends<'_>,
    url: &str,
    kind: &str,
    namespace: &str,
    name: &str,
) -> Result<Found, Error> {
    let pools = scrape_pool::of_monitor(kind, namespace, name).unwrap_or_default();
    let found = backends.prometheus.targets(url, &pools).await?;
    let converted = scrape_pool::converted(kind).and_then(|kind| scrape_pool::of_monitor(kind, namespace, name));
    match converted {
        Some(pools) if found.targets.is_empty() && backends.prometheus_url == Some(url) => {
            backends.prometheus.targets(url, &pools).await
        }
        _ => Ok(found),
    }
}

/// What keeps the first target from being up.
fn why_not(found: &Found, expected: usize) -> String {
    // Always the same one, or the status would be written anew at every look.
    let down = found
        .targets
        .iter()
        .filter(|target| target.health == Health::Down)
        .min_by_key(|target| &target.scrape_url);
    match down {
        Some(target) => {
            let cause = cause(&target.last_error);
            let field = cause
                .field()
                .map(|field| format!(". In the ObservedService that is {field}"));
            format!(
                "{} says {:?}: {}. {}{}",
                shorten(&of_addresses(&target.scrape_url), LONGEST_WORDS),
                shorten(&of_addresses(&target.last_error), LONGEST_WORDS),
                cause.words(),
                cause.next_step(),
                field.unwrap_or_default()
            )
        }
        None if found.targets.len() < expected => format!("it knows {} of {expected} pods so far", found.targets.len()),
        None => "the others were not scraped yet".to_owned(),
    }
}

/// The ready pods that no target is about. None: nobody can tell, as the pods cannot be listed or a target names none.
async fn uncovered(backends: &Backends<'_>, found: &Found) -> Option<BTreeSet<String>> {
    let covered: BTreeSet<&str> = found.targets.iter().map(|target| target.labels.pod.as_str()).collect();
    if covered.contains("") {
        return None;
    }
    let mut ready = (backends.ready_pods)().await?;
    ready.retain(|pod| !covered.contains(pod.as_str()));
    Some(ready)
}

fn no_target(kind: &str, pods: &BTreeSet<String>) -> String {
    let (subject, verb, them) = match pods.len() {
        0 => return String::new(),
        1 => ("The pod", "is", "it"),
        _ => ("The pods", "are", "them"),
    };
    let next = if kind == "PodMonitor" {
        "whether the container declares the port that the PodMonitor names"
    } else {
        "whether the pods' labels fit the Service's selector (kubectl get endpointslices)"
    };
    format!(
        ". {subject} {} {verb} ready, and no target covers {them}. If it stays so for two minutes, see {next}, and whether a \
         relabeling drops {them}",
        listed(pods.iter().map(String::as_str))
    )
}

/// For whom a scrape pool is there.
fn in_words(pool: &str) -> String {
    match scrape_pool::monitor(pool) {
        Some((kind, namespace, name)) => format!("the {kind} {namespace}/{name}"),
        None => format!("the scrape configuration {:?}", shorten(pool, LONGEST_WORDS)),
    }
}
