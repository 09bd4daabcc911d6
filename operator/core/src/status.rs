//! The status: what everything amounts to, in words.

use jiff::Timestamp;
use observed_crds::v1alpha1::ObservedServiceStatus;

use crate::check::Verdict;
use crate::child::{Applied, Children};
use crate::facts::Facts;
use crate::finding::Finding;
use crate::plan::Plan;

/// The status of a service whose plan was applied and verified. Times of conditions that did not change are kept.
pub fn status(
    _plan: &Plan,
    _facts: &Facts,
    _applied: &Children<Applied>,
    _verdicts: &[Verdict],
    _previous: Option<&ObservedServiceStatus>,
    generation: i64,
    _now: Timestamp,
) -> ObservedServiceStatus {
    ObservedServiceStatus {
        observed_generation: Some(generation),
        ..Default::default()
    }
}

/// The status of a service for which there is no plan.
pub fn refused(
    _findings: &[Finding],
    _facts: &Facts,
    _previous: Option<&ObservedServiceStatus>,
    generation: i64,
    _now: Timestamp,
) -> ObservedServiceStatus {
    ObservedServiceStatus {
        observed_generation: Some(generation),
        ..Default::default()
    }
}
