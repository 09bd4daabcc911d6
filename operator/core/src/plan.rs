//! What will be done for one service, complete: rendering it needs nothing else and cannot fail.

mod dependency;
mod objective;

use std::collections::{BTreeMap, BTreeSet};

use observed_crds::foreign::LabelSelector;
use observed_crds::v1alpha1::conditions::Reason;
use observed_crds::v1alpha1::signal_pack::{Role, Scope, SeriesType, Unit, WorkloadPart};
use observed_crds::v1alpha1::{Histograms, Offer, PackSignals, Port, Severity, TargetKind};

use crate::finding::Finding;
use crate::gift::{Gift, ProbeKind, ProbeShape, TakeBack, Will};

pub use dependency::{Dependency, Exporter};
pub use objective::{Counted, Flow, Indicator, Objective, Part};

/// What will be done for one service.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// The ObservedService.
    pub owner: Owner,
    /// The workload.
    pub target: Target,
    /// Its probes.
    pub probes: Probes,
    /// Its scrape.
    pub scrape: Scrape,
    /// Labels by which a Prometheus selects our objects, by kind.
    pub selection_labels: BTreeMap<String, BTreeMap<String, String>>,
    /// Window of the rates, as a Prometheus duration.
    pub window: String,
    /// Its signals, one part a pack.
    pub packs: Vec<Pack>,
    /// What it exposes of what they read.
    pub exposure: Exposure,
    /// Its native histograms, by name. Empty: its histograms are classic ones.
    pub natives: BTreeSet<String>,
    /// Its objectives.
    pub objectives: Vec<Objective>,
    /// Its dashboard.
    pub dashboard: Dashboard,
    /// Findings that do not stop the plan.
    pub warnings: Vec<Finding>,
    /// Nothing is to be written.
    pub paused: bool,
}

/// What the service exposes of what the packs read of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Exposure {
    /// The dialect of each pack that reads something of the service.
    pub dialects: BTreeMap<String, String>,
    /// Packs of which nobody knows anything yet: all of them is generated.
    pub unasked: Vec<String>,
    /// What is known of the others, to be kept.
    pub seen: Vec<PackSignals>,
    /// Series that it does not expose.
    pub missing: Vec<MissingSeries>,
    /// Labels that its series do not have and expressions use.
    pub lacking: Vec<LackingLabel>,
}

/// A series that the service does not expose.
#[derive(Clone, Debug, PartialEq)]
pub struct MissingSeries {
    /// Name of the pack that reads it.
    pub pack: String,
    /// Name of the series at this service.
    pub name: String,
    /// Alerts and panels that are not generated because of it, in words. Empty when the user insists on them.
    pub left_out: Vec<String>,
    /// Names of the objectives that are not measured without it.
    pub objectives: Vec<String>,
    /// What would expose it.
    pub when_missing: String,
}

impl MissingSeries {
    /// Whether a metric is this series, or a part of it if that is a histogram.
    pub fn is(&self, metric: &str) -> bool {
        is_part(metric, &self.name)
    }

    /// What is missing and what follows, in words.
    pub fn message(&self) -> String {
        let follows = if self.left_out.is_empty() {
            "What reads it is generated all the same".to_owned()
        } else {
            format!("Left out: {}", self.left_out.join(", "))
        };
        let unmeasured = match self.objectives.as_slice() {
            [] => String::new(),
            names => format!(". Not measured: objective {}", names.join(", objective ")),
        };
        format!(
            "{} is not exposed (pack {}). {follows}{unmeasured}",
            self.name, self.pack
        )
    }
}

/// Whether a metric is the series of that name, or a part of it if that is a histogram.
fn is_part(metric: &str, name: &str) -> bool {
    let part = metric.strip_prefix(name);
    part.is_some_and(|part| ["", "_bucket", "_sum", "_count"].contains(&part))
}

/// A label that a series does not have and expressions use.
#[derive(Clone, Debug, PartialEq)]
pub struct LackingLabel {
    /// Name of the series at this service.
    pub series: String,
    /// Name of the label in the pack.
    pub label: String,
    /// The name that it should have at this service.
    pub name: String,
    /// Labels that the series has.
    pub has: Vec<String>,
    /// The one among them that is probably meant.
    pub nearest: Option<String>,
}

