//! What is silently dead in a cluster's monitoring, from a snapshot of its objects and of what Prometheus and
//! Alertmanager answer. One rule a file, one line in [`RULES`]; nothing here needs an ObservedService.

mod alerts;
mod answers;
mod bundle;
mod dashboards;
mod finding;
mod kind;
mod mistakes;
mod page;
mod pods;
mod probes;
mod redact;
mod related;
mod rules;
mod scraping;
mod selectors;
mod snapshot;

use std::collections::BTreeSet;

use serde::Serialize;

pub use answers::{
    AlertmanagerAnswers, GrafanaAnswers, Group, LoadedRule, PrometheusAnswers, Query, Sample, TARGET_LABELS, Target,
    TargetHealth,
};
pub use bundle::bundle;
pub use finding::{Change, Finding, Fix, Found, Reference, Severity};
pub use kind::{Kind, Need};
pub use page::page;
pub use probes::{ProbeAnswer, ProbeQuestion, Unheard};
pub use redact::of_addresses;
pub use rules::RULES;
pub use snapshot::{Object, Scope, Snapshot, Unseen, read};

/// Something that can be wrong.
#[derive(Debug)]
pub struct Rule {
    /// Its name, which never changes: scripts match on it.
    pub id: &'static str,
    /// What is wrong, in one line.
    pub title: &'static str,
    /// What follows for the user.
    pub effect: &'static str,
    /// What mends it.
    pub fix: &'static str,
    /// What must be in the snapshot, or the rule is not run.
    pub needs: &'static [Need],
    /// Looks.
    pub find: fn(&Snapshot) -> Vec<Found>,
}

/// A rule that could not be run, and why.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct NotRun {
    /// The rule.
    pub rule: &'static str,
    /// What it lacks.
    pub because: String,
}

/// What was found, and what could not be looked at.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Diagnosis {
    /// The findings: the worst first, then by object and rule.
    pub findings: Vec<Finding>,
    /// Rules that were not run.
    pub not_run: Vec<NotRun>,
}

/// Runs every rule that the snapshot has enough for.
pub fn diagnose(snapshot: &Snapshot) -> Diagnosis {
    let mut diagnosis = Diagnosis::default();
    let in_scope = related::in_scope(snapshot);
    for rule in RULES {
        let lacking: Vec<String> = rule.needs.iter().filter_map(|need| need.lacking(snapshot)).collect();
        if !lacking.is_empty() {
            diagnosis.not_run.push(NotRun {
                rule: rule.id,
                because: lacking.join("; "),
            });
            continue;
        }
        let found = (rule.find)(snapshot).into_iter();
        let found = found.filter(|found| in_scope(&found.object));
        diagnosis.findings.extend(found.map(|found| found.of(rule)));
    }
    diagnosis.findings.sort();
    diagnosis.findings.dedup();
    diagnosis
}

/// Labels by which ConfigMaps with dashboards are found, as far as the workloads in the snapshot tell.
pub fn dashboard_labels(snapshot: &Snapshot) -> Vec<String> {
    dashboards::labels(snapshot)
}

/// The uids of dashboards in the snapshot to ask Grafana for.
pub fn dashboard_uids(snapshot: &Snapshot) -> BTreeSet<String> {
    dashboards::uids(snapshot)
}

/// What to ask the pods in the snapshot: what the kubelet asks for their readiness.
pub fn probe_questions(snapshot: &Snapshot) -> Vec<ProbeQuestion> {
    probes::questions(snapshot)
}

/// Whether anything has the name that was asked for.
pub fn is_known(snapshot: &Snapshot) -> bool {
    snapshot.scope.name.is_none() || !related::related(snapshot).is_empty()
}

#[cfg(test)]
mod tests;
