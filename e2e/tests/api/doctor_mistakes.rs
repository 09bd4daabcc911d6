//! The mistakes that people make, on a real API server: `observed doctor` finds each by exactly the rule that is for it,
//! and nothing where it was mended.

use std::collections::BTreeSet;
use std::process::Command;

use super::doctor::{HEALTHY, doctor, found, page};
use super::doctor_answers::EXPECTED;
use super::operator::{Monitoring, Stage, free_port};

/// A text of the healthy namespace, the mistake in its place, and what must be found.
const MISTAKES: [(&str, &str, &str); 34] = [
    (
        "name: shop, namespace: NAMESPACE, labels: {stage: NAMESPACE}}\nspec: {selector",
        "name: shop, namespace: NAMESPACE, labels: {stage: kps}}\nspec: {selector",
        "monitor-not-selected ServiceMonitor shop",
    ),
    (
        "endpoints: [{port: web,",
        "endpoints: [{port: '8080',",
        "monitor-port ServiceMonitor shop",
    ),
    (
        "scrapeTimeout: 10s",
        "scrapeTimeout: 1m",
        "scrape-timeout ServiceMonitor shop",
    ),
    (
        "spec: {selector: {matchLabels: {app: shop}}, endpoints",
        "spec: {selector: {matchLabels: {app: shopp}}, endpoints",
        "monitor-without-service ServiceMonitor shop",
    ),
    (
        "subjects: [{kind: ServiceAccount, name: prometheus,",
        "subjects: [{kind: ServiceAccount, name: prom,",
        "prometheus-rights ServiceMonitor shop",
    ),
    (
        "'sum by (namespace) (up) < 1'",
        "'sum(up) < 1'",
        "alert-without-namespace PrometheusRule shop",
    ),
    (
        "'sum by (namespace) (up) < 1'",
        "'sum by (namespace) (up < 1'",
        "rule-invalid PrometheusRule shop",
    ),
    (
        "retention: 30d\n",
        "retention: 30d\n  ruleNamespaceSelector: {matchLabels: {env: nowhere}}\n",
        "rule-not-selected PrometheusRule shop",
    ),
    (
        "'{\\\"title\\\": \\\"NAMESPACE\\\"",
        "'{\\\"__inputs\\\": [], \\\"title\\\": \\\"NAMESPACE\\\"",
        "dashboard-for-import ConfigMap shop",
    ),
    (
        "livenessProbe: {httpGet: {path: /health",
        "livenessProbe: {httpGet: {path: /ready",
        "risky-probe Deployment shop",
    ),
    (
        "spec: {selector: {app: shop}, ports",
        "spec: {selector: {app: shops}, ports",
        "service-without-pods Service shop",
    ),
    (
        "image: observed.local/none:1\n",
        "image: observed.local/none:1\n        command: [gunicorn, --workers, '2', 'app:app']\n",
        "several-workers Deployment shop",
    ),
    (
        "'sum by (namespace) (up) < 1'",
        "'sum by (namespace) (avg_over_time(up[40d])) < 1'",
        "retention PrometheusRule shop",
    ),
    (
        "labels: {stage: NAMESPACE}}\nspec: {route",
        "labels: {stage: kps}}\nspec: {route",
        "alertmanager-config-not-selected AlertmanagerConfig shop",
    ),
    (
        "labels: {severity: critical}}",
        "labels: {severity: critical, now: '{{ $value }}'}}",
        "alert-changes PrometheusRule shop",
    ),
    (
        "'sum by (namespace) (up) < 1'",
        "'redis_up == 0'",
        "dependency-alert-blind PrometheusRule shop",
    ),
    (
        "{\\\"title\\\": ",
        "{\\\"titel\\\": ",
        "dashboard-unreadable ConfigMap shop",
    ),
    (
        "\\\"panels\\\": []",
        "\\\"panels\\\": [], \\\"x\\\": \\\"LARGE\\\"",
        "dashboard-too-large ConfigMap shop",
    ),
    (
        "labels: {grafana_dashboard: '1'}",
        "labels: {grafana_dashboard: 'true'}",
        "dashboard-not-loaded ConfigMap shop",
    ),
    (
        "\\\"panels\\\": []}'}",
        "\\\"panels\\\": []}', copy.json: '{\\\"title\\\": \\\"NAMESPACE\\\", \\\"uid\\\": \\\"copy\\\"}'}",
        "dashboard-duplicate ConfigMap shop",
    ),
    (
        "retention: 30d\n",
        "retention: 30d\n  serviceMonitorNamespaceSelector: {matchLabels: {env: nowhere}}\n",
        "monitor-not-selected ServiceMonitor shop",
    ),
    (
        "ruleSelector: {matchLabels: {stage: NAMESPACE}}",
        "ruleSelector: {matchLabels: {stage: NAMESPACE, role: alert-rules}}",
        "rule-not-selected PrometheusRule shop",
    ),
    (
        "endpoints: [{port: web,",
        "endpoints: [{port: http,",
        "monitor-port ServiceMonitor shop",
    ),
    (
        "ports: [{name: web, port: 80,",
        "ports: [{port: 80,",
        "monitor-port ServiceMonitor shop",
    ),
    (
        "name: shop, namespace: NAMESPACE, labels: {app: shop}}\nspec: {selector",
        "name: shop, namespace: NAMESPACE}\nspec: {selector",
        "monitor-without-service ServiceMonitor shop",
    ),
    (
        "resources: [services, endpoints, pods]",
        "resources: [services, endpoints]",
        "prometheus-rights ServiceMonitor shop",
    ),
    (
        "retention: 30d\n",
        "retention: 30d\n  serviceDiscoveryRole: EndpointSlice\n",
        "prometheus-rights ServiceMonitor shop",
    ),
    (
        "'sum by (namespace) (up) < 1'",
        "'absent(up == 1)'",
        "alert-without-namespace PrometheusRule shop",
    ),
    (
        "'sum by (namespace) (up) < 1'",
        "'rate(sum by (namespace) (up)[5m]) < 1'",
        "rule-invalid PrometheusRule shop",
    ),
    (
        "labels: {severity: critical}}",
        "labels: {severity: critical, app.kubernetes.io/name: shop}}",
        "rule-invalid PrometheusRule shop",
    ),
    (
        "\\\"panels\\\": []",
        "\\\"panels\\\": [{\\\"datasource\\\": \\\"${DS_PROMETHEUS}\\\"}]",
        "dashboard-for-import ConfigMap shop",
    ),
    (
        "'{\\\"title\\\": \\\"NAMESPACE\\\", \\\"uid\\\": \\\"NAMESPACE\\\", \\\"panels\\\": []}'",
        "'{\\\"dashboard\\\": {\\\"title\\\": \\\"NAMESPACE\\\"}}'",
        "dashboard-unreadable ConfigMap shop",
    ),
    (
        "{name: LABEL_VALUE, value: '1'}",
        "{name: LABEL_VALUE, value: '1'}, {name: \\\"NAME\\x53PACE\\\", value: grafana}",
        "dashboard-not-loaded ConfigMap shop",
    ),
    (
        "\\\"panels\\\": []}'}",
        "\\\"panels\\\": []}', copy.json: '{\\\"title\\\": \\\"Copy\\\", \\\"uid\\\": \\\"NAMESPACE\\\"}'}",
        "dashboard-duplicate ConfigMap shop",
    ),
];

