//! The signal-pack format: everything that Observed knows about one kind of signal, as data.
//!
//! Expressions are plain PromQL that promtool accepts as it stands, without templating. The matchers that tie them to
//! one service, the renames and the window are put in on the syntax tree.

mod drill;
mod indicator;
mod series;
mod signal;

use std::collections::BTreeMap;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{CustomResource, CustomResourceExt, KubeSchema, ResourceExt};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::status::born_unseen;
use super::{DependencyType, SignalPackStatus};

pub use drill::{Amount, Drill, DrillCase, DrillSeries};
pub use indicator::{Bucket, Indicator, IndicatorSeries, Outcome};
pub use series::{Priced, Scope, Series, SeriesType, Spelling, WorkloadPart};
pub use signal::{Alert, BuiltIn, Panel, PanelQuery, Record, Role, Side, Signal, Unit};

/// A pack of signals that belong together: one file each under `operator/core/packs/`, or a [`UserPack`].
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SignalPack {
    /// `observed.rs/v1alpha1`.
    pub api_version: String,
    /// `SignalPack`.
    pub kind: String,
    /// Holds the pack's name.
    pub metadata: PackMetadata,
    /// The pack.
    pub spec: SignalPackSpec,
}

/// The part of Kubernetes' metadata that a pack uses.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct PackMetadata {
    /// Name of the pack, as `spec.signals.packs` lists it.
    pub name: String,
}

/// Names of the packs that come with Observed. No pack of a user may have one of them.
pub const BUILTIN: [&str; 10] = [
    "http",
    "llm",
    "business",
    "workload",
    "target",
    "controller",
    "observed",
    "postgres",
    "redis",
    "http-dependency",
];

/// SignalPack holds signals of the user's own, in the format of the built-in packs. An ObservedService of the same
/// namespace that names it in `spec.signals.packs` has them. Its expressions see that service and nothing else.
#[derive(CustomResource, KubeSchema, Clone, Debug, Deserialize, PartialEq, Serialize)]
#[kube(
    group = "observed.rs",
    version = "v1alpha1",
    kind = "SignalPack",
    root = "UserPack",
    doc = "SignalPack holds signals of the user's own, in the format of the built-in packs, for the ObservedServices of its namespace that name it.",
    namespaced,
    category = "observability",
    derive = "PartialEq",
    status = "SignalPackStatus",
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].status"
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].reason"
    ),
    printcolumn(name = "Title", type_ = "string", json_path = ".spec.title"),
    printcolumn(name = "Extends", type_ = "string", json_path = ".spec.extends"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    validation = Rule::new("self.metadata.name.size() <= 63 && !self.metadata.name.contains('.')").message(
        "metadata.name: at most 63 of a-z, 0-9 and -, without dots"
    ),
    validation = Rule::new("!(self.metadata.name in ['http', 'llm', 'business', 'workload', 'target', 'controller', 'observed', 'postgres', 'redis', 'http-dependency'])").message(
        "metadata.name: a built-in pack has this name; take another one, and name the built-in pack in spec.extends to change it"
    )
)]
#[x_kube(
    validation = Rule::new("!has(self.dependency)").message("dependency is for built-in packs: name the pack of the dependency in extends"),
    validation = Rule::new("!has(self.indicators) || self.indicators.size() == 0").message("indicators are for built-in packs: an objective on counters of your own is spec.objectives[].sli.ratio"),
    validation = Rule::new("!has(self.applies) || self.applies == 'whenExposed'").message("applies is for built-in packs: a pack of your own applies to the services that name it"),
    validation = Rule::new("has(self.extends) || self.signals.all(s, !has(s.builtIn))").message("a signal with builtIn is about a built-in pack: name that one in extends")
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SignalPackSpec {
    /// title of the dashboard row. Required.
    #[schemars(length(min = 1, max = 128), regex(pattern = r"^[^$]*$"))]
    pub title: String,
    /// help says in one sentence what the pack is about. Required.
    #[schemars(length(min = 1, max = 1024))]
    pub help: String,
    /// extends names a built-in pack that the signals are put into: they stand in its row and its rule group, and read
    /// its series and records as their own. Default: the pack has a row of its own.
    ///
    /// Example: `http`
    #[serde(default)]
    #[schemars(length(min = 1, max = 63))]
    pub extends: Option<String>,
    /// window is the range that stands for the service's own: `spec.signals.window` replaces it in selectors of what the
    /// service exposes, `$__rate_interval` in every panel. Other ranges stay. Prometheus duration.
    #[schemars(length(min = 2, max = 16), regex(pattern = r"^([0-9]+h)?([0-9]+m)?([0-9]+s)?$"))]
    pub window: String,
    /// applies says for which services the pack is there when `spec.signals.packs` names none. Default: `whenExposed`.
    #[serde(default)]
    pub applies: Applies,
    /// dependency is the type that the pack is about. Such a pack is bound once for each entry of `spec.dependencies` of
    /// this type, and is not listed in `spec.signals.packs`.
    #[serde(default)]
    pub dependency: Option<DependencyType>,
    /// settings of the service that expressions and drills may use, by the name that stands for the number in them.
    ///
    /// Example: `{sample_limit: sampleLimit}`
    #[serde(default)]
    pub settings: BTreeMap<String, Setting>,
    /// series that the pack reads. A selector whose series is declared neither here nor in borrows is a finding.
    pub series: Vec<Series>,
    /// borrows lists series of the service that a built-in pack declares and this one reads too, by the name of that pack.
    /// They are spelled as there: in the dialect that is chosen for that pack.
    ///
    /// Example: `{http: [http_requests_total]}`
    #[serde(default)]
    pub borrows: BTreeMap<String, Vec<String>>,
    /// signals, in the order in which the dashboard shows them.
    pub signals: Vec<Signal>,
    /// indicators on which objectives can be set, by the name of a field of `spec.objectives[].sli`.
    #[serde(default)]
    pub indicators: Vec<Indicator>,
}

