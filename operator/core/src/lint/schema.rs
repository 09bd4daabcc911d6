//! A value against a schema of the CRD: what the API server would say, all of it, with places and with what is right.

use std::sync::{Arc, LazyLock};

use quick_cache::sync::Cache;
use regex::Regex;
use serde_json::Value;

use crate::finding::{Code, Finding, nearest};
use crate::yaml::{Content, Entry, Node, Place};

/// Longest value that a message quotes.
const LONGEST_QUOTE: usize = 80;

type Findings = Vec<(Place, Finding)>;

/// The patterns of the CRDs, each compiled when it is first asked: that costs more than everything else that is done with
/// a resource. The room is for more than there are.
static PATTERNS: LazyLock<Cache<String, Arc<Regex>>> = LazyLock::new(|| Cache::new(256));

/// A pattern of a CRD, if it is one of Rust's grammar.
pub(super) fn pattern(text: &str) -> Option<Arc<Regex>> {
    let compiled = PATTERNS.get_or_insert_with(text, || Regex::new(text).map(Arc::new));
    compiled.ok()
}

/// Everything in which the document differs from the schema. `apiVersion`, `kind`, `metadata` and `status` of a
/// resource are left to others.
pub(super) fn check(document: &Node, schema: &Value) -> Findings {
    let mut findings = Vec::new();
    walk(document, document.place, schema, "", &mut findings);
    findings
}

/// `place` is where the value is spoken of when it has no place of its own: its key.
fn walk(node: &Node, place: Place, schema: &Value, path: &str, findings: &mut Findings) {
    let mut say = |place: Place, code, message: String, help: String| {
        findings.push((place, Finding::error(code, path, message, help)));
    };
    if schema["x-kubernetes-int-or-string"] == true {
        if !matches!(&node.content, Content::String(_)) && !is_integer(node) && !is_null_allowed(node, schema) {
            let message = format!("{} is neither an integer nor a text", value_words(node));
            say(node.place, Code::WrongType, message, first_sentence(schema));
        } else if !is_port(node) {
            // The rule that the CRD has for it, in the same words.
            let message = schema["x-kubernetes-validations"][0]["message"]
                .as_str()
                .unwrap_or("is not a port");
            say(
                node.place,
                Code::BrokenRule,
                message.to_owned(),
                format!("It is {}", value_words(node)),
            );
        }
        return;
    }
    let Some(wanted) = schema["type"].as_str() else { return };
    if is_null_allowed(node, schema) {
        return;
    }
    let right = match (&node.content, wanted) {
        (Content::Map(_), "object")
        | (Content::List(_), "array")
        | (Content::String(_), "string")
        | (Content::Bool(_), "boolean")
        | (Content::Number(_), "number") => true,
        (Content::Number(_), "integer") => is_integer(node),
        _ => false,
    };
    if !right {
        let help = match (&node.content, wanted) {
            (Content::Bool(_) | Content::Number(_), "string") => "Write it in quotes".to_owned(),
            (Content::Null, _) => "Write a value, or leave the field away".to_owned(),
            _ => first_sentence(schema),
        };
        let place = if matches!(node.content, Content::Null) {
            place
        } else {
            node.place
        };
        say(
            place,
            Code::WrongType,
            format!("{} is not {}", value_words(node), kind_words(wanted)),
            help,
        );
        return;
    }
    let bounds = |least: &str, most: &str| (schema[least].as_u64(), schema[most].as_u64());
    match &node.content {
        Content::String(text) => {
            let has = text.chars().count();
            if let Some(words) = out_of(has, bounds("minLength", "maxLength")) {
                say(
                    node.place,
                    Code::InvalidValue,
                    format!("{} has {has} characters, {words}", quote(text)),
                    first_sentence(schema),
                );
                return;
            }
            if let Some(allowed) = schema["enum"].as_array() {
                let allowed: Vec<&str> = allowed.iter().filter_map(Value::as_str).collect();
                if !allowed.contains(&text.as_str()) {
                    let meant = nearest(text, allowed.iter().copied());
                    let meant = meant.map(|m| format!("Did you mean {m:?}? ")).unwrap_or_default();
                    let help = format!("{meant}It is one of {}", allowed.join(", "));
                    say(
                        node.place,
                        Code::InvalidValue,
                        format!("{} is not allowed", quote(text)),
                        help,
                    );
                }
                return;
            }
            if let Some(wanted) = schema["pattern"].as_str()
                && let Some(regex) = pattern(wanted)
                && !regex.is_match(text)
            {
                say(
                    node.place,
                    Code::InvalidValue,
                    format!("{} does not match {wanted}", quote(text)),
                    first_sentence(schema),
                );
            }
        }
        Content::Number(number) => {
            let value = number.as_f64().unwrap_or(f64::NAN);
            let least = schema["minimum"].as_f64().filter(|least| value < *least);
            let most = schema["maximum"].as_f64().filter(|most| value > *most);
            let words = least
                .map(|least| format!("{number} is less than {least}"))
                .or(most.map(|most| format!("{number} is more than {most}")));
            if let Some(words) = words {
                say(node.place, Code::InvalidValue, words, first_sentence(schema));
            }
        }
        Content::List(items) => {
            if let Some(words) = out_of(items.len(), bounds("minItems", "maxItems")) {
                say(
                    place,
                    Code::InvalidValue,
                    format!("has {} items, {words}", items.len()),
                    first_sentence(schema),
                );
            }
            for (index, item) in items.iter().enumerate() {
                let path = format!("{path}[{index}]");
                if schema["x-kubernetes-list-type"] == "set"
                    && items[..index].iter().any(|other| other.content == item.content)
                {
                    let message = format!("{} stands in the list twice", value_words(item));
                    let finding = Finding::error(Code::InvalidValue, &path, message, "Keep one of the two");
                    findings.push((item.place, finding));
                }
                walk(item, item.place, &schema["items"], &path, findings);
            }
        }
        Content::Map(entries) => {
            if let Some(words) = out_of(entries.len(), bounds("minProperties", "maxProperties")) {
                say(
                    place,
                    Code::InvalidValue,
                    format!("has {} entries, {words}", entries.len()),
                    first_sentence(schema),
                );
            }
            map(node, place, entries, schema, path, findings);
        }
        Content::Bool(_) | Content::Null => {}
    }
}

