//! Recording rules and alerts.

mod needs;

use std::collections::BTreeMap;
use std::time::Duration;

use observed_crds::foreign::Rule;
use observed_crds::v1alpha1::conditions::ConditionType;
use serde_json::json;

use super::{Extra, Output, Ownership, owned};
use crate::check::{Check, Reads};
use crate::child::{Body, Child, ResourceKind};
use crate::names;
use crate::plan::Plan;
use crate::promql::Expression;
use crate::signals::rule_groups;

const ID: &str = "prometheus-rule";

static KIND: ResourceKind = ResourceKind {
    group: "monitoring.coreos.com",
    version: "v1",
    kind: "PrometheusRule",
    plural: "prometheusrules",
    optional: true,
};
static KINDS: [&ResourceKind; 1] = [&KIND];

/// Recording rules and alerts.
#[derive(Debug)]
pub struct PrometheusRule;

impl Output for PrometheusRule {
    fn id(&self) -> &'static str {
        ID
    }

    fn kinds(&self) -> &'static [&'static ResourceKind] {
        &KINDS
    }

    fn ownership(&self) -> Ownership {
        Ownership::Owned
    }

    fn condition(&self) -> ConditionType {
        ConditionType::RulesHealthy
    }

    fn render(&self, plan: &Plan) -> Vec<Child> {
        let groups = rule_groups(plan);
        if groups.is_empty() {
            return Vec::new();
        }
        let labels = plan.selection_labels.get(KIND.kind).cloned().unwrap_or_default();
        let extra = Extra {
            labels,
            ..Extra::default()
        };
        let name = names::child(&plan.owner.name, "");
        vec![owned(plan, ID, &KIND, name, extra, json!({"spec": {"groups": groups}}))]
    }

    fn checks(&self, plan: &Plan) -> Vec<Check> {
        let groups = rule_groups(plan);
        let rules = || groups.iter().flat_map(|group| &group.rules);
        let alerts: Vec<_> = rules().filter(|rule| rule.alert.is_some()).cloned().collect();
        let mut checks = Vec::new();
        for child in self.render(plan) {
            checks.push(Check::Rules {
                namespace: plan.owner.namespace.clone(),
                name: child.name.clone(),
                labels: labels(&child),
                groups: groups.iter().map(|group| group.name.clone()).collect(),
                expected: rules().count(),
                reach: rules().filter_map(reach).max().unwrap_or_default(),
                reads: Reads {
                    kind: plan.scrape.via.monitor(),
                    monitor: names::child(&plan.owner.name, ""),
                    job: plan.scrape.job.clone(),
                    needs: needs::needs(&groups, plan),
                    priced: plan.packs.iter().flat_map(|pack| pack.priced.clone()).collect(),
                },
            });
            if !alerts.is_empty() {
                checks.push(Check::Routes {
                    labels: labels(&child),
                    alerts: alerts.clone(),
                });
            }
        }
        checks
    }
}

/// How far a rule looks back.
fn reach(rule: &Rule) -> Option<Duration> {
    Some(Expression::parse(&rule.expr).ok()?.reach(&|_| Duration::ZERO))
}

/// The labels that the object carries.
fn labels(child: &Child) -> BTreeMap<String, String> {
    let Body::Owned(object) = &child.body else {
        return BTreeMap::new();
    };
    let labels = object["metadata"]["labels"].as_object().into_iter().flatten();
    labels
        .filter_map(|(label, value)| Some((label.clone(), value.as_str()?.to_owned())))
        .collect()
}

#[cfg(test)]
mod tests;
