//! Does something about alerts that go on firing, as `spec.remediation` of their service says: a process of its own with
//! rights of its own. No webhook tells it what to do: it asks Prometheus, so that nobody can forge an alert, and none is
//! lost.
//!
//! What is about to be done is written down first, on the very state that was looked at: a process that ends in between does
//! it once or never.

mod act;
mod rules;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures::future::{join_all, pending};
use futures::{FutureExt, StreamExt};
use jiff::Timestamp;
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, watcher};
use kube::{Client, ResourceExt};
use observed_core::facts::Facts;
use observed_core::remediation::{Others, last_action};
use observed_crds::v1alpha1::ObservedService;
use observed_crds::v1alpha1::conditions::ConditionType;
use tokio::time::{MissedTickBehavior, interval};

use crate::events::Events;
use crate::gather::{self, Surroundings};
use crate::metrics::Metrics;
use crate::process::Error;
use crate::services::{self, Guarded, Known};
use crate::settings::Settings;
use crate::verify::{Alerting, Backends, Prometheus};

/// Time between two looks at what fires, unless services are looked at more often.
const EVERY: Duration = Duration::from_secs(15);

/// Namespace and name of a service.
type Key = (String, String);

/// What every look needs.
struct Context {
    client: Client,
    settings: Settings,
    surroundings: Surroundings,
    prometheus: Prometheus,
    events: Events,
    metrics: Metrics,
    known: Known,
}

/// Looks at the alerts of the services again and again, until the process is told to end.
///
/// # Errors
/// It could not be started.
pub async fn remediate(
    client: Client,
    settings: Settings,
    metrics: Metrics,
    end: impl Future<Output = ()> + Clone + Send + Sync + 'static,
) -> Result<(), Error> {
    let namespace = settings.watch_namespace.as_deref();
    let (known, writer) = services::store();
    metrics.counts(known.clone());
    let services = watcher(
        services::scoped::<Guarded>(&client, namespace),
        watcher::Config::default(),
    );
    let services = services.default_backoff().reflect(writer).applied_objects();
    let mut services = services::logged(services, "observedservices", &metrics.watch_errors);
    let watched = async {
        while services.next().await.is_some() {}
        pending::<()>().await;
    };
    let context = Context {
        surroundings: Surroundings::new(client.clone(), settings.watch_namespace.clone()),
        prometheus: Prometheus::new(settings.servers())?,
        events: Events::new(client.clone()),
        client,
        settings,
        metrics,
        known,
    };
    let work = async {
        if context.known.wait_until_ready().await.is_ok() {
            tracing::info!(services = context.known.len(), "ready");
        }
        let mut ticks = interval(context.settings.resync.min(EVERY));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut last = None;
        loop {
            let next = async { ticks.tick().await };
            tokio::select! { _ = next => {}, () = end.clone() => return }
            // What is under way is finished.
            context.round(&mut last).await;
        }
    };
    tokio::select! { () = work => {}, () = watched => {} }
    Ok(())
}

impl Context {
    /// One look at everything that fires. `last` is what this process did last, which its watch may not have seen yet.
    async fn round(&self, last: &mut Option<(Key, Timestamp)>) {
        let known = self.known.state();
        let services = readable(&known);
        let open = services.iter().filter(|(_, service)| act::is_open(service));
        for key in open.map(|(key, _)| key) {
            if let Err(words) = act::conclude(self, key).await {
                let (namespace, name) = key;
                tracing::warn!(namespace, name, words, "what became of an action could not be seen");
            }
        }
        if services.values().all(|service| service.spec.remediation.is_none()) {
            return;
        }
        let alerting = self.alerting().await;
        let mut candidates = BTreeSet::new();
        let mut troubled = BTreeSet::new();
        for one in &alerting {
            let key = (one.namespace.clone(), one.service.clone());
            let Some(service) = services.get(&key) else { continue };
            let acts = wants(service, &one.alert);
            if acts || one.critical {
                troubled.insert(key.clone());
            }
            if acts && is_accepted(service) {
                candidates.insert((key, one.alert.clone()));
            }
        }
        for (key, alert) in candidates {
            let newest = services
                .iter()
                .filter(|(other, _)| **other != key)
                .filter_map(|(other, service)| {
                    let history = &service.status.as_ref()?.remediation.as_ref()?.history;
                    Some((other, last_action(history)?))
                });
            let own = last
                .as_ref()
                .map(|(other, when)| (other, *when))
                .filter(|(other, _)| **other != key);
            let newest = newest.chain(own).max_by_key(|(_, when)| *when);
            let newest = newest.map(|((namespace, name), when)| (format!("{namespace}/{name}"), when));
            let others = Others {
                last: newest.as_ref().map(|(name, when)| (name.as_str(), *when)),
                alerting: troubled.len(),
                all: services.len(),
            };
            match self.about(&key, &alert, others).await {
                Ok(None) => {}
                Ok(Some(when)) => *last = Some((key, when)),
                Err(words) => {
                    tracing::warn!(
                        namespace = key.0,
                        name = key.1,
                        alert,
                        words,
                        "nothing could be done about an alert"
                    );
                }
            }
        }
    }

