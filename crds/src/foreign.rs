//! The fields of other projects' resources that Observed reads or writes, and no others.
//!
//! Write models (what is generated) hold only what is emitted; read models ignore what they do not know, so that a
//! newer prometheus-operator never breaks a watch. Sources: the CRDs of prometheus-operator 0.93.

mod monitor;
mod prometheus;
mod prometheus_rule;

pub use monitor::{
    Endpoint, LabelSelector, NamespaceSelector, PodMonitor, PodMonitorSpec, Relabeling, ServiceMonitor,
    ServiceMonitorSpec,
};
pub use prometheus::{Prometheus, PrometheusSpec, WebSpec};
pub use prometheus_rule::{PrometheusRule, PrometheusRuleSpec, Rule, RuleGroup};
