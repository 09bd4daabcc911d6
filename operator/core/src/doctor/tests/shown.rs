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
        "dashboard-not-in-grafana",
        "its sidecar loads it, and Grafana does not take it",
        |s| in_grafana(s, None),
        "api.json: Grafana at http://grafana has no dashboard with the uid \"api\" yet",
    ),
    (
        "dashboard-not-in-grafana",
        "somebody made another one under its uid",
        |s| in_grafana(s, Some("Copy of API")),
        "Delete that one, or give it another uid",
    ),
    (
        "dashboard-not-loaded",
        "and so Grafana does not have it, which is not told twice",
        |s| {
            set(s, MAP, "/metadata/labels", json!({"grafana_dashboard": "true"}));
            in_grafana(s, None);
        },
        "grafana_dashboard=1",
    ),
    (
        "dashboard-duplicate",
        "and so Grafana has the other one, which is not told twice",
        |s| {
            set(
                s,
                "ConfigMap prod/worker-dashboard",
                "/data",
                json!({"w.json": r#"{"uid": "api", "title": "W", "panels": []}"#}),
            );
            in_grafana(s, Some("API"));
        },
        "the same uid",
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

#[test]
fn what_grafana_has_is_shown_however_it_came_there() {
    let mut snapshot = healthy();
    in_grafana(&mut snapshot, Some("API"));
    assert_eq!(ids(&diagnose(&snapshot)), Vec::<&str>::new());
    set(
        &mut snapshot,
        MAP,
        "/metadata/labels",
        json!({"grafana_dashboard": "true"}),
    );
    assert_eq!(ids(&diagnose(&snapshot)), Vec::<&str>::new());
}

#[test]
fn grafana_is_asked_for_what_is_asked_about_and_by_no_uid_that_leads_elsewhere() {
    let mut snapshot = healthy();
    let uids = |snapshot: &Snapshot| dashboard_uids(snapshot).into_iter().collect::<Vec<_>>();
    assert_eq!(uids(&snapshot), ["api", "worker"]);
    snapshot.scope.namespace = Some("monitoring".into());
    assert_eq!(uids(&snapshot), Vec::<String>::new());
    snapshot.scope.namespace = Some("prod".into());
    for uid in ["../../admin/users", "a?b", "", &"x".repeat(41)] {
        dashboard(&mut snapshot, &json!({"uid": uid, "title": "API"}).to_string());
        assert_eq!(uids(&snapshot), ["worker"], "{uid}");
    }
}

#[test]
fn a_grafana_that_was_not_asked_or_gives_no_answer_is_named_and_every_other_rule_is_run() {
    let mut snapshot = healthy();
    let because = |snapshot: &Snapshot| {
        let not_run = diagnose(snapshot).not_run;
        assert!(
            not_run.len() == 1 && not_run[0].rule == "dashboard-not-in-grafana",
            "{not_run:?}"
        );
        not_run[0].because.clone()
    };
    let refused: Result<Option<Known>, String> = Err("it answers HTTP 401".into());
    snapshot
        .grafana
        .as_mut()
        .unwrap()
        .dashboards
        .insert("worker".into(), refused);
    assert_eq!(because(&snapshot), "it answers HTTP 401");
    // One answer is enough to run the rule, and the other one is told.
    in_grafana(&mut snapshot, Some("API"));
    assert_eq!(diagnose(&snapshot).not_run, []);
    assert_eq!(snapshot.not_seen(), ["it answers HTTP 401"]);
    snapshot.grafana = None;
    assert!(because(&snapshot).contains("--grafana-url"));
}
