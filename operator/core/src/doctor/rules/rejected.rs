use super::super::kind::{Kind, Need};
use super::super::snapshot::Object;
use super::super::{Found, Rule, Severity, Snapshot};
use crate::binding;

pub(super) const RULE: Rule = Rule {
    id: "rejected",
    title: "prometheus-operator rejects the object",
    effect: "It is left out of the configuration whole, although the API server took it",
    fix: "Correct what the message names; a server-side dry run asks prometheus-operator's webhook first, where there is one",
    needs: &[Need::Any(&JUDGED)],
    find,
};

const JUDGED: [Kind; 4] = [
    Kind::ServiceMonitor,
    Kind::PodMonitor,
    Kind::PrometheusRule,
    Kind::AlertmanagerConfig,
];

fn find(snapshot: &Snapshot) -> Vec<Found> {
    let objects = JUDGED.into_iter().flat_map(|kind| snapshot.of(kind));
    objects
        .filter_map(|object| {
            let words = binding::refused(&object.value).or_else(|| told(snapshot, object))?;
            let fix = "Correct what the message names, and apply the object again";
            Some(Found::new(Severity::Error, object, words, fix))
        })
        .collect()
}

/// What its Event about the object says.
fn told(snapshot: &Snapshot, object: &Object) -> Option<String> {
    let kind: &str = object.kind.into();
    let event = snapshot.of(Kind::Event).iter().find(|event| {
        event.text("/involvedObject/kind") == Some(kind)
            && event.text("/involvedObject/name") == Some(&object.name)
            && event.text("/involvedObject/namespace") == Some(&object.namespace)
            && event.text("/reason") == Some("InvalidConfiguration")
            && is_of(event, object)
    })?;
    Some(format!(
        "Event InvalidConfiguration: {}",
        event.text("/message").unwrap_or_default()
    ))
}

/// Whether the event is about the object as it is now: an older object of that name had another UID.
fn is_of(event: &Object, object: &Object) -> bool {
    let uid = event.text("/involvedObject/uid");
    uid.is_none() || uid == object.text("/metadata/uid")
}
