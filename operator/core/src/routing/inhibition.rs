//! Which alerts an inhibit rule keeps from anybody, as Alertmanager applies it: while an alert of its source fires, those of
//! its target are not told, if both have the same values of its `equal` labels. An alert that is on both sides is not
//! inhibited by another one that is.

use serde_json::Value;

use super::{Alert, EXTERNAL, Match, Routing, Written, all, written};
use crate::promql::Expression;
use crate::yaml::list;

#[derive(Debug)]
pub(super) struct InhibitRule {
    source: Vec<Written>,
    target: Vec<Written>,
    equal: Vec<String>,
}

/// What an inhibit rule does to an alert.
#[derive(Clone, Debug, PartialEq)]
pub enum Inhibited {
    /// An alert that always fires inhibits it: it is never told.
    ForEver {
        /// That alert.
        by: String,
    },
    /// It and another one inhibit each other: when both fire, neither is told.
    Mutually {
        /// The other one.
        with: String,
    },
    /// While something else fires.
    While {
        /// What, by the matchers of the rule.
        source: String,
        /// Whether that may be an alert of any other namespace or service.
        untied: bool,
    },
}

/// Whether an expression reads nothing, so that it is always the same: `vector(1)`.
pub fn always_fires(expr: &Expression) -> bool {
    expr.metrics().is_empty() && expr.labels().is_empty()
}

impl InhibitRule {
    pub(super) fn read(rule: &Value) -> Self {
        let equal = list(&rule["equal"]).iter().filter_map(Value::as_str);
        Self {
            source: written(rule, ["source_match", "source_match_re", "source_matchers"]),
            target: written(rule, ["target_match", "target_match_re", "target_matchers"]),
            equal: equal.map(str::to_owned).collect(),
        }
    }

    /// Whether an alert inhibits another one.
    fn inhibits(&self, source: &Alert, target: &Alert) -> Match {
        let sides = [(&self.source, source), (&self.target, target)].map(|(side, alert)| all(side, alert));
        let both = [(&self.source, target), (&self.target, source)].map(|(side, alert)| all(side, alert));
        if sides.contains(&Match::No) || both == [Match::Yes, Match::Yes] {
            return Match::No;
        }
        let equal = self.equal.iter().map(|label| same(label, source, target));
        let guard = if both.contains(&Match::No) {
            Match::Yes
        } else {
            Match::Perhaps
        };
        let mut certain = Match::Yes;
        for part in equal.chain(sides).chain([guard]) {
            match part {
                Match::No => return Match::No,
                Match::Perhaps => certain = Match::Perhaps,
                Match::Yes => {}
            }
        }
        certain
    }

    /// Whether alerts of other services may be its source: nothing ties the two sides together.
    fn is_untied(&self) -> bool {
        let ties = ["namespace", "service", "job", "pod", "instance"];
        let tied = self.equal.iter().any(|label| ties.contains(&label.as_str()));
        let named = self
            .source
            .iter()
            .any(|(label, op, _)| *op == "=" && ties.contains(&label.as_str()));
        !tied && !named
    }

    fn source(&self) -> String {
        let parts = self
            .source
            .iter()
            .map(|(label, op, value)| format!("{label}{op}{value:?}"));
        parts.collect::<Vec<_>>().join(",")
    }
}

/// Whether two alerts have the same value of a label. None is as good as an empty one.
fn same(label: &str, one: &Alert, other: &Alert) -> Match {
    let value = |alert: &Alert| match alert.known.get(label) {
        Some(value) => Some(value.clone()),
        None => (!alert.may_have(label)).then(String::new),
    };
    match (value(one), value(other)) {
        // Those of one Prometheus, which it gives to all of its alerts.
        _ if EXTERNAL.contains(&label) => Match::Yes,
        (Some(one), Some(other)) if one == other => Match::Yes,
        (Some(_), Some(_)) => Match::No,
        _ => Match::Perhaps,
    }
}

impl Routing {
    /// What inhibit rules do to an alert, where `always` are alerts that always fire and `others` its own kind: the worst
    /// thing of each rule.
    pub fn inhibited(&self, alert: &Alert, always: &[Alert], others: &[Alert]) -> Vec<Inhibited> {
        let certain = |source: &Alert, target: &Alert| {
            self.inhibit
                .iter()
                .any(|rule| rule.inhibits(source, target) == Match::Yes)
        };
        let mut found = Vec::new();
        for rule in &self.inhibit {
            if all(&rule.target, alert) == Match::No {
                continue;
            }
            let by = always.iter().find(|source| rule.inhibits(source, alert) == Match::Yes);
            let with = others
                .iter()
                .find(|other| rule.inhibits(other, alert) == Match::Yes && certain(alert, other));
            found.push(match (by, with) {
                (Some(by), _) => Inhibited::ForEver {
                    by: by.name().to_owned(),
                },
                (None, Some(other)) => Inhibited::Mutually {
                    with: other.name().to_owned(),
                },
                (None, None) => Inhibited::While {
                    source: rule.source(),
                    untied: rule.is_untied(),
                },
            });
        }
        found
    }
}
