//! The panels of an objective.

use observed_crds::v1alpha1::Severity;
use observed_crds::v1alpha1::signal_pack::Unit;

use super::alerts::{BURNING, UNMEASURED};
use super::burn::{Burn, HOUR, burns};
use super::goal::{BUDGET, ERROR_RATIO, Goal, Texts};
use crate::duration;
use crate::plan::{Panel, PanelQuery, Threshold};

/// What is good of the last hour and of the window; what is left of the budget; how fast it burns.
pub(super) fn panels(goal: &Goal<'_>) -> Vec<Panel> {
    let name = goal.name;
    let Texts {
        period,
        target,
        budget,
        budget_decimal,
    } = &goal.texts;
    let query = |expr: String, legend: String| PanelQuery {
        expr,
        legend,
        step_seconds: goal.service.interval_seconds,
    };
    let last = |window: &str| format!("last {window}");
    let good = |window: &str| query(format!("1 - {}", goal.series(ERROR_RATIO, window)), last(window));
    let left = || query(goal.series(BUDGET, period), format!("left of {period}"));
    let burning = |burn: Burn| {
        let window = duration::text(burn.long);
        let ratio = goal.series(ERROR_RATIO, &window);
        query(format!("{ratio} / {budget_decimal}"), last(&window))
    };
    let line = |value: f64, above: bool, severity: Severity| Threshold { value, above, severity };
    let of_burn = |burn: &Burn| line(burn.factor(goal.period).value(), true, burn.severity);
    let alerts = [(!goal.burns.is_empty(), BURNING), (goal.unmeasured, UNMEASURED)];
    let alerts = alerts.into_iter().filter(|(is_on, _)| *is_on);
    let alerts: Vec<String> = alerts.map(|(_, alert)| alert.to_owned()).collect();
    vec![
        Panel {
            title: format!("{name}: good events"),
            description: format!(
                "Share of good events of the last hour and of the last {period}. The line is the target, {target}. Absent \
                 without an event."
            ),
            unit: Unit::Ratio,
            queries: vec![good(&duration::text(HOUR)), good(period)],
            min: None,
            max: Some(1.0),
            thresholds: vec![line(goal.target.value(), false, Severity::Warning)],
            overview: Vec::new(),
            alerts: alerts.clone(),
        },
        Panel {
            title: format!("{name}: error budget left"),
            description: format!(
                "What is left of the {budget} of all events of the last {period} that may be bad. 100% when none was bad, \
                 below 0 when the objective of {target} is missed."
            ),
            unit: Unit::Ratio,
            queries: vec![left()],
            min: None,
            max: Some(1.0),
            thresholds: vec![line(0.0, false, Severity::Critical)],
            overview: vec![left()],
            alerts: alerts.clone(),
        },
        Panel {
            title: format!("{name}: burn rate"),
            description: format!(
                "How many times faster than allowed the error budget goes. At 1 it lasts exactly {period}. The lines are \
                 where the alerts fire, each for its own window."
            ),
            unit: Unit::Count,
            queries: burns(goal.service.interval_seconds).map(burning).to_vec(),
            min: Some(0.0),
            max: None,
            thresholds: goal.burns.iter().map(of_burn).collect(),
            overview: Vec::new(),
            alerts,
        },
    ]
}
