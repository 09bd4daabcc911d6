use std::collections::BTreeMap;

use super::super::dashboards::{Dashboard, dashboards, sidecars};
use super::super::kind::{Kind, Need};
use super::super::snapshot::labels;
use super::super::{Found, Rule, Severity, Snapshot};
use crate::sidecar::Sidecar;

pub(super) const RULE: Rule = Rule {
    id: "dashboard-duplicate",
    title: "Two dashboards have the same uid, title or file name",
    effect: "One replaces the other, or Grafana stops writing any dashboard of that provider: \"no database write permissions \
             because of duplicates\"",
    fix: "Give one of them another uid and title, and another key in its ConfigMap",
    needs: &[Need::Any(&[Kind::ConfigMap])],
    find,
};

fn find(snapshot: &Snapshot) -> Vec<Found> {
    let sidecars = sidecars(snapshot);
    // Grafana may load those that no sidecar does in another way.
    let unseen = Sidecar::default();
    let all = dashboards(snapshot);
    let mut found = Vec::new();
    let mut seen: BTreeMap<(&str, String, String), &Dashboard<'_>> = BTreeMap::new();
    for dashboard in &all {
        let Ok(json) = &dashboard.json else { continue };
        // Grafanas that load different ConfigMaps do not mind.
        let map = dashboard.object;
        let mut loading: Vec<&Sidecar> = sidecars
            .iter()
            .filter(|sidecar| sidecar.misses(&map.namespace, &map.labels).is_none())
            .collect();
        if loading.is_empty() {
            loading.push(&unseen);
        }
        let annotations = labels(map.value.pointer("/metadata/annotations"));
        let mut same: Option<(&Dashboard<'_>, Vec<&str>)> = None;
        for sidecar in loading {
            let shown = sidecar.shown((&map.namespace, &map.name), &annotations, dashboard.key, json);
            for (mark, value) in sidecar.marks(&shown) {
                match seen.get(&(mark, sidecar.of.clone(), value.clone())) {
                    Some(first) => same.get_or_insert((first, Vec::new())).1.push(mark),
                    None => {
                        seen.insert((mark, sidecar.of.clone(), value), dashboard);
                    }
                }
            }
        }
        if let Some((first, mut marks)) = same {
            marks.dedup();
            let evidence = format!(
                "{} has the same {} as {} in {}",
                dashboard.key,
                marks.join(" and "),
                first.key,
                first.object.reference()
            );
            let fix = format!("Give one of the two another {}", marks.join(" and "));
            found.push(Found::new(Severity::Error, dashboard.object, evidence, fix));
        }
    }
    found
}
