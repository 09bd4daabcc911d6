//! A cluster with monitoring, a Grafana of which only the settings are there, and a copy of the sample for each case.

use std::collections::BTreeMap;

use http::Request;
use observed_e2e::demo::kubectl::Kubectl;
use observed_e2e::demo::manifest::Install;
use observed_e2e::demo::{sample, stage};
use observed_e2e::{Cluster, Node, Progress, monitoring};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::cases::{Act, Case, HEALTHY, cases};

pub const MONITORING: &str = monitoring::NAMESPACE;
pub const GRAFANA: &str = "grafana";

/// A condition, as far as it is looked at.
#[derive(Clone, Debug, Deserialize)]
pub struct Condition {
    #[serde(rename = "type")]
    kind: String,
    pub status: String,
    pub reason: String,
    #[serde(default)]
    pub message: String,
}

/// The conditions of each copy, by its namespace.
pub type Conditions = BTreeMap<String, BTreeMap<String, Condition>>;

pub struct Stage {
    cluster: Cluster,
    client: kube::Client,
    kubectl: Kubectl,
}

impl Stage {
    /// Sets all of it up. The copies are not observed yet.
    pub async fn set(cases: &[Case]) -> Self {
        let progress = Progress::detect();
        let install = Install::read().unwrap();
        let (images, _) = stage::build(&install, &progress).await.unwrap();
        let node = Node {
            executable: env!("CARGO_BIN_EXE_demo").into(),
            monitoring: true,
        };
        let cluster = Cluster::node(node, &progress).await.unwrap();
        for image in &images {
            cluster.load_image(image).await.unwrap();
        }
        monitoring::install(&cluster, &progress).await.unwrap();
        let stage = Self {
            client: cluster.client().unwrap(),
            kubectl: Kubectl::new(cluster.kubectl(), cluster.kubeconfig()),
            cluster,
        };
        stage.apply(&install.with_image(&install.image)).await;
        stage.choose_namespaces(cases).await;
        let namespaces = cases.iter().map(|case| (case.namespace(), case.rules_by()));
        let mut items = vec![namespace(GRAFANA, "none"), grafana()];
        for (name, rules) in namespaces.chain([(HEALTHY.to_owned(), "main")]) {
            items.extend(copy(&name, rules));
        }
        stage.apply(&list(&items)).await;
        stage
    }

    /// The Prometheus of the cluster looks into namespaces that are labelled so, as those of many clusters do. Each case that
    /// breaks a Prometheus has one of its own.
    async fn choose_namespaces(&self, cases: &[Case]) {
        let path = format!("/apis/monitoring.coreos.com/v1/namespaces/{MONITORING}/prometheuses/main");
        let main: Value = self
            .client
            .request(Request::get(path).body(Vec::new()).unwrap())
            .await
            .unwrap();
        let by = |rules: &str| json!({"matchLabels": {"rules": rules}});
        let chosen = json!({"spec": {
            "serviceMonitorNamespaceSelector": {"matchLabels": {"monitoring": "on"}},
            "podMonitorNamespaceSelector": {"matchLabels": {"monitoring": "on"}},
            "ruleNamespaceSelector": by("main"),
        }});
        let arguments = [
            "patch",
            "prometheus",
            "main",
            "-n",
            MONITORING,
            "--type=merge",
            "-p",
            &chosen.to_string(),
        ];
        self.kubectl.run(&arguments).await.unwrap();
        let others = cases
            .iter()
            .map(Case::rules_by)
            .filter(|name| *name != "main")
            .map(|name| {
                let mut other = json!({"apiVersion": main["apiVersion"], "kind": main["kind"], "spec": main["spec"],
                "metadata": {"name": name, "namespace": MONITORING}});
                other["spec"].as_object_mut().unwrap().remove("additionalScrapeConfigs");
                for field in ["serviceMonitorNamespaceSelector", "podMonitorNamespaceSelector"] {
                    other["spec"][field] = json!({"matchLabels": {"monitoring": "nowhere"}});
                }
                other["spec"]["ruleNamespaceSelector"] = by(name);
                other
            });
        let others: Vec<Value> = others.collect();
        if !others.is_empty() {
            self.apply(&list(&others)).await;
        }
    }

