//! The operator's own metrics, under the names of controller-runtime where it has one, so that existing dashboards work.

use std::sync::Arc;
use std::time::Duration;

use http::{Method, Request};
use observed_core::outputs;
use observed_crds::v1alpha1::TargetKind;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};
use tower::layer::layer_fn;
use tower::util::MapRequest;
use tower::{Layer, Service};

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
struct ByWrite {
    kind: String,
    verb: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct ByLease {
    name: String,
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
    writes: Family<ByWrite, Counter>,
    leads: Family<ByLease, Gauge>,
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
        let (workers, writes, leads) = (Family::default(), Family::default(), Family::default());
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
            "observed_writes",
            "Write requests to the API server",
            Family::clone(&writes),
        );
        registry.register(
            "leader_election_master_status",
            "Whether this process holds the Lease: 1, or 0",
            Family::clone(&leads),
        );
        let metrics = Self {
            registry: Arc::new(registry),
            reconciles,
            errors,
            panics,
            seconds,
            workers,
            writes,
            leads,
        };
        // They exist from the start, so that the first increase is seen as one.
        let by = ByController { controller: CONTROLLER };
        for result in [ReconcileResult::success, ReconcileResult::error] {
            drop(metrics.reconciles.get_or_create(&ByResult {
                controller: CONTROLLER,
                result,
            }));
        }
        drop(metrics.errors.get_or_create(&by));
        drop(metrics.panics.get_or_create(&by));
        drop(metrics.workers.get_or_create(&by));
        metrics
    }

    /// The page, in OpenMetrics' text format.
    pub fn encode(&self) -> String {
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

    /// A layer of the Kubernetes client that counts every write request, whoever sends it.
    pub fn count_writes<S, B>(
        &self,
    ) -> impl Layer<S, Service = MapRequest<S, impl Fn(Request<B>) -> Request<B> + Clone + use<S, B>>> + use<S, B>
    where
        S: Service<Request<B>>,
    {
        let writes = self.writes.clone();
        layer_fn(move |inner| {
            let writes = writes.clone();
            MapRequest::new(inner, move |request: Request<B>| {
                if let Some(write) = write(request.method(), request.uri().path()) {
                    writes.get_or_create(&write).inc();
                }
                request
            })
        })
    }
}

/// Counts a reconcile as under way.
pub struct Working(Gauge);

impl Drop for Working {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// The write that a request is, if it is one.
fn write(method: &Method, path: &str) -> Option<ByWrite> {
    let verb = match *method {
        Method::POST => "create",
        Method::PUT => "update",
        Method::PATCH => "patch",
        Method::DELETE => "delete",
        _ => return None,
    };
    // /api/<version> or /apis/<group>/<version>, then [namespaces/<namespace>/]<plural>[/<name>[/<subresource>]]
    let mut parts = path.trim_matches('/').split('/');
    match parts.next() {
        Some("api") => drop(parts.next()),
        Some("apis") => drop((parts.next(), parts.next())),
        _ => return None,
    }
    let mut rest: Vec<&str> = parts.collect();
    if rest.len() > 2 && rest.first() == Some(&"namespaces") {
        rest.drain(..2);
    }
    let kind = kind_of(rest.first()?);
    let kind = rest
        .get(2)
        .map_or_else(|| kind.to_owned(), |subresource| format!("{kind}/{subresource}"));
    Some(ByWrite { kind, verb })
}

fn kind_of(plural: &str) -> &str {
    let owned = outputs::owned_kinds()
        .into_iter()
        .find(|kind| kind.plural == plural)
        .map(|kind| kind.kind);
    let target = || {
        TargetKind::ALL
            .into_iter()
            .find(|kind| kind.plural() == plural)
            .map(TargetKind::as_str)
    };
    owned.or_else(target).unwrap_or(match plural {
        "observedservices" => "ObservedService",
        "events" => "Event",
        other => other,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_write_is_counted_by_kind_and_verb() {
        for (method, path, kind, verb) in [
            (
                Method::PATCH,
                "/api/v1/namespaces/prod/configmaps/a",
                "ConfigMap",
                "patch",
            ),
            (
                Method::PATCH,
                "/apis/apps/v1/namespaces/prod/deployments/a",
                "Deployment",
                "patch",
            ),
            (
                Method::DELETE,
                "/apis/monitoring.coreos.com/v1/namespaces/prod/servicemonitors/a",
                "ServiceMonitor",
                "delete",
            ),
            (
                Method::PATCH,
                "/apis/observed.rs/v1alpha1/namespaces/prod/observedservices/a/status",
                "ObservedService/status",
                "patch",
            ),
            (
                Method::POST,
                "/apis/events.k8s.io/v1/namespaces/prod/events",
                "Event",
                "create",
            ),
        ] {
            let counted = write(&method, path).unwrap();
            assert_eq!((counted.kind.as_str(), counted.verb), (kind, verb), "{path}");
        }
    }

    #[test]
    fn a_read_is_not_counted() {
        assert!(write(&Method::GET, "/api/v1/namespaces/prod/configmaps/a").is_none());
        assert!(write(&Method::POST, "/somewhere/else").is_none());
    }
}
