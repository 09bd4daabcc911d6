//! Recording rules and alerts.

use observed_crds::v1alpha1::conditions::ConditionType;

use super::{Output, Ownership};
use crate::check::Check;
use crate::child::{Child, ResourceKind};
use crate::plan::Plan;

/// Recording rules and alerts.
#[derive(Debug)]
pub struct PrometheusRule;

impl Output for PrometheusRule {
    fn id(&self) -> &'static str {
        "prometheus-rule"
    }

    fn kinds(&self) -> &'static [&'static ResourceKind] {
        &[]
    }

    fn ownership(&self) -> Ownership {
        Ownership::Owned
    }

    fn condition(&self) -> ConditionType {
        ConditionType::RulesHealthy
    }

    fn render(&self, _plan: &Plan) -> Vec<Child> {
        Vec::new()
    }

    fn checks(&self, _plan: &Plan) -> Vec<Check> {
        Vec::new()
    }
}
