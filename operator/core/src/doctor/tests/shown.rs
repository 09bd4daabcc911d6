//! Dashboards and probes.

use super::*;

pub(super) const CASES: &[Case] = &[
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
