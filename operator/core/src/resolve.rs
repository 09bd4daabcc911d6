//! The spec and the facts become a plan, or every finding that stands against it. One concern a file.

mod dependencies;
mod diff;
mod ports;
mod probes;
mod remediation;
mod scrape;
mod signals;
mod size;
mod target;

use observed_crds::v1alpha1::ObservedServiceSpec;
use observed_crds::v1alpha1::signal_pack::SeriesType;

pub use diff::{Change, Comes, Diff, Entry, diff};
pub use probes::{dependent, on_trial, preflight_seconds, remains, risky_probes};

use crate::facts::{Facts, PageQuestion, Question};
use crate::finding::{Code, Finding};
use crate::gift::Gift;
use crate::objectives::{self, objectives};
use crate::packs::Packs;
use crate::plan::{Dashboard, Owner, Pack, Plan, Probes};

/// Validates, defaults and combines.
///
/// # Errors
/// Every finding that stops the plan, not the first. Findings that do not stop it are in [`Plan::warnings`].
pub fn resolve(spec: &ObservedServiceSpec, facts: &Facts, packs: &Packs) -> Result<Plan, Vec<Finding>> {
    not_taken(spec, facts)?;
    let target = target::target(spec, facts)?;
    let container = target::container(spec, target);
    let (mut findings, mut warnings) = (Vec::new(), Vec::new());

    let scrape = match &container {
        Ok(container) => Some(scrape::scrape(spec, facts, target, container)),
        Err(_) => None,
    };
    let probes = container
        .as_ref()
        .ok()
        .map(|container| probes::probes(spec, facts, target, container));
    // Signals are bound even when the scrape is in doubt, so that all their findings come at once too.
    let read = match &scrape {
        Some(Ok((scrape, _))) => scrape::Read::from(scrape),
        _ => scrape::Read::in_doubt(spec, facts),
    };
    let dependencies = dependencies::dependencies(spec, facts, read.job);
    let depends_on = dependencies.as_deref().unwrap_or_default();
    let signals = signals::signals(spec, facts, target, packs, &read, depends_on);

    let tied = signals.as_ref().ok().map(|(_, bound)| bound.packs.as_slice());
    let objectives = objectives(
        &spec.objectives,
        &objectives::Service {
            namespace: &facts.namespace,
            name: &facts.name,
            job: read.job,
            target_kind: target.kind,
            target_name: &target.name,
            interval_seconds: read.interval_seconds,
            runbook_base: spec.runbooks.as_ref().map(|runbooks| runbooks.base_url.as_str()),
            known: packs,
            packs: tied,
            bounds: tied.and_then(|packs| bounds(packs, facts)).as_deref(),
        },
    );

    let objective_alerts = objectives.as_ref().ok().map(|(objectives, _)| objectives.as_slice());
    let alerts = remediation::Alerts {
        known: packs,
        own: &facts.packs,
        tied,
        objectives: objective_alerts,
    };
    let remediation = remediation::remediation(spec, &alerts);

    let mut keep = |found: &Vec<Finding>| findings.extend(found.iter().cloned());
    if let Err(found) = &container {
        keep(found);
    }
    if let Some(Err(found)) = &scrape {
        keep(found);
    }
    if let Some(Err(found)) = &probes {
        keep(found);
    }
    if let Err(found) = &dependencies {
        keep(found);
    }
    if let Err(found) = &signals {
        keep(found);
    }
    if let Err(found) = &objectives {
        keep(found);
    }
    if let Err(found) = &remediation {
        keep(found);
    }
    match (
        container,
        scrape,
        probes,
        signals,
        dependencies,
        objectives,
        remediation,
    ) {
        (
            Ok(container),
            Some(Ok((scrape, scrape_warnings))),
            Some(Ok((probes, probe_warnings))),
            Ok((window, mut bound)),
            Ok(_),
            Ok((objectives, objective_warnings)),
            Ok(remediation_warnings),
        ) => {
            warnings.extend(scrape_warnings);
            warnings.extend(probe_warnings);
            warnings.extend(objective_warnings);
            warnings.extend(remediation_warnings);
            warnings.extend(signals::without_buckets(&bound, spec));
            signals::tell_unmeasured(&mut bound, &objectives);
            let (selection_labels, selection_warnings) = scrape::selection_labels(facts);
            warnings.extend(selection_warnings);
            let plan = Plan {
                owner: Owner {
                    namespace: facts.namespace.clone(),
                    name: facts.name.clone(),
                    uid: facts.uid.clone(),
                },
                target: crate::plan::Target {
                    kind: target.kind,
                    name: target.name.clone(),
                    container: container.name.clone(),
                    replicas: target.replicas,
                },
                probes,
                scrape,
                selection_labels,
                window,
                packs: bound.packs,
                exposure: bound.exposure,
                natives: bound.natives,
                objectives,
                dashboard: dashboard(spec),
                warnings,
                paused: spec.paused,
            };
            size::too_large(&plan).map_or(Ok(plan), |finding| Err(vec![finding]))
        }
        _ => {
            findings.sort();
            findings.dedup();
            Err(findings)
        }
    }
}

