//! Who selects a monitor, a PrometheusRule or an AlertmanagerConfig.

use std::collections::BTreeMap;

use super::finding::{Found, Reference, Severity};
use super::kind::Kind;
use super::snapshot::{Object, Snapshot, Unseen, pairs};
use crate::facts;
use crate::selection;

/// Label that the API server gives every namespace.
pub(super) const NAMESPACE_NAME: &str = "kubernetes.io/metadata.name";

/// What becomes of an object.
pub(super) enum Selection<'a> {
    /// These select it.
    Selected(Vec<&'a Object>),
    /// Nobody does: each of them with the reason.
    Missed(Vec<Missed>),
    /// It depends on something that is not seen.
    Unknown,
}

/// Why one does not select it.
pub(super) struct Missed {
    /// Who, and why not.
    words: String,
    /// Labels that the object, or its namespace, would need.
    lacking: Option<(Reference, BTreeMap<String, String>)>,
}

/// The kinds that select objects of a kind.
fn selecting(kind: Kind) -> &'static [Kind] {
    match kind {
        Kind::ServiceMonitor | Kind::PodMonitor => &[Kind::Prometheus, Kind::PrometheusAgent],
        Kind::PrometheusRule => &[Kind::Prometheus, Kind::ThanosRuler],
        Kind::AlertmanagerConfig => &[Kind::Alertmanager],
        _ => &[],
    }
}

/// Whether anybody selects the object.
pub(super) fn selection<'a>(snapshot: &'a Snapshot, object: &Object) -> Selection<'a> {
    let (mut selected, mut missed) = (Vec::new(), Vec::new());
    // One that is not seen could be the one that selects it.
    let mut unknown = selecting(object.kind).iter().any(|kind| {
        let hidden = matches!(snapshot.unseen.get(kind), Some(Unseen::Forbidden | Unseen::Failed(_)));
        hidden || snapshot.narrow.contains(kind)
    });
    for who in selecting(object.kind).iter().flat_map(|kind| snapshot.of(*kind)) {
        match missing(snapshot, who, object) {
            Ok(None) => selected.push(who),
            Ok(Some(why)) => missed.push(why),
            Err(Unjudged) => unknown = true,
        }
    }
    match (selected.is_empty(), unknown) {
        (false, _) => Selection::Selected(selected),
        (true, true) => Selection::Unknown,
        (true, false) => Selection::Missed(missed),
    }
}

/// The Prometheus resources (or what else selects) that select it, as far as they are seen.
pub(super) fn selected_by<'a>(snapshot: &'a Snapshot, object: &Object) -> Vec<&'a Object> {
    match selection(snapshot, object) {
        Selection::Selected(by) => by,
        Selection::Missed(_) | Selection::Unknown => Vec::new(),
    }
}

/// The labels of a namespace, with the one that the API server gives it. None if it is not seen.
pub(super) fn namespace_labels(snapshot: &Snapshot, name: &str) -> Option<BTreeMap<String, String>> {
    let mut labels = snapshot.find(Kind::Namespace, "", name)?.labels.clone();
    labels.insert(NAMESPACE_NAME.to_owned(), name.to_owned());
    Some(labels)
}

/// The labels of the namespace are not known.
struct Unjudged;

fn missing(snapshot: &Snapshot, who: &Object, object: &Object) -> Result<Option<Missed>, Unjudged> {
    let kind: &str = object.kind.into();
    let fact = facts::Prometheus {
        retention_seconds: None,
        shards: None,
        namespace: who.namespace.clone(),
        name: who.name.clone(),
        url: String::new(),
        selects: selection::selects(who.at("/spec")),
    };
    let known = namespace_labels(snapshot, &object.namespace);
    let is_known = known.is_some();
    let namespace_labels =
        known.unwrap_or_else(|| BTreeMap::from([(NAMESPACE_NAME.to_owned(), object.namespace.clone())]));
    let outside = selection::outside(&fact, kind, &object.namespace, &namespace_labels);
    let selects = fact.selects.get(kind);
    let namespaces = selects.and_then(|selects| selects.namespaces.as_ref());
    if outside.is_some() && namespaces.is_some() && !is_known {
        return Err(Unjudged);
    }
    let Some(words) = selection::missing(
        &fact,
        &selection::Object {
            kind,
            labels: &object.labels,
            namespace: &object.namespace,
            namespace_labels: &namespace_labels,
        },
    ) else {
        return Ok(None);
    };
    let lacking = match (
        outside.is_some(),
        namespaces,
        selects.and_then(|selects| selects.objects.as_ref()),
    ) {
        (true, Some(selector), _) => {
            let namespace = Reference {
                kind: Kind::Namespace,
                namespace: String::new(),
                name: object.namespace.clone(),
            };
            Some((namespace, selection::lacking(selector, &namespace_labels)))
        }
        (false, _, Some(selector)) => Some((object.reference(), selection::lacking(selector, &object.labels))),
        _ => None,
    };
    Ok(Some(Missed {
        words: format!("{} {words}", who.reference()),
        lacking: lacking.filter(|(_, labels)| !labels.is_empty()),
    }))
}

/// The objects of a kind that nobody selects.
pub(super) fn unselected(snapshot: &Snapshot, kind: Kind, reader: &str) -> Vec<Found> {
    let mut found = Vec::new();
    for object in snapshot.of(kind) {
        let Selection::Missed(missed) = selection(snapshot, object) else {
            continue;
        };
        let name: &str = kind.into();
        if missed.is_empty() {
            let evidence = format!("there is no {reader} resource in the cluster, and only that reads a {name}");
            let fix = format!(
                "Install {reader} through prometheus-operator, or configure yours without {}",
                kind.plural()
            );
            found.push(Found::new(Severity::Error, object, evidence, fix));
            continue;
        }
        let words: Vec<&str> = missed.iter().map(|missed| missed.words.as_str()).collect();
        let lacking = missed.iter().find_map(|missed| missed.lacking.as_ref());
        let fix = match lacking {
            Some((whose, labels)) => {
                format!("Give the {whose} the label {}", pairs(labels).join(" and "))
            }
            None => format!("Change the selector of the {reader} or the labels of the {name} so that they agree"),
        };
        let finding = Found::new(Severity::Error, object, words.join("; "), fix);
        found.push(match lacking {
            Some((whose, labels)) => finding.label(whose, labels),
            None => finding,
        });
    }
    found
}

/// Whether each of its pods scrapes a part of the targets, so that one of them never knows all.
pub(super) fn is_sharded(reader: &Object) -> bool {
    reader.at("/spec/shards").as_i64().is_some_and(|shards| shards > 1)
}
