//! Which receivers an alert can come to, by the routes of an Alertmanager's configuration, and what keeps it from them.

mod inhibition;

use std::collections::{BTreeMap, BTreeSet};

use regex::Regex;
use serde::Deserialize;
use serde_json::Value;

use crate::promql::Expression;
use crate::yaml::{self, list};
use inhibition::InhibitRule;
pub use inhibition::{Inhibited, always_fires};

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
    inhibit: Vec<InhibitRule>,
}

/// What is known of the labels that the alerts of a rule have.
#[derive(Debug)]
pub struct Alert {
    known: BTreeMap<String, String>,
    /// Labels that a template fills in: they can become anything.
    open: Vec<String>,
    /// None: every label is known.
    expr: Option<Expression>,
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
        Self {
            known,
            open,
            expr: Some(expr),
        }
    }

    /// Whether it is meant to reach anybody, by its severity.
    pub fn is_for_somebody(&self) -> bool {
        let severity = self.known.get("severity").map(String::as_str);
        !severity.is_some_and(|severity| SILENT.contains(&severity))
    }

    /// An alert that fires now: all of its labels are known.
    pub fn fired(labels: BTreeMap<String, String>) -> Self {
        Self {
            known: labels,
            open: Vec::new(),
            expr: None,
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        self.known.get("alertname").map(String::as_str).unwrap_or_default()
    }

    fn may_have(&self, label: &str) -> bool {
        let Some(expr) = &self.expr else { return false };
        self.open.iter().any(|open| open == label) || EXTERNAL.contains(&label) || expr.keeps(label, &|_| None)
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
            inhibit: list(&config["inhibit_rules"]).iter().map(InhibitRule::read).collect(),
            root,
        })
    }

    /// Whether any receiver sends anything anywhere.
    pub fn sends(&self) -> bool {
        self.receivers.values().any(|sends| *sends)
    }

    /// Whether the receiver sends anything anywhere.
    pub fn sends_from(&self, receiver: &str) -> bool {
        self.receivers.get(receiver).copied().unwrap_or(false)
    }

    /// The receivers that an alert can come to.
    pub fn receivers(&self, alert: &Alert) -> BTreeMap<String, Delivery> {
        let mut ends = Ends::new();
        let root = self.root["receiver"].as_str().unwrap_or_default();
        walk(&self.root, root, alert, &mut ends);
        let delivery = |(name, times): (String, BTreeSet<String>)| {
            let sends = self.sends_from(&name);
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
    all(&written(route, ["match", "match_re", "matchers"]), alert)
}

/// A matcher as a configuration writes it.
type Written = (String, &'static str, String);

/// The matchers in fields of the old form, of the old form with patterns, and of the new one.
fn written(value: &Value, [equal, pattern, new]: [&str; 3]) -> Vec<Written> {
    let pairs = |field: &str, op: &'static str| -> Vec<Written> {
        let pairs = value[field].as_object().into_iter().flatten();
        let one =
            |(label, value): (&String, &Value)| (label.clone(), op, value.as_str().unwrap_or_default().to_owned());
        pairs.map(one).collect()
    };
    let texts = list(&value[new]).iter().filter_map(Value::as_str);
    let mut all = pairs(equal, "=");
    all.extend(pairs(pattern, "=~"));
    all.extend(texts.flat_map(matchers));
    all
}

fn all(written: &[Written], alert: &Alert) -> Match {
    let mut all = Match::Yes;
    for (label, op, value) in written {
        match one(label, op, value, alert) {
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
fn matchers(text: &str) -> Vec<Written> {
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

fn matcher(text: &str) -> Option<Written> {
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
mod tests;
