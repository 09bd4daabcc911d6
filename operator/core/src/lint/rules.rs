//! The rules across fields of a CRD, evaluated as the API server does it.
//!
//! The library makes CEL values of everything on its way to a rule, again at each step, which took a tenth of all that is
//! done for a service. So it is given what a rule stands at, and of that the fields that the rules there name.

use std::collections::{BTreeMap, BTreeSet};

use kube::core::cel::{CompiledSchema, ValidationError, Validator, compile_schema};
use serde_json::{Map, Value};

const RULES: &str = "x-kubernetes-validations";
const FIELDS: &str = "properties";

thread_local! {
    /// It holds every function that rules can call, and nothing of what was validated.
    static VALIDATOR: Validator = Validator::new();
}

/// The rules of a value, and of what is in it.
#[derive(Debug)]
pub(super) struct Rules {
    /// Those of the value itself.
    own: Option<CompiledSchema>,
    /// The fields that none of them names.
    unnamed: BTreeSet<String>,
    /// Those of its fields, of its items, and of its values under any key.
    fields: BTreeMap<String, Rules>,
    items: Option<Box<Rules>>,
    entries: Option<Box<Rules>>,
}

impl Rules {
    /// The rules of a schema, compiled.
    pub(super) fn of(schema: &Value) -> Self {
        let fields = schema[FIELDS].as_object();
        let fields = || fields.into_iter().flatten();
        let own = schema.get(RULES).map(Value::to_string);
        let unnamed = own.iter().flat_map(|rules| {
            let unnamed = fields().filter(|(name, _)| !rules.contains(*name));
            unnamed.map(|(name, _)| name.clone())
        });
        let unnamed = unnamed.collect();
        let below = |field: &Value| Some(Self::of(field)).filter(Self::any);
        Self {
            own: own.map(|_| compile_schema(&alone(schema, &unnamed))),
            unnamed,
            fields: fields()
                .filter_map(|(name, field)| Some((name.clone(), below(field)?)))
                .collect(),
            items: schema.get("items").and_then(below).map(Box::new),
            entries: schema.get("additionalProperties").and_then(below).map(Box::new),
        }
    }

    fn any(&self) -> bool {
        self.own.is_some() || !self.fields.is_empty() || self.items.is_some() || self.entries.is_some()
    }

    /// Every rule that a value breaks, with its path.
    pub(super) fn broken(&self, value: &Value) -> Vec<ValidationError> {
        let mut errors = Vec::new();
        self.ask(value, "", &mut errors);
        errors
    }

    fn ask(&self, value: &Value, path: &str, errors: &mut Vec<ValidationError>) {
        if let Some(own) = &self.own {
            let seen = self.seen(value);
            let seen = seen.as_ref().unwrap_or(value);
            let found = VALIDATOR.with(|validator| validator.validate_compiled(own, seen, None));
            errors.extend(found.err().into_iter().flatten().map(|mut error| {
                error.field_path.insert_str(0, path);
                error
            }));
        }
        for (name, rules) in &self.fields {
            if let Some(value) = value.get(name) {
                let dot = if path.is_empty() { "" } else { "." };
                rules.ask(value, &format!("{path}{dot}{name}"), errors);
            }
        }
        if let (Some(rules), Value::Array(items)) = (&self.items, value) {
            for (index, item) in items.iter().enumerate() {
                rules.ask(item, &format!("{path}[{index}]"), errors);
            }
        }
        if let (Some(rules), Value::Object(entries)) = (&self.entries, value) {
            for (key, value) in entries {
                rules.ask(value, &format!("{path}.{key}"), errors);
            }
        }
    }

    /// What the rules of an object see of it. None where they see all.
    fn seen(&self, value: &Value) -> Option<Value> {
        let fields = value.as_object().filter(|_| !self.unnamed.is_empty())?.iter();
        let seen = fields.filter(|(name, _)| !self.unnamed.contains(*name));
        Some(seen.map(|(name, value)| (name.clone(), value.clone())).collect())
    }
}

/// A schema with its own rules only, and without the fields that they do not name.
fn alone(schema: &Value, unnamed: &BTreeSet<String>) -> Value {
    let named = |fields: &Value| {
        let fields = fields.as_object().into_iter().flatten();
        let named = fields.filter(|(name, _)| !unnamed.contains(*name));
        named
            .map(|(name, field)| (name.clone(), without_rules(field)))
            .collect()
    };
    let parts = schema.as_object().into_iter().flatten();
    let parts = parts.map(|(name, part)| match name.as_str() {
        RULES => (name.clone(), part.clone()),
        FIELDS => (name.clone(), named(part)),
        _ => (name.clone(), without_rules(part)),
    });
    parts.collect()
}

fn without_rules(schema: &Value) -> Value {
    match schema {
        Value::Object(fields) => {
            let fields = fields.iter().filter(|(name, _)| *name != RULES);
            let fields = fields.map(|(name, field)| (name.clone(), without_rules(field)));
            Value::Object(fields.collect::<Map<_, _>>())
        }
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::{PACK_SCHEMA, SCHEMA};
    use super::*;

    fn count(rules: &Rules) -> usize {
        let below = rules
            .fields
            .values()
            .chain(rules.items.as_deref())
            .chain(rules.entries.as_deref());
        let own = rules.own.iter().map(|own| own.validations.len()).sum::<usize>();
        own + below.map(count).sum::<usize>()
    }

    #[test]
    fn every_rule_of_the_crds_is_asked() {
        for schema in [&*SCHEMA, &*PACK_SCHEMA] {
            let written = schema.to_string().matches("\"rule\":").count();
            assert!(written > 5);
            assert_eq!(count(&Rules::of(schema)), written);
        }
    }

    #[test]
    fn a_rule_is_told_by_where_it_stands_in_fields_items_and_maps() {
        let short = |of: &str| json!({"rule": format!("size({of}) < 3"), "message": format!("{of} is long")});
        let text = json!({"type": "string", RULES: [short("self")]});
        let schema = json!({"type": "object", RULES: [short("self.name")], FIELDS: {
            "name": {"type": "string"},
            "other": {"type": "string"},
            "list": {"type": "array", "items": text},
            "map": {"type": "object", "additionalProperties": text},
            "inner": {"type": "object", FIELDS: {"text": text}},
        }});
        let rules = Rules::of(&schema);
        assert_eq!(
            rules.unnamed,
            ["inner", "list", "map", "other"].map(str::to_owned).into()
        );
        let value = |name: &str, text: &str| json!({"name": name, "other": text, "list": ["a", text], "map": {"a-b": text}, "inner": {"text": text}});
        let told = |value: &Value| -> Vec<String> { rules.broken(value).iter().map(ToString::to_string).collect() };
        assert_eq!(told(&value("ab", "ab")), Vec::<String>::new());
        assert_eq!(
            told(&value("abc", "abc")),
            [
                "self.name is long",
                "inner.text: self is long",
                "list[1]: self is long",
                "map.a-b: self is long",
            ]
        );
        // A field that a rule names and that is not there is a rule that cannot be evaluated, and not one that holds.
        assert_eq!(rules.broken(&json!({"other": "a"})).len(), 1);
    }
}
