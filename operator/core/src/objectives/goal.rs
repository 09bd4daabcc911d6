//! One objective with its numbers.

use observed_crds::v1alpha1::{self as api, Severity, State};

use super::burn::{self, Burn, DAY};
use super::share::Share;
use super::{Service, indicator};
use crate::duration;
use crate::finding::{Code, Finding};
use crate::plan::{Events, Indicator};
use crate::promql::{Selector, quoted};

/// Time over which an objective holds when it names none. Google's workbook and every generator of rules use it.
const DEFAULT_WINDOW: &str = "30d";
/// Days that an objective may last.
const DAYS: std::ops::RangeInclusive<u32> = 7..=90;
/// Bad events below which an alert stays silent: a person who is called for less finds nothing that could be seen.
const DEFAULT_MIN_BAD_EVENTS: i32 = 5;

/// Names of what is recorded; the window is a label.
pub(super) const EVENTS: &str = "observed:slo_events:increase";
pub(super) const BAD_EVENTS: &str = "observed:slo_bad_events:increase";
pub(super) const ERROR_RATIO: &str = "observed:slo_errors:ratio_rate";
pub(super) const BUDGET: &str = "observed:slo_error_budget:remaining_ratio";

/// One objective with its numbers.
pub(super) struct Goal<'a> {
    pub(super) service: &'a Service<'a>,
    pub(super) name: &'a str,
    /// What every selector of its recorded series begins with.
    matchers: String,
    pub(super) target: Share,
    /// Seconds over which it holds.
    pub(super) period: u32,
    pub(super) texts: Texts,
    pub(super) min_bad_events: u32,
    pub(super) indicator: Indicator,
    /// The bound of the bucket of good events, as client libraries write it.
    pub(super) bound: Option<String>,
    /// The burn-rate alerts that it has.
    pub(super) burns: Vec<Burn>,
    /// It says when it is not measured.
    pub(super) unmeasured: bool,
}

/// Its numbers in words: most of its texts name them.
pub(super) struct Texts {
    /// The time over which it holds, as a duration.
    pub(super) period: String,
    /// The target as a percentage.
    pub(super) target: String,
    /// The share of events that may be bad, as a percentage and as a number.
    pub(super) budget: String,
    pub(super) budget_decimal: String,
}

impl<'a> Goal<'a> {
    /// The objective with what is worth knowing about it. None when what it counts is in doubt for another reason.
    pub(super) fn of(
        written: &'a api::Objective,
        path: &str,
        service: &'a Service<'a>,
    ) -> Result<Option<(Self, Vec<Finding>)>, Vec<Finding>> {
        let mut findings = Vec::new();
        let target = target(written, path, &mut findings);
        let period = period(written, path, &mut findings);
        let mut warnings = Vec::new();
        let measured = indicator::measured(&written.sli, path, service, &mut findings, &mut warnings);
        let (Some(target), Some(period)) = (target, period) else {
            return Err(findings);
        };
        let on = |state: Option<State>| state != Some(State::Disabled);
        let alerts = written.alerts.clone().unwrap_or_default();
        let (mut burns, mut silenced) = (Vec::new(), Vec::new());
        for burn in burn::burns(service.interval_seconds) {
            let wanted = match burn.severity {
                Severity::Critical => on(alerts.page),
                Severity::Warning | Severity::Info => on(alerts.ticket),
            };
            if wanted && burn.factor(period).times(target.rest()).can_be_exceeded() {
                burns.push(burn);
            } else if wanted {
                silenced.push(burn);
            }
        }
        if !silenced.is_empty() {
            let finding = never_fires(&written.target, path, period, &silenced, burns.is_empty());
            if burns.is_empty() {
                findings.push(finding);
            } else {
                warnings.push(finding);
            }
        }
        if !findings.is_empty() {
            return Err(findings);
        }
        let Some((indicator, bound)) = measured else {
            return Ok(None);
        };
        if indicator.flows.is_empty() {
            warnings.push(unproven(path, &indicator));
        }
        let min_bad_events = written.min_bad_events.unwrap_or(DEFAULT_MIN_BAD_EVENTS);
        let goal = Self {
            service,
            name: &written.name,
            matchers: format!(
                "namespace={},service={},objective={}",
                quoted(service.namespace),
                quoted(service.name),
                quoted(&written.name)
            ),
            target,
            period,
            texts: Texts {
                period: duration::text(period),
                target: target.percent(),
                budget: target.rest().percent(),
                budget_decimal: target.rest().decimal(),
            },
            min_bad_events: u32::try_from(min_bad_events).unwrap_or_default(),
            indicator,
            bound,
            burns,
            unmeasured: on(alerts.unmeasured),
        };
        Ok(Some((goal, warnings)))
    }