/// What somebody adds, and what must be found. Events are those that the kubelet and prometheus-operator write.
const ADDED: [(&str, &str); 5] = [
    (
        "
{apiVersion: v1, kind: Service, metadata: {name: redis, namespace: NAMESPACE, labels: {app: redis}}, spec: {selector: {app: redis}, ports: [{name: redis, port: 6379}]}}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: redis, namespace: NAMESPACE}
spec:
  replicas: 0
  serviceName: redis
  selector: {matchLabels: {app: redis}}
  template:
    metadata: {labels: {app: redis}}
    spec: {containers: [{name: redis, image: 'redis:7', ports: [{containerPort: 6379}]}]}
---
apiVersion: monitoring.coreos.com/v1
kind: ServiceMonitor
metadata: {name: redis, namespace: NAMESPACE, labels: {stage: NAMESPACE}}
spec: {selector: {matchLabels: {app: redis}}, endpoints: [{port: redis}]}
",
        "scrape-not-http ServiceMonitor redis",
    ),
    (
        "
apiVersion: monitoring.coreos.com/v1
kind: PodMonitor
metadata: {name: twice, namespace: NAMESPACE, labels: {stage: NAMESPACE}}
spec: {selector: {matchLabels: {app: shop}}, podMetricsEndpoints: [{port: http}]}
",
        "scraped-twice PodMonitor twice",
    ),
    (
        "
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: shop, namespace: NAMESPACE}
spec:
  podSelector: {matchLabels: {app: shop}}
  policyTypes: [Ingress]
  ingress: [{from: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: ingress}}}]}]
