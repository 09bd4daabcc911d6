//! What Prometheus scrapes: a ServiceMonitor, or a PodMonitor where no Service can be used.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use observed_crds::foreign::{
    Endpoint, LabelSelector, NamespaceSelector, PodMonitorSpec, Relabeling, ServiceMonitorSpec,
};
use observed_crds::v1alpha1::Histograms;
use observed_crds::v1alpha1::conditions::ConditionType;
use observed_crds::{MANAGED_BY, MANAGED_BY_LABEL, SERVICE_LABEL};
use serde_json::json;

use super::{Extra, Output, Ownership, owned};
use crate::check::Check;
use crate::child::{Child, ResourceKind};
use crate::duration;
use crate::names;
use crate::plan::{Exporter, Plan, Via};

const SERVICE_MONITOR: &ResourceKind = &monitor("ServiceMonitor", "servicemonitors");
const POD_MONITOR: &ResourceKind = &monitor("PodMonitor", "podmonitors");

const fn monitor(kind: &'static str, plural: &'static str) -> ResourceKind {
    ResourceKind {
        group: "monitoring.coreos.com",
        version: "v1",
        kind,
        plural,
        optional: true,
    }
}

/// Labels of a Service that change with every release: a selector on them would lose the Service for a while.
const RELEASE_LABELS: [&str; 2] = ["helm.sh/chart", "app.kubernetes.io/version"];

/// Formats of a metrics page. Only the first one holds native histograms; the others are for a page that has none.
const NATIVE_PROTOCOLS: [&str; 5] = [
    "PrometheusProto",
    "OpenMetricsText1.0.0",
    "OpenMetricsText0.0.1",
    "PrometheusText1.0.0",
    "PrometheusText0.0.4",
];

/// What Prometheus scrapes: a ServiceMonitor, or a PodMonitor where no Service can be used.
#[derive(Debug)]
pub struct ServiceMonitor;

impl Output for ServiceMonitor {
    fn id(&self) -> &'static str {
        "service-monitor"
    }

    fn kinds(&self) -> &'static [&'static ResourceKind] {
        &[SERVICE_MONITOR, POD_MONITOR]
    }

    fn ownership(&self) -> Ownership {
        Ownership::Owned
    }

    fn condition(&self) -> ConditionType {
        ConditionType::ScrapeVerified
    }

    fn render(&self, plan: &Plan) -> Vec<Child> {
        let scrape = &plan.scrape;
        let kind = kind(plan);
        let namespace_selector = NamespaceSelector {
            match_names: vec![plan.owner.namespace.clone()],
        };
        let (sample_limit, label_limit) = (Some(scrape.sample_limit), Some(scrape.label_limit));
        let body_size_limit = Some(scrape.body_size_limit.clone());
        let native = scrape.histograms == Histograms::Native;
        let scrape_native_histograms = native.then_some(true);
        let scrape_protocols = if native {
            NATIVE_PROTOCOLS.map(str::to_owned).into()
        } else {
            Vec::new()
        };
        let spec = match &scrape.via {
            Via::Service { name, labels, port } => json!(ServiceMonitorSpec {
                selector: LabelSelector {
                    match_labels: lasting(labels),
                    match_expressions: Vec::new(),
                },
                namespace_selector,
                endpoints: vec![Endpoint {
                    port: Some(port.clone()),
                    relabelings: vec![only_service(name), keep_app_endpoint()],
                    ..endpoint(plan)
                }],
                sample_limit,
                label_limit,
                body_size_limit,
                scrape_protocols,
                scrape_native_histograms,
            }),
            Via::Pods { selector, port } => json!(PodMonitorSpec {
                selector: selector.clone(),
                namespace_selector,
                pod_metrics_endpoints: vec![Endpoint {
                    port: match port {
                        IntOrString::String(name) => Some(name.clone()),
                        IntOrString::Int(_) => None,
                    },
                    port_number: match port {
                        IntOrString::Int(number) => Some(*number),
                        IntOrString::String(_) => None,
                    },
                    relabelings: vec![job(&scrape.job), keep_app_endpoint()],
                    ..endpoint(plan)
                }],
                sample_limit,
                label_limit,
                body_size_limit,
                scrape_protocols,
                scrape_native_histograms,
            }),
        };
        let extra = Extra {
            labels: selection_labels(plan, kind),
            ..Extra::default()
        };
        let name = names::child(&plan.owner.name, "");
        vec![owned(plan, self.id(), kind, name, extra, json!({"spec": spec}))]
    }

    fn checks(&self, plan: &Plan) -> Vec<Check> {
        let kind = kind(plan);
        let mut labels = selection_labels(plan, kind);
        labels.insert(MANAGED_BY_LABEL.into(), MANAGED_BY.into());
        labels.insert(SERVICE_LABEL.into(), plan.owner.name.clone());
        vec![Check::Targets {
            kind: kind.kind,
            namespace: plan.owner.namespace.clone(),
            name: names::child(&plan.owner.name, ""),
            labels,
            job: plan.scrape.job.clone(),
            expected: plan.target.replicas,
            exporters: exporters(plan),
        }]
    }
}

/// What the packs about dependencies read.
fn exporters(plan: &Plan) -> BTreeMap<String, Exporter> {
    let dependencies = plan.packs.iter().filter_map(|pack| pack.dependency.as_ref());
    dependencies
        .filter_map(|dependency| Some((dependency.name.clone(), dependency.exporter.clone()?)))
        .collect()
}

fn kind(plan: &Plan) -> &'static ResourceKind {
    match plan.scrape.via {
        Via::Service { .. } => SERVICE_MONITOR,
        Via::Pods { .. } => POD_MONITOR,
    }
}

fn selection_labels(plan: &Plan, kind: &ResourceKind) -> BTreeMap<String, String> {
    plan.selection_labels.get(kind.kind).cloned().unwrap_or_default()
}

fn endpoint(plan: &Plan) -> Endpoint {
    Endpoint {
        path: plan.scrape.path.clone(),
        interval: duration::text(plan.scrape.interval_seconds),
        scrape_timeout: duration::text(plan.scrape.timeout_seconds),
        ..Endpoint::default()
    }
}

/// The labels without those of a release, unless nothing is left. [`only_service`] makes the choice exact.
fn lasting(labels: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let mut lasting = labels.clone();
    lasting.retain(|label, _| !RELEASE_LABELS.contains(&label.as_str()));
    if lasting.is_empty() { labels.clone() } else { lasting }
}

/// Another Service with the same labels would be scraped too, and every pod counted twice.
fn only_service(name: &str) -> Relabeling {
    Relabeling {
        action: "keep".into(),
        source_labels: vec!["__meta_kubernetes_service_name".into()],
        regex: Some(name.replace('.', "\\.")),
        ..Relabeling::default()
    }
}

/// prometheus-operator puts a label `endpoint` (the port) on every target, so that Prometheus renames the application's
/// own `endpoint` to `exported_endpoint`. Without the target's label the application's stays. `honorLabels` would do it
/// too, but lets an application forge its namespace.
fn keep_app_endpoint() -> Relabeling {
    Relabeling {
        action: "labeldrop".into(),
        regex: Some("endpoint".into()),
        ..Relabeling::default()
    }
}

/// Of a PodMonitor prometheus-operator makes the job `namespace/name`.
fn job(job: &str) -> Relabeling {
    Relabeling {
        action: "replace".into(),
        target_label: Some("job".into()),
        replacement: Some(job.to_owned()),
        ..Relabeling::default()
    }
}

#[cfg(test)]
mod tests;
