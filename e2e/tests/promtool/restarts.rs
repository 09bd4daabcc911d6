//! Counters that start again.

use serde_json::{Value, json};

use super::{alerts_of, drills_by_alert, expr, golden, notice, only, read};

/// The packs have no case of a restart of these: the one that is made of another is what notices.
#[tokio::test]
async fn an_alert_that_takes_the_restart_of_a_counter_for_trouble_fails_its_drills() {
    let case = golden("llm-api");
    for (alert, counter) in [
        ("CPUThrottled", "container_cpu_cfs_periods_total"),
        ("ProbeFailing", "prober_probe_total"),
    ] {
        let rules = only(&read(&case.join("rules.yaml")), alert);
        let drills = &drills_by_alert(&case)[alert];
        let mut mutated = rules.clone();
        for (group, place, rule) in alerts_of(&rules) {
            let restarted = format!("max by (namespace, pod, container) (resets({counter}[30m])) > 0");
            mutated["groups"][group]["rules"][place]["expr"] = json!(format!("({}) or {restarted}", expr(&rule)));
        }
        let part = |is_made: bool| {
            let mut part = drills[0].clone();
            let made = |test: &Value| {
                let name = test["name"].as_str().unwrap();
                name.ends_with("and its counters start again")
            };
            part["tests"]
                .as_array_mut()
                .unwrap()
                .retain(|test| made(test) == is_made);
            [part]
        };
        assert!(
            !notice(&part(false), &mutated).await,
            "{alert}: another case notices it too"
        );
        assert!(notice(&part(true), &mutated).await, "{alert}: nobody notices it");
        assert!(!notice(&part(true), &rules).await, "{alert}: nothing is wrong");
    }
}
