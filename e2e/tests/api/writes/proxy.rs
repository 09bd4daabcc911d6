//! Stands between the operator and the API server, numbers the writes, and does to one of them, or to the watches of one
//! kind, what the case says.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::Response;
use futures::stream;
use kube::Client;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::Notify;

use super::oracle::CHILDREN;
use super::plan::Fault;
use super::watches::Watches;

/// A write, told by what it is and by how many like it came before.
#[derive(Clone, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub struct Write {
    pub what: String,
    pub nth: usize,
}

impl Write {
    /// What is done: `PATCH a child`, as one piece of code writes children of every kind, or `give to deployments`.
    pub fn kind(&self) -> String {
        let kind = self.what.split('/').next().unwrap_or_default();
        match kind.split_once(' ') {
            Some((verb, of)) if CHILDREN.iter().any(|(.., plural)| *plural == of) => format!("{verb} a child"),
            _ => kind.to_owned(),
        }
    }
}

/// Something that happens right before a write reaches the API server.
type Before = Box<dyn Fn() -> futures::future::BoxFuture<'static, ()> + Send + Sync>;

#[derive(Default)]
struct Inner {
    seen: BTreeMap<String, usize>,
    writes: Vec<Write>,
    planned: Option<(Write, Fault)>,
    rival: Option<(String, Before)>,
    met: bool,
}

#[derive(Clone)]
pub struct Proxy {
    client: Client,
    inner: Arc<Mutex<Inner>>,
    /// What becomes of the watches.
    pub watches: Watches,
    /// Told when the operator is to die.
    pub killed: Arc<Notify>,
    kubeconfig: PathBuf,
}

impl Proxy {
    /// A proxy to the API server of a client. The operator that uses its kubeconfig has that client's rights.
    pub async fn start(client: Client, directory: &Path, namespace: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let kubeconfig = directory.join(format!("{namespace}-proxy.kubeconfig"));
        std::fs::write(&kubeconfig, by_way_of(address, namespace)).unwrap();
        let proxy = Self {
            client,
            inner: Arc::default(),
            watches: Watches::default(),
            killed: Arc::default(),
            kubeconfig,
        };
        let router = Router::new().fallback(pass).with_state(proxy.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        proxy
    }

    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    pub fn plan(&self, write: Write, fault: Fault) {
        self.inner.lock().unwrap().planned = Some((write, fault));
    }

    /// Lets something happen once, right before the first write of this kind.
    pub fn rival(&self, what: &str, before: Before) {
        self.inner.lock().unwrap().rival = Some((what.to_owned(), before));
    }

    /// The writes so far, Events and the Lease apart: how many of those there are depends on how fast the others are.
    pub fn writes(&self) -> Vec<Write> {
        self.inner.lock().unwrap().writes.clone()
    }

    /// Whether what was planned has happened.
    pub fn met(&self) -> bool {
        self.inner.lock().unwrap().met
    }
}

/// The kubeconfig of an operator of a namespace that sends everything to an address.
pub fn by_way_of(address: SocketAddr, namespace: &str) -> String {
    json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "proxy",
        "clusters": [{"name": "proxy", "cluster": {"server": format!("http://{address}")}}],
        "users": [{"name": "proxy", "user": {}}],
        "contexts": [{"name": "proxy", "context": {"cluster": "proxy", "user": "proxy", "namespace": namespace}}],
    })
    .to_string()
}

/// `PATCH deployments/shop`, with what tells the patches of one object apart.
fn what(method: &Method, path: &str, kind: &str) -> String {
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    let at = parts
        .iter()
        .position(|part| *part == "namespaces")
        .map_or(0, |at| at + 2);
    let of = parts.get(at..).unwrap_or_default().join("/");
    match kind {
        "application/strategic-merge-patch+json" => format!("give to {of}"),
        "application/json-patch+json" => format!("let go of {of}"),
        _ => format!("{method} {of}"),
    }
}

