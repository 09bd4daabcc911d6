//! Whether a live object is already what is wanted, so that nothing needs to be written.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry;
use observed_crds::MANAGER;
use serde_json::Value;

use crate::managed_fields;

/// Whether applying `wanted` to `live` would change nothing: every wanted value is there, and there is nothing that was
/// applied earlier and is no longer wanted. Fields that the API server or others added do not count, nor do items that
/// others added to a list whose items have an owner each.
pub(super) fn is_as_wanted(wanted: &Value, live: &Value, managed: &[ManagedFieldsEntry]) -> bool {
    let ours = managed_fields::applied(managed, MANAGER).next();
    let fields = wanted.as_object().into_iter().flatten();
    // A list response leaves the type of its items out.
    let mut fields = fields.filter(|(key, _)| !matches!(key.as_str(), "apiVersion" | "kind"));
    fields.all(|(key, wanted)| {
        live.get(key)
            .is_some_and(|live| contains(live, wanted, managed_fields::field(ours, key)))
    }) && managed_fields::all_wanted(managed, MANAGER, wanted)
}

/// `owned` is what we own below this place. It also tells a list that is merged item by item from one that is one value.
fn contains(live: &Value, wanted: &Value, owned: Option<&Value>) -> bool {
    match (live, wanted) {
        (Value::Object(live), Value::Object(wanted)) => wanted.iter().all(|(key, wanted)| {
            live.get(key)
                .is_some_and(|live| contains(live, wanted, managed_fields::field(owned, key)))
        }),
        (Value::Array(live), Value::Array(wanted)) if managed_fields::has_items(owned) => wanted.iter().all(|wanted| {
            managed_fields::item(owned, wanted).is_some_and(|(keys, owned)| {
                let live = live.iter().find(|live| managed_fields::is_item(&keys, live));
                live.is_some_and(|live| contains(live, wanted, Some(owned)))
            })
        }),
        (Value::Array(live), Value::Array(wanted)) => {
            live.len() == wanted.len()
                && live
                    .iter()
                    .zip(wanted)
                    .all(|(live, wanted)| contains(live, wanted, None))
        }
        (Value::Number(live), Value::Number(wanted)) => live == wanted || live.as_f64() == wanted.as_f64(),
        _ => live == wanted,
    }
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

    fn applied(fields: Value) -> [ManagedFieldsEntry; 1] {
        [ManagedFieldsEntry {
            manager: Some(MANAGER.into()),
            operation: Some("Apply".into()),
            fields_v1: Some(FieldsV1(fields)),
            ..Default::default()
        }]
    }

    /// What the API server says that we own after `wanted` was applied.
    fn owned() -> [ManagedFieldsEntry; 1] {
        applied(json!({
            "f:metadata": {"f:labels": {"f:x": {}}, "f:ownerReferences": {"k:{\"uid\":\"u\"}": {}}},
            "f:data": {"f:k": {}}, "f:spec": {"f:list": {}, "f:number": {}},
        }))
    }

    #[test]
    fn what_others_added_does_not_count() {
        let live = json!({
            "metadata": {"name": "a", "uid": "7", "labels": {"x": "1", "theirs": "2"}, "ownerReferences": [
                {"uid": "other"}, {"uid": "u", "controller": true, "kind": "ObservedService"}]},
            "data": {"k": "v", "theirs": "w"}, "spec": {"list": [{"name": "one", "defaulted": 3}], "number": 1.0},
        });
        assert!(is_as_wanted(&wanted(), &live, &owned()));
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
            assert!(!is_as_wanted(&wanted(), &live, &owned()), "{change}");
        }
    }

    #[test]
    fn an_item_that_others_added_counts_only_in_a_list_that_is_one_value() {
        let mut live = wanted();
        live["spec"]["list"] = json!([{"name": "theirs"}, {"name": "one"}]);
        let item_by_item = |mut changed: Value| {
            changed["f:spec"] = json!({"f:list": {"k:{\"name\":\"one\"}": {".": {}, "f:name": {}}}, "f:number": {}});
            applied(changed)
        };
        let whole = owned()[0].fields_v1.clone().unwrap().0;
        assert!(!is_as_wanted(&wanted(), &live, &owned()));
        assert!(is_as_wanted(&wanted(), &live, &item_by_item(whole.clone())));
        // Ours was changed, or taken out, or there is one more that we want.
        for list in [json!([{"name": "theirs"}]), json!([{"name": "one", "rule": 1}])] {
            let mut wanted = wanted();
            wanted["spec"]["list"] = json!([{"name": "one", "rule": 2}]);
            live["spec"]["list"] = list;
            assert!(!is_as_wanted(&wanted, &live, &item_by_item(whole.clone())), "{live}");
        }
        let mut more = wanted();
        more["spec"]["list"] = json!([{"name": "one"}, {"name": "theirs"}]);
        live["spec"]["list"] = more["spec"]["list"].clone();
        assert!(!is_as_wanted(&more, &live, &item_by_item(whole)));
    }

    #[test]
    fn what_was_applied_earlier_and_is_no_longer_wanted_counts() {
        let mut live = wanted();
        merge(&mut live, &json!({"data": {"old": "value"}}));
        let ours = |data: Value| {
            let mut fields = owned()[0].fields_v1.clone().unwrap().0;
            fields["f:data"] = data;
            applied(fields)
        };
        assert!(!is_as_wanted(&wanted(), &live, &ours(json!({"f:k": {}, "f:old": {}}))));
        assert!(is_as_wanted(&wanted(), &live, &ours(json!({"f:k": {}}))));
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
