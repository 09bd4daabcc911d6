//! A Kubernetes API for tests: it records what is asked and answers what the test says.

use std::sync::{Arc, Mutex};

use http::{Method, Request, Response};
use kube::Client;
use kube::client::Body;
use serde_json::{Value, json};

/// A request that was received.
#[derive(Clone, Debug)]
pub struct Asked {
    pub method: Method,
    /// Path without the query.
    pub path: String,
    pub query: String,
    pub content_type: String,
    pub body: Value,
}

impl Asked {
    /// Whether it would change something.
    pub fn writes(&self) -> bool {
        self.method != Method::GET
    }

    /// `PATCH .../configmaps/a`, for a comparison of the order.
    pub fn line(&self) -> String {
        let path = self.path.rsplit("/namespaces/prod/").next().unwrap_or(&self.path);
        format!("{} {path}", self.method)
    }
}

/// The requests so far, in their order.
#[derive(Clone, Default)]
pub struct Log(Arc<Mutex<Vec<Asked>>>);

impl Log {
    pub fn all(&self) -> Vec<Asked> {
        self.0.lock().unwrap().clone()
    }

    pub fn writes(&self) -> Vec<Asked> {
        self.all().into_iter().filter(Asked::writes).collect()
    }

    pub fn lines(&self) -> Vec<String> {
        self.all().iter().map(Asked::line).collect()
    }
}

/// What the start of the program does and clients of HTTP need, whichever test is the first.
pub fn provide_tls() {
    // It fails only if another test was faster.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// A client that is answered by `answer`: an HTTP status and a body.
pub fn client(answer: impl FnMut(&Asked) -> (u16, Value) + Send + 'static) -> (Client, Log) {
    provide_tls();
    let log = Log::default();
    let asked = log.clone();
    let answer = Arc::new(Mutex::new(answer));
    let service = tower::service_fn(move |request: Request<Body>| {
        let (asked, answer) = (asked.clone(), Arc::clone(&answer));
        async move {
            let (parts, body) = request.into_parts();
            let body = body.collect_bytes().await?;
            let request = Asked {
                method: parts.method,
                path: parts.uri.path().to_owned(),
                query: parts.uri.query().unwrap_or_default().to_owned(),
                content_type: parts
                    .headers
                    .get(http::header::CONTENT_TYPE)
                    .and_then(|value| value.to_str().ok())
                    .unwrap_or_default()
                    .to_owned(),
                body: serde_json::from_slice(&body).unwrap_or(Value::Null),
            };
            asked.0.lock().unwrap().push(request.clone());
            let (status, body) = (answer.lock().unwrap())(&request);
            Response::builder()
                .status(status)
                .body(Body::from(serde_json::to_vec(&body).unwrap()))
                .map_err(tower::BoxError::from)
        }
    });
    (Client::new(service, "prod"), log)
}

/// What the API server says when it refuses.
pub fn refusal(code: u16, reason: &str, message: &str) -> (u16, Value) {
    (
        code,
        json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason, "message": message}),
    )
}

/// An object of that name does not exist.
pub fn not_found() -> (u16, Value) {
    refusal(404, "NotFound", "not found")
}

/// A list of objects.
pub fn list(items: &[Value]) -> (u16, Value) {
    (
        200,
        json!({"kind": "List", "apiVersion": "v1", "metadata": {"resourceVersion": "1"}, "items": items}),
    )
}
