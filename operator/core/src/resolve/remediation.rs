//! What is to be done about alerts: each of them is one that the service can have.

use std::collections::BTreeSet;

use observed_crds::v1alpha1::ObservedServiceSpec;
use observed_crds::v1alpha1::signal_pack::{Alert, Scope, Signal, SignalPack};

use crate::duration;
use crate::finding::{Code, Finding, nearest};
use crate::packs::Packs;
use crate::plan::{Objective, Pack};

/// What an alert of a pack is about.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum About {
    Service,
    Dependency,
    Rules,
}

/// Where alerts come from.
pub(super) struct Alerts<'a> {
    pub(super) known: &'a Packs,
    pub(super) own: &'a [SignalPack],
    /// The packs that apply. None: they are in doubt.
    pub(super) tied: Option<&'a [Pack]>,
    /// None: they are in doubt.
    pub(super) objectives: Option<&'a [Objective]>,
}

impl Alerts<'_> {
    /// Those that packs have about it.
    fn of_packs(&self, about: About) -> BTreeSet<&str> {
        let packs = self.known.packs.iter().chain(self.own);
        let signals = packs.flat_map(|pack| pack.spec.signals.iter().map(move |signal| (pack, signal)));
        let alerts = signals.flat_map(|(pack, signal)| signal.alerts.iter().map(move |alert| (pack, signal, alert)));
        let alerts = alerts.filter(|(pack, signal, alert)| self.about(pack, signal, alert) == about);
        alerts.map(|(_, _, alert)| alert.name.as_str()).collect()
    }

    fn about(&self, pack: &SignalPack, signal: &Signal, alert: &Alert) -> About {
        if pack.spec.dependency.is_some() {
            return About::Dependency;
        }
        let recorded = signal.record.as_ref().map(|record| record.expr.as_str());
        let read = alert.value.as_deref().or(recorded).unwrap_or_default();
        // What cannot be parsed is told where it is tied.
        let read = self.known.expression(read).ok();
        let of_rules = |metric: &str| {
            let mut series = pack.spec.series.iter();
            series.any(|series| series.name == metric && series.scope == Scope::Rules)
        };
        match read.is_some_and(|read| read.selected().any(of_rules)) {
            true => About::Rules,
            false => About::Service,
        }
    }

    /// Those that are generated. None: that is in doubt.
    fn generated(&self) -> Option<BTreeSet<&str>> {
        let of_packs = self.tied?.iter().flat_map(|pack| &pack.alerts);
        let of_objectives = self.objectives?.iter().flat_map(|objective| &objective.alerts);
        Some(of_packs.chain(of_objectives).map(|alert| alert.name.as_str()).collect())
    }
}

/// What is worth knowing about it.
pub(super) fn remediation(spec: &ObservedServiceSpec, alerts: &Alerts<'_>) -> Result<Vec<Finding>, Vec<Finding>> {
    let Some(remediation) = &spec.remediation else {
        return Ok(Vec::new());
    };
    let (mut errors, mut warnings) = (Vec::new(), Vec::new());
    let generated = alerts.generated();
    let of_objectives = alerts
        .objectives
        .into_iter()
        .flatten()
        .flat_map(|objective| &objective.alerts);
    let mut possible = alerts.of_packs(About::Service);
    possible.extend(of_objectives.map(|alert| alert.name.as_str()));
    let beyond = [
        (
            About::Dependency,
            "a dependency, and no restart of the service mends what it depends on",
        ),
        (
            About::Rules,
            "rules in Prometheus, and no restart of the service mends those",
        ),
    ]
    .map(|(about, words)| (alerts.of_packs(about), words));
    let all_known = generated.is_some() || spec.objectives.is_empty();
    let mut seen = BTreeSet::new();
    for (index, action) in remediation.actions.iter().enumerate() {
        let (path, alert) = (format!("spec.remediation.actions[{index}]"), action.alert.as_str());
        if !seen.insert(alert) {
            errors.push(Finding::error(
                Code::InvalidValue,
                format!("{path}.alert"),
                format!("there is another action for {alert:?}"),
                "Give each alert one action",
            ));
        }
        if let Some(after) = action
            .after
            .as_deref()
            .filter(|after| duration::seconds(after).is_none())
        {
            errors.push(Finding::error(
                Code::InvalidValue,
                format!("{path}.after"),
                format!("{after:?} is not a duration of whole seconds, or is zero"),
                "Write it as 90s, 5m or 1h30m",
            ));
        }
        let beyond = beyond
            .iter()
            .find(|(of, _)| of.contains(alert) && !possible.contains(alert));
        if let Some((_, words)) = beyond {
            errors.push(Finding::error(
                Code::InvalidValue,
                format!("{path}.alert"),
                format!("{alert:?} is about {words}"),
                "Name an alert of the service itself, or leave the action out",
            ));
        } else if !possible.contains(alert) && all_known {
            let meant = nearest(alert, possible.iter().copied());
            let guess = meant
                .map(|meant| format!("Did you mean {meant:?}? "))
                .unwrap_or_default();
            let of_service = generated.iter().flatten().filter(|alert| possible.contains(**alert));
            let all: Vec<&str> = of_service.copied().collect();
            errors.push(Finding::error(
                Code::UnknownSignal,
                format!("{path}.alert"),
                format!("no pack and no objective has an alert {alert:?}"),
                format!("{guess}The alerts of the service are: {}", all.join(", ")),
            ));
        } else if generated.as_ref().is_some_and(|generated| !generated.contains(alert)) {
            warnings.push(Finding::warning(
                Code::UnknownSignal,
                format!("{path}.alert"),
                format!("the service has no alert {alert:?} as it is, so that nothing is done about it"),
                "See SignalsResolved for what is left out, and spec.signals for which packs apply and what is disabled",
            ));
        }
    }
    if errors.is_empty() { Ok(warnings) } else { Err(errors) }
}

#[cfg(test)]
mod tests;
