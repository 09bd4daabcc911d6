//! From texts to ObservedServices.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use kube::core::cel::ErrorKind;
use observed_crds::v1alpha1::signal_pack::{SignalPack, UserPack};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::packs::Pack;
use super::rules::Rules;
use super::{Located, PACK_SCHEMA, Read, SCHEMA, Service, against_each_other, metadata, packs, schema};
use crate::finding::{Code, Finding, nearest};
use crate::yaml::{self, Content, Node, Place};

const API_VERSION: &str = "observed.rs/v1alpha1";
const KIND: &str = "ObservedService";
const PACK_KIND: &str = "SignalPack";
/// Namespace of a resource that names none, as for `kubectl`.
const DEFAULT_NAMESPACE: &str = "default";

/// A text and where it comes from.
#[derive(Clone, Debug)]
pub struct Source {
    /// Name of the file.
    pub name: String,
    /// The text.
    pub text: String,
    /// It was found in a directory: that it holds other resources only is nothing to speak of.
    pub found: bool,
}

/// Reads ObservedServices. `namespace` is the one of resources that name none; one that names another is a finding.
pub fn read(sources: &[Source], namespace: Option<&str>) -> Read {
    let mut read = Read::default();
    let mut any = false;
    for source in sources {
        any |= file(source, namespace, &mut read);
    }
    packs::judge(&mut read);
    if !any && read.findings.is_empty() {
        read.findings.push(Located {
            file: sources.first().map(|source| source.name.clone()).unwrap_or_default(),
            place: Place {
                line: 1,
                column: 1,
                start: 0,
                end: 0,
            },
            finding: no_resource("there is no ObservedService in what was given".into()),
        });
    }
    let more = against_each_other(&read.services);
    read.findings.extend(more);
    read.findings
        .sort_by(|a, b| (&a.file, a.place, &a.finding).cmp(&(&b.file, b.place, &b.finding)));
    read
}

/// The rules across fields, compiled when the first resource of the kind is read.
static RULES: LazyLock<Rules> = LazyLock::new(|| Rules::of(&SCHEMA));
static PACK_RULES: LazyLock<Rules> = LazyLock::new(|| Rules::of(&PACK_SCHEMA));

/// Whether the file holds something that is meant as an ObservedService or a SignalPack.
fn file(source: &Source, namespace: Option<&str>, read: &mut Read) -> bool {
    let parsed = yaml::parse(&source.text);
    let located = |place, finding| Located {
        file: source.name.clone(),
        place,
        finding,
    };
    let broken = !parsed.problems.is_empty();
    for problem in parsed.problems {
        let finding = Finding::error(Code::Syntax, "", problem.message, problem.help);
        read.findings.push(located(problem.place, finding));
    }
    let (mut ours, mut others) = (0, Vec::new());
    for node in parsed.documents.into_iter().flat_map(unfold) {
        match meant(&node, source.found) {
            Meant::Ours => {}
            Meant::Pack => {
                ours += 1;
                let pack = resource::<UserPack>(&node, namespace, &PACK_RULES, &PACK_SCHEMA);
                let (pack, findings) = pack.map_or_else(|findings| (None, findings), |pack| (Some(*pack), Vec::new()));
                let places = findings.into_iter().map(|(place, finding)| located(place, finding));
                read.findings.extend(places);
                read.packs.push(Pack {
                    file: source.name.clone(),
                    namespace: own_namespace(&node, namespace),
                    name: node
                        .get("metadata")
                        .and_then(|it| it.value.text("name"))
                        .unwrap_or_default()
                        .to_owned(),
                    pack: pack.map(SignalPack::from),
                    node,
                });
                continue;
            }
            Meant::Other(finding) => {
                others.push(located(node.place_of(&finding.path), finding));
                continue;
            }
            Meant::Mistaken(finding) => {
                read.findings.push(located(node.place_of(&finding.path), finding));
                ours += 1;
                continue;
            }
        }
        ours += 1;
        match resource(&node, namespace, &RULES, &SCHEMA) {
            Ok(service) if !broken => read.services.push(Service {
                file: source.name.clone(),
                service: *service,
                packs: Vec::new(),
                broken: BTreeSet::new(),
                node,
            }),
            Ok(_) => {}
            Err(findings) => {
                let places = findings.into_iter().map(|(place, finding)| located(place, finding));
                read.findings.extend(places);
            }
        }
    }
    if ours > 0 || broken {
        return true;
    }
    if source.found {
        return false;
    }
    if others.is_empty() {
        let place = Place {
            line: 1,
            column: 1,
            start: 0,
            end: 0,
        };
        others.push(located(place, no_resource("the file holds no resource".into())));
    }
    read.findings.extend(others);
    true
}

fn no_resource(message: String) -> Finding {
    let help = format!("Write at least apiVersion: {API_VERSION}, kind: {KIND}, metadata.name and spec.targetRef.name");
    Finding::error(Code::NoResource, "", message, help)
}

/// The resources of one kind, whoever's they are, each with its namespace.
pub fn of_kind(sources: &[Source], namespace: Option<&str>, api_version: &str, kind: &str) -> Vec<(String, Value)> {
    let documents = sources.iter().flat_map(|source| yaml::parse(&source.text).documents);
    documents
        .flat_map(unfold)
        .filter(|node| (node.text("apiVersion"), node.text("kind")) == (Some(api_version), Some(kind)))
        .map(|node| (own_namespace(&node, namespace), node.to_json()))
        .collect()
}

