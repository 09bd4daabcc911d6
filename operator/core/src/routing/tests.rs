use serde_json::json;

use super::*;

const CONFIG: &str = r#"
route:
  receiver: nobody
  routes:
  - matchers: ['namespace="prod"']
    continue: true
    routes:
    - {receiver: prod/pager, matchers: ['severity=~"critical|page"']}
    - {receiver: prod/chat, matchers: ['{severity!="none", team="a,b"}']}
  - {receiver: old, match: {severity: warning}, match_re: {alertname: Old.*}}
receivers:
- {name: nobody}
- {name: prod/pager, pagerduty_configs: [{routing_key: x}]}
- {name: prod/chat, slack_configs: []}
- {name: old, webhook_configs: [{url: http://x}]}
"#;

/// An alert with these labels, of an expression that keeps others.
fn alert(labels: &[(&str, &str)], kept: &[&str]) -> Alert {
    let mut labels: BTreeMap<String, String> = labels
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect();
    let name = labels.remove("alertname").unwrap_or_default();
    let expr = Expression::parse(&format!("sum by ({}) (up) == 0", kept.join(", "))).unwrap();
    Alert::of(&name, &labels, expr)
}

fn receivers(labels: &[(&str, &str)], kept: &[&str]) -> Vec<String> {
    let routing = Routing::read(CONFIG).unwrap();
    let found = routing.receivers(&alert(labels, kept));
    found
        .into_iter()
        .map(|(name, delivery)| format!("{name} {}", delivery.sends))
        .collect()
}

#[test]
fn a_route_that_sends_at_times_only_is_told_with_them_unless_another_one_leads_there_always() {
    let config = "
route:
  receiver: chat
  routes:
  - {receiver: pager, matchers: [severity=page], mute_time_intervals: [weekends], active_time_intervals: [office]}
  - receiver: chat
    matchers: [severity=warning]
    mute_time_intervals: [nights]
    continue: true
  - {receiver: chat, matchers: [severity=warning, team=a]}
receivers: [{name: chat, slack_configs: [{channel: c}]}, {name: pager, webhook_configs: [{url: http://x}]}]
";
    let routing = Routing::read(config).unwrap();
    let times = |labels: &[(&str, &str)], receiver: &str| -> Vec<String> {
        let mut found = routing.receivers(&alert(labels, &[]));
        found.remove(receiver).unwrap().times.into_iter().collect()
    };
    let page = times(&[("severity", "page")], "pager");
    assert_eq!(page, ["inside of \"office\"", "outside of \"weekends\""]);
    assert_eq!(times(&[("severity", "warning")], "chat"), ["outside of \"nights\""]);
    assert!(times(&[("severity", "warning"), ("team", "a")], "chat").is_empty());
    assert!(times(&[("severity", "critical")], "chat").is_empty());
}

#[test]
fn a_silence_counts_where_all_of_its_matchers_fit_for_certain() {
    let silenced = |matchers: Value| {
        let matchers: Vec<Matcher> = serde_json::from_value(matchers).unwrap();
        is_silenced(
            &matchers,
            &alert(&[("alertname", "Slow"), ("severity", "page")], &["handler"]),
        )
    };
    let name = json!({"name": "alertname", "value": "Slow", "isRegex": false, "isEqual": true});
    let severity = json!({"name": "severity", "value": "p.*", "isRegex": true, "isEqual": true});
    assert!(silenced(json!([name])));
    assert!(silenced(json!([name, severity])));
    for other in [
        json!([]),
        json!([name, {"name": "severity", "value": "page", "isRegex": false, "isEqual": false}]),
        json!([name, {"name": "handler", "value": "/a", "isRegex": false, "isEqual": true}]),
        json!([{"name": "alertname", "value": "Other"}]),
    ] {
        assert!(!silenced(other.clone()), "{other}");
    }
}

#[test]
fn what_a_template_fills_in_can_become_anything() {
    let found = receivers(&[("namespace", "prod"), ("severity", "{{ $labels.x }}")], &[]);
    assert_eq!(found, ["nobody false", "prod/pager true"]);
}

#[test]
fn only_severities_that_say_so_are_meant_for_nobody() {
    for (severity, somebody) in [("critical", true), ("warning", true), ("info", false), ("none", false)] {
        assert_eq!(
            alert(&[("severity", severity)], &[]).is_for_somebody(),
            somebody,
            "{severity}"
        );
    }
    assert!(alert(&[], &[]).is_for_somebody());
}

#[test]
fn an_alert_takes_the_routes_that_alertmanager_takes() {
    assert_eq!(
        receivers(&[("namespace", "prod"), ("severity", "page")], &[]),
        ["prod/pager true"]
    );
    assert_eq!(receivers(&[("severity", "page")], &[]), ["nobody false"]);
    assert_eq!(
        receivers(&[("namespace", "prod"), ("severity", "none")], &[]),
        ["nobody false"]
    );
    assert_eq!(
        receivers(&[("namespace", "prod"), ("severity", "x"), ("team", "a,b")], &[]),
        ["prod/chat false"]
    );
    assert_eq!(
        receivers(&[("severity", "warning"), ("alertname", "OldOne")], &[]),
        ["old true"]
    );
    assert_eq!(
        receivers(&[("severity", "warning"), ("alertname", "NotOld")], &[]),
        ["nobody false"]
    );
}

#[test]
fn a_label_that_is_not_known_leaves_both_ways_open() {
    let found = receivers(&[("severity", "critical")], &["namespace"]);
    assert_eq!(found, ["nobody false", "prod/pager true"]);
}

#[test]
fn what_is_no_configuration_has_no_routes() {
    for text in ["", "a: [", "route: 1", "receivers: []"] {
        assert!(Routing::read(text).is_none(), "{text}");
    }
}

const INHIBITING: &str = r#"
route: {receiver: all}
receivers: [{name: all, webhook_configs: [{url: http://x}]}]
inhibit_rules:
RULES
"#;

fn inhibited(rules: &str, alert: &Alert, always: &[Alert], others: &[Alert]) -> Vec<Inhibited> {
    let routing = Routing::read(&INHIBITING.replace("RULES", rules)).unwrap();
    routing.inhibited(alert, always, others)
}

fn named(name: &str, severity: &str) -> Alert {
    alert(
        &[("alertname", name), ("severity", severity), ("namespace", "prod")],
        &[],
    )
}

#[test]
fn an_inhibit_rule_whose_source_always_fires_silences_for_ever() {
    let watchdog = [("alertname", "Watchdog"), ("severity", "none")];
    let watchdog = [Alert::fired(
        watchdog.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
    )];
    let by = "Watchdog".to_owned();
    for (rules, expected) in [
        (
            "- {source_matchers: ['severity=none'], target_matchers: ['severity=~page|warning']}",
            true,
        ),
        (
            "- {source_match: {alertname: Watchdog}, target_match: {severity: page}}",
            true,
        ),
        (
            "- {source_match_re: {alertname: Watch.*}, target_match_re: {severity: p.*}, equal: [prometheus]}",
            true,
        ),
        // Neither of the two has a team.
        (
            "- {source_matchers: ['severity=none'], target_matchers: ['severity=page'], equal: [team]}",
            true,
        ),
        // The one has a namespace, and the other has none.
        (
            "- {source_matchers: ['severity=none'], target_matchers: ['severity=page'], equal: [namespace]}",
            false,
        ),
        (
            "- {source_matchers: ['severity=critical'], target_matchers: ['severity=page']}",
            false,
        ),
        (
            "- {source_matchers: ['severity=none'], target_matchers: ['severity=other']}",
            false,
        ),
        // Both are on both sides.
        (
            "- {source_matchers: ['severity=~none|page'], target_matchers: ['severity=~none|page']}",
            false,
        ),
    ] {
        let found = inhibited(rules, &named("Slow", "page"), &watchdog, &[]);
        assert_eq!(
            found.contains(&Inhibited::ForEver { by: by.clone() }),
            expected,
            "{rules}: {found:?}"
        );
    }
    // What does not fire silences nothing.
    let rule = "- {source_matchers: ['severity=none'], target_matchers: ['severity=page']}";
    let found = inhibited(rule, &named("Slow", "page"), &[], &[]);
    assert!(
        matches!(&found[..], [Inhibited::While { untied: true, .. }]),
        "{found:?}"
    );
}

#[test]
fn two_alerts_that_inhibit_each_other_are_told_and_one_of_them_alone_is_as_it_should_be() {
    let others = [named("Down", "critical"), named("Slow", "warning")];
    let one_way = "- {source_matchers: [alertname=Down], target_matchers: [alertname=Slow], equal: [namespace]}";
    let found = inhibited(one_way, &others[1], &[], &others);
    assert_eq!(
        found,
        [Inhibited::While {
            source: "alertname=\"Down\"".into(),
            untied: false
        }]
    );
    assert_eq!(inhibited(one_way, &others[0], &[], &others), []);
    let other_way = "- {source_matchers: [alertname=Slow], target_matchers: [alertname=Down], equal: [namespace]}";
    let both = format!("{one_way}\n{other_way}");
    let found = inhibited(&both, &others[0], &[], &others);
    assert_eq!(found, [Inhibited::Mutually { with: "Slow".into() }]);
    // An alert never inhibits itself, nor do two that are on both sides.
    let same = "- {source_matchers: ['severity=~.+'], target_matchers: ['severity=~.+']}";
    let found = inhibited(same, &others[0], &[], &others);
    assert!(
        matches!(&found[..], [Inhibited::While { untied: true, .. }]),
        "{found:?}"
    );
}

#[test]
fn an_expression_that_reads_nothing_always_fires() {
    for (expr, always) in [
        ("vector(1)", true),
        ("vector(1) > 0", true),
        ("up == 1", false),
        ("{job=\"x\"}", false),
    ] {
        assert_eq!(always_fires(&Expression::parse(expr).unwrap()), always, "{expr}");
    }
}
