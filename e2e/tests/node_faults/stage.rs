//! A cluster with monitoring, Observed, and the sample that a user copies, with shorter times and images of our own making.

use std::fmt::Debug;
use std::ops::RangeBounds;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

use http::Method;
use observed_e2e::demo::judge::{self, Before};
use observed_e2e::demo::kubectl::Kubectl;
use observed_e2e::demo::look::{Backend, Eyes};
use observed_e2e::demo::manifest::{Install, checkout};
use observed_e2e::demo::promise::Promise;
use observed_e2e::demo::{sample, stage};
use observed_e2e::{Cluster, Node, Progress, dependencies, monitoring, wait};
use serde_json::{Value, json};

use crate::around::{around, at, caller, routes};

pub const SOON: Duration = Duration::from_secs(180);
pub const NAMESPACE: &str = "prod";
const FILE: &str = "manifests/samples/claude-api-dependencies.yaml";

/// The images that the manifest names, and ours in their place: none can be pulled here.
const IMAGES: [(&str, &str); 4] = [
    ("postgres:15", dependencies::POSTGRES),
    ("redis:7", dependencies::REDIS),
    (
        "quay.io/prometheuscommunity/postgres-exporter:v0.19.1",
        dependencies::POSTGRES_EXPORTER,
    ),
    ("oliver006/redis_exporter:v1.45.0", dependencies::REDIS_EXPORTER),
];

pub struct Stage {
    pub eyes: Eyes,
    pub cluster: Cluster,
    pub kubectl: Kubectl,
}

/// A pod of the API, and how often its container was started again.
pub type Pod = (String, u64);

impl Stage {
    pub async fn set() -> Self {
        let progress = Progress::detect();
        let install = Install::read().unwrap();
        let (images, _) = stage::build(&install, &progress).await.unwrap();
        let databases = dependencies::images(&progress).await.unwrap();
        let node = Node {
            executable: env!("CARGO_BIN_EXE_demo").into(),
            monitoring: true,
        };
        let cluster = Cluster::node(node, &progress).await.unwrap();
        for image in images.iter().chain(&databases) {
            cluster.load_image(image).await.unwrap();
        }
        monitoring::install(&cluster, &progress).await.unwrap();
        monitoring::add_kube_state_metrics(&cluster, &progress).await.unwrap();
        let backend = |service: &str, port| Backend {
            namespace: monitoring::NAMESPACE.to_owned(),
            service: service.to_owned(),
            port,
        };
        let stage = Self {
            eyes: Eyes {
                client: cluster.client().unwrap(),
                namespace: NAMESPACE.to_owned(),
                prometheus: backend(monitoring::PROMETHEUS_SERVICE, 9090),
                alertmanager: backend(monitoring::ALERTMANAGER_SERVICE, 9093),
            },
            kubectl: Kubectl::new(cluster.kubectl(), cluster.kubeconfig()),
            cluster,
        };
        stage.apply(&install.with_image(&install.image)).await;
        stage.kubectl(&["create", "namespace", NAMESPACE]).await;
        stage.apply(&stage.volumes()).await;
        stage.apply(&around()).await;
        stage.apply(&routes()).await;
        stage.apply(&manifest()).await;
        stage
    }

