//! One healthy cluster, and each mistake that people make in it: found by exactly the rule that is for it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::answers::{AlertmanagerAnswers, PrometheusAnswers, Query, Sample, Target, TargetHealth};
use super::*;
use crate::lint::Source;

const HEALTHY: &str = include_str!("tests/healthy.yaml");

const ROUTES: &str = r#"
route:
  receiver: 'null'
  routes:
  - {receiver: prod/web/chat, matchers: ['namespace="prod"'], continue: true}
receivers:
- {name: 'null'}
- {name: prod/web/chat, slack_configs: [{channel: web}]}
"#;

fn source(text: &str) -> Source {
    Source {
        name: "cluster.yaml".into(),
        text: text.into(),
        found: false,
    }
}

fn target(pool: &str, job: &str) -> Target {
    let labels = [
        ("job", job),
        ("namespace", "prod"),
        ("pod", "api-7d4b9c-x2x4z"),
        ("instance", "10.0.0.1:8000"),
    ];
    Target {
        scrape_pool: pool.into(),
        scrape_url: "http://10.0.0.1:8000/metrics".into(),
        labels: labels
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect(),
        last_error: String::new(),
        health: TargetHealth::Up,
    }
}

fn group() -> Group {
    let rule = |name: &str| LoadedRule {
        name: name.into(),
        health: "ok".into(),
        last_error: String::new(),
    };
    Group {
        name: "api".into(),
        file: "/etc/prometheus/rules/prometheus-main-rulefiles-0/prod-api-u1.yaml".into(),
        interval: 30.0,
        evaluation_time: 0.1,
        rules: vec![rule("job:errors:ratio"), rule("HighErrorRate")],
    }
}

/// A cluster in which everything works, and what its Prometheus and Alertmanager answer.
fn healthy() -> Snapshot {
    let (mut snapshot, problems) = read(&[source(HEALTHY)], "default");
    assert_eq!(problems, Vec::<String>::new());
    // It is a cluster and no file: what is not there does not exist.
    snapshot.unseen.clear();
    for object in snapshot.objects.values_mut().flatten() {
        object.place = None;
    }
    let metrics = [
        "http_errors_total",
        "http_requests_total",
        "redis_up",
        "job:errors:ratio",
        "up",
    ];
    snapshot.prometheuses = vec![PrometheusAnswers {
        who: "Prometheus monitoring/main".into(),
        resource: ("monitoring".into(), "main".into()),
        targets: Ok(vec![
            target("serviceMonitor/prod/api/0", "api"),
            target("podMonitor/prod/worker/0", "prod/worker"),
        ]),
        rules: Ok(vec![group()]),
        metrics: Ok(metrics.map(str::to_owned).into()),
        queries: Query::all().into_iter().map(|query| (query, Ok(Vec::new()))).collect(),
    }];
    snapshot.alertmanagers = vec![AlertmanagerAnswers {
        who: "Alertmanager monitoring/main".into(),
        resource: ("monitoring".into(), "main".into()),
        config: Ok(ROUTES.into()),
    }];
    snapshot
}

fn ids(diagnosis: &Diagnosis) -> Vec<&'static str> {
    diagnosis.findings.iter().map(|finding| finding.rule).collect()
}

fn object<'a>(snapshot: &'a mut Snapshot, path: &str) -> &'a mut Object {
    let mut objects = snapshot.objects.values_mut().flatten();
    objects
        .find(|object| object.reference().to_string() == path)
        .unwrap_or_else(|| panic!("there is no {path}"))
}

/// Sets a field; null removes it. Labels are read anew.
fn set(snapshot: &mut Snapshot, path: &str, pointer: &str, value: Value) {
    let found = object(snapshot, path);
    let (above, field) = pointer.rsplit_once('/').unwrap();
    let field = field.replace("~1", "/");
    let above = found
        .value
        .pointer_mut(above)
        .unwrap_or_else(|| panic!("{path} has no {above}"));
    match (value, above) {
        (Value::Null, Value::Object(map)) => {
            map.remove(&field);
        }
        (value, Value::Array(list)) => list[field.parse::<usize>().unwrap()] = value,
        (value, above) => above[field] = value,
    }
    *found = Object::new(found.kind, found.value.clone(), "default");
}

