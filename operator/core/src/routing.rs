//! Which receivers an alert can come to, by the routes of an Alertmanager's configuration.

use std::collections::{BTreeMap, BTreeSet};

use regex::Regex;
use serde::Deserialize;
use serde_json::Value;

use crate::promql::Expression;
use crate::yaml::{self, list};

/// Severities that are meant to reach nobody by themselves.
const SILENT: [&str; 2] = ["none", "info"];
/// Labels that come from outside of a rule: a route may ask for them.
const EXTERNAL: [&str; 4] = ["prometheus", "prometheus_replica", "cluster", "replica"];

/// What is read of a configuration.
#[derive(Debug)]
pub struct Routing {
    root: Value,
    /// Receivers, and whether they send anything anywhere.
    receivers: BTreeMap<String, bool>,
}

/// What is known of the labels that the alerts of a rule have.
#[derive(Debug)]
pub struct Alert {
    known: BTreeMap<String, String>,
    /// Labels that a template fills in: they can become anything.
    open: Vec<String>,
    expr: Expression,
}

impl Alert {
    /// The alerts of a rule, by its name, the labels that it adds and its expression.
    pub fn of(name: &str, labels: &BTreeMap<String, String>, expr: Expression) -> Self {
        let mut known = labels.clone();
        known.insert("alertname".into(), name.to_owned());
        let mut open = Vec::new();
        known.retain(|label, value| {
            let filled_in = value.contains("{{");
            if filled_in {
                open.push(label.clone());
            }
            !filled_in
        });
        let pinned = expr.pinned("namespace").filter(|_| expr.keeps("namespace", &|_| None));
        known.extend(
            pinned
                .filter(|_| !open.iter().any(|label| label == "namespace"))
                .map(|value| ("namespace".to_owned(), value)),
        );
        Self { known, open, expr }
    }

    /// Whether it is meant to reach anybody, by its severity.
    pub fn is_for_somebody(&self) -> bool {
        let severity = self.known.get("severity").map(String::as_str);
        !severity.is_some_and(|severity| SILENT.contains(&severity))
    }

    fn may_have(&self, label: &str) -> bool {
        self.open.iter().any(|open| open == label) || EXTERNAL.contains(&label) || self.expr.keeps(label, &|_| None)
    }
}

/// A matcher of a silence.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Matcher {
    name: String,
    value: String,
    #[serde(default)]
    is_regex: bool,
    #[serde(default = "yes")]
    is_equal: bool,
}

fn yes() -> bool {
    true
}

/// Whether every alert of the rule is silenced by these matchers.
pub fn is_silenced(matchers: &[Matcher], alert: &Alert) -> bool {
    let holds = |matcher: &Matcher| {
        let op = match (matcher.is_regex, matcher.is_equal) {
            (false, true) => "=",
            (false, false) => "!=",
            (true, true) => "=~",
            (true, false) => "!~",
        };
        one(&matcher.name, op, &matcher.value, alert) == Match::Yes
    };
    !matchers.is_empty() && matchers.iter().all(holds)
}

#[derive(Clone, Copy, PartialEq)]
enum Match {
    Yes,
    Perhaps,
    No,
}

impl Routing {
    /// Reads `config.original`. None: it has no route.
    pub fn read(text: &str) -> Option<Self> {
        let config = yaml::parse(text).documents.first()?.to_json();
        let root = config.get("route").filter(|route| route.is_object())?.clone();
        let receivers = list(&config["receivers"]).iter().filter_map(|receiver| {
            let sends = |(key, value): (&String, &Value)| key.ends_with("_configs") && !list(value).is_empty();
            Some((
                receiver["name"].as_str()?.to_owned(),
                receiver.as_object()?.iter().any(sends),
            ))
        });
        Some(Self {
            receivers: receivers.collect(),
            root,
        })
    }

    /// Whether any receiver sends anything anywhere.
    pub fn sends(&self) -> bool {
        self.receivers.values().any(|sends| *sends)
    }

    /// The receivers that an alert can come to.
    pub fn receivers(&self, alert: &Alert) -> BTreeMap<String, Delivery> {
        let mut ends = Ends::new();
        let root = self.root["receiver"].as_str().unwrap_or_default();
        walk(&self.root, root, alert, &mut ends);
        let delivery = |(name, times)| {
            let sends = self.receivers.get(&name).copied().unwrap_or(false);
            (name, Delivery { sends, times })
        };
        ends.into_iter().map(delivery).collect()
    }
}