fn map(node: &Node, place: Place, entries: &[Entry], schema: &Value, path: &str, findings: &mut Findings) {
    let below = |key: &str| {
        if path.is_empty() {
            key.to_owned()
        } else {
            format!("{path}.{key}")
        }
    };
    let fields = schema["properties"].as_object();
    for entry in entries {
        // The parts of a resource that its own schema does not describe.
        if path.is_empty() && ["apiVersion", "kind", "status"].contains(&entry.key.as_str()) {
            continue;
        }
        let known = fields.and_then(|fields| fields.get(&entry.key));
        if let Some(field) = known {
            walk(&entry.value, entry.place, field, &below(&entry.key), findings);
        } else if schema["additionalProperties"].is_object() {
            let every = &schema["additionalProperties"];
            walk(&entry.value, entry.place, every, &below(&entry.key), findings);
        } else if schema["x-kubernetes-preserve-unknown-fields"] != true
            && !(path.is_empty() && entry.key == "metadata")
        {
            let names = || fields.into_iter().flatten().map(|(name, _)| name.as_str());
            let names = || names().filter(|name| !path.is_empty() || *name != "status");
            let meant = nearest(&entry.key, names().chain(path.is_empty().then_some("metadata")));
            let meant = meant.map(|m| format!("Did you mean {m:?}? ")).unwrap_or_default();
            let mut all: Vec<&str> = names().collect();
            all.sort_unstable();
            let help = format!("{meant}There are: {}", all.join(", "));
            let message = format!("there is no field {:?}", entry.key);
            findings.push((
                entry.place,
                Finding::error(Code::UnknownField, below(&entry.key), message, help),
            ));
        }
    }
    let required = schema["required"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str);
    for name in required.filter(|name| node.get(name).is_none()) {
        let help = fields
            .and_then(|fields| fields.get(name))
            .map(first_sentence)
            .unwrap_or_default();
        findings.push((
            place,
            Finding::error(Code::MissingField, below(name), "is missing", help),
        ));
    }
}

fn out_of(has: usize, (least, most): (Option<u64>, Option<u64>)) -> Option<String> {
    let has = u64::try_from(has).unwrap_or(u64::MAX);
    if let Some(least) = least.filter(|least| has < *least) {
        return Some(format!("at least {least} are needed"));
    }
    most.filter(|most| has > *most)
        .map(|most| format!("at most {most} are allowed"))
}

fn is_integer(node: &Node) -> bool {
    matches!(&node.content, Content::Number(number) if number.is_i64())
}

/// Every value of the CRD that is a number or a text is a port.
fn is_port(node: &Node) -> bool {
    match &node.content {
        Content::Number(number) => number.as_i64().is_some_and(|number| (1..=65_535).contains(&number)),
        Content::String(name) => {
            let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
            (1..=15).contains(&name.len()) && name.chars().all(inner) && !name.starts_with('-') && !name.ends_with('-')
        }
        _ => true,
    }
}

fn is_null_allowed(node: &Node, schema: &Value) -> bool {
    node.content == Content::Null && schema["nullable"] == true
}

fn kind_words(kind: &str) -> &'static str {
    match kind {
        "object" => "a map of fields",
        "array" => "a list",
        "integer" => "an integer",
        "number" => "a number",
        "boolean" => "true or false",
        _ => "a text",
    }
}

fn value_words(node: &Node) -> String {
    match &node.content {
        Content::Null => "nothing".into(),
        Content::Bool(truth) => format!("the boolean {truth}"),
        Content::Number(number) => format!("the number {number}"),
        Content::String(text) => format!("the text {}", quote(text)),
        Content::List(_) => "a list".into(),
        Content::Map(_) => "a map".into(),
    }
}

/// A text in quotes, without a control character, cut where it gets too long.
fn quote(text: &str) -> String {
    if text.chars().count() <= LONGEST_QUOTE {
        return format!("{text:?}");
    }
    let start: String = text.chars().take(LONGEST_QUOTE - 1).collect();
    format!("{:?}", format!("{start}…"))
}

/// What the CRD says about a field, without the examples below it.
fn first_sentence(schema: &Value) -> String {
    let text = schema["description"].as_str().unwrap_or_default();
    let paragraph = text.split("\n\n").next().unwrap_or_default();
    paragraph.split_whitespace().collect::<Vec<_>>().join(" ")
}
