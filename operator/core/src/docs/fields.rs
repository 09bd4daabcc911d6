//! `docs/fields.md`: every field of the resources, from the schema that the API server has.

use std::collections::BTreeMap;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use observed_crds::v1alpha1::{crd, signal_pack};
use serde_json::Value;

use super::cell;

/// The page.
///
/// # Errors
/// A CustomResourceDefinition is not JSON, which it is.
pub fn fields() -> Result<String, serde_json::Error> {
    let mut text = String::from(
        "<!-- Generated from crds/src by `UPDATE_GOLDEN=1 cargo test -p observed --test generated`. -->\n\
         # Fields of the resources\n\n\
         From the schema that the API server has; `kubectl explain observedservice.spec --recursive` tells the same. `[]` stands for \
         each item of a list, `KEY` for each key of a map. Lengths are in characters, and the API server refuses what is out of \
         bounds. What was taken where the spec is silent stands in `status.resolved`.\n",
    );
    for crd in [crd(), signal_pack::crd()?] {
        resource(&mut text, &crd)?;
    }
    Ok(text)
}

fn resource(text: &mut String, crd: &CustomResourceDefinition) -> Result<(), serde_json::Error> {
    let version = crd.spec.versions.first();
    let schema = version.and_then(|version| version.schema.as_ref()?.open_api_v3_schema.as_ref());
    let schema = serde_json::to_value(schema)?;
    *text += &format!("\n## {}\n\n{}\n", crd.spec.names.kind, words(&schema));
    for part in ["spec", "status"] {
        let part_schema = &schema["properties"][part];
        // A field of its own table with what is in it, and one table for all that hold nothing.
        let (mut tables, mut plain) = (BTreeMap::new(), String::new());
        for (name, field) in members(part_schema) {
            let path = format!("{part}.{name}");
            let mut rows = String::new();
            row(&mut rows, &path, field, is_required(part_schema, name));
            if rows.lines().count() > 1 {
                tables.insert(path, rows);
            } else {
                plain += &rows;
            }
        }
        if !plain.is_empty() {
            tables.insert(part.to_owned(), plain);
        }
        for (path, rows) in tables {
            *text += &format!("\n### {path}\n\n| field | type | default | what it is |\n|---|---|---|---|\n{rows}");
        }
    }
    Ok(())
}

/// A field, and all that is in it.
fn row(rows: &mut String, path: &str, schema: &Value, required: bool) {
    let described = words(schema);
    let (default, meaning) = match (schema.get("default"), told_default(&described)) {
        (Some(default), told) => (format!("`{default}`"), told.map_or(described.clone(), |told| told.1)),
        (None, Some((default, meaning))) => (default, meaning),
        (None, None) if required => ("required".to_owned(), described.replace(" Required.", "")),
        (None, None) => (String::new(), described),
    };
    let cells = [format!("`{path}`"), kind(schema), default, meaning];
    *rows += &format!("| {} |\n", cells.map(|text| cell(&text)).join(" | "));
    let mut within = |path: String, holder: &Value| {
        for (name, field) in members(holder) {
            row(rows, &format!("{path}.{name}"), field, is_required(holder, name));
        }
    };
    within(path.to_owned(), schema);
    within(format!("{path}[]"), &schema["items"]);
    within(format!("{path}.KEY"), &schema["additionalProperties"]);
}

fn members(schema: &Value) -> impl Iterator<Item = (&String, &Value)> {
    schema["properties"].as_object().into_iter().flatten()
}

fn is_required(schema: &Value, name: &str) -> bool {
    let required = schema["required"].as_array();
    required.is_some_and(|required| required.iter().any(|it| it == name))
}

fn words(schema: &Value) -> String {
    let description = schema["description"].as_str().unwrap_or_default();
    description.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The default that the words tell, and the words without it.
fn told_default(words: &str) -> Option<(String, String)> {
    let (before, rest) = words.split_once("Default: ")?;
    let end = rest.find(". ").unwrap_or(rest.len().saturating_sub(1));
    let (default, after) = rest.split_at_checked(end)?;
    let after = after.trim_start_matches('.');
    Some((default.to_owned(), format!("{}{after}", before.trim_end())))
}

/// What a field may hold.
fn kind(schema: &Value) -> String {
    let bound = |least: &str, most: &str, what: &str| match (schema[least].as_i64(), schema[most].as_i64()) {
        (None | Some(0), Some(most)) => format!(", at most {most}{what}"),
        (Some(least), Some(most)) => format!(", {least} to {most}{what}"),
        (Some(least), None) => format!(", at least {least}{what}"),
        (None, None) => String::new(),
    };
    if let Some(words) = schema["enum"].as_array() {
        let words: Vec<String> = words
            .iter()
            .filter_map(Value::as_str)
            .map(|word| format!("`{word}`"))
            .collect();
        return words.join(", ");
    }
    if schema["x-kubernetes-int-or-string"] == true {
        return "text or number".to_owned();
    }
    match schema["type"].as_str().unwrap_or_default() {
        "string" if schema["format"] == "date-time" => "time".to_owned(),
        "string" => format!("text{}", bound("minLength", "maxLength", "")),
        "integer" => format!("whole number{}", bound("minimum", "maximum", "")),
        "number" => format!("number{}", bound("minimum", "maximum", "")),
        "boolean" => "`true` or `false`".to_owned(),
        "array" => format!(
            "list of {}{}",
            kind(&schema["items"]),
            bound("minItems", "maxItems", " items")
        ),
        "object" if schema["additionalProperties"].is_object() => {
            let most = bound("minProperties", "maxProperties", " keys");
            format!("map of {}{most}", kind(&schema["additionalProperties"]))
        }
        "object" => "fields".to_owned(),
        _ => "any".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_default_is_told_once_and_what_is_required_says_so() {
        let mut rows = String::new();
        let schema = json!({
            "type": "object", "required": ["name"], "description": "it. Default: none.",
            "properties": {
                "name": {"type": "string", "minLength": 1, "maxLength": 63, "description": "name of it. Required. Unique."},
                "ratio": {"type": "string", "description": "ratio of it. Default: `0.5` (half). More.\n\nExample: `a|b`"},
                "ports": {"type": "array", "maxItems": 2, "items": {"type": "object", "properties": {"on": {"type": "boolean"}}}},
            },
        });
        row(&mut rows, "spec.it", &schema, false);
        assert_eq!(
            rows,
            "| `spec.it` | fields | none | it. |\n\
             | `spec.it.name` | text, 1 to 63 | required | name of it. Unique. |\n\
             | `spec.it.ports` | list of fields, at most 2 items |  |  |\n\
             | `spec.it.ports[].on` | `true` or `false` |  |  |\n\
             | `spec.it.ratio` | text | `0.5` (half) | ratio of it. More. Example: `a\\|b` |\n"
        );
    }

    #[test]
    fn every_field_of_the_spec_says_what_it_is() {
        let text = fields().unwrap();
        let mut of_the_spec = text.lines().filter(|line| line.starts_with("| `spec."));
        assert!(of_the_spec.clone().count() > 150);
        let silent = of_the_spec.find(|line| line.ends_with("|  |"));
        assert_eq!(silent, None);
    }
}
