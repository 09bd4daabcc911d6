//! `observed doctor` on a real API server: broken objects are found by the rules that are for them, the mended ones are
//! not, and a user who may only look gets as far as the rights go.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::operator::{Monitoring, Stage, program};

/// What the program says about a namespace to the user of a kubeconfig.
pub async fn doctor(kubeconfig: &Path, arguments: &[&str]) -> (i32, Value) {
    let output = Command::new(program().await)
        .arg("doctor")
        .args(arguments)
        .args(["-o", "json"])
        .env("KUBECONFIG", kubeconfig)
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    let value = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {told}"));
    (output.status.code().unwrap(), value)
}

/// The documentation of the rules.
pub fn page() -> String {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/doctor.md");
    std::fs::read_to_string(page).unwrap()
}

/// `rule object` of every finding.
pub fn found(told: &Value) -> Vec<String> {
    let findings = told["findings"].as_array().unwrap().iter();
    let mut found: Vec<String> = findings
        .map(|finding| {
            let object = &finding["object"];
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            format!(
                "{} {} {}",
                text(&finding["rule"]),
                text(&object["kind"]),
                text(&object["name"])
            )
        })
        .collect();
    found.sort();
    found
}

/// Evidence and fix of the finding of a rule.
pub fn says(told: &Value, rule: &str) -> String {
    let findings = told["findings"].as_array().unwrap();
    findings
        .iter()
        .find(|finding| finding["rule"] == rule)
        .unwrap()
        .to_string()
}

/// Everything right: the mended twin of each broken object. One Prometheus and one Alertmanager select by a label of
/// this test, so that what other tests have on the same API server is not theirs.
pub const HEALTHY: &str = "
apiVersion: monitoring.coreos.com/v1
kind: Prometheus
metadata: {name: main, namespace: NAMESPACE}
spec:
  serviceAccountName: prometheus
  retention: 30d
  serviceMonitorSelector: {matchLabels: {stage: NAMESPACE}}
  podMonitorSelector: {matchLabels: {stage: NAMESPACE}}
  ruleSelector: {matchLabels: {stage: NAMESPACE}}
---
apiVersion: monitoring.coreos.com/v1
kind: Alertmanager
metadata: {name: main, namespace: NAMESPACE}
spec: {alertmanagerConfigSelector: {matchLabels: {stage: NAMESPACE}}}
---
{apiVersion: v1, kind: ServiceAccount, metadata: {name: prometheus, namespace: NAMESPACE}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: prometheus, namespace: NAMESPACE}
rules: [{apiGroups: [''], resources: [services, endpoints, pods], verbs: [get, list, watch]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: prometheus, namespace: NAMESPACE}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: prometheus}
subjects: [{kind: ServiceAccount, name: prometheus, namespace: NAMESPACE}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: shop, namespace: NAMESPACE}
spec:
  replicas: 0
  selector: {matchLabels: {app: shop}}
  template:
    metadata: {labels: {app: shop}}
    spec:
      containers:
      - name: api
        image: observed.local/none:1
        ports: [{name: http, containerPort: 8080}]
        livenessProbe: {httpGet: {path: /health, port: http}, periodSeconds: 10, timeoutSeconds: 3, failureThreshold: 6}
        readinessProbe: {httpGet: {path: /ready, port: http}, periodSeconds: 5, timeoutSeconds: 3}
