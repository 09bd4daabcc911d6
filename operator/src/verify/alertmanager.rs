//! Where the alerts go: whom Prometheus tells of them, and what becomes of each by that Alertmanager's routes.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::join_all;
use observed_core::check::{Check, Truth, Verdict};
use observed_core::promql::Expression;
use observed_core::routing::{Alert, Delivery, Inhibited, Matcher, Routing, always_fires, is_silenced};
use observed_crds::foreign::Rule;
use observed_crds::v1alpha1::conditions::Reason;
use serde::Deserialize;

use super::access::Server;
use super::{Backends, Error, Prometheus, verdict};
use crate::api_error::shorten;

/// Longest list in a message.
const LONGEST_LIST: usize = 600;

#[derive(Deserialize)]
struct Status {
    config: Config,
}

#[derive(Deserialize)]
struct Config {
    original: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Silence {
    id: String,
    status: SilenceStatus,
    matchers: Vec<Matcher>,
    ends_at: String,
    #[serde(default)]
    created_by: String,
}

#[derive(Deserialize)]
struct SilenceStatus {
    state: String,
}

/// An alert that Alertmanager has.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Active {
    labels: BTreeMap<String, String>,
    #[serde(default, rename = "generatorURL")]
    generator_url: String,
    #[serde(default)]
    receivers: Vec<Receiver>,
}

#[derive(Deserialize)]
struct Receiver {
    name: String,
}

/// What one Alertmanager answered.
struct Answers {
    routing: Routing,
    silences: Vec<Silence>,
    /// Alerts that always fire. None: it does not say which it has.
    heartbeats: Option<Vec<Active>>,
}

/// What becomes of the alerts that this Prometheus sends.
pub(super) async fn routes(backends: &Backends<'_>, who: &str, url: &str, check: &Check, rules: &[Rule]) -> Verdict {
    let unknown = |message: String| verdict(check, Truth::Unknown, Reason::Unreachable, message, None);
    let addresses = match backends.alertmanager_url {
        Some(url) => BTreeSet::from([url.to_owned()]),
        None => match backends.prometheus.alertmanagers(url).await {
            Ok(urls) => urls.iter().map(|url| base(url)).collect(),
            Err(error) => {
                return unknown(format!(
                    "{who} does not say whom it tells of its alerts: {error}. Give the address of its Alertmanager to the \
                     operator: --alertmanager-url"
                ));
            }
        },
    };
    if addresses.is_empty() {
        let message = format!(
            "{who} sends its alerts to no Alertmanager. Name one in spec.alerting.alertmanagers of the Prometheus, and see \
             whether that Service has ready pods"
        );
        return verdict(check, Truth::False, Reason::NoAlertmanager, message, None);
    }
    let asked = addresses.iter().map(|address| ask(backends.prometheus, address));
    let (mut answers, mut errors) = (Vec::new(), Vec::new());
    for answer in join_all(asked).await {
        match answer {
            Ok(answer) => answers.push(answer),
            Err(words) => errors.push(words),
        }
    }
    if answers.is_empty() {
        return unknown(format!("Its Alertmanager could not be asked: {}", errors.join("; ")));
    }
    judged(who, check, rules, &answers)
}

/// How many alerts each thing is true of.
fn counted_by(by: &BTreeMap<String, BTreeSet<&str>>) -> String {
    let parts = by.iter().map(|(what, alerts)| match alerts.iter().next() {
        Some(one) if alerts.len() == 1 => format!("{one} {what}"),
        _ => format!("{} alerts {what}", alerts.len()),
    });
    shorten(&parts.collect::<Vec<_>>().join("; "), LONGEST_LIST)
}

/// The address of an Alertmanager, from the one that alerts are posted to. Without a user and a password: credentials come
/// from the settings alone, and the address is told in statuses.
fn base(url: &str) -> String {
    let base = url.split_once("/api/v").map_or(url, |(base, _)| base);
    let base = match reqwest::Url::parse(base) {
        Ok(mut parsed) if parsed.has_authority() && (!parsed.username().is_empty() || parsed.password().is_some()) => {
            // Neither can fail where there is a host.
            let _ = (parsed.set_username(""), parsed.set_password(None));
            parsed.to_string()
        }
        _ => base.to_owned(),
    };
    base.trim_end_matches('/').to_owned()
}

