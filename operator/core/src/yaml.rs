//! YAML: read with the place of every value, and written so that every reader understands the same.
//!
//! Values are read as `kubectl` reads them (YAML 1.1 words such as `on` are booleans there), so that what is found here
//! is what the API server would find.

mod compose;
mod scalar;
mod write;

pub use compose::parse;

use std::borrow::Borrow;

use serde::Serialize;
use serde_json::{Map, Number, Value};

/// Where something stands in a text.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub struct Place {
    /// Line, from 1.
    pub line: usize,
    /// Column, from 1, in characters.
    pub column: usize,
    /// First byte.
    pub start: usize,
    /// Byte after the last one.
    pub end: usize,
}

/// A value and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Where it stands.
    pub place: Place,
    /// What it is.
    pub content: Content,
}

/// What a value is.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    /// Nothing.
    Null,
    /// A truth.
    Bool(bool),
    /// A number.
    Number(Number),
    /// A text.
    String(String),
    /// A list.
    List(Vec<Node>),
    /// A map, in its order.
    Map(Vec<Entry>),
}

/// A key and its value.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// Where the key stands.
    pub place: Place,
    /// The value.
    pub value: Node,
}

/// Something that keeps a text from being YAML, or makes it mean two things.
#[derive(Clone, Debug, PartialEq)]
pub struct Problem {
    /// Where it stands.
    pub place: Place,
    /// What it is.
    pub message: String,
    /// What would be right.
    pub help: String,
}

/// What was read of a text.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Parsed {
    /// The documents, without the empty ones. After a syntax error those before it.
    pub documents: Vec<Node>,
    /// What is wrong with the text.
    pub problems: Vec<Problem>,
}

impl Node {
    /// The entry of a map.
    pub fn get(&self, key: &str) -> Option<&Entry> {
        self.entries().iter().find(|entry| entry.key == key)
    }

    /// The text of an entry of a map.
    pub fn text(&self, key: &str) -> Option<&str> {
        match &self.get(key)?.value.content {
            Content::String(text) => Some(text),
            _ => None,
        }
    }

    /// The entries of a map; of anything else none.
    pub fn entries(&self) -> &[Entry] {
        match &self.content {
            Content::Map(entries) => entries,
            _ => &[],
        }
    }

    /// The value without its places.
    pub fn to_json(&self) -> Value {
        match &self.content {
            Content::Null => Value::Null,
            Content::Bool(truth) => Value::Bool(*truth),
            Content::Number(number) => Value::Number(number.clone()),
            Content::String(text) => Value::String(text.clone()),
            Content::List(items) => items.iter().map(Self::to_json).collect(),
            Content::Map(entries) => entries
                .iter()
                .map(|entry| (entry.key.clone(), entry.value.to_json()))
                .collect::<Map<_, _>>()
                .into(),
        }
    }

    /// Where the field of a path such as `spec.signals.alerts.HighErrorRate.above` or `spec.signals.packs[1]` stands, or
    /// the nearest thing above it that is there. Keys may hold dots.
    pub fn place_of(&self, path: &str) -> Place {
        let (mut node, mut place, mut rest) = (self, self.place, path);
        loop {
            rest = rest.trim_start_matches('.');
            let step = match &node.content {
                Content::Map(entries) => entries
                    .iter()
                    .filter_map(|entry| Some((entry, after_key(rest, &entry.key)?)))
                    .max_by_key(|(entry, _)| entry.key.len())
                    .map(|(entry, rest)| (&entry.value, entry.place, rest)),
                Content::List(items) => rest.strip_prefix('[').and_then(|inner| {
                    let (index, rest) = inner.split_once(']')?;
                    let item = items.get(index.parse::<usize>().ok()?)?;
                    Some((item, item.place, rest))
                }),
                _ => None,
            };
            let Some((next, at, left)) = step else { break };
            (node, place, rest) = (next, at, left);
        }
        // Only a field that is there whole is shown by its value.
        if rest.is_empty() && !matches!(node.content, Content::Map(_) | Content::List(_) | Content::Null) {
            return node.place;
        }
        place
    }
}

/// What is left of a path after a key, if the path begins with it.
fn after_key<'a>(path: &'a str, key: &str) -> Option<&'a str> {
    let bare = path.strip_prefix(key).filter(|_| !key.is_empty());
    let quoted = || {
        path.strip_prefix('[')?
            .strip_prefix(&format!("{key:?}"))?
            .strip_prefix(']')
    };
    bare.filter(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        .or_else(quoted)
}

/// The items of a list; of anything else none.
pub(crate) fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

/// Documents as YAML that every reader, of YAML 1.1 or 1.2, understands the same. Long lines stay whole.
pub fn to_string(documents: impl IntoIterator<Item = impl Borrow<Value>>) -> String {
    let mut text = String::new();
    append(&mut text, documents);
    text
}

/// The same after documents that are there. What is given as it is made is let go of as soon as it is written.
pub fn append(text: &mut String, documents: impl IntoIterator<Item = impl Borrow<Value>>) {
    for document in documents {
        if !text.is_empty() {
            text.push_str("---\n");
        }
        write::document(text, document.borrow());
    }
}

#[cfg(test)]
mod tests;
