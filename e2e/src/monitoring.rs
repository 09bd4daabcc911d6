//! prometheus-operator, one Prometheus and one Alertmanager in the namespace `monitoring`, all Ready.
//!
//! The operator is what its own module ships ([`Tool::MonitoringRbac`]), with the images' names replaced; it runs as its own ServiceAccount.

use std::time::Duration;

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, ListParams};
use serde_json::{Value, json};

use crate::cluster::{self, Cluster};
use crate::image::Image;
use crate::progress::Progress;
use crate::tools::{self, Tool, Tools};

/// Where the stack is installed.
pub const NAMESPACE: &str = "monitoring";
/// The Service of Prometheus, port 9090.
pub const PROMETHEUS_SERVICE: &str = "prometheus-operated";
/// The Service of Alertmanager, port 9093.
pub const ALERTMANAGER_SERVICE: &str = "alertmanager-operated";

/// What the stack is made of.
pub(crate) const TOOLS: [Tool; 6] = [
    Tool::MonitoringCrds,
    Tool::MonitoringRbac,
    Tool::PrometheusOperator,
    Tool::ConfigReloader,
    Tool::Prometheus,
    Tool::Alertmanager,
];

const OPERATOR_IMAGE: &str = "observed.local/prometheus-operator:v0.93.0";
const RELOADER_IMAGE: &str = "observed.local/prometheus-config-reloader:v0.93.0";
const PROMETHEUS_IMAGE: &str = "observed.local/prometheus:v3.16.0";
const ALERTMANAGER_IMAGE: &str = "observed.local/alertmanager:v0.28.1";

const KUBE_STATE_METRICS_IMAGE: &str = "observed.local/kube-state-metrics:v2.18.0";

const STACK: &str = include_str!("monitoring/stack.yaml");
const KUBE_STATE_METRICS: &str = include_str!("monitoring/kube-state-metrics.yaml");

/// Measured on two cores.
const USUALLY: Duration = Duration::from_secs(25);
const READY_WITHIN: Duration = Duration::from_secs(180);