    /// Where a cluster has a provisioner of volumes, a claim is enough.
    fn volumes(&self) -> String {
        let volume = |name: &str| {
            let path = self.cluster.run_dir().join("volumes").join(name);
            std::fs::create_dir_all(&path).unwrap();
            // Volumes of a host do not take the group of a pod.
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o777)).unwrap();
            json!({
                "apiVersion": "v1",
                "kind": "PersistentVolume",
                "metadata": {"name": name},
                "spec": {
                    "capacity": {"storage": "1Gi"},
                    "accessModes": ["ReadWriteOnce"],
                    "claimRef": {"namespace": NAMESPACE, "name": format!("data-{name}-0")},
                    "hostPath": {"path": path},
                },
            })
        };
        list(&["postgres", "redis"].map(volume))
    }

    /// Where the node keeps the volume of a pod that has this name and ends with it.
    pub fn empty_dir_of(&self, pod_uid: &str, name: &str) -> PathBuf {
        let pods = self.cluster.run_dir().join("kubelet/pods");
        pods.join(pod_uid).join("volumes/kubernetes.io~empty-dir").join(name)
    }

    pub async fn kubectl(&self, arguments: &[&str]) -> String {
        self.kubectl.run(arguments).await.unwrap()
    }

    pub async fn apply(&self, objects: &str) {
        let arguments = ["apply", "--server-side", "-f", "-"];
        self.kubectl.run_with(&arguments, Some(objects)).await.unwrap();
    }

    /// A caller that keeps to one pod and does not care whether it is ready, as those do that keep their connections.
    pub async fn ask_a_pod(&self) {
        let pods = self.eyes.objects().await.pods.unwrap();
        let address = pods["items"][0]["status"]["podIP"].as_str().unwrap();
        let messages = format!("http://{address}:8080/v1/messages");
        self.apply(&list(&[caller("keeps-to-a-pod", &messages, "5")])).await;
    }

    pub async fn ask_a_pod_no_more(&self) {
        self.kubectl(&["delete", "job", "keeps-to-a-pod", "-n", NAMESPACE, "--wait=false"])
            .await;
    }

    pub async fn ask_for_tasks(&self) {
        self.apply(&list(&[caller("tasks", &at("tasks"), "1")])).await;
    }

    /// Switches faults of every pod of the API.
    pub async fn switch(&self, faults: &str) {
        let faults: Value = serde_json::from_str(faults).unwrap();
        for (pod, _) in self.pods().await {
            let told = self
                .eyes
                .tell_pod(Method::PUT, &pod, sample::ADMIN_PORT, "/faults", &faults);
            assert!(!told.await.unwrap().is_null(), "no pod {pod}");
        }
    }

    /// Whether an alert fires, and nobody is told of it because another one does.
    pub async fn is_inhibited(&self, symptom: &str, cause: &str) -> Result<(), String> {
        let alerts = self.eyes.alerts().await.alertmanager?;
        let find = |name: &str| {
            let mut alerts = alerts.as_array().into_iter().flatten();
            let of_name =
                |alert: &&Value| alert["labels"]["alertname"] == name && alert["labels"]["namespace"] == NAMESPACE;
            alerts
                .find(of_name)
                .ok_or_else(|| format!("Alertmanager has no {name}"))
        };
        let (symptom, cause) = (find(symptom)?, find(cause)?);
        let by = symptom["status"]["inhibitedBy"].as_array();
        if by.is_some_and(|by| by.contains(&cause["fingerprint"])) {
            Ok(())
        } else {
            Err(symptom["status"].to_string())
        }
    }

    /// Takes the rule away that keeps what follows from being told.
    pub async fn inhibit_nothing(&self) {
        let patch = r#"[{"op": "remove", "path": "/spec/inhibitRules"}]"#;
        let arguments = [
            "patch",
            "alertmanagerconfig",
            "on-call",
            "-n",
            NAMESPACE,
            "--type=json",
            "-p",
            patch,
        ];
        self.kubectl(&arguments).await;
    }

    pub async fn scale(&self, what: &str, replicas: u32) {
        let replicas = format!("--replicas={replicas}");
        self.kubectl(&["scale", what, &replicas, "-n", NAMESPACE]).await;
    }

    /// Sends who connects to a Service to this port of its pods.
    pub async fn send_to_port(&self, service: &str, port: &str) {
        let patch = format!(r#"[{{"op": "replace", "path": "/spec/ports/0/targetPort", "value": {port}}}]"#);
        let arguments = [
            "patch",
            "service",
            service,
            "-n",
            NAMESPACE,
            "--type=json",
            "-p",
            &patch,
        ];
        self.kubectl(&arguments).await;
    }

    /// Gives an exporter a flag that it does not know, and no second pod that could stand in.
    pub async fn break_exporter(&self, name: &str) {
        self.patch(name, &json!({"args": ["--no-such-flag"]})).await;
    }

    pub async fn mend_exporter(&self, name: &str) {
        self.patch(name, &json!({"args": null})).await;
    }

    /// Adds a rule to those of the sample that Prometheus loads and cannot evaluate: a join that finds two samples where one must be.
    pub async fn break_a_rule(&self) {
        let expr = "vector(1) / on () (vector(1) or label_replace(vector(1), \"a\", \"b\", \"\", \"\"))";
        let group = format!("observed:{NAMESPACE}/claude-api:broken");
        let rules = json!({
            "apiVersion": "monitoring.coreos.com/v1",
            "kind": "PrometheusRule",
            "metadata": {"name": "broken", "namespace": NAMESPACE},
            "spec": {"groups": [{"name": group, "rules": [{"record": "broken", "expr": expr}]}]},
        });
        self.apply(&rules.to_string()).await;
    }

    async fn patch(&self, name: &str, container: &Value) {
        let mut container = container.clone();
        container["name"] = json!("exporter");
        let patch = json!({"spec": {
            "strategy": {"type": "Recreate", "rollingUpdate": null},
            "template": {"spec": {"containers": [container]}},
        }});
        self.kubectl(&["patch", "deployment", name, "-n", NAMESPACE, "-p", &patch.to_string()])
            .await;
    }

    /// Waits until a promise of the demo holds for the sample.
    pub async fn holds(&self, promise: Promise) {
        let before = Before {
            generation: 1,
            replica_sets: 1,
        };
        let look = || async { judge::objects(promise, &self.eyes.objects().await, before) };
        let waited = wait::until(SOON, promise.words(), look).await;
        if let Err(error) = waited {
            let pods = self.kubectl(&["get", "pods,pvc", "-A", "-o", "wide"]).await;
            let events = self
                .kubectl(&["get", "events", "-n", NAMESPACE, "--sort-by=.lastTimestamp"])
                .await;
            let mut logs = String::new();
            for what in ["statefulset/postgres", "statefulset/redis", "deployment/claude-api"] {
                let arguments = ["logs", "-n", NAMESPACE, what, "--tail=20"];
                logs += &self
                    .kubectl
                    .run(&arguments)
                    .await
                    .unwrap_or_else(|error| error.to_string());
            }
            panic!("{error}\n{pods}\n{events}\n{logs}");
        }
    }

    /// Waits until so many pods of the API are ready.
    pub async fn is_ready(&self, pods: u64) {
        let look = || async {
            let seen = self.eyes.objects().await.deployment?;
            let ready = seen["status"]["readyReplicas"].as_u64().unwrap_or_default();
            if ready == pods {
                Ok(())
            } else {
                Err(format!("{ready} are ready"))
            }
        };
        wait::until(SOON, &format!("{pods} pods of the API to be ready"), look)
            .await
            .unwrap();
    }

    pub async fn pods(&self) -> Vec<Pod> {
        let pods = self.eyes.objects().await.pods.unwrap();
        let pods = pods["items"].as_array().unwrap().iter();
        let mut pods: Vec<Pod> = pods
            .map(|pod| {
                let restarts = pod["status"]["containerStatuses"][0]["restartCount"].as_u64().unwrap();
                (pod["metadata"]["name"].as_str().unwrap().to_owned(), restarts)
            })
            .collect();
        pods.sort();
        pods
    }

    /// The result of a query.
    pub async fn query(&self, expression: &str) -> Result<Vec<Value>, String> {
        let query: String = form(expression);
        let Backend {
            namespace,
            service,
            port,
        } = &self.eyes.prometheus;
        let path = format!("/api/v1/namespaces/{namespace}/services/{service}:{port}/proxy/api/v1/query?query={query}");
        let answer = self.eyes.get(&path).await?;
        let result = answer["data"]["result"].as_array().cloned();
        result.ok_or_else(|| answer.to_string())
    }

    /// Waits until Prometheus has so many values of an expression: `1..` for any, `3..=3` for three.
    pub async fn has(&self, expression: &str, values: impl RangeBounds<usize> + Debug, limit: Duration) {
        let look = || async {
            let found = self.query(expression).await?;
            if values.contains(&found.len()) {
                Ok(())
            } else {
                Err(format!("{} of {values:?}: {found:?}", found.len()))
            }
        };
        wait::until(limit, expression, look).await.unwrap();
    }

    pub async fn end(self) {
        self.cluster.stop().await.unwrap();
    }
}

