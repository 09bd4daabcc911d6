//! What is worth knowing of rules that work.

use super::*;

/// What is said of two healthy groups, the second of which takes so many seconds, by a Prometheus that keeps samples so long.
async fn told(seconds: f64, retention: Option<u64>) -> String {
    let mut slow = group("prod.api.target", &[("b", "ok", "")]);
    slow["evaluationTime"] = json!(seconds);
    let groups = json!({"groups": [group("prod.api.http", &[("a", "ok", "")]), slow]});
    let (url, _) = fake(targets(&[]), groups).await;
    let prometheus = facts::Prometheus {
        retention_seconds: retention,
        ..prometheus("main", &url, Some(LabelSelector::default()))
    };
    let verdict = ask(vec![prometheus], None, rules_check(2)).await;
    of_loaded(verdict)
}

#[tokio::test]
async fn a_group_that_takes_longer_than_its_interval_is_named() {
    let message = told(31.5, None).await;
    assert!(
        message.contains("the group \"prod.api.target\" takes longer than its interval"),
        "{message}"
    );
    assert!(!told(29.5, None).await.contains("Worth knowing"));
}

#[tokio::test]
async fn samples_that_are_gone_before_a_rule_looks_back_at_them_are_told() {
    let day = 86_400;
    let message = told(0.1, Some(15 * day)).await;
    let words = "a rule looks back 30d, and Prometheus monitoring/main keeps samples for 15d only";
    assert!(message.contains(words), "{message}");
    for enough in [Some(30 * day), None] {
        assert!(!told(0.1, enough).await.contains("Worth knowing"), "{enough:?}");
    }
}
