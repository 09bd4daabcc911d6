//! How Prometheus collects.

use std::collections::BTreeMap;

use observed_crds::foreign::LabelSelector;
use observed_crds::v1alpha1::{Histograms, Port};

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
