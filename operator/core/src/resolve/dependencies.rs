//! What the service depends on, and where its series come from.

use std::collections::BTreeSet;

use observed_crds::v1alpha1::{Dependency, ObservedServiceSpec, ScrapedFrom};

use crate::facts::Facts;
use crate::finding::{Code, Finding};
use crate::plan;

/// The dependencies, each with the namespace and the job of its exporter.
pub(super) fn dependencies(
    spec: &ObservedServiceSpec,
    facts: &Facts,
    job: &str,
) -> Result<Vec<plan::Dependency>, Vec<Finding>> {
    let mut findings = Vec::new();
    let mut names = BTreeSet::new();
    let mut resolved = Vec::new();
    for (index, written) in spec.dependencies.iter().enumerate() {
        let dependency = dependency(written, facts);
        if !names.insert(dependency.name.clone()) {
            findings.push(Finding::error(
                Code::InvalidValue,
                format!("spec.dependencies[{index}].name"),
                format!("there is another dependency {:?}", dependency.name),
                "Give each dependency a name of its own",
            ));
        }
        let exporter = dependency.exporter.as_ref();
        if exporter.is_some_and(|exporter| exporter.namespace == facts.namespace && exporter.job == job) {
            findings.push(Finding::error(
                Code::InvalidValue,
                format!("spec.dependencies[{index}].scrapedFrom.job"),
                format!("{job:?} is the job of the service itself"),
                "Name the job label of the exporter's series, for instance \"postgres-exporter\"",
            ));
        }
        if let Some(exporter) = exporter.filter(|exporter| is_foreign(&exporter.namespace, facts)) {
            findings.push(Finding::error(
                Code::InvalidValue,
                format!("spec.dependencies[{index}].scrapedFrom.namespace"),
                format!(
                    "{:?} is another namespace, whose series are its own",
                    exporter.namespace
                ),
                format!(
                    "Run the exporter in {:?}, or ask whoever runs Observed to let services name those of {:?} \
                     (--dependency-namespaces)",
                    facts.namespace, exporter.namespace
                ),
            ));
        }
        resolved.push(dependency);
    }
    if findings.is_empty() {
        Ok(resolved)
    } else {
        Err(findings)
    }
}

/// Whether the exporters of a namespace are none of the service's business.
fn is_foreign(namespace: &str, facts: &Facts) -> bool {
    let allowed = facts.dependency_namespaces.as_ref();
    namespace != facts.namespace && allowed.is_some_and(|allowed| !allowed.contains(namespace))
}

fn dependency(written: &Dependency, facts: &Facts) -> plan::Dependency {
    let exporter = |from: &ScrapedFrom| plan::Exporter {
        namespace: from.namespace.clone().unwrap_or_else(|| facts.namespace.clone()),
        job: from.job.clone(),
        instance: from.instance.clone(),
    };
    plan::Dependency {
        name: written.name.clone(),
        kind: written.r#type,
        exporter: written.scraped_from.as_ref().map(exporter),
        host: written.host.clone(),
    }
}
