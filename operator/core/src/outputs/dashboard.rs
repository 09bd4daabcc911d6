//! The dashboard, in a ConfigMap for Grafana's sidecar.

use observed_crds::v1alpha1::conditions::ConditionType;
use observed_crds::v1alpha1::signal_pack::Unit;
use observed_crds::v1alpha1::{Severity, TargetKind};

use super::{CONFIG_MAP, CONFIG_MAPS, Extra, Output, Ownership, data, owned};
use crate::check::{Check, DashboardFile};
use crate::child::{Child, ResourceKind};
use crate::duration;
use crate::grafana::{self, Color, Link, PanelKind, Query, Row, Values, Variable};
use crate::names;
use crate::plan::{self, Plan};
use crate::promql::quoted;
use crate::sidecar::FOLDER;

/// What says that alerts fire.
const ALERTS_FIRING: &str = "Alerts firing";
/// Two scrapes of kube-state-metrics at least, at the longest interval that is usual.
const CHANGE_WINDOW: &str = "2m";
/// A ConfigMap holds 1 MiB; its metadata needs room too.
const MOST_BYTES: usize = 900 * 1024;

/// The dashboard, in a ConfigMap for Grafana's sidecar.
#[derive(Debug)]
pub struct Dashboard;

impl Output for Dashboard {
    fn id(&self) -> &'static str {
        "dashboard"
    }

    fn kinds(&self) -> &'static [&'static ResourceKind] {
        &CONFIG_MAPS
    }

    fn ownership(&self) -> Ownership {
        Ownership::Owned
    }

    fn condition(&self) -> ConditionType {
        ConditionType::DashboardLoaded
    }

    fn render(&self, plan: &Plan) -> Vec<Child> {
        let shown = dashboard(plan);
        let file = file(plan, shown.uid.clone());
        let extra = Extra {
            labels: file.labels,
            annotations: file.annotations,
        };
        let body = data([(file.key, text(shown, MOST_BYTES))]);
        vec![owned(plan, self.id(), &CONFIG_MAP, file.name, extra, body)]
    }

    fn checks(&self, plan: &Plan) -> Vec<Check> {
        vec![Check::Dashboard(file(plan, uid(plan)))]
    }
}

/// Where the dashboard is found.
fn file(plan: &Plan, uid: String) -> DashboardFile {
    let plan::Owner { namespace, name, .. } = &plan.owner;
    let folder = plan.dashboard.folder.iter();
    DashboardFile {
        name: names::child(name, "dashboard"),
        labels: plan.dashboard.labels.clone(),
        annotations: folder.map(|folder| (FOLDER.to_owned(), folder.clone())).collect(),
        // The sidecar writes every key into one directory: the key is the file's name. No namespace holds a dot.
        key: format!("{namespace}.{name}.json"),
        uid,
        title: title(plan),
    }
}

fn uid(plan: &Plan) -> String {
    grafana::uid(&[&plan.owner.namespace, &plan.owner.name, "dashboard"])
}

fn title(plan: &Plan) -> String {
    format!("{} / {}", plan.owner.namespace, plan.owner.name)
}

/// The JSON of as many rows as fit. That rows are left out stands in the description.
fn text(mut shown: grafana::Dashboard, most_bytes: usize) -> String {
    let (description, rows) = (shown.description.clone(), shown.rows.len());
    loop {
        // Nothing in it could fail to be written.
        let mut text = serde_json::to_string(&shown).unwrap_or_default();
        // A file ends with a line break; with one, YAML shows the JSON as it is and not in quotes.
        text.push('\n');
        if text.len() <= most_bytes || shown.rows.pop().is_none() {
            return text;
        }
        shown.description = format!(
            "{description} The last {} rows are left out: a ConfigMap holds at most 1 MiB.",
            rows - shown.rows.len()
        );
    }
}