fn add(snapshot: &mut Snapshot, yaml: &str) {
    let (more, problems) = read(&[source(yaml)], "default");
    assert_eq!(problems, Vec::<String>::new());
    for mut object in more.objects.into_values().flatten() {
        object.place = None;
        snapshot.add(object);
    }
}

fn remove(snapshot: &mut Snapshot, path: &str) {
    for objects in snapshot.objects.values_mut() {
        objects.retain(|object| object.reference().to_string() != path);
    }
}

fn down(snapshot: &mut Snapshot, error: &str) {
    let target = &mut snapshot.prometheuses[0].targets.as_mut().unwrap()[0];
    target.health = TargetHealth::Down;
    target.last_error = error.into();
}

fn answer(snapshot: &mut Snapshot, query: Query, value: f64) {
    let labels = target("", "api").labels;
    snapshot.prometheuses[0]
        .queries
        .insert(query, Ok(vec![Sample { labels, value }]));
}

const SM: &str = "ServiceMonitor prod/api";
const PM: &str = "PodMonitor prod/worker";
const RULE: &str = "PrometheusRule prod/api";
const DEPLOYMENT: &str = "Deployment prod/api";
const SERVICE: &str = "Service prod/api";
const MAP: &str = "ConfigMap prod/api-dashboard";
const CONTAINER: &str = "/spec/template/spec/containers/0";

