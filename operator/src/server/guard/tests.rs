use axum::Router;
use axum::body::Body;
use axum::routing::get;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower::ServiceExt;

use super::*;
use crate::mock::{self, Asked, Log};

const TOKEN: &str = "hunter2-token";

fn is_token_review(asked: &Asked) -> bool {
    asked.path == "/apis/authentication.k8s.io/v1/tokenreviews"
}

/// An API server that knows one token, whose user may read the metrics or not.
fn api(allowed: bool) -> (Client, Log) {
    mock::client(move |asked| {
        let spec = &asked.body["spec"];
        let status = match is_token_review(asked) {
            true if spec["token"] == TOKEN => {
                json!({"authenticated": true, "user": {
                    "username": "system:serviceaccount:monitoring:prometheus", "uid": "u-1",
                    "groups": ["system:serviceaccounts"], "extra": {"node": ["n-1"]},
                }})
            }
            true => json!({"authenticated": false, "error": "unknown"}),
            false => json!({"allowed": allowed}),
        };
        (201, json!({"spec": spec, "status": status}))
    })
}

fn router(guarded: &Guard) -> Router {
    Router::new()
        .route(METRICS_PATH, get(async || "the metrics"))
        .layer(axum::middleware::from_fn_with_state(guarded.clone(), guard))
}

async fn ask(guarded: &Guard, authorization: Option<&str>) -> (u16, String, HeaderMap) {
    let mut request = Request::get(METRICS_PATH);
    if let Some(value) = authorization {
        request = request.header(header::AUTHORIZATION, value);
    }
    let request = request.body(Body::empty()).unwrap();
    let answer = router(guarded).oneshot(request).await.unwrap();
    let (parts, body) = answer.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    (
        parts.status.as_u16(),
        String::from_utf8(body.to_vec()).unwrap(),
        parts.headers,
    )
}

fn bearing(token: &str) -> String {
    format!("Bearer {token}")
}

#[tokio::test]
async fn who_has_the_right_reads_the_metrics_and_the_next_scrape_asks_nobody() {
    let (client, log) = api(true);
    let guarded = Guard::new(client);
    for _ in 0..3 {
        let (status, words, _) = ask(&guarded, Some(&bearing(TOKEN))).await;
        assert_eq!((status, words.as_str()), (200, "the metrics"));
    }
    let asked = log.all();
    assert_eq!(asked.len(), 2, "{asked:?}");
    assert_eq!(asked[0].body["spec"]["token"], TOKEN);
    assert_eq!(
        asked[1].body["spec"],
        json!({
            "user": "system:serviceaccount:monitoring:prometheus", "uid": "u-1",
            "groups": ["system:serviceaccounts"], "extra": {"node": ["n-1"]},
            "nonResourceAttributes": {"path": "/metrics", "verb": "get"},
        })
    );
}

#[tokio::test]
async fn without_a_token_nobody_is_asked_and_nobody_reads_them() {
    let (client, log) = api(true);
    let guarded = Guard::new(client);
    let long = bearing(&"a".repeat(LONGEST_TOKEN + 1));
    for authorization in [
        None,
        Some("Bearer "),
        Some("Basic aHVudGVyMg=="),
        Some(TOKEN),
        Some(long.as_str()),
    ] {
        let (status, words, headers) = ask(&guarded, authorization).await;
        assert_eq!(status, 401, "{authorization:?}: {words}");
        assert_eq!(headers[header::WWW_AUTHENTICATE], "Bearer");
        assert!(!words.contains("hunter2"), "{words}");
    }
    assert!(log.all().is_empty());
}

#[tokio::test]
async fn an_unknown_token_is_turned_away_and_whoever_has_no_right_is_named() {
    let (client, log) = api(true);
    let (status, words, headers) = ask(&Guard::new(client), Some("bearer another")).await;
    assert_eq!(status, 401, "{words}");
    assert_eq!(headers[header::WWW_AUTHENTICATE], "Bearer");
    assert!(words.contains("does not know this token"), "{words}");
    // Whose rights would it ask for?
    assert_eq!(log.all().len(), 1);

    let (client, log) = api(false);
    let guarded = Guard::new(client);
    for _ in 0..2 {
        let (status, words, _) = ask(&guarded, Some(&bearing(TOKEN))).await;
        assert_eq!(status, 403, "{words}");
        assert!(
            words.starts_with("system:serviceaccount:monitoring:prometheus may not get /metrics: bind it"),
            "{words}"
        );
        assert!(!words.contains(TOKEN), "{words}");
    }
    assert_eq!(log.all().len(), 2);
}

#[tokio::test]
async fn without_a_full_answer_nobody_is_let_in_and_it_is_asked_again_at_once() {
    let forbidden = || mock::refusal(403, "Forbidden", "cannot create resource");
    let broken = || mock::refusal(503, "ServiceUnavailable", "etcd is away");
    let good = || {
        (
            201,
            json!({"spec": {}, "status": {"authenticated": true, "user": {"username": "u"}}}),
        )
    };
    let nothing = || (201, json!({"spec": {}}));
    type Answer = fn() -> (u16, Value);
    let cases: [(Answer, Answer, u16, &str); 6] = [
        (forbidden, good, 500, "observed rbac --secure-metrics"),
        (good, forbidden, 500, "observed rbac --secure-metrics"),
        (broken, good, 503, "so nobody may: etcd is away"),
        (good, broken, 503, "so nobody may: etcd is away"),
        (nothing, good, 401, "does not know this token"),
        (good, nothing, 403, "u may not get /metrics"),
    ];
    for (of_token, of_right, expected, words) in cases {
        let (client, log) = mock::client(move |asked| if is_token_review(asked) { of_token() } else { of_right() });
        let guarded = Guard::new(client);
        let (status, said, _) = ask(&guarded, Some(&bearing(TOKEN))).await;
        assert_eq!(status, expected, "{said}");
        assert!(said.contains(words) && !said.contains(TOKEN), "{said}");
        let asked = log.all().len();
        ask(&guarded, Some(&bearing(TOKEN))).await;
        assert_eq!(log.all().len() > asked, expected >= 500, "{expected}");
    }
}

#[test]
fn a_decision_ends_and_no_flood_of_tokens_makes_the_memory_of_them_grow() {
    let mut kept = Decisions::default();
    let now = Instant::now();
    let token = |number: usize| -> Fingerprint { Sha256::digest(number.to_string()).into() };
    let refused = Err(Refusal::Forbidden("u".to_owned()));
    kept.keep(token(0), &Ok(()), now);
    kept.keep(token(1), &refused, now);
    assert_eq!(kept.get(&token(0), now + LET_IN / 2), Some(Ok(())));
    assert_eq!(kept.get(&token(0), now + LET_IN), None);
    assert_eq!(kept.get(&token(1), now + TURNED_AWAY / 2), Some(refused.clone()));
    assert_eq!(kept.get(&token(1), now + TURNED_AWAY), None);
    for number in 2..4 * KEPT {
        kept.keep(token(number), &refused, now);
    }
    assert_eq!(kept.0.len(), KEPT);
    // Who was let in before the flood still is, and after it there is room again.
    assert_eq!(kept.get(&token(0), now), Some(Ok(())));
    kept.keep(token(9999), &Ok(()), now + TURNED_AWAY);
    assert_eq!(kept.0.len(), 2);
}
