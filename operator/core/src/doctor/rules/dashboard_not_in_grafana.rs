use super::super::dashboards::{dashboards, missed, sidecars};
use super::super::kind::{Kind, Need};
use super::super::{Found, Rule, Severity, Snapshot};
use crate::grafana_api::Standing;

pub(super) const RULE: Rule = Rule {
    id: "dashboard-not-in-grafana",
    title: "Grafana, asked itself, has no dashboard with the uid, or another one under it",
    effect: "Grafana does not show the dashboard, although its sidecar may load it",
    fix: "Look into the logs of Grafana and of its sidecar, or give one of the two dashboards another uid",
    needs: &[Need::Any(&[Kind::ConfigMap]), Need::Grafana],
    find,
};

fn find(snapshot: &Snapshot) -> Vec<Found> {
    let sidecars = sidecars(snapshot);
    let all = dashboards(snapshot);
    let found = all.iter().filter_map(|dashboard| {
        let judged = dashboard.in_grafana(snapshot)?;
        let map = dashboard.object;
        // Why it is not there is told by another rule then.
        let is_claimed = all.iter().filter(|other| other.uid() == dashboard.uid()).count() > 1;
        let is_missed = missed(&sidecars, map).is_some();
        if judged.standing == Standing::Loaded || is_claimed || is_missed {
            return None;
        }
        let evidence = format!("{}: {}", dashboard.key, judged.words);
        Some(Found::new(Severity::Error, map, evidence, judged.next_step))
    });
    found.collect()
}
