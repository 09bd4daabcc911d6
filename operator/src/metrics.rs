//! The operator's own metrics, under the names of controller-runtime where it has one, so that existing dashboards work.

mod conditions;
mod page;
mod process;
mod queue;
mod requests;

use std::sync::Arc;
use std::time::Duration;

use kube::core::DeserializeGuard;
use kube::runtime::reflector::Store;
use observed_crds::v1alpha1::{ObservedService, RemediationKind, RemediationOutcome};
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

use conditions::Conditions;
pub use page::page;
use process::Process;
pub use queue::Queue;
pub use requests::Requests;

/// Name of the controller in the metrics.
const CONTROLLER: &str = "observedservice";

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct ByController {
    controller: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct ByResult {
    controller: &'static str,
    result: ReconcileResult,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct ByLease {
    name: String,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct ByService {
    service_namespace: String,
    service_name: String,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct ByOutcome {
    action: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct ByResource {
    resource: String,
}

impl ByOutcome {
    fn of(action: RemediationKind, outcome: RemediationOutcome) -> Self {
        Self {
            action: action.as_str(),
            outcome: outcome.as_str(),
        }
    }
}

/// Watches that broke off, by what is watched. A clone counts into the same metric.
#[derive(Clone, Default)]
pub struct WatchErrors(Family<ByResource, Counter>);

impl WatchErrors {
    /// The counter of one watch. It exists from then on.
    pub fn of(&self, resource: &str) -> Counter {
        let resource = resource.to_owned();
        self.0.get_or_create_owned(&ByResource { resource })
    }
}

/// How a reconcile ended.
#[derive(Clone, Copy, Debug, EncodeLabelValue, Eq, Hash, PartialEq)]
#[allow(non_camel_case_types)]
pub enum ReconcileResult {
    /// As it should.
    success,
    /// With an error; it is tried again.
    error,
}

/// The metrics. A clone shares its values.
#[derive(Clone)]
pub struct Metrics {
    registry: Arc<Registry>,
    reconciles: Family<ByResult, Counter>,
    errors: Family<ByController, Counter>,
    panics: Family<ByController, Counter>,
    seconds: Family<ByController, Histogram, fn() -> Histogram>,
    workers: Family<ByController, Gauge>,
    most_workers: Family<ByController, Gauge>,
    leads: Family<ByLease, Gauge>,
    rollouts: Family<ByService, Counter>,
    remediations: Family<ByOutcome, Counter>,
    verify_seconds: Histogram,
    conditions: Conditions,
    /// The controller's queue.
    pub queue: Queue,
    /// Requests to the API server.
    pub requests: Requests,
    /// Watches that broke off.
    pub watch_errors: WatchErrors,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// Media type of [`Metrics::encode`].
    pub const CONTENT_TYPE: &'static str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

    /// All at zero.
    pub fn new() -> Self {
        let mut registry = Registry::default();
        let (reconciles, errors, panics) = (Family::default(), Family::default(), Family::default());
        let buckets: fn() -> Histogram = || Histogram::new(exponential_buckets(0.005, 2.0, 14));
        let seconds = Family::new_with_constructor(buckets);
        let (workers, most_workers, leads) = (Family::default(), Family::default(), Family::default());
        let (rollouts, watch_errors) = (Family::default(), WatchErrors::default());
        let remediations = Family::default();
        let verify_seconds = Histogram::new(exponential_buckets(0.005, 2.0, 12));
        let conditions = Conditions::default();
        registry.register(
            "controller_runtime_reconcile",
            "Reconciles by result",
            Family::clone(&reconciles),
        );
        registry.register(
            "controller_runtime_reconcile_errors",
            "Reconciles that failed",
            Family::clone(&errors),
        );
        registry.register(
            "controller_runtime_reconcile_panics",
            "Reconciles that panicked",
            Family::clone(&panics),
        );
        registry.register_with_unit(
            "controller_runtime_reconcile_time",
            "Duration of a reconcile",
            Unit::Seconds,
            Family::clone(&seconds),
        );
        registry.register(
            "controller_runtime_active_workers",
            "Reconciles under way",
            Family::clone(&workers),
        );
        registry.register(
            "controller_runtime_max_concurrent_reconciles",
            "Reconciles that may be under way at once",
            Family::clone(&most_workers),
        );
        registry.register(
            "leader_election_master_status",
            "Whether this process holds the Lease: 1, or 0",
            Family::clone(&leads),
        );
        registry.register(
            "observed_rollouts_caused",
            "Changes of a workload's probes, each of which rolls it",
            Family::clone(&rollouts),
        );
        registry.register(
            "observed_remediations",
            "What became of alerts that something is done about",
            Family::clone(&remediations),
        );
        registry.register(
            "observed_watch_errors",
            "Watches that broke off or could not be begun",
            Family::clone(&watch_errors.0),
        );
        registry.register_with_unit(
            "observed_verify",
            "Time that it took to ask Prometheus and Alertmanager about one service",
            Unit::Seconds,
            verify_seconds.clone(),
        );
        let build = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("observed_build", "What runs", build);
        let (queue, requests) = (Queue::register(&mut registry), Requests::register(&mut registry));
        registry.register_collector(Box::new(conditions.clone()));
        registry.register_collector(Box::new(Process));
        let metrics = Self {
            registry: Arc::new(registry),
            reconciles,
            errors,
            panics,
            seconds,
            workers,
            most_workers,
            leads,
            rollouts,
            remediations,
            verify_seconds,
            conditions,
            queue,
            requests,
            watch_errors,
        };
        // They exist from the start, so that the first increase is seen as one.
        let by = ByController { controller: CONTROLLER };
        for result in [ReconcileResult::success, ReconcileResult::error] {
            drop(metrics.reconciles.get_or_create(&ByResult {
                controller: CONTROLLER,
                result,
            }));
        }
        for outcome in RemediationOutcome::ALL {
            drop(
                metrics
                    .remediations
                    .get_or_create(&ByOutcome::of(RemediationKind::Restart, outcome)),
            );
        }
        drop(metrics.errors.get_or_create(&by));
        drop(metrics.panics.get_or_create(&by));
        drop(metrics.seconds.get_or_create(&by));
        drop(metrics.workers.get_or_create(&by));
        metrics
    }

    /// The page, in OpenMetrics' text format.
    pub fn encode(&self) -> String {
        self.queue.look();
        let mut page = String::new();
        // Writing to a String cannot fail.
        let _ = encode(&mut page, &self.registry);
        page
    }

    /// Counts a reconcile as under way for as long as the guard lives.
    pub fn working(&self) -> Working {
        let workers = self
            .workers
            .get_or_create_owned(&ByController { controller: CONTROLLER });
        workers.inc();
        Working(workers)
    }

    /// Counts a reconcile that has ended.
    pub fn reconciled(&self, result: ReconcileResult, took: Duration) {
        let by = ByController { controller: CONTROLLER };
        self.reconciles
            .get_or_create(&ByResult {
                controller: CONTROLLER,
                result,
            })
            .inc();
        self.seconds.get_or_create(&by).observe(took.as_secs_f64());
        if result == ReconcileResult::error {
            self.errors.get_or_create(&by).inc();
        }
    }

    /// Whether this process holds the Lease.
    pub fn leads(&self, name: &str, leads: bool) {
        let by = ByLease { name: name.to_owned() };
        self.leads.get_or_create(&by).set(leads.into());
    }

    /// Counts a reconcile that panicked.
    pub fn panicked(&self) {
        self.panics
            .get_or_create(&ByController { controller: CONTROLLER })
            .inc();
    }

    /// How many reconciles may be under way at once.
    pub fn at_most(&self, workers: u16) {
        let by = ByController { controller: CONTROLLER };
        self.most_workers.get_or_create(&by).set(workers.into());
    }

    /// From now on the services that are known are counted by their conditions.
    pub fn counts(&self, known: Store<DeserializeGuard<ObservedService>>) {
        self.conditions.of(known);
    }

    /// Counts rollouts of a service's workload. With none the series exists from then on.
    pub fn rolled(&self, namespace: &str, name: &str, times: u64) {
        let by = ByService {
            service_namespace: namespace.to_owned(),
            service_name: name.to_owned(),
        };
        self.rollouts.get_or_create(&by).inc_by(times);
    }

    /// Counts what became of an alert.
    pub fn remediated(&self, action: RemediationKind, outcome: RemediationOutcome) {
        self.remediations.get_or_create(&ByOutcome::of(action, outcome)).inc();
    }

    /// A service is gone.
    pub fn forget(&self, key: &(String, String)) {
        self.queue.forget(key);
        self.rollouts.remove(&ByService {
            service_namespace: key.0.clone(),
            service_name: key.1.clone(),
        });
    }

    /// Counts how long Prometheus and Alertmanager were asked.
    pub fn verified(&self, took: Duration) {
        self.verify_seconds.observe(took.as_secs_f64());
    }
}

/// Counts a reconcile as under way.
pub struct Working(Gauge);

impl Drop for Working {
    fn drop(&mut self) {
        self.0.dec();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rollout_is_counted_from_nothing_and_forgotten_with_its_service() {
        let metrics = Metrics::new();
        let key = ("prod".to_owned(), "api".to_owned());
        let line = |count| {
            format!("observed_rollouts_caused_total{{service_namespace=\"prod\",service_name=\"api\"}} {count}\n")
        };
        metrics.rolled(&key.0, &key.1, 0);
        assert!(metrics.encode().contains(&line(0)), "{}", metrics.encode());
        metrics.rolled(&key.0, &key.1, 1);
        assert!(metrics.encode().contains(&line(1)), "{}", metrics.encode());
        metrics.forget(&key);
        assert!(!metrics.encode().contains("service_name="), "{}", metrics.encode());
    }

    #[test]
    fn an_error_is_a_reconcile_that_failed_and_a_success_is_none() {
        let metrics = Metrics::new();
        metrics.reconciled(ReconcileResult::success, Duration::from_millis(1));
        let errors =
            |count| format!("controller_runtime_reconcile_errors_total{{controller=\"observedservice\"}} {count}\n");
        assert!(metrics.encode().contains(&errors(0)), "{}", metrics.encode());
        metrics.reconciled(ReconcileResult::error, Duration::from_millis(1));
        assert!(metrics.encode().contains(&errors(1)), "{}", metrics.encode());
    }
}
