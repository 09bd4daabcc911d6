//! The signal-pack format: everything that Observed knows about one kind of signal, as data.
//!
//! Expressions are plain PromQL that promtool accepts as it stands, without templating. The matchers that tie them to
//! one service, the renames and the window are put in on the syntax tree.

use std::collections::BTreeMap;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{CustomResource, CustomResourceExt, KubeSchema, ResourceExt};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::status::born_unseen;
use super::{DependencyType, Severity, SignalPackStatus, TargetKind};

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

/// A series that a pack reads.
#[derive(JsonSchema, Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Series {
    /// name as Prometheus stores it, without the suffixes of a histogram. Required.
    #[schemars(length(min = 1, max = 128), regex(pattern = r"^[a-zA-Z_:][a-zA-Z0-9_:]*$"))]
    pub name: String,
    /// type of the metric.
    pub r#type: SeriesType,
    /// scope decides which matchers are put into every selector of the series.
    pub scope: Scope,
    /// labels that the expressions use, beside those of the scope. Those of the scope `service` can be renamed.
    #[serde(default)]
    pub labels: Vec<String>,
    /// kinds of workload that have the series. A signal that reads a series which the target's kind does not have is left
    /// out. Default: every kind.
    #[serde(default)]
    pub kinds: Vec<TargetKind>,
    /// workloadLabels name the workload in a series of the scope `workload`. Default: the label that kube-state-metrics
    /// gives it, its kind in lower case (`deployment`), which holds its name.
    ///
    /// Example: `{scaletargetref_kind: kind, scaletargetref_name: name}`
    #[serde(default)]
    pub workload_labels: BTreeMap<String, WorkloadPart>,
    /// hostLabel is the label of a series of the scope `service` that holds the host of the dependency which the series is
    /// about: its selectors match the `host` of the entry of `spec.dependencies`. Only in a pack about a dependency.
    ///
    /// Example: `server_address`
    #[serde(default)]
    #[schemars(length(min = 1, max = 128), regex(pattern = r"^[a-zA-Z_][a-zA-Z0-9_]*$"))]
    pub host_label: Option<String>,
    /// priced: where the service gives prices, the counter is computed from another one, whose units they are prices of.
    /// It may be read with `rate` and `increase` only.
    #[serde(default)]
    pub priced: Option<Priced>,
    /// whenMissing says what would expose the series.
    pub when_missing: String,
    /// dialects tell how other instrumentations spell the series, by the dialect's name. One that is not listed spells it
    /// as the pack does. Only for the scope `service`.
    #[serde(default)]
    pub dialects: BTreeMap<String, Spelling>,
}

/// How an instrumentation spells a series. In all series of a pack it has the same name for the same label.
#[derive(JsonSchema, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Spelling {
    /// metric is its name there, without the suffixes of a histogram. A counter may be one series of a histogram, as
    /// `http_server_request_duration_seconds_count`. Default: the name in the pack.
    #[serde(default)]
    pub metric: Option<String>,
    /// labels that have another name there.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// without lists labels that it does not have. A drill's case that tells series apart by one of them cannot come up.
    #[serde(default)]
    pub without: Vec<String>,
    /// whenMissing says what would expose the series with this instrumentation. Default: what the series says.
    #[serde(default)]
    pub when_missing: Option<String>,
}

/// What a label says of the workload.
#[derive(JsonSchema, Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum WorkloadPart {
    /// Its kind, such as `Deployment`.
    Kind,
    /// Its name.
    Name,
}

/// What a counter of money is computed from with `spec.signals.prices`.
#[derive(JsonSchema, Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Priced {
    /// from is the counter of tokens, a series of the same pack.
    pub from: String,
    /// model is its label that holds the price's model.
    pub model: String,
    /// direction is its label that holds `input`, `output`, `cache_read` or `cache_write`.
    pub direction: String,
}

/// Type of a metric.
#[derive(JsonSchema, Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum SeriesType {
    /// Only grows; read with `rate` or `increase`.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Classic histogram: `_bucket`, `_sum`, `_count`.
    Histogram,
}