    /// What fires, as every Prometheus says. One that does not answer says nothing.
    async fn alerting(&self) -> BTreeSet<Alerting> {
        let urls: BTreeSet<String> = match self.settings.prometheus.url() {
            Some(url) => [url.to_owned()].into(),
            None => match self.surroundings.look().await {
                Ok(look) => look.prometheuses.into_iter().map(|prometheus| prometheus.url).collect(),
                Err(error) => {
                    tracing::warn!(%error, "the Prometheus resources could not be listed: nothing is done");
                    return BTreeSet::new();
                }
            },
        };
        let answers = join_all(urls.iter().map(|url| self.prometheus.alerting(url))).await;
        let mut alerting = BTreeSet::new();
        for answer in answers {
            match answer {
                Ok(some) => alerting.extend(some),
                Err(error) => {
                    tracing::warn!(%error, "which alerts fire could not be asked: nothing is done about those")
                }
            }
        }
        alerting
    }

    /// Does about one alert what is to be done. When something was done: when.
    async fn about(&self, key: &Key, alert: &str, others: Others<'_>) -> Result<Option<Timestamp>, String> {
        let Some(live) = act::read(&self.client, key).await? else {
            return Ok(None);
        };
        if !is_accepted(&live) {
            return Ok(None);
        }
        let Some(remediation) = live.spec.remediation.clone() else {
            return Ok(None);
        };
        let Some(rule) = rules::read(&self.client, key, &live).await? else {
            return Ok(None);
        };
        let look = self.surroundings.look().await.map_err(|error| error.to_string())?;
        let labels = self.surroundings.namespace_labels(&key.0).await;
        let facts = Facts {
            namespace: key.0.clone(),
            prometheuses: look.prometheuses,
            agents: look.agents,
            namespace_labels: labels.map_err(|error| error.to_string())?,
            ..Facts::default()
        };
        let nobody = || async { None }.boxed();
        let backends = Backends::of(&facts, &self.prometheus, &self.settings, &nobody);
        let Some(firing) = rule.firing(&backends, alert).await? else {
            return Ok(None);
        };
        let target = gather::read_target(&self.client, &key.0, &live.spec.target_ref).await;
        let target = target.map_err(|error| error.to_string())?;
        act::act(self, &live, &remediation, &firing, target.as_ref(), others).await
    }
}

/// The services that can be read.
fn readable(known: &[Arc<Guarded>]) -> BTreeMap<Key, &ObservedService> {
    let readable = known.iter().filter_map(|service| service.0.as_ref().ok());
    readable
        .map(|service| ((service.namespace().unwrap_or_default(), service.name_any()), service))
        .collect()
}

/// Whether the service has an action for the alert.
fn wants(service: &ObservedService, alert: &str) -> bool {
    let actions = service
        .spec
        .remediation
        .iter()
        .flat_map(|remediation| &remediation.actions);
    actions.into_iter().any(|action| action.alert == alert)
}

/// Whether the operator has taken the spec as it is now: what it refuses counts for nothing.
fn is_accepted(service: &ObservedService) -> bool {
    let Some(status) = &service.status else { return false };
    let is_stalled = |kind: &str| kind == ConditionType::Stalled.as_str();
    service.metadata.deletion_timestamp.is_none()
        && !service.spec.paused
        && status.observed_generation == service.metadata.generation
        && !status
            .conditions
            .iter()
            .any(|condition| is_stalled(&condition.type_) && condition.status == "True")
}
