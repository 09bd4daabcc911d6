//! What is to be done about alerts: each of them is one that the service can have.

use std::collections::BTreeSet;

use observed_crds::v1alpha1::ObservedServiceSpec;
use observed_crds::v1alpha1::signal_pack::{Alert, SignalPack};

use crate::duration;
use crate::finding::{Code, Finding, nearest};
use crate::packs::Packs;
use crate::plan::{Objective, Pack};

const OF_DEPENDENCY: &str = "a dependency, and no restart of the service mends what it depends on";
const OF_RULES: &str = "rules in Prometheus, and no restart of the service mends those";

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
    /// Those that packs have, each with what it is about where no restart helps.
    fn of_packs(&self) -> impl Iterator<Item = (&str, Option<&'static str>)> {
        self.known.packs.iter().chain(self.own).flat_map(|pack| {
            let alerts = pack.spec.signals.iter().flat_map(|signal| &signal.alerts);
            alerts.map(|alert| (alert.name.as_str(), self.beyond_a_restart(pack, alert)))
        })
    }

    fn beyond_a_restart(&self, pack: &SignalPack, alert: &Alert) -> Option<&'static str> {
        if self.known.whole(pack).spec.dependency.is_some() {
            return Some(OF_DEPENDENCY);
        }
        // One without a value reads what is recorded, which nothing of rules is.
        let value = alert.value.as_deref()?;
        self.known.read_of_rules(pack, value).map(|_| OF_RULES)
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
    let (beyond, of_service): (Vec<_>, Vec<_>) = alerts.of_packs().partition(|(_, about)| about.is_some());
    let mut possible: BTreeSet<&str> = of_service.into_iter().map(|(alert, _)| alert).collect();
    possible.extend(of_objectives.map(|alert| alert.name.as_str()));
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
        let is_it = |(name, _): &&(&str, _)| *name == alert && !possible.contains(alert);
        if let Some((_, Some(about))) = beyond.iter().find(is_it) {
            errors.push(Finding::error(
                Code::InvalidValue,
                format!("{path}.alert"),
                format!("{alert:?} is about {about}"),
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
