//! What will be done for one service, complete: rendering it needs nothing else and cannot fail.

mod dependency;
mod exposure;
mod objective;
mod pack;
mod probes;
mod scrape;

use std::collections::{BTreeMap, BTreeSet};

use observed_crds::v1alpha1::TargetKind;

use crate::finding::Finding;

pub use dependency::{Dependency, Exporter};
pub use exposure::{Exposure, LackingLabel, MissingSeries};
pub use objective::{Events, Flow, Indicator, Objective, Part};
pub use pack::{Alert, Case, Course, Input, Pack, Panel, PanelQuery, Priced, Record, Runbook, Series, Threshold};
pub use probes::{Offered, Probes};
pub use scrape::{Scrape, Via};

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
