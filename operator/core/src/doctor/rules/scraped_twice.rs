use std::collections::{BTreeMap, BTreeSet};

use super::super::finding::Reference;
use super::super::kind::{Kind, MONITORS, Need};
use super::super::scraping::monitors;
use super::super::selectors::selected_by;
use super::super::snapshot::Object;
use super::super::{Found, Rule, Severity, Snapshot};

pub(super) const RULE: Rule = Rule {
    id: "scraped-twice",
    title: "The same page of the same pods is scraped more than once",
    effect: "Every series exists twice under different labels: sums count double, and joins fail with \"many-to-many\"",
    fix: "Keep one monitor for the page, and let it select one Service",
    needs: &[Need::Any(&MONITORS), Need::Objects(Kind::Service)],
    find,
};

/// A way to a page: the monitor, the Service on the way, who scrapes it.
type Way<'a> = (&'a Object, Option<&'a Object>, BTreeSet<Reference>);

fn find(snapshot: &Snapshot) -> Vec<Found> {
    let mut pages: BTreeMap<(Reference, i64, &str, String), Vec<Way<'_>>> = BTreeMap::new();
    for monitor in monitors(snapshot) {
        let by: BTreeSet<Reference> = selected_by(snapshot, monitor.object)
            .into_iter()
            .map(Object::reference)
            .collect();
        for endpoint in &monitor.endpoints {
            for aim in monitor.aims(snapshot, endpoint) {
                // An exporter of many targets is asked for each of them with other parameters.
                let params = endpoint.value["params"].to_string();
                let page = (aim.workload.reference(), aim.port, endpoint.path(), params);
                pages
                    .entry(page)
                    .or_default()
                    .push((monitor.object, aim.service, by.clone()));
            }
        }
    }
    let mut found = Vec::new();
    for ((workload, port, path, _), ways) in pages {
        let Some((first, rest)) = ways.split_first() else {
            continue;
        };
        // Of two that different Prometheus select, each scrapes once.
        let second = rest
            .iter()
            .find(|way| (first.2.is_empty() && way.2.is_empty()) || !first.2.is_disjoint(&way.2));
        if let Some(second) = second {
            let way = |(monitor, service, _): &Way<'_>| match service {
                Some(service) => format!("{} through {}", monitor.reference(), service.reference()),
                None => monitor.reference().to_string(),
            };
            let evidence = format!(
                "port {port}, path {path} of {workload} is scraped by {} and by {}",
                way(first),
                way(second)
            );
            let fix = if first.0.reference() == second.0.reference() {
                "Let its selector fit only one of the two Services: give one of them a label of its own, and select by that"
            } else {
                "Delete one of the two monitors"
            };
            found.push(Found::new(Severity::Warning, second.0, evidence, fix));
        }
    }
    found
}
