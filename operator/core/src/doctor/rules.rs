//! The rules. One file each; the order is that of the documentation.

use super::Rule;

mod alert_changes;
mod alert_inhibited;
mod alert_not_delivered;
mod alert_without_namespace;
mod alertmanager_config_not_selected;
mod counters_of_several_processes;
mod dashboard_duplicate;
mod dashboard_for_import;
mod dashboard_not_in_grafana;
mod dashboard_not_loaded;
mod dashboard_too_large;
mod dashboard_unreadable;
mod dependency_alert_blind;
mod empty_page;
mod label_collision;
mod liveness_too_slow;
mod metrics_content_type;
mod monitor_not_selected;
mod monitor_port;
mod monitor_without_service;
mod network_policy;
mod no_target;
mod prometheus_rights;
mod readiness_never_fails;
mod rejected;
mod retention;
mod risky_probe;
mod rule_failing;
mod rule_invalid;
mod rule_not_loaded;
mod rule_not_selected;
mod rule_slow;
mod sample_limit;
mod scrape_not_http;
mod scrape_timeout;
mod scraped_twice;
mod series_never_seen;
mod service_without_pods;
mod several_workers;
mod target_down;
mod unbounded_label;

/// Every rule.
pub const RULES: &[Rule] = &[
    monitor_not_selected::RULE,
    monitor_without_service::RULE,
    service_without_pods::RULE,
    monitor_port::RULE,
    scrape_not_http::RULE,
    scrape_timeout::RULE,
    scraped_twice::RULE,
    several_workers::RULE,
    network_policy::RULE,
    prometheus_rights::RULE,
    rejected::RULE,
    no_target::RULE,
    target_down::RULE,
    metrics_content_type::RULE,
    sample_limit::RULE,
    empty_page::RULE,
    label_collision::RULE,
    unbounded_label::RULE,
    counters_of_several_processes::RULE,
    rule_not_selected::RULE,
    rule_invalid::RULE,
    rule_not_loaded::RULE,
    rule_failing::RULE,
    rule_slow::RULE,
    retention::RULE,
    series_never_seen::RULE,
    dependency_alert_blind::RULE,
    alertmanager_config_not_selected::RULE,
    alert_changes::RULE,
    alert_without_namespace::RULE,
    alert_not_delivered::RULE,
    alert_inhibited::RULE,
    dashboard_unreadable::RULE,
    dashboard_for_import::RULE,
    dashboard_too_large::RULE,
    dashboard_not_loaded::RULE,
    dashboard_duplicate::RULE,
    dashboard_not_in_grafana::RULE,
    risky_probe::RULE,
    liveness_too_slow::RULE,
    readiness_never_fails::RULE,
];