/// How an alert comes to a receiver.
#[derive(Clone, Debug, PartialEq)]
pub struct Delivery {
    /// Whether the receiver sends anything anywhere.
    pub sends: bool,
    /// The time intervals outside or inside of which alone it does, in words. None: at all times.
    pub times: BTreeSet<String>,
}

/// Receivers, and the times of the routes that lead there.
type Ends = BTreeMap<String, BTreeSet<String>>;

/// As Alertmanager walks its routes: the first child that matches, and the next ones while `continue` is set; the route
/// itself when no child does.
fn walk(route: &Value, inherited: &str, alert: &Alert, ends: &mut Ends) {
    let receiver = route["receiver"]
        .as_str()
        .filter(|name| !name.is_empty())
        .unwrap_or(inherited);
    let mut taken = false;
    for child in list(&route["routes"]) {
        let matched = matches(child, alert);
        if matched == Match::No {
            continue;
        }
        walk(child, receiver, alert, ends);
        if matched == Match::Yes {
            taken = true;
            if child["continue"].as_bool() != Some(true) {
                return;
            }
        }
    }
    if !taken {
        let times = times(route);
        let known = ends.entry(receiver.to_owned()).or_insert_with(|| times.clone());
        // One way that is always open is enough.
        if known.is_empty() || times.is_empty() {
            known.clear();
        } else {
            known.extend(times);
        }
    }
}

/// When a route sends, where it does not always. A route does not hand its times on to those below it.
fn times(route: &Value) -> BTreeSet<String> {
    let of = |field: &str, word: &str| {
        let names = list(&route[field]).iter().filter_map(Value::as_str);
        names.map(|name| format!("{word} {name:?}")).collect::<Vec<_>>()
    };
    let muted = of("mute_time_intervals", "outside of");
    of("active_time_intervals", "inside of")
        .into_iter()
        .chain(muted)
        .collect()
}

fn matches(route: &Value, alert: &Alert) -> Match {
    let pairs = |field: &str| route[field].as_object().into_iter().flatten();
    let old = pairs("match").map(|(label, value)| (label.clone(), "=", value.as_str().unwrap_or_default().to_owned()));
    let old_patterns =
        pairs("match_re").map(|(label, value)| (label.clone(), "=~", value.as_str().unwrap_or_default().to_owned()));
    let written = list(&route["matchers"])
        .iter()
        .filter_map(Value::as_str)
        .flat_map(matchers);
    let mut all = Match::Yes;
    for (label, op, value) in old.chain(old_patterns).chain(written) {
        match one(&label, op, &value, alert) {
            Match::No => return Match::No,
            Match::Perhaps => all = Match::Perhaps,
            Match::Yes => {}
        }
    }
    all
}

fn one(label: &str, op: &str, value: &str, alert: &Alert) -> Match {
    let actual = match alert.known.get(label) {
        Some(actual) => actual.as_str(),
        None if alert.may_have(label) => return Match::Perhaps,
        None => "",
    };
    let pattern = || Regex::new(&format!("^(?:{value})$"));
    let holds = match op {
        "=" => actual == value,
        "!=" => actual != value,
        _ => match pattern() {
            Ok(pattern) => pattern.is_match(actual) == (op == "=~"),
            Err(_) => return Match::Perhaps,
        },
    };
    if holds { Match::Yes } else { Match::No }
}

/// The matchers of one text: `a="b"`, `{a="b",c=~"d|e"}`.
fn matchers(text: &str) -> Vec<(String, &'static str, String)> {
    let inside = text.trim().trim_start_matches('{').trim_end_matches('}');
    let mut parts = vec![String::new()];
    let (mut quoted, mut escaped) = (false, false);
    for c in inside.chars() {
        if c == ',' && !quoted {
            parts.push(String::new());
            continue;
        }
        quoted ^= c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        if let Some(part) = parts.last_mut() {
            part.push(c);
        }
    }
    parts.iter().filter_map(|part| matcher(part)).collect()
}

fn matcher(text: &str) -> Option<(String, &'static str, String)> {
    let at = text.find(['=', '!'])?;
    let (label, rest) = text.split_at(at);
    let op = ["=~", "!=", "!~", "="].into_iter().find(|op| rest.starts_with(op))?;
    let value = rest[op.len()..].trim();
    let value = value
        .strip_prefix('"')
        .and_then(|value| value.strip_suffix('"'))
        .unwrap_or(value);
    let value = value.replace("\\\"", "\"").replace("\\\\", "\\");
    Some((label.trim().trim_matches('"').to_owned(), op, value))
}

#[cfg(test)]
mod tests {
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
}
