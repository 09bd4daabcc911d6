//! Faults that can be switched on while the service runs.

use std::sync::Mutex;
use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::sync::watch;

use crate::duration;
use crate::findings::{Findings, kind, object};

const KNOWN: &[&str] = &[
    "errorRatio",
    "latency",
    "readiness",
    "hang",
    "crash",
    "panic",
    "fallback",
    "worker",
    "memoryGrowthMiBPerSecond",
    "memoryGrowthUpToMiB",
];
const MAX_LATENCY: Duration = Duration::from_secs(300);
const MAX_GROWTH: u64 = 1024;
// What keeps a leak from taking the whole machine where no limit is set.
const MAX_LEAK_MIB: u64 = 4096;

/// What is wrong with the service at the moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Faults {
    /// The share of API requests that is answered with 500, from 0 to 1.
    pub error_ratio: f64,
    /// How much longer every API request takes.
    pub latency: Duration,
    /// `/ready` answers 503.
    pub not_ready: bool,
    /// No request is answered, probes and metrics included, until it is switched off.
    pub hang: bool,
    /// The process aborts.
    pub crash: bool,
    /// A bug: every API request panics.
    pub panic: bool,
    /// Questions are answered without asking a model.
    pub fallback: bool,
    /// Nobody works on tasks.
    pub worker_off: bool,
    /// How fast memory is taken and not given back.
    pub memory_growth_mib_per_second: u64,
    /// Where that ends, if anywhere before 4 GiB.
    pub memory_growth_up_to_mib: Option<u64>,
}

impl Faults {
    /// Reads what `PUT /faults` was sent. What is not mentioned is off.
    pub fn parse(body: &[u8]) -> Result<Self, Findings> {
        let object = object(body)?;
        let mut findings = Findings::default();
        for name in object.keys().filter(|name| !KNOWN.contains(&name.as_str())) {
            findings.add(name.as_str(), format!("is not a fault; known are {}", KNOWN.join(", ")));
        }
        let faults = Self::read(&object, &mut findings);
        findings.or(faults)
    }

    /// Reads them from the command line.
    pub fn from_option(text: &str) -> Result<Self, String> {
        Self::parse(text.as_bytes()).map_err(|findings| findings.to_string())
    }

    fn read(object: &Map<String, Value>, findings: &mut Findings) -> Self {
        Self {
            error_ratio: findings.optional(object, "errorRatio", |value| match value.as_f64() {
                Some(ratio) if (0.0..=1.0).contains(&ratio) => Ok(ratio),
                _ => Err(format!("must be a number from 0 to 1, is {value}")),
            }),
            latency: findings.optional(object, "latency", |value| {
                let text = value
                    .as_str()
                    .ok_or_else(|| format!("must be a string such as \"2s\", is {}", kind(value)))?;
                match duration::parse(text)? {
                    latency if latency <= MAX_LATENCY => Ok(latency),
                    _ => Err(format!("must be at most {}, is {text:?}", duration::print(MAX_LATENCY))),
                }
            }),
            not_ready: findings.optional(object, "readiness", is_off),
            hang: findings.optional(object, "hang", boolean),
            crash: findings.optional(object, "crash", boolean),
            panic: findings.optional(object, "panic", boolean),
            fallback: findings.optional(object, "fallback", boolean),
            worker_off: findings.optional(object, "worker", is_off),
            memory_growth_mib_per_second: findings.optional(object, "memoryGrowthMiBPerSecond", |value| {
                match value.as_u64() {
                    Some(growth) if growth <= MAX_GROWTH => Ok(growth),
                    _ => Err(format!("must be a whole number from 0 to {MAX_GROWTH}, is {value}")),
                }
            }),
            memory_growth_up_to_mib: findings.optional(object, "memoryGrowthUpToMiB", |value| match value.as_u64() {
                Some(most) if (1..=MAX_LEAK_MIB).contains(&most) => Ok(Some(most)),
                _ => Err(format!("must be a whole number from 1 to {MAX_LEAK_MIB}, is {value}")),
            }),
        }
    }

    /// How much a leak takes at most.
    pub fn most_mib(&self) -> u64 {
        self.memory_growth_up_to_mib.unwrap_or(MAX_LEAK_MIB)
    }

    /// The same as [`Faults::parse`] reads.
    pub fn to_json(&self) -> Value {
        json!({
            "errorRatio": self.error_ratio,
            "latency": duration::print(self.latency),
            "readiness": on_unless(self.not_ready),
            "hang": self.hang,
            "crash": self.crash,
            "panic": self.panic,
            "fallback": self.fallback,
            "worker": on_unless(self.worker_off),
            "memoryGrowthMiBPerSecond": self.memory_growth_mib_per_second,
            "memoryGrowthUpToMiB": self.most_mib(),
        })
    }
}

