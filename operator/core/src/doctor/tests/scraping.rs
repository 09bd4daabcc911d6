//! What the objects say about scraping.

use super::*;

pub(super) const CASES: &[Case] = &[
    (
        "monitor-not-selected",
        "the label release is forgotten",
        |s| set(s, SM, "/metadata/labels", json!({})),
        "kubectl label --overwrite servicemonitors -n prod api release=kps",
    ),
    (
        "monitor-not-selected",
        "the namespace is not one of those",
        |s| set(s, "Namespace prod", "/metadata/labels", json!({"env": "test"})),
        "kubectl label --overwrite namespaces prod env=prod",
    ),
    (
        "monitor-not-selected",
        "the PodMonitor has another release",
        |s| set(s, PM, "/metadata/labels", json!({"release": "other"})),
        "its label release=kps is missing",
    ),
    (
        "monitor-not-selected",
        "the Prometheus selects no PodMonitor at all",
        |s| set(s, "Prometheus monitoring/main", "/spec/podMonitorSelector", Value::Null),
        "has no podMonitorSelector",
    ),
    (
        "monitor-without-service",
        "the labels of the pods instead of the Service's",
        |s| {
            set(s, SM, "/spec/selector/matchLabels", json!({"app": "api"}));
            set(s, SERVICE, "/metadata/labels", json!({}));
        },
        "kubectl label --overwrite services -n prod api app=api",
    ),
    (
        "monitor-without-service",
        "a Service in another namespace",
        |s| set(s, SM, "/spec/namespaceSelector", json!({"matchNames": ["monitoring"]})),
        "matchNames",
    ),
    (
        "monitor-without-service",
        "a typing mistake",
        |s| set(s, SM, "/spec/selector/matchLabels", json!({"team": "wbe"})),
        "team=wbe",
    ),
    (
        "monitor-without-service",
        "a PodMonitor for no pod",
        |s| set(s, PM, "/spec/selector/matchLabels", json!({"app": "wroker"})),
        "app=wroker",
    ),
    (
        "service-without-pods",
        "the Service selects by another label",
        |s| {
            set(s, SERVICE, "/spec/selector", json!({"app": "api-v2"}));
            remove(s, "EndpointSlice prod/api-abc");
        },
        "its pods have app=api",
    ),
    (
        "monitor-port",
        "a number for a name",
        |s| set(s, SM, "/spec/endpoints/0/port", json!("80")),
        "Set spec.endpoints[0].port to \"web\"",
    ),
    (
        "monitor-port",
        "the container's port name",
        |s| set(s, SM, "/spec/endpoints/0/port", json!("http")),
        "Set spec.endpoints[0].port to \"web\"",
    ),
    (
        "monitor-port",
        "the container's port number",
        |s| set(s, SM, "/spec/endpoints/0/port", json!("8000")),
        "Set spec.endpoints[0].port to \"web\"",
    ),
    (
        "monitor-port",
        "a port without a name",
        |s| set(s, SERVICE, "/spec/ports/0/name", Value::Null),
        "without a name",
    ),
    (
        "monitor-port",
        "a PodMonitor with a number",
        |s| set(s, PM, "/spec/podMetricsEndpoints/0/port", json!("9000")),
        "to \"metrics\"",
    ),
    (
        "scrape-not-http",
        "Redis itself is scraped",
        |s| add(s, REDIS),
        "redis_exporter",
    ),
    (
        "scrape-timeout",
        "the timeout was raised alone",
        |s| set(s, SM, "/spec/endpoints/0/scrapeTimeout", json!("60s")),
        "30s or less",
    ),
    (
        "scraped-twice",
        "a PodMonitor beside the ServiceMonitor",
        |s| add(s, TWICE),
        "Delete one of the two monitors",
    ),
    (
        "scraped-twice",
        "a second Service with the same labels",
        |s| {
            add(
                s,
                "{apiVersion: v1, kind: Service, metadata: {name: api-headless, namespace: prod, labels: {team: web}}, spec: {clusterIP: None, selector: {app: api}, ports: [{name: web, port: 80, targetPort: http}]}}",
            )
        },
        "fit only one of the two Services",
    ),
    (
        "several-workers",
        "no shared directory",
        |s| set(s, DEPLOYMENT, &format!("{CONTAINER}/env"), json!([])),
        "2 workers (--workers)",
    ),
    (
        "several-workers",
        "by the environment",
        |s| {
            set(
                s,
                DEPLOYMENT,
                &format!("{CONTAINER}/command"),
                json!(["sh", "-c", "exec gunicorn app:app"]),
            );
            set(
                s,
                DEPLOYMENT,
                &format!("{CONTAINER}/env"),
                json!([{"name": "WEB_CONCURRENCY", "value": "4"}]),
            );
        },
        "4 workers (WEB_CONCURRENCY)",
    ),
    (
        "network-policy",
        "only the ingress is let in",
        |s| {
            set(
                s,
                "NetworkPolicy prod/api",
                "/spec/ingress/0/from",
                json!([{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "ingress"}}}]),
            );
            unknown(s);
        },
        "| kubectl apply -f -",
    ),
    (
        "network-policy",
        "another port is open",
        |s| {
            set(
                s,
                "NetworkPolicy prod/api",
                "/spec/ingress/0/ports",
                json!([{"port": 443}]),
            );
            unknown(s);
        },
        "Admit namespace monitoring to port 8000",
    ),
    (
        "prometheus-rights",
        "the binding is for another account",
        |s| {
            set(
                s,
                "ClusterRoleBinding prometheus",
                "/subjects/0/name",
                json!("prometheus-k8s"),
            )
        },
        "kubectl create role prometheus-discovery -n prod",
    ),
    (
        "prometheus-rights",
        "endpoint slices were switched on",
        |s| {
            set(
                s,
                "Prometheus monitoring/main",
                "/spec/serviceDiscoveryRole",
                json!("EndpointSlice"),
            )
        },
        "endpointslices",
    ),
    (
        "rejected",
        "an event says so",
        |s| add(s, REJECTED),
        "scrapeTimeout greater",
    ),
    (
        "rejected",
        "a binding says so",
        |s| {
            let found = object(s, RULE);
            found.value["status"] = json!({"bindings": [{"resource": "prometheuses", "namespace": "monitoring", "name": "main", "conditions": [{"type": "Accepted", "status": "False", "reason": "InvalidConfiguration", "message": "bad rule"}]}]});
        },
        "bad rule",
    ),
];

