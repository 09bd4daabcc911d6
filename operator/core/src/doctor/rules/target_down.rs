use std::collections::BTreeMap;

use super::super::kind::{MONITORS, Need};
use super::super::scraping::of_pool;
use super::super::{Found, Rule, Severity, Snapshot, TargetHealth};
use crate::scrape_error::{Cause, cause};

pub(super) const RULE: Rule = Rule {
    id: "target-down",
    title: "Prometheus cannot scrape a target",
    effect: "There are no samples: panels are empty, and alerts on them cannot fire",
    fix: "What the error means, and what mends it, stands with the finding",
    needs: &[Need::Any(&MONITORS), Need::Prometheus],
    find: |snapshot| {
        down(snapshot, |cause| {
            ![Cause::ContentType, Cause::NotText, Cause::SampleLimit].contains(&cause)
        })
    },
};

/// The monitors with targets that are down for such a cause, one finding for each error.
pub(super) fn down(snapshot: &Snapshot, wanted: impl Fn(Cause) -> bool) -> Vec<Found> {
    let mut found = Vec::new();
    for answers in &snapshot.prometheuses {
        let mut pools: BTreeMap<&str, Vec<_>> = BTreeMap::new();
        for target in answers.targets.iter().flatten() {
            pools.entry(&target.scrape_pool).or_default().push(target);
        }
        for (pool, targets) in pools {
            let down: Vec<_> = targets
                .iter()
                .filter(|target| target.health == TargetHealth::Down)
                .collect();
            let first = down.iter().min_by_key(|target| &target.scrape_url);
            let (Some(target), Some(monitor)) = (first, of_pool(snapshot, pool)) else {
                continue;
            };
            let cause = cause(&target.last_error);
            if !wanted(cause) {
                continue;
            }
            let evidence = format!(
                "{}: {} of {} targets are down; {} says {:?}: {}",
                answers.who,
                down.len(),
                targets.len(),
                target.scrape_url,
                target.last_error,
                cause.words()
            );
            // Of several pods one may just start.
            let severity = if down.len() == targets.len() {
                Severity::Error
            } else {
                Severity::Warning
            };
            found.push(Found::new(severity, monitor, evidence, cause.next_step()));
        }
    }
    found
}
