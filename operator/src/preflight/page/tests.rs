use std::net::Ipv4Addr;

use axum::Router;
use axum::http::{HeaderName, StatusCode};
use axum::response::Redirect;
use axum::routing::get;
use tokio::net::TcpListener;

use super::*;

const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";
const PAGE: &str = "# TYPE http_requests_total counter\nhttp_requests_total{status=\"200\"} 3\n";

fn preflight() -> Preflight {
    crate::mock::provide_tls();
    Preflight::new().unwrap()
}

fn typed(kind: &'static str, body: impl Into<String>) -> ([(HeaderName, &'static str); 1], String) {
    ([(CONTENT_TYPE, kind)], body.into())
}

async fn serve() -> SocketAddr {
    let router = Router::new()
        .route("/metrics", get(async || typed(TEXT, PAGE)))
        .route(
            "/openmetrics",
            get(async || typed("application/openmetrics-text; version=1.0.0", format!("{PAGE}# EOF\n"))),
        )
        .route(
            "/json",
            get(async || typed("application/json", serde_json::to_string(PAGE).unwrap())),
        )
        .route(
            "/object",
            get(async || typed("application/json", "{\"status\": \"ok\"}")),
        )
        .route("/html", get(async || typed("text/html", "hello")))
        .route("/angle", get(async || typed(TEXT, "\n <!doctype html>")))
        .route("/words", get(async || typed(TEXT, format!("{PAGE}hello\n"))))
        .route("/untyped", get(async || ([(CONTENT_TYPE, "")], PAGE)))
        .route("/empty", get(async || typed(TEXT, "# nothing yet\n")))
        .route("/long", get(async || typed(TEXT, "x".repeat(MOST_LINE_BYTES + 1))))
        .route("/large", get(async || typed(TEXT, "# x\n".repeat(MOST_BYTES / 4 + 1))))
        .route(
            "/bytes",
            get(async || ([(CONTENT_TYPE, TEXT)], b"x{a=\"\xff\"} 1\n".to_vec())),
        )
        .route("/down", get(async || StatusCode::SERVICE_UNAVAILABLE))
        .route("/moved", get(async || Redirect::temporary("/metrics")));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

#[tokio::test]
async fn every_sort_of_page_is_told_apart() {
    let address = serve().await;
    let preflight = preflight();
    for (path, outcome) in [
        ("/metrics", PageOutcome::Read),
        ("/openmetrics", PageOutcome::Read),
        ("/json", PageOutcome::JsonText),
        ("/object", PageOutcome::ContentType("application/json".into())),
        ("/html", PageOutcome::Html),
        ("/angle", PageOutcome::Html),
        ("/words", PageOutcome::Malformed { line: 3 }),
        ("/untyped", PageOutcome::ContentType(String::new())),
        ("/empty", PageOutcome::Empty),
        ("/long", PageOutcome::TooLarge),
        ("/large", PageOutcome::TooLarge),
        ("/bytes", PageOutcome::Malformed { line: 1 }),
        ("/down", PageOutcome::Status(503)),
        ("/missing", PageOutcome::Status(404)),
        // Not followed: where it would lead is not ours to ask.
        ("/moved", PageOutcome::Status(307)),
    ] {
        let (found, families) = preflight.page(address, path).await;
        assert_eq!(found, outcome, "{path}");
        assert_eq!(
            families.contains_key("http_requests_total"),
            outcome == PageOutcome::Read,
            "{path}"
        );
    }
}

#[tokio::test]
async fn a_pod_that_does_not_listen_or_hangs_up_says_nothing_about_its_page() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let hangs_up = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((connection, _)) = listener.accept().await {
            drop(connection);
        }
    });
    let closed = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let silent = closed.local_addr().unwrap();
    drop(closed);
    for address in [hangs_up, silent] {
        assert_eq!(preflight().page(address, "/metrics").await.0, PageOutcome::Unanswered);
    }
}

#[test]
fn a_page_is_the_same_however_it_is_cut_into_chunks() {
    let whole = |size: usize| {
        let mut lines = Lines::default();
        for chunk in PAGE.trim_end().as_bytes().chunks(size) {
            lines.add(chunk).unwrap();
        }
        lines.end().unwrap()
    };
    for size in 1..PAGE.len() {
        assert_eq!(whole(size), whole(PAGE.len()), "{size}");
    }
    assert_eq!(whole(1).len(), 1);
}