/// The resources of a list, as `kubectl get -o yaml` prints one.
fn unfold(node: Node) -> Vec<Node> {
    let is_list = node.text("apiVersion") == Some("v1") && node.text("kind") == Some("List");
    match node.get("items").map(|items| &items.value.content) {
        Some(Content::List(items)) if is_list => items.clone(),
        _ => vec![node],
    }
}

/// The namespace of a resource.
fn own_namespace(node: &Node, namespace: Option<&str>) -> String {
    let written = node
        .get("metadata")
        .and_then(|metadata| metadata.value.text("namespace"));
    written.or(namespace).unwrap_or(DEFAULT_NAMESPACE).to_owned()
}

enum Meant {
    Ours,
    Pack,
    /// A resource of somebody else.
    Other(Finding),
    /// It is meant as ours, and is not.
    Mistaken(Finding),
}

/// In a directory there may be files that are no resources at all.
fn meant(node: &Node, found: bool) -> Meant {
    let not_a_resource = if found { Meant::Other } else { Meant::Mistaken };
    if !matches!(node.content, Content::Map(_)) {
        let finding = Finding::error(
            Code::WrongType,
            "",
            "the document is not a map of fields",
            format!("A resource begins with apiVersion: {API_VERSION} and kind: {KIND}"),
        );
        return not_a_resource(finding);
    }
    let (api_version, kind) = (node.text("apiVersion"), node.text("kind"));
    if (api_version, kind) == (Some(API_VERSION), Some(KIND)) {
        return Meant::Ours;
    }
    if (api_version, kind) == (Some(API_VERSION), Some(PACK_KIND)) {
        return Meant::Pack;
    }
    let of_our_group = api_version.and_then(|text| text.split('/').next()) == Some("observed.rs");
    for (field, value, right) in [("apiVersion", api_version, API_VERSION), ("kind", kind, KIND)] {
        if value.is_none() {
            let message = if node.get(field).is_some() {
                "is not a text"
            } else {
                "is missing"
            };
            let finding = Finding::error(Code::WrongKind, field, message, format!("Write {field}: {right}"));
            return if of_our_group || kind == Some(KIND) || kind == Some(PACK_KIND) {
                Meant::Mistaken(finding)
            } else {
                not_a_resource(finding)
            };
        }
    }
    let (api_version, kind) = (api_version.unwrap_or_default(), kind.unwrap_or_default());
    let finding = if kind == KIND || kind == PACK_KIND {
        Finding::error(
            Code::WrongKind,
            "apiVersion",
            format!("{api_version:?} has no {kind}"),
            format!("Write apiVersion: {API_VERSION}"),
        )
    } else {
        Finding::error(
            Code::WrongKind,
            "kind",
            format!("{kind:?} of {api_version:?} is not an {KIND}"),
            format!("Only an {KIND} or a {PACK_KIND} of {API_VERSION} can be read here"),
        )
    };
    if of_our_group || nearest(kind, [KIND, PACK_KIND]).is_some() {
        Meant::Mistaken(finding)
    } else {
        Meant::Other(finding)
    }
}

/// The resource, or everything that stands against it.
fn resource<K: DeserializeOwned>(
    node: &Node,
    namespace: Option<&str>,
    rules: &Rules,
    schema: &Value,
) -> Result<Box<K>, Vec<(Place, Finding)>> {
    let mut findings = metadata::check(node, namespace);
    findings.extend(schema::check(node, schema));
    let mut value = node.to_json();
    if let Some(fields) = value.as_object_mut() {
        // The API server drops a status that is sent along.
        fields.remove("status");
    }
    findings.extend(broken(rules, node, &value, findings.is_empty()));
    if !findings.is_empty() {
        return Err(findings);
    }
    if value.pointer("/metadata/namespace").is_none_or(Value::is_null) {
        value["metadata"]["namespace"] = json!(namespace.unwrap_or(DEFAULT_NAMESPACE));
    }
    serde_json::from_value(value).map(Box::new).map_err(|error| {
        let kind = node.text("kind").unwrap_or_default().to_lowercase();
        let help = format!("Write it as the CRD describes it: kubectl explain {kind}.spec");
        vec![(
            node.place,
            Finding::error(Code::WrongType, "spec", error.to_string(), help),
        )]
    })
}

/// The CRD's rules across fields. A rule that cannot be evaluated says nothing new about a resource whose fields are
/// wrong already.
fn broken(rules: &Rules, node: &Node, value: &Value, fields_are_right: bool) -> Vec<(Place, Finding)> {
    let errors = rules.broken(value).into_iter();
    errors
        .filter(|error| match error.kind {
            ErrorKind::ValidationFailure => true,
            // Only the rule for ports, which the schema check knows.
            ErrorKind::UnsupportedReference => false,
            _ => fields_are_right,
        })
        .map(|error| {
            // A rule on the whole resource names the field in its message.
            let (path, message) = match error.message.split_once(": ") {
                Some((path, message)) if error.field_path.is_empty() && path.starts_with("metadata.") => {
                    (path.to_owned(), message.to_owned())
                }
                _ => (error.field_path.clone(), error.message.clone()),
            };
            let help = "The API server refuses it with the same words";
            (
                node.place_of(&path),
                Finding::error(Code::BrokenRule, path, message, help),
            )
        })
        .collect()
}