    async fn apply(&self, objects: &str) {
        let arguments = ["apply", "--server-side", "-f", "-"];
        self.kubectl.run_with(&arguments, Some(objects)).await.unwrap();
    }

    /// Does one thing after the other in the namespace of a case.
    pub async fn act(&self, case: &Case, acts: &[Act]) {
        let namespace = case.namespace();
        let all = cases();
        let others = all.iter().map(Case::namespace).chain([HEALTHY.to_owned()]);
        let others = others.filter(|other| *other != namespace).collect::<Vec<_>>().join(",");
        for (arguments, input) in acts {
            let arguments: Vec<String> = arguments
                .iter()
                .map(|argument| argument.replace("NS", &namespace).replace("OTHERS", &others))
                .collect();
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            let input = input
                .as_ref()
                .map(|input| input.replace("\"NS\"", &format!("{namespace:?}")));
            let done = self.kubectl.run_with(&arguments, input.as_deref()).await;
            done.unwrap_or_else(|error| panic!("{}: {arguments:?}: {error}", case.what));
        }
    }

    /// What every status says of its own generation.
    pub async fn services(&self) -> Result<Conditions, String> {
        let request = Request::get("/apis/observed.rs/v1alpha1/observedservices")
            .body(Vec::new())
            .unwrap();
        let all: Value = self.client.request(request).await.map_err(|error| error.to_string())?;
        let items = all["items"].as_array().ok_or("no list")?.iter();
        let current = items.filter(|item| item["status"]["observedGeneration"] == item["metadata"]["generation"]);
        let conditions = current.map(|item| {
            let all: Vec<Condition> = serde_json::from_value(item["status"]["conditions"].clone()).unwrap();
            let by_kind = all
                .into_iter()
                .map(|condition| (condition.kind.clone(), condition))
                .collect();
            (item["metadata"]["namespace"].as_str().unwrap().to_owned(), by_kind)
        });
        Ok(conditions.collect())
    }

    /// Somebody asks a copy, as these arguments of the sample's `load` say.
    pub async fn ask(&self, namespace: &str, how: &[&str]) {
        let how = [&["--url", "http://api/v1/messages"], how].concat();
        let mut job = sample::caller(namespace, sample::IMAGE, "load", &how);
        // Who asks is not what is looked at.
        let pod = &mut job["spec"]["template"]["spec"];
        pod["containers"][0]["resources"]["limits"] = json!({"memory": "64Mi"});
        // Each request has a connection of its own, whose port is taken for a minute after it: the usual 28,000 are too few.
        pod["securityContext"]["sysctls"] = json!([{"name": "net.ipv4.ip_local_port_range", "value": "1024 65535"}]);
        self.apply(&job.to_string()).await;
    }

    pub async fn scale(&self, namespace: &str, replicas: u32) {
        let replicas = format!("--replicas={replicas}");
        let arguments = ["scale", "deployment/api", &replicas, "-n", namespace];
        self.kubectl.run(&arguments).await.unwrap();
    }

    pub async fn try_kubectl(&self, arguments: &[&str]) -> Result<String, String> {
        self.kubectl.run(arguments).await.map_err(|error| error.to_string())
    }

    /// Generation of the Deployment of a copy.
    pub async fn generation(&self, namespace: &str) -> u64 {
        let arguments = [
            "get",
            "deployment/api",
            "-n",
            namespace,
            "-o",
            "jsonpath={.metadata.generation}",
        ];
        self.kubectl.run(&arguments).await.unwrap().parse().unwrap()
    }

