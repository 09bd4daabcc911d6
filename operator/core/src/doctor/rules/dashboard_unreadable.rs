use serde_json::Value;

use super::super::dashboards::dashboards;
use super::super::kind::{Kind, Need};
use super::super::{Found, Rule, Severity, Snapshot};

pub(super) const RULE: Rule = Rule {
    id: "dashboard-unreadable",
    title: "A dashboard is no JSON, is wrapped as for Grafana's HTTP API, or has no title",
    effect: "Grafana leaves it out, and says so only in its log: `Dashboard title cannot be empty`",
    fix: "The file holds the dashboard itself: an object with `title`, not one with `dashboard` in it",
    needs: &[Need::Any(&[Kind::ConfigMap])],
    find,
};

fn find(snapshot: &Snapshot) -> Vec<Found> {
    let mut found = Vec::new();
    for dashboard in dashboards(snapshot) {
        let key = dashboard.key;
        let (evidence, fix) = match &dashboard.json {
            Err(error) => (format!("{key} is no JSON: {error}"), "Correct the file".to_owned()),
            Ok(json) if json.get("dashboard").is_some_and(Value::is_object) && json.get("panels").is_none() => (
                format!("{key} wraps the dashboard in \"dashboard\", which is what Grafana's HTTP API takes"),
                "Write what stands in \"dashboard\" as the whole file: jq .dashboard".to_owned(),
            ),
            // The resource forms of Grafana 12 and later.
            Ok(json) if json.get("apiVersion").is_some() && json.get("spec").is_some() => continue,
            Ok(json) if json["title"].as_str().is_none_or(str::is_empty) => {
                (format!("{key} has no title"), "Set title".to_owned())
            }
            Ok(_) => continue,
        };
        found.push(Found::new(Severity::Error, dashboard.object, evidence, fix));
    }
    found
}