/// A rule, the mistake in words, the mistake, and what the finding has to say.
type Case = (&'static str, &'static str, fn(&mut Snapshot), &'static str);

const CASES: &[Case] = &[
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
        "rule-not-selected",
        "one of two labels is there",
        |s| set(s, RULE, "/metadata/labels", json!({"release": "kps"})),
        "role=alerts",
    ),
    (
        "rule-not-selected",
        "rules are only looked for at home",
        |s| {
            set(
                s,
                "Prometheus monitoring/main",
                "/spec/ruleNamespaceSelector",
                Value::Null,
            )
        },
        "only looks for PrometheusRules in its own namespace",
    ),
    (
        "alertmanager-config-not-selected",
        "the label is forgotten",
        |s| set(s, "AlertmanagerConfig prod/web", "/metadata/labels", json!({})),
        "kubectl label --overwrite alertmanagerconfigs -n prod web release=kps",
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
        "Admit namespace monitoring to port 8000",
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
    (
        "no-target",
        "Prometheus has none",
        |s| {
            s.prometheuses[0].targets.as_mut().unwrap().remove(0);
        },
        "serviceMonitor/prod/api/0",
    ),
    (
        "target-down",
        "nothing listens",
        |s| down(s, "dial tcp 10.0.0.1:8000: connect: connection refused"),
        "0.0.0.0",
    ),
    (
        "target-down",
        "another path",
        |s| down(s, "server returned HTTP status 404 Not Found"),
        "Set path",
    ),
    (
        "metrics-content-type",
        "FastAPI wraps the text as JSON",
        |s| {
            down(
                s,
                "received unsupported Content-Type \"application/json\" and no fallback_scrape_protocol specified for target",
            )
        },
        "media_type=CONTENT_TYPE_LATEST",
    ),
    (
        "sample-limit",
        "too many series",
        |s| down(s, "sample limit exceeded"),
        "sampleLimit",
    ),
    (
        "empty-page",
        "an empty registry",
        |s| answer(s, Query::EmptyPages, 0.0),
        "scrape_samples_scraped is 0",
    ),
    (
        "label-collision",
        "the guide's label endpoint",
        |s| answer(s, Query::Collided("endpoint"), 12.0),
        "labeldrop",
    ),
    (
        "label-collision",
        "a label namespace",
        |s| answer(s, Query::Collided("namespace"), 12.0),
        "metricRelabelings",
    ),
    (
        "unbounded-label",
        "the path of the URL",
        |s| answer(s, Query::LabelValues("path"), 4711.0),
        "4711 values",
    ),
    (
        "counters-of-several-processes",
        "each scrape another worker",
        |s| answer(s, Query::ProcessStarts, 20.0),
        "changed 20 times",
    ),
    (
        "rule-invalid",
        "a parenthesis is missing",
        |s| expr(s, "sum by (namespace) (rate(http_requests_total[5m]) > 1"),
        "is not PromQL",
    ),
    (
        "rule-invalid",
        "a label that is a number",
        |s| {
            set(
                s,
                RULE,
                "/spec/groups/0/rules/1/labels",
                json!({"severity": "critical", "severity_id": 5}),
            )
        },
        "severity_id is 5",
    ),
    (
        "rule-invalid",
        "a label with a dot",
        |s| {
            set(
                s,
                RULE,
                "/spec/groups/0/rules/1/labels",
                json!({"severity": "critical", "app.kubernetes.io/name": "x"}),
            )
        },
        "no name of a label",
    ),
    (
        "rule-invalid",
        "a value in a label",
        |s| {
            set(
                s,
                RULE,
                "/spec/groups/0/rules/1/labels",
                json!({"severity": "critical", "now": "{{ $value }}"}),
            )
        },
        "annotation",
    ),
    (
        "rule-invalid",
        "a rule that is neither",
        |s| set(s, RULE, "/spec/groups/0/rules/1/alert", Value::Null),
        "exactly one of alert and record",
    ),
    (
        "rule-not-loaded",
        "the group is not there",
        |s| s.prometheuses[0].rules = Ok(Vec::new()),
        "has not loaded the groups api",
    ),
    (
        "rule-not-loaded",
        "a group of that name of another object",
        |s| s.prometheuses[0].rules.as_mut().unwrap()[0].file = "/r/prod-api-v2-u9.yaml".into(),
        "has not loaded the groups api",
    ),
    (
        "rule-failing",
        "two replicas of kube-state-metrics",
        |s| {
            let rule = &mut s.prometheuses[0].rules.as_mut().unwrap()[0].rules[1];
            rule.health = "err".into();
            rule.last_error = "found duplicate series for the match group {pod=\"a\"} on the right hand-side of the operation: [...];many-to-many matching not allowed: matching labels must be unique on one side".into();
        },
        "aggregate",
    ),
    (
        "rule-slow",
        "it takes too long",
        |s| s.prometheuses[0].rules.as_mut().unwrap()[0].evaluation_time = 45.0,
        "45.0 s",
    ),
    (
        "retention",
        "a shorter retention",
        |s| set(s, "Prometheus monitoring/main", "/spec/retention", json!("5d")),
        "looks back 7d",
    ),
    (
        "retention",
        "none is set",
        |s| set(s, "Prometheus monitoring/main", "/spec/retention", Value::Null),
        "keeps 24h",
    ),
    (
        "series-never-seen",
        "the metric was renamed",
        |s| {
            s.prometheuses[0]
                .metrics
                .as_mut()
                .unwrap()
                .remove("http_requests_total");
            s.prometheuses[0]
                .metrics
                .as_mut()
                .unwrap()
                .insert("http_request_total".into());
        },
        "Is http_request_total meant",
    ),
    (
        "dependency-alert-blind",
        "only redis_up == 0",
        |s| {
            object(s, RULE).value["spec"]["groups"][0]["rules"]
                .as_array_mut()
                .unwrap()
                .pop();
        },
        "absent(redis_up",
    ),
    (
        "alert-without-namespace",
        "a sum over everything",
        |s| expr(s, "sum(rate(http_errors_total[5m])) > 1"),
        "no label namespace",
    ),
    (
        "alert-without-namespace",
        "the record has lost it",
        |s| {
            set(
                s,
                RULE,
                "/spec/groups/0/rules/0/expr",
                json!("sum by (job) (rate(http_errors_total[5m])) / sum by (job) (rate(http_requests_total[5m]))"),
            )
        },
        "no label namespace",
    ),
    (
        "alert-not-delivered",
        "the route is for another namespace",
        |s| s.alertmanagers[0].config = Ok(ROUTES.replace("namespace=\"prod\"", "namespace=\"test\"")),
        "\"null\", which sends nothing",
    ),
    (
        "alert-not-delivered",
        "the receiver is empty",
        |s| s.alertmanagers[0].config = Ok(ROUTES.replace("slack_configs: [{channel: web}]", "slack_configs: []")),
        "prod/web/chat",
    ),
    (
        "dashboard-unreadable",
        "it is wrapped",
        |s| dashboard(s, r#"{"dashboard": {"title": "API", "panels": []}}"#),
        "jq .dashboard",
    ),
    (
        "dashboard-unreadable",
        "a comma too many",
        |s| dashboard(s, r#"{"title": "API",}"#),
        "is no JSON",
    ),
    (
        "dashboard-unreadable",
        "no title",
        |s| dashboard(s, r#"{"uid": "api", "panels": []}"#),
        "has no title",
    ),
    (
        "dashboard-for-import",
        "exported for import",
        |s| {
            dashboard(
                s,
                r#"{"title": "API", "__inputs": [], "panels": [{"datasource": "${DS_PROMETHEUS}"}]}"#,
            )
        },
        "${DS_PROMETHEUS}",
    ),
    (
        "dashboard-too-large",
        "more than the API server takes soon",
        |s| dashboard(s, &format!(r#"{{"title": "API", "x": "{}"}}"#, "x".repeat(950 << 10))),
        "950 KiB",
    ),
    (
        "dashboard-too-large",
        "more than kubectl apply takes soon",
        |s| {
            dashboard(s, &format!(r#"{{"title": "API", "x": "{}"}}"#, "x".repeat(210 << 10)));
            set(
                s,
                MAP,
                "/metadata/annotations",
                json!({"kubectl.kubernetes.io/last-applied-configuration": "{}"}),
            );
        },
        "210 KiB",
    ),
    (
        "dashboard-not-loaded",
        "another value of the label",
        |s| set(s, MAP, "/metadata/labels", json!({"grafana_dashboard": "true"})),
        "grafana_dashboard=1",
    ),
    (
        "dashboard-not-loaded",
        "the sidecar looks only at home",
        |s| {
            set(
                s,
                "Deployment monitoring/grafana",
                "/spec/template/spec/containers/1/env/2",
                json!({"name": "NAMESPACE", "value": "prod-dashboards"}),
            );
            remove(s, "ConfigMap prod/worker-dashboard");
        },
        "searchNamespace",
    ),
    (
        "dashboard-duplicate",
        "copied with its uid",
        |s| dashboard(s, r#"{"uid": "worker", "title": "API", "panels": []}"#),
        "the same uid",
    ),
    (
        "dashboard-duplicate",
        "copied with its title",
        |s| dashboard(s, r#"{"uid": "api", "title": "Worker", "panels": []}"#),
        "the same title",
    ),
    (
        "dashboard-duplicate",
        "the same file name",
        |s| {
            set(
                s,
                MAP,
                "/data",
                json!({"worker.json": r#"{"uid": "api", "title": "API"}"#}),
            )
        },
        "the same key",
    ),
    (
        "risky-probe",
        "liveness asks what readiness asks",
        |s| {
            set(
                s,
                DEPLOYMENT,
                &format!("{CONTAINER}/livenessProbe/httpGet/path"),
                json!("/ready"),
            )
        },
        "as the readiness probe does",
    ),
    (
        "risky-probe",
        "a port that is not there",
        |s| {
            set(
                s,
                DEPLOYMENT,
                &format!("{CONTAINER}/readinessProbe/httpGet/port"),
                json!("web"),
            )
        },
        "does not declare",
    ),
    (
        "liveness-too-slow",
        "a database ping blocks the loop",
        |s| {
            set(s, "Event prod/api.1", "/reason", json!("Unhealthy"));
            set(
                s,
                "Event prod/api.1",
                "/message",
                json!(
                    "Liveness probe failed: Get \"http://10.0.0.1:8000/health\": context deadline exceeded (Client.Timeout exceeded while awaiting headers)"
                ),
            );
        },
        "context deadline exceeded",
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

fn expr(snapshot: &mut Snapshot, text: &str) {
    set(snapshot, RULE, "/spec/groups/0/rules/1/expr", json!(text));
}

fn dashboard(snapshot: &mut Snapshot, text: &str) {
    set(snapshot, MAP, "/data", json!({"api.json": text}));
}

/// Prometheus has not scraped it yet.
fn unknown(snapshot: &mut Snapshot) {
    snapshot.prometheuses[0].targets.as_mut().unwrap()[0].health = TargetHealth::Unknown;
}

#[test]
fn a_healthy_cluster_has_no_finding_and_every_rule_is_run() {
    let diagnosis = diagnose(&healthy());
    assert!(diagnosis.findings.is_empty(), "{:#?}", diagnosis.findings);
    assert_eq!(diagnosis.not_run, []);
}

#[test]
fn each_mistake_is_found_by_exactly_the_rule_that_is_for_it() {
    for (rule, mistake, make, words) in CASES {
        let mut snapshot = healthy();
        make(&mut snapshot);
        let diagnosis = diagnose(&snapshot);
        assert!(!diagnosis.findings.is_empty(), "{rule}: {mistake}: nothing is found");
        for finding in &diagnosis.findings {
            assert_eq!(finding.rule, *rule, "{mistake}: {finding:#?}");
        }
        let told = serde_json::to_string(&diagnosis.findings).unwrap();
        let words = serde_json::to_string(words).unwrap();
        assert!(
            told.contains(words.trim_matches('"')),
            "{rule}: {mistake}: {words} is not in {told}"
        );
    }
}

#[test]
fn every_rule_has_a_case_an_id_of_its_own_and_words() {
    let cases: BTreeSet<&str> = CASES.iter().map(|(rule, ..)| *rule).collect();
    let rules: BTreeSet<&str> = RULES.iter().map(|rule| rule.id).collect();
    assert_eq!(cases, rules);
    assert_eq!(rules.len(), RULES.len());
    for rule in RULES {
        for words in [rule.title, rule.effect, rule.fix] {
            assert!(!words.is_empty() && !words.ends_with('.'), "{}: {words}", rule.id);
        }
        assert!(page().contains(&format!("\n## {}\n", rule.id)), "{}", rule.id);
    }
}

#[test]
fn a_rule_that_lacks_what_it_needs_is_named_and_the_others_run() {
    let mut snapshot = healthy();
    set(&mut snapshot, SM, "/spec/endpoints/0/scrapeTimeout", json!("60s"));
    snapshot.unseen.insert(Kind::Prometheus, Unseen::Forbidden);
    snapshot.objects.remove(&Kind::Prometheus);
    snapshot.prometheuses[0].targets = Err("it says 403".into());
    let diagnosis = diagnose(&snapshot);
    assert_eq!(ids(&diagnosis), ["scrape-timeout"]);
    let why = |rule: &str| {
        diagnosis
            .not_run
            .iter()
            .find(|not| not.rule == rule)
            .map(|not| not.because.as_str())
    };
    assert_eq!(why("monitor-not-selected"), Some("you may not list prometheuses"));
    assert_eq!(why("target-down"), Some("it says 403"));
    assert_eq!(why("dashboard-duplicate"), None);
}

#[test]
fn a_namespace_whose_labels_are_not_seen_is_not_accused() {
    let mut snapshot = healthy();
    snapshot.objects.remove(&Kind::Namespace);
    snapshot.unseen.insert(Kind::Namespace, Unseen::Forbidden);
    let found = ids(&diagnose(&snapshot));
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn of_a_kind_that_is_seen_in_one_namespace_only_nothing_is_said_about_the_rest() {
    let mut snapshot = healthy();
    set(&mut snapshot, SM, "/metadata/labels", json!({}));
    snapshot.scope.namespace = Some("prod".into());
    snapshot.narrow.insert(Kind::Prometheus);
    let diagnosis = diagnose(&snapshot);
    assert!(!ids(&diagnosis).contains(&"monitor-not-selected"));
    let not = diagnosis
        .not_run
        .iter()
        .find(|not| not.rule == "monitor-not-selected")
        .unwrap();
    assert!(not.because.contains("only in namespace prod"), "{not:?}");
}

#[test]
fn one_name_or_namespace_is_asked_about_and_the_rest_is_left_out() {
    let mut snapshot = healthy();
    set(&mut snapshot, SM, "/metadata/labels", json!({}));
    set(&mut snapshot, PM, "/metadata/labels", json!({}));
    set(&mut snapshot, RULE, "/metadata/labels", json!({}));
    let objects = |snapshot: &Snapshot| -> BTreeSet<String> {
        diagnose(snapshot)
            .findings
            .iter()
            .map(|finding| finding.object.to_string())
            .collect()
    };
    let of = |all: &[&str]| all.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
    assert_eq!(objects(&snapshot), of(&[SM, PM, RULE]));
    snapshot.scope = Scope {
        namespace: Some("prod".into()),
        name: Some("worker".into()),
    };
    assert_eq!(objects(&snapshot), of(&[PM]));
    snapshot.scope.name = Some("api".into());
    assert_eq!(objects(&snapshot), of(&[SM, RULE]));
    assert!(is_known(&snapshot));
    snapshot.scope.name = Some("nobody".into());
    assert!(!is_known(&snapshot));
    snapshot.scope = Scope {
        namespace: Some("monitoring".into()),
        name: None,
    };
    assert_eq!(objects(&snapshot), of(&[]));
}

#[test]
fn files_are_judged_as_far_as_they_go_and_findings_have_their_place() {
    let text = "{apiVersion: v1, kind: Secret, metadata: {name: x}}\n---\napiVersion: monitoring.coreos.com/v1\nkind: ServiceMonitor\n\
                metadata: {name: a}\nspec: {selector: {}, endpoints: [{port: web, interval: 10s, scrapeTimeout: 1m}]}\n---\na: [";
    let (snapshot, problems) = read(&[source(text)], "team");
    assert_eq!(problems.len(), 1, "{problems:?}");
    let diagnosis = diagnose(&snapshot);
    assert_eq!(ids(&diagnosis), ["scrape-timeout"]);
    let place = diagnosis.findings[0].place.as_ref().unwrap();
    assert_eq!((place.file.as_str(), place.place.line), ("cluster.yaml", 3));
    assert_eq!(diagnosis.findings[0].object.namespace, "team");
    let not: BTreeMap<&str, &str> = diagnosis
        .not_run
        .iter()
        .map(|not| (not.rule, not.because.as_str()))
        .collect();
    assert_eq!(not["monitor-not-selected"], "the files hold no prometheuses");
    assert_eq!(not["target-down"], "no Prometheus was asked");
}

#[test]
fn a_hostile_text_reaches_no_terminal_and_no_shell() {
    let mut snapshot = healthy();
    set(
        &mut snapshot,
        "Prometheus monitoring/main",
        "/spec/serviceMonitorSelector",
        json!({"matchLabels": {"x": "$(reboot)\u{1b}[31m"}}),
    );
    let diagnosis = diagnose(&snapshot);
    let command = diagnosis.findings[0].fix.command.as_ref().unwrap();
    assert!(command.ends_with("'x=$(reboot) [31m'"), "{command}");
    assert!(
        !diagnosis
            .findings
            .iter()
            .any(|finding| finding.evidence.contains('\u{1b}'))
    );
}
