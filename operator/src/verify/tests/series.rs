//! What Prometheus has never seen, and labels that it stores under other names.

use std::sync::Mutex;

use axum::extract::Query;
use observed_core::promql::Expression;

use super::*;
use crate::verify::prometheus::locked;

/// A Prometheus with healthy rules that can change: whether the target is up, its metrics, and the answer about each label.
#[derive(Clone)]
struct Fake {
    up: bool,
    metrics: Arc<Mutex<(StatusCode, Value)>>,
    /// The label of which series collided, and of which namespace and job.
    collided: (&'static str, &'static str, &'static str),
    /// Namespace, job and model of what tokens are counted of.
    models: &'static [(&'static str, &'static str, &'static str)],
}

impl Fake {
    fn new(metrics: &[&str]) -> Self {
        Self {
            up: true,
            metrics: Arc::new(Mutex::new((StatusCode::OK, json!(metrics)))),
            collided: ("", "", ""),
            models: &[],
        }
    }

    async fn serve(self) -> String {
        let health = if self.up { "up" } else { "down" };
        let pools = json!({"data": targets(&[target(POOL, health, "")])}).to_string();
        let rules = json!({"data": {"groups": [group("prod.api.http", &[("a", "ok", "")])]}}).to_string();
        let names = async move || {
            let (status, names) = locked(&self.metrics).clone();
            (status, json!({"status": "success", "data": names}).to_string())
        };
        let (label, namespace, job) = self.collided;
        let query = async move |asked: Query<BTreeMap<String, String>>| {
            let query = &asked["query"];
            Expression::parse(query).unwrap();
            let asked = !label.is_empty() && query.contains(&format!("exported_{label}"));
            let metric = json!({"metric": {"namespace": namespace, "job": job}, "value": [1.0, "12"]});
            let mut result: Vec<Value> = Some(metric).filter(|_| asked).into_iter().collect();
            if query.contains("tokens_used_total") {
                let sample = |(namespace, job, model)| json!({"metric": {"namespace": namespace, "job": job, "model": model}, "value": [1.0, "2"]});
                result.extend(self.models.iter().copied().map(sample));
            }
            json!({"status": "success", "data": {"resultType": "vector", "result": result}}).to_string()
        };
        let router = Router::new()
            .route("/api/v1/targets", get(async move || pools))
            .route("/api/v1/rules", get(async move || rules))
            .route("/api/v1/label/__name__/values", get(names))
            .route("/api/v1/query", get(query));
        serve(router).await
    }
}

/// Rules of which one alert needs each of these.
fn reading(metrics: &[(&str, &str)]) -> Check {
    let need = |(metric, alert): &(&str, &str)| Need {
        metric: (*metric).to_owned(),
        alerts: [(*alert).to_owned()].into(),
        when_missing: "Let Prometheus scrape kube-state-metrics.".into(),
    };
    let mut check = rules_check(1);
    if let Check::Rules { reads, .. } = &mut check {
        *reads = Reads {
            kind: "ServiceMonitor",
            monitor: "api".into(),
            job: "api".into(),
            needs: metrics.iter().map(need).collect(),
            priced: [Priced {
                metric: "tokens_used_total".into(),
                label: "model".into(),
                values: ["large", "small"].map(str::to_owned).into(),
            }]
            .into(),
        };
    }
    check
}

async fn told(fake: Fake, check: Check) -> String {
    let verdict = ask_one(&fake.serve().await, check).await;
    of_loaded(verdict)
}

#[tokio::test]
async fn a_metric_that_prometheus_has_never_seen_is_named_with_the_alerts_that_cannot_fire() {
    let check = || reading(&[("kube_a", "Restarts"), ("kube_b", "Unavailable"), ("up", "Down")]);
    let message = told(Fake::new(&["up", "kube_other"]), check()).await;
    let words = "Worth knowing: asked for the names of all its metrics, Prometheus monitoring/main has none of kube_a, kube_b, without \
         which these alerts cannot fire: Restarts, Unavailable. For kube_a: Let Prometheus scrape kube-state-metrics";
    assert!(message.contains(words), "{message}");
    assert!(
        !message.contains("For kube_b"),
        "the same need not be said twice: {message}"
    );
    let all = told(Fake::new(&["up", "kube_a", "kube_b"]), check()).await;
    assert!(!all.contains("Worth knowing"), "{all}");
}