/// Percent-encodes all that is not a letter or digit.
fn form(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(byte).to_string(),
            other => format!("%{other:02X}"),
        })
        .collect()
}

pub fn list(items: &[Value]) -> String {
    json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string()
}

/// The file that a user copies, with our images and with times that a test can wait for: as in the demo, by the ObservedService alone.
fn manifest() -> String {
    let mut text = std::fs::read_to_string(checkout().join(FILE)).unwrap();
    for (theirs, ours) in IMAGES {
        let (theirs, ours) = (format!("image: {theirs}\n"), format!("image: {ours}\n"));
        assert!(text.contains(&theirs), "{FILE} has no {theirs}");
        text = text.replace(&theirs, &ours);
    }
    let mut items: Vec<Value> = serde_saphyr::from_multiple(&text).unwrap();
    let service = items.iter_mut().find(|item| item["kind"] == "ObservedService").unwrap();
    service["spec"]["scrape"] = json!({"interval": "5s", "timeout": "4s"});
    service["spec"]["signals"]["window"] = json!("30s");
    let of_both = ["Down", "Unobservable", "ExporterDown", "ExporterAbsent"];
    let names = ["Postgres", "Redis"].map(|of| of_both.map(|what| format!("{of}{what}")));
    for name in names
        .as_flattened()
        .iter()
        .map(String::as_str)
        .chain(["PostgresConnectionsExhausted"])
    {
        service["spec"]["signals"]["alerts"][name] =
            json!({"because": "short times for a test", "for": "10s", "keepFiringFor": "5s"});
    }
    // Longer than what causes it, as in the packs: a symptom that is told first is told.
    service["spec"]["signals"]["alerts"]["HighErrorRate"] =
        json!({"because": "short times for a test", "for": "30s", "keepFiringFor": "5s"});
    service["spec"]["signals"]["alerts"]["HighResponseTime"] =
        json!({"because": "short times for a test", "above": "1", "for": "10s", "keepFiringFor": "5s"});
    service["spec"]["signals"]["alerts"]["QueueStuck"] =
        json!({"because": "short times for a test", "above": "10", "for": "10s", "keepFiringFor": "5s"});
    service["spec"]["signals"]["alerts"]["RuleEvaluationFailing"] =
        json!({"because": "short times for a test", "for": "10s", "keepFiringFor": "5s"});
    list(&items)
}
