//! What is promised of the alert.

use serde_json::Value;

use super::{Judged, list, name_of, there};
use crate::demo::look::Alerts;
use crate::demo::promise::Promise;

/// Judges a promise about the alert.
///
/// # Errors
/// It does not hold (yet): what was seen instead.
pub fn alerts(promise: Promise, seen: &Alerts, alert: &str) -> Judged {
    match promise {
        Promise::AlertPending => in_prometheus(seen, alert, "pending"),
        Promise::AlertFiring => in_prometheus(seen, alert, "firing"),
        Promise::AlertRouted => routed(seen, alert),
        Promise::AlertReceived => received(seen, alert, "firing"),
        Promise::AlertEnded => match states(seen, alert)?.as_slice() {
            [] => Ok(format!("{} is inactive", alert)),
            states => Err(format!("{} is {}", alert, states.join(", "))),
        },
        Promise::EndReceived => received(seen, alert, "resolved"),
        other => Err(format!("{other:?} is not about the alert")),
    }
}

fn states<'a>(seen: &'a Alerts, alert: &str) -> Result<Vec<&'a str>, String> {
    let answer = there(&seen.prometheus, "Prometheus")?;
    if answer["status"] != "success" {
        return Err(format!("Prometheus answered {answer}"));
    }
    let alerts = list(&answer["data"]["alerts"]).iter();
    Ok(alerts
        .filter(|one| is_ours(&one["labels"], seen, alert))
        .filter_map(|one| one["state"].as_str())
        .collect())
}

fn in_prometheus(seen: &Alerts, alert: &str, state: &str) -> Judged {
    let states = states(seen, alert)?;
    if states.contains(&state) {
        return Ok(alert.to_owned());
    }
    let is = if states.is_empty() {
        "inactive".to_owned()
    } else {
        states.join(", ")
    };
    Err(format!("{} is {is}", alert))
}

fn routed(seen: &Alerts, alert: &str) -> Judged {
    let alerts = list(there(&seen.alertmanager, "Alertmanager")?);
    let ours = alerts.iter().find(|one| is_ours(&one["labels"], seen, alert));
    let ours = ours.ok_or_else(|| format!("{} other alerts, no {}", alerts.len(), alert))?;
    let receivers: Vec<_> = list(&ours["receivers"]).iter().map(name_of).collect();
    Ok(format!("for the receiver {}", receivers.join(", ")))
}

/// The last notification about the alert says what became of it.
fn received(seen: &Alerts, alert: &str, status: &str) -> Judged {
    match last(seen, alert)?["status"].as_str().unwrap_or_default() {
        last if last == status => Ok(format!("{alert} {status}")),
        last => Err(format!("the last notification says {last}")),
    }
}

/// The alert as the last notification about it has it.
///
/// # Errors
/// There is none.
pub fn last<'a>(seen: &'a Alerts, alert: &str) -> Result<&'a Value, String> {
    let notifications = list(there(&seen.received, "the webhook")?);
    let mut alerts = notifications
        .iter()
        .flat_map(|notification| list(&notification["payload"]["alerts"]));
    let last = alerts.rfind(|one| is_ours(&one["labels"], seen, alert));
    last.ok_or_else(|| format!("{} notifications, none of {alert}", notifications.len()))
}

fn is_ours(labels: &Value, seen: &Alerts, alert: &str) -> bool {
    labels["alertname"] == alert && labels["namespace"] == seen.namespace.as_str()
}