#[tokio::test]
async fn of_a_service_that_is_not_scraped_or_a_prometheus_that_does_not_say_nothing_is_missed() {
    let down = Fake {
        up: false,
        ..Fake::new(&["up"])
    };
    let silent = Fake::new(&[]);
    *locked(&silent.metrics) = (StatusCode::SERVICE_UNAVAILABLE, json!([]));
    for fake in [down, silent] {
        let message = told(fake, reading(&[("kube_a", "Restarts")])).await;
        assert!(!message.contains("Worth knowing"), "{message}");
    }
}

#[tokio::test]
async fn a_metric_that_is_new_is_not_missed_by_an_answer_that_is_older_than_it() {
    let fake = Fake::new(&["up"]);
    let metrics = Arc::clone(&fake.metrics);
    let url = fake.serve().await;
    let client = client();
    // Asked for another service.
    assert_eq!(client.never_seen(&url, &["up"]).await, BTreeSet::new());
    *locked(&metrics) = (StatusCode::OK, json!(["up", "new_total"]));
    assert_eq!(client.never_seen(&url, &["new_total"]).await, BTreeSet::new());
    assert_eq!(
        client.never_seen(&url, &["new_total"]).await,
        BTreeSet::new(),
        "nor at the next look"
    );
    // Who asks first asks now.
    let asking = super::client();
    assert_eq!(
        asking.never_seen(&url, &["old_total"]).await,
        BTreeSet::from(["old_total"])
    );
}

#[tokio::test]
async fn a_label_that_became_another_one_is_named_with_what_mends_it() {
    let of = |label, namespace, job| Fake {
        collided: (label, namespace, job),
        ..Fake::new(&[])
    };
    let message = told(of("service", "prod", "api"), reading(&[])).await;
    for words in [
        "stores the service's own under other names: exported_service. Rename them in the service",
        "spec.signals.rename (service: exported_service)",
        "honorLabels would keep them, and let the service pretend to be another",
    ] {
        assert!(message.contains(words), "{message}");
    }
    for (label, namespace, job) in [("", "", ""), ("service", "prod", "other"), ("service", "test", "api")] {
        let message = told(of(label, namespace, job), reading(&[])).await;
        assert!(!message.contains("Worth knowing"), "{message}");
    }
}

#[tokio::test]
async fn a_price_of_a_model_that_is_not_used_is_named_and_so_is_a_model_without_a_price() {
    let of = |models| Fake {
        models,
        ..Fake::new(&[])
    };
    let both = told(of(&[("prod", "api", "large"), ("prod", "api", "small")]), reading(&[])).await;
    assert!(!both.contains("Worth knowing"), "{both}");
    // Nobody knows what a service uses that has counted nothing: others' tokens say nothing of it.
    let others: &[_] = &[("prod", "other", "tiny"), ("test", "api", "tiny")];
    let nothing = told(of(others), reading(&[])).await;
    assert!(!nothing.contains("Worth knowing"), "{nothing}");

    let idle = told(of(&[("prod", "api", "large")]), reading(&[])).await;
    for words in [
        "asked which model tokens_used_total counts, ",
        " knows none called small, now, 6 h ago or 24 h ago, for which spec.signals.prices has a price",
        "for instance large, or take the price out",
    ] {
        assert!(idle.contains(words), "{idle}");
    }
    assert!(!idle.contains("costs nothing"), "{idle}");
    let free: &[_] = &[
        ("prod", "api", "large"),
        ("prod", "api", "small"),
        ("prod", "api", "tiny"),
    ];
    let free = told(of(free), reading(&[])).await;
    assert!(
        free.contains(" knows tiny, for which spec.signals.prices has no price, so that it costs nothing"),
        "{free}"
    );
    assert!(!free.contains("has a price"), "{free}");
}

#[tokio::test]
async fn a_question_that_takes_long_does_not_make_the_prometheus_one_that_does_not_answer() {
    let fake = Router::new()
        .route(
            "/api/v1/label/__name__/values",
            get(async || std::future::pending::<String>().await),
        )
        .route(
            "/api/v1/targets",
            get(async || json!({"data": targets(&[])}).to_string()),
        );
    let (url, client) = (serve(fake).await, client());
    assert_eq!(client.never_seen(&url, &["a"]).await, BTreeSet::new());
    assert!(client.targets(&url, POOL).await.is_ok());
}

#[tokio::test]
async fn what_one_shard_has_never_seen_another_may_have() {
    for (shards, is_told) in [(Some(2), false), (None, true)] {
        let prometheus = facts::Prometheus {
            shards,
            ..prometheus(
                "main",
                &Fake::new(&["up"]).serve().await,
                Some(LabelSelector::default()),
            )
        };
        let verdict = ask(vec![prometheus], None, reading(&[("kube_a", "Restarts")])).await;
        assert_eq!(verdict.message.contains("kube_a"), is_told, "{}", verdict.message);
    }
}
