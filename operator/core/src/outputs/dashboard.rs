//! The dashboard, in a ConfigMap for Grafana's sidecar.

use observed_crds::v1alpha1::conditions::ConditionType;

use super::{Output, Ownership};
use crate::check::Check;
use crate::child::{Child, ResourceKind};
use crate::plan::Plan;

/// The dashboard, in a ConfigMap for Grafana's sidecar.
#[derive(Debug)]
pub struct Dashboard;

impl Output for Dashboard {
    fn id(&self) -> &'static str {
        "dashboard"
    }

    fn kinds(&self) -> &'static [&'static ResourceKind] {
        &[]
    }

    fn ownership(&self) -> Ownership {
        Ownership::Owned
    }

    fn condition(&self) -> ConditionType {
        ConditionType::DashboardLoaded
    }

    fn render(&self, _plan: &Plan) -> Vec<Child> {
        Vec::new()
    }

    fn checks(&self, _plan: &Plan) -> Vec<Check> {
        Vec::new()
    }
}
