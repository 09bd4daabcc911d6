//! Recording rules and alerts.

mod needs;

use std::collections::BTreeMap;
use std::time::Duration;

use observed_crds::foreign::{Rule, RuleGroup};
use observed_crds::v1alpha1::conditions::ConditionType;
use serde_json::Value;

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
        let groups = groups.into_iter().map(group).collect();
        let spec = fields([("groups", Some(groups))]);
        vec![owned(plan, ID, &KIND, name, extra, fields([("spec", Some(spec))]))]
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

/// A group as the object holds it. What it holds is moved: the texts of rules are half of all that is generated.
fn group(group: RuleGroup) -> Value {
    let RuleGroup { name, interval, rules } = group;
    fields([
        ("name", Some(name.into())),
        ("interval", Some(interval.into())),
        ("rules", Some(rules.into_iter().map(rule).collect())),
    ])
}

fn rule(rule: Rule) -> Value {
    let Rule {
        record,
        alert,
        expr,
        for_,
        keep_firing_for,
        labels,
        annotations,
    } = rule;
    let texts = |texts: BTreeMap<String, String>| {
        let any = !texts.is_empty();
        let texts = texts.into_iter().map(|(name, text)| (name, Value::from(text)));
        any.then(|| texts.collect())
    };
    fields([
        ("record", record.map(Value::from)),
        ("alert", alert.map(Value::from)),
        ("expr", Some(expr.into())),
        ("for", for_.map(Value::from)),
        ("keep_firing_for", keep_firing_for.map(Value::from)),
        ("labels", texts(labels)),
        ("annotations", texts(annotations)),
    ])
}

fn fields<const N: usize>(fields: [(&str, Option<Value>); N]) -> Value {
    let given = fields.into_iter();
    let given = given.filter_map(|(name, value)| Some((name.to_owned(), value?)));
    given.collect()
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
