//! The exporters that dependencies are read from.

use observed_core::plan::Exporter;

use super::*;

/// A database that is read from this job.
pub(super) fn of_db(job: &str) -> BTreeMap<String, Exporter> {
    let exporter = Exporter {
        namespace: "data".into(),
        job: job.into(),
        instance: None,
    };
    [("db".to_owned(), exporter)].into()
}

/// What is told where the service is scraped, one exporter is up, and one of the two targets of another one.
async fn told(job: &str, shards: Option<i32>) -> Verdict {
    let sample = |job: &str, up: &str, count: &str| json!({"metric": {"namespace": "data", "job": job, "up": up}, "value": [1.0, count]});
    let ups = [
        sample("postgres", "1", "1"),
        sample("half", "1", "1"),
        sample("half", "0", "1"),
    ];
    let ups = json!({"data": {"resultType": "vector", "result": ups}}).to_string();
    let pools = json!({"data": targets(&[target(POOL, "up", "")])}).to_string();
    let router = Router::new()
        .route("/api/v1/targets", get(async move || pools))
        .route("/api/v1/query", get(async move || ups));
    let prometheus = facts::Prometheus {
        shards,
        ..prometheus("main", &serve(router).await, Some(LabelSelector::default()))
    };
    let mut check = targets_check(1);
    if let Check::Targets { exporters, .. } = &mut check {
        *exporters = of_db(job);
    }
    let verdict = ask(vec![prometheus], None, check).await;
    assert_eq!(
        (verdict.truth, verdict.reason),
        (Truth::True, Reason::TargetsUp),
        "{verdict:?}"
    );
    verdict
}

#[tokio::test]
async fn an_exporter_that_is_not_scraped_is_named_with_the_dependency_that_is_read_from_it() {
    let message = told("postgres", None).await.message;
    assert!(!message.contains("Worth knowing"), "{message}");
    let message = told("postgre", None).await.message;
    for words in [
        "has no target of the job \"postgre\" in the namespace \"data\", which the dependency \"db\" is read from",
        "spec.dependencies[].scrapedFrom",
    ] {
        assert!(message.contains(words), "{message}");
    }
    let message = told("half", None).await.message;
    assert!(
        message.contains("scrapes 1 of 2 targets of the job \"half\""),
        "{message}"
    );
}

#[tokio::test]
async fn an_exporter_that_one_shard_does_not_scrape_another_may() {
    let message = told("postgre", Some(2)).await.message;
    assert!(!message.contains("Worth knowing"), "{message}");
}
