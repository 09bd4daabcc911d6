//! Rules, alerts and their routes, as they are written.

use super::*;

pub(super) const CASES: &[Case] = &[
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
        "rule-invalid",
        "a parenthesis is missing",
        |s| {
            unloaded(s);
            expr(s, "sum by (namespace) (rate(http_requests_total[5m]) > 1");
        },
        "is not PromQL",
    ),
    (
        "rule-invalid",
        "a label that is a number",
        |s| {
            unloaded(s);
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
            unloaded(s);
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
        "alert-changes",
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
        |s| {
            unloaded(s);
            set(s, RULE, "/spec/groups/0/rules/1/alert", Value::Null);
        },
        "exactly one of alert and record",
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
];
