//! Asks the real Prometheus, its Alertmanagers and Grafana whether what was applied works. Reads only, and cannot fail: who
//! cannot be asked is `Unknown`.

mod access;
mod age;
mod alertmanager;
mod grafana;
mod kin;
mod prometheus;
mod shared;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures::future::join_all;
use observed_core::check::{Check, Truth, Verdict};
use observed_core::duration;
use observed_core::facts::{self, Facts};
use observed_core::scrape_error::cause;
use observed_core::selection;
use observed_core::sidecar::Sidecars;
use observed_crds::v1alpha1::conditions::Reason;

use crate::api_error::shorten;
use crate::settings::Settings;
use kin::Asked;
use prometheus::Health;
pub use prometheus::{Error, Prometheus};

/// Longest foreign text in a verdict.
const LONGEST_WORDS: usize = 300;

/// Who is asked about one service.
pub struct Backends<'a> {
    /// Asks a Prometheus.
    pub prometheus: &'a Prometheus,
    /// Address that is asked instead of those of the Prometheus resources.
    pub prometheus_url: Option<&'a str>,
    /// Address that is asked instead of those of the Alertmanagers that Prometheus names.
    pub alertmanager_url: Option<&'a str>,
    /// Address of the Grafana that is asked.
    pub grafana_url: Option<&'a str>,
    /// The sidecars of Grafana.
    pub sidecars: &'a Sidecars,
    /// The Prometheus resources.
    pub prometheuses: &'a [facts::Prometheus],
    /// Namespace of the service.
    pub namespace: &'a str,
    /// Labels of that namespace.
    pub namespace_labels: &'a BTreeMap<String, String>,
}

impl<'a> Backends<'a> {
    /// Those that the facts name.
    pub fn of(facts: &'a Facts, prometheus: &'a Prometheus, settings: &'a Settings) -> Self {
        Self {
            prometheus,
            prometheus_url: settings.prometheus.url(),
            alertmanager_url: settings.alertmanager.url(),
            grafana_url: settings.grafana.url(),
            sidecars: &facts.sidecars,
            prometheuses: &facts.prometheuses,
            namespace: &facts.namespace,
            namespace_labels: &facts.namespace_labels,
        }
    }
}

/// What the world answers to each check, in their order.
pub async fn verify(backends: &Backends<'_>, checks: &[Check]) -> Vec<Verdict> {
    join_all(checks.iter().map(|check| one(backends, check))).await
}

async fn one(backends: &Backends<'_>, check: &Check) -> Verdict {
    let (kind, labels) = match check {
        Check::Targets { kind, labels, .. } => (*kind, labels),
        Check::Rules { labels, .. } | Check::Routes { labels, .. } => ("PrometheusRule", labels),
        Check::Dashboard(file) => return grafana::dashboard(backends, check, file).await,
    };
    let addresses = match addresses(backends, check, kind, labels) {
        Ok(addresses) => addresses,
        Err(verdict) => return verdict,
    };
    let several = addresses.len() > 1;
    let asked = addresses.iter().map(async |(who, url)| {
        let mut verdict = match check {
            Check::Targets { .. } => targets(backends, who, url, check).await,
            Check::Rules { .. } => rules(backends, who, url, check).await,
            Check::Dashboard(file) => grafana::dashboard(backends, check, file).await,
            Check::Routes { alerts, .. } => alertmanager::routes(backends, who, url, check, alerts).await,
        };
        if several {
            verdict
                .message
                .push_str(&format!(" ({} Prometheus select it)", addresses.len()));
        }
        verdict
    });
    // It works if it works in one of them; that nobody could be asked counts least.
    let best = join_all(asked)
        .await
        .into_iter()
        .min_by_key(|verdict| match verdict.truth {
            Truth::True => 0,
            Truth::False => 1,
            Truth::Unknown => 2,
        });
    best.unwrap_or_else(|| {
        verdict(
            check,
            Truth::Unknown,
            Reason::Unreachable,
            "No Prometheus was found".into(),
            None,
        )
    })
}

