//! Which alerts fire, and whose they are.

use jiff::SignedDuration;

use super::*;

const UID: &str = "0c9d7b1e-aaaa-4bbb-8ccc-0123456789ab";
const ACTIVE: &str = "2026-01-01T00:00:00.5Z";

/// A rule with one alert of this state.
fn rule(name: &str, state: &str, active: &str) -> Value {
    json!({"name": name, "type": "alerting", "health": "ok", "duration": 300, "keepFiringFor": 0,
        "alerts": [{"labels": {"pod": "api-1"}, "state": state, "activeAt": active, "value": "1e+00"}]})
}

async fn firing(file: &str, rules: Value) -> Option<observed_core::remediation::Firing> {
    let groups = json!({"groups": [{"name": "observed:prod/api:workload", "file": file, "rules": rules}]});
    let (url, _) = fake(targets(&[]), groups).await;
    let groups = ["observed:prod/api:workload".to_owned()];
    client().firing(&url, UID, &groups, "MemoryLeak").await.unwrap()
}

fn ours() -> String {
    format!("/etc/prometheus/rules/prometheus-main-rulefiles-0/prod-api-{UID}.yaml")
}

#[tokio::test]
async fn an_alert_of_our_own_rules_fires_from_when_its_condition_has_held_long_enough() {
    let firing = firing(&ours(), json!([rule("MemoryLeak", "firing", ACTIVE)]))
        .await
        .unwrap();
    let active: Timestamp = ACTIVE.parse().unwrap();
    assert_eq!((firing.alert.as_str(), firing.active_since), ("MemoryLeak", active));
    assert_eq!(firing.firing_since, active + SignedDuration::from_mins(5));
}

#[tokio::test]
async fn of_several_pods_the_one_counts_that_was_first() {
    let later = rule("MemoryLeak", "firing", "2026-01-01T01:00:00Z");
    let firing = firing(&ours(), json!([later, rule("MemoryLeak", "firing", ACTIVE)])).await;
    assert_eq!(firing.unwrap().active_since, ACTIVE.parse::<Timestamp>().unwrap());
}

#[tokio::test]
async fn what_only_pends_has_ended_is_another_one_or_somebody_elses_does_not_fire() {
    let mut ended = rule("MemoryLeak", "firing", ACTIVE);
    ended["alerts"][0]["keepFiringSince"] = json!("2026-01-01T02:00:00Z");
    let none = json!({"name": "MemoryLeak", "type": "alerting", "duration": 300, "alerts": null});
    for rules in [
        json!([]),
        json!([none]),
        json!([ended]),
        json!([rule("MemoryLeak", "pending", ACTIVE)]),
        json!([rule("HighMemoryUsage", "firing", ACTIVE)]),
    ] {
        assert_eq!(firing(&ours(), rules.clone()).await, None, "{rules}");
    }
    let rules = json!([rule("MemoryLeak", "firing", ACTIVE)]);
    assert_eq!(firing("/etc/prometheus/rules/evil-api-another.yaml", rules).await, None);
}
