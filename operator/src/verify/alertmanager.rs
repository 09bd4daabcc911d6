//! Where the alerts go: whom Prometheus tells of them, and what becomes of each by that Alertmanager's routes.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::join_all;
use observed_core::check::{Check, Truth, Verdict};
use observed_core::promql::Expression;
use observed_core::routing::{Alert, Delivery, Matcher, Routing, is_silenced};
use observed_crds::foreign::Rule;
use observed_crds::v1alpha1::conditions::Reason;
use serde::Deserialize;

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

/// What one Alertmanager answered.
struct Answers {
    routing: Routing,
    silences: Vec<Silence>,
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

/// The address of an Alertmanager, from the one that alerts are posted to.
fn base(url: &str) -> String {
    let base = url.split_once("/api/v").map_or(url, |(base, _)| base);
    base.trim_end_matches('/').to_owned()
}

async fn ask(http: &Prometheus, address: &str) -> Result<Answers, String> {
    let words = |error: Error| error.to_string();
    let status: Status = http.shared(address, "/api/v2/status").await.map_err(words)?;
    let routing = Routing::read(&status.config.original)
        .ok_or_else(|| format!("the configuration of {address} has no route that can be read"))?;
    let mut silences: Vec<Silence> = http.shared(address, "/api/v2/silences").await.map_err(words)?;
    silences.retain(|silence| silence.status.state == "active");
    silences.sort_by(|one, other| one.id.cmp(&other.id));
    Ok(Answers { routing, silences })
}

/// Alertmanagers that stand for one another all get every alert, so that one of them is enough.
fn judged(who: &str, check: &Check, rules: &[Rule], answers: &[Answers]) -> Verdict {
    let mut reached: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    let mut lost: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    let mut silenced: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    let mut timed: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    let (mut all, mut good) = (0, 0);
    for rule in rules {
        let (Some(name), Ok(expr)) = (rule.alert.as_deref(), Expression::parse(&rule.expr)) else {
            continue;
        };
        let alert = Alert::of(name, &rule.labels, expr);
        if !alert.is_for_somebody() {
            continue;
        }
        all += 1;
        let receivers: BTreeMap<String, Delivery> = answers
            .iter()
            .flat_map(|answers| answers.routing.receivers(&alert))
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
        for silence in silences.filter(|silence| is_silenced(&silence.matchers, &alert)) {
            let words = format!("by {} until {}", silence.created_by, silence.ends_at);
            silenced.entry(shorten(&words, 120)).or_default().insert(name);
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
    if lost.is_empty() {
        let mut message = format!(
            "By the routes of the Alertmanager of {who}, each of {all} alerts comes to a receiver that sends it on: {}",
            list(&reached, true)
        );
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
