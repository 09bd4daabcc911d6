use super::super::kind::{Kind, MONITORS, Need};
use super::super::scraping::monitors;
use super::super::snapshot::{Object, pairs};
use super::super::{Found, Rule, Severity, Snapshot, pods};
use crate::selection;

pub(super) const RULE: Rule = Rule {
    id: "service-without-pods",
    title: "A Service that is scraped selects no pod",
    effect: "It has no endpoints: no target, and no traffic either",
    fix: "Let the Service's selector hold labels that the pods have",
    needs: &[Need::Any(&MONITORS), Need::Objects(Kind::Service)],
    find,
};

fn find(snapshot: &Snapshot) -> Vec<Found> {
    let mut found = Vec::new();
    let mut told = std::collections::BTreeSet::new();
    for service in monitors(snapshot)
        .filter(|monitor| monitor.is_of_services())
        .flat_map(|monitor| monitor.services(snapshot))
    {
        let Some(selector) = pods::of_service(service) else {
            continue;
        };
        let namespace = &service.namespace;
        let exists =
            !pods::selected(snapshot, namespace, &selector).is_empty() || pods::any(snapshot, namespace, &selector);
        if !pods::are_seen(snapshot, namespace)
            || exists
            || has_addresses(snapshot, service)
            || !told.insert(service.reference())
        {
            continue;
        }
        let wanted = pairs(&selector.match_labels).join(" and ");
        let evidence = format!("no pod in namespace {namespace} has {wanted}");
        // The workload that has most of the labels is probably meant.
        let workloads = pods::workloads(snapshot).filter(|workload| workload.namespace == *namespace);
        let lacking = |workload: &Object| selection::lacking(&selector, &pods::template_labels(workload)).len();
        let nearest = workloads.min_by_key(|workload| (workload.name != service.name, lacking(workload)));
        let fix = match nearest {
            Some(workload) => {
                let labels = pairs(&pods::template_labels(workload)).join(", ");
                format!("If {} is meant: its pods have {labels}", workload.reference())
            }
            None => "Create the workload, or correct spec.selector".to_owned(),
        };
        found.push(Found::new(Severity::Error, service, evidence, fix));
    }
    found
}

fn has_addresses(snapshot: &Snapshot, service: &Object) -> bool {
    pods::endpoints(snapshot, service).next().is_some()
}