/// Monitoring could not be installed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The cluster was started without the stack's images.
    #[error("monitoring needs a cluster started with Cluster::node and `monitoring: true`")]
    NoImages,
    /// A file of prometheus-operator is not what it was.
    #[error("cannot read the files of prometheus-operator: {0}")]
    Files(String),
    /// kube-state-metrics could not be built.
    #[error(transparent)]
    Tools(#[from] tools::Error),
    /// The cluster refused an object, or something did not become Ready in time.
    #[error(transparent)]
    Cluster(#[from] cluster::Error),
}

/// Installs the stack on a cluster started with [`Cluster::node`] (with `monitoring: true`) and waits until all of it is Ready. It selects the
/// ServiceMonitors, PodMonitors, PrometheusRules and AlertmanagerConfigs of every namespace, and scrapes and evaluates every 5 s. Of its own it
/// scrapes only the containers' memory and CPU and the volumes from the kubelet: the rest is what Observed is for.
///
/// # Errors
/// An object was refused, or something did not become Ready in time.
pub async fn install(cluster: &Cluster, progress: &Progress) -> Result<(), Error> {
    let tools = cluster.tools().ok_or(Error::NoImages)?;
    let files = |tool| tools.path(tool).map_err(|_| Error::NoImages);
    let (definitions, operator) = (files(Tool::MonitoringCrds)?, files(Tool::MonitoringRbac)?);
    let step = progress.step(
        "installing prometheus-operator, Prometheus and Alertmanager",
        Some(USUALLY),
    );
    let namespace = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": NAMESPACE } });
    let objects = operator_objects(&cluster::read_yaml(operator)?)?;
    let documents = objects.iter().chain([&namespace]).map(Value::to_string);
    let operator = documents.collect::<Vec<_>>().join("\n---\n");
    let definitions = cluster::read_yaml(definitions)?;
    // The operator watches kinds that must be there when it starts.
    cluster.apply(&definitions).await?;
    cluster.apply(&operator).await?;
    cluster.apply(STACK).await?;
    step.detail("all objects are applied");
    tokio::try_join!(
        stateful_set_is_ready(cluster, "prometheus-main"),
        stateful_set_is_ready(cluster, "alertmanager-main")
    )?;
    answers(cluster, PROMETHEUS_SERVICE, 9090).await?;
    answers(cluster, ALERTMANAGER_SERVICE, 9093).await?;
    step.done();
    Ok(())
}

/// Adds kube-state-metrics to the stack, for what only the objects know: limits, restarts, why a container ended.
///
/// # Errors
/// It cannot be built, or the cluster refused an object.
pub async fn add_kube_state_metrics(cluster: &Cluster, progress: &Progress) -> Result<(), Error> {
    let tools = Tools::ensure(&[Tool::KubeStateMetrics], progress).await?;
    let at = "/bin/kube-state-metrics";
    let image = Image::new(KUBE_STATE_METRICS_IMAGE).file(tools.path(Tool::KubeStateMetrics)?, at);
    cluster.load_image(&image.entrypoint(at)).await?;
    Ok(cluster.apply(KUBE_STATE_METRICS).await?)
}

/// The stack's images.
pub(crate) fn images(tools: &Tools) -> Result<Vec<Image>, tools::Error> {
    let programs = [
        (OPERATOR_IMAGE, Tool::PrometheusOperator),
        (RELOADER_IMAGE, Tool::ConfigReloader),
        (PROMETHEUS_IMAGE, Tool::Prometheus),
        (ALERTMANAGER_IMAGE, Tool::Alertmanager),
    ];
    let image = |(name, tool): (&str, Tool)| {
        let at = format!("/bin/{}", tool.binary());
        Ok(Image::new(name).file(tools.path(tool)?, &at).entrypoint(&at))
    };
    programs.into_iter().map(image).collect()
}

/// The operator's own objects in our namespace, with our images. Its ServiceMonitor is left out: nobody here asks how the operator does.
fn operator_objects(yaml: &str) -> Result<Vec<Value>, Error> {
    let objects: Vec<Value> = serde_saphyr::from_multiple(yaml).map_err(|error| Error::Files(error.to_string()))?;
    let mut objects: Vec<Value> = objects
        .into_iter()
        .filter(|object| !object.is_null() && object["kind"] != "ServiceMonitor")
        .collect();
    let mut replaced = false;
    for object in &mut objects {
        if let Some(namespace) = object.pointer_mut("/metadata/namespace") {
            *namespace = NAMESPACE.into();
        }
        for subject in object
            .get_mut("subjects")
            .and_then(Value::as_array_mut)
            .into_iter()
            .flatten()
        {
            subject["namespace"] = NAMESPACE.into();
        }
        if let Some(container) = object.pointer_mut("/spec/template/spec/containers/0") {
            use_our_images(container);
            replaced = true;
        }
    }
    if replaced {
        Ok(objects)
    } else {
        Err(Error::Files("they have no Deployment".to_owned()))
    }
}

fn use_our_images(container: &mut Value) {
    container["image"] = OPERATOR_IMAGE.into();
    container["imagePullPolicy"] = "Never".into();
    // A fifth of a core makes its start slow, and protects nobody here.
    if let Some(resources) = container.get_mut("resources").and_then(Value::as_object_mut) {
        resources.remove("limits");
    }
    let ours = [
        ("--prometheus-config-reloader", RELOADER_IMAGE),
        ("--prometheus-default-base-image", "observed.local/prometheus"),
        ("--alertmanager-default-base-image", "observed.local/alertmanager"),
    ];
    let theirs = container
        .get("args")
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    let is_theirs = |argument: &Value| {
        let text = argument.as_str().unwrap_or_default();
        !ours
            .iter()
            .any(|(flag, _)| text.strip_prefix(flag).is_some_and(|rest| rest.starts_with('=')))
    };
    let arguments = theirs.into_iter().filter(is_theirs);
    let arguments = arguments.chain(ours.iter().map(|(flag, value)| format!("{flag}={value}").into()));
    container["args"] = arguments.collect();
}

async fn stateful_set_is_ready(cluster: &Cluster, name: &str) -> Result<(), Error> {
    let client = cluster.client()?;
    let sets: Api<StatefulSet> = Api::namespaced(client.clone(), NAMESPACE);
    let pods: Api<Pod> = Api::namespaced(client, NAMESPACE);
    let look = || async {
        let set = sets.get_opt(name).await.map_err(|error| error.to_string())?;
        let status = set.and_then(|set| set.status);
        if status.is_some_and(|status| status.ready_replicas == Some(1)) {
            return Ok(());
        }
        let pods = pods.list(&ListParams::default()).await;
        Err(pods.map_or_else(|error| error.to_string(), |list| in_words(&list.items)))
    };
    let what = format!("the StatefulSet {NAMESPACE}/{name} to be Ready");
    Ok(cluster.until(READY_WITHIN, &what, "kubelet", look).await?)
}

/// What the pods are waiting for.
fn in_words(pods: &[Pod]) -> String {
    let word = |pod: &Pod| {
        let status = pod.status.clone().unwrap_or_default();
        let containers = status
            .container_statuses
            .into_iter()
            .chain(status.init_container_statuses)
            .flatten();
        let waiting = containers.filter_map(|container| {
            let reason = container.state?.waiting?;
            Some(format!("{}: {}", container.name, reason.message.or(reason.reason)?))
        });
        let waiting = waiting.collect::<Vec<_>>().join(", ");
        let name = pod.metadata.name.as_deref().unwrap_or_default();
        format!("{name} is {} ({waiting})", status.phase.unwrap_or_default())
    };
    if pods.is_empty() {
        return "there is no pod yet".to_owned();
    }
    pods.iter().map(word).collect::<Vec<_>>().join("; ")
}

/// Asks through the API server, which dials the pod as any client inside would.
async fn answers(cluster: &Cluster, service: &str, port: u16) -> Result<(), Error> {
    let client = cluster.client()?;
    let path = format!("/api/v1/namespaces/{NAMESPACE}/services/{service}:{port}/proxy/-/ready");
    let look = || async {
        let request = http::Request::get(&path).body(Vec::new());
        let request = request.map_err(|error| error.to_string())?;
        client.request_text(request).await.map_err(|error| error.to_string())
    };
    let what = format!("{service} to answer");
    cluster.until(READY_WITHIN, &what, "kube-apiserver", look).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHIPPED: &str = r"
{apiVersion: v1, kind: ServiceAccount, metadata: {name: prometheus-operator, namespace: default}}
---
{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRoleBinding, metadata: {name: o}, subjects: [{kind: ServiceAccount, name: o, namespace: default}]}
---
{apiVersion: monitoring.coreos.com/v1, kind: ServiceMonitor, metadata: {name: o, namespace: default}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: o, namespace: default}
spec: {template: {spec: {containers: [{name: o, image: quay.example/o:1, args: [--prometheus-config-reloader=quay.example/r:1, --kubelet-endpoints=true]}]}}}
";

    #[test]
    fn the_operator_runs_in_our_namespace_with_our_images_and_its_own_other_flags() {
        let objects = operator_objects(SHIPPED).unwrap();
        let text = Value::from(objects.clone()).to_string();
        assert!(!text.contains("default\"") && !text.contains("quay.example"), "{text}");
        assert_eq!(objects.len(), 3, "{text}");
        let arguments = &objects[2]["spec"]["template"]["spec"]["containers"][0]["args"];
        assert_eq!(arguments[0], "--kubelet-endpoints=true");
        assert_eq!(arguments[1], format!("--prometheus-config-reloader={RELOADER_IMAGE}"));
    }

    #[test]
    fn files_without_the_operator_are_refused() {
        let account = SHIPPED.split("---").next().unwrap();
        assert!(operator_objects(account).is_err());
    }

    #[test]
    fn the_images_of_the_stack_are_the_ones_that_are_loaded() {
        assert!(STACK.contains(PROMETHEUS_IMAGE) && STACK.contains(ALERTMANAGER_IMAGE));
        assert!(KUBE_STATE_METRICS.contains(KUBE_STATE_METRICS_IMAGE));
    }
}
