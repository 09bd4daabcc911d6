use std::future::{pending, poll_fn};
use std::task::Poll;
use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use http_body_util::BodyExt;
use tower::ServiceExt;

use super::*;
use crate::faults::Faults;

const QUESTION: &str =
    r#"{"model": "claude-haiku", "max_tokens": 20, "messages": [{"role": "user", "content": "hello"}]}"#;

struct Answer {
    status: u16,
    headers: axum::http::HeaderMap,
    text: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap()
    }
}

async fn send(router: Router, method: &str, path: &str, body: &str) -> Answer {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("x-request-id", "id-1");
    let response = router
        .oneshot(request.body(Body::from(body.to_owned())).unwrap())
        .await
        .unwrap();
    let (parts, body) = response.into_parts();
    Answer {
        status: parts.status.as_u16(),
        headers: parts.headers,
        text: String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap(),
    }
}

async fn ask(app: &Arc<App>, method: &str, path: &str, body: &str) -> Answer {
    send(router(app), method, path, body).await
}

/// How often requests with these labels were counted, as the metrics page says it.
async fn counted(app: &Arc<App>, method: &str, endpoint: &str, status: u16) -> f64 {
    let page = ask(app, "GET", "/metrics", "").await.text;
    let series = format!(r#"http_requests_total{{method="{method}",endpoint="{endpoint}",status="{status}"}} "#);
    let value = page
        .lines()
        .find_map(|line| line.strip_prefix(&series).map(str::to_owned));
    value.map_or(0.0, |value| value.parse().unwrap())
}

fn switch(app: &App, body: &str) {
    app.faults.set(Faults::parse(body.as_bytes()).unwrap());
}

#[tokio::test]
async fn a_question_is_answered_with_its_usage_and_counted() {
    let app = App::new(None);
    let answer = ask(&app, "POST", "/v1/messages", QUESTION).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert_eq!(answer.headers["x-request-id"], "id-1");
    let usage = &answer.json()["usage"];
    assert_eq!(usage["input_tokens"], 2);
    assert_eq!(answer.text, ask(&app, "POST", "/v1/messages", QUESTION).await.text);
    assert_eq!(counted(&app, "POST", "/v1/messages", 200).await, 2.0);
    let page = ask(&app, "GET", "/metrics", "").await.text;
    assert!(
        page.contains(r#"tokens_used_total{model="claude-haiku",direction="input"} 4"#),
        "{page}"
    );
}

#[tokio::test]
async fn a_bad_question_is_refused_with_every_field_that_is_wrong() {
    let app = App::new(None);
    let bad =
        r#"{"model": "gpt", "max_tokens": 0, "stream": "yes", "messages": [{"role": "system", "content": ""}, 7]}"#;
    let answer = ask(&app, "POST", "/v1/messages", bad).await;
    assert_eq!(answer.status, 400);
    let findings = answer.json()["error"]["findings"].clone();
    let fields: Vec<&str> = findings
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|f| f["field"].as_str())
        .collect();
    assert_eq!(
        fields,
        [
            "model",
            "max_tokens",
            "stream",
            "messages[0].role",
            "messages[0].content",
            "messages[1]"
        ]
    );
    assert_eq!(counted(&app, "POST", "/v1/messages", 400).await, 1.0);
    assert_eq!(counted(&app, "POST", "/v1/messages", 200).await, 0.0);
}

#[tokio::test]
async fn a_question_without_its_fields_or_without_json_is_refused() {
    let app = App::new(None);
    for (body, field) in [("{}", "messages"), ("not json", "body"), ("[]", "body")] {
        let answer = ask(&app, "POST", "/v1/messages", body).await;
        assert_eq!(answer.status, 400);
        assert!(answer.text.contains(field), "{}", answer.text);
    }
    let huge = format!(r#"{{"model": "{}"}}"#, "x".repeat(MAX_BODY_BYTES));
    assert_eq!(ask(&app, "POST", "/v1/messages", &huge).await.status, 413);
}

#[tokio::test]
async fn paths_that_no_route_has_are_one_series() {
    let app = App::new(None);
    for path in ["/wp-login.php", "/v1/messages/17", "/"] {
        assert_eq!(ask(&app, "GET", path, "").await.status, 404);
    }
    assert_eq!(counted(&app, "GET", "unmatched", 404).await, 3.0);
    assert_eq!(ask(&app, "BREW", "/", "").await.status, 404);
    assert_eq!(counted(&app, "other", "unmatched", 404).await, 1.0);
    assert_eq!(ask(&app, "GET", "/v1/messages", "").await.status, 405);
    assert_eq!(counted(&app, "GET", "/v1/messages", 405).await, 1.0);
}

#[tokio::test]
async fn probes_and_the_metrics_page_are_not_counted_as_requests() {
    let app = App::new(None);
    for path in ["/health", "/ready", "/metrics"] {
        assert_eq!(ask(&app, "GET", path, "").await.status, 200);
        assert_eq!(counted(&app, "GET", path, 200).await, 0.0);
    }
    let page = ask(&app, "GET", "/metrics", "").await;
    assert!(!page.text.contains("health"), "{}", page.text);
    assert_eq!(page.headers["content-type"], CONTENT_TYPE);
}

#[tokio::test]
async fn readiness_follows_its_switch_and_health_does_not() {
    let app = App::new(None);
    assert_eq!(ask(&app, "GET", "/ready", "").await.status, 200);
    switch(&app, r#"{"readiness": "off"}"#);
    assert_eq!(ask(&app, "GET", "/ready", "").await.status, 503);
    assert_eq!(ask(&app, "GET", "/health", "").await.status, 200);
    switch(&app, "{}");
    app.draining.store(true, Ordering::Relaxed);
    let answer = ask(&app, "GET", "/ready", "").await;
    assert!(
        answer.status == 503 && answer.text.contains("shutting down"),
        "{}",
        answer.text
    );
    assert_eq!(ask(&app, "POST", "/v1/messages", QUESTION).await.status, 200);
}

#[tokio::test]
async fn injected_errors_hit_the_api_and_are_counted_and_end_with_the_switch() {
    let app = App::new(None);
    switch(&app, r#"{"errorRatio": 0.5}"#);
    for _ in 0..10 {
        ask(&app, "POST", "/v1/messages", QUESTION).await;
    }
    assert_eq!(counted(&app, "POST", "/v1/messages", 500).await, 5.0);
    switch(&app, "{}");
    for _ in 0..10 {
        assert_eq!(ask(&app, "POST", "/v1/messages", QUESTION).await.status, 200);
    }
}

#[tokio::test]
async fn a_bug_is_counted_as_what_no_handler_caught_and_a_fallback_as_no_token() {
    let app = App::new(None);
    let exposes = async |line: &str| {
        ask(&app, "GET", "/metrics", "")
            .await
            .text
            .contains(&format!("\n{line}\n"))
    };
    switch(&app, r#"{"panic": true}"#);
    assert_eq!(ask(&app, "POST", "/v1/messages", QUESTION).await.status, 500);
    assert!(exposes("http_exceptions_total 1").await);
    switch(&app, r#"{"fallback": true}"#);
    assert_eq!(ask(&app, "POST", "/v1/messages", QUESTION).await.status, 200);
    let unspent = r#"tokens_used_total{model="claude-haiku",direction="output"} 0"#;
    assert!(exposes(unspent).await);
    switch(&app, "{}");
    assert_eq!(ask(&app, "POST", "/v1/messages", QUESTION).await.status, 200);
    assert!(!exposes(unspent).await && exposes("http_exceptions_total 1").await);
}

#[tokio::test(start_paused = true)]
async fn injected_latency_is_in_the_histogram() {
    let app = App::new(None);
    let start = tokio::time::Instant::now();
    ask(&app, "POST", "/v1/messages", QUESTION).await;
    assert!(start.elapsed() < Duration::from_secs(1));
    switch(&app, r#"{"latency": "2s"}"#);
    ask(&app, "POST", "/v1/messages", QUESTION).await;
    assert!(start.elapsed() >= Duration::from_secs(2));
}

#[tokio::test]
async fn nothing_is_answered_while_it_hangs_and_everything_afterwards() {
    let app = App::new(None);
    switch(&app, r#"{"hang": true}"#);
    let mut waiting: Vec<_> = [("GET", "/health"), ("GET", "/metrics"), ("POST", "/v1/messages")]
        .into_iter()
        .map(|(method, path)| Box::pin(ask(&app, method, path, QUESTION)))
        .collect();
    for request in &mut waiting {
        let answered = poll_fn(|context| Poll::Ready(request.as_mut().poll(context).is_ready())).await;
        assert!(!answered);
    }
    switch(&app, "{}");
    for request in waiting {
        assert_eq!(request.await.status, 200);
    }
}

#[tokio::test]
async fn a_panic_is_an_answer_with_status_500_that_is_counted() {
    async fn boom() -> &'static str {
        panic!("out of words")
    }
    let app = App::new(None);
    let api = tracked(&app, Router::new().route("/boom/{id}", get(boom))).with_state(Arc::clone(&app));
    let exceptions = async |count: &str| {
        let page = ask(&app, "GET", "/metrics", "").await.text;
        page.contains(&format!("\nhttp_exceptions_total {count}\n"))
    };
    assert!(exceptions("0").await, "it is not there before the first");
    let answer = send(api, "GET", "/boom/7", "").await;
    assert_eq!(answer.status, 500);
    assert!(exceptions("1").await);
    assert!(!answer.text.contains("out of words"), "{}", answer.text);
    assert_eq!(counted(&app, "GET", "/boom/{id}", 500).await, 1.0);
}

#[tokio::test]
async fn a_caller_that_goes_away_is_counted_and_no_longer_in_progress() {
    async fn never() {
        pending().await
    }
    let app = App::new(None);
    let api: Router = tracked(&app, Router::new().route("/never", get(never))).with_state(Arc::clone(&app));
    let mut request = Box::pin(send(api, "GET", "/never", ""));
    let answered = poll_fn(|context| Poll::Ready(request.as_mut().poll(context).is_ready())).await;
    assert!(!answered);
    assert!(
        ask(&app, "GET", "/metrics", "")
            .await
            .text
            .contains("http_requests_inprogress 1")
    );
    drop(request);
    assert_eq!(counted(&app, "GET", "/never", 499).await, 1.0);
    assert!(
        ask(&app, "GET", "/metrics", "")
            .await
            .text
            .contains("http_requests_inprogress 0")
    );
}

/// The same question, to be answered word by word.
fn streamed() -> String {
    QUESTION.replacen('{', r#"{"stream": true, "#, 1)
}

#[tokio::test(start_paused = true)]
async fn a_streamed_answer_has_the_words_of_the_whole_one_and_its_first_token_is_timed() {
    let app = App::new(None);
    let whole = ask(&app, "POST", "/v1/messages", QUESTION).await.json();
    let answer = ask(&app, "POST", "/v1/messages", &streamed()).await;
    assert_eq!(answer.headers["content-type"], "text/event-stream");
    let data = answer.text.lines().filter_map(|line| line.strip_prefix("data: "));
    let events: Vec<Value> = data.map(|data| serde_json::from_str(data).unwrap()).collect();
    let words = events.iter().filter_map(|event| event["delta"]["text"].as_str());
    assert_eq!(words.collect::<String>(), whole["content"][0]["text"].as_str().unwrap());
    assert_eq!(
        events[0]["message"]["usage"]["input_tokens"],
        whole["usage"]["input_tokens"]
    );
    let [.., delta, stop] = events.as_slice() else {
        unreachable!()
    };
    assert_eq!(delta["usage"]["output_tokens"], whole["usage"]["output_tokens"]);
    assert_eq!(
        (&delta["delta"]["stop_reason"], &stop["type"]),
        (&whole["stop_reason"], &"message_stop".into())
    );

    let page = ask(&app, "GET", "/metrics", "").await.text;
    let first = r#"llm_time_to_first_token_seconds_count{model="claude-haiku"} 1"#;
    assert!(page.contains(first), "{page}");
    assert!(
        page.contains(r#"tokens_used_total{model="claude-haiku",direction="output"} 40"#),
        "{page}"
    );
    assert_eq!(counted(&app, "POST", "/v1/messages", 200).await, 2.0);
}

#[tokio::test(start_paused = true)]
async fn a_stream_is_in_progress_until_its_end_and_one_that_nobody_reads_to_the_end_is_counted_as_such() {
    let app = App::new(None);
    let open = async || {
        let request = Request::post("/v1/messages").body(Body::from(streamed())).unwrap();
        let mut body = router(&app).oneshot(request).await.unwrap().into_body();
        body.frame().await.unwrap().unwrap();
        body
    };
    let body = open().await;
    let page = ask(&app, "GET", "/metrics", "").await.text;
    assert!(page.contains("http_requests_inprogress 1"), "{page}");
    assert_eq!(counted(&app, "POST", "/v1/messages", 200).await, 0.0);
    body.collect().await.unwrap();
    assert_eq!(counted(&app, "POST", "/v1/messages", 200).await, 1.0);

    drop(open().await);
    assert_eq!(counted(&app, "POST", "/v1/messages", 499).await, 1.0);
    assert_eq!(counted(&app, "POST", "/v1/messages", 200).await, 1.0);
}

/// A service whose databases are not there: nothing listens on the ports.
fn without_its_databases() -> Arc<App> {
    #[derive(clap::Parser)]
    struct Arguments {
        #[command(flatten)]
        options: crate::dependencies::Options,
    }
    let closed = || {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap()
    };
    let (database, redis) = (
        format!("postgres://api@{}/api", closed()),
        format!("redis://{}", closed()),
    );
    let arguments = [
        "claude-api",
        "--database-url",
        &database,
        "--redis-url",
        &redis,
        "--api-key",
        "key",
    ];
    let arguments: Arguments = clap::Parser::parse_from(arguments);
    App::new(Dependencies::new(arguments.options).unwrap())
}

#[tokio::test]
async fn without_its_databases_it_is_alive_and_not_ready_and_answers_that_it_cannot() {
    let app = without_its_databases();
    assert_eq!(ask(&app, "GET", "/health", "").await.status, 200);
    let ready = ask(&app, "GET", "/ready", "").await;
    assert!(
        ready.status == 503 && ready.text.contains("the database"),
        "{}",
        ready.text
    );
    let request = Request::post("/v1/messages").header("x-api-key", "key");
    let request = request.body(Body::from(QUESTION)).unwrap();
    let answer = router(&app).oneshot(request).await.unwrap();
    assert_eq!(answer.status(), 503);
    answer.into_body().collect().await.unwrap();
    assert_eq!(
        counted(&app, "POST", "/v1/messages", 503).await,
        1.0,
        "an outage must count as errors"
    );
}

#[tokio::test]
async fn a_request_without_a_key_is_refused_before_a_database_is_asked() {
    let app = without_its_databases();
    assert_eq!(ask(&app, "POST", "/v1/messages", QUESTION).await.status, 401);
    assert_eq!(ask(&app, "POST", "/v1/tasks", QUESTION).await.status, 401);
}

#[tokio::test]
async fn what_only_databases_make_known_is_exposed_with_them_and_not_without() {
    let names = [
        "api_keys_active{window=\"1d\"} 0",
        "tasks_completed_total{outcome=\"failure\",task_type=\"message\"} 0",
        "tasks_queued 0",
        "tasks_oldest_age_seconds 0",
        "db_pool_checked_out_connections 0",
        "db_pool_size 8",
    ];
    let with = ask(&without_its_databases(), "GET", "/metrics", "").await.text;
    let without = App::new(None);
    let page = ask(&without, "GET", "/metrics", "").await.text;
    for name in names {
        assert!(with.contains(name), "{name}: {with}");
        assert!(!page.contains(name), "{name}: {page}");
    }
    assert_eq!(ask(&without, "POST", "/v1/tasks", QUESTION).await.status, 404);
}