/// Each workload belongs to one ObservedService.
fn not_taken(spec: &ObservedServiceSpec, facts: &Facts) -> Result<(), Vec<Finding>> {
    if let Some(other) = &facts.taken_by {
        return Err(vec![Finding::error(
            Code::TargetTaken,
            "spec.targetRef",
            format!(
                "{} {:?} already belongs to the older ObservedService {other:?}",
                spec.target_ref.kind.as_str(),
                spec.target_ref.name
            ),
            "Point one ObservedService at a workload: change this one's targetRef, or delete one of the two",
        )]);
    }
    Ok(())
}

/// What would happen with the probes alone: nothing else of the plan needs to be right for it.
///
/// # Errors
/// Every finding that stops it.
pub fn probes(spec: &ObservedServiceSpec, facts: &Facts) -> Result<Probes, Vec<Finding>> {
    not_taken(spec, facts)?;
    let target = target::target(spec, facts)?;
    let container = target::container(spec, target)?;
    probes::probes(spec, facts, target, container).map(|(probes, _)| probes)
}

/// The probes that the plan would give.
pub fn gift(spec: &ObservedServiceSpec, facts: &Facts) -> Option<Gift> {
    probes(spec, facts).ok()?.coming().cloned()
}

/// What preflight must ask the running pods before the plan may give a probe. Empty once there is nothing to give.
pub fn questions(spec: &ObservedServiceSpec, facts: &Facts) -> Vec<Question> {
    let Ok(target) = target::target(spec, facts) else {
        return Vec::new();
    };
    if facts.taken_by.is_some() || spec.paused {
        return Vec::new();
    }
    match target::container(spec, target) {
        Ok(container) => probes::questions(spec, facts, target, container),
        Err(_) => Vec::new(),
    }
}

/// What must be asked of the running pods to know what they expose. None while nothing would follow from it.
pub fn page(spec: &ObservedServiceSpec, facts: &Facts) -> Option<PageQuestion> {
    if facts.taken_by.is_some() || spec.paused {
        return None;
    }
    let target = target::target(spec, facts).ok()?;
    let container = target::container(spec, target).ok()?;
    scrape::page(spec, container)
}

/// Bounds of the buckets of the histogram that objectives read, as far as the pods told them.
fn bounds(packs: &[Pack], facts: &Facts) -> Option<Vec<f64>> {
    let measured = packs.iter().filter(|pack| !pack.indicators.is_empty());
    let mut series = measured.flat_map(|pack| &pack.series);
    let histogram = series.find(|series| series.kind == SeriesType::Histogram)?;
    facts.bounds(&histogram.name)
}

fn dashboard(spec: &ObservedServiceSpec) -> Dashboard {
    let dashboards = spec.dashboards.clone().unwrap_or_default();
    let labels = if dashboards.labels.is_empty() {
        [("grafana_dashboard".to_owned(), "1".to_owned())].into()
    } else {
        dashboards.labels
    };
    Dashboard {
        folder: dashboards.folder,
        labels,
        runbooks_url: spec.runbooks.as_ref().map(|runbooks| runbooks.base_url.clone()),
        logs_url: dashboards.logs_url,
    }
}

#[cfg(test)]
mod tests;
