//! Probes for the workload: a gift.

use observed_crds::v1alpha1::conditions::ConditionType;

use super::{Output, Ownership};
use crate::check::Check;
use crate::child::{Child, ResourceKind};
use crate::plan::Plan;

/// Probes for the workload: a gift.
#[derive(Debug)]
pub struct Probes;

impl Output for Probes {
    fn id(&self) -> &'static str {
        "probes"
    }

    fn kinds(&self) -> &'static [&'static ResourceKind] {
        &[]
    }

    fn ownership(&self) -> Ownership {
        Ownership::Contributed
    }

    fn condition(&self) -> ConditionType {
        ConditionType::ProbesInstalled
    }

    fn render(&self, _plan: &Plan) -> Vec<Child> {
        Vec::new()
    }

    fn checks(&self, _plan: &Plan) -> Vec<Check> {
        Vec::new()
    }
}
