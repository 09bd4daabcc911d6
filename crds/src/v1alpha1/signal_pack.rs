//! The signal-pack format: everything that Observed knows about one kind of signal, as data.
//!
//! Expressions are plain PromQL that promtool accepts as it stands, without templating. The matchers that tie them to
//! one service, the renames and the window are put in on the syntax tree.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{DependencyType, Severity, TargetKind};

/// A pack of signals that belong together, one file each under `operator/core/packs/`.
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

/// The content of a pack.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SignalPackSpec {
    /// title of the dashboard row.
    pub title: String,
    /// help says in one sentence what the pack is about.
    pub help: String,
    /// window is the range that stands for the service's own: `spec.signals.window` replaces it in selectors of what the
    /// service exposes, `$__rate_interval` in every panel. Other ranges stay. Prometheus duration.
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
    /// series that the pack reads. A selector whose series is not declared here is a finding.
    pub series: Vec<Series>,
    /// signals, in the order in which the dashboard shows them.
    pub signals: Vec<Signal>,
    /// indicators on which objectives can be set, by the name of a field of `spec.objectives[].sli`.
    #[serde(default)]
    pub indicators: Vec<Indicator>,
}

/// For which services a pack is there without being asked for.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Applies {
    /// For every service.
    Always,
    /// For a service that exposes at least one of the pack's series of the scope `service`.
    #[default]
    WhenExposed,
}

/// A number of the service's own settings, with its default where none is written.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Setting {
    /// `spec.scrape.limits.samples`: most samples in a scrape.
    SampleLimit,
    /// `spec.scrape.timeout`, in seconds.
    ScrapeTimeout,
}

/// A series that a pack reads.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Series {
    /// name as Prometheus stores it, without the suffixes of a histogram.
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
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
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
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum WorkloadPart {
    /// Its kind, such as `Deployment`.
    Kind,
    /// Its name.
    Name,
}

/// What a counter of money is computed from with `spec.signals.prices`.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
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
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
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
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
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
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Signal {
    /// name, unique in the pack.
    pub name: String,
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
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Record {
    /// as is the name of the recorded series: `observed:<what>:<operation>`.
    pub r#as: String,
    /// expr computes it.
    pub expr: String,
}

/// Unit of a value. Ratios are 0 to 1.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
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
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Panel {
    /// title of the panel.
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
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PanelQuery {
    /// expr that is drawn.
    pub expr: String,
    /// legend of a line; `{{label}}` stands for a label's value.
    pub legend: String,
}

/// An alert on a signal.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Alert {
    /// name, unique among all packs.
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
    pub above: Option<String>,
    /// below: fires when the value is less. A decimal.
    #[serde(default)]
    pub below: Option<String>,
    /// needs says that nobody can know the threshold but the service: the alert is off until the service sets it on this
    /// side.
    #[serde(default)]
    pub needs: Option<Side>,
    /// when must hold too, for instance that there is enough traffic to judge.
    #[serde(default)]
    pub when: Option<String>,
    /// for is how long the condition must hold. Prometheus duration.
    pub r#for: String,
    /// keepFiringFor is how long it goes on after the condition has ended. Prometheus duration.
    #[serde(default)]
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
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Side {
    /// Fires when the value is greater.
    Above,
    /// Fires when the value is less.
    Below,
}

/// What an alert is in an incident.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
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
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Drill {
    /// fires lists cases in which the alert must fire.
    pub fires: Vec<DrillCase>,
    /// silent lists cases in which it must not.
    pub silent: Vec<DrillCase>,
}

/// One case of a drill: what the world looks like. It must hold for every threshold that a service may set, so numbers
/// near the threshold are formulas in it.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DrillCase {
    /// case in words.
    pub case: String,
    /// given series, by the names that the expressions select in the pack.
    pub given: BTreeMap<String, Vec<DrillSeries>>,
}

/// One series of a drill. Labels of the scope (namespace, job, pod, instance, container) are filled in unless given.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DrillSeries {
    /// labels of the series beside the filled-in ones.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// bucket is the upper bound of a histogram's bucket: the label `le`.
    #[serde(default)]
    pub bucket: Option<Amount>,
    /// value of a gauge, constant unless it has a slope. Exactly one of value, rate and count.
    #[serde(default)]
    pub value: Option<Amount>,
    /// slope of a gauge: what its value changes by in a second.
    #[serde(default)]
    pub slope: Option<Amount>,
    /// rate of a counter: growth a second.
    #[serde(default)]
    pub rate: Option<Amount>,
    /// count of a counter that grows once, from zero to it, right after the start.
    #[serde(default)]
    pub count: Option<Amount>,
    /// resetAt: the counter starts again from zero at this time after the start.
    #[serde(default)]
    pub reset_at: Option<Amount>,
    /// since: the series begins at this time after the start. Default: at the start.
    #[serde(default)]
    pub since: Option<Amount>,
    /// until: the series ends at this time after the start. Default: the end.
    #[serde(default)]
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

/// What an objective can be set on: countable events, of which some are bad. Selectors of counters, without a range:
/// the windows follow from the objective.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
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
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
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
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Bucket {
    /// The objective's threshold.
    Threshold,
    /// Infinity: every event.
    Infinite,
}

/// What becomes of an event.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Outcome {
    /// It is as it should be.
    Good,
    /// It is not.
    Bad,
    /// It is bad, and not one of those that the indicator is about, such as an answer to a probe.
    Ignored,
}
