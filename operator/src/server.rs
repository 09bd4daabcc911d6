//! `/livez`, `/readyz` and `/metrics`. Nothing here depends on the API server being reachable.

use std::collections::BTreeMap;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::extract::{RawQuery, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;

use crate::metrics::Metrics;

/// The server could not be run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address cannot be listened on.
    #[error("could not listen on {address}; --listen gives another address")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The server broke off.
    #[error("the server of /livez, /readyz and /metrics broke off")]
    Serve(#[source] std::io::Error),
}

/// Something without which the operator cannot do its work.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Check {
    /// The ObservedServices can be listed.
    Services,
    /// The CRDs in the cluster are as new as the program.
    Crds,
    /// It is known who holds the Lease.
    Lease,
    /// It was not told to end.
    Shutdown,
}

impl Check {
    const ALL: [Self; 4] = [Self::Services, Self::Crds, Self::Lease, Self::Shutdown];

    fn as_str(self) -> &'static str {
        match self {
            Self::Services => "services",
            Self::Crds => "crds",
            Self::Lease => "lease",
            Self::Shutdown => "shutdown",
        }
    }
}

/// Whether the operator can do its work, or could if it were its turn.
#[derive(Clone, Debug)]
pub struct Readiness(Arc<Mutex<BTreeMap<Check, String>>>);

impl Default for Readiness {
    fn default() -> Self {
        let waits = Check::ALL.into_iter().filter(|check| *check != Check::Shutdown);
        let waits = waits.map(|check| (check, "not looked at yet".to_owned()));
        Self(Arc::new(Mutex::new(waits.collect())))
    }
}

impl Readiness {
    /// From now on this is as it should be.
    pub fn passes(&self, check: Check) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&check);
    }

    /// This is not as it should be.
    pub fn fails(&self, check: Check, why: &str) {
        let mut failing = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        failing.insert(check, why.to_owned());
    }

    fn failing(&self) -> BTreeMap<Check, String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[derive(Clone)]
struct Shared {
    metrics: Metrics,
    readiness: Readiness,
}

/// Serves until `shutdown` is done.
///
/// # Errors
/// The address cannot be listened on, or the server broke off.
pub async fn serve(
    address: SocketAddr,
    metrics: Metrics,
    readiness: Readiness,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), Error> {
    let listener = TcpListener::bind(address)
        .await
        .map_err(|source| Error::Listen { address, source })?;
    axum::serve(listener, router(metrics, readiness))
        .with_graceful_shutdown(shutdown)
        .await
        .map_err(Error::Serve)
}

fn router(metrics: Metrics, readiness: Readiness) -> Router {
    Router::new()
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .route(
            "/metrics",
            get(async |State(shared): State<Shared>| {
                ([(header::CONTENT_TYPE, Metrics::CONTENT_TYPE)], shared.metrics.encode())
            }),
        )
        .with_state(Shared { metrics, readiness })
}

/// A lost Lease ends the process by itself: what is left to say here is that something answers.
async fn livez(RawQuery(query): RawQuery) -> Response {
    report("livez", &[], &BTreeMap::new(), query.as_deref())
}

async fn readyz(State(shared): State<Shared>, RawQuery(query): RawQuery) -> Response {
    report("readyz", &Check::ALL, &shared.readiness.failing(), query.as_deref())
}

/// The answer as the programs of Kubernetes give it: `ok`, or a line for each check when it is asked for or when one fails.
fn report(path: &str, checks: &[Check], failing: &BTreeMap<Check, String>, query: Option<&str>) -> Response {
    let query = query.unwrap_or_default();
    let verbose = form_urlencoded::parse(query.as_bytes()).any(|(key, _)| key == "verbose");
    if failing.is_empty() && !verbose {
        return "ok".into_response();
    }
    let lines = checks.iter().map(|check| match failing.get(check) {
        None => format!("[+]{} ok\n", check.as_str()),
        Some(why) => format!("[-]{} failed: {why}\n", check.as_str()),
    });
    let lines: String = std::iter::once("[+]ping ok\n".to_owned()).chain(lines).collect();
    if failing.is_empty() {
        return format!("{lines}{path} check passed\n").into_response();
    }
    (StatusCode::SERVICE_UNAVAILABLE, format!("{lines}{path} check failed\n")).into_response()
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use http::Request;
    use http_body_util::BodyExt;
    use tower::ServiceExt;

    use super::*;

    async fn ask(readiness: &Readiness, path: &str) -> (StatusCode, String) {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let response = router(Metrics::new(), readiness.clone())
            .oneshot(request)
            .await
            .unwrap();
        let status = response.status();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    fn ready() -> Readiness {
        let readiness = Readiness::default();
        Check::ALL.into_iter().for_each(|check| readiness.passes(check));
        readiness
    }

    #[tokio::test]
    async fn the_operator_lives_before_it_is_ready_and_is_ready_once_every_check_passes() {
        let readiness = Readiness::default();
        assert_eq!(ask(&readiness, "/livez").await, (StatusCode::OK, "ok".to_owned()));
        for check in [Check::Services, Check::Crds, Check::Lease] {
            let (status, words) = ask(&readiness, "/readyz").await;
            assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
            let line = format!("[-]{} failed: not looked at yet\n", check.as_str());
            assert!(words.contains(&line), "{words}");
            readiness.passes(check);
        }
        assert_eq!(ask(&readiness, "/readyz").await, (StatusCode::OK, "ok".to_owned()));
    }

    #[tokio::test]
    async fn each_check_is_told_when_it_is_asked_for_in_the_form_of_kubernetes() {
        let every = "[+]ping ok\n[+]services ok\n[+]crds ok\n[+]lease ok\n[+]shutdown ok\nreadyz check passed\n";
        assert_eq!(
            ask(&ready(), "/readyz?verbose").await,
            (StatusCode::OK, every.to_owned())
        );
        let lives = "[+]ping ok\nlivez check passed\n";
        assert_eq!(
            ask(&ready(), "/livez?verbose=1").await,
            (StatusCode::OK, lives.to_owned())
        );
        assert_eq!(ask(&ready(), "/readyz?other").await.1, "ok");
    }

    #[tokio::test]
    async fn a_check_that_fails_is_told_with_the_reason_whether_it_is_asked_for_or_not() {
        let readiness = ready();
        readiness.fails(Check::Lease, "no right");
        let words =
            "[+]ping ok\n[+]services ok\n[+]crds ok\n[-]lease failed: no right\n[+]shutdown ok\nreadyz check failed\n";
        for path in ["/readyz", "/readyz?verbose"] {
            let answer = ask(&readiness, path).await;
            assert_eq!(answer, (StatusCode::SERVICE_UNAVAILABLE, words.to_owned()), "{path}");
        }
    }

    #[tokio::test]
    async fn the_metrics_are_served_as_open_metrics() {
        let (status, body) = ask(&Readiness::default(), "/metrics").await;
        assert_eq!(status, StatusCode::OK);
        assert!(
            body.contains("# TYPE controller_runtime_active_workers gauge"),
            "{body}"
        );
        assert!(body.ends_with("# EOF\n"), "{body}");
    }
}
