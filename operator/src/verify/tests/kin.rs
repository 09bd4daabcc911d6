//! What answers as Prometheus does: Thanos Query, Mimir and VictoriaMetrics. The answers have the forms of their sources:
//! `pkg/api/api.go` of Thanos, `pkg/api/handlers.go` and the HTTP API's reference of Mimir (it serves no targets), and
//! `app/vmselect/main.go` of VictoriaMetrics, which has a placeholder for rules without -vmalert.proxyURL.

use super::*;

const THANOS: &str = r#"{"version": "0.41.0", "revision": "9d8c5f0e", "branch": "HEAD", "buildUser": "root@b", "buildDate": "20260101-00:00:00", "goVersion": "go1.25.0"}"#;
const PROMETHEUS: &str = r#"{"version": "3.16.0", "revision": "9d8c5f0e", "branch": "HEAD", "buildUser": "root@b", "buildDate": "20260101-00:00:00", "goVersion": "go1.25.0"}"#;
const MIMIR: &str = r#"{"application": "Grafana Mimir", "version": "3.1.0", "revision": "9d8c5f0e", "branch": "HEAD", "goVersion": "go1.25.0", "features": {"ruler_config_api": "true"}}"#;
const VICTORIA_METRICS: &str = r#"{"version": "2.24.0"}"#;

