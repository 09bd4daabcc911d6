//! `/livez`, `/readyz` and `/metrics`. Only who may read the metrics, where that is asked for, depends on the API server.

mod certificate;
mod guard;

use std::collections::BTreeMap;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::{RawQuery, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Router, middleware};
use axum_server::Handle;
use observed_core::rbac::METRICS_PATH;
use tokio::net::TcpListener;

use crate::metrics::Metrics;
use crate::settings::access::Identity;
use certificate::Certificate;
pub use guard::Guard;

/// How long a scrape that is under way may go on after the signal to end.
const FINISH: Duration = Duration::from_secs(5);
/// How long a connection to the secured metrics may wait for a request: longer than Prometheus between two scrapes, and not
/// for ever, as who has shown no token may open one.
const NEXT_REQUEST: Duration = Duration::from_secs(75);

/// The server could not be run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address cannot be listened on.
    #[error("could not listen on {address}; {flag} gives another address")]
    Listen {
        /// What sets it.
        flag: &'static str,
        /// The address.
        address: SocketAddr,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The certificate of `/metrics`.
    #[error(transparent)]
    Certificate(#[from] certificate::Error),
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

/// `/metrics` for whoever shows a token that has the right to it: by TLS alone, as a token must not travel in the clear.
pub struct Secured {
    /// Where.
    pub address: SocketAddr,
    /// Its certificate. None: one is made at the start.
    pub files: Option<Identity>,
    /// Who is let in.
    pub guard: Guard,
}

/// Serves until `shutdown` is done. With `secured`, what is served at `address` is only what the kubelet asks for.
///
/// # Errors
/// An address cannot be listened on, the certificate cannot be used, or a server broke off.
pub async fn serve(
    address: SocketAddr,
    secured: Option<Secured>,
    metrics: Metrics,
    readiness: Readiness,
    shutdown: impl Future<Output = ()> + Clone + Send + 'static,
) -> Result<(), Error> {
    let flag = "--listen";
    let listener = TcpListener::bind(address)
        .await
        .map_err(|source| Error::Listen { flag, address, source })?;
    let Some(secured) = secured else {
        let router = health(readiness).merge(page(metrics));
        return plain(listener, router, shutdown).await;
    };
    let router = health(readiness).route(METRICS_PATH, get(elsewhere));
    let (plain, by_tls) = (
        plain(listener, router, shutdown.clone()),
        secured.serve(metrics, shutdown),
    );
    futures::try_join!(plain, by_tls).map(|_| ())
}

async fn plain(
    listener: TcpListener,
    router: Router,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), Error> {
    axum::serve(listener, router)
        .with_graceful_shutdown(shutdown)
        .await
        .map_err(Error::Serve)
}

impl Secured {
    async fn serve(self, metrics: Metrics, shutdown: impl Future<Output = ()>) -> Result<(), Error> {
        let (flag, address) = ("--metrics-listen", self.address);
        let certificate = Certificate::load(self.files).await?;
        let listener = std::net::TcpListener::bind(address);
        let server = listener.and_then(|listener| axum_server::from_tcp_rustls(listener, certificate.served.clone()));
        let mut server = server.map_err(|source| Error::Listen { flag, address, source })?;
        server.http_builder().http1().header_read_timeout(NEXT_REQUEST);
        let handle = Handle::new();
        let served = server
            .handle(handle.clone())
            .serve(guarded(metrics, self.guard).into_make_service());
        let ends = async {
            shutdown.await;
            handle.graceful_shutdown(Some(FINISH));
            std::future::pending::<()>().await;
        };
        tokio::select! {
            done = served => done.map_err(Error::Serve),
            () = certificate.keep() => Ok(()),
            () = ends => Ok(()),
        }
    }
}

fn health(readiness: Readiness) -> Router {
    Router::new()
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .with_state(readiness)
}

fn page(metrics: Metrics) -> Router {
    let page =
        async |State(metrics): State<Metrics>| ([(header::CONTENT_TYPE, Metrics::CONTENT_TYPE)], metrics.encode());
    Router::new().route(METRICS_PATH, get(page)).with_state(metrics)
}

fn guarded(metrics: Metrics, guard: Guard) -> Router {
    page(metrics).layer(middleware::from_fn_with_state(guard, guard::guard))
}

/// Whoever scrapes as before learns where the metrics are now.
async fn elsewhere() -> Response {
    let words =
        "/metrics is served by HTTPS at the address of --metrics-listen, to whoever shows a token that may read it\n";
    (StatusCode::NOT_FOUND, words).into_response()
}

/// A lost Lease ends the process by itself: what is left to say here is that something answers.
async fn livez(RawQuery(query): RawQuery) -> Response {
    report("livez", &[], &BTreeMap::new(), query.as_deref())
}

async fn readyz(State(readiness): State<Readiness>, RawQuery(query): RawQuery) -> Response {
    report("readyz", &Check::ALL, &readiness.failing(), query.as_deref())
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
        let response = health(readiness.clone())
            .merge(page(Metrics::new()))
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