impl SignalPack {
    /// The pack that a series is borrowed from, by the name of the series. None for a series of the pack's own.
    #[must_use]
    pub fn lender(&self, series: &str) -> Option<&str> {
        let lends = |(_, names): &(&String, &Vec<String>)| names.iter().any(|name| name == series);
        self.spec.borrows.iter().find(lends).map(|(lender, _)| lender.as_str())
    }
}

/// For which services a pack is there without being asked for.
#[derive(JsonSchema, Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Applies {
    /// For every service.
    Always,
    /// For a service that exposes at least one of the pack's series of the scope `service`.
    #[default]
    WhenExposed,
}

/// A number of the service's own settings, with its default where none is written.
#[derive(JsonSchema, Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Setting {
    /// `spec.scrape.limits.samples`: most samples in a scrape.
    SampleLimit,
    /// `spec.scrape.timeout`, in seconds.
    ScrapeTimeout,
}

impl From<UserPack> for SignalPack {
    fn from(pack: UserPack) -> Self {
        Self {
            api_version: "observed.rs/v1alpha1".to_owned(),
            kind: "SignalPack".to_owned(),
            metadata: PackMetadata { name: pack.name_any() },
            spec: pack.spec,
        }
    }
}

/// The CustomResourceDefinition of `SignalPack`, as `crds/signalpacks.yaml` holds it.
///
/// # Errors
/// The schema cannot be written as JSON and read again.
pub fn crd() -> Result<CustomResourceDefinition, serde_json::Error> {
    let mut crd = UserPack::crd();
    born_unseen(&mut crd);
    let mut crd = serde_json::to_value(crd)?;
    if let Some(schema) = crd.pointer_mut("/spec/versions/0/schema/openAPIV3Schema/properties/spec") {
        bounded(schema);
    }
    serde_json::from_value(crd)
}

/// Most items of a list and entries of a map whose field names no bound of its own.
const MOST_ITEMS: u64 = 64;
/// Most characters of a text whose field names no bound of its own: room for the longest expression of a built-in pack.
const LONGEST_TEXT: u64 = 4096;

/// Gives every list, map and text an upper bound, and leaves out defaults, which no SignalPack is given.
fn bounded(schema: &mut serde_json::Value) {
    let Some(fields) = schema.as_object_mut() else { return };
    fields.remove("default");
    if fields.get("additionalProperties") == Some(&false.into()) {
        fields.remove("additionalProperties");
    }
    let is_map = fields.contains_key("additionalProperties");
    let bounds: &[(&str, serde_json::Value)] = match fields.get("type").and_then(serde_json::Value::as_str) {
        Some("string") if !fields.contains_key("enum") => &[("maxLength", LONGEST_TEXT.into())],
        Some("array") => &[
            ("maxItems", MOST_ITEMS.into()),
            ("x-kubernetes-list-type", "atomic".into()),
        ],
        Some("object") if is_map => &[("maxProperties", MOST_ITEMS.into())],
        _ => &[],
    };
    for (name, most) in bounds {
        fields.entry(*name).or_insert_with(|| most.clone());
    }
    for below in ["items", "additionalProperties"] {
        fields.get_mut(below).into_iter().for_each(bounded);
    }
    let properties = fields.get_mut("properties").and_then(serde_json::Value::as_object_mut);
    properties
        .into_iter()
        .flat_map(serde_json::Map::values_mut)
        .for_each(bounded);
}
