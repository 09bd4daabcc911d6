//! What "works" means, as data, and what the world answered.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use observed_crds::foreign::Rule;
use observed_crds::v1alpha1::conditions::{ConditionType, Reason};

use crate::plan::{Exporter, Priced};

/// Something to ask a Prometheus about, the Alertmanagers that it sends to, or a Grafana.
#[derive(Clone, Debug, PartialEq)]
pub enum Check {
    /// The pods are scraped and up.
    Targets {
        /// `ServiceMonitor` or `PodMonitor`.
        kind: &'static str,
        /// Namespace of the monitor.
        namespace: String,
        /// Name of the monitor.
        name: String,
        /// Labels of the monitor, which a Prometheus selects on.
        labels: BTreeMap<String, String>,
        /// The `job` label of the service's series.
        job: String,
        /// Pods that should be up.
        expected: i32,
        /// By the name of a dependency the exporter that it is read from.
        exporters: BTreeMap<String, Exporter>,
    },
    /// The rules are loaded and evaluated without error.
    Rules {
        /// Namespace of the PrometheusRule.
        namespace: String,
        /// Name of the PrometheusRule.
        name: String,
        /// Labels of the PrometheusRule, which a Prometheus selects on.
        labels: BTreeMap<String, String>,
        /// Names of its groups.
        groups: Vec<String>,
        /// Rules in all of them.
        expected: usize,
        /// How far the one looks back that looks furthest.
        reach: Duration,
        /// What they read.
        reads: Reads,
    },
    /// The alerts reach somebody.
    Routes {
        /// Labels of the PrometheusRule, which a Prometheus selects on.
        labels: BTreeMap<String, String>,
        /// Its alerting rules.
        alerts: Vec<Rule>,
    },
    /// Grafana loads the dashboard.
    Dashboard(DashboardFile),
}

/// What rules read of a service that is scraped.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reads {
    /// Kind of the monitor: `ServiceMonitor` or `PodMonitor`.
    pub kind: &'static str,
    /// Its name.
    pub monitor: String,
    /// The `job` label of the service's series.
    pub job: String,
    /// Metrics that alerts cannot do without, by name.
    pub needs: Vec<Need>,
    /// Counters whose units have prices.
    pub priced: BTreeSet<Priced>,
}

/// A metric that alerts cannot do without.
#[derive(Clone, Debug, PartialEq)]
pub struct Need {
    /// Name of the metric.
    pub metric: String,
    /// The alerts that cannot fire without it.
    pub alerts: BTreeSet<String>,
    /// What would expose it. Empty: nobody says.
    pub when_missing: String,
}

/// A dashboard in a ConfigMap.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DashboardFile {
    /// Name of the ConfigMap.
    pub name: String,
    /// Labels of the ConfigMap, which a sidecar selects on.
    pub labels: BTreeMap<String, String>,
    /// Annotations of the ConfigMap, one of which names the folder.
    pub annotations: BTreeMap<String, String>,
    /// Key in the ConfigMap, which becomes the name of a file.
    pub key: String,
    /// uid of the dashboard.
    pub uid: String,
    /// Title of the dashboard.
    pub title: String,
}

impl Check {
    /// The condition that the answer becomes.
    pub fn condition(&self) -> ConditionType {
        match self {
            Self::Targets { .. } => ConditionType::ScrapeVerified,
            Self::Rules { .. } => ConditionType::RulesHealthy,
            Self::Routes { .. } => ConditionType::AlertsRouted,
            Self::Dashboard(_) => ConditionType::DashboardLoaded,
        }
    }
}

/// Whether something holds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Truth {
    /// It was seen to hold.
    True,
    /// It was seen not to hold.
    False,
    /// Nobody could be asked.
    Unknown,
}

impl Truth {
    /// The `status` of a condition.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::True => "True",
            Self::False => "False",
            Self::Unknown => "Unknown",
        }
    }
}

/// What the world answered to one check.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// The condition that it becomes.
    pub condition: ConditionType,
    /// Whether it holds.
    pub truth: Truth,
    /// Why.
    pub reason: Reason,
    /// The same in words: who was asked, what was answered, the next step.
    pub message: String,
    /// How many of how many are good, where that can be counted.
    pub count: Option<(usize, usize)>,
}