/// What a series belongs to, and so how its selectors are narrowed to one service.
#[derive(JsonSchema, Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Scope {
    /// Exposed by the service itself: `namespace` and `job` of its scrape. The only names that a service can rename.
    Service,
    /// Written by Prometheus about the scrape itself, such as `up`: `namespace` and `job` of its scrape.
    Scrape,
    /// About its pods, from cAdvisor, the kubelet or kube-state-metrics: `namespace`, and `pod` by the workload's name.
    Pod,
    /// About the workload as an object, from kube-state-metrics: `namespace` and the label that names it.
    Workload,
    /// About something in the namespace that is tied to the service only by what it is joined with, such as a volume by
    /// the pods that mount it: `namespace`. No expression may rest on such series alone.
    Namespace,
    /// From the exporter of a dependency: `namespace` and `job` of that exporter's scrape.
    Dependency,
}

/// One thing worth knowing about a service.
#[derive(JsonSchema, Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Signal {
    /// name, unique in the pack. Required.
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub name: String,
    /// builtIn says what becomes of the signal of the same name in the pack that `extends` names. Required when that has
    /// one, and only then.
    #[serde(default)]
    pub built_in: Option<BuiltIn>,
    /// help says what the signal tells, its unit, and what it is without traffic.
    pub help: String,
    /// unit of its value.
    pub unit: Unit,
    /// record keeps the value as a series of its own.
    #[serde(default)]
    pub record: Option<Record>,
    /// panel draws it.
    #[serde(default)]
    pub panel: Option<Panel>,
    /// alerts on it.
    #[serde(default)]
    pub alerts: Vec<Alert>,
}

/// What a user's signal does to the built-in one of its name.
#[derive(JsonSchema, Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum BuiltIn {
    /// Alerts and queries of the panel come after the built-in ones. Record, unit, help and the rest of the panel stay.
    Extend,
    /// The user's signal stands in its place, and nothing of the built-in one is left.
    Replace,
}

impl Signal {
    /// Every expression of the signal.
    pub fn expressions(&self) -> impl Iterator<Item = &str> {
        let record = self.record.iter().map(|record| &record.expr);
        let queries = self.panel.iter().flat_map(|panel| &panel.queries);
        let alerts = self
            .alerts
            .iter()
            .flat_map(|alert| alert.value.iter().chain(&alert.when));
        let all = record.chain(queries.map(|query| &query.expr)).chain(alerts);
        all.map(String::as_str)
    }
}

/// A recording rule.
#[derive(JsonSchema, Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Record {
    /// as is the name of the recorded series: `observed:<what>:<operation>`. Required.
    #[schemars(length(max = 128), regex(pattern = r"^observed:[a-zA-Z0-9_]+:[a-zA-Z0-9_]+$"))]
    pub r#as: String,
    /// expr computes it.
    pub expr: String,
}

/// Unit of a value. Ratios are 0 to 1.
#[derive(JsonSchema, Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Unit {
    /// 0 to 1, shown as percent.
    Ratio,
    /// Seconds.
    Seconds,
    /// Bytes.
    Bytes,
    /// Bytes a second.
    BytesPerSecond,
    /// Requests a second.
    RequestsPerSecond,
    /// CPU cores.
    Cores,
    /// Operations a second.
    OperationsPerSecond,
    /// Reads or writes of a disk a second.
    DiskOperationsPerSecond,
    /// Tokens a minute.
    TokensPerMinute,
    /// US dollars.
    Usd,
    /// US dollars an hour.
    UsdPerHour,
    /// So many times something else; 1 is as much.
    Times,
    /// A plain number.
    Count,
    /// 1 when something holds. The value says nothing more, so that no text shows it.
    Flag,
}

