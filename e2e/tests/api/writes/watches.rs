//! The watches on their way through the proxy, and what happens to those of one kind.

use axum::body::{Body, Bytes};
use axum::http::{Method, header};
use axum::response::Response;
use futures::{StreamExt, stream};
use http::request::Parts;
use serde_json::json;
use tokio::sync::watch::{Receiver, Sender};

use super::plan::WatchFault;

/// The watches that something happens to.
#[derive(Clone, Debug, PartialEq)]
pub struct Ill {
    /// Of this kind, by its plural.
    pub watch: String,
    pub fault: WatchFault,
}

/// What happens to watches now.
#[derive(Clone)]
pub struct Watches(Sender<Option<Ill>>);

impl Default for Watches {
    fn default() -> Self {
        Self(Sender::new(None))
    }
}

/// The kind that a request watches, or lists in order to watch it.
fn watched(parts: &Parts) -> Option<&str> {
    let kind = parts.uri.path().rsplit('/').next()?;
    let query = parts.uri.query().unwrap_or_default();
    let accepts = parts.headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
    let lists = kind == "observedservices" || accepts.unwrap_or_default().contains("PartialObjectMetadataList");
    (parts.method == Method::GET && (query.contains("watch=true") || lists)).then_some(kind)
}

impl Watches {
    pub fn fall_ill(&self, ill: Ill) {
        self.0.send_replace(Some(ill));
    }

    pub fn get_well(&self) {
        self.0.send_replace(None);
    }

    fn of(ill: &Option<Ill>, kind: &str) -> Option<WatchFault> {
        let ill = ill.as_ref().filter(|ill| ill.watch == kind);
        ill.map(|ill| ill.fault)
    }

    /// Whether a request is refused.
    pub fn refuses(&self, parts: &Parts) -> bool {
        watched(parts).is_some_and(|kind| Self::of(&self.0.borrow(), kind) == Some(WatchFault::Refused))
    }

    /// The answer to a request. That of a watch ends as the fault wants it; whether one did is told to `met`.
    pub fn pass(&self, parts: &Parts, response: Response, met: impl Fn() + Send + Sync + 'static) -> Response {
        let is_watch = parts.uri.query().unwrap_or_default().contains("watch=true");
        let Some(kind) = watched(parts).filter(|_| is_watch) else {
            return response;
        };
        let (head, body) = response.into_parts();
        let events = Events {
            kind: kind.to_owned(),
            body: Some(body.into_data_stream()),
            ill: self.0.subscribe(),
            met: Box::new(met),
        };
        let events = stream::unfold(events, async |mut events| Some((events.next().await?, events)));
        // Events are asked for one after another, and the future of each is kept in its place.
        Response::from_parts(head, Body::from_stream(events.boxed()))
    }
}

/// What a watch sends.
struct Events {
    kind: String,
    /// None: it has ended.
    body: Option<axum::body::BodyDataStream>,
    ill: Receiver<Option<Ill>>,
    met: Box<dyn Fn() + Send + Sync>,
}

impl Events {
    async fn next(&mut self) -> Option<Result<Bytes, axum::Error>> {
        let broken = || Some(Err(axum::Error::new("a fault of the test")));
        loop {
            let body = self.body.as_mut()?;
            let fault = Watches::of(&self.ill.borrow_and_update(), &self.kind);
            let Some(fault) = fault else {
                tokio::select! {
                    event = body.next() => return event,
                    changed = self.ill.changed() => changed.ok()?,
                }
                continue;
            };
            (self.met)();
            // A watch that was begun anew is well.
            self.body = None;
            return match fault {
                WatchFault::Refused => broken(),
                WatchFault::Gone => {
                    let status = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 410,
                        "reason": "Expired", "message": "too old resource version"});
                    Some(Ok(format!("{}\n", json!({"type": "ERROR", "object": status})).into()))
                }
                WatchFault::Silent => {
                    self.ill.changed().await.ok()?;
                    broken()
                }
            };
        }
    }
}
