use serde_json::{Value, json};

use crate::facts::Facts;
use crate::finding::{Code, Finding};
use crate::packs::Packs;
use crate::resolve::resolve;

/// What is said of these actions for a service with a database.
fn told(actions: &Value) -> Result<Vec<Finding>, Vec<Finding>> {
    told_beside(&json!([]), actions)
}

/// The same where a user has packs.
fn told_beside(packs: &Value, actions: &Value) -> Result<Vec<Finding>, Vec<Finding>> {
    let facts: Facts = serde_json::from_value(json!({
        "namespace": "prod", "name": "api", "uid": "owner-1", "packs": packs,
        "target": {
            "name": "api", "uid": "target-1", "resourceVersion": "7", "replicas": 1, "selector": {"matchLabels": {"app": "api"}},
            "containers": [{"name": "api", "ports": [{"name": "http", "port": 8000}]}],
        },
        "services": [{"name": "api", "ports": [{"name": "http", "port": 80, "targetPort": 8000}]}],
    }))
    .unwrap();
    let spec = serde_json::from_value(json!({
        "targetRef": {"name": "api"},
        "signals": {"packs": ["http", "workload"]},
        "dependencies": [{"name": "db", "type": "PostgreSQL", "scrapedFrom": {"job": "postgres-exporter"}}],
        "objectives": [{"name": "availability", "target": "99.9%", "sli": {"errorRatio": {}}}],
        "remediation": {"actions": actions},
    }))
    .unwrap();
    resolve(&spec, &facts, &Packs::builtin().unwrap()).map(|plan| {
        let of_it = |finding: &Finding| finding.path.starts_with("spec.remediation");
        plan.warnings.into_iter().filter(of_it).collect()
    })
}

fn action(alert: &str) -> Value {
    json!({"alert": alert, "action": "Restart"})
}

#[test]
fn alerts_of_the_service_and_of_its_objectives_can_be_acted_on() {
    let actions = json!([action("MemoryLeak"), {"alert": "HighErrorRate", "action": "Restart", "after": "10m"}]);
    assert_eq!(told(&actions), Ok(Vec::new()));
}

#[test]
fn everything_that_is_wrong_with_the_actions_is_told_at_once() {
    let actions = json!([
        action("MemoryLaek"), action("PostgresDown"), action("HighErrorRate"),
        {"alert": "HighErrorRate", "action": "Restart", "after": "soon"}, action("RuleEvaluationFailing"),
    ]);
    let found = told(&actions).unwrap_err();
    let told: Vec<_> = found
        .iter()
        .map(|finding| (finding.code, finding.path.as_str()))
        .collect();
    assert_eq!(
        told,
        [
            (Code::InvalidValue, "spec.remediation.actions[1].alert"),
            (Code::InvalidValue, "spec.remediation.actions[3].after"),
            (Code::InvalidValue, "spec.remediation.actions[3].alert"),
            (Code::InvalidValue, "spec.remediation.actions[4].alert"),
            (Code::UnknownSignal, "spec.remediation.actions[0].alert"),
        ],
        "{found:?}"
    );
    assert!(
        found[4].help.starts_with("Did you mean \"MemoryLeak\"?"),
        "{}",
        found[4].help
    );
    assert!(!found[4].help.contains("PostgresDown"), "{}", found[4].help);
    assert!(
        found[3].message.contains("about rules in Prometheus"),
        "{}",
        found[3].message
    );
    assert!(found[0].message.contains("about a dependency"), "{}", found[0].message);
}

#[test]
fn an_alert_of_a_pack_that_extends_one_is_about_what_that_one_is_about() {
    let pack = |extends: &str, alert: &str, value: &str| {
        json!({
            "apiVersion": "observed.rs/v1alpha1", "kind": "SignalPack",
            "metadata": {"name": alert.to_lowercase()},
            "spec": {"title": alert, "help": "Own.", "window": "5m", "extends": extends, "series": [], "signals": [{
                "name": "own", "help": "Own.", "unit": "count",
                "alerts": [{
                    "name": alert, "severity": "warning", "value": value, "above": "0", "for": "5m",
                    "summary": "It is so.", "impact": "None.", "first": ["Look."],
                    "drill": {"fires": [], "silent": []},
                }],
            }]},
        })
    };
    let packs = json!([
        pack(
            "target",
            "RuleFails",
            "increase(prometheus_rule_evaluation_failures_total[5m])"
        ),
        pack("target", "PodIsDown", "1 - up"),
        pack("postgres", "DatabaseIsSlow", "pg_stat_activity_count"),
    ]);
    let found = told_beside(
        &packs,
        &json!([action("RuleFails"), action("DatabaseIsSlow"), action("PodIsDown")]),
    )
    .unwrap_err();
    let messages: Vec<_> = found.iter().map(|finding| finding.message.as_str()).collect();
    assert_eq!(
        messages,
        [
            "\"RuleFails\" is about rules in Prometheus, and no restart of the service mends those",
            "\"DatabaseIsSlow\" is about a dependency, and no restart of the service mends what it depends on",
        ]
    );
}

#[test]
fn an_alert_that_the_service_does_not_have_as_it_is_is_worth_a_warning() {
    let found = told(&json!([action("TargetDown")])).unwrap();
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(
        found[0].message.contains("no alert \"TargetDown\" as it is"),
        "{}",
        found[0].message
    );
}