impl LackingLabel {
    /// What is missing, in words.
    pub fn message(&self) -> String {
        let has = if self.has.is_empty() {
            "none".to_owned()
        } else {
            self.has.join(", ")
        };
        let Self { series, name, .. } = self;
        format!("{series} has no label {name:?}, which expressions use; it has: {has}")
    }

    /// What to do, in words.
    pub fn help(&self) -> String {
        let label = &self.label;
        match &self.nearest {
            Some(nearest) => {
                format!("If {nearest:?} is meant, write under spec.signals: rename: {{{label}: {nearest}}}")
            }
            None => format!("Add it, or write under spec.signals the label that is meant: rename: {{{label}: ...}}"),
        }
    }
}

/// The ObservedService that children belong to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Owner {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its UID. Empty offline: then children carry no owner reference.
    pub uid: String,
}

/// The workload, as far as outputs need it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Target {
    /// Kind of the workload.
    pub kind: TargetKind,
    /// Name of the workload.
    pub name: String,
    /// Container that serves.
    pub container: String,
    /// Pods that it should have.
    pub replicas: i32,
}

/// A gift that the operator does not make itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Offered {
    /// The gift.
    pub gift: Gift,
    /// As the status says it, for the policy that makes it.
    pub offer: Offer,
}

/// What happens with the probes.
#[derive(Clone, Debug, PartialEq)]
pub struct Probes {
    /// What is put into the workload. None: nothing is to be given now.
    pub gift: Option<Gift>,
    /// What waits for a rollout of the workload's owner instead.
    pub offer: Option<Offered>,
    /// An earlier gift that is taken out of the workload.
    pub take_back: Option<TakeBack>,
    /// What the workload is to say beside an earlier gift, where it says something else.
    pub will: Option<Will>,
    /// Probes that the container has, theirs or an earlier gift.
    pub present: BTreeMap<ProbeKind, ProbeShape>,
    /// Why a probe is missing and is not given (now), in words.
    pub refused: BTreeMap<ProbeKind, String>,
    /// What the condition says when nothing is given.
    pub reason: Reason,
    /// The same in words.
    pub message: String,
}

impl Probes {
    /// What is put into the workload, by whomever.
    pub fn coming(&self) -> Option<&Gift> {
        self.gift.as_ref().or(self.offer.as_ref().map(|offered| &offered.gift))
    }
}

/// How Prometheus collects.
#[derive(Clone, Debug, PartialEq)]
pub struct Scrape {
    /// What is scraped.
    pub via: Via,
    /// The `job` label of everything that is scraped.
    pub job: String,
    /// Path of the metrics page.
    pub path: String,
    /// Seconds between two scrapes, and two evaluations.
    pub interval_seconds: u32,
    /// Seconds that a scrape may take.
    pub timeout_seconds: u32,
    /// Most samples in a scrape.
    pub sample_limit: i64,
    /// Most labels of a series.
    pub label_limit: i64,
    /// Largest answer, as prometheus-operator writes it.
    pub body_size_limit: String,
    /// Kind of the histograms that Prometheus is told to scrape.
    pub histograms: Histograms,
}

/// What Prometheus finds the pods by.
#[derive(Clone, Debug, PartialEq)]
pub enum Via {
    /// The endpoints of a Service: a ServiceMonitor.
    Service {
        /// Name of the Service.
        name: String,
        /// Labels of the Service.
        labels: BTreeMap<String, String>,
        /// Name of the Service's port.
        port: String,
    },
    /// The pods themselves: a PodMonitor.
    Pods {
        /// Selector of the workload.
        selector: LabelSelector,
        /// Port of the container.
        port: Port,
    },
}

impl Via {
    /// Kind of the monitor.
    pub fn monitor(&self) -> &'static str {
        match self {
            Self::Service { .. } => "ServiceMonitor",
            Self::Pods { .. } => "PodMonitor",
        }
    }
}

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
    pub overview: Option<PanelQuery>,
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

/// Where Grafana finds the dashboard.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Dashboard {
    /// Folder of the sidecar.
    pub folder: Option<String>,
    /// Labels of the ConfigMap.
    pub labels: BTreeMap<String, String>,
    /// Page above the runbooks.
    pub runbooks_url: Option<String>,
    /// Page with the logs, in which Grafana fills in variables.
    pub logs_url: Option<String>,
}