async fn ask(http: &Prometheus, address: &str) -> Result<Answers, String> {
    let words = |error: Error| error.to_string();
    let status: Status = http
        .shared(Server::Alertmanager, address, "/api/v2/status")
        .await
        .map_err(words)?;
    let routing = Routing::read(&status.config.original)
        .ok_or_else(|| format!("the configuration of {address} has no route that can be read"))?;
    let mut silences: Vec<Silence> = http
        .shared(Server::Alertmanager, address, "/api/v2/silences")
        .await
        .map_err(words)?;
    silences.retain(|silence| silence.status.state == "active");
    silences.sort_by(|one, other| one.id.cmp(&other.id));
    // Not every proxy lets through what is only good to know.
    let alerts: Option<Vec<Active>> = http.shared(Server::Alertmanager, address, "/api/v2/alerts").await.ok();
    let heartbeats = alerts.map(|alerts| alerts.into_iter().filter(Active::is_heartbeat).collect());
    Ok(Answers {
        routing,
        silences,
        heartbeats,
    })
}

impl Active {
    /// Whether it always fires, by the expression in the link to where it comes from.
    fn is_heartbeat(&self) -> bool {
        let Ok(url) = reqwest::Url::parse(&self.generator_url) else {
            return false;
        };
        let expr = url.query_pairs().find(|(name, _)| name == "g0.expr");
        expr.is_some_and(|(_, expr)| Expression::parse(&expr).is_ok_and(|expr| always_fires(&expr)))
    }

    fn name(&self) -> &str {
        self.labels.get("alertname").map(String::as_str).unwrap_or_default()
    }
}

/// Whether an alert that always fires comes to somebody, who then notices when it does not: in words. Nothing where nobody
/// knows.
fn heartbeat(answers: &[Answers]) -> Option<String> {
    let known = || {
        answers
            .iter()
            .filter_map(|answers| Some((answers, answers.heartbeats.as_ref()?)))
    };
    known().next()?;
    let all: Vec<_> = known()
        .flat_map(|(answers, beats)| beats.iter().map(move |beat| (answers, beat)))
        .collect();
    let arrives = all.iter().find_map(|(answers, beat)| {
        let sends = beat
            .receivers
            .iter()
            .find(|receiver| answers.routing.sends_from(&receiver.name))?;
        Some(format!("Heartbeat: {} comes to {:?}", beat.name(), sends.name))
    });
    Some(arrives.unwrap_or_else(|| match all.first() {
        Some((_, beat)) => format!(
            "Heartbeat: {} always fires and comes to no receiver that sends it on, so that nobody notices when Prometheus or \
             Alertmanager stops. Route it to something that notices when it stays away",
            beat.name()
        ),
        None => "No heartbeat: no alert that always fires (expr: vector(1)) is in Alertmanager, so that nobody notices when \
                 Prometheus or Alertmanager stops"
            .to_owned(),
    }))
}

