//! Which receivers an alert can come to, by the routes of an Alertmanager's configuration.

use std::collections::{BTreeMap, BTreeSet};

use regex::Regex;
use serde_json::Value;

use super::snapshot::list;
use crate::yaml;

/// What is read of a configuration.
pub(super) struct Routing {
    root: Value,
    /// Receivers, and whether they send anything anywhere.
    receivers: BTreeMap<String, bool>,
}

/// What is known of an alert's labels.
pub(super) struct Alert<'a> {
    /// Labels with a value that is known.
    pub(super) known: BTreeMap<String, String>,
    /// Whether it may have a label whose value is not known.
    pub(super) may_have: &'a dyn Fn(&str) -> bool,
}

#[derive(Clone, Copy, PartialEq)]
enum Match {
    Yes,
    Perhaps,
    No,
}

impl Routing {
    /// Reads `config.original`. None: it has no route.
    pub(super) fn read(text: &str) -> Option<Self> {
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
    pub(super) fn sends(&self) -> bool {
        self.receivers.values().any(|sends| *sends)
    }

    /// The receivers that an alert can come to, each with whether it sends anything anywhere.
    pub(super) fn receivers(&self, alert: &Alert<'_>) -> BTreeMap<String, bool> {
        let mut names = BTreeSet::new();
        let root = self.root["receiver"].as_str().unwrap_or_default();
        walk(&self.root, root, alert, &mut names);
        let sends = |name: &String| self.receivers.get(name).copied().unwrap_or(false);
        names.into_iter().map(|name| (name.clone(), sends(&name))).collect()
    }
}

/// As Alertmanager walks its routes: the first child that matches, and the next ones while `continue` is set; the route
/// itself when no child does.
fn walk(route: &Value, inherited: &str, alert: &Alert<'_>, names: &mut BTreeSet<String>) {
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
        walk(child, receiver, alert, names);
        if matched == Match::Yes {
            taken = true;
            if child["continue"].as_bool() != Some(true) {
                return;
            }
        }
    }
    if !taken {
        names.insert(receiver.to_owned());
    }
}

fn matches(route: &Value, alert: &Alert<'_>) -> Match {
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

fn one(label: &str, op: &str, value: &str, alert: &Alert<'_>) -> Match {
    let actual = match alert.known.get(label) {
        Some(actual) => actual.as_str(),
        None if (alert.may_have)(label) => return Match::Perhaps,
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

    fn receivers(labels: &[(&str, &str)], may: &[&str]) -> Vec<String> {
        let routing = Routing::read(CONFIG).unwrap();
        let known = labels
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect();
        let may_have = |label: &str| may.contains(&label);
        let found = routing.receivers(&Alert {
            known,
            may_have: &may_have,
        });
        found
            .into_iter()
            .map(|(name, sends)| format!("{name} {sends}"))
            .collect()
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
