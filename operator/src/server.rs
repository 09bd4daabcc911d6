//! `/livez`, `/readyz` and `/metrics`. Nothing here depends on the API server being reachable.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
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

/// Whether the operator can do its work, or could if it were its turn.
#[derive(Clone, Debug)]
pub struct Readiness(Arc<Mutex<Option<String>>>);

impl Default for Readiness {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Some("the first look at the cluster".into()))))
    }
}

impl Readiness {
    /// From now on it is ready.
    pub fn ready(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// It is not ready, because of what it waits for.
    pub fn waits_for(&self, what: &str) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(what.to_owned());
    }

    fn waiting(&self) -> Option<String> {
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
        .route("/livez", get(async || "ok\n"))
        .route("/readyz", get(readyz))
        .route(
            "/metrics",
            get(async |State(shared): State<Shared>| {
                ([(header::CONTENT_TYPE, Metrics::CONTENT_TYPE)], shared.metrics.encode())
            }),
        )
        .with_state(Shared { metrics, readiness })
}

async fn readyz(State(shared): State<Shared>) -> impl IntoResponse {
    match shared.readiness.waiting() {
        None => (StatusCode::OK, "ok\n".to_owned()),
        Some(what) => (StatusCode::SERVICE_UNAVAILABLE, format!("waits for: {what}\n")),
    }
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

    #[tokio::test]
    async fn the_operator_lives_before_it_is_ready() {
        let readiness = Readiness::default();
        assert_eq!(ask(&readiness, "/livez").await.0, StatusCode::OK);
        assert_eq!(ask(&readiness, "/readyz").await.0, StatusCode::SERVICE_UNAVAILABLE);
        readiness.ready();
        assert_eq!(ask(&readiness, "/readyz").await.0, StatusCode::OK);
        readiness.waits_for("a right");
        let (status, words) = ask(&readiness, "/readyz").await;
        assert_eq!(
            (status, words.as_str()),
            (StatusCode::SERVICE_UNAVAILABLE, "waits for: a right\n")
        );
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
