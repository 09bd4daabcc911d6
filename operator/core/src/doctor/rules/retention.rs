use std::time::Duration;

use super::super::kind::{Kind, Need};
use super::super::selectors::selected_by;
use super::super::snapshot::Object;
use super::super::{Found, Rule, Severity, Snapshot, alerts};
use crate::duration;

pub(super) const RULE: Rule = Rule {
    id: "retention",
    title: "A rule looks further back than Prometheus keeps samples",
    effect: "It computes over what is left and looks right: a budget of 30 days is one of a few days",
    fix: "Set `spec.retention` of the Prometheus to more than the longest window, or shorten the window",
    needs: &[Need::Any(&[Kind::PrometheusRule]), Need::Objects(Kind::Prometheus)],
    find,
};

/// What a Prometheus resource without a retention keeps (the CRD's default).
const DEFAULT: &str = "24h";

fn find(snapshot: &Snapshot) -> Vec<Found> {
    let mut found = Vec::new();
    for object in snapshot.of(Kind::PrometheusRule) {
        let reach = |rule: alerts::Written<'_>| {
            let reach = rule.parsed()?.reach(&|_| Duration::ZERO).as_secs();
            Some((reach, rule.name().to_owned()))
        };
        let Some((reach, name)) = alerts::of(object).filter_map(reach).max() else {
            continue;
        };
        for reader in selected_by(snapshot, object) {
            let Some((written, kept)) = kept(reader) else { continue };
            if reach > kept {
                let reach = duration::text(u32::try_from(reach).unwrap_or(u32::MAX));
                let evidence = format!(
                    "{name:?} looks back {reach}, and {} keeps {written}",
                    reader.reference()
                );
                let fix = format!("Set spec.retention of {} to more than {reach}", reader.reference());
                let patch = serde_json::json!({"spec": {"retention": reach}});
                found.push(Found::new(Severity::Warning, object, evidence, fix).patch(&reader.reference(), &patch));
            }
        }
    }
    found
}

/// How long it keeps samples, as written and in seconds. None: by size, or somewhere else.
fn kept(reader: &Object) -> Option<(&str, u64)> {
    let elsewhere = !reader.list("/spec/remoteRead").is_empty();
    if reader.kind != Kind::Prometheus || elsewhere {
        return None;
    }
    let written = match (reader.text("/spec/retention"), reader.text("/spec/retentionSize")) {
        (Some(written), _) if !written.is_empty() => written,
        (_, None) => DEFAULT,
        _ => return None,
    };
    Some((written, duration::long_seconds(written)?))
}