    /// The error ratio above which an alert fires.
    pub(super) fn threshold(&self, burn: Burn) -> Share {
        burn.factor(self.period).times(self.target.rest())
    }

    /// Names of the metrics that it is measured by.
    pub(super) fn metrics(&self) -> Vec<String> {
        let needs = self.indicator.needs.iter();
        let metrics = needs.filter_map(|needed| Some(Selector::parse(needed).ok()?.metric().to_owned()));
        metrics.collect()
    }

    /// A recorded series of the objective, over a window that is written as a duration.
    pub(super) fn series(&self, record: &str, window: &str) -> String {
        [record, "{", &self.matchers, ",window=\"", window, "\"}"].concat()
    }
}

fn target(written: &api::Objective, path: &str, findings: &mut Vec<Finding>) -> Option<Share> {
    let target = Share::of_percent(&written.target);
    if target.is_none() {
        findings.push(Finding::error(
            Code::InvalidValue,
            format!("{path}.target"),
            format!(
                "{:?} is not a percentage greater than 0 and less than 100",
                written.target
            ),
            "Write it with at most five decimals and its sign, for instance \"99.9%\"",
        ));
    }
    target
}

fn period(written: &api::Objective, path: &str, findings: &mut Vec<Finding>) -> Option<u32> {
    let text = written.window.as_deref().unwrap_or(DEFAULT_WINDOW);
    let days = text.strip_suffix('d').and_then(|days| days.parse().ok());
    let days = days.filter(|days: &u32| DAYS.contains(days));
    if days.is_none() {
        findings.push(Finding::error(
            Code::Duration,
            format!("{path}.window"),
            format!(
                "{text:?} is not a number of days from {}d to {}d",
                DAYS.start(),
                DAYS.end()
            ),
            format!("Write it in days; the default is {DEFAULT_WINDOW:?}"),
        ));
    }
    days.map(|days| days * DAY)
}

/// A ratio is never above 1, so that an alert with such a threshold is one that nobody ever hears of.
fn never_fires(target: &str, path: &str, period: u32, silenced: &[Burn], all: bool) -> Finding {
    let each: Vec<String> = silenced
        .iter()
        .map(|burn| {
            // The target at which the threshold is 1: 1 - 1 / factor.
            let least = Share::new(1, 1).per(burn.factor(period)).rest();
            format!(
                "that of {} needs at least {}",
                duration::text(burn.long),
                least.next_hundredth().percent()
            )
        })
        .collect();
    let make = if all { Finding::error } else { Finding::warning };
    let message = if all {
        format!(
            "with the target {target:?} over {} no burn-rate alert can ever fire",
            duration::text(period)
        )
    } else {
        format!(
            "with the target {target:?} over {} some burn-rate alerts can never fire and are left out",
            duration::text(period)
        )
    };
    make(
        Code::InvalidValue,
        format!("{path}.target"),
        message,
        format!(
            "Their error ratio would have to be above 100%. Set a higher target or a shorter window: {}",
            each.join(", ")
        ),
    )
}

fn unproven(path: &str, indicator: &Indicator) -> Finding {
    let (problem, help) = match indicator.total {
        Events::Expression(_) => (
            "no series could be imagined of which it is clear what the expressions count",
            "It is clear of sums of increase(), where all counters but one may be missing (or vector(0)) and no event is counted twice",
        ),
        Events::Counters(_) | Events::Natives(_) => (
            "no bad event could be imagined that the selectors tell from a good one",
            "Make sure that total also selects events that are not good",
        ),
    };
    Finding::warning(
        Code::Expression,
        format!("{path}.sli.{}", indicator.name),
        format!("{problem}, so that the alerts are not proven by drills"),
        help,
    )
}
