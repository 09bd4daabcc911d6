//! What the service counts when it has its databases: who uses it, its tasks, its pool. No label names a key.

use std::sync::atomic::{AtomicI64, AtomicU64};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::database;

const WINDOWS: [&str; 3] = ["5m", "1h", "1d"];
const TASK_TYPE: &str = "message";

/// How a task ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// With an answer.
    Success,
    /// Without one.
    Failure,
    /// Not in time.
    Timeout,
}

impl Outcome {
    const ALL: [Self; 3] = [Self::Success, Self::Failure, Self::Timeout];

    /// As it is counted and kept.
    pub fn label(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failure => "failure",
            Self::Timeout => "timeout",
        }
    }
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct WindowLabels {
    window: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct TaskLabels {
    outcome: &'static str,
    task_type: &'static str,
}

/// The metrics, all there from the start.
#[derive(Debug)]
pub struct Usage {
    keys: Family<WindowLabels, Gauge>,
    tasks: Family<TaskLabels, Counter>,
    queued: Gauge<i64, AtomicI64>,
    oldest: Gauge<f64, AtomicU64>,
    in_use: Gauge,
    most: Gauge,
}

impl Usage {
    /// Metrics at zero, in the registry.
    pub fn new(registry: &mut Registry) -> Self {
        let usage = Self {
            keys: Family::default(),
            tasks: Family::default(),
            queued: Gauge::default(),
            oldest: Gauge::default(),
            in_use: Gauge::default(),
            most: Gauge::default(),
        };
        for window in WINDOWS {
            usage.keys.get_or_create(&WindowLabels { window }).set(0);
        }
        for outcome in Outcome::ALL {
            usage.tasks.get_or_create(&labels(outcome)).inc_by(0);
        }
        registry.register(
            "api_keys_active",
            "Different API keys seen, by window",
            usage.keys.clone(),
        );
        registry.register("tasks_completed", "Tasks that ended, by outcome", usage.tasks.clone());
        registry.register("tasks_queued", "Tasks that wait", usage.queued.clone());
        let help = "Age of the oldest task that waits, 0 when none does";
        registry.register("tasks_oldest_age_seconds", help, usage.oldest.clone());
        let help = "Connections to the database in use";
        registry.register("db_pool_checked_out_connections", help, usage.in_use.clone());
        let help = "Connections to the database that there may be";
        registry.register("db_pool_size", help, usage.most.clone());
        usage
    }

    /// A task ended.
    pub fn task_ended(&self, outcome: Outcome) {
        self.tasks.get_or_create(&labels(outcome)).inc();
    }

    /// The database was asked.
    pub fn counted(&self, counted: &database::Usage) {
        for (window, keys) in WINDOWS.into_iter().zip(counted.keys) {
            self.keys.get_or_create(&WindowLabels { window }).set(keys);
        }
        self.queued.set(counted.queued);
        self.oldest.set(counted.oldest_seconds);
    }

    /// The pool was looked at.
    pub fn connections(&self, (in_use, most): (usize, usize)) {
        let gauge = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        self.in_use.set(gauge(in_use));
        self.most.set(gauge(most));
    }
}

fn labels(outcome: Outcome) -> TaskLabels {
    TaskLabels {
        outcome: outcome.label(),
        task_type: TASK_TYPE,
    }
}
