//! The metrics without which alerts cannot fire.

use std::collections::{BTreeMap, BTreeSet};

use observed_crds::foreign::RuleGroup;

use crate::check::Need;
use crate::plan::Plan;
use crate::promql::Expression;

/// Prometheus makes it of the alerts themselves.
const OF_ALERTS: &str = "ALERTS";

/// Every metric that an alert cannot do without, itself or through the series that rules record, by name.
pub(super) fn needs(groups: &[RuleGroup], plan: &Plan) -> Vec<Need> {
    let mut recorded: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    let mut alerts: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for rule in groups.iter().flat_map(|group| &group.rules) {
        let Ok(expr) = Expression::parse(&rule.expr) else {
            continue;
        };
        let needs = expr.needs(&|metric| recorded.get(metric).cloned());
        if let Some(alert) = &rule.alert {
            for metric in needs {
                alerts.entry(metric).or_default().insert(alert.clone());
            }
        } else if let Some(record) = &rule.record {
            // Of a series that several rules record any one of them is enough.
            let all = recorded
                .get(record.as_str())
                .map_or(needs.clone(), |before| before & &needs);
            recorded.insert(record, all);
        }
    }
    alerts.remove(OF_ALERTS);
    let series = || plan.packs.iter().flat_map(|pack| &pack.series);
    let when_missing = |metric: &str| {
        series()
            .find(|series| series.is(metric))
            .map(|series| series.when_missing.clone())
    };
    alerts
        .into_iter()
        .map(|(metric, alerts)| Need {
            when_missing: when_missing(&metric).unwrap_or_default(),
            metric,
            alerts,
        })
        .collect()
}