/// Name and address of each Prometheus that selects the object; else the verdict that none does.
fn addresses(
    backends: &Backends<'_>,
    check: &Check,
    kind: &str,
    labels: &BTreeMap<String, String>,
) -> Result<BTreeSet<(String, String)>, Verdict> {
    let object = selection::Object {
        kind,
        labels,
        namespace: backends.namespace,
        namespace_labels: backends.namespace_labels,
    };
    let mut selecting = BTreeSet::new();
    let mut missed = Vec::new();
    for prometheus in backends.prometheuses {
        let who = format!("Prometheus {}/{}", prometheus.namespace, prometheus.name);
        match selection::missing(prometheus, &object) {
            None => {
                let url = backends
                    .prometheus_url
                    .map_or_else(|| prometheus.url.clone(), str::to_owned);
                selecting.insert((who, url));
            }
            Some(what) => missed.push(format!("{who} {what}")),
        }
    }
    if let Some(url) = backends.prometheus_url {
        // All of them are asked at the one address: once is enough.
        selecting = selecting.into_iter().take(1).collect();
        if backends.prometheuses.is_empty() {
            selecting.insert((format!("Prometheus at {url}"), url.to_owned()));
        }
    }
    if !selecting.is_empty() {
        return Ok(selecting);
    }
    Err(if missed.is_empty() {
        let message = "No Prometheus resource was found in the cluster that the operator may list, so nobody could be asked. \
                       If Prometheus runs without prometheus-operator, give its address to the operator: --prometheus-url";
        verdict(check, Truth::Unknown, Reason::Unreachable, message.into(), None)
    } else if matches!(check, Check::Routes { .. }) {
        let message = "No Prometheus evaluates the alerts, so that there is nothing to route: see RulesHealthy";
        verdict(check, Truth::Unknown, Reason::NotSelected, message.into(), None)
    } else {
        let message = format!("No Prometheus selects the {kind}: {}", missed.join("; "));
        verdict(check, Truth::False, Reason::NotSelected, message, None)
    })
}

async fn targets(backends: &Backends<'_>, who: &str, url: &str, check: &Check) -> Verdict {
    let Check::Targets {
        kind,
        namespace,
        name,
        expected,
        ..
    } = check
    else {
        return verdict(check, Truth::Unknown, Reason::Unreachable, String::new(), None);
    };
    // Under the name that prometheus-operator gives it, else that of VictoriaMetrics' operator.
    let pools = match *kind {
        "PodMonitor" => ["podMonitor", "podScrape"],
        _ => ["serviceMonitor", "serviceScrape"],
    };
    let mut targets = Vec::new();
    for pool in pools {
        match backends
            .prometheus
            .targets(url, &format!("{pool}/{namespace}/{name}/"))
            .await
        {
            Ok(found) => targets = found,
            Err(error) => {
                let told = kin::not_served(check, url, Asked::Targets, &error);
                return told.unwrap_or_else(|| unreachable(check, who, &error));
            }
        }
        if !targets.is_empty() || backends.prometheus_url != Some(url) {
            break;
        }
    }
    let expected = usize::try_from(*expected).unwrap_or(0);
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
             in namespace {namespace:?}"
        );
        return verdict(check, Truth::False, Reason::NoTargets, message, Some((0, expected)));
    }
    let all = targets.len().max(expected);
    let up = targets.iter().filter(|target| target.health == Health::Up).count();
    let stale = targets.iter().filter(|target| target.is_stale);
    let count = Some((up - stale.clone().count(), all));
    if up == all
        && let Some(target) = stale.min_by_key(|target| &target.scrape_url)
    {
        let message = format!(
            "{who} calls {} up, and has not scraped it since {}, so that what it says is stale. See whether it hangs or has too \
             little CPU, and whether its clock is right",
            shorten(&target.scrape_url, LONGEST_WORDS),
            shorten(&target.last_scrape, LONGEST_WORDS)
        );
        return verdict(check, Truth::Unknown, Reason::Stale, message, count);
    }
    if up == all {
        return verdict(
            check,
            Truth::True,
            Reason::TargetsUp,
            format!("{who} scrapes {up} of {all} pods"),
            count,
        );
    }
    // Always the same one, or the status would be written anew at every look.
    let down = targets
        .iter()
        .filter(|target| target.health == Health::Down)
        .min_by_key(|target| &target.scrape_url);
    let why = match down {
        Some(target) => {
            let cause = cause(&target.last_error);
            format!(
                "{} says {:?}: {}. {}",
                shorten(&target.scrape_url, LONGEST_WORDS),
                shorten(&target.last_error, LONGEST_WORDS),
                cause.words(),
                cause.next_step()
            )
        }
        None if targets.len() < expected => format!("it knows {} of {expected} pods so far", targets.len()),
        None => "the others were not scraped yet".to_owned(),
    };
    verdict(
        check,
        Truth::False,
        Reason::TargetsDown,
        format!("{who} scrapes {up} of {all} pods: {why}"),
        count,
    )
}

