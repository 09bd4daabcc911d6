//! The admin port: where faults are switched on and off. It answers whatever the main port is at.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::Value;

use crate::api::App;
use crate::faults::Faults;
use crate::findings::Findings;

const CRASH_DELAY: Duration = Duration::from_millis(100);
const GROWTH_STEP: Duration = Duration::from_millis(100);

/// `/faults`.
pub fn router(app: Arc<App>) -> Router {
    Router::new()
        .route("/faults", get(show).put(switch).delete(clear))
        .with_state(app)
}

async fn show(State(app): State<Arc<App>>) -> Json<Value> {
    Json(app.faults.get().to_json())
}

async fn switch(State(app): State<Arc<App>>, body: Bytes) -> Result<Json<Value>, Findings> {
    let faults = Faults::parse(&body)?;
    tracing::warn!(faults = %faults.to_json(), "faults switched");
    app.faults.set(faults.clone());
    Ok(Json(faults.to_json()))
}

async fn clear(State(app): State<Arc<App>>) -> Json<Value> {
    tracing::warn!("faults cleared");
    app.faults.set(Faults::default());
    show(State(app)).await
}

/// Carries out the faults that are not about requests: the crash and the leak. Never returns.
pub async fn act(app: Arc<App>) {
    let mut faults = app.faults.subscribe();
    let mut ballast = Ballast::default();
    let mut step = tokio::time::interval(GROWTH_STEP);
    loop {
        let now = faults.borrow_and_update().clone();
        if now.crash {
            // So that the one who asked for it gets an answer.
            tokio::time::sleep(CRASH_DELAY).await;
            tracing::error!("crashing, as asked for");
            std::process::abort();
        }
        if now.memory_growth_mib_per_second == 0 {
            ballast = Ballast::default();
            // The sender lives as long as `app`.
            let _ = faults.changed().await;
            step.reset();
            continue;
        }
        tokio::select! {
            _ = step.tick() => ballast.grow(&now, GROWTH_STEP),
            _ = faults.changed() => {}
        }
    }
}

/// Memory that is held for nothing.
#[derive(Debug, Default)]
struct Ballast {
    bytes_owed: u128,
    blocks: Vec<Vec<u8>>,
}

impl Ballast {
    fn grow(&mut self, faults: &Faults, elapsed: Duration) {
        self.bytes_owed += u128::from(faults.memory_growth_mib_per_second) * (1 << 20) * elapsed.as_millis() / 1000;
        while self.bytes_owed >= 1 << 20 && (self.blocks.len() as u64) < faults.most_mib() {
            self.bytes_owed -= 1 << 20;
            // Not zero: a page of zeros that nobody wrote takes no memory.
            self.blocks.push(vec![1; 1 << 20]);
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::http::Request;
    use http_body_util::BodyExt;
    use serde_json::json;
    use tower::ServiceExt;

    use super::*;

    async fn send(app: &Arc<App>, method: &str, body: &str) -> (u16, Value) {
        let request = Request::builder().method(method).uri("/faults");
        let response = router(Arc::clone(app))
            .oneshot(request.body(Body::from(body.to_owned())).unwrap())
            .await
            .unwrap();
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, serde_json::from_slice(&body).unwrap())
    }

    #[tokio::test]
    async fn faults_are_switched_shown_and_cleared() {
        let app = App::new(None);
        let (status, switched) = send(&app, "PUT", r#"{"errorRatio": 0.25}"#).await;
        assert_eq!((status, &switched["errorRatio"]), (200, &json!(0.25)));
        assert_eq!(send(&app, "GET", "").await, (200, switched));
        let (status, cleared) = send(&app, "DELETE", "").await;
        assert_eq!((status, cleared), (200, Faults::default().to_json()));
        assert_eq!(app.faults.get(), Faults::default());
    }

    #[tokio::test]
    async fn a_bad_fault_changes_nothing() {
        let app = App::new(None);
        send(&app, "PUT", r#"{"readiness": "off"}"#).await;
        let (status, answer) = send(&app, "PUT", r#"{"errorRatio": 2, "latency": 3}"#).await;
        assert_eq!(status, 400);
        assert_eq!(
            answer["error"]["findings"].as_array().map(Vec::len),
            Some(2),
            "{answer}"
        );
        assert!(app.faults.get().not_ready);
    }

    #[test]
    fn a_leak_grows_as_fast_as_it_was_told_and_not_without_end() {
        let mut ballast = Ballast::default();
        let mut leak = Faults {
            memory_growth_mib_per_second: 3,
            ..Faults::default()
        };
        for _ in 0..10 {
            ballast.grow(&leak, GROWTH_STEP);
        }
        // The tenths of a second are rounded down to whole bytes.
        assert!((2..=3).contains(&ballast.blocks.len()), "{}", ballast.blocks.len());
        ballast.grow(&Faults::default(), GROWTH_STEP);
        assert!(ballast.blocks.len() <= 3);
        leak.memory_growth_up_to_mib = Some(5);
        for _ in 0..100 {
            ballast.grow(&leak, GROWTH_STEP);
        }
        assert_eq!(ballast.blocks.len(), 5);
    }
}