/// How a signal is drawn.
#[derive(JsonSchema, Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Panel {
    /// title of the panel. Required.
    #[schemars(length(min = 1, max = 128), regex(pattern = r"^[^$]*$"))]
    pub title: String,
    /// queries of the panel. In a query the range `[5m]` (the pack's window) becomes Grafana's `$__rate_interval`.
    pub queries: Vec<PanelQuery>,
    /// min of the axis.
    #[serde(default)]
    pub min: Option<f64>,
    /// max of the axis.
    #[serde(default)]
    pub max: Option<f64>,
    /// overview also shows the signal's last value in the first row.
    #[serde(default)]
    pub overview: bool,
}

/// One line, or one bundle of lines, of a panel.
#[derive(JsonSchema, Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PanelQuery {
    /// expr that is drawn.
    pub expr: String,
    /// legend of a line; `{{label}}` stands for a label's value. Required.
    #[schemars(length(max = 128), regex(pattern = r"^[^$]*$"))]
    pub legend: String,
}

/// An alert on a signal.
#[derive(KubeSchema, Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(
    validation = Rule::new("[has(self.above), has(self.below), has(self.needs)].filter(given, given).size() == 1").message("give exactly one of above, below and needs")
)]
pub struct Alert {
    /// name, unique among all packs. Required.
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[A-Z][A-Za-z0-9]*$"))]
    pub name: String,
    /// severity, as a label.
    pub severity: Severity,
    /// role in an incident, as a label: Alertmanager mutes a symptom while a cause of the same service fires. Default:
    /// neither.
    #[serde(default)]
    pub role: Option<Role>,
    /// value is compared with the threshold. Default: the signal's record.
    #[serde(default)]
    pub value: Option<String>,
    /// above: fires when the value is greater. A decimal. Exactly one of above, below and needs.
    #[serde(default)]
    #[schemars(length(max = 32), regex(pattern = r"^-?[0-9]+(\.[0-9]+)?$"))]
    pub above: Option<String>,
    /// below: fires when the value is less. A decimal.
    #[serde(default)]
    #[schemars(length(max = 32), regex(pattern = r"^-?[0-9]+(\.[0-9]+)?$"))]
    pub below: Option<String>,
    /// needs says that nobody can know the threshold but the service: the alert is off until the service sets it on this
    /// side.
    #[serde(default)]
    pub needs: Option<Side>,
    /// when must hold too, for instance that there is enough traffic to judge.
    #[serde(default)]
    pub when: Option<String>,
    /// for is how long the condition must hold. Prometheus duration.
    #[schemars(length(max = 16), regex(pattern = r"^([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?$"))]
    pub r#for: String,
    /// keepFiringFor is how long it goes on after the condition has ended. Prometheus duration.
    #[serde(default)]
    #[schemars(length(max = 16), regex(pattern = r"^([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?$"))]
    pub keep_firing_for: Option<String>,
    /// summary in one sentence, the same for every firing.
    pub summary: String,
    /// impact says what people notice.
    pub impact: String,
    /// first is what to look at first, in order. Read-only commands and queries.
    pub first: Vec<String>,
    /// drill proves the alert.
    pub drill: Drill,
}

/// A side of a threshold.
#[derive(JsonSchema, Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Side {
    /// Fires when the value is greater.
    Above,
    /// Fires when the value is less.
    Below,
}

/// What an alert is in an incident.
#[derive(JsonSchema, Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Role {
    /// It explains the symptoms of its service.
    Cause,
    /// Users notice it; a cause may explain it.
    Symptom,
}

impl Role {
    /// The value of the `role` label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cause => "cause",
            Self::Symptom => "symptom",
        }
    }
}

/// The proof of an alert: where it must fire and where it must stay silent.
#[derive(JsonSchema, Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Drill {
    /// fires lists cases in which the alert must fire.
    #[schemars(length(min = 1, max = 32))]
    pub fires: Vec<DrillCase>,
    /// silent lists cases in which it must not.
    #[schemars(length(min = 1, max = 32))]
    pub silent: Vec<DrillCase>,
}