async fn rules(backends: &Backends<'_>, who: &str, url: &str, check: &Check) -> Verdict {
    let Check::Rules {
        name,
        groups,
        expected,
        reach,
        ..
    } = check
    else {
        return verdict(check, Truth::Unknown, Reason::Unreachable, String::new(), None);
    };
    let loaded = match backends.prometheus.rules(url, groups).await {
        Ok(loaded) => loaded,
        Err(error) => {
            let told = kin::not_served(check, url, Asked::Rules, &error);
            return told.unwrap_or_else(|| unreachable(check, who, &error));
        }
    };
    if loaded.rules == 0
        && let Some(told) = kin::not_listed(backends, check, url, Asked::Rules).await
    {
        return told;
    }
    let count = Some((loaded.healthy, *expected));
    if let Some((rule, error)) = &loaded.failing {
        let message = format!(
            "{who} cannot evaluate the rule {:?}: {}",
            shorten(rule, LONGEST_WORDS),
            shorten(error, LONGEST_WORDS)
        );
        return verdict(check, Truth::False, Reason::RuleFailing, message, count);
    }
    if loaded.rules != *expected {
        let message = format!(
            "{who} has loaded {} of {expected} rules of the PrometheusRule {name:?}. It can take two minutes; if it \
             stays so, the log of prometheus-operator says why",
            loaded.rules
        );
        return verdict(check, Truth::False, Reason::RulesNotLoaded, message, count);
    }
    if loaded.healthy < *expected {
        let message = format!(
            "{who} has loaded all {expected} rules and evaluated {} of them so far",
            loaded.healthy
        );
        return verdict(check, Truth::False, Reason::RulesNotLoaded, message, count);
    }
    if let Some((group, since)) = &loaded.stale {
        let message = format!(
            "{who} has not evaluated the group {group:?} since {}, so that what it says is stale. See whether it hangs or has \
             too little CPU, and whether its clock is right",
            shorten(since, LONGEST_WORDS)
        );
        return verdict(check, Truth::Unknown, Reason::Stale, message, count);
    }
    let mut message = format!("{who} evaluates all {expected} rules without error");
    if let Some(group) = &loaded.slow {
        message.push_str(&format!(
            ". Worth knowing: the group {group:?} takes longer than its interval, so that evaluations are left out. Give \
             spec.scrape.interval more time, or Prometheus more CPU"
        ));
    }
    if let Some(kept) = kept(backends, who).filter(|kept| *kept < *reach) {
        message.push_str(&format!(
            ". Worth knowing: a rule looks back {}, and {who} keeps samples for {} only: it computes over what is left. Set \
             spec.retention of the Prometheus to more",
            in_words(*reach),
            in_words(kept)
        ));
    }
    verdict(check, Truth::True, Reason::RulesLoaded, message, count)
}

/// How long a Prometheus keeps samples. Nobody knows it of an address, behind which others may keep them longer.
fn kept(backends: &Backends<'_>, who: &str) -> Option<Duration> {
    if backends.prometheus_url.is_some() {
        return None;
    }
    let mut all = backends.prometheuses.iter();
    let found = all.find(|prometheus| format!("Prometheus {}/{}", prometheus.namespace, prometheus.name) == who)?;
    found.retention_seconds.map(Duration::from_secs)
}

fn in_words(duration: Duration) -> String {
    duration::text(u32::try_from(duration.as_secs()).unwrap_or(u32::MAX))
}

fn unreachable(check: &Check, who: &str, error: &Error) -> Verdict {
    let message = format!("{who} could not be asked: {error}");
    verdict(check, Truth::Unknown, Reason::Unreachable, message, None)
}

fn verdict(check: &Check, truth: Truth, reason: Reason, message: String, count: Option<(usize, usize)>) -> Verdict {
    Verdict {
        condition: check.condition(),
        truth,
        reason,
        message,
        count,
    }
}

#[cfg(test)]
mod tests;
