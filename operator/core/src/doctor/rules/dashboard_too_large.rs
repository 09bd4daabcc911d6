use serde_json::Value;

use super::super::dashboards::maps;
use super::super::kind::{Kind, Need};
use super::super::{Found, Rule, Severity, Snapshot};

pub(super) const RULE: Rule = Rule {
    id: "dashboard-too-large",
    title: "A ConfigMap with dashboards comes near the size that the API server takes",
    effect: "The next change of it is refused: `kubectl apply` from 256 KiB on because of its annotation, anything from 1 MiB on",
    fix: "One dashboard for each ConfigMap, without line breaks, applied with `--server-side`",
    needs: &[Need::Any(&[Kind::ConfigMap])],
    find,
};

/// `kubectl apply` keeps a copy in an annotation, and all annotations together may have 262144 bytes.
const APPLIED: usize = 200 << 10;
/// The API server takes 1 MiB of data.
const STORED: usize = 900 << 10;

fn find(snapshot: &Snapshot) -> Vec<Found> {
    let mut found = Vec::new();
    for map in maps(snapshot) {
        let data = map.at("/data").as_object().into_iter().flatten();
        let bytes: usize = data.filter_map(|(_, text)| text.as_str()).map(str::len).sum();
        let annotated = matches!(
            map.at("/metadata/annotations/kubectl.kubernetes.io~1last-applied-configuration"),
            Value::String(_)
        );
        let severity = match bytes {
            STORED.. => Severity::Error,
            APPLIED.. if annotated => Severity::Warning,
            _ => continue,
        };
        let evidence = format!("it holds {} KiB", bytes >> 10);
        let fix = "Put each dashboard into a ConfigMap of its own, print it without line breaks (jq -c .), and apply with --server-side";
        found.push(Found::new(severity, map, evidence, fix));
    }
    found
}
