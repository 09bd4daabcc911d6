//! One pack, tied to the service: its rules, its panels, and the proof of its alerts.

use std::collections::{BTreeMap, BTreeSet};

use observed_crds::v1alpha1::Severity;
use observed_crds::v1alpha1::signal_pack::{Role, Scope, SeriesType, Unit, WorkloadPart};

use super::exposure::is_part;
use super::{Dependency, Indicator};

/// One pack, tied to this service.
#[derive(Clone, Debug, PartialEq)]
pub struct Pack {
    /// Name of the pack.
    pub name: String,
    /// Title of its dashboard row.
    pub title: String,
    /// What it is about, if that is not the service itself.
    pub dependency: Option<Dependency>,
    /// The series that it reads, under the service's own names.
    pub series: Vec<Series>,
    /// Recording rules.
    pub records: Vec<Record>,
    /// Alerting rules.
    pub alerts: Vec<Alert>,
    /// Panels.
    pub panels: Vec<Panel>,
    /// What objectives can be set on.
    pub indicators: Vec<Indicator>,
    /// The counters whose units the service gives prices for.
    pub priced: Vec<Priced>,
}

/// A counter whose units have prices, one for each value of a label.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Priced {
    /// Name under which Prometheus stores it.
    pub metric: String,
    /// The label.
    pub label: String,
    /// The values that have a price, 0 too.
    pub values: BTreeSet<String>,
}

/// A series that a pack reads.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// Name in the pack.
    pub canonical: String,
    /// Name at this service.
    pub name: String,
    /// Type of the metric.
    pub kind: SeriesType,
    /// What would expose it.
    pub when_missing: String,
}

impl Series {
    /// Whether a metric is this series, or a part of it if that is a histogram.
    pub fn is(&self, metric: &str) -> bool {
        is_part(metric, &self.name)
    }
}

/// A recording rule.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// Name of the recorded series.
    pub name: String,
    /// PromQL.
    pub expr: String,
    /// Labels that are put on the recorded series, over those of the expression.
    pub labels: BTreeMap<String, String>,
}

/// An alerting rule and its proof.
#[derive(Clone, Debug, PartialEq)]
pub struct Alert {
    /// Name of the alert.
    pub name: String,
    /// PromQL.
    pub expr: String,
    /// Its severity.
    pub severity: Severity,
    /// What it is in an incident.
    pub role: Option<Role>,
    /// Prometheus duration that the condition must hold.
    pub r#for: String,
    /// Prometheus duration that it goes on.
    pub keep_firing_for: Option<String>,
    /// Labels of the alert.
    pub labels: BTreeMap<String, String>,
    /// Texts of the alert.
    pub annotations: BTreeMap<String, String>,
    /// What its runbook says.
    pub runbook: Runbook,
    /// Seconds after which its condition is seen to hold, if it holds from the start.
    pub onset_seconds: u32,
    /// Seconds after which its condition is seen to have ended: as far as its expression looks back, through the
    /// recorded series too.
    pub reach_seconds: u32,
    /// Cases on which it must fire.
    pub fires: Vec<Case>,
    /// Cases on which it must stay silent.
    pub silent: Vec<Case>,
}

/// What the runbook of an alert says, as plain text.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Runbook {
    /// The alert in one sentence.
    pub summary: String,
    /// What people notice.
    pub impact: String,
    /// What its signal tells.
    pub signal: String,
    /// When it fires.
    pub condition: String,
    /// What to look at first, in order.
    pub first: Vec<String>,
}

/// One case of an alert's proof: what the world looks like.
#[derive(Clone, Debug, PartialEq)]
pub struct Case {
    /// The case in words.
    pub title: String,
    /// What is scraped in it.
    pub inputs: Vec<Input>,
}

/// A series of a case, under the service's own names.
#[derive(Clone, Debug, PartialEq)]
pub struct Input {
    /// Name of the series.
    pub name: String,
    /// What it belongs to, and so which labels it has beside its own.
    pub scope: Scope,
    /// Its own labels.
    pub labels: BTreeMap<String, String>,
    /// Labels that name the workload.
    pub workload_labels: BTreeMap<String, WorkloadPart>,
    /// The label that holds the host of the dependency.
    pub host_label: Option<String>,
    /// How its value goes.
    pub course: Course,
    /// Seconds after which it begins.
    pub since: Option<u32>,
    /// Seconds after which its course begins. Until then it stays as it starts.
    pub from: u32,
    /// Seconds after which the counter starts again from zero.
    pub reset_at: Option<u32>,
    /// Seconds after which it is gone.
    pub until: Option<u32>,
}

/// How the value of a series goes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Course {
    /// It stays.
    Constant(f64),
    /// It goes from the first number by the second one a second.
    Line(f64, f64),
    /// It grows by so much a second, from zero.
    Rate(f64),
    /// It goes from zero to this once, right after the start.
    Step(f64),
}

/// A panel of the dashboard.
#[derive(Clone, Debug, PartialEq)]
pub struct Panel {
    /// Title.
    pub title: String,
    /// What it tells.
    pub description: String,
    /// Unit of its values.
    pub unit: Unit,
    /// Expressions with their legends, with `$__rate_interval` for the window.
    pub queries: Vec<PanelQuery>,
    /// Least value of the axis.
    pub min: Option<f64>,
    /// Greatest value of the axis.
    pub max: Option<f64>,
    /// The alerts' thresholds, drawn as lines.
    pub thresholds: Vec<Threshold>,
    /// What the first row shows of it, if anything.
    pub overview: Vec<PanelQuery>,
    /// Names of the alerts on what it shows.
    pub alerts: Vec<String>,
}

/// A query of a panel.
#[derive(Clone, Debug, PartialEq)]
pub struct PanelQuery {
    /// PromQL for Grafana.
    pub expr: String,
    /// Legend of a line.
    pub legend: String,
    /// Seconds between two samples of the series that it reads: Grafana asks in no shorter steps.
    pub step_seconds: u32,
}

/// An alert's threshold.
#[derive(Clone, Debug, PartialEq)]
pub struct Threshold {
    /// The value.
    pub value: f64,
    /// Whether the alert fires above it (else below).
    pub above: bool,
    /// Severity of the alert.
    pub severity: Severity,
}
