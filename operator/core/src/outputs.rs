//! The outputs: what Observed generates, as a list. Watches, pruning, RBAC, missing CRDs, conditions, `--only` and the
//! golden cases derive from it.

mod dashboard;
mod probes;
mod prometheus_rule;
mod runbooks;
mod service_monitor;

use std::collections::BTreeMap;

use observed_crds::v1alpha1::conditions::ConditionType;
use observed_crds::{MANAGED_BY, MANAGED_BY_LABEL, OWNER_UID_ANNOTATION, SERVICE_LABEL};
use serde_json::{Map, Value, json};

use crate::check::Check;
use crate::child::{Body, Child, Children, Rendered, ResourceKind};
use crate::plan::Plan;

pub use dashboard::dashboard;

/// One kind of thing generated for an ObservedService.
pub trait Output: Sync {
    /// Name of the output: `--only`, golden file, metric label.
    fn id(&self) -> &'static str;
    /// Kinds of object that it may render: watches, prune list, RBAC rules, discovery.
    fn kinds(&self) -> &'static [&'static ResourceKind];
    /// Whose the objects are.
    fn ownership(&self) -> Ownership;
    /// The condition that speaks of it.
    fn condition(&self) -> ConditionType;
    /// The objects. Pure and infallible.
    fn render(&self, plan: &Plan) -> Vec<Child>;
    /// What "it works" means.
    fn checks(&self, plan: &Plan) -> Vec<Check>;
}

/// Whose an object is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Ownership {
    /// Ours whole: applied by force, pruned, deleted with the ObservedService.
    Owned,
    /// Somebody else's: a gift is put in and let go of.
    Contributed,
}

static CONFIG_MAP: ResourceKind = ResourceKind {
    group: "",
    version: "v1",
    kind: "ConfigMap",
    plural: "configmaps",
    optional: false,
};
static CONFIG_MAPS: [&ResourceKind; 1] = [&CONFIG_MAP];

/// Every output, in the order in which they are applied: what can hurt nobody first, the workload last.
pub const OUTPUTS: &[&dyn Output] = &[
    &dashboard::Dashboard,
    &runbooks::Runbooks,
    &prometheus_rule::PrometheusRule,
    &service_monitor::ServiceMonitor,
    &probes::Probes,
];

/// Every kind of object that is ours whole, once.
pub fn owned_kinds() -> Vec<&'static ResourceKind> {
    let mut kinds: Vec<&'static ResourceKind> = Vec::new();
    for output in OUTPUTS.iter().filter(|output| output.ownership() == Ownership::Owned) {
        for kind in output.kinds() {
            if !kinds.contains(kind) {
                kinds.push(kind);
            }
        }
    }
    kinds
}

/// Every object of the plan.
pub fn render(plan: &Plan) -> Children<Rendered> {
    Children {
        items: OUTPUTS.iter().flat_map(|output| output.render(plan)).collect(),
    }
}

/// Everything that is to be asked about the plan.
pub fn checks(plan: &Plan) -> Vec<Check> {
    OUTPUTS.iter().flat_map(|output| output.checks(plan)).collect()
}

/// Metadata that an owned object carries beside its name and namespace.
#[derive(Debug, Default)]
struct Extra {
    labels: BTreeMap<String, String>,
    annotations: BTreeMap<String, String>,
}

/// The body of a ConfigMap.
fn data(files: impl IntoIterator<Item = (String, String)>) -> Value {
    let files = files.into_iter().map(|(name, text)| (name, Value::String(text)));
    Value::Object(Map::from_iter([("data".to_owned(), Value::Object(files.collect()))]))
}

/// An object that is ours whole: the fields of `body` (`spec`, `data`, …) with our metadata.
fn owned(
    plan: &Plan,
    output: &'static str,
    kind: &'static ResourceKind,
    name: String,
    extra: Extra,
    body: Value,
) -> Child {
    let mut labels = extra.labels;
    labels.insert(MANAGED_BY_LABEL.into(), MANAGED_BY.into());
    labels.insert(SERVICE_LABEL.into(), plan.owner.name.clone());
    let mut annotations = extra.annotations;
    let mut metadata = json!({"name": name, "namespace": plan.owner.namespace, "labels": labels});
    if !plan.owner.uid.is_empty() {
        annotations.insert(OWNER_UID_ANNOTATION.into(), plan.owner.uid.clone());
        metadata["ownerReferences"] = json!([{
            "apiVersion": "observed.rs/v1alpha1",
            "kind": "ObservedService",
            "name": plan.owner.name,
            "uid": plan.owner.uid,
            "controller": true,
        }]);
    }
    if !annotations.is_empty() {
        metadata["annotations"] = json!(annotations);
    }
    let mut object = json!({"apiVersion": kind.api_version(), "kind": kind.kind, "metadata": metadata});
    if let (Some(object), Value::Object(body)) = (object.as_object_mut(), body) {
        object.extend(body);
    }
    Child {
        output,
        kind,
        name,
        body: Body::Owned(object),
    }
}
