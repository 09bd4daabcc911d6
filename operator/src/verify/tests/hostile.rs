//! A Prometheus that does not answer as one: bounded time and memory, and `Unknown` with the reason.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;

/// A server that sends these bytes to whoever asks, and then closes the connection, or keeps it.
async fn raw(bytes: &'static str, keeps: bool) -> String {
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let mut kept = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.read(&mut [0; 4096]).await;
            let _ = stream.write_all(bytes.as_bytes()).await;
            if keeps {
                kept.push(stream);
            }
        }
    });
    format!("http://{address}")
}

/// A Prometheus that says so to every question.
async fn saying(status: StatusCode, body: String) -> String {
    serve(Router::new().fallback(async move || (status, body.clone()))).await
}

#[tokio::test]
async fn who_does_not_answer_as_a_prometheus_leaves_it_unknown_in_bounded_time() {
    let closed = {
        let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    };
    let moved = Router::new().fallback(async || Redirect::temporary("http://127.0.0.1/"));
    let cases = [
        ("nobody", closed, "does not answer"),
        ("silence", raw("", true).await, "nothing within 3 s"),
        (
            "a start and then silence",
            raw("HTTP/1.1 200 OK\r\ncontent-length: 90\r\n\r\n{\"data\":", true).await,
            "nothing within 3 s",
        ),
        (
            "half an answer",
            raw("HTTP/1.1 200 OK\r\ncontent-length: 90\r\n\r\n{\"data\":", false).await,
            "does not answer",
        ),
        (
            "not HTTP",
            raw("-ERR unknown command\r\n", false).await,
            "does not answer",
        ),
        (
            "half of the JSON",
            saying(StatusCode::OK, "{\"data\": {\"activeTargets\": [".into()).await,
            "is not understood",
        ),
        (
            "a page for people",
            saying(StatusCode::OK, "<html>".into()).await,
            "is not understood",
        ),
        (
            "something else",
            saying(
                StatusCode::OK,
                "{\"data\": {\"activeTargets\": \"hunter2\", \"groups\": \"hunter2\"}}".into(),
            )
            .await,
            "is not understood",
        ),
        (
            "an error",
            saying(StatusCode::INTERNAL_SERVER_ERROR, String::new()).await,
            "answers HTTP 500",
        ),
        (
            "no right",
            saying(StatusCode::FORBIDDEN, String::new()).await,
            "answers HTTP 403",
        ),
        ("another place", serve(moved).await, "answers HTTP 307"),
        (
            "more than is read",
            saying(StatusCode::OK, " ".repeat((16 << 20) + 1)).await,
            "larger than 16 MiB",
        ),
    ];
    let all = cases.into_iter().map(async |(case, url, words)| {
        for check in [targets_check(1), rules_check(1)] {
            let since = Instant::now();
            let verdict = ask_one(&url, check).await;
            assert_eq!(
                (verdict.truth, verdict.reason),
                (Truth::Unknown, Reason::Unreachable),
                "{case}: {verdict:?}"
            );
            assert!(verdict.message.contains(words), "{case}: {:?}", verdict.message);
            assert!(verdict.message.len() < 500, "{case}: {:?}", verdict.message);
            assert!(!verdict.message.contains("hunter2"), "{case}: {:?}", verdict.message);
            assert!(since.elapsed() < Duration::from_secs(60), "{case}");
        }
    });
    join_all(all).await;
}

#[tokio::test]
async fn rules_on_pages_without_an_end_are_left_unread() {
    let endless = json!({"data": {"groups": [], "groupNextToken": "again"}}).to_string();
    let url = serve(Router::new().route("/api/v1/rules", get(async move || endless.clone()))).await;
    // Then only those of the service are asked for, and there are none.
    let verdict = ask_one(&url, rules_check(1)).await;
    assert_eq!(verdict.reason, Reason::RulesNotLoaded, "{verdict:?}");
}
