//! Operators that are wrong on purpose: the tests of faults must notice each of them. What is wrong is done to the requests
//! on their way out, so that all the rest is the operator as it is. Behind the feature `known-bad`, which no release has.

use std::sync::Arc;
use std::task::{Context, Poll};

use futures::FutureExt;
use futures::future::BoxFuture;
use http::{Method, Request, header};
use kube::client::Body;
use serde_json::{Value, json};
use strum::EnumString;
use tokio::sync::Mutex;
use tower::{BoxError, Layer, Service, ServiceExt};

/// Names one of them.
const VARIABLE: &str = "OBSERVED_KNOWN_BAD";

/// What it does wrong.
#[derive(Clone, Copy, Debug, EnumString, Eq, PartialEq)]
#[strum(serialize_all = "kebab-case")]
pub enum KnownBad {
    /// Gives each probe in a patch of its own.
    ProbesOneByOne,
    /// Writes to an object whatever became of it since it was looked at.
    NoResourceVersion,
    /// Applies with force, whosever it is.
    Force,
    /// Writes the time into the status.
    TimeInStatus,
    /// Deletes what has the name, whatever its UID.
    DeletesByName,
    /// Holds what it gave.
    NeverLetsGo,
}

impl KnownBad {
    /// The one that the environment names, if it names one.
    pub fn named() -> Option<Self> {
        std::env::var(VARIABLE).ok()?.parse().ok()
    }

    /// What it sends in the place of a write.
    fn instead(self, write: &Write) -> Vec<Write> {
        let mut changed = write.clone();
        match self {
            Self::ProbesOneByOne if write.kind == "application/strategic-merge-patch+json" => return one_by_one(write),
            Self::NeverLetsGo if write.kind == "application/json-patch+json" => changed.asks("dryRun=All"),
            Self::NoResourceVersion => without(&mut changed.body["metadata"], &["resourceVersion"]),
            Self::DeletesByName => without(&mut changed.body, &["preconditions"]),
            Self::Force if write.kind == "application/apply-patch+yaml" => {
                without(&mut changed.body["metadata"], &["uid", "resourceVersion"]);
                changed.asks("force=true");
            }
            Self::TimeInStatus if write.uri.path().ends_with("/status") => {
                let now = json!(jiff::Timestamp::now());
                let conditions = changed.body["status"]["conditions"].as_array_mut();
                for condition in conditions.into_iter().flatten() {
                    condition["message"] = now.clone();
                }
            }
            _ => {}
        }
        vec![changed]
    }
}

/// A write on its way.
#[derive(Clone, Debug)]
struct Write {
    uri: http::Uri,
    kind: String,
    body: Value,
}

impl Write {
    /// Asks for something by its query, unless it does.
    fn asks(&mut self, what: &str) {
        let uri = self.uri.to_string();
        if uri.contains(what) {
            return;
        }
        let mark = if uri.contains('?') { '&' } else { '?' };
        if let Ok(uri) = format!("{uri}{mark}{what}").parse() {
            self.uri = uri;
        }
    }
}

fn without(value: &mut Value, fields: &[&str]) {
    if let Some(object) = value.as_object_mut() {
        object.retain(|field, _| !fields.contains(&field.as_str()));
    }
}

fn one_by_one(write: &Write) -> Vec<Write> {
    let container = &write.body["spec"]["template"]["spec"]["containers"][0];
    let probes = container.as_object().into_iter().flatten();
    let probes = probes.filter(|(field, _)| *field != "name");
    let one = |(field, probe): (&String, &Value)| {
        let mut one = write.clone();
        without(&mut one.body["metadata"], &["resourceVersion"]);
        one.body["spec"]["template"]["spec"]["containers"][0] = json!({"name": container["name"], field: probe});
        one
    };
    probes.map(one).collect()
}

impl<S> Layer<S> for KnownBad {
    type Service = Bad<S>;

    fn layer(&self, inner: S) -> Bad<S> {
        let inner = Arc::new(Mutex::new(inner));
        Bad { bad: *self, inner }
    }
}

/// A client whose writes are wrong.
pub struct Bad<S> {
    bad: KnownBad,
    inner: Arc<Mutex<S>>,
}

impl<S> Service<Request<Body>> for Bad<S>
where
    S: Service<Request<Body>, Error = BoxError> + Send + 'static,
    S::Future: Send,
    S::Response: Send,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<S::Response, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let (bad, inner) = (self.bad, Arc::clone(&self.inner));
        async move {
            let send = async |request| {
                let answer = inner.lock().await.ready().await?.call(request);
                answer.await
            };
            if *request.method() == Method::GET {
                return send(request).await;
            }
            let (parts, body) = request.into_parts();
            let kind = parts.headers.get(header::CONTENT_TYPE);
            let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
            let write = Write {
                uri: parts.uri.clone(),
                kind: kind.to_owned(),
                body: serde_json::from_slice(&body.collect_bytes().await?).unwrap_or_default(),
            };
            let mut instead = bad.instead(&write);
            let last = instead.pop().unwrap_or(write);
            let as_request = |write: Write| {
                let body = match write.body {
                    Value::Null => Body::empty(),
                    body => Body::from(body.to_string().into_bytes()),
                };
                let mut request = Request::from_parts(parts.clone(), body);
                *request.uri_mut() = write.uri;
                request
            };
            for write in instead {
                send(as_request(write)).await?;
            }
            send(as_request(last)).await
        }
        .boxed()
    }
}