---
apiVersion: v1
kind: Service
metadata: {name: shop, namespace: NAMESPACE, labels: {app: shop}}
spec: {selector: {app: shop}, ports: [{name: web, port: 80, targetPort: http}]}
---
apiVersion: monitoring.coreos.com/v1
kind: ServiceMonitor
metadata: {name: shop, namespace: NAMESPACE, labels: {stage: NAMESPACE}}
spec: {selector: {matchLabels: {app: shop}}, endpoints: [{port: web, interval: 30s, scrapeTimeout: 10s}]}
---
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata: {name: shop, namespace: NAMESPACE, labels: {stage: NAMESPACE}}
spec: {groups: [{name: shop, rules: [{alert: Down, expr: 'sum by (namespace) (up) < 1', labels: {severity: critical}}]}]}
---
apiVersion: monitoring.coreos.com/v1alpha1
kind: AlertmanagerConfig
metadata: {name: shop, namespace: NAMESPACE, labels: {stage: NAMESPACE}}
spec: {route: {receiver: chat}, receivers: [{name: chat, webhookConfigs: [{url: 'http://chat.example.org'}]}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: grafana, namespace: NAMESPACE}
spec:
  replicas: 0
  selector: {matchLabels: {app: grafana}}
  template:
    metadata: {labels: {app: grafana}}
    spec:
      containers:
      - name: grafana-sc-dashboard
        image: quay.io/kiwigrid/k8s-sidecar:2.5.0
        env: [{name: LABEL, value: grafana_dashboard}, {name: LABEL_VALUE, value: '1'}]
---
apiVersion: v1
kind: ConfigMap
metadata: {name: shop, namespace: NAMESPACE, labels: {grafana_dashboard: '1'}}
data: {NAMESPACE.json: '{\"title\": \"NAMESPACE\", \"uid\": \"NAMESPACE\", \"panels\": []}'}
";

/// The role `view` of Kubernetes: no verb that writes.
pub const VIEWER: &str = "
{apiVersion: v1, kind: ServiceAccount, metadata: {name: viewer, namespace: NAMESPACE}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: viewer, namespace: NAMESPACE}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: view}
subjects: [{kind: ServiceAccount, name: viewer, namespace: NAMESPACE}]
";

/// Reading what prometheus-operator's CRDs add to it.
const MONITORS: &str = "
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: monitors, namespace: NAMESPACE}
rules: [{apiGroups: [monitoring.coreos.com], resources: [servicemonitors, podmonitors, prometheusrules], verbs: [get, list, watch]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: monitors, namespace: NAMESPACE}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: monitors}
subjects: [{kind: ServiceAccount, name: viewer, namespace: NAMESPACE}]
";

#[tokio::test]
async fn who_may_only_look_into_one_namespace_gets_as_far_as_that_and_writes_nothing() {
    let stage = Stage::own(Monitoring::Installed, "doctor-view").await;
    let namespace = stage.namespace.clone();
    stage
        .apply(&HEALTHY.replace("scrapeTimeout: 10s", "scrapeTimeout: 1m"))
        .await;
    stage.apply(VIEWER).await;
    stage.apply(MONITORS).await;
    let viewer = stage
        .cluster
        .kubeconfig_for_service_account(&namespace, "viewer")
        .await
        .unwrap();
    let before = versions(&stage).await;
    let (status, told) = doctor(&viewer, &["-n", &namespace]).await;
    assert_eq!(
        (status, found(&told)),
        (1, vec!["scrape-timeout ServiceMonitor shop".to_owned()]),
        "{told:#}"
    );
    let not_run = told["notRun"].to_string();
    for part in [
        "you may not list prometheuses",
        "you may not list clusterroles",
        "you may not list alertmanagers",
    ] {
        assert!(not_run.contains(part), "{part}: {not_run}");
    }
    let unseen = told["unseen"].to_string();
    assert!(unseen.contains("you may not list roles"), "{unseen}");
    assert_eq!(versions(&stage).await, before, "something was written");

    // Nothing is not a clean bill.
    stage
        .apply("{apiVersion: v1, kind: ServiceAccount, metadata: {name: nobody, namespace: NAMESPACE}}")
        .await;
    let nobody = stage
        .cluster
        .kubeconfig_for_service_account(&namespace, "nobody")
        .await
        .unwrap();
    let output = Command::new(program().await)
        .args(["doctor", "-n", &namespace])
        .env("KUBECONFIG", &nobody)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.contains("you may list none of it"), "{told}");
}

/// Name and version of what the test has applied.
async fn versions(stage: &Stage) -> Vec<(String, Option<String>)> {
    use super::operator::{CONFIG_MAP, MONITOR, RULE};
    let mut versions = Vec::new();
    for kind in [MONITOR, RULE, CONFIG_MAP] {
        let list = stage.objects(kind).list(&Default::default()).await.unwrap();
        let version = |object: kube::api::DynamicObject| {
            (
                object.metadata.name.unwrap_or_default(),
                object.metadata.resource_version,
            )
        };
        versions.extend(list.items.into_iter().map(version));
    }
    versions
}
