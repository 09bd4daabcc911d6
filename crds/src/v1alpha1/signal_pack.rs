//! The signal-pack format: everything that Observed knows about one kind of signal, as data.
//!
//! Expressions are plain PromQL that promtool accepts as it stands, without templating. The matchers that tie them to
//! one service, the renames and the window are put in on the syntax tree.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Severity;

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
    /// series that the pack reads. A selector whose series is not declared here is a finding.
    pub series: Vec<Series>,
    /// signals, in the order in which the dashboard shows them.
    pub signals: Vec<Signal>,
    /// indicators on which objectives can be set, by the name of a field of `spec.objectives[].sli`.
    #[serde(default)]
    pub indicators: Vec<Indicator>,
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
    /// whenMissing says what would expose the series.
    pub when_missing: String,
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
    /// value is compared with the threshold. Default: the signal's record.
    #[serde(default)]
    pub value: Option<String>,
    /// above: fires when the value is greater. A decimal. Exactly one of above and below.
    #[serde(default)]
    pub above: Option<String>,
    /// below: fires when the value is less. A decimal.
    #[serde(default)]
    pub below: Option<String>,
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
    /// value of a gauge, constant. Exactly one of value, rate and count.
    #[serde(default)]
    pub value: Option<Amount>,
    /// rate of a counter: growth a second.
    #[serde(default)]
    pub rate: Option<Amount>,
    /// count of a counter that grows once, from zero to it, right after the start.
    #[serde(default)]
    pub count: Option<Amount>,
    /// resetAt: the counter starts again from zero at this time after the start.
    #[serde(default)]
    pub reset_at: Option<Amount>,
    /// until: the series ends at this time after the start. Default: the end.
    #[serde(default)]
    pub until: Option<Amount>,
}

/// A number of a drill: `10`, or PromQL arithmetic as in `10 * (1 - threshold)` or `15m`. In it `threshold` is the
/// alert's threshold, and `for` the seconds that its condition must hold.
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