/// Alertmanagers that stand for one another all get every alert, so that one of them is enough.
fn judged(who: &str, check: &Check, rules: &[Rule], answers: &[Answers]) -> Verdict {
    let mut reached: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    let mut lost: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    let mut silenced: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    let mut timed: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    let mut never: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    let mut sometimes: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    let alerts: Vec<Alert> = rules
        .iter()
        .filter_map(|rule| {
            let expr = Expression::parse(&rule.expr).ok()?;
            Some(Alert::of(rule.alert.as_deref()?, &rule.labels, expr))
        })
        .filter(Alert::is_for_somebody)
        .collect();
    let (all, mut good) = (alerts.len(), 0);
    for alert in &alerts {
        let name = alert.name();
        let receivers: BTreeMap<String, Delivery> = answers
            .iter()
            .flat_map(|answers| answers.routing.receivers(alert))
            .collect();
        let sends = receivers.values().any(|delivery| delivery.sends);
        good += usize::from(sends);
        for (receiver, _) in receivers.iter().filter(|(_, delivery)| delivery.sends == sends) {
            let into = if sends { &mut reached } else { &mut lost };
            into.entry(receiver.clone()).or_default().insert(name);
        }
        let ways = || receivers.values().filter(|delivery| delivery.sends);
        if ways().all(|delivery| !delivery.times.is_empty()) {
            for times in ways().flat_map(|delivery| &delivery.times) {
                timed.entry(times.clone()).or_default().insert(name);
            }
        }
        let silences = answers.iter().flat_map(|answers| &answers.silences);
        for silence in silences.filter(|silence| is_silenced(&silence.matchers, alert)) {
            let words = format!("by {} until {}", silence.created_by, silence.ends_at);
            silenced.entry(shorten(&words, 120)).or_default().insert(name);
        }
        for answers in answers {
            let beats = answers.heartbeats.iter().flatten();
            let always: Vec<Alert> = beats.map(|beat| Alert::fired(beat.labels.clone())).collect();
            for inhibited in answers.routing.inhibited(alert, &always, &alerts) {
                let (into, words) = match inhibited {
                    Inhibited::ForEver { by } => (&mut never, format!("by {by}, which always fires")),
                    Inhibited::Mutually { with } => (&mut never, format!("by {with}, which it inhibits in turn")),
                    Inhibited::While { source, untied: false } => (&mut sometimes, format!("while {source}")),
                    Inhibited::While { source, untied: true } => {
                        (&mut sometimes, format!("while {source} of any service"))
                    }
                };
                into.entry(shorten(&words, 120)).or_default().insert(name);
            }
        }
    }
    let list = |by: &BTreeMap<String, BTreeSet<&str>>, counted: bool| {
        let parts = by.iter().map(|(what, alerts)| {
            let names: Vec<&str> = alerts.iter().copied().collect();
            match counted {
                true => format!("{what:?} ({})", names.len()),
                false => format!("{} {what}", names.join(", ")),
            }
        });
        shorten(&parts.collect::<Vec<_>>().join("; "), LONGEST_LIST)
    };
    let count = Some((good, all));
    if lost.is_empty() && !never.is_empty() {
        let message = format!(
            "An inhibit rule of the Alertmanager of {who} keeps alerts from everybody whenever they fire: {}. Tie its source \
             and its target together with equal (namespace, service), or narrow its matchers",
            list(&never, false)
        );
        return verdict(check, Truth::False, Reason::Inhibited, message, count);
    }
    if lost.is_empty() {
        let mut message = format!(
            "By the routes of the Alertmanager of {who}, each of {all} alerts comes to a receiver that sends it on: {}",
            list(&reached, true)
        );
        if let Some(words) = heartbeat(answers) {
            message.push_str(&format!(". {words}"));
        }
        if !sometimes.is_empty() {
            message.push_str(&format!(". Inhibited: {}", counted_by(&sometimes)));
        }
        if !timed.is_empty() {
            message.push_str(&format!(". Only at times: {}", list(&timed, false)));
        }
        if !silenced.is_empty() {
            message.push_str(&format!(". Silenced now: {}", list(&silenced, false)));
        }
        return verdict(check, Truth::True, Reason::Routed, message, count);
    }
    let ends: BTreeMap<String, BTreeSet<&str>> = lost
        .into_iter()
        .map(|(receiver, alerts)| (format!("can only come to {receiver:?}"), alerts))
        .collect();
    let message = format!(
        "By the routes of the Alertmanager of {who}, {} of {all} alerts reach nobody, as their receiver sends nothing \
         anywhere: {}. Add a route that fits their labels (an AlertmanagerConfig in this namespace, or the Alertmanager's \
         own configuration), or give that receiver an integration",
        all - good,
        list(&ends, false)
    );
    verdict(check, Truth::False, Reason::NotRouted, message, count)
}

#[cfg(test)]
mod tests {
    use super::base;

    #[test]
    fn the_address_of_an_alertmanager_has_its_prefix_and_no_password() {
        for (posted, expected) in [
            ("http://am:9093/api/v2/alerts", "http://am:9093"),
            ("http://am:9093/prefix/api/v2/alerts", "http://am:9093/prefix"),
            (
                "http://user:hunter2@am:9093/prefix/api/v2/alerts",
                "http://am:9093/prefix",
            ),
            ("no address", "no address"),
        ] {
            assert_eq!(base(posted), expected);
        }
    }
}
