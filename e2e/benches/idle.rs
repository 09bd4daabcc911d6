//! What an operator costs that has nothing to do: requests to the API server, CPU and memory, by the number of services.
//!
//! `cargo bench -p observed-e2e --bench idle` takes a quarter of an hour: it waits until the operators have nothing to do,
//! and then looks at them for five minutes.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use futures::future::join_all;
use observed_e2e::{Cluster, ControlPlane, Progress, binaries, wait};
use serde_json::json;

/// Services of each operator.
const SERVICES: [usize; 3] = [1, 100, 1000];
/// Services that are made with one call of kubectl.
const AT_ONCE: usize = 50;
/// How long it is looked at.
const LOOKED: Duration = Duration::from_secs(300);
/// How long something new is looked at every few seconds, and more.
const AT_REST: Duration = Duration::from_secs(240);
/// Until it has done what there is to do.
const DONE: Duration = Duration::from_secs(600);

/// A running operator. It ends with this.
struct Operator {
    child: Child,
    http: kube::Client,
}

impl Drop for Operator {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Operator {
    fn start(program: &Path, cluster: &Cluster, namespace: &str) -> Self {
        let port = std::net::TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let address = format!("127.0.0.1:{port}");
        let child = Command::new(program)
            .args(["run", "--watch-namespace", namespace, "--listen", &address])
            // Each leads in its own namespace.
            .args(["--lease-name", namespace])
            .env("KUBECONFIG", cluster.kubeconfig())
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let config = kube::Config::new(format!("http://{address}").parse().unwrap());
        let http = kube::Client::try_from(config).unwrap();
        Self { child, http }
    }

    /// The sum of a metric over all its labels.
    async fn metric(&self, name: &str) -> Result<f64, String> {
        let request = http::Request::get("/metrics").body(Vec::new()).unwrap();
        let page = self
            .http
            .request_text(request)
            .await
            .map_err(|error| error.to_string())?;
        let lines = page.lines().filter(|line| line.split(['{', ' ']).next() == Some(name));
        Ok(lines
            .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
            .sum())
    }

    async fn all(&self) -> [f64; 4] {
        let mut all = [0.0; 4];
        for (value, name) in all.iter_mut().zip([
            "rest_client_requests_total",
            "observed_writes_total",
            "process_cpu_seconds_total",
            "process_resident_memory_bytes",
        ]) {
            *value = self.metric(name).await.unwrap();
        }
        all
    }
}

/// Workloads without pods, their Services, and an ObservedService for each.
fn objects(namespace: &str, number: usize) -> [serde_json::Value; 3] {
    let name = format!("api-{number}");
    let (metadata, labels) = (json!({"name": name, "namespace": namespace}), json!({"app": name}));
    let container =
        json!({"name": "api", "image": "observed.local/none:1", "ports": [{"name": "http", "containerPort": 8080}]});
    let template = json!({"metadata": {"labels": labels}, "spec": {"containers": [container]}});
    [
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata,
            "spec": {"replicas": 0, "selector": {"matchLabels": labels}, "template": template}}),
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": namespace, "labels": labels},
            "spec": {"selector": labels, "ports": [{"name": "http", "port": 80, "targetPort": "http"}]}}),
        json!({"apiVersion": "observed.rs/v1alpha1", "kind": "ObservedService", "metadata": metadata,
            "spec": {"targetRef": {"name": name}}}),
    ]
}

async fn measured(program: &Path, cluster: &Cluster, services: usize) -> String {
    let namespace = cluster.namespace("idle").await.unwrap();
    let numbers: Vec<usize> = (0..services).collect();
    for some in numbers.chunks(AT_ONCE) {
        let all: Vec<String> = some
            .iter()
            .flat_map(|number| objects(&namespace, *number))
            .map(|object| object.to_string())
            .collect();
        cluster.apply(&all.join("\n---\n")).await.unwrap();
    }
    let operator = Operator::start(program, cluster, &namespace);
    // A ServiceMonitor, a PrometheusRule and the ConfigMaps of a dashboard and of runbooks for each.
    let written = async || match operator.metric("observed_writes_total").await? {
        writes if writes >= 4.0 * services as f64 => Ok(()),
        writes => Err(format!("{writes} writes")),
    };
    wait::until(DONE, "everything to be written", written).await.unwrap();
    tokio::time::sleep(AT_REST).await;
    let before = operator.all().await;
    tokio::time::sleep(LOOKED).await;
    let after = operator.all().await;
    let [requests, writes, cpu, _] = [0, 1, 2, 3].map(|index| after[index] - before[index]);
    assert!(writes.abs() < f64::EPSILON, "{writes} writes at rest");
    let seconds = LOOKED.as_secs_f64();
    format!(
        "| {services} | {:.1} | {:.2} | {:.0} |",
        requests / seconds,
        1000.0 * cpu / seconds,
        after[3] / f64::from(1 << 20)
    )
}

#[tokio::main]
async fn main() {
    let progress = Progress::detect();
    let programs = binaries::for_images(&["observed"], &progress).await.unwrap();
    let program = &programs["observed"];
    let plane = ControlPlane {
        controller_manager: true,
    };
    let cluster = Cluster::control_plane(plane, &progress).await.unwrap();
    cluster.install_monitoring_crds(&progress).await.unwrap();
    let crds = Command::new(program).arg("crds").output().unwrap();
    cluster.apply(&String::from_utf8(crds.stdout).unwrap()).await.unwrap();
    // Each in a namespace of its own, at the same time: what a process uses is counted by process.
    let rows = join_all(SERVICES.map(|services| measured(program, &cluster, services))).await;
    println!(
        "\n| services | requests/s | CPU, millicores | memory, MiB |\n|---|---|---|---|\n{}",
        rows.join("\n")
    );
}
