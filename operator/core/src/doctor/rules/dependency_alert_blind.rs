use std::collections::BTreeSet;

use super::super::kind::{Kind, Need};
use super::super::{Found, Rule, Severity, Snapshot, alerts};

pub(super) const RULE: Rule = Rule {
    id: "dependency-alert-blind",
    title: "An alert waits for an exporter to say 0, and nothing notices when the exporter is gone",
    effect: "When the exporter dies its series vanish, and the alert on them is silent",
    fix: "Add alerts for `absent(…)` of the series and for `up == 0` of the exporter",
    needs: &[Need::Every(Kind::PrometheusRule)],
    find,
};

/// What exporters say of the server that they speak for.
const EXPORTED: [&str; 12] = [
    "pg_up",
    "pgbouncer_up",
    "redis_up",
    "mysql_up",
    "mongodb_up",
    "memcached_up",
    "rabbitmq_up",
    "elasticsearch_up",
    "haproxy_up",
    "nginx_up",
    "apache_up",
    "probe_success",
];

fn find(snapshot: &Snapshot) -> Vec<Found> {
    let rules: Vec<_> = alerts::written(snapshot)
        .filter(|rule| rule.alert().is_some())
        .collect();
    // `up == 0` and `absent(up)` are the exporter's own; of which exporter cannot be told by all matchers, so any counts.
    let guarded: BTreeSet<String> = rules
        .iter()
        .filter_map(|rule| rule.parsed())
        .flat_map(|expr| {
            expr.absences()
                .into_iter()
                .chain(expr.zeros().into_iter().filter(|metric| metric == "up"))
        })
        .collect();
    rules
        .iter()
        .filter_map(|rule| {
            let zeros = rule.parsed()?.zeros();
            let blind = zeros.iter().find(|metric| EXPORTED.contains(&metric.as_str()))?;
            if guarded.contains(blind) || guarded.contains("up") {
                return None;
            }
            let name = rule.name();
            let evidence =
                format!("{name} fires when {blind} is 0, and no alert looks for absent({blind}) or for up == 0");
            let fix = format!(
                "Add an alert with the expression absent({blind}{{…}}), and one with up{{job=…}} == 0 for the exporter"
            );
            Some(Found::new(Severity::Warning, rule.object, evidence, fix))
        })
        .collect()
}