",
        "network-policy ServiceMonitor shop",
    ),
    (
        "
apiVersion: v1
kind: Event
metadata: {name: shop.1, namespace: NAMESPACE}
involvedObject: {apiVersion: monitoring.coreos.com/v1, kind: ServiceMonitor, namespace: NAMESPACE, name: shop}
type: Warning
reason: InvalidConfiguration
message: 'ServiceMonitor shop was rejected due to invalid configuration: scrapeTimeout greater than scrapeInterval'
",
        "rejected ServiceMonitor shop",
    ),
    (
        "
apiVersion: v1
kind: Pod
metadata: {name: slow-1, namespace: NAMESPACE, labels: {made: by-hand}}
spec: {automountServiceAccountToken: false, containers: [{name: api, image: 'observed.local/none:1'}]}
---
apiVersion: v1
kind: Event
metadata: {name: slow-1.1, namespace: NAMESPACE}
involvedObject: {apiVersion: v1, kind: Pod, namespace: NAMESPACE, name: slow-1}
type: Warning
reason: Unhealthy
count: 7
message: 'Liveness probe failed: Get \"http://10.0.0.1:8080/health\": context deadline exceeded (Client.Timeout exceeded while awaiting headers)'
",
        "liveness-too-slow Pod slow-1",
    ),
];

/// Bytes that are too many for a ConfigMap soon.
const LARGE: usize = 950 << 10;

/// As the text stands between the quotes of the source.
fn plain(text: &str) -> String {
    text.replace("\\\"", "\"")
}

#[tokio::test]
async fn each_mistake_is_found_in_a_real_namespace_and_gone_when_it_is_mended() {
    // On its own: the operators of other tests would look at the Prometheus resources of this one.
    let stage = Stage::own(Monitoring::Installed, "doctor").await;
    let admin = stage.cluster.kubeconfig().to_owned();
    let namespace = stage.namespace.clone();
    stage.apply(HEALTHY).await;
    // Nobody answers there, and says so at once.
    let nobody = format!("http://127.0.0.1:{}", free_port());
    let look = [
        "-n",
        &namespace,
        "--prometheus-url",
        &nobody,
        "--alertmanager-url",
        &nobody,
    ];
    let (status, told) = doctor(&admin, &look).await;
    assert_eq!((status, found(&told)), (0, Vec::new()), "{told:#}");
    for (right, wrong, expected) in MISTAKES {
        let wrong = plain(wrong).replace("LARGE", &"x".repeat(LARGE));
        let broken = HEALTHY.replace(&plain(right), &wrong);
        assert_ne!(broken, HEALTHY, "{expected}: the text to break is not there");
        stage.apply(&broken).await;
        let (status, told) = doctor(&admin, &look).await;
        assert_eq!(found(&told), [expected], "{told:#}");
        assert_eq!(
            status,
            i32::from(told["findings"][0]["severity"] == "error"),
            "{expected}"
        );
        stage.apply(HEALTHY).await;
    }
    for (added, expected) in ADDED {
        stage.apply(added).await;
        let (_, told) = doctor(&admin, &look).await;
        assert_eq!(found(&told), [expected], "{told:#}");
        delete(&stage, added).await;
    }
    let (status, told) = doctor(&admin, &["-n", &namespace]).await;
    assert_eq!((status, found(&told)), (0, Vec::new()), "{told:#}");
    let (_, told) = doctor(&admin, &["shop", "-n", &namespace]).await;
    assert_eq!(found(&told), Vec::<String>::new());
}

#[test]
fn every_rule_of_the_documentation_is_found_on_a_real_api_server_prometheus_or_alertmanager() {
    let page = page();
    let headings = page.lines().filter_map(|line| line.strip_prefix("| [`"));
    let rules: BTreeSet<&str> = headings.filter_map(|rest| rest.split('`').next()).collect();
    let made = MISTAKES.iter().map(|(.., expected)| expected);
    let made = made.chain(ADDED.iter().map(|(_, expected)| expected)).chain(&EXPECTED);
    let made = made.chain([&super::python::EXPECTED]);
    let found: BTreeSet<&str> = made.filter_map(|expected| expected.split(' ').next()).collect();
    assert_eq!(found, rules);
}

/// Takes back what was added.
async fn delete(stage: &Stage, added: &str) {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), added.replace("NAMESPACE", &stage.namespace)).unwrap();
    let mut kubectl = Command::new(stage.cluster.kubectl());
    kubectl.arg("--kubeconfig").arg(stage.cluster.kubeconfig());
    kubectl
        .args(["delete", "--wait=true", "--grace-period=0", "--force", "-f"])
        .arg(file.path());
    let output = kubectl.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
