//! The rule groups of a plan: what Prometheus loads, and what the drills are run against.

use observed_crds::foreign::{Rule, RuleGroup};

use crate::duration;
use crate::names;
use crate::plan::{Alert, Owner, Pack, Plan, Record};

/// One group a pack (and dependency), and one for all objectives. The recorded series come first, so that what reads
/// them sees the values of the same evaluation.
pub fn rule_groups(plan: &Plan) -> Vec<RuleGroup> {
    let owner = &plan.owner;
    let group = |name: String, rules: Vec<Rule>| RuleGroup {
        name,
        interval: duration::text(plan.scrape.interval_seconds),
        rules,
    };
    let packs = plan.packs.iter().map(|pack| {
        let records = pack.records.iter().map(record);
        group(
            group_name(owner, pack),
            records.chain(pack.alerts.iter().map(alert)).collect(),
        )
    });
    let objectives = &plan.objectives;
    let records = objectives.iter().flat_map(|objective| &objective.records).map(record);
    let alerts = objectives.iter().flat_map(|objective| &objective.alerts).map(alert);
    let name = names::rule_group(&owner.namespace, &owner.name, "objectives");
    packs
        .chain(std::iter::once(group(name, records.chain(alerts).collect())))
        .filter(|group| !group.rules.is_empty())
        .collect()
}

fn group_name(owner: &Owner, pack: &Pack) -> String {
    let name = names::rule_group(&owner.namespace, &owner.name, &pack.name);
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
        // Left out where it says nothing: an alert that fires at once.
        for_: duration::seconds(&alert.r#for).map(duration::text),
        keep_firing_for: alert.keep_firing_for.clone(),
        labels: alert.labels.clone(),
        annotations: alert.annotations.clone(),
        ..Rule::default()
    }
}