/// One case of a drill: what the world looks like. It must hold for every threshold that a service may set, so numbers
/// near the threshold are formulas in it.
#[derive(JsonSchema, Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DrillCase {
    /// case in words.
    pub case: String,
    /// given series, by the names that the expressions select in the pack.
    pub given: BTreeMap<String, Vec<DrillSeries>>,
}

/// One series of a drill. Labels of the scope (namespace, job, pod, instance, container) are filled in unless given.
#[derive(JsonSchema, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DrillSeries {
    /// labels of the series beside the filled-in ones.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// bucket is the upper bound of a histogram's bucket: the label `le`.
    #[serde(default)]
    #[schemars(schema_with = "amount")]
    pub bucket: Option<Amount>,
    /// value of a gauge, constant unless it has a slope. Exactly one of value, rate and count.
    #[serde(default)]
    #[schemars(schema_with = "amount")]
    pub value: Option<Amount>,
    /// slope of a gauge: what its value changes by in a second.
    #[serde(default)]
    #[schemars(schema_with = "amount")]
    pub slope: Option<Amount>,
    /// rate of a counter: growth a second.
    #[serde(default)]
    #[schemars(schema_with = "amount")]
    pub rate: Option<Amount>,
    /// count of a counter that grows once, from zero to it, right after the start.
    #[serde(default)]
    #[schemars(schema_with = "amount")]
    pub count: Option<Amount>,
    /// resetAt: the counter starts again from zero at this time after the start.
    #[serde(default)]
    #[schemars(schema_with = "amount")]
    pub reset_at: Option<Amount>,
    /// since: the series begins at this time after the start. Default: at the start.
    #[serde(default)]
    #[schemars(schema_with = "amount")]
    pub since: Option<Amount>,
    /// until: the series ends at this time after the start. Default: the end.
    #[serde(default)]
    #[schemars(schema_with = "amount")]
    pub until: Option<Amount>,
}

/// A number of a drill: `10`, or PromQL arithmetic as in `10 * (1 - threshold)` or `15m`. In it `threshold` is the
/// alert's threshold, `for` the seconds that its condition must hold, and the pack's settings have their names.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Amount {
    /// A plain number.
    Number(f64),
    /// Arithmetic.
    Formula(String),
}

/// A number or a text, which no structural schema can say: the format itself refuses anything else.
fn amount(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"x-kubernetes-preserve-unknown-fields": true})
}

/// What an objective can be set on: countable events, of which some are bad. Selectors of counters, without a range:
/// the windows follow from the objective.
#[derive(JsonSchema, Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Indicator {
    /// name of the field of `spec.objectives[].sli` that chooses it: `errorRatio` or `latency`.
    pub name: String,
    /// total selects all events.
    pub total: String,
    /// bad selects the bad events. Exactly one of bad and within.
    #[serde(default)]
    pub bad: Option<String>,
    /// within selects the buckets of a histogram, all of them: the one whose bound is the objective's threshold holds
    /// the good events.
    #[serde(default)]
    pub within: Option<String>,
    /// impact says what people notice when there are too many bad events.
    pub impact: String,
    /// first is what to look at first, in order. Read-only commands and queries.
    pub first: Vec<String>,
    /// drill lists the series that count the events, by the names that the selectors select.
    pub drill: BTreeMap<String, Vec<IndicatorSeries>>,
}

/// One series that counts events of an indicator.
#[derive(JsonSchema, Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct IndicatorSeries {
    /// labels of the series.
    pub labels: BTreeMap<String, String>,
    /// bucket of a histogram that it is.
    #[serde(default)]
    pub bucket: Option<Bucket>,
    /// counts says which events it counts.
    pub counts: Vec<Outcome>,
}

/// The bound of a bucket.
#[derive(JsonSchema, Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Bucket {
    /// The objective's threshold.
    Threshold,
    /// Infinity: every event.
    Infinite,
}

/// What becomes of an event.
#[derive(JsonSchema, Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Outcome {
    /// It is as it should be.
    Good,
    /// It is not.
    Bad,
    /// It is bad, and not one of those that the indicator is about, such as an answer to a probe.
    Ignored,
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
