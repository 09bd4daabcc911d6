//! Takes out of a snapshot what nobody outside should read: values of environments, annotations, ConfigMaps and headers,
//! commands, addresses of receivers, tokens in addresses. What is left says what is there, not what it holds.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use regex::Regex;
use serde_json::{Map, Value};

use super::kind::Kind;
use super::snapshot::Object;
use crate::yaml;

/// Stands where something was.
const REDACTED: &str = "REDACTED";
/// Shorter ones are words such as `1` and `on`, which are everywhere.
const SHORTEST: usize = 4;
/// What stands below these keys is taken out, whole.
const KEYS: [&str; 8] = [
    "annotations",
    "args",
    "binaryData",
    "command",
    "data",
    "params",
    "volumes",
    "volumeClaimTemplates",
];
/// So is what stands below a key that has one of these in it, in small letters.
const SECRET: [&str; 10] = [
    "apikey",
    "authorization",
    "basicauth",
    "bearer",
    "credential",
    "headers",
    "oauth",
    "passw",
    "secret",
    "token",
];
/// What is kept of the resources of prometheus-operator's servers, but for everything that selects.
const SERVER: [&str; 13] = [
    "enableFeatures",
    "evaluationInterval",
    "paused",
    "portName",
    "replicas",
    "retention",
    "retentionSize",
    "routePrefix",
    "scrapeInterval",
    "serviceAccountName",
    "serviceName",
    "shards",
    "version",
];
/// What is kept of Alertmanager's configuration; of receivers also the name.
const ROUTES: [&str; 4] = ["route", "inhibit_rules", "mute_time_intervals", "time_intervals"];

/// What an address can carry: a user with a password, and values of a query; and a token that follows its scheme.
static IN_TEXT: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r#"(?i)(?P<before>://)[^/\s"'@]+@|(?P<key>[?&][^=&\s"']+=)[^&\s"']+|(?P<scheme>\b(?:bearer|basic)\s+)[A-Za-z0-9._~+/=-]{8,}"#).ok()
});

/// Takes out, and knows what it took out.
#[derive(Debug, Default)]
pub(super) struct Redactor {
    hidden: BTreeSet<String>,
}

impl Redactor {
    /// An object, with its kind.
    pub(super) fn object(&mut self, object: &Object) -> Value {
        let mut value = object.value.clone();
        let server = [
            Kind::Prometheus,
            Kind::PrometheusAgent,
            Kind::ThanosRuler,
            Kind::Alertmanager,
        ];
        let spec = value.get_mut("spec").and_then(Value::as_object_mut);
        match spec {
            Some(spec) if server.contains(&object.kind) => {
                for (key, value) in spec {
                    if !SERVER.contains(&key.as_str()) && !key.ends_with("Selector") {
                        self.hide(value);
                    }
                }
            }
            Some(spec) if object.kind == Kind::AlertmanagerConfig => self.receivers(spec),
            _ => {}
        }
        self.walk(&mut value);
        if let Some(fields) = value.as_object_mut() {
            let kind: &str = object.kind.into();
            fields.insert("kind".to_owned(), kind.into());
        }
        value
    }

    /// These stand elsewhere anyway: a value that is the name of a namespace hides nothing.
    pub(super) fn known<'a>(&mut self, names: impl IntoIterator<Item = &'a str>) {
        for name in names {
            self.hidden.remove(name);
        }
    }

    /// The configuration of an Alertmanager.
    pub(super) fn routes(&mut self, config: &str) -> Value {
        let parsed = yaml::parse(config);
        let mut value = parsed.documents.first().map(yaml::Node::to_json).unwrap_or_default();
        if let Some(fields) = value.as_object_mut() {
            for (key, value) in fields.iter_mut() {
                if key != "receivers" && !ROUTES.contains(&key.as_str()) {
                    self.hide(value);
                }
            }
            self.receivers(fields);
        }
        value
    }

    fn receivers(&mut self, fields: &mut Map<String, Value>) {
        let receivers = fields.get_mut("receivers").and_then(Value::as_array_mut);
        for receiver in receivers.into_iter().flatten() {
            for (key, value) in receiver.as_object_mut().into_iter().flatten() {
                if key != "name" {
                    self.hide(value);
                }
            }
        }
    }

    /// Everything below.
    fn hide(&mut self, value: &mut Value) {
        match value {
            Value::Array(items) => items.iter_mut().for_each(|item| self.hide(item)),
            Value::Object(fields) => fields.iter_mut().for_each(|(_, value)| self.hide(value)),
            Value::String(text) => {
                if text.len() >= SHORTEST {
                    self.hidden.insert(std::mem::take(text));
                }
                *value = REDACTED.into();
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    fn walk(&mut self, value: &mut Value) {
        match value {
            Value::Array(items) => items.iter_mut().for_each(|item| self.walk(item)),
            Value::Object(fields) => {
                for (key, value) in fields {
                    let small = key.to_lowercase();
                    if KEYS.contains(&key.as_str()) || SECRET.iter().any(|part| small.contains(part)) {
                        self.hide(value);
                    } else if key == "env" {
                        let entries = value.as_array_mut().into_iter().flatten();
                        entries
                            .filter_map(|entry| entry.get_mut("value"))
                            .for_each(|value| self.hide(value));
                        self.walk(value);
                    } else {
                        self.walk(value);
                    }
                }
            }
            Value::String(text) => *text = of_addresses(text),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    /// A value made of words: what was taken out of the objects may stand in them.
    pub(super) fn words(&self, mut value: Value) -> Value {
        self.walk_words(&mut value);
        value
    }

    fn walk_words(&self, value: &mut Value) {
        match value {
            Value::Array(items) => items.iter_mut().for_each(|item| self.walk_words(item)),
            Value::Object(fields) => {
                for (key, value) in fields {
                    // Who it is about is said by these, and was never hidden.
                    if !matches!(key.as_str(), "object" | "rule" | "severity" | "place") {
                        self.walk_words(value);
                    }
                }
            }
            Value::String(text) => {
                let mut clean = of_addresses(text);
                // The longest first: one may be a part of another.
                let mut hidden: Vec<&String> = self.hidden.iter().filter(|hidden| clean.contains(*hidden)).collect();
                hidden.sort_by_key(|hidden| std::cmp::Reverse(hidden.len()));
                for hidden in hidden {
                    clean = clean.replace(hidden, REDACTED);
                }
                *text = clean;
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
}

/// A foreign text without users, passwords and values of queries in its addresses, and without tokens after `Bearer` or `Basic`.
pub fn of_addresses(text: &str) -> String {
    match &*IN_TEXT {
        Some(pattern) => pattern
            .replace_all(text, |found: &regex::Captures<'_>| {
                let kept = |name: &str| found.name(name).map_or("", |kept| kept.as_str());
                let end = if kept("before").is_empty() { "" } else { "@" };
                format!("{}{}{}{REDACTED}{end}", kept("before"), kept("key"), kept("scheme"))
            })
            .into_owned(),
        // Without the pattern nothing is sure.
        None => REDACTED.to_owned(),
    }
}
