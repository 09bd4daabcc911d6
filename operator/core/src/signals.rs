//! From packs to rules, alerts, panels and drills of one service.

use observed_crds::v1alpha1::{Signals, TargetKind};

use crate::finding::Finding;
use crate::packs::Packs;
use crate::plan;

/// What ties packs to one service.
#[derive(Clone, Copy, Debug)]
pub struct Binding<'a> {
    /// Namespace of the service.
    pub namespace: &'a str,
    /// Name of the ObservedService: the label `service` of its alerts.
    pub service: &'a str,
    /// The `job` label of its scrape.
    pub job: &'a str,
    /// Kind of the workload.
    pub target_kind: TargetKind,
    /// Name of the workload.
    pub target_name: &'a str,
    /// Seconds between two scrapes and two evaluations.
    pub interval_seconds: u32,
    /// What the user adapted.
    pub signals: &'a Signals,
    /// Page above the runbooks.
    pub runbook_base: Option<&'a str>,
}

/// The named packs, tied to the service.
///
/// # Errors
/// Every finding: packs and alerts that do not exist, thresholds and renames that do not fit.
pub fn bind(_packs: &Packs, _names: &[String], _binding: &Binding<'_>) -> Result<Vec<plan::Pack>, Vec<Finding>> {
    Ok(Vec::new())
}
