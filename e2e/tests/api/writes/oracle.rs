//! What must be the same after every run, with what no two runs have in common taken out.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures::StreamExt;
use futures::stream::select_all;
use kube::api::{DynamicObject, ListParams};
use kube::runtime::{WatchStreamExt, watcher};
use serde_json::{Value, json};

use super::super::operator::{CONFIG_MAP, DEPLOYMENT, MONITOR, RULE, Stage};

const SERVICE: (&str, &str, &str) = ("observed.rs/v1alpha1", "ObservedService", "observedservices");
const POD_MONITOR: (&str, &str, &str) = ("monitoring.coreos.com/v1", "PodMonitor", "podmonitors");

/// Every object that the operator could have touched. Of a workload and of a service also the generation: it counts the
/// changes of the spec, and so the rollouts.
pub type End = BTreeMap<String, Value>;

/// What belongs to a service.
pub const CHILDREN: [(&str, &str, &str); 4] = [MONITOR, POD_MONITOR, RULE, CONFIG_MAP];

fn kinds() -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
    [SERVICE, DEPLOYMENT].into_iter().chain(CHILDREN)
}

/// Counts what is written to the objects of an end.
pub async fn count(stage: Arc<Stage>, changes: Arc<AtomicU64>) {
    let watched = |kind| {
        let events = watcher(stage.metadata(kind), watcher::Config::default());
        events.default_backoff().boxed()
    };
    let mut events = select_all(kinds().map(watched));
    while events.next().await.is_some() {
        changes.fetch_add(1, Ordering::Relaxed);
    }
}

pub async fn end(stage: &Stage, port: u16) -> End {
    let mut end = End::new();
    for kind in kinds() {
        let list = stage.objects(kind).list(&ListParams::default()).await.unwrap();
        for object in list.items {
            let name = object.metadata.name.clone().unwrap_or_default();
            if name != "kube-root-ca.crt" {
                end.insert(
                    format!("{} {name}", kind.1),
                    masked(&object, kind.1, &stage.namespace, port),
                );
            }
        }
    }
    end
}

fn masked(object: &DynamicObject, kind: &str, namespace: &str, port: u16) -> Value {
    let managers = object.metadata.managed_fields.iter().flatten().map(|entry| {
        let part = |part: &Option<String>| part.clone().unwrap_or_default();
        format!(
            "{} {} {}",
            part(&entry.manager),
            part(&entry.operation),
            part(&entry.subresource)
        )
    });
    let mut managers: Vec<String> = managers.collect();
    managers.sort();
    managers.dedup();
    let mut value = serde_json::to_value(object).unwrap();
    let meta = &mut value["metadata"];
    for field in ["uid", "resourceVersion", "creationTimestamp", "managedFields"] {
        meta[field] = Value::Null;
    }
    if !matches!(kind, "ObservedService" | "Deployment") {
        meta["generation"] = Value::Null;
    }
    for owner in meta["ownerReferences"].as_array_mut().into_iter().flatten() {
        owner["uid"] = Value::Null;
    }
    if meta["annotations"]["observed.rs/owner-uid"].is_string() {
        meta["annotations"]["observed.rs/owner-uid"] = json!("of the service");
    }
    if let Some(gift) = meta["annotations"]["observed.rs/probes"].as_str() {
        meta["annotations"]["observed.rs/probes"] = json!(gift.split('@').next());
    }
    // The uid of a dashboard is a hash of namespace and name.
    for dashboard in value["data"]
        .as_object_mut()
        .into_iter()
        .flat_map(|data| data.values_mut())
    {
        let text = dashboard.as_str().unwrap_or_default();
        if let Ok(mut parsed) = serde_json::from_str::<Value>(text) {
            parsed["uid"] = Value::Null;
            *dashboard = parsed;
        }
    }
    // It names ReplicaSets by a hash of what no two runs have in common; rollouts are counted by the generation.
    if kind == "Deployment" {
        value["status"] = Value::Null;
    }
    let status = &mut value["status"];
    for condition in status["conditions"].as_array_mut().into_iter().flatten() {
        condition["lastTransitionTime"] = Value::Null;
    }
    if status["given"].is_object() {
        let given = &mut status["given"];
        given["gift"] = json!(given["gift"].as_str().and_then(|gift| gift.split('@').next()));
        given["templates"] = json!(given["templates"].as_array().map(Vec::len));
        for field in ["targetUID", "trialUntil"] {
            given[field] = Value::Null;
        }
    }
    value["managers"] = json!(managers);
    let text = value
        .to_string()
        .replace(namespace, "NAMESPACE")
        .replace(&port.to_string(), "1");
    serde_json::from_str(&text).unwrap()
}

/// The first places in which two ends differ, in words.
pub fn difference(wanted: &End, seen: &End) -> String {
    let mut found = Vec::new();
    for (name, wanted) in wanted {
        match seen.get(name) {
            None => found.push(format!("{name} is missing")),
            Some(seen) => places(name, wanted, seen, &mut found),
        }
    }
    found.extend(
        seen.keys()
            .filter(|name| !wanted.contains_key(*name))
            .map(|name| format!("{name} is left over")),
    );
    found.truncate(8);
    found.join("; ")
}

fn places(at: &str, wanted: &Value, seen: &Value, found: &mut Vec<String>) {
    match (wanted, seen) {
        (Value::Object(one), Value::Object(other)) => {
            let keys: std::collections::BTreeSet<&String> = one.keys().chain(other.keys()).collect();
            for key in keys {
                places(&format!("{at}.{key}"), &wanted[key], &seen[key], found);
            }
        }
        (Value::Array(one), Value::Array(other)) if one.len() == other.len() => {
            for (index, (one, other)) in one.iter().zip(other).enumerate() {
                places(&format!("{at}[{index}]"), one, other, found);
            }
        }
        _ if wanted == seen => {}
        _ => {
            let short = |value: &Value| value.to_string().chars().take(200).collect::<String>();
            found.push(format!("{at} is {} and not {}", short(seen), short(wanted)));
        }
    }
}
