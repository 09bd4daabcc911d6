use super::super::kind::{MONITORS, Need};
use super::super::scraping::monitors;
use super::super::{Found, Rule, Severity, Snapshot};
use crate::duration;

pub(super) const RULE: Rule = Rule {
    id: "scrape-timeout",
    title: "The scrape timeout is longer than the interval",
    effect: "prometheus-operator rejects the whole monitor: none of its endpoints is scraped",
    fix: "Let `scrapeTimeout` be at most `interval`",
    needs: &[Need::Any(&MONITORS)],
    find,
};

fn find(snapshot: &Snapshot) -> Vec<Found> {
    let mut found = Vec::new();
    for monitor in monitors(snapshot) {
        for endpoint in &monitor.endpoints {
            let text = |field: &str| endpoint.value[field].as_str();
            let (Some(interval), Some(timeout)) = (text("interval"), text("scrapeTimeout")) else {
                continue;
            };
            let (Some(most), Some(asked)) = (duration::millis(interval), duration::millis(timeout)) else {
                continue;
            };
            if asked > most {
                let field = endpoint.field(monitor.object.kind);
                let evidence = format!("{field}.scrapeTimeout is {timeout}, and its interval {interval}");
                let fix = format!("Set {field}.scrapeTimeout to {interval} or less");
                found.push(Found::new(Severity::Error, monitor.object, evidence, fix));
            }
        }
    }
    found
}
