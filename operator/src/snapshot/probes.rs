//! Asks pods through the API server what the kubelet asks them for their readiness, each once.

use std::time::Duration;

use futures::{StreamExt, stream};
use http::Request;
use http_body_util::BodyExt as _;
use kube::Client;
use kube::client::Body;
use observed_core::doctor::{ProbeAnswer, ProbeQuestion, Unheard};
use observed_core::facts::AnswerOutcome;
use serde_json::Value;

use crate::api_error::shorten;
use crate::preflight::content::{self, MOST_BYTES};

/// Pods that are asked at once.
const MOST_REQUESTS: usize = 8;
/// How long one of them has: a kubelet waits a second unless it is told otherwise.
const TIMEOUT: Duration = Duration::from_secs(5);
/// How long all of them have together, so that a large cluster is not waited for.
const ALL_WITHIN: Duration = Duration::from_secs(30);

/// What each of them answers, in the order of the questions.
pub(super) async fn ask(client: &Client, questions: Vec<ProbeQuestion>) -> Vec<ProbeAnswer> {
    let end = tokio::time::Instant::now() + ALL_WITHIN;
    let asked = questions.into_iter().map(|question| async move {
        let within = end.min(tokio::time::Instant::now() + TIMEOUT);
        let outcome = tokio::time::timeout_at(within, one(client, &question)).await;
        let nothing = |_| Err(Unheard::Failed("it did not answer in time".to_owned()));
        ProbeAnswer {
            outcome: outcome.unwrap_or_else(nothing),
            question,
        }
    });
    stream::iter(asked).buffered(MOST_REQUESTS).collect().await
}

async fn one(client: &Client, question: &ProbeQuestion) -> Result<AnswerOutcome, Unheard> {
    let failed = |words: String| Unheard::Failed(shorten(&words, 300));
    let ProbeQuestion { workload, pod, .. } = question;
    let scheme = if question.https { "https" } else { "http" };
    let path = format!(
        "/api/v1/namespaces/{}/pods/{scheme}:{pod}:{}/proxy{}",
        workload.namespace, question.port, question.path
    );
    let request = Request::get(path).body(Body::empty());
    let request = request.map_err(|error| failed(error.to_string()))?;
    let answered = client.send(request).await.map_err(|error| failed(error.to_string()))?;
    let status = answered.status().as_u16();
    let mut body = answered.into_body();
    let mut begin = Vec::new();
    while begin.len() < MOST_BYTES {
        match body.frame().await {
            Some(Ok(frame)) => {
                let data = frame.into_data().unwrap_or_default();
                begin.extend_from_slice(&data[..data.len().min(MOST_BYTES - begin.len())]);
            }
            Some(Err(_)) | None => break,
        }
    }
    match refusal(status, &begin) {
        Some(refusal) => Err(refusal),
        None => Ok(content::outcome(status, &begin)),
    }
}

/// What the API server says itself: the pod was not asked, or could not be.
fn refusal(status: u16, body: &[u8]) -> Option<Unheard> {
    if status < 400 {
        return None;
    }
    let value: Value = serde_json::from_slice(body).ok()?;
    if value["kind"] != "Status" || value["apiVersion"] != "v1" {
        return None;
    }
    Some(match status {
        403 => Unheard::Forbidden,
        _ => Unheard::Failed(shorten(value["message"].as_str().unwrap_or_default(), 300)),
    })
}