    /// The alerts that fired in the last minutes, by Prometheus' own record of it.
    pub async fn fired(&self, namespace: &str, minutes: u64) -> Result<Vec<Value>, String> {
        let firing = format!("ALERTS%7Balertstate%3D%22firing%22%2Cnamespace%3D%22{namespace}%22%7D");
        let (service, port) = (monitoring::PROMETHEUS_SERVICE, 9090);
        let path = format!(
            "/api/v1/namespaces/{MONITORING}/services/{service}:{port}/proxy/api/v1/query?query=count_over_time({firing}%5B{minutes}m%5D)"
        );
        let request = Request::get(path).body(Vec::new()).unwrap();
        let answer: Value = self.client.request(request).await.map_err(|error| error.to_string())?;
        answer["data"]["result"]
            .as_array()
            .cloned()
            .ok_or_else(|| answer.to_string())
    }

    pub async fn end(self) {
        self.cluster.stop().await.unwrap();
    }
}

fn list(items: &[Value]) -> String {
    json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string()
}

fn namespace(name: &str, rules: &str) -> Value {
    let labels = json!({"monitoring": "on", "rules": rules});
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})
}

/// The sample, its Service, who is told of its alerts, and its ObservedService.
fn copy(name: &str, rules: &str) -> Vec<Value> {
    let service = json!({
        "apiVersion": "observed.rs/v1alpha1", "kind": "ObservedService", "metadata": {"name": "api", "namespace": name},
        "spec": {"targetRef": {"name": "api"}, "probes": {"mode": "Disabled"}, "scrape": {"interval": "5s", "timeout": "4s"}},
    });
    let mut items = vec![namespace(name, rules), deployment(name)];
    items.extend(of_sample(name, "Service"));
    items.extend([routes(name), service]);
    items
}

pub fn deployment(namespace: &str) -> Value {
    let mut deployment = of_sample(namespace, "Deployment").remove(0);
    deployment["spec"]["replicas"] = json!(1);
    deployment
}

fn of_sample(namespace: &str, kind: &str) -> Vec<Value> {
    let text = sample::manifests(namespace, sample::IMAGE).replace("\"claude-api\"", "\"api\"");
    let all: Value = serde_json::from_str(&text).unwrap();
    let items = all["items"].as_array().unwrap().iter();
    let of_kind = items.filter(|item| item["kind"] == kind && item["metadata"]["name"] == "api");
    of_kind.cloned().collect()
}

/// Whom the alerts of a namespace come to. Nobody is told anything here.
pub fn routes(namespace: &str) -> Value {
    json!({
        "apiVersion": "monitoring.coreos.com/v1alpha1", "kind": "AlertmanagerConfig",
        "metadata": {"name": "on-call", "namespace": namespace},
        "spec": {
            "route": {"receiver": "on-call"},
            "receivers": [{"name": "on-call", "webhookConfigs": [{"url": "http://127.0.0.1:9/"}]}],
        },
    })
}

/// As the chart of Grafana makes it, without a pod.
fn grafana() -> Value {
    let labels = json!({"app.kubernetes.io/name": "grafana"});
    let env = [
        ("LABEL", "grafana_dashboard"),
        ("LABEL_VALUE", "1"),
        ("NAMESPACE", "ALL"),
    ];
    let env = env.map(|(name, value)| json!({"name": name, "value": value}));
    let sidecar = json!({"name": "grafana-sc-dashboard", "image": "quay.io/kiwigrid/k8s-sidecar:2.5.0", "env": env});
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "grafana", "namespace": GRAFANA},
        "spec": {"replicas": 0, "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [sidecar]}}},
    })
}

/// A patch of the namespaces that the sidecar looks into.
pub fn looks_into(namespaces: &str) -> Value {
    let at = "/spec/template/spec/containers/0/env/2/value";
    json!([{"op": "replace", "path": at, "value": namespaces}])
}
