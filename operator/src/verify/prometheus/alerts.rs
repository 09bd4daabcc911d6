//! Which alerts fire.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use observed_core::doctor::Sample;
use observed_core::remediation::Firing;
use serde::Deserialize;

use super::series::Vector;
use super::{Envelope, Error, Prometheus, TIMEOUT};

/// The alerts that fire, as series say it: anybody's rules may have made them.
const ALERTING: &str =
    "count by (namespace, service, alertname, severity) (ALERTS{alertstate=\"firing\",service!=\"\"})";

/// An alert of a service that fires, as a series says.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Alerting {
    /// Namespace of the service.
    pub namespace: String,
    /// Name of the service.
    pub service: String,
    /// Name of the alert.
    pub alert: String,
    /// Whether it calls a person now.
    pub critical: bool,
}

#[derive(Deserialize)]
struct Groups {
    #[serde(default)]
    groups: Option<Vec<Group>>,
}

#[derive(Deserialize)]
struct Group {
    /// Where prometheus-operator put the PrometheusRule: its UID is a part of the name.
    #[serde(default)]
    file: String,
    #[serde(default)]
    rules: Vec<Rule>,
}

#[derive(Deserialize)]
struct Rule {
    name: String,
    /// Seconds that the condition must hold.
    #[serde(default)]
    duration: f64,
    #[serde(default)]
    alerts: Option<Vec<Alert>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Alert {
    #[serde(default)]
    state: String,
    active_at: Option<Timestamp>,
    /// Since when its condition has ended, while it goes on firing.
    keep_firing_since: Option<Timestamp>,
}

impl Prometheus {
    /// The alerts of services that fire, of all services at once. A hint: what is done needs [`Prometheus::firing`].
    ///
    /// # Errors
    /// As of [`Prometheus::fetch`], and if the answer is not that of a Prometheus.
    pub async fn alerting(&self, base: &str) -> Result<BTreeSet<Alerting>, Error> {
        let timeout = format!("{}s", TIMEOUT.as_secs());
        let query = [("query", ALERTING), ("timeout", timeout.as_str())];
        let answer: Envelope<Vector> = self.get(base, "/api/v1/query", &query).await?;
        let alerting = answer.data.result.iter().filter_map(Sample::of).map(|sample| Alerting {
            namespace: sample.label("namespace").to_owned(),
            service: sample.label("service").to_owned(),
            alert: sample.label("alertname").to_owned(),
            critical: sample.label("severity") == "critical",
        });
        Ok(alerting.collect())
    }

    /// The alert of that name of the PrometheusRule with this UID, if its condition holds and it fires: the one that began
    /// first, where it fires for several pods.
    ///
    /// # Errors
    /// As of [`Prometheus::alerting`].
    pub async fn firing(&self, base: &str, uid: &str, groups: &[String], name: &str) -> Result<Option<Firing>, Error> {
        let groups = groups.iter().map(|group| ("rule_group[]", group.as_str()));
        let query: Vec<_> = groups.chain([("type", "alert"), ("rule_name[]", name)]).collect();
        let answer: Envelope<Groups> = self.get(base, "/api/v1/rules", &query).await?;
        let ours = answer.data.groups.into_iter().flatten();
        let ours = ours.filter(|group| !uid.is_empty() && group.file.contains(uid));
        let rules = ours.flat_map(|group| group.rules).filter(|rule| rule.name == name);
        let firing = rules.flat_map(|rule| {
            let held = SignedDuration::try_from_secs_f64(rule.duration).unwrap_or_default();
            let alerts = rule.alerts.into_iter().flatten();
            let firing = alerts.filter(|alert| alert.state == "firing" && alert.keep_firing_since.is_none());
            firing.filter_map(move |alert| {
                let active_since = alert.active_at?;
                Some(Firing {
                    alert: rule.name.clone(),
                    active_since,
                    firing_since: active_since.saturating_add(held).ok()?,
                })
            })
        });
        Ok(firing.min_by_key(|firing| firing.active_since))
    }
}
