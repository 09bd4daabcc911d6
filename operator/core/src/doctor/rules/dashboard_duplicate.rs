use std::collections::BTreeMap;

use super::super::dashboards::{Dashboard, Sidecar, dashboards, sidecars};
use super::super::kind::{Kind, Need};
use super::super::{Found, Rule, Severity, Snapshot};

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
    let all = dashboards(snapshot);
    let mut found = Vec::new();
    let mut seen: BTreeMap<(&str, String, String), &Dashboard<'_>> = BTreeMap::new();
    for dashboard in &all {
        let Ok(json) = &dashboard.json else { continue };
        // Grafanas that load different ConfigMaps do not mind.
        let loading: Vec<&Sidecar<'_>> = sidecars
            .iter()
            .filter(|sidecar| sidecar.misses(dashboard.object).is_none())
            .collect();
        let homes: Vec<String> = match loading.as_slice() {
            [] => vec![String::new()],
            loading => loading
                .iter()
                .map(|sidecar| sidecar.workload.reference().to_string())
                .collect(),
        };
        let folder = loading
            .first()
            .and_then(|sidecar| sidecar.folder)
            .unwrap_or("grafana_folder");
        let annotations = dashboard.object.at("/metadata/annotations");
        let folder = annotations[folder].as_str().unwrap_or_default();
        let unique = loading.first().is_some_and(|sidecar| sidecar.unique_files);
        let text = |field: &str| json[field].as_str().filter(|text| !text.is_empty());
        let marks = [
            ("uid", text("uid").map(str::to_owned)),
            ("title", text("title").map(|title| format!("{folder}/{title}"))),
            ("key", (!unique).then(|| format!("{folder}/{}", dashboard.key))),
        ];
        let mut same: Option<(&Dashboard<'_>, Vec<&str>)> = None;
        for home in &homes {
            for (mark, value) in marks.iter().filter_map(|(mark, value)| Some((*mark, value.clone()?))) {
                match seen.get(&(mark, home.clone(), value.clone())) {
                    Some(first) => same.get_or_insert((first, Vec::new())).1.push(mark),
                    None => {
                        seen.insert((mark, home.clone(), value), dashboard);
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