const REDIS: &str = "
{apiVersion: v1, kind: Service, metadata: {name: redis, namespace: prod, labels: {app: redis}}, spec: {selector: {app: redis}, ports: [{name: redis, port: 6379}]}}
---
{apiVersion: apps/v1, kind: StatefulSet, metadata: {name: redis, namespace: prod}, spec: {template: {metadata: {labels: {app: redis}}, spec: {containers: [{name: redis, image: 'redis:7', ports: [{containerPort: 6379}]}]}}}}
---
{apiVersion: monitoring.coreos.com/v1, kind: ServiceMonitor, metadata: {name: redis, namespace: prod, labels: {release: kps}}, spec: {selector: {matchLabels: {app: redis}}, endpoints: [{port: redis}]}}
";
const TWICE: &str = "{apiVersion: monitoring.coreos.com/v1, kind: PodMonitor, metadata: {name: api, namespace: prod, labels: {release: kps}}, \
                     spec: {selector: {matchLabels: {app: api}}, podMetricsEndpoints: [{port: http}]}}";
const REJECTED: &str = "{apiVersion: v1, kind: Event, metadata: {name: api.2, namespace: prod}, involvedObject: {kind: ServiceMonitor, namespace: prod, \
                        name: api}, reason: InvalidConfiguration, message: 'scrapeTimeout greater than scrapeInterval'}";