fn is_off(value: &Value) -> Result<bool, String> {
    match value.as_str() {
        Some("on") => Ok(false),
        Some("off") => Ok(true),
        _ => Err(format!("must be \"on\" or \"off\", is {value}")),
    }
}

fn on_unless(off: bool) -> &'static str {
    if off { "off" } else { "on" }
}

fn boolean(value: &Value) -> Result<bool, String> {
    value
        .as_bool()
        .ok_or_else(|| format!("must be true or false, is {}", kind(value)))
}

/// Where the faults are switched, and where the service asks for them.
#[derive(Debug, Default)]
pub struct Switchboard {
    faults: watch::Sender<Faults>,
    owed_errors: Mutex<f64>,
}

impl Switchboard {
    /// The faults at the moment.
    pub fn get(&self) -> Faults {
        self.faults.borrow().clone()
    }

    /// Replaces all faults.
    pub fn set(&self, faults: Faults) {
        self.faults.send_replace(faults);
    }

    /// Tells of every change.
    pub fn subscribe(&self) -> watch::Receiver<Faults> {
        self.faults.subscribe()
    }

    /// Whether the next request is one of those that fail. Of `n` requests exactly `n * errorRatio` fail, evenly spread: a test can count on it.
    pub fn fails(&self) -> bool {
        let ratio = self.faults.borrow().error_ratio;
        let mut owed = self
            .owed_errors
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        *owed += ratio;
        // Ratios such as 0.1 do not add up to exactly one.
        let fails = ratio > 0.0 && *owed >= 1.0 - 1e-9;
        *owed = match (fails, ratio > 0.0) {
            (true, _) => (*owed - 1.0).max(0.0),
            (false, true) => *owed,
            (false, false) => 0.0,
        };
        fails
    }

    /// Returns once nothing hangs.
    pub async fn pass(&self) {
        // The sender is in `self`: waiting cannot fail.
        let _ = self.subscribe().wait_for(|faults| !faults.hang).await;
    }

    /// Returns once somebody works on tasks.
    pub async fn may_work(&self) {
        let _ = self.subscribe().wait_for(|faults| !faults.worker_off).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_can_be_switched_and_reads_back_as_it_was_set() {
        let body = json!({
            "errorRatio": 0.5, "latency": "2s", "readiness": "off", "hang": true, "crash": true,
            "panic": true, "fallback": true, "worker": "off", "memoryGrowthMiBPerSecond": 10,
            "memoryGrowthUpToMiB": 64,
        });
        let faults = Faults::parse(body.to_string().as_bytes()).unwrap();
        assert_eq!(
            faults,
            Faults {
                error_ratio: 0.5,
                latency: Duration::from_secs(2),
                not_ready: true,
                hang: true,
                crash: true,
                panic: true,
                fallback: true,
                worker_off: true,
                memory_growth_mib_per_second: 10,
                memory_growth_up_to_mib: Some(64),
            }
        );
        assert_eq!(faults.to_json(), body);
    }

    #[test]
    fn what_is_not_mentioned_is_off() {
        assert_eq!(Faults::parse(b"{}").unwrap(), Faults::default());
    }

    #[test]
    fn all_bad_values_are_found_at_once() {
        let body = br#"{"errorRatio": 1.5, "latency": "soon", "readiness": false, "hang": "yes", "crash": 1,
            "panic": "on", "fallback": 1, "worker": true,
            "memoryGrowthMiBPerSecond": -1, "memoryGrowthUpToMiB": 0, "errorRate": 0.5}"#;
        let found = format!("{:?}", Faults::parse(body).unwrap_err());
        for name in KNOWN.iter().chain(&["errorRate"]) {
            assert_eq!(
                found.matches(&format!("field: \"{name}\"")).count(),
                1,
                "{name}: {found}"
            );
        }
    }

    #[test]
    fn a_body_that_is_no_object_is_refused() {
        for body in ["", "[]", "{", "null"] {
            let found = format!("{:?}", Faults::parse(body.as_bytes()).unwrap_err());
            assert!(found.contains("field: \"body\""), "{found}");
        }
    }

    #[test]
    fn exactly_the_asked_share_of_requests_fails() {
        let switchboard = Switchboard::default();
        for (error_ratio, of_100) in [(0.0, 0), (0.1, 10), (0.5, 50), (1.0, 100), (0.0, 0)] {
            switchboard.set(Faults {
                error_ratio,
                ..Faults::default()
            });
            let failed = (0..100).filter(|_| switchboard.fails()).count();
            assert_eq!(failed, of_100, "{error_ratio}");
        }
    }
}