/// A server that says so of itself, lists these targets, if any, and has no rules.
async fn server(info: &'static str, active: Option<Value>) -> String {
    let info = format!(r#"{{"status": "success", "data": {info}}}"#);
    let rules = r#"{"status":"success","data":{"groups":[]}}"#;
    let mut router = Router::new()
        .route("/prefix/api/v1/status/buildinfo", get(async move || info))
        .route("/prefix/api/v1/rules", get(async move || rules));
    if let Some(active) = active {
        let all = json!({"status": "success", "data": {"activeTargets": active, "droppedTargets": []}}).to_string();
        router = router.route("/prefix/api/v1/targets", get(async move || all));
    }
    serve(router).await + "/prefix"
}

#[tokio::test]
async fn what_they_do_not_list_is_unknown_with_the_reason_and_never_false() {
    for (info, active, of_targets, of_rules) in [
        (
            THANOS,
            Some(json!([])),
            "than the sidecars behind it tell",
            "sidecars and rulers",
        ),
        (MIMIR, None, "HTTP 404", "into its own ruler"),
        (
            VICTORIA_METRICS,
            Some(json!([])),
            "not what vmagent scrapes",
            "-vmalert.proxyURL",
        ),
        // vmselect of a cluster of VictoriaMetrics.
        (VICTORIA_METRICS, None, "/select/0/prometheus", "by vmalert"),
    ] {
        let url = server(info, active).await;
        for (check, words) in [(targets_check(1), of_targets), (rules_check(1), of_rules)] {
            let verdict = ask(vec![], Some(&url), check).await;
            assert_eq!(
                (verdict.truth, verdict.reason),
                (Truth::Unknown, Reason::Unreachable),
                "{verdict:?}"
            );
            assert!(verdict.message.contains(words), "{words}: {}", verdict.message);
            assert!(verdict.message.contains("with --prometheus-url"), "{}", verdict.message);
        }
    }
}

#[tokio::test]
async fn what_prometheus_itself_does_not_list_is_not_there() {
    let url = server(PROMETHEUS, Some(json!([]))).await;
    let verdict = ask(vec![], Some(&url), targets_check(1)).await;
    assert_eq!((verdict.truth, verdict.reason), (Truth::False, Reason::NoTargets));
    let verdict = ask(vec![], Some(&url), rules_check(1)).await;
    assert_eq!((verdict.truth, verdict.reason), (Truth::False, Reason::RulesNotLoaded));
}

#[tokio::test]
async fn targets_that_victoriametrics_names_in_its_own_way_are_ours_and_those_of_another_are_not() {
    // Without an interval, as VictoriaMetrics answers.
    let mut up = target("serviceScrape/prod/api/0", "up", "");
    up.as_object_mut().unwrap().remove("scrapeInterval");
    let url = server(VICTORIA_METRICS, Some(json!([up]))).await;
    assert_eq!(ask(vec![], Some(&url), targets_check(1)).await.truth, Truth::True);
    let other = server(
        VICTORIA_METRICS,
        Some(json!([target("serviceScrape/prod/api-two/0", "up", "")])),
    )
    .await;
    assert_eq!(ask(vec![], Some(&other), targets_check(1)).await.truth, Truth::Unknown);
}

/// A Mimir that answers each query with these entries, and counts what it is asked.
async fn with_series(ups: Value, recorded: Value) -> (String, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let query = get(async move |uri: Uri| {
        let is_up = uri.query().unwrap_or_default().contains("count_values");
        json!({"data": {"resultType": "vector", "result": if is_up { &ups } else { &recorded }}}).to_string()
    });
    let router = Router::new()
        .route("/api/v1/query", query)
        .layer(axum::middleware::map_request(move |request: axum::extract::Request| {
            count.fetch_add(1, Ordering::Relaxed);
            std::future::ready(request)
        }));
    (serve(router).await, asked)
}

/// That of the service whose series have the job `api`.
fn rules_of_api() -> Check {
    let mut check = rules_check(1);
    if let Check::Rules { reads, .. } = &mut check {
        reads.job = "api".into();
    }
    check
}

fn ups(job: &str, up: &str, number: &str) -> Value {
    json!({"metric": {"namespace": "prod", "job": job, "up": up}, "value": [1, number]})
}

fn recorded(job: &str) -> Value {
    json!([{"metric": {"namespace": "prod", "job": job}, "value": [1, "1"]}])
}

#[tokio::test]
async fn where_nothing_is_listed_the_series_tell_what_is_scraped_and_evaluated() {
    let none = "has no series observed:targets_up:ratio{namespace=\"prod\", job=\"api\"}";
    for (seen, records, of_targets, of_rules) in [
        (
            json!([ups("api", "1", "2")]),
            recorded("api"),
            (Truth::True, "2 of 2 pods"),
            (Truth::True, "evaluated"),
        ),
        (
            json!([ups("api", "1", "1"), ups("api", "0", "1")]),
            json!([]),
            (Truth::False, "for the others it is 0"),
            (Truth::Unknown, none),
        ),
        (
            json!([ups("api", "1", "1"), ups("api-two", "1", "1")]),
            recorded("api-two"),
            (Truth::False, "for 1 there is none"),
            (Truth::Unknown, none),
        ),
        (
            json!([ups("api-two", "1", "2")]),
            Value::Null,
            (Truth::Unknown, "has no series up{namespace=\"prod\", job=\"api\"}"),
            (Truth::Unknown, "is not understood"),
        ),
    ] {
        let (url, _) = with_series(seen, records).await;
        for (check, (truth, words)) in [(targets_check(2), of_targets), (rules_of_api(), of_rules)] {
            let verdict = ask(vec![], Some(&url), check).await;
            assert_eq!(verdict.truth, truth, "{verdict:?}");
            assert!(verdict.message.contains(words), "{words}: {}", verdict.message);
        }
    }
}

#[tokio::test]
async fn a_thousand_services_behind_what_lists_nothing_ask_each_question_once() {
    let (url, asked) = with_series(json!([ups("api", "1", "2")]), recorded("api")).await;
    let client = client();
    let facts = Facts {
        namespace: "prod".into(),
        ..Default::default()
    };
    let backends = Backends {
        prometheus_url: Some(&url),
        ..backends(&facts, &client)
    };
    let checks = [targets_check(2), rules_of_api()];
    let looks = (0..1000).map(|_| verify(&backends, &checks));
    for verdict in join_all(looks).await.into_iter().flatten() {
        assert_eq!(verdict.truth, Truth::True, "{verdict:?}");
    }
    // The targets, the rules, and a query for each.
    assert_eq!(asked.load(Ordering::Relaxed), 4);
}
