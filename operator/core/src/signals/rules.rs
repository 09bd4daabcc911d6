//! The rule groups of a plan: what Prometheus loads, and what the drills are run against.

use observed_crds::foreign::{Rule, RuleGroup};

use crate::duration;
use crate::plan::{Alert, Owner, Pack, Plan, Record};

/// One group a pack (and dependency), the recorded series first, so that an alert sees the values of the same evaluation.
pub fn rule_groups(plan: &Plan) -> Vec<RuleGroup> {
    let owner = &plan.owner;
    plan.packs
        .iter()
        .map(|pack| RuleGroup {
            name: group_name(owner, pack),
            interval: duration::text(plan.scrape.interval_seconds),
            rules: pack
                .records
                .iter()
                .map(record)
                .chain(pack.alerts.iter().map(alert))
                .collect(),
        })
        .filter(|group| !group.rules.is_empty())
        .collect()
}

fn group_name(owner: &Owner, pack: &Pack) -> String {
    let name = format!("observed:{}/{}:{}", owner.namespace, owner.name, pack.name);
    match &pack.dependency {
        Some(dependency) => format!("{name}:{}", dependency.name),
        None => name,
    }
}

fn record(record: &Record) -> Rule {
    Rule {
        record: Some(record.name.clone()),
        expr: record.expr.clone(),
        labels: record.labels.clone(),
        ..Rule::default()
    }
}

fn alert(alert: &Alert) -> Rule {
    Rule {
        alert: Some(alert.name.clone()),
        expr: alert.expr.clone(),
        for_: Some(alert.r#for.clone()),
        keep_firing_for: alert.keep_firing_for.clone(),
        labels: alert.labels.clone(),
        annotations: alert.annotations.clone(),
        ..Rule::default()
    }
}
