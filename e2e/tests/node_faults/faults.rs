//! Follows alerts from the moment of a fault to the notification, and back.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use comfy_table::Table;
use observed_e2e::demo::look::Eyes;
use observed_e2e::wait;
use serde_json::Value;

const SOON: Duration = Duration::from_secs(180);

pub type Labels = &'static [(&'static str, &'static str)];

/// An alert that a fault must raise.
pub struct Told {
    fault: &'static str,
    alert: &'static str,
    /// By which it is told from others of its name.
    labels: Labels,
    /// Seconds from the fault, or from its end: by what was seen.
    seen: BTreeMap<&'static str, f64>,
}

impl Told {
    pub fn new(fault: &'static str, alert: &'static str, labels: Labels) -> Self {
        Self {
            fault,
            alert,
            labels,
            seen: BTreeMap::new(),
        }
    }

    fn is(&self, labels: &Value) -> bool {
        labels["alertname"] == self.alert && self.labels.iter().all(|(name, value)| labels[name] == *value)
    }

    fn see(&mut self, what: &'static str, start: Instant, holds: bool) {
        if holds {
            self.seen.entry(what).or_insert_with(|| start.elapsed().as_secs_f64());
        }
    }
}

/// The faults of one namespace.
pub struct Faults<'a> {
    eyes: &'a Eyes,
    done: Vec<Told>,
}

impl<'a> Faults<'a> {
    pub fn new(eyes: &'a Eyes) -> Self {
        Self { eyes, done: Vec::new() }
    }

    /// What Prometheus says of the alerts in the namespace: labels and state.
    async fn alerts(&self) -> Result<Vec<(Value, String)>, String> {
        let answer = self.eyes.alerts().await.prometheus?;
        let alerts = answer["data"]["alerts"].as_array().ok_or_else(|| answer.to_string())?;
        let ours = alerts
            .iter()
            .filter(|alert| alert["labels"]["namespace"] == self.eyes.namespace.as_str());
        let state = |alert: &Value| alert["state"].as_str().unwrap_or_default().to_owned();
        Ok(ours.map(|alert| (alert["labels"].clone(), state(alert))).collect())
    }

    /// Waits until all is quiet, and then that it stays so.
    pub async fn nothing_fires_for(&self, time: Duration) {
        let quiet = || async {
            let alerts = self.alerts().await?;
            if alerts.is_empty() {
                Ok(())
            } else {
                Err(format!("{alerts:?}"))
            }
        };
        wait::until(SOON, "no alert", quiet).await.unwrap();
        let start = Instant::now();
        let stays = || async {
            let fires = self.alerts().await?.into_iter().find(|(_, state)| state == "firing");
            match fires {
                Some((labels, _)) => Ok(Some(labels)),
                None if start.elapsed() > time => Ok(None),
                None => Err("it is quiet".to_owned()),
            }
        };
        let fired = wait::until(time + SOON, "nothing to fire", stays).await.unwrap();
        assert_eq!(fired, None, "it fires, and nothing is broken");
    }

    /// Waits until each alert was pending, fired and was received.
    pub async fn fire<const N: usize>(&self, start: Instant, told: [Told; N]) -> [Told; N] {
        let told = std::cell::RefCell::new(told);
        let look = || async {
            let alerts = self.alerts().await?;
            let received = self.eyes.alerts().await.received?;
            let mut told = told.borrow_mut();
            for one in told.iter_mut() {
                let state = |state: &str| alerts.iter().any(|(labels, is)| one.is(labels) && is == state);
                let (pending, firing) = (state("pending"), state("firing"));
                let arrived = self.last(&received, one) == Some("firing");
                one.see("pending", start, pending || firing);
                one.see("firing", start, firing);
                one.see("received", start, arrived);
            }
            let open: Vec<_> = told.iter().filter(|one| !one.seen.contains_key("received")).collect();
            if open.is_empty() {
                return Ok(());
            }
            let open: Vec<_> = open.iter().map(|one| (one.alert, &one.seen)).collect();
            Err(format!("{open:?} of {alerts:?}"))
        };
        wait::until(SOON, "the alerts to be received", look).await.unwrap();
        told.into_inner()
    }

    /// None of these is even pending: a true fault of theirs would be by now.
    pub async fn is_silent(&self, names: &[&str]) {
        let alerts = self.alerts().await.unwrap();
        for (labels, state) in alerts {
            let name = labels["alertname"].as_str().unwrap_or_default();
            assert!(!names.contains(&name), "{name} is {state}");
        }
    }

    /// Waits until the end of each alert was received.
    pub async fn resolve<const N: usize>(&mut self, start: Instant, mut told: [Told; N]) {
        let mut open: Vec<&mut Told> = told.iter_mut().collect();
        let deadline = start + SOON;
        while !open.is_empty() {
            let received = wait::until(SOON, "the notifications", || async {
                self.eyes.alerts().await.received
            });
            let received = received.await.unwrap();
            open.retain_mut(|one| {
                one.see("resolved", start, self.last(&received, one) == Some("resolved"));
                !one.seen.contains_key("resolved")
            });
            let names: Vec<_> = open.iter().map(|one| one.alert).collect();
            assert!(Instant::now() < deadline, "not resolved: {names:?}");
        }
        self.done.extend(told);
    }

    /// Keeps for the table what nobody waits the end of.
    pub fn leave<const N: usize>(&mut self, told: [Told; N]) {
        self.done.extend(told);
    }

    /// Whether a notification says that it fires.
    pub async fn was_received(&self, one: &Told) -> Result<bool, String> {
        let received = self.eyes.alerts().await.received?;
        Ok(self.last(&received, one) == Some("firing"))
    }

    /// What the last notification about an alert says.
    fn last<'b>(&self, received: &'b Value, one: &Told) -> Option<&'b str> {
        let notifications = received.as_array()?;
        let mut alerts = notifications
            .iter()
            .filter_map(|one| one["payload"]["alerts"].as_array())
            .flatten()
            .filter(|alert| alert["labels"]["namespace"] == self.eyes.namespace.as_str());
        alerts.rfind(|alert| one.is(&alert["labels"]))?["status"].as_str()
    }

    pub fn print(&self, others: &Self) {
        let mut table = Table::new();
        let steps = ["pending", "firing", "received", "resolved"];
        table.set_header([&["fault", "alert"][..], &steps].concat());
        for one in self.done.iter().chain(&others.done) {
            let times = steps.map(|step| one.seen.get(step).map_or("-".to_owned(), |time| format!("{time:.0} s")));
            table.add_row([vec![one.fault.to_owned(), one.alert.to_owned()], times.to_vec()].concat());
        }
        println!("{table}");
    }
}
