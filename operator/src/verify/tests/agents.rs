//! PrometheusAgents: they scrape, evaluate no rules and answer no questions.

use super::*;

fn agent(objects: Option<LabelSelector>) -> facts::Prometheus {
    let mut agent = prometheus("edge", "", objects);
    agent.selects.remove("PrometheusRule");
    agent
}

/// The verdict where there are these, and this address is in the settings.
fn all() -> Option<LabelSelector> {
    Some(LabelSelector::default())
}

fn other() -> Option<LabelSelector> {
    Some(LabelSelector {
        match_labels: [("release".to_owned(), "edge".to_owned())].into(),
        ..Default::default()
    })
}

#[tokio::test]
async fn what_only_an_agent_selects_is_unknown_in_words_whatever_address_is_in_the_settings() {
    let (url, asked) = fake(targets(&[]), no_rules()).await;
    for (prometheuses, setting) in [
        (vec![], None),
        (vec![], Some(url.as_str())),
        (vec![prometheus("main", &url, other())], None),
    ] {
        let verdict = ask_with(prometheuses, vec![agent(all())], setting, targets_check(2)).await;
        assert_eq!((verdict.truth, verdict.reason), (Truth::Unknown, Reason::Unreachable));
        let words = "PrometheusAgent monitoring/edge selects the ServiceMonitor, and an agent answers no questions";
        assert!(verdict.message.contains(words), "{}", verdict.message);
    }
    assert_eq!(asked.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn an_agent_that_does_not_select_the_monitor_says_what_is_missing() {
    let verdict = ask_with(vec![], vec![agent(other())], None, targets_check(2)).await;
    assert_eq!((verdict.truth, verdict.reason), (Truth::False, Reason::NotSelected));
    let words = "PrometheusAgent monitoring/edge does not select it: its label release=edge is missing";
    assert!(verdict.message.contains(words), "{}", verdict.message);
}

#[tokio::test]
async fn a_prometheus_that_selects_the_monitor_too_is_asked() {
    let (url, _) = fake(targets(&[target(POOL, "up", "")]), no_rules()).await;
    let both = vec![prometheus("main", &url, all())];
    let verdict = ask_with(both, vec![agent(all())], None, targets_check(1)).await;
    assert_eq!(verdict.truth, Truth::True, "{verdict:?}");
}

#[tokio::test]
async fn rules_are_to_be_loaded_elsewhere_than_by_an_agent() {
    let verdict = ask_with(vec![], vec![agent(all())], None, rules_check(1)).await;
    assert_eq!((verdict.truth, verdict.reason), (Truth::Unknown, Reason::Unreachable));
    for words in ["an agent evaluates no rules", "--prometheus-url"] {
        assert!(verdict.message.contains(words), "{}", verdict.message);
    }
    // Where that is known, it is asked.
    let groups = json!({"groups": [group("prod.api.http", &[("a", "ok", "")])]});
    let (url, _) = fake(targets(&[]), groups).await;
    let verdict = ask_with(vec![], vec![agent(all())], Some(&url), rules_check(1)).await;
    assert_eq!(verdict.truth, Truth::True, "{verdict:?}");
    // A Prometheus that does not select them is not excused by an agent.
    let verdict = ask_with(
        vec![prometheus("main", "", other())],
        vec![agent(all())],
        None,
        rules_check(1),
    )
    .await;
    assert_eq!((verdict.truth, verdict.reason), (Truth::False, Reason::NotSelected));
    assert!(!verdict.message.contains("Agent"), "{}", verdict.message);
}
