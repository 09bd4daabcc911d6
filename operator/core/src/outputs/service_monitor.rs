//! What Prometheus scrapes: a ServiceMonitor, or a PodMonitor where no Service can be used.

use observed_crds::v1alpha1::conditions::ConditionType;

use super::{Output, Ownership};
use crate::check::Check;
use crate::child::{Child, ResourceKind};
use crate::plan::Plan;

/// What Prometheus scrapes: a ServiceMonitor, or a PodMonitor where no Service can be used.
#[derive(Debug)]
pub struct ServiceMonitor;

impl Output for ServiceMonitor {
    fn id(&self) -> &'static str {
        "service-monitor"
    }

    fn kinds(&self) -> &'static [&'static ResourceKind] {
        &[]
    }

    fn ownership(&self) -> Ownership {
        Ownership::Owned
    }

    fn condition(&self) -> ConditionType {
        ConditionType::ScrapeVerified
    }

    fn render(&self, _plan: &Plan) -> Vec<Child> {
        Vec::new()
    }

    fn checks(&self, _plan: &Plan) -> Vec<Check> {
        Vec::new()
    }
}
