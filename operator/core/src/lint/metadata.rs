//! The part of a resource that every kind has. The CRD's schema says nothing about it; the API server does.

use std::sync::LazyLock;

use serde_json::{Value, json};

use super::schema;
use crate::finding::{Code, Finding};
use crate::yaml::{Content, Node, Place};

/// Fields of Kubernetes' ObjectMeta.
const FIELDS: [&str; 15] = [
    "annotations",
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "finalizers",
    "generateName",
    "generation",
    "labels",
    "managedFields",
    "name",
    "namespace",
    "ownerReferences",
    "resourceVersion",
    "selfLink",
    "uid",
];

/// Longest name of an object, and longest domain before the key of a label.
const LONGEST_NAME: usize = 253;

/// The metadata of a resource, as a schema has it.
static SCHEMA: LazyLock<Value> = LazyLock::new(|| {
    let texts = json!({"type": "object", "additionalProperties": {"type": "string"}, "nullable": true});
    let any = json!({"x-kubernetes-preserve-unknown-fields": true});
    let mut fields: serde_json::Map<_, _> = FIELDS.iter().map(|field| ((*field).to_owned(), any.clone())).collect();
    for (field, schema) in [
        (
            "name",
            json!({"type": "string", "minLength": 1, "description": "name of the resource. Required."}),
        ),
        ("namespace", json!({"type": "string", "nullable": true})),
        ("labels", texts.clone()),
        ("annotations", texts),
    ] {
        fields.insert(field.into(), schema);
    }
    let metadata = json!({
        "type": "object", "properties": fields, "required": ["name"],
        "description": "metadata holds at least the name. Required.",
    });
    json!({
        "type": "object", "properties": {"metadata": metadata}, "required": ["metadata"],
        "x-kubernetes-preserve-unknown-fields": true,
    })
});

/// What stands against the metadata.
pub(super) fn check(node: &Node, namespace: Option<&str>) -> Vec<(Place, Finding)> {
    let mut findings = schema::check(node, &SCHEMA);
    if let Some(metadata) = node.get("metadata") {
        findings.extend(name(&metadata.value));
        findings.extend(labels(&metadata.value));
        findings.extend(own_namespace(&metadata.value, namespace));
    }
    findings
}

/// The API server takes names with dots too; those have a rule of the CRD against them.
fn name(metadata: &Node) -> Option<(Place, Finding)> {
    let entry = metadata.get("name")?;
    let Content::String(written) = &entry.value.content else {
        return None;
    };
    let is_name = written.len() <= LONGEST_NAME && written.split('.').all(|part| is_label(part, LONGEST_NAME));
    (!written.is_empty() && !is_name).then(|| {
        let finding = Finding::error(
            Code::InvalidValue,
            "metadata.name",
            format!("{written:?} is not the name of a resource"),
            "It has only a-z, 0-9 and -, and begins and ends with a letter or digit",
        );
        (entry.value.place, finding)
    })
}

fn own_namespace(metadata: &Node, wanted: Option<&str>) -> Option<(Place, Finding)> {
    let entry = metadata.get("namespace")?;
    let Content::String(written) = &entry.value.content else {
        return None;
    };
    let path = "metadata.namespace";
    let finding = match wanted {
        _ if !is_label(written, 63) => Finding::error(
            Code::InvalidValue,
            path,
            format!("{written:?} is not the name of a namespace"),
            "It has at most 63 of a-z, 0-9 and -, and begins and ends with a letter or digit",
        ),
        Some(wanted) if wanted != written => Finding::error(
            Code::InvalidValue,
            path,
            format!("{written:?} is not the namespace that was asked for, {wanted:?}"),
            "Leave --namespace away, or give the same one",
        ),
        _ => return None,
    };
    Some((entry.value.place, finding))
}

fn is_label(text: &str, longest: usize) -> bool {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    !text.is_empty()
        && text.len() <= longest
        && text.chars().all(inner)
        && !text.starts_with('-')
        && !text.ends_with('-')
}

fn labels(metadata: &Node) -> Vec<(Place, Finding)> {
    let Some(labels) = metadata.get("labels") else {
        return Vec::new();
    };
    let mut findings = Vec::new();
    for entry in labels.value.entries() {
        let (prefix, name) = entry.key.rsplit_once('/').unwrap_or(("", &entry.key));
        let path = || format!("metadata.labels.{}", entry.key);
        let help = "A label has at most 63 of A-Z, a-z, 0-9, -, _ and ., and begins and ends with a letter or digit";
        if !is_qualified(name) || prefix.len() > LONGEST_NAME || prefix.contains('/') {
            let message = format!("{:?} is not the key of a label", entry.key);
            findings.push((entry.place, Finding::error(Code::InvalidValue, path(), message, help)));
        }
        if let Content::String(value) = &entry.value.content
            && !value.is_empty()
            && !is_qualified(value)
        {
            let message = format!("{value:?} is not the value of a label");
            findings.push((
                entry.value.place,
                Finding::error(Code::InvalidValue, path(), message, help),
            ));
        }
    }
    findings
}

fn is_qualified(text: &str) -> bool {
    let end = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    text.len() <= 63
        && end(text.chars().next())
        && end(text.chars().last())
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
}
