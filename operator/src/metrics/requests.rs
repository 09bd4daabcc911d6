//! Every request to the API server: how it was answered and how long that took, as client-go tells it, and what was written.

use std::task::{Context, Poll};
use std::time::Instant;

use futures::FutureExt;
use futures::future::BoxFuture;
use http::{Method, Request, Response};
use observed_core::outputs;
use observed_crds::v1alpha1::TargetKind;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};
use tower::{Layer, Service};

/// client-go's word for a request that had no answer.
const NO_ANSWER: &str = "<error>";

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct ByAnswer {
    code: String,
    host: String,
    method: String,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct ByVerb {
    host: String,
    verb: String,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct ByWrite {
    kind: String,
    verb: &'static str,
}

/// A layer of the Kubernetes client. A clone counts into the same metrics.
#[derive(Clone)]
pub struct Requests {
    answers: Family<ByAnswer, Counter>,
    seconds: Family<ByVerb, Histogram, fn() -> Histogram>,
    writes: Family<ByWrite, Counter>,
    host: String,
}

impl Requests {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let buckets: fn() -> Histogram = || Histogram::new(exponential_buckets(0.004, 2.0, 14));
        let requests = Self {
            answers: Family::default(),
            seconds: Family::new_with_constructor(buckets),
            writes: Family::default(),
            host: String::new(),
        };
        registry.register(
            "rest_client_requests",
            "Requests to the API server by method, host and status of the answer",
            Family::clone(&requests.answers),
        );
        registry.register_with_unit(
            "rest_client_request_duration",
            "Time until the API server answered a request",
            Unit::Seconds,
            Family::clone(&requests.seconds),
        );
        registry.register(
            "observed_writes",
            "Write requests to the API server",
            Family::clone(&requests.writes),
        );
        requests
    }

    /// For a client of this API server.
    #[must_use]
    pub fn of(&self, server: &http::Uri) -> Self {
        let host = server.authority().map_or_else(String::new, ToString::to_string);
        Self { host, ..self.clone() }
    }

    /// One of each, so that the names of their labels are on the page.
    pub(super) fn example(&self) {
        self.count(&Method::GET, "200".to_owned(), Instant::now());
        drop(self.writes.get_or_create(&ByWrite {
            kind: String::new(),
            verb: "patch",
        }));
    }

    fn count(&self, method: &Method, code: String, since: Instant) {
        let (host, verb) = (self.host.clone(), method.to_string());
        self.seconds
            .get_or_create(&ByVerb { host, verb })
            .observe(since.elapsed().as_secs_f64());
        let (host, method) = (self.host.clone(), method.to_string());
        self.answers.get_or_create(&ByAnswer { code, host, method }).inc();
    }
}

impl<S> Layer<S> for Requests {
    type Service = Counted<S>;

    fn layer(&self, inner: S) -> Counted<S> {
        Counted {
            requests: self.clone(),
            inner,
        }
    }
}

/// A client whose requests are counted.
#[derive(Clone)]
pub struct Counted<S> {
    requests: Requests,
    inner: S,
}

impl<S, B, R> Service<Request<B>> for Counted<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<S::Response, S::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        if let Some(write) = write(request.method(), request.uri().path()) {
            self.requests.writes.get_or_create(&write).inc();
        }
        let (requests, method, since) = (self.requests.clone(), request.method().clone(), Instant::now());
        let answer = self.inner.call(request);
        async move {
            let answer = answer.await;
            let code = answer
                .as_ref()
                .map_or_else(|_| NO_ANSWER.to_owned(), |answer| answer.status().as_str().to_owned());
            requests.count(&method, code, since);
            answer
        }
        .boxed()
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
    // The Lease is renewed whatever is to be done, and a review is a question.
    let written = |plural: &&&str| !matches!(**plural, "leases" | "subjectaccessreviews" | "tokenreviews");
    let kind = kind_of(rest.first().filter(written)?);
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
    use futures::future::ready;
    use tower::ServiceExt;

    use super::*;

    /// The page after one request that had this answer.
    async fn counted(answer: Result<u16, &'static str>) -> String {
        let mut registry = Registry::default();
        let requests = Requests::register(&mut registry).of(&"https://10.0.0.1:6443/prefix".parse().unwrap());
        let inner = tower::service_fn(move |_: Request<()>| {
            ready(answer.map(|status| Response::builder().status(status).body(()).unwrap()))
        });
        let request = Request::patch("/apis/apps/v1/namespaces/prod/deployments/a")
            .body(())
            .unwrap();
        let _ = requests.layer(inner).oneshot(request).await;
        let mut page = String::new();
        prometheus_client::encoding::text::encode(&mut page, &registry).unwrap();
        page
    }

    #[tokio::test]
    async fn every_request_is_counted_by_its_answer_and_one_without_an_answer_too() {
        for (answer, code) in [(Ok(200), "200"), (Ok(503), "503"), (Err("cut off"), "<error>")] {
            let page = counted(answer).await;
            for line in [
                format!("rest_client_requests_total{{code=\"{code}\",host=\"10.0.0.1:6443\",method=\"PATCH\"}} 1\n"),
                "rest_client_request_duration_seconds_count{host=\"10.0.0.1:6443\",verb=\"PATCH\"} 1\n".to_owned(),
                "observed_writes_total{kind=\"Deployment\",verb=\"patch\"} 1\n".to_owned(),
            ] {
                assert!(page.contains(&line), "{line}: {page}");
            }
        }
    }

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
    fn a_read_a_review_and_the_renewal_of_the_lease_are_no_writes() {
        assert!(write(&Method::GET, "/api/v1/namespaces/prod/configmaps/a").is_none());
        assert!(write(&Method::POST, "/somewhere/else").is_none());
        assert!(write(&Method::POST, "/apis/authentication.k8s.io/v1/tokenreviews").is_none());
        assert!(write(&Method::POST, "/apis/authorization.k8s.io/v1/subjectaccessreviews").is_none());
        assert!(
            write(
                &Method::PUT,
                "/apis/coordination.k8s.io/v1/namespaces/home/leases/observed"
            )
            .is_none()
        );
    }
}
