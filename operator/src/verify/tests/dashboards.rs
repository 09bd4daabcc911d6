//! Whether Grafana has the dashboard. A stand-in answers as Grafana documents its HTTP API: the real server is under the
//! AGPL, and so is not part of these tests.

use axum::extract::Path;
use axum::http::HeaderMap;
use observed_core::check::DashboardFile;
use observed_core::sidecar::{Sidecar, Sidecars};

use super::*;

const TOKEN: &str = "glsa_secret";

/// Grafana, with a dashboard of this title under the uid `abc`.
async fn grafana(title: &'static str) -> String {
    let answer = async move |headers: HeaderMap, Path(uid): Path<String>| {
        let known = headers.get("authorization").map(|value| value.as_bytes());
        if known != Some(format!("Bearer {TOKEN}").as_bytes()) {
            return (
                StatusCode::UNAUTHORIZED,
                json!({"message": "Invalid API key", "messageId": "api-key.invalid", "statusCode": 401}).to_string(),
            );
        }
        if uid != "abc" {
            return (
                StatusCode::NOT_FOUND,
                json!({"message": "Dashboard not found", "traceID": ""}).to_string(),
            );
        }
        let found = json!({
            "meta": {"type": "db", "canSave": false, "slug": "prod-api", "url": "/d/abc/prod-api", "folderTitle": "Services",
                "provisioned": true, "provisionedExternalId": "prod.api.json"},
            "dashboard": {"id": 7, "uid": "abc", "title": title, "panels": [], "schemaVersion": 39, "version": 1},
        });
        (StatusCode::OK, found.to_string())
    };
    serve(Router::new().route("/grafana/api/dashboards/uid/{uid}", get(answer))).await + "/grafana"
}

fn sidecar(value: &str) -> Sidecars {
    let found = Sidecar {
        of: "Deployment monitoring/grafana".into(),
        label: "grafana_dashboard".into(),
        value: Some(value.into()),
        ..Sidecar::default()
    };
    Sidecars {
        found: vec![found],
        unseen: None,
    }
}

async fn ask(url: &str, token: &str, uid: &str, sidecars: Sidecars) -> Verdict {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), format!("{token}\n")).unwrap();
    let facts = Facts {
        namespace: "prod".into(),
        sidecars,
        ..Default::default()
    };
    let client = asking(
        Server::Grafana,
        Access {
            url: Some(url.into()),
            token_file: Some(file.path().into()),
            ..Access::default()
        },
    );
    let backends = Backends {
        grafana_url: Some(url),
        ..backends(&facts, &client)
    };
    let check = Check::Dashboard(DashboardFile {
        name: "api-dashboard".into(),
        labels: [("grafana_dashboard".to_owned(), "1".to_owned())].into(),
        key: "prod.api.json".into(),
        uid: uid.into(),
        title: "prod / api".into(),
        ..DashboardFile::default()
    });
    verify(&backends, &[check]).await.remove(0)
}

#[tokio::test]
async fn what_grafana_has_is_loaded_however_it_came_there() {
    let url = grafana("prod / api").await;
    for sidecars in [sidecar("1"), sidecar("other"), Sidecars::default()] {
        let verdict = ask(&url, TOKEN, "abc", sidecars).await;
        assert_eq!(
            (verdict.truth, verdict.reason),
            (Truth::True, Reason::Loaded),
            "{verdict:?}"
        );
        assert!(
            verdict.message.contains("in the folder \"Services\""),
            "{}",
            verdict.message
        );
    }
}

#[tokio::test]
async fn what_grafana_has_not_is_told_with_why_its_sidecar_does_not_load_it() {
    let url = grafana("prod / api").await;
    let verdict = ask(&url, TOKEN, "gone", sidecar("1")).await;
    assert_eq!(
        (verdict.truth, verdict.reason),
        (Truth::False, Reason::NotLoaded),
        "{verdict:?}"
    );
    let verdict = ask(&url, TOKEN, "gone", sidecar("other")).await;
    assert_eq!(
        (verdict.truth, verdict.reason),
        (Truth::False, Reason::NotSelected),
        "{verdict:?}"
    );
    let verdict = ask(&url, TOKEN, "gone", Sidecars::default()).await;
    assert_eq!(
        (verdict.truth, verdict.reason),
        (Truth::False, Reason::NotLoaded),
        "{verdict:?}"
    );
}

#[tokio::test]
async fn another_dashboard_under_its_uid_is_named() {
    let url = grafana("Copy of api").await;
    let verdict = ask(&url, TOKEN, "abc", sidecar("1")).await;
    assert_eq!(
        (verdict.truth, verdict.reason),
        (Truth::False, Reason::DashboardTaken),
        "{verdict:?}"
    );
    assert!(verdict.message.contains("\"Copy of api\""), "{}", verdict.message);
}

#[tokio::test]
async fn a_grafana_that_cannot_be_asked_is_not_known_and_what_its_sidecar_says_still_counts() {
    let good = grafana("prod / api").await;
    let page = serve(Router::new().fallback(async || "<html>")).await;
    let gone = serve(Router::new()).await;
    for (url, token, words) in [
        (good.as_str(), "wrong", "HTTP 401"),
        (page.as_str(), TOKEN, "not that of Grafana"),
        // A proxy in front of it: its 404 is not Grafana's.
        (gone.as_str(), TOKEN, "HTTP 404"),
        ("http://127.0.0.1:1", TOKEN, "does not answer"),
    ] {
        let verdict = ask(url, token, "abc", Sidecars::default()).await;
        assert_eq!(
            (verdict.truth, verdict.reason),
            (Truth::Unknown, Reason::Unreachable),
            "{verdict:?}"
        );
        assert!(verdict.message.contains(words), "{}", verdict.message);
        assert!(
            !verdict.message.contains(TOKEN) && !verdict.message.contains("wrong"),
            "{}",
            verdict.message
        );
        let verdict = ask(url, token, "abc", sidecar("1")).await;
        assert_eq!(
            (verdict.truth, verdict.reason),
            (Truth::True, Reason::Loaded),
            "{verdict:?}"
        );
        assert!(verdict.message.contains(words), "{}", verdict.message);
        let verdict = ask(url, token, "abc", sidecar("other")).await;
        assert_eq!(
            (verdict.truth, verdict.reason),
            (Truth::False, Reason::NotSelected),
            "{verdict:?}"
        );
    }
}

#[tokio::test]
async fn a_token_that_cannot_be_read_is_said() {
    let url = "http://127.0.0.1:1";
    let access = Access {
        url: Some(url.into()),
        token_file: Some("/no/such/token".into()),
        ..Access::default()
    };
    let (facts, client) = (Facts::default(), asking(Server::Grafana, access));
    let backends = Backends {
        grafana_url: Some(url),
        ..backends(&facts, &client)
    };
    let verdict = verify(&backends, &[Check::Dashboard(DashboardFile::default())])
        .await
        .remove(0);
    assert_eq!(verdict.reason, Reason::Unreachable);
    assert!(verdict.message.contains("/no/such/token"), "{}", verdict.message);
}
