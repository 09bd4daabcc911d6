//! Copies of the sample without databases: each with a fault of its own, all at the same time, and one with none.

use std::time::{Duration, Instant};

use http::Method;
use observed_e2e::demo::look::Eyes;
use observed_e2e::demo::sample;
use serde_json::{Value, json};

use crate::faults::{Faults, Told};
use crate::stage::{Stage, list};
use crate::{volumes, yesterday};

const NAMESPACE: &str = "copies";
const SOON: Duration = Duration::from_secs(180);

/// Each copy, and the requests a second that it is asked from the start.
const COPIES: [(&str, u32); 16] = [
    ("healthy", 2),
    ("errors", 3),
    ("panics", 3),
    ("slow", 3),
    ("burst", 3),
    ("slow-burn", 6),
    ("leak", 1),
    ("unlimited", 1),
    ("killed", 1),
    ("gone", 1),
    ("fallback", 0),
    ("spender", 0),
    ("full", 0),
    ("regressed", 3),
    ("renewed", 3),
    ("throttled", 0),
];
/// Those that mount a volume. Never the healthy one: the wait for a volume can be long enough for its `TargetAbsent`.
const WITH_VOLUME: [&str; 2] = ["spender", "full"];
/// US dollars an hour at this time of the day before, of one that now costs far more and of one that does not.
const COST_YESTERDAY: [(&str, f64); 2] = [("spender", 0.5), ("slow-burn", 2.0)];

pub struct Copies<'a> {
    stage: &'a Stage,
    pub eyes: Eyes,
}

impl<'a> Copies<'a> {
    /// Applies them all. They are not there yet.
    pub async fn set(stage: &'a Stage) -> Self {
        stage.kubectl(&["create", "namespace", NAMESPACE]).await;
        volumes::make(stage, NAMESPACE, &WITH_VOLUME).await;
        volumes::fill(stage, NAMESPACE, "spender", 8).await;
        yesterday::cost(stage, NAMESPACE, &COST_YESTERDAY).await;
        let all: Value = serde_json::from_str(&sample::manifests(NAMESPACE, sample::IMAGE)).unwrap();
        let (copied, mut items): (Vec<Value>, Vec<Value>) = all["items"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|item| item["kind"] != "Job")
            .cloned()
            .partition(|item| item["metadata"]["name"] == sample::NAME);
        for (name, _) in COPIES {
            items.extend(copied.iter().map(|item| copy(item, name)));
            items.push(observed(name));
        }
        let asked: Vec<_> = COPIES.into_iter().filter(|(_, rate)| *rate > 0).collect();
        items.push(load("load", &asked));
        stage.apply(&list(&items)).await;
        let eyes = Eyes {
            namespace: NAMESPACE.to_owned(),
            ..stage.eyes.clone()
        };
        Self { stage, eyes }
    }

    /// Waits until Prometheus has scraped every copy and evaluated its rules.
    pub async fn are_observed(&self) {
        let ups = format!("observed:targets_up:ratio{{namespace=\"{NAMESPACE}\"}} == 1");
        let memory = format!("observed:container_memory:ratio{{namespace=\"{NAMESPACE}\",container=\"api\"}}");
        let volumes = format!("observed:volume_used:ratio{{namespace=\"{NAMESPACE}\"}}");
        // The one without a limit has no share of it.
        for (expression, count) in [
            (ups, COPIES.len()),
            (memory, COPIES.len() - 1),
            (volumes, WITH_VOLUME.len()),
        ] {
            self.stage.has(&expression, count..=count, SOON).await;
        }
        yesterday::is_known(self.stage, NAMESPACE, COST_YESTERDAY.len()).await;
    }

