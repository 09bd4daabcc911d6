//! Whether a live object is already what is wanted, so that nothing needs to be written.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry;
use observed_crds::MANAGER;
use serde_json::Value;

use crate::managed_fields;

/// Whether applying `wanted` to `live` would change nothing: every wanted value is there, and there is nothing that was
/// applied earlier and is no longer wanted. Fields that the API server or others added do not count.
pub(super) fn is_as_wanted(wanted: &Value, live: &Value, managed: &[ManagedFieldsEntry]) -> bool {
    let fields = wanted.as_object().into_iter().flatten();
    // A list response leaves the type of its items out.
    let mut fields = fields.filter(|(key, _)| !matches!(key.as_str(), "apiVersion" | "kind"));
    fields.all(|(key, wanted)| live.get(key).is_some_and(|live| contains(live, wanted)))
        && managed_fields::all_wanted(managed, MANAGER, wanted)
}

fn contains(live: &Value, wanted: &Value) -> bool {
    match (live, wanted) {
        (Value::Object(live), Value::Object(wanted)) => wanted.iter().all(|(key, wanted)| match key.as_str() {
            // Others may own the object beside us.
            "ownerReferences" => live.get(key).is_some_and(|live| has_each(live, wanted)),
            _ => live.get(key).is_some_and(|live| contains(live, wanted)),
        }),
        (Value::Array(live), Value::Array(wanted)) => {
            live.len() == wanted.len() && live.iter().zip(wanted).all(|(live, wanted)| contains(live, wanted))
        }
        (Value::Number(live), Value::Number(wanted)) => live == wanted || live.as_f64() == wanted.as_f64(),
        _ => live == wanted,
    }
}

fn has_each(live: &Value, wanted: &Value) -> bool {
    let (Some(live), Some(wanted)) = (live.as_array(), wanted.as_array()) else {
        return false;
    };
    wanted
        .iter()
        .all(|wanted| live.iter().any(|live| contains(live, wanted)))
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::FieldsV1;
    use serde_json::json;

    use super::*;

    fn wanted() -> Value {
        json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": "a", "labels": {"x": "1"}, "ownerReferences": [{"uid": "u", "controller": true}]},
            "data": {"k": "v"}, "spec": {"list": [{"name": "one"}], "number": 1},
        })
    }

    #[test]
    fn what_others_added_does_not_count() {
        let live = json!({
            "metadata": {"name": "a", "uid": "7", "labels": {"x": "1", "theirs": "2"}, "ownerReferences": [
                {"uid": "other"}, {"uid": "u", "controller": true, "kind": "ObservedService"}]},
            "data": {"k": "v", "theirs": "w"}, "spec": {"list": [{"name": "one", "defaulted": 3}], "number": 1.0},
        });
        assert!(is_as_wanted(&wanted(), &live, &[]));
    }

    #[test]
    fn a_changed_or_missing_value_counts() {
        for change in [
            json!({"metadata": {"labels": {"x": "2"}}}),
            json!({"metadata": {"labels": null}}),
            json!({"metadata": {"ownerReferences": [{"uid": "u", "controller": false}]}}),
            json!({"data": {"k": null}}),
            json!({"spec": {"list": [{"name": "one"}, {"name": "two"}]}}),
            json!({"spec": {"list": []}}),
            json!({"spec": {"number": 2}}),
        ] {
            let mut live = wanted();
            merge(&mut live, &change);
            assert!(!is_as_wanted(&wanted(), &live, &[]), "{change}");
        }
    }

    #[test]
    fn what_was_applied_earlier_and_is_no_longer_wanted_counts() {
        let mut live = wanted();
        merge(&mut live, &json!({"data": {"old": "value"}}));
        let entry = |fields| ManagedFieldsEntry {
            manager: Some(MANAGER.into()),
            operation: Some("Apply".into()),
            fields_v1: Some(FieldsV1(fields)),
            ..Default::default()
        };
        assert!(!is_as_wanted(
            &wanted(),
            &live,
            &[entry(json!({"f:data": {"f:k": {}, "f:old": {}}}))]
        ));
        assert!(is_as_wanted(&wanted(), &live, &[entry(json!({"f:data": {"f:k": {}}}))]));
    }

    fn merge(into: &mut Value, change: &Value) {
        match change {
            Value::Object(change) => {
                for (key, change) in change {
                    merge(&mut into[key.as_str()], change);
                }
            }
            other => *into = other.clone(),
        }
    }
}
