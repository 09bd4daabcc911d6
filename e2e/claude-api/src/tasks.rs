//! Tasks: questions that are answered later, by a worker in the same process.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::json;
use tokio::time::{interval, sleep, timeout};
use tracing::Instrument;

use crate::api::{App, Question};
use crate::dependencies::{Dependencies, Unavailable, hash, hexadecimal};
use crate::metrics::usage::{Outcome, Usage};
use crate::requests::error;

/// How long a task may take.
const LIMIT: Duration = Duration::from_secs(30);
/// How often what only the database knows is counted.
const COUNTED_EVERY: Duration = Duration::from_secs(5);
const AFTER_A_FAILURE: Duration = Duration::from_secs(1);

/// `/v1/tasks`.
pub fn router() -> Router<Arc<App>> {
    Router::new()
        .route("/v1/tasks", post(add))
        .route("/v1/tasks/{id}", get(show))
}

async fn add(State(app): State<Arc<App>>, headers: HeaderMap, body: Bytes) -> Result<Response, Response> {
    let Some((dependencies, _)) = &app.dependencies else {
        return Err(not_found());
    };
    let caller = dependencies.admit(&headers).await?;
    Question::parse(&body).map_err(IntoResponse::into_response)?;
    let id = new_id(&caller.0);
    let text = String::from_utf8_lossy(&body).into_owned();
    let unavailable = IntoResponse::into_response;
    dependencies.database.add_task(&id, &text).await.map_err(unavailable)?;
    // One that cannot be offered now is found and offered later: it is kept.
    let _ = dependencies.cache.offer(std::slice::from_ref(&id)).await;
    Ok((StatusCode::ACCEPTED, Json(json!({"id": id, "state": "queued"}))).into_response())
}

async fn show(State(app): State<Arc<App>>, Path(id): Path<String>, headers: HeaderMap) -> Result<Response, Response> {
    let Some((dependencies, _)) = &app.dependencies else {
        return Err(not_found());
    };
    dependencies.admit(&headers).await?;
    let task = dependencies
        .database
        .task(&id)
        .await
        .map_err(IntoResponse::into_response)?;
    let (state, answer) = task.ok_or_else(not_found)?;
    Ok(Json(json!({"id": id, "state": state, "answer": answer})).into_response())
}

fn not_found() -> Response {
    error(StatusCode::NOT_FOUND, "not_found", "no such task")
}

/// Differs for every task of every replica.
fn new_id(caller: &[u8]) -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let nanoseconds = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default().as_nanos();
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let text = format!("{nanoseconds} {number} {} {caller:?}", std::process::id());
    format!("task_{}", &hexadecimal(&hash(text))[..24])
}

/// Works on tasks one after the other until the service ends.
pub async fn work(app: &App, dependencies: &Dependencies, usage: &Usage) {
    while !app.draining.load(Ordering::Relaxed) {
        app.faults.may_work().await;
        if work_on_next(dependencies, usage).await.is_err() {
            sleep(AFTER_A_FAILURE).await;
        }
    }
}

async fn work_on_next(dependencies: &Dependencies, usage: &Usage) -> Result<(), Unavailable> {
    let Some(id) = dependencies.cache.next().await? else {
        return Ok(());
    };
    let span = tracing::info_span!("task", otel.kind = "consumer", task.id = id);
    work_on(&id, dependencies, usage).instrument(span).await
}

async fn work_on(id: &str, dependencies: &Dependencies, usage: &Usage) -> Result<(), Unavailable> {
    let Some(question) = dependencies.database.begin_task(id).await? else {
        return Ok(()); // another worker has it
    };
    let (outcome, answer) = match timeout(LIMIT, answer(&question)).await {
        Ok(Some(answer)) => (Outcome::Success, Some(answer)),
        Ok(None) => (Outcome::Failure, None),
        Err(_) => (Outcome::Timeout, None),
    };
    dependencies
        .database
        .end_task(id, outcome.label(), answer.as_deref())
        .await?;
    usage.task_ended(outcome);
    Ok(())
}

async fn answer(question: &str) -> Option<String> {
    let question = Question::parse(question.as_bytes()).ok()?;
    let answer = question.answer();
    question.wait_for(&answer).await;
    Some(answer.text)
}

/// Counts what only the database knows, and offers the tasks that were lost. Never returns.
pub async fn count(dependencies: &Dependencies, usage: &Usage) {
    let mut tick = interval(COUNTED_EVERY);
    loop {
        tick.tick().await;
        if dependencies.ready().await.is_err() {
            continue; // it is in the log, and the gauges keep what they were
        }
        if let Ok(counted) = dependencies.database.usage().await {
            usage.counted(&counted);
        }
        let stray = dependencies.database.stray_tasks().await.unwrap_or_default();
        if !stray.is_empty() {
            let _ = dependencies.cache.offer(&stray).await;
        }
    }
}
