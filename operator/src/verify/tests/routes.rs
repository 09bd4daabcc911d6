//! Whom the alerts reach.

use super::*;

pub(super) const CONFIG: &str = r#"
route:
  receiver: nobody
  routes:
  - {receiver: pager, matchers: ['namespace="prod"', 'severity="critical"']}
  - {receiver: chat, matchers: ['namespace="prod"', 'alertname!="Forgotten"']}
receivers:
- {name: nobody}
- {name: pager, webhook_configs: [{url: http://x}]}
- {name: chat, slack_configs: [{channel: c}]}
"#;

fn alert(name: &str, severity: &str) -> observed_crds::foreign::Rule {
    serde_json::from_value(json!({
        "alert": name, "expr": "sum(rate(x_total{namespace=\"prod\"}[5m])) > 1",
        "labels": {"severity": severity, "namespace": "prod"},
    }))
    .unwrap()
}

pub(super) fn routes(alerts: &[(&str, &str)]) -> Check {
    Check::Routes {
        labels: BTreeMap::new(),
        alerts: alerts.iter().map(|(name, severity)| alert(name, severity)).collect(),
    }
}

/// An Alertmanager with this configuration, in which these silences are.
async fn alertmanager(config: &str, silences: Value) -> String {
    let router = router(config, silences);
    format!("{}/prefix", serve(router).await)
}

/// One that also says which alerts it has: name, expression, receiver.
async fn having(config: &str, alerts: &[(&str, &str, &str)]) -> String {
    // As Alertmanager 0.28 answers.
    let alerts: Value = alerts
        .iter()
        .map(|(name, expr, receiver)| {
            json!({
                "labels": {"alertname": name, "severity": "none", "prometheus": "monitoring/main"}, "annotations": {},
                "startsAt": "2026-11-24T15:00:00Z", "endsAt": "2026-11-24T15:04:00Z", "updatedAt": "2026-11-24T15:00:00Z",
                "fingerprint": "a", "receivers": [{"name": receiver}], "status": {"state": "active", "silencedBy": [], "inhibitedBy": []},
                "generatorURL": format!("http://prometheus:9090/graph?g0.expr={expr}&g0.tab=1"),
            })
        })
        .collect();
    let answer = get(async move || alerts.to_string());
    let router = router(config, json!([])).route("/prefix/api/v2/alerts", answer);
    format!("{}/prefix", serve(router).await)
}

fn router(config: &str, silences: Value) -> Router {
    // As Alertmanager 0.28 answers, with what is not read left in.
    let status = json!({
        "cluster": {"status": "ready", "peers": []}, "versionInfo": {"version": "0.28.1"},
        "uptime": "2026-11-24T15:00:00Z", "config": {"original": config},
    });
    let answer = |body: Value| get(async move || body.to_string());
    Router::new()
        .route("/prefix/api/v2/status", answer(status))
        .route("/prefix/api/v2/silences", answer(silences))
}

/// A Prometheus that posts its alerts to these Alertmanagers.
async fn telling(alertmanagers: &[&str]) -> String {
    let active: Vec<Value> = alertmanagers
        .iter()
        .map(|base| json!({"url": format!("{base}/api/v2/alerts")}))
        .collect();
    let data = json!({"status": "success", "data": {"activeAlertmanagers": active, "droppedAlertmanagers": []}});
    let router = Router::new().route("/api/v1/alertmanagers", get(async move || data.to_string()));
    serve(router).await
}

#[tokio::test]
async fn alerts_that_all_come_to_somebody_are_routed() {
    let alertmanager = alertmanager(CONFIG, json!([])).await;
    let prometheus = telling(&[&alertmanager]).await;
    let alerts = [("Down", "critical"), ("Slow", "warning"), ("Told", "info")];
    let verdict = ask_one(&prometheus, routes(&alerts)).await;
    assert_eq!(
        (verdict.truth, verdict.reason),
        (Truth::True, Reason::Routed),
        "{verdict:?}"
    );
    assert_eq!(verdict.count, Some((2, 2)));
    for part in ["monitoring/main", "\"chat\" (1)", "\"pager\" (1)"] {
        assert!(verdict.message.contains(part), "{}", verdict.message);
    }
}

#[tokio::test]
async fn what_is_the_same_for_all_services_is_asked_for_once_however_many_of_them_ask() {
    let alertmanager = alertmanager(CONFIG, json!([])).await;
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let active = json!({"data": {"activeAlertmanagers": [{"url": format!("{alertmanager}/api/v2/alerts")}]}});
    let answer = get(async move || {
        count.fetch_add(1, Ordering::Relaxed);
        active.to_string()
    });
    let url = serve(Router::new().route("/api/v1/alertmanagers", answer)).await;
    let facts = Facts {
        namespace: "prod".into(),
        prometheuses: vec![prometheus("main", &url, Some(LabelSelector::default()))],
        ..Default::default()
    };
    let client = client();
    for service in ["Down", "Slow", "Late"] {
        let verdict = verify(&backends(&facts, &client), &[routes(&[(service, "critical")])])
            .await
            .remove(0);
        assert_eq!(verdict.truth, Truth::True, "{verdict:?}");
    }
    assert_eq!(asked.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn an_alert_that_ends_at_a_receiver_without_an_integration_is_named() {
    let alertmanager = alertmanager(CONFIG, json!([])).await;
    let prometheus = telling(&[&alertmanager]).await;
    let verdict = ask_one(&prometheus, routes(&[("Down", "critical"), ("Forgotten", "warning")])).await;
    assert_eq!(
        (verdict.truth, verdict.reason),
        (Truth::False, Reason::NotRouted),
        "{verdict:?}"
    );
    assert_eq!(verdict.count, Some((1, 2)));
    assert!(
        verdict.message.contains("Forgotten can only come to \"nobody\"") && !verdict.message.contains("Down"),
        "{}",
        verdict.message
    );
}

#[tokio::test]
async fn a_silence_is_told_with_who_made_it_and_until_when() {
    let silence = |state: &str, alert: &str| {
        json!({
            "id": alert, "status": {"state": state}, "createdBy": "alice", "comment": "", "startsAt": "2026-11-24T15:00:00Z",
            "endsAt": "2026-11-25T15:00:00Z", "updatedAt": "2026-11-24T15:00:00Z",
            "matchers": [{"name": "alertname", "value": alert, "isRegex": false, "isEqual": true}],
        })
    };
    let silences = json!([
        silence("active", "Down"),
        silence("expired", "Slow"),
        silence("active", "Other")
    ]);
    let alertmanager = alertmanager(CONFIG, silences).await;
    let prometheus = telling(&[&alertmanager]).await;
    let verdict = ask_one(&prometheus, routes(&[("Down", "critical"), ("Slow", "warning")])).await;
    assert_eq!(verdict.truth, Truth::True);
    let told = "Silenced now: Down by alice until 2026-11-25T15:00:00Z";
    assert!(verdict.message.ends_with(told), "{}", verdict.message);
}

#[tokio::test]
async fn alerts_that_are_sent_at_times_only_are_routed_and_the_times_are_told() {
    let muted = CONFIG.replace("{receiver: chat,", "{receiver: chat, mute_time_intervals: [nights],");
    let alertmanager = alertmanager(&muted, json!([])).await;
    let prometheus = telling(&[&alertmanager]).await;
    let verdict = ask_one(&prometheus, routes(&[("Down", "critical"), ("Slow", "warning")])).await;
    assert_eq!(verdict.truth, Truth::True);
    let told = "Only at times: Slow outside of \"nights\"";
    assert!(verdict.message.ends_with(told), "{}", verdict.message);
}

#[tokio::test]
async fn a_prometheus_that_tells_no_alertmanager_is_a_fault_and_one_that_does_not_say_is_not_known() {
    let verdict = ask_one(&telling(&[]).await, routes(&[("Down", "critical")])).await;
    assert_eq!(
        (verdict.truth, verdict.reason),
        (Truth::False, Reason::NoAlertmanager),
        "{verdict:?}"
    );

    // As a Thanos answers.
    let verdict = ask_one(&serve(Router::new()).await, routes(&[("Down", "critical")])).await;
    assert_eq!(
        (verdict.truth, verdict.reason),
        (Truth::Unknown, Reason::Unreachable),
        "{verdict:?}"
    );
    assert!(verdict.message.contains("--alertmanager-url"), "{}", verdict.message);
}

#[tokio::test]
async fn an_alertmanager_that_cannot_be_asked_or_understood_is_not_known_and_another_one_will_do() {
    let good = alertmanager(CONFIG, json!([])).await;
    for broken in [
        "http://127.0.0.1:1".to_owned(),
        alertmanager("a: [", json!([])).await,
        alertmanager(CONFIG, json!({"code": 1})).await,
        serve(Router::new().fallback(async || "<html>")).await,
    ] {
        let verdict = ask_one(&telling(&[&broken]).await, routes(&[("Down", "critical")])).await;
        assert_eq!(
            (verdict.truth, verdict.reason),
            (Truth::Unknown, Reason::Unreachable),
            "{verdict:?}"
        );
        let verdict = ask_one(&telling(&[&broken, &good]).await, routes(&[("Down", "critical")])).await;
        assert_eq!(verdict.truth, Truth::True, "{verdict:?}");
    }
}

#[tokio::test]
async fn an_address_that_is_given_is_asked_instead_of_those_that_prometheus_names() {
    let alertmanager = alertmanager(CONFIG, json!([])).await;
    let facts = Facts {
        namespace: "prod".into(),
        prometheuses: vec![prometheus("main", "http://127.0.0.1:1", Some(LabelSelector::default()))],
        ..Default::default()
    };
    let client = client();
    let backends = Backends {
        alertmanager_url: Some(&alertmanager),
        ..backends(&facts, &client)
    };
    let verdict = verify(&backends, &[routes(&[("Down", "critical")])]).await.remove(0);
    assert_eq!(verdict.truth, Truth::True, "{verdict:?}");
}

#[tokio::test]
async fn alerts_that_no_prometheus_evaluates_are_not_judged() {
    let nothing = LabelSelector {
        match_labels: [("team".to_owned(), "x".to_owned())].into(),
        ..Default::default()
    };
    let prometheuses = vec![prometheus("main", "http://127.0.0.1:1", Some(nothing))];
    let verdict = ask(prometheuses, None, routes(&[("Down", "critical")])).await;
    assert_eq!(
        (verdict.truth, verdict.reason),
        (Truth::Unknown, Reason::NotSelected),
        "{verdict:?}"
    );
    assert!(verdict.message.contains("RulesHealthy"), "{}", verdict.message);
}

#[tokio::test]
async fn the_heartbeat_is_told_with_where_it_comes_to_and_so_is_one_that_comes_nowhere_or_is_not_there() {
    for (alerts, words) in [
        (
            &[("Watchdog", "vector%281%29", "chat")][..],
            "Heartbeat: Watchdog comes to \"chat\"",
        ),
        (
            &[("Watchdog", "vector%281%29", "nobody")],
            "Watchdog always fires and comes to no receiver",
        ),
        (&[("Watchdog", "up+%3D%3D+0", "chat")], "No heartbeat"),
        (&[], "No heartbeat"),
    ] {
        let alertmanager = having(CONFIG, alerts).await;
        let verdict = ask_one(&telling(&[&alertmanager]).await, routes(&[("Down", "critical")])).await;
        assert_eq!(verdict.truth, Truth::True, "it is advice: {verdict:?}");
        assert!(verdict.message.contains(words), "{}", verdict.message);
    }
    // Who does not say which alerts it has is not said to lack one.
    let alertmanager = alertmanager(CONFIG, json!([])).await;
    let verdict = ask_one(&telling(&[&alertmanager]).await, routes(&[("Down", "critical")])).await;
    assert!(!verdict.message.contains("eartbeat"), "{}", verdict.message);
}

#[tokio::test]
async fn an_inhibit_rule_that_silences_for_ever_is_a_fault_and_one_that_may_inhibit_is_told() {
    let beats = [("Watchdog", "vector%281%29", "chat")];
    let rule = "inhibit_rules:\n- {source_matchers: [severity=none], target_matchers: [severity=critical]}\n";
    let alertmanager = having(&format!("{CONFIG}{rule}"), &beats).await;
    let alerts = [("Down", "critical"), ("Slow", "warning")];
    let verdict = ask_one(&telling(&[&alertmanager]).await, routes(&alerts)).await;
    assert_eq!(
        (verdict.truth, verdict.reason),
        (Truth::False, Reason::Inhibited),
        "{verdict:?}"
    );
    let told = "Down by Watchdog, which always fires";
    assert!(
        verdict.message.contains(told) && !verdict.message.contains("Slow"),
        "{}",
        verdict.message
    );

    for (equal, told) in [
        ("", "Slow while severity=\"critical\" of any service"),
        (", equal: [namespace]", "Slow while severity=\"critical\""),
    ] {
        let rule = format!(
            "inhibit_rules:\n- {{source_matchers: [severity=critical], target_matchers: [severity=warning]{equal}}}\n"
        );
        let alertmanager = having(&format!("{CONFIG}{rule}"), &beats).await;
        let verdict = ask_one(&telling(&[&alertmanager]).await, routes(&alerts)).await;
        assert_eq!(verdict.truth, Truth::True, "{verdict:?}");
        assert!(
            verdict.message.ends_with(&format!("Inhibited: {told}")),
            "{}",
            verdict.message
        );
    }
}
