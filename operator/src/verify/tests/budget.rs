//! How often a Prometheus and an Alertmanager are asked for many services.

use super::*;
use crate::verify::seldom::EVERY;
use crate::verify::shared::KEPT;

const SERVICES: usize = 1000;
/// What is promised.
const MOST_PER_SECOND: f64 = 5.0;

/// A Prometheus, and its Alertmanager, of that many services with three pods and six groups of rules each.
async fn of_many() -> (String, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let all: Vec<Value> = (0..3 * SERVICES)
        .map(|pod| {
            let mut target = target(&format!("serviceMonitor/prod/api-{}/0", pod / 3), "up", "");
            target["scrapeUrl"] = format!("http://10.244.{}.{}:8000/metrics", pod / 250, pod % 250).into();
            target
        })
        .collect();
    let all = json!({"status": "success", "data": targets(&all)}).to_string();
    let groups: Vec<Value> = (0..6 * SERVICES)
        .map(|number| group(&format!("prod.api-{}.{}", number / 6, number % 6), &[("a", "ok", "")]))
        .collect();
    // Cut into pages as Prometheus 3.16 does, before anybody waits for them.
    let cut: Vec<&[Value]> = groups.chunks(500).collect();
    let pages: Arc<Vec<String>> = Arc::new(
        (1..)
            .zip(&cut)
            .map(|(next, groups)| {
                let mut data = json!({"groups": groups});
                if next < cut.len() {
                    data["groupNextToken"] = next.to_string().into();
                }
                json!({"status": "success", "data": data}).to_string()
            })
            .collect(),
    );
    let page = async move |uri: Uri| {
        let query = uri.query().unwrap_or_default();
        assert!(query.contains("group_limit=500"), "{query}");
        let token = query.split_once("group_next_token=").map_or("0", |(_, token)| token);
        pages[token.parse::<usize>().unwrap()].clone()
    };
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let told = json!({"data": {"activeAlertmanagers": [{"url": format!("{url}/api/v2/alerts")}]}}).to_string();
    let status = json!({"config": {"original": routes::CONFIG}}).to_string();
    let count = Arc::clone(&asked);
    let router = Router::new()
        .route("/api/v1/targets", get(async move || all.clone()))
        .route("/api/v1/rules", get(page))
        .route("/api/v1/alertmanagers", get(async move || told.clone()))
        .route("/api/v2/status", get(async move || status.clone()))
        .route("/api/v2/silences", get(async || "[]"))
        .route("/api/v1/label/__name__/values", get(async || r#"{"data": ["up"]}"#))
        .route(
            "/api/v1/query",
            get(async || r#"{"data": {"resultType": "vector", "result": []}}"#),
        )
        .layer(axum::middleware::map_request(move |request: axum::extract::Request| {
            count.fetch_add(1, Ordering::Relaxed);
            std::future::ready(request)
        }));
    tokio::spawn(async move { axum::serve(listener, router).await });
    (url, asked)
}

fn checks(service: usize) -> [Check; 3] {
    let name = format!("api-{service}");
    let targets = Check::Targets {
        kind: "ServiceMonitor",
        namespace: "prod".into(),
        name: name.clone(),
        labels: BTreeMap::new(),
        job: "api".into(),
        expected: 3,
        exporters: exporters::of_db("postgres-exporter"),
    };
    let rules = Check::Rules {
        namespace: "prod".into(),
        groups: (0..6).map(|group| format!("prod.{name}.{group}")).collect(),
        name,
        labels: BTreeMap::new(),
        expected: 6,
        reach: Duration::ZERO,
        reads: Reads {
            kind: "ServiceMonitor",
            monitor: format!("api-{service}"),
            job: "api".into(),
            needs: vec![Need {
                metric: "up".into(),
                alerts: ["Down".to_owned()].into(),
                when_missing: String::new(),
            }],
            priced: [Priced {
                metric: "tokens_used_total".into(),
                label: "model".into(),
                values: ["small".to_owned()].into(),
            }]
            .into(),
        },
    };
    [targets, rules, routes::routes(&[("Down", "critical")])]
}

/// What every service is told, when all of them look at the same time.
async fn look(url: &str, client: impl Fn() -> Arc<Prometheus>, services: usize) {
    let facts = Arc::new(Facts {
        namespace: "prod".into(),
        prometheuses: vec![prometheus("main", url, Some(LabelSelector::default()))],
        ..Default::default()
    });
    let looks = (0..services).map(|service| {
        let (client, facts) = (client(), Arc::clone(&facts));
        tokio::spawn(async move { verify(&backends(&facts, &client), &checks(service)).await })
    });
    for verdict in join_all(looks).await.into_iter().flat_map(Result::unwrap) {
        assert_eq!(verdict.truth, Truth::True, "{verdict:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_thousand_services_ask_no_more_than_five_times_a_second() {
    let (url, asked) = of_many().await;
    let one = Arc::new(client());
    look(&url, || Arc::clone(&one), SERVICES).await;
    let requests = asked.load(Ordering::Relaxed);
    // Targets, which jobs are up, twelve pages of rules, who is told of alerts, its routes, its silences and which alerts it
    // has.
    let often: u32 = 1 + 1 + 12 + 1 + 1 + 1 + 1;
    // The names of all metrics, the series with each of the labels that a target has, and the models that tokens are counted of.
    let seldom: u32 = 1 + 7 + 1;
    assert_eq!(requests, usize::try_from(often + seldom).unwrap());
    let a_second = f64::from(often) / KEPT.as_secs_f64() + f64::from(seldom) / EVERY.as_secs_f64();
    assert!(a_second <= MOST_PER_SECOND, "{a_second} requests a second");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn services_that_share_nothing_ask_for_each_of_them() {
    let (url, asked) = of_many().await;
    look(&url, || Arc::new(client()), 3).await;
    assert_eq!(asked.load(Ordering::Relaxed), 3 * 27);
}

#[tokio::test]
async fn what_is_larger_than_what_is_read_is_asked_for_this_pool_and_these_groups_only() {
    let narrow = get(async |uri: Uri| {
        let query = uri.query().unwrap_or_default();
        if !query.contains("scrapePool") && !query.contains("rule_group") {
            return " ".repeat((16 << 20) + 1);
        }
        // As words: values of a query are not repeated.
        let query = &query.replace('&', " and ");
        json!({"data": {"activeTargets": [target(POOL, "down", query)], "groups": [group("prod.api.http", &[("a", "err", query)])]}})
            .to_string()
    });
    let router = Router::new()
        .route("/prefix/api/v1/targets", narrow.clone())
        .route("/prefix/api/v1/rules", narrow);
    let base = format!("{}/prefix", serve(router).await);
    for (check, words) in [
        (
            targets_check(1),
            "state=active and scrapePool=serviceMonitor%2Fprod%2Fapi%2F0",
        ),
        (
            rules_check(1),
            "rule_group%5B%5D=prod.api.http and rule_group%5B%5D=prod.api.target",
        ),
    ] {
        let verdict = ask_one(&base, check).await;
        assert_eq!(verdict.truth, Truth::False);
        assert!(verdict.message.contains(words), "{}", verdict.message);
    }
}

#[tokio::test]
async fn rules_that_are_loaded_anew_between_two_pages_are_asked_for_once_more() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let page = async move |uri: Uri| {
        let second = uri.query().unwrap_or_default().contains("group_next_token");
        let name = if second { "prod.api.target" } else { "prod.api.http" };
        let mut data = json!({"groups": [group(name, &[("a", "ok", "")])]});
        if !second {
            data["groupNextToken"] = "x".into();
        }
        match count.fetch_add(1, Ordering::Relaxed) {
            1 => (StatusCode::BAD_REQUEST, String::new()),
            _ => (StatusCode::OK, json!({"data": data}).to_string()),
        }
    };
    let url = serve(Router::new().route("/api/v1/rules", get(page))).await;
    let verdict = ask_one(&url, rules_check(2)).await;
    assert_eq!((verdict.truth, verdict.count), (Truth::True, Some((2, 2))));
    assert_eq!(asked.load(Ordering::Relaxed), 4);
}
