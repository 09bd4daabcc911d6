//! `values.yaml` and the table in the chart's README are made of `values.schema.json`, so that the three never differ.

use std::fs;

use serde_json::{Map, Value};

use super::helm::{chart, is_current};

/// Columns of a comment in `values.yaml`.
const WIDTH: usize = 100;

/// The schema of the chart's values.
pub fn schema() -> Value {
    serde_json::from_str(&fs::read_to_string(chart().join("values.schema.json")).unwrap()).unwrap()
}

/// A value that may be set.
struct Entry<'a> {
    path: String,
    node: &'a Value,
}

fn properties(node: &Value) -> &Map<String, Value> {
    node["properties"].as_object().unwrap()
}

/// A section is a node with properties and no value of its own.
fn is_section(node: &Value) -> bool {
    node.get("properties").is_some() && node.get("default").is_none()
}

fn entries<'a>(node: &'a Value, above: &str, found: &mut Vec<Entry<'a>>) {
    for (key, node) in properties(node) {
        let path = format!("{above}{key}");
        if is_section(node) {
            entries(node, &format!("{path}."), found);
        } else if node.get("default").is_some() {
            found.push(Entry { path, node });
        }
    }
}

fn all(schema: &Value) -> Vec<Entry<'_>> {
    let mut found = Vec::new();
    entries(schema, "", &mut found);
    found
}

fn values_yaml(schema: &Value) -> String {
    let mut text = "# Generated from values.schema.json. Changes here are lost.\n".to_owned();
    section(schema, 0, &mut text);
    text
}

fn section(node: &Value, depth: usize, text: &mut String) {
    let indent = "  ".repeat(depth);
    for (key, node) in properties(node) {
        if !is_section(node) && node.get("default").is_none() {
            continue;
        }
        if depth == 0 {
            text.push('\n');
        }
        if is_section(node) {
            text.push_str(&format!("{indent}{key}:\n"));
            section(node, depth + 1, text);
            continue;
        }
        for line in wrapped(node["description"].as_str().unwrap(), WIDTH - indent.len()) {
            text.push_str(&format!("{indent}# {line}\n"));
        }
        match &node["default"] {
            Value::Object(fields) if !fields.is_empty() => {
                text.push_str(&format!("{indent}{key}:\n"));
                for (key, value) in fields {
                    text.push_str(&format!("{indent}  {key}: {value}\n"));
                }
            }
            // JSON is YAML.
            default => text.push_str(&format!("{indent}{key}: {default}\n")),
        }
    }
}

fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let line = lines.last_mut().unwrap();
        if line.is_empty() {
            line.push_str(word);
        } else if line.len() + word.len() < width {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
}

fn table(schema: &Value) -> String {
    let mut text = "| value | default | what it is |\n|---|---|---|\n".to_owned();
    for Entry { path, node } in all(schema) {
        let description = node["description"].as_str().unwrap().replace('|', "\\|");
        let choice = node["enum"].as_array().map_or_else(String::new, |choices| {
            let choices: Vec<_> = choices.iter().map(|choice| format!("`{choice}`")).collect();
            format!(" One of {}.", choices.join(", "))
        });
        text.push_str(&format!(
            "| `{path}` | `{}` | {description}{choice} |\n",
            node["default"]
        ));
    }
    text
}

/// The README with another table.
fn readme(text: &str, table: &str) -> String {
    let (begin, end) = ("<!-- values: generated -->\n", "<!-- /values -->");
    let (before, rest) = text.split_once(begin).unwrap();
    let (_, after) = rest.split_once(end).unwrap();
    format!("{before}{begin}{table}{end}{after}")
}

#[test]
fn the_values_and_the_table_of_the_readme_are_those_of_the_schema() {
    let schema = schema();
    is_current(&chart().join("values.yaml"), &values_yaml(&schema));
    let path = chart().join("README.md");
    let text = fs::read_to_string(&path).unwrap();
    is_current(&path, &readme(&text, &table(&schema)));
}

#[test]
fn every_value_has_a_description_and_one_that_is_added_shows_in_both_files() {
    let mut schema = schema();
    for Entry { path, node } in all(&schema) {
        let description = node["description"].as_str().unwrap_or_default();
        assert!(description.ends_with('.'), "{path}: {description:?}");
    }
    let before = (values_yaml(&schema), table(&schema));
    schema["properties"]["log"]["properties"]["new"] = serde_json::json!({"description": "New.", "default": true});
    let after = (values_yaml(&schema), table(&schema));
    assert!(after.0.contains("  # New.\n  new: true\n") && after.0.len() > before.0.len());
    assert!(after.1.contains("| `log.new` | `true` | New. |\n") && after.1.len() > before.1.len());
}
