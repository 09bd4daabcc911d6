use serde_json::Value;

use super::super::kind::{Kind, MONITORS, Need};
use super::super::scraping::monitors;
use super::super::snapshot::list;
use super::super::{Found, Rule, Severity, Snapshot, pods};

pub(super) const RULE: Rule = Rule {
    id: "several-workers",
    title: "A Python server runs several workers without a shared metrics directory",
    effect: "Each scrape shows the counters of another worker: rates and ratios are noise made of false resets",
    fix: "Set `PROMETHEUS_MULTIPROC_DIR` to an emptyDir and serve MultiProcessCollector, or run one worker and more pods",
    needs: &[Need::Any(&MONITORS), Need::Objects(Kind::Service)],
    find,
};

/// Variables that name the directory in which the workers share their metrics; the second one is the client's older name.
const SHARED: [&str; 2] = ["PROMETHEUS_MULTIPROC_DIR", "prometheus_multiproc_dir"];
/// Servers of Python that start processes of their own.
const SERVERS: [&str; 3] = ["uvicorn", "gunicorn", "hypercorn"];

fn find(snapshot: &Snapshot) -> Vec<Found> {
    let mut found = Vec::new();
    for workload in pods::workloads(snapshot) {
        let is_scraped = || {
            monitors(snapshot).any(|monitor| {
                let mut reached = monitor.workloads(snapshot).into_iter();
                reached.any(|(_, reached)| reached.reference() == workload.reference())
            })
        };
        for container in pods::containers(workload) {
            let shares = list(&container["env"])
                .iter()
                .any(|env| SHARED.iter().any(|name| env["name"] == *name));
            if let Some((number, said)) =
                workers(container).filter(|(number, _)| *number > 1 && !shares && is_scraped())
            {
                let name = container["name"].as_str().unwrap_or_default();
                let evidence = format!(
                    "container {name:?} starts {number} workers ({said}), and PROMETHEUS_MULTIPROC_DIR is not set"
                );
                let fix = "Mount an emptyDir, set PROMETHEUS_MULTIPROC_DIR to it and serve MultiProcessCollector; or run one \
                           worker and more replicas";
                found.push(Found::new(Severity::Warning, workload, evidence, fix));
            }
        }
    }
    found
}

/// How many workers a container starts, and what says so.
fn workers(container: &Value) -> Option<(u32, String)> {
    let texts = list(&container["command"])
        .iter()
        .chain(list(&container["args"]))
        .filter_map(Value::as_str);
    let words: Vec<&str> = texts.flat_map(str::split_whitespace).collect();
    let server = words
        .iter()
        .any(|word| SERVERS.iter().any(|server| word.rsplit('/').next() == Some(server)));
    if !server {
        return None;
    }
    for (index, word) in words.iter().enumerate() {
        let number = match word.split_once('=') {
            Some(("--workers", number)) => Some(number),
            None if ["--workers", "-w"].contains(word) => words.get(index + 1).copied(),
            _ => word.strip_prefix("-w").filter(|rest| !rest.is_empty()),
        };
        if let Some(number) = number.and_then(|number| number.parse().ok()) {
            return Some((number, "--workers".to_owned()));
        }
    }
    let env = list(&container["env"])
        .iter()
        .find(|env| env["name"] == "WEB_CONCURRENCY")?;
    Some((env["value"].as_str()?.parse().ok()?, "WEB_CONCURRENCY".to_owned()))
}
