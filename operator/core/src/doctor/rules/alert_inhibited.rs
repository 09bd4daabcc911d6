use std::collections::BTreeMap;

use super::super::kind::{Kind, Need};
use super::super::snapshot::Snapshot;
use super::super::{Found, Rule, Severity, alerts};
use crate::routing::{Alert, Inhibited, Routing, always_fires};

pub(super) const RULE: Rule = Rule {
    id: "alert-inhibited",
    title: "An inhibit rule keeps alerts from everybody whenever they fire",
    effect: "They fire, and nobody is told: what inhibits them always fires, or is inhibited by them in turn",
    fix: "Tie the source and the target of the inhibit rule together with `equal`, or narrow its matchers",
    needs: &[Need::Any(&[Kind::PrometheusRule]), Need::Alertmanager],
    find,
};

fn find(snapshot: &Snapshot) -> Vec<Found> {
    let mut always = Vec::new();
    for rule in alerts::written(snapshot) {
        let constant = rule.parsed().is_some_and(|expr| always_fires(&expr));
        if let Some(name) = rule.alert().filter(|_| constant) {
            let mut labels = rule.labels();
            labels.insert("alertname".to_owned(), name.to_owned());
            always.push(Alert::fired(labels));
        }
    }
    let mut found = Vec::new();
    for object in snapshot.of(Kind::PrometheusRule) {
        let ours: Vec<Alert> = alerts::of(object)
            .filter_map(|rule| Some(Alert::of(rule.alert()?, &rule.labels(), rule.parsed()?)))
            .filter(Alert::is_for_somebody)
            .collect();
        let mut told: BTreeMap<(&str, String), Vec<&str>> = BTreeMap::new();
        for answers in &snapshot.alertmanagers {
            let Some(routing) = answers.config.as_ref().ok().and_then(|text| Routing::read(text)) else {
                continue;
            };
            for alert in &ours {
                for inhibited in routing.inhibited(alert, &always, &ours) {
                    let by = match inhibited {
                        Inhibited::ForEver { by } => format!("by {by}, which always fires"),
                        Inhibited::Mutually { with } => format!("by {with}, which it inhibits in turn"),
                        Inhibited::While { .. } => continue,
                    };
                    told.entry((&answers.who, by)).or_default().push(alert.name());
                }
            }
        }
        for ((who, by), mut names) in told {
            names.dedup();
            let evidence = format!("{who} inhibits {} {by}", names.join(", "));
            let fix = "Give that inhibit rule equal: [namespace, service], or matchers that fit less";
            found.push(Found::new(Severity::Error, object, evidence, fix));
        }
    }
    found
}
