//! Reading `metadata.managedFields`: who owns which field of a live object.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry;
use serde_json::{Map, Value};

/// One step from the root of an object to a field of it.
#[derive(Clone, Copy, Debug)]
pub enum Step<'a> {
    /// A field of a map.
    Field(&'a str),
    /// The item of a list whose `name` is this.
    Named(&'a str),
}

/// Managers that own the field or a part of it, but the one given.
pub fn owners(entries: &[ManagedFieldsEntry], path: &[Step<'_>], except: &str) -> Vec<String> {
    let mut owners: Vec<String> = entries
        .iter()
        .filter(|entry| entry.fields_v1.as_ref().is_some_and(|fields| reaches(&fields.0, path)))
        .filter_map(|entry| entry.manager.clone())
        .filter(|manager| manager != except)
        .collect();
    owners.sort();
    owners.dedup();
    owners
}

fn reaches(fields: &Value, path: &[Step<'_>]) -> bool {
    let Some((step, rest)) = path.split_first() else {
        return true;
    };
    let Some(fields) = fields.as_object() else { return false };
    match step {
        Step::Field(name) => fields
            .get(&format!("f:{name}"))
            .is_some_and(|inner| reaches(inner, rest)),
        Step::Named(name) => fields.iter().any(|(key, inner)| {
            item_key(key).is_some_and(|keys| keys.get("name").and_then(Value::as_str) == Some(name))
                && reaches(inner, rest)
        }),
    }
}

fn item_key(key: &str) -> Option<Map<String, Value>> {
    serde_json::from_str(key.strip_prefix("k:")?).ok()
}

/// Places of a manager's entries, the last one first, so that removing one does not move the others.
pub fn positions(entries: &[ManagedFieldsEntry], manager: &str) -> Vec<usize> {
    let ours = |entry: &ManagedFieldsEntry| entry.manager.as_deref() == Some(manager);
    (0..entries.len()).rev().filter(|i| ours(&entries[*i])).collect()
}

/// The manager that wrote the object last, status apart.
pub fn last_writer(entries: &[ManagedFieldsEntry], except: &str) -> Option<String> {
    entries
        .iter()
        .filter(|entry| entry.subresource.as_deref().unwrap_or_default().is_empty())
        .filter(|entry| entry.manager.as_deref() != Some(except))
        .max_by(|a, b| a.time.as_ref().map(|t| t.0).cmp(&b.time.as_ref().map(|t| t.0)))
        .and_then(|entry| entry.manager.clone())
}

/// What a manager applied.
pub fn applied<'a>(entries: &'a [ManagedFieldsEntry], manager: &'a str) -> impl Iterator<Item = &'a Value> {
    entries
        .iter()
        .filter(move |entry| entry.manager.as_deref() == Some(manager) && entry.operation.as_deref() == Some("Apply"))
        .filter_map(|entry| entry.fields_v1.as_ref())
        .map(|fields| &fields.0)
}

/// What is owned below a field.
pub fn field<'a>(owned: Option<&'a Value>, name: &str) -> Option<&'a Value> {
    owned?.get(format!("f:{name}"))
}

/// Whether a list is merged item by item: its items, and not the list, have an owner.
pub fn has_items(owned: Option<&Value>) -> bool {
    let fields = owned.and_then(Value::as_object);
    fields.is_some_and(|fields| fields.keys().any(|key| key.starts_with("k:")))
}

/// The owned item of a list that has the keys of the one given: those keys, and what is owned below it.
pub fn item<'a>(owned: Option<&'a Value>, item: &Value) -> Option<(Map<String, Value>, &'a Value)> {
    let items = owned?.as_object()?.iter();
    let mut keyed = items.filter_map(|(key, inner)| Some((item_key(key)?, inner)));
    keyed.find(|(keys, _)| is_item(keys, item))
}

/// Whether an item of a list is the one with these keys.
pub fn is_item(keys: &Map<String, Value>, item: &Value) -> bool {
    keys.iter().all(|(key, value)| item.get(key) == Some(value))
}

/// Whether everything that a manager applied is still asked for in `wanted`. If not, applying again takes it away.
pub fn all_wanted(entries: &[ManagedFieldsEntry], manager: &str, wanted: &Value) -> bool {
    applied(entries, manager).all(|fields| within(fields, wanted))
}

fn within(fields: &Value, wanted: &Value) -> bool {
    let Some(fields) = fields.as_object() else { return true };
    fields.iter().filter(|(key, _)| *key != ".").all(|(key, inner)| {
        if let Some(name) = key.strip_prefix("f:") {
            wanted.get(name).is_some_and(|value| within(inner, value))
        } else if let Some(keys) = item_key(key) {
            wanted
                .as_array()
                .and_then(|items| items.iter().find(|item| is_item(&keys, item)))
                .is_some_and(|item| within(inner, item))
        } else if let Some(value) = key.strip_prefix("v:") {
            let value: Option<Value> = serde_json::from_str(value).ok();
            wanted
                .as_array()
                .is_some_and(|items| items.iter().any(|item| Some(item) == value.as_ref()))
        } else {
            // An index (`i:`) says nothing that the comparison of the values does not.
            true
        }
    })
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::FieldsV1;
    use serde_json::json;

    use super::*;

    fn entry(manager: &str, operation: &str, fields: Value) -> ManagedFieldsEntry {
        ManagedFieldsEntry {
            manager: Some(manager.into()),
            operation: Some(operation.into()),
            fields_v1: Some(FieldsV1(fields)),
            ..Default::default()
        }
    }

    fn probe_of(container: &str, field: &str) -> Value {
        json!({"f:spec": {"f:template": {"f:spec": {"f:containers": {format!("k:{{\"name\":\"{container}\"}}"): {field: {}}}}}}})
    }

    const PATH: [Step<'_>; 6] = [
        Step::Field("spec"),
        Step::Field("template"),
        Step::Field("spec"),
        Step::Field("containers"),
        Step::Named("api"),
        Step::Field("livenessProbe"),
    ];

    #[test]
    fn the_owner_of_a_probe_is_found_by_the_name_of_the_container() {
        let entries = [
            entry("helm", "Apply", probe_of("api", "f:livenessProbe")),
            entry("other", "Apply", probe_of("side", "f:livenessProbe")),
            entry("third", "Update", probe_of("api", "f:readinessProbe")),
            entry("observed-probes", "Update", probe_of("api", "f:livenessProbe")),
        ];
        assert_eq!(owners(&entries, &PATH, "observed-probes"), ["helm"]);
    }

    #[test]
    fn a_field_that_is_applied_but_no_longer_wanted_is_seen() {
        let entries = [entry(
            "observed",
            "Apply",
            json!({"f:metadata": {"f:labels": {"f:a": {}, "f:b": {}}}, "f:spec": {"f:list": {"k:{\"name\":\"x\"}": {".": {}, "f:name": {}}}}}),
        )];
        let whole = json!({"metadata": {"labels": {"a": "1", "b": "2"}}, "spec": {"list": [{"name": "x"}]}});
        assert!(all_wanted(&entries, "observed", &whole));
        for less in [
            json!({"metadata": {"labels": {"a": "1"}}, "spec": {"list": [{"name": "x"}]}}),
            json!({"metadata": {"labels": {"a": "1", "b": "2"}}, "spec": {"list": [{"name": "y"}]}}),
        ] {
            assert!(!all_wanted(&entries, "observed", &less), "{less}");
        }
        assert!(all_wanted(&entries, "somebody", &json!({})));
    }
}
