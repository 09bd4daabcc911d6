//! How the last links are broken: an alert that nobody is told of, a dashboard that nobody sees.

use serde_json::{Value, json};

use super::{Case, apply, kubectl, patch, patch_in, spec};
use crate::stage::{self, GRAFANA, MONITORING};

pub(super) fn alerts() -> Vec<Case> {
    let link = "rule → Alertmanager";
    let sign = |reason, words| ["AlertsRouted", "False", reason, words];
    let prometheus = |name: &str, alerting: &Value| {
        vec![patch_in(
            MONITORING,
            "prometheus",
            name,
            "merge",
            &json!({"spec": {"alerting": alerting}}),
        )]
    };
    let to = |name: &str, port: &str| json!({"alertmanagers": [{"namespace": MONITORING, "name": name, "port": port}]});
    let right = to("alertmanager-operated", "web");
    let mut cases: Vec<Case> = [
        (
            "untold",
            "Prometheus is told of no Alertmanager (`spec.alerting`)",
            Value::Null,
        ),
        (
            "misnamed",
            "it is told of a Service that does not exist",
            to("alertmanager", "web"),
        ),
        (
            "misported",
            "it is told of a port that the Service does not have",
            to("alertmanager-operated", "http"),
        ),
    ]
    .into_iter()
    .map(|(name, what, wrong)| {
        let case = Case::new(link, (name, what), sign("NoAlertmanager", "no Alertmanager"));
        case.by(prometheus(name, &wrong), prometheus(name, &right))
    })
    .collect();

    let link = "Alertmanager → receiver";
    let config = |change: Value| vec![patch("alertmanagerconfig", "on-call", &json!({ "spec": change }))];
    let routes = stage::routes("NS");
    let matcher = |value: &str| json!({"name": "severity", "value": value, "matchType": "="});
    let rule = |source: &str, target: &str| json!({"sourceMatch": [matcher(source)], "targetMatch": [matcher(target)], "equal": ["namespace"]});
    cases.extend([
        Case::new(
            link,
            ("mute", "the receiver has no integration"),
            sign("NotRouted", "sends nothing"),
        )
        .by(
            config(json!({"receivers": [{"name": "on-call"}]})),
            config(json!({"receivers": routes["spec"]["receivers"]})),
        ),
        Case::new(
            link,
            ("routeless", "the AlertmanagerConfig is deleted"),
            sign("NotRouted", "sends nothing"),
        )
        .by(
            vec![kubectl(&["delete", "alertmanagerconfig", "on-call", "-n", "NS"])],
            vec![apply(&routes)],
        ),
        Case::new(
            link,
            ("mismatched", "the matchers of the route fit no alert"),
            sign("NotRouted", "sends nothing"),
        )
        .by(
            config(json!({"route": {"matchers": [matcher("urgent")]}})),
            config(json!({"route": {"matchers": null}})),
        ),
        Case::new(
            link,
            ("inhibited", "two inhibit rules silence critical and warning in turn"),
            sign("Inhibited", "inhibits in turn"),
        )
        .by(
            config(json!({"inhibitRules": [rule("critical", "warning"), rule("warning", "critical")]})),
            config(json!({"inhibitRules": null})),
        ),
    ]);
    cases
}

pub(super) fn dashboards() -> Vec<Case> {
    let link = "dashboard → Grafana";
    let sign = |reason, words| ["DashboardLoaded", "False", reason, words];
    let copy = json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": "copy", "namespace": "NS", "labels": {"grafana_dashboard": "1"}},
        "data": {"copy.json": json!({"uid": "copy", "title": "chain-copied / api", "panels": []}).to_string()},
    });
    let looks = |namespaces: &str| {
        vec![patch_in(
            GRAFANA,
            "deployment",
            "grafana",
            "json",
            &stage::looks_into(namespaces),
        )]
    };
    vec![
        Case::new(
            link,
            (
                "unlabelled",
                "`spec.dashboards.labels` has another value than the sidecar looks for",
            ),
            sign("NotSelected", "grafana_dashboard=1"),
        )
        .by(
            vec![spec(&json!({"dashboards": {"labels": {"grafana_dashboard": "yes"}}}))],
            vec![spec(&json!({"dashboards": {"labels": null}}))],
        ),
        Case::new(
            link,
            ("copied", "another ConfigMap holds a dashboard of the same title"),
            sign("DashboardTaken", "copy.json"),
        )
        .by(
            vec![apply(&copy)],
            vec![kubectl(&["delete", "configmap", "copy", "-n", "NS"])],
        ),
        Case::new(
            link,
            ("unseen", "the sidecar looks into other namespaces"),
            sign("NotSelected", "looks only into"),
        )
        .by(looks("OTHERS"), looks("ALL")),
    ]
}