/// The dashboard of a plan.
pub fn dashboard(plan: &Plan) -> grafana::Dashboard {
    let plan::Owner { namespace, name, .. } = &plan.owner;
    let firing = format!(
        "ALERTS{{alertstate=\"firing\",namespace={},service={}}}",
        quoted(namespace),
        quoted(name)
    );
    let signals = plan
        .packs
        .iter()
        .flat_map(|pack| &pack.panels)
        .chain(plan.objectives.iter().flat_map(|objective| &objective.panels))
        .filter(|panel| !panel.overview.is_empty())
        .map(|panel| stat(panel, plan));
    let overview = Row {
        title: "Overview".into(),
        closed: false,
        panels: std::iter::once(count_firing(&firing, plan))
            .chain(signals)
            .chain([list_firing(&firing, plan)])
            .collect(),
    };
    let objectives = Row {
        title: "Objectives".into(),
        closed: false,
        panels: plan
            .objectives
            .iter()
            .flat_map(|objective| &objective.panels)
            .map(|panel| timeseries(panel, plan))
            .collect(),
    };
    // Of a pack nothing is shown when the service exposes nothing that its panels read.
    let packs = plan.packs.iter().filter(|pack| !pack.panels.is_empty());
    let packs = packs.map(|pack| Row {
        title: pack.title.clone(),
        // What the service depends on explains what is seen of itself, and is looked at after that.
        closed: pack.dependency.is_some(),
        panels: pack.panels.iter().map(|panel| timeseries(panel, plan)).collect(),
    });
    grafana::Dashboard {
        uid: uid(plan),
        title: title(plan),
        description: format!(
            "Generated by Observed from the ObservedService {namespace}/{name} for {} {}. Changes made here are lost.",
            plan.target.kind.as_str(),
            plan.target.name
        ),
        tags: vec!["observed".into()],
        refresh: duration::text(plan.scrape.interval_seconds),
        variables: variables(plan),
        links: links(plan, &[]),
        annotations: vec![
            grafana::Annotation {
                name: ALERTS_FIRING.into(),
                expr: firing,
                title: "{{alertname}}".into(),
                color: Color::Red,
            },
            rollouts(plan),
        ],
        rows: [overview, objectives].into_iter().chain(packs).collect(),
    }
}

/// The names that links and queries use.
fn variables(plan: &Plan) -> Vec<Variable> {
    let constant = |name: &str, label: &str, value: &str| Variable {
        name: name.into(),
        label: label.into(),
        values: Values::Constant(value.into()),
    };
    let namespace = &plan.owner.namespace;
    let targets = format!("up{{job={},namespace={}}}", quoted(&plan.scrape.job), quoted(namespace));
    vec![
        constant("namespace", "Namespace", namespace),
        constant("service", "Service", &plan.owner.name),
        Variable {
            name: "pod".into(),
            label: "Pod".into(),
            values: Values::Label {
                label: "pod".into(),
                of: targets,
            },
        },
    ]
}

/// The runbooks of these alerts, or all where there are none of them, and the logs.
fn links(plan: &Plan, alerts: &[String]) -> Vec<Link> {
    let link = |title: &str, url: String| Link {
        title: title.to_owned(),
        url,
    };
    let runbooks = plan.dashboard.runbooks_url.iter().flat_map(|base| match alerts {
        [] => vec![link("Runbooks", base.clone())],
        alerts => {
            let page = |alert: &String| link(&format!("Runbook {alert}"), names::runbook_url(base, alert));
            alerts.iter().map(page).collect()
        }
    });
    let logs = plan.dashboard.logs_url.iter().map(|url| link("Logs", url.clone()));
    runbooks.chain(logs).collect()
}

/// When the workload was rolled out: what goes wrong after that often does so because of it. A workload that is scaled is
/// not: of a Deployment and a StatefulSet the generation changes then too.
fn rollouts(plan: &Plan) -> grafana::Annotation {
    let (name, namespace) = (quoted(&plan.target.name), quoted(&plan.owner.namespace));
    let before = format!("offset {CHANGE_WINDOW}");
    let (expr, to) = match plan.target.kind {
        // Its pods come from another ReplicaSet, a new one or, if it is rolled back, an old one.
        TargetKind::Deployment => {
            let has_pods = |at: &str| format!("kube_replicaset_spec_replicas{{namespace={namespace}}}{at} > 0");
            let owned =
                format!("kube_replicaset_owner{{namespace={namespace},owner_kind=\"Deployment\",owner_name={name}}}");
            let (now, before) = (has_pods(""), has_pods(&format!(" {before}")));
            (
                format!("({now} unless on (namespace, replicaset) {before}) and on (namespace, replicaset) {owned}"),
                "replicaset",
            )
        }
        TargetKind::StatefulSet => {
            let revision =
                format!("kube_statefulset_status_update_revision{{namespace={namespace},statefulset={name}}}");
            (format!("{revision} unless {revision} {before}"), "revision")
        }
        TargetKind::DaemonSet => {
            let generation = format!("kube_daemonset_metadata_generation{{namespace={namespace},daemonset={name}}}");
            (format!("changes({generation}[{CHANGE_WINDOW}]) > 0"), "daemonset")
        }
    };
    grafana::Annotation {
        name: "Rollouts".into(),
        expr,
        title: format!("Rollout of {{{{{to}}}}}"),
        color: Color::Blue,
    }
}

