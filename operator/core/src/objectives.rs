//! `spec.objectives`: recorded ratios, burn-rate alerts, the error budget, their panels and the proof of the alerts.
//!
//! Everything is counted in events, and every ratio is bad events by all events of its window: an idle night weighs
//! nothing, and a busy hour as much as its events. `docs/objectives.md` has the arithmetic and its sources.

mod alerts;
mod burn;
mod drills;
mod goal;
mod indicator;
mod own;
mod page;
mod panels;
mod records;
mod share;

use std::collections::BTreeSet;

use observed_crds::v1alpha1::{self as api, TargetKind};

use crate::finding::{Code, Finding};
use crate::packs::Packs;
use crate::plan::{self, Pack};
use goal::Goal;

pub use page::page;

/// The service that objectives are set for.
#[derive(Clone, Copy, Debug)]
pub struct Service<'a> {
    /// Its namespace.
    pub namespace: &'a str,
    /// Name of the ObservedService: the label `service` of what is recorded and of alerts.
    pub name: &'a str,
    /// The `job` label of its scrape.
    pub job: &'a str,
    /// Kind of the workload.
    pub target_kind: TargetKind,
    /// Name of the workload.
    pub target_name: &'a str,
    /// Seconds between two scrapes and two evaluations.
    pub interval_seconds: u32,
    /// Page above the runbooks.
    pub runbook_base: Option<&'a str>,
    /// Every pack that there is.
    pub known: &'a Packs,
    /// The packs that apply, tied to the service. None when they could not be tied, which has findings of its own.
    pub packs: Option<&'a [Pack]>,
    /// Upper bounds of the buckets of the histogram that `latency` reads, in seconds. None when nobody looked.
    pub bounds: Option<&'a [f64]>,
}

/// The objectives, and what is worth knowing about them.
///
/// # Errors
/// Every finding that stands against them.
pub fn objectives(
    written: &[api::Objective],
    service: &Service<'_>,
) -> Result<(Vec<plan::Objective>, Vec<Finding>), Vec<Finding>> {
    let (mut findings, mut warnings, mut bound) = (Vec::new(), Vec::new(), Vec::new());
    let mut names = BTreeSet::new();
    for (index, objective) in written.iter().enumerate() {
        let path = format!("spec.objectives[{index}]");
        if !names.insert(&objective.name) {
            findings.push(Finding::error(
                Code::InvalidValue,
                format!("{path}.name"),
                format!("two objectives have the name {:?}", objective.name),
                "Give each objective a name of its own",
            ));
        }
        let goal = match Goal::of(objective, &path, service) {
            Ok(Some((goal, found))) => {
                warnings.extend(found);
                goal
            }
            Ok(None) => continue,
            Err(found) => {
                findings.extend(found);
                continue;
            }
        };
        bound.push(plan::Objective {
            name: objective.name.clone(),
            metrics: goal.metrics(),
            records: records::records(&goal),
            alerts: alerts::alerts(&goal),
            panels: panels::panels(&goal),
        });
    }
    if findings.is_empty() {
        Ok((bound, warnings))
    } else {
        Err(findings)
    }
}

#[cfg(test)]
mod tests;
