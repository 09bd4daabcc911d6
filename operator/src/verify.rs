//! Asks the real Prometheus, its Alertmanagers and Grafana whether what was applied works. Reads only, and cannot fail: who
//! cannot be asked is `Unknown`.

mod access;
mod age;
mod alertmanager;
mod exporters;
pub mod grafana;
mod kin;
mod prometheus;
mod rules;
mod seldom;
mod series;
mod shared;
mod targets;

use std::collections::{BTreeMap, BTreeSet};

use futures::future::{BoxFuture, join_all};
use observed_core::check::{Check, Truth, Verdict};
use observed_core::facts::{self, Facts};
use observed_core::selection;
use observed_core::sidecar::Sidecars;
use observed_crds::v1alpha1::conditions::Reason;

use crate::settings::Settings;
pub use access::Server;
pub use prometheus::{Alerting, Error, Prometheus};

/// Longest foreign text in a verdict.
const LONGEST_WORDS: usize = 300;
/// Names of one kind in a verdict.
const MOST_NAMES: usize = 5;

/// Finds out the names of the target's pods that are ready. None: they could not be listed.
pub type ReadyPods<'a> = dyn Fn() -> BoxFuture<'a, Option<BTreeSet<String>>> + Send + Sync + 'a;

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
    /// The PrometheusAgent resources.
    pub agents: &'a [facts::Prometheus],
    /// Namespace of the service.
    pub namespace: &'a str,
    /// Labels of that namespace.
    pub namespace_labels: &'a BTreeMap<String, String>,
    /// Asked only where Prometheus has fewer targets than there should be pods.
    pub ready_pods: &'a ReadyPods<'a>,
}

impl<'a> Backends<'a> {
    /// Those that the facts name.
    pub fn of(
        facts: &'a Facts,
        prometheus: &'a Prometheus,
        settings: &'a Settings,
        ready_pods: &'a ReadyPods<'a>,
    ) -> Self {
        Self {
            prometheus,
            prometheus_url: settings.prometheus.url(),
            alertmanager_url: settings.alertmanager.url(),
            grafana_url: settings.grafana.url(),
            sidecars: &facts.sidecars,
            prometheuses: &facts.prometheuses,
            agents: &facts.agents,
            namespace: &facts.namespace,
            namespace_labels: &facts.namespace_labels,
            ready_pods,
        }
    }
}

impl Backends<'_> {
    /// The Prometheus resource of that name in words. None of an address, behind which there may be another one.
    fn resource(&self, who: &str) -> Option<&facts::Prometheus> {
        let mut all = self.prometheuses.iter().filter(|_| self.prometheus_url.is_none());
        all.find(|prometheus| format!("Prometheus {}/{}", prometheus.namespace, prometheus.name) == who)
    }

    /// How many shards it has, each of which scrapes a part of the targets; the first is asked. None: it has no other.
    fn shards(&self, who: &str) -> Option<i32> {
        self.resource(who)?.shards.filter(|shards| *shards > 1)
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
            Check::Targets { .. } => targets::targets(backends, who, url, check).await,
            Check::Rules { .. } => rules::rules(backends, who, url, check).await,
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

/// Name and address of each Prometheus that evaluates a PrometheusRule with these labels.
///
/// # Errors
/// None does; why, in words.
pub fn evaluators(
    backends: &Backends<'_>,
    labels: &BTreeMap<String, String>,
) -> Result<BTreeSet<(String, String)>, String> {
    let check = Check::Routes {
        labels: labels.clone(),
        alerts: Vec::new(),
    };
    addresses(backends, &check, "PrometheusRule", labels).map_err(|verdict| verdict.message)
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
    let mut agents = Vec::new();
    for agent in backends
        .agents
        .iter()
        .filter(|_| matches!(check, Check::Targets { .. }))
    {
        let who = format!("PrometheusAgent {}/{}", agent.namespace, agent.name);
        match selection::missing(agent, &object) {
            None => agents.push(who),
            Some(what) => missed.push(format!("{who} {what}")),
        }
    }
    if selecting.is_empty() && !agents.is_empty() {
        return Err(by_agents(check, kind, &agents));
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
    Err(if missed.is_empty() && !backends.agents.is_empty() {
        let message = "Only PrometheusAgents were found, and an agent evaluates no rules: they must be loaded where the agent sends its \
                       samples (remoteWrite), which nobody could be asked. Give the address of that Prometheus, or of what answers \
                       as one, to the operator: --prometheus-url";
        verdict(check, Truth::Unknown, Reason::Unreachable, message.into(), None)
    } else if missed.is_empty() {
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

/// Of what only agents select: they scrape it, and say nothing.
fn by_agents(check: &Check, kind: &str, agents: &[String]) -> Verdict {
    let message = format!(
        "{} {} the {kind}, and an agent answers no questions: whether it scrapes the pods nobody can ask it. Where it sends its \
         samples (remoteWrite), see that up is 1 for every pod of the service",
        listed(agents.iter().map(String::as_str)),
        if agents.len() == 1 { "selects" } else { "select" }
    );
    verdict(check, Truth::Unknown, Reason::Unreachable, message, None)
}

/// The first few, and how many more there are.
fn listed<'a>(all: impl IntoIterator<Item = &'a str>) -> String {
    let all: Vec<&str> = all.into_iter().collect();
    let shown = all.iter().take(MOST_NAMES).copied().collect::<Vec<_>>().join(", ");
    match all.len().saturating_sub(MOST_NAMES) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
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