/// How many alerts fire. It shows 0 where there is none, so that silence is not taken for health.
fn count_firing(firing: &str, plan: &Plan) -> grafana::Panel {
    grafana::Panel {
        kind: PanelKind::Stat,
        title: ALERTS_FIRING.into(),
        description: "How many alerts of the service fire now.".into(),
        unit: grafana::Unit::Number,
        queries: vec![Query {
            expr: format!("count({firing}) or vector(0)"),
            legend: "firing".into(),
            step_seconds: plan.scrape.interval_seconds,
        }],
        min: Some(0.0),
        max: None,
        thresholds: vec![grafana::Threshold {
            value: 0.0,
            above: true,
            color: Color::Red,
        }],
        links: links(plan, &[]),
        row_link: None,
    }
}

/// Which ones.
fn list_firing(firing: &str, plan: &Plan) -> grafana::Panel {
    grafana::Panel {
        kind: PanelKind::Table,
        title: "Which alerts fire".into(),
        description: "The alerts of the service that fire now. Empty in health.".into(),
        unit: grafana::Unit::Number,
        queries: vec![Query {
            expr: format!("max by (alertname, severity, role, dependency) ({firing})"),
            legend: String::new(),
            step_seconds: plan.scrape.interval_seconds,
        }],
        min: None,
        max: None,
        thresholds: Vec::new(),
        links: links(plan, &[]),
        row_link: plan.dashboard.runbooks_url.as_ref().map(|base| Link {
            title: "Runbook".into(),
            url: names::runbook_url(base, "${__data.fields.alertname}"),
        }),
    }
}

fn stat(panel: &plan::Panel, plan: &Plan) -> grafana::Panel {
    grafana::Panel {
        kind: PanelKind::Stat,
        queries: panel.overview.iter().map(query).collect(),
        ..timeseries(panel, plan)
    }
}

fn timeseries(panel: &plan::Panel, plan: &Plan) -> grafana::Panel {
    grafana::Panel {
        kind: PanelKind::Timeseries,
        title: panel.title.clone(),
        description: panel.description.clone(),
        unit: unit(panel.unit),
        queries: panel.queries.iter().map(query).collect(),
        min: panel.min,
        max: panel.max,
        thresholds: panel.thresholds.iter().map(threshold).collect(),
        links: links(plan, &panel.alerts),
        row_link: None,
    }
}

fn query(query: &plan::PanelQuery) -> Query {
    Query {
        expr: query.expr.clone(),
        legend: query.legend.clone(),
        step_seconds: query.step_seconds,
    }
}

fn threshold(threshold: &plan::Threshold) -> grafana::Threshold {
    grafana::Threshold {
        value: threshold.value,
        above: threshold.above,
        color: match threshold.severity {
            Severity::Critical => Color::Red,
            Severity::Warning => Color::Orange,
            Severity::Info => Color::Blue,
        },
    }
}

fn unit(unit: Unit) -> grafana::Unit {
    match unit {
        Unit::Ratio => grafana::Unit::Ratio,
        Unit::Seconds => grafana::Unit::Seconds,
        Unit::Bytes => grafana::Unit::Bytes,
        Unit::BytesPerSecond => grafana::Unit::BytesPerSecond,
        Unit::RequestsPerSecond => grafana::Unit::RequestsPerSecond,
        Unit::OperationsPerSecond => grafana::Unit::OperationsPerSecond,
        Unit::DiskOperationsPerSecond => grafana::Unit::DiskOperationsPerSecond,
        Unit::TokensPerMinute => grafana::Unit::CountsPerMinute,
        Unit::Usd | Unit::UsdPerHour => grafana::Unit::Usd,
        Unit::Cores | Unit::Times | Unit::Count | Unit::Flag => grafana::Unit::Number,
    }
}

#[cfg(test)]
mod tests;