async fn pass(State(proxy): State<Proxy>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap_or_default();
    let kind = parts
        .headers
        .get(header::CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok())
        .unwrap_or_default();
    // What becomes of the Lease is seen to in `replicas`.
    let beside = ["/events", "/leases"]
        .iter()
        .any(|part| parts.uri.path().contains(part));
    let is_write = parts.method != Method::GET && !beside;
    let what = what(&parts.method, parts.uri.path(), kind);
    let (mut fault, mut rival) = (None, None);
    if is_write {
        let mut inner = proxy.inner.lock().unwrap();
        let nth = inner.seen.entry(what.clone()).or_default();
        *nth += 1;
        let write = Write {
            what: what.clone(),
            nth: *nth,
        };
        fault = inner
            .planned
            .take_if(|(planned, _)| *planned == write)
            .map(|(_, fault)| fault);
        rival = inner.rival.take_if(|(of, _)| *of == what).map(|(_, before)| before);
        inner.met |= fault.is_some() || rival.is_some();
        inner.writes.push(write);
    }
    if let Some(before) = rival {
        before().await;
    }
    if proxy.watches.refuses(&parts) {
        return refusal(500, "InternalError");
    }
    match fault {
        Some(Fault::KilledBefore) => {
            proxy.killed.notify_one();
            std::future::pending().await
        }
        Some(Fault::LostBefore) => broken_off(),
        Some(Fault::Conflict) => refusal(409, "Conflict"),
        Some(Fault::TooManyRequests) => refusal(429, "TooManyRequests"),
        Some(Fault::InternalError) => refusal(500, "InternalError"),
        Some(Fault::Forbidden) => refusal(403, "Forbidden"),
        Some(Fault::KilledAfter) => {
            forward(&proxy.client, &parts, parts.uri.to_string(), body).await;
            proxy.killed.notify_one();
            std::future::pending().await
        }
        Some(Fault::LostAfter) => {
            forward(&proxy.client, &parts, parts.uri.to_string(), body).await;
            broken_off()
        }
        None => {
            let response = forward(&proxy.client, &parts, parts.uri.to_string(), body).await;
            let inner = Arc::clone(&proxy.inner);
            let met = move || inner.lock().unwrap().met = true;
            proxy.watches.pass(&parts, response, met)
        }
    }
}

/// Passes a request on as it is.
pub async fn forward(client: &Client, parts: &http::request::Parts, uri: String, body: Bytes) -> Response {
    let mut request = http::Request::builder().method(parts.method.clone()).uri(uri);
    for name in [header::CONTENT_TYPE, header::ACCEPT, header::USER_AGENT] {
        if let Some(value) = parts.headers.get(&name) {
            request = request.header(name, value);
        }
    }
    let request = request.body(kube::client::Body::from(body.to_vec())).unwrap();
    match client.send(request).await {
        Ok(response) => {
            let (parts, body) = response.into_parts();
            let mut passed = Response::new(Body::new(body));
            *passed.status_mut() = parts.status;
            if let Some(kind) = parts.headers.get(header::CONTENT_TYPE) {
                passed.headers_mut().insert(header::CONTENT_TYPE, kind.clone());
            }
            passed
        }
        Err(error) => answer(502, &json!({"message": error.to_string()})),
    }
}

fn answer(code: u16, body: &Value) -> Response {
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = StatusCode::from_u16(code).unwrap();
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}

fn refusal(code: u16, reason: &str) -> Response {
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason, "message": "a fault of the test",
    });
    let mut response = answer(code, &status);
    if code == 429 {
        response
            .headers_mut()
            .insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}

/// An answer of which nothing but the beginning arrives.
fn broken_off() -> Response {
    let error = std::io::Error::other("a fault of the test");
    let body = Body::from_stream(stream::iter([Ok(Bytes::from_static(b"{")), Err(error)]));
    let mut response = Response::new(body);
    response
        .headers_mut()
        .insert(header::CONTENT_LENGTH, HeaderValue::from_static("2"));
    response
}
