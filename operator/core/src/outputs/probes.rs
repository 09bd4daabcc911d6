//! Probes for the workload: a gift.

use observed_crds::v1alpha1::TargetKind;
use observed_crds::v1alpha1::conditions::ConditionType;

use super::{Output, Ownership};
use crate::check::Check;
use crate::child::{Body, Child, ResourceKind};
use crate::plan::Plan;

const DEPLOYMENT: &ResourceKind = &workload("Deployment", "deployments");
const STATEFUL_SET: &ResourceKind = &workload("StatefulSet", "statefulsets");
const DAEMON_SET: &ResourceKind = &workload("DaemonSet", "daemonsets");

const fn workload(kind: &'static str, plural: &'static str) -> ResourceKind {
    ResourceKind {
        group: "apps",
        version: "v1",
        kind,
        plural,
        optional: false,
    }
}

/// Probes for the workload: a gift. Nothing at all where there is nothing to give.
#[derive(Debug)]
pub struct Probes;

impl Output for Probes {
    fn id(&self) -> &'static str {
        "probes"
    }

    fn kinds(&self) -> &'static [&'static ResourceKind] {
        &[DEPLOYMENT, STATEFUL_SET, DAEMON_SET]
    }

    fn ownership(&self) -> Ownership {
        Ownership::Contributed
    }

    fn condition(&self) -> ConditionType {
        ConditionType::ProbesInstalled
    }

    fn render(&self, plan: &Plan) -> Vec<Child> {
        let gift = plan.probes.gift.iter().cloned().map(Body::Gift);
        let take_back = plan.probes.take_back.iter().cloned().map(Body::TakeBack);
        let will = plan.probes.will.iter().cloned().map(Body::Will);
        gift.chain(take_back)
            .chain(will)
            .map(|body| Child {
                output: self.id(),
                kind: match plan.target.kind {
                    TargetKind::Deployment => DEPLOYMENT,
                    TargetKind::StatefulSet => STATEFUL_SET,
                    TargetKind::DaemonSet => DAEMON_SET,
                },
                name: plan.target.name.clone(),
                body,
            })
            .collect()
    }

    fn checks(&self, _plan: &Plan) -> Vec<Check> {
        Vec::new()
    }
}