    /// Breaks all but one, sees what is told of each, and mends what can be mended within a test's time.
    pub async fn break_and_mend(&self, faults: &mut Faults<'_>) {
        let start = Instant::now();
        for (copy, fault) in [
            ("errors", json!({"errorRatio": 0.5})),
            ("panics", json!({"panic": true})),
            ("slow", json!({"latency": "2s"})),
            ("burst", json!({"errorRatio": 1})),
            ("slow-burn", json!({"errorRatio": 0.04})),
            ("fallback", json!({"fallback": true})),
            ("leak", leak(117)),
            ("unlimited", leak(117)),
            ("killed", leak(1024)),
        ] {
            self.switch(copy, &fault).await;
        }
        self.scale("gone", 0).await;
        self.roll_out("regressed", r#"{"errorRatio": 0.5}"#).await;
        self.roll_out("renewed", "{}").await;
        volumes::fill(self.stage, NAMESPACE, "full", 16).await;
        let begin = [load("begins", &[("fallback", 10), ("spender", 40), ("throttled", 100)])];
        self.stage.apply(&list(&begin)).await;
        let told = [
            Told::new("half of the requests fail", "HighErrorRate", &[("service", "errors")]),
            Told::new("a bug panics", "HighErrorRate", &[("service", "panics")]),
            Told::new("the model is slow", "HighResponseTime", &[("service", "slow")]),
            Told::new(
                "more is asked than its CPU limit allows",
                "HighResponseTime",
                &[("service", "throttled")],
            ),
            Told::new("memory leaks", "HighMemoryUsage", &[("service", "leak")]),
            Told::new("a volume is full", "VolumeAlmostFull", &[("service", "full")]),
            Told::new("a rollout brings errors", "HighErrorRate", &[("service", "regressed")]),
            Told::new("scaled to zero", "TargetAbsent", &[("service", "gone")]),
            Told::new(
                "answers come from a fallback",
                "TokensStalled",
                &[("service", "fallback")],
            ),
        ];
        let stays = [
            Told::new("over its memory limit", "ContainerOOMKilled", &[("service", "killed")]),
            Told::new("a caller in a loop", "CostBudgetBurnHour", &[("service", "spender")]),
            Told::new(
                "the same, for a month",
                "CostBudgetBurnMonth",
                &[("service", "spender")],
            ),
            Told::new("more than yesterday", "CostAnomaly", &[("service", "spender")]),
            Told::new("every request fails", "ErrorBudgetBurn", PAGES),
            Told::new("4 % of the requests fail", "ErrorBudgetBurn", TICKETS),
        ];
        let (told, stays) = tokio::join!(faults.fire(start, told), faults.fire(start, stays));
        faults.leave(stays);

        let start = Instant::now();
        for copy in ["errors", "panics", "slow", "leak", "fallback"] {
            self.switch(copy, &json!({})).await;
        }
        self.scale("gone", 1).await;
        let limit = [
            "set",
            "resources",
            "deployment/throttled",
            "-n",
            NAMESPACE,
            "--limits=cpu=500m",
        ];
        self.stage.kubectl(&limit).await;
        volumes::fill(self.stage, NAMESPACE, "full", 8).await;
        let undo = ["rollout", "undo", "deployment/regressed", "-n", NAMESPACE];
        self.stage.kubectl(&undo).await;
        faults.resolve(start, told).await;
    }

    /// What never fired in the time in which all this did, by Prometheus' own record of it.
    pub async fn nothing_else_fired(&self) {
        for silent in [
            r#"service="healthy""#,
            r#"service="renewed""#,
            r#"service="unlimited",alertname="HighMemoryUsage""#,
            r#"service="spender",alertname="VolumeAlmostFull""#,
            r#"service="slow-burn",alertname="ErrorBudgetBurn",severity="critical""#,
            r#"service="slow-burn",alertname="CostAnomaly""#,
        ] {
            let fired = self.fired(silent).await;
            assert_eq!(fired, Vec::<Value>::new(), "{silent}");
        }
        // The same question has an answer where there is one.
        assert!(
            !self
                .fired(r#"service="errors",alertname="HighErrorRate""#)
                .await
                .is_empty()
        );
        let used = r#"observed:volume_used:ratio{namespace="copies",pod=~"spender-.*"} > 0.4 < 0.6"#;
        assert_eq!(self.stage.query(used).await.unwrap().len(), 1, "half of its volume");
        let asked = r#"min_over_time(observed:http_requests:rate{namespace="copies",job="healthy"}[1m]) > 0.5"#;
        assert!(
            !self.stage.query(asked).await.unwrap().is_empty(),
            "nobody asked the healthy one"
        );
    }

    async fn fired(&self, matchers: &str) -> Vec<Value> {
        let firing = format!("ALERTS{{namespace=\"{NAMESPACE}\",alertstate=\"firing\",{matchers}}}");
        let ever = format!("count_over_time({firing}[1h])");
        self.stage.query(&ever).await.unwrap()
    }

    async fn switch(&self, copy: &str, faults: &Value) {
        let path = format!("/api/v1/namespaces/{NAMESPACE}/pods?labelSelector=app%3D{copy}");
        let pods = self.eyes.get(&path).await.unwrap();
        let pod = pods["items"][0]["metadata"]["name"].as_str().unwrap();
        let told = self
            .eyes
            .tell_pod(Method::PUT, pod, sample::ADMIN_PORT, "/faults", faults);
        assert!(!told.await.unwrap().is_null(), "{copy} has no such pod");
    }

    /// Rolls a version out that has these faults from its start.
    async fn roll_out(&self, copy: &str, faults: &str) {
        let (what, version) = (format!("deployment/{copy}"), format!("CLAUDE_API_FAULTS={faults}"));
        self.stage
            .kubectl(&["set", "env", &what, &version, "-n", NAMESPACE])
            .await;
    }

    async fn scale(&self, copy: &str, replicas: u32) {
        let (what, replicas) = (format!("deployment/{copy}"), format!("--replicas={replicas}"));
        self.stage.kubectl(&["scale", &what, &replicas, "-n", NAMESPACE]).await;
    }
}

const PAGES: &[(&str, &str)] = &[("service", "burst"), ("severity", "critical")];
const TICKETS: &[(&str, &str)] = &[("service", "slow-burn"), ("severity", "warning")];

fn leak(most: u32) -> Value {
    json!({"memoryGrowthMiBPerSecond": 16, "memoryGrowthUpToMiB": most})
}

/// A Deployment or Service of the sample under another name.
fn copy(item: &Value, name: &str) -> Value {
    let text = item.to_string();
    let mut copy: Value = serde_json::from_str(&text.replace("\"claude-api\"", &format!("\"{name}\""))).unwrap();
    if copy["kind"] == "Deployment" {
        copy["spec"]["replicas"] = json!(1);
        if name == "unlimited" {
            copy["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"] = json!({"cpu": "500m"});
        }
        if name == "throttled" {
            copy["spec"]["template"]["spec"]["containers"][0]["resources"] =
                json!({"limits": {"cpu": "10m", "memory": "128Mi"}});
        }
        if WITH_VOLUME.contains(&name) {
            volumes::mount(&mut copy, name);
        }
    }
    copy
}

/// The same for every copy, so that the healthy one could fire whatever the others do.
fn observed(name: &str) -> Value {
    let soon = json!({"because": "short times for a test", "for": "10s", "keepFiringFor": "5s"});
    let above = |threshold: &str| {
        let mut soon = soon.clone();
        soon["above"] = json!(threshold);
        soon
    };
    json!({
        "apiVersion": "observed.rs/v1alpha1",
        "kind": "ObservedService",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {
            "targetRef": {"name": name},
            "probes": {"mode": "Disabled"},
            "scrape": {"interval": "5s", "timeout": "4s"},
            "signals": {
                "window": "30s",
                "packs": ["http", "llm", "workload", "target"],
                "alerts": {
                    "HighErrorRate": soon,
                    "HighResponseTime": above("1"),
                    "HighMemoryUsage": soon,
                    "ContainerOOMKilled": soon,
                    "TargetAbsent": soon,
                    "TokensStalled": soon,
                    "CostBudgetBurnHour": above("10"),
                    "CostBudgetBurnMonth": above("100"),
                    "CostAnomaly": soon,
                    "VolumeAlmostFull": soon,
                },
            },
            "objectives": [{"name": "availability", "target": "99%", "minBadEvents": 1, "sli": {"errorRatio": {}}}],
        },
    })
}

/// One pod that asks copies: a container for each.
fn load(name: &str, asked: &[(&str, u32)]) -> Value {
    let mut jobs = asked.iter().map(|(copy, rate)| {
        let (url, rate) = (format!("http://{copy}/v1/messages"), rate.to_string());
        let how = ["--url", &url, "--rate", &rate, "--for", "1h", "--concurrency", "128"];
        let mut job = sample::caller(NAMESPACE, sample::IMAGE, name, &how);
        job["spec"]["template"]["spec"]["containers"][0]["name"] = json!(copy);
        job
    });
    let mut one = jobs.next().unwrap();
    let containers = one["spec"]["template"]["spec"]["containers"].as_array_mut().unwrap();
    containers.extend(jobs.map(|job| job["spec"]["template"]["spec"]["containers"][0].clone()));
    one
}
