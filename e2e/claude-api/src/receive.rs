//! A receiver of Alertmanager's webhooks that remembers what came and when.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use clap::Args;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::findings::{Findings, kind, object};
use crate::serve::{Error, asked_to_end, listen};

const MAX_KEPT: usize = 1000;

/// How to receive.
#[derive(Args, Clone, Debug)]
pub struct Options {
    /// Where Alertmanager posts to.
    #[arg(long, env = "CLAUDE_API_LISTEN", default_value = "0.0.0.0:9000")]
    listen: SocketAddr,
}

/// A notification that was received.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Received {
    received_at: Timestamp,
    payload: Map<String, Value>,
}

#[derive(Debug, Default)]
struct Inbox(Mutex<VecDeque<Received>>);

impl Inbox {
    fn lock(&self) -> MutexGuard<'_, VecDeque<Received>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Receives until the process is asked to end.
pub async fn run(options: Options) -> Result<(), Error> {
    let end = asked_to_end()?;
    let (listener, address) = listen(options.listen).await?;
    tracing::info!(listen = %address, "receiving");
    axum::serve(listener, router())
        .with_graceful_shutdown(end)
        .await
        .map_err(Error::Serve)
}

fn router() -> Router {
    Router::new()
        .route("/", post(take))
        .route("/alerts", get(list))
        .route("/health", get(StatusCode::OK))
        .with_state(Arc::new(Inbox::default()))
}

async fn take(State(inbox): State<Arc<Inbox>>, body: Bytes) -> Result<StatusCode, Findings> {
    let payload = object(&body)?;
    let mut findings = Findings::default();
    let alerts = findings.required(&payload, "", "alerts", |value| match value {
        Value::Array(alerts) => Ok(alerts.clone()),
        other => Err(format!("must be a list, is {}", kind(other))),
    });
    for alert in findings.or(alerts)?.unwrap_or_default() {
        tracing::info!(
            alertname = alert["labels"]["alertname"].as_str(),
            status = alert["status"].as_str(),
            labels = %alert["labels"],
            starts_at = alert["startsAt"].as_str(),
            "alert"
        );
    }
    let mut kept = inbox.lock();
    if kept.len() == MAX_KEPT {
        kept.pop_front();
    }
    kept.push_back(Received {
        received_at: Timestamp::now(),
        payload,
    });
    Ok(StatusCode::OK)
}

async fn list(State(inbox): State<Arc<Inbox>>) -> Json<Vec<Received>> {
    Json(inbox.lock().iter().cloned().collect())
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::http::Request;
    use http_body_util::BodyExt;
    use serde_json::json;
    use tower::ServiceExt;

    use super::*;

    async fn send(router: &Router, method: &str, path: &str, body: String) -> (u16, Value) {
        let request = Request::builder().method(method).uri(path).body(Body::from(body));
        let response = router.clone().oneshot(request.unwrap()).await.unwrap();
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, serde_json::from_slice(&body).unwrap_or_default())
    }

    #[tokio::test]
    async fn what_was_received_is_told_in_order_with_its_time() {
        let router = router();
        let before = Timestamp::now();
        for status in ["firing", "resolved"] {
            let payload = json!({"status": status, "alerts": [{"status": status, "labels": {"alertname": "Down"}}]});
            assert_eq!(send(&router, "POST", "/", payload.to_string()).await.0, 200);
        }
        let (_, list) = send(&router, "GET", "/alerts", String::new()).await;
        assert_eq!(list[0]["payload"]["alerts"][0]["status"], "firing");
        assert_eq!(list[1]["payload"]["alerts"][0]["labels"]["alertname"], "Down");
        let received: Timestamp = list[0]["receivedAt"].as_str().unwrap().parse().unwrap();
        assert!(received >= before && received <= Timestamp::now());
    }

    #[tokio::test]
    async fn what_is_no_notification_is_refused_and_not_kept() {
        let router = router();
        for body in ["", "{}", r#"{"alerts": 1}"#] {
            assert_eq!(send(&router, "POST", "/", body.to_owned()).await.0, 400, "{body}");
        }
        assert_eq!(send(&router, "GET", "/alerts", String::new()).await, (200, json!([])));
    }
}
