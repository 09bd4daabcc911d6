//! The proof of the alerts, as files that promtool runs: it evaluates the very rules that Prometheus would load.

mod native;
pub mod replay;
mod series;

use std::collections::BTreeMap;

use observed_crds::foreign::RuleGroup;
use serde::Serialize;

use crate::duration;
use crate::plan::{Alert, Case, Course, Input, Plan};
use crate::promql::quoted;
use crate::signals::rule_groups;
use series::Home;

/// Evaluations that a verdict is waited for beyond the time that it needs at least.
const SLACK: u32 = 4;
/// How often rules are evaluated until a verdict: the file, the longest time to a verdict and the step, in seconds. The
/// first one goes in the steps of the scrape.
const PACES: [(&str, u32, u32); 3] = [
    ("drills", 3600, 0),
    // Less than the five minutes after which Prometheus forgets a recorded value.
    ("drills-slow", 12 * 3600, 240),
    // No drill of these reads a recorded value of an evaluation before.
    ("drills-slowest", u32::MAX, 1800),
];

/// The file for the alerts of objectives.
const OBJECTIVES: &str = "drills-objectives";

/// A file of unit tests.
#[derive(Clone, Debug)]
pub struct DrillFile {
    /// Name without the extension.
    pub name: &'static str,
    /// The tests.
    pub text: String,
}

/// A Prometheus rule file.
#[derive(Debug, Serialize)]
struct RuleFile {
    groups: Vec<RuleGroup>,
}

/// A promtool unit-test file.
#[derive(Debug, Serialize)]
struct TestFile {
    rule_files: Vec<String>,
    evaluation_interval: String,
    tests: Vec<Test>,
}

/// A test of one case, and what it proves.
#[derive(Debug, Serialize)]
pub struct Test {
    /// The alert.
    #[serde(skip)]
    pub alert: String,
    /// Seconds after its start by which the alert must fire in it. None if it must stay silent.
    #[serde(skip)]
    pub fires_by_seconds: Option<u32>,
    /// Name of the test: the alert, and the case in words.
    pub name: String,
    interval: String,
    input_series: Vec<InputSeries>,
    promql_expr_test: Vec<Expectation>,
}

#[derive(Debug, Serialize)]
struct InputSeries {
    series: String,
    values: String,
}

#[derive(Debug, Serialize)]
struct Expectation {
    expr: String,
    eval_time: String,
    exp_samples: Vec<Sample>,
}

#[derive(Debug, Serialize)]
struct Sample {
    labels: String,
    value: f64,
}

/// The rules of the plan as a Prometheus rule file.
///
/// # Errors
/// They cannot be written as YAML.
pub fn rules_file(plan: &Plan) -> Result<String, serde_saphyr::SerializeError> {
    serde_saphyr::to_string(&RuleFile {
        groups: rule_groups(plan),
    })
}

/// Unit tests of the rules for `promtool test rules`, one a case. `rules` is the path of the rule file as seen from the
/// files that these are written to. Alerts that look back far have a file of their own, in which rules are evaluated less
/// often: a file has one interval, and a week in steps of half a minute takes minutes to go through.
///
/// # Errors
/// They cannot be written as YAML.
pub fn drills(plan: &Plan, rules: &str) -> Result<Vec<DrillFile>, serde_saphyr::SerializeError> {
    let mut files: BTreeMap<(&str, u32), Vec<Test>> = BTreeMap::new();
    for (clock, test) in paced(plan) {
        files.entry((clock.file, clock.step)).or_default().push(test);
    }
    let file = |((name, step), tests)| {
        Ok(DrillFile {
            name,
            text: serde_saphyr::to_string(&TestFile {
                rule_files: vec![rules.to_owned()],
                evaluation_interval: duration::text(step),
                tests,
            })?,
        })
    };
    files.into_iter().map(file).collect()
}

/// The tests of every alert, by alert.
pub fn tests(plan: &Plan) -> impl Iterator<Item = Test> {
    paced(plan).map(|(_, test)| test)
}

/// The tests of every alert, and how often rules are evaluated in them.
fn paced(plan: &Plan) -> impl Iterator<Item = (Clock, Test)> {
    let of_packs = plan.packs.iter().flat_map(move |pack| {
        let home = Home::of(plan, pack.dependency.as_ref());
        let alerts = pack.alerts.iter();
        alerts.map(move |alert| (home.clone(), alert, Clock::of(plan, alert)))
    });
    let of_objectives = plan.objectives.iter().flat_map(|objective| &objective.alerts);
    let of_objectives =
        of_objectives.map(move |alert| (Home::of(plan, None), alert, Clock::each_interval(plan, alert)));
    of_packs.chain(of_objectives).flat_map(|(home, alert, clock)| {
        let tests = of_alert(alert, &clock, &home);
        tests.into_iter().map(move |test| (clock, test))
    })
}

fn of_alert(alert: &Alert, clock: &Clock, home: &Home) -> Vec<Test> {
    let firing = alert.fires.iter().map(|case| fires(alert, case, clock, home));
    let restarted = restarted(alert, clock);
    let quiet = alert.silent.iter().chain(&restarted).map(|case| {
        let title = format!("{} is silent: {}", called(alert), case.title);
        silent(alert, &case.inputs, clock, title, home)
    });
    let elsewhere = alert.fires.iter().find(|case| !case.inputs.is_empty());
    let elsewhere = elsewhere.into_iter().flat_map(|case| {
        home.others().into_iter().map(|(place, home)| {
            let title = format!("{} is silent: {}, but {place}", called(alert), case.title);
            silent(alert, &case.inputs, clock, title, &home)
        })
    });
    firing.chain(quiet).chain(elsewhere).collect()
}

/// A case in which it is silent, and in which its counters start again, as they do with every restart of a pod. None where
/// no counter goes on, or where a case of the pack says what a restart means to it.
fn restarted(alert: &Alert, clock: &Clock) -> Option<Case> {
    let mut inputs = alert.fires.iter().chain(&alert.silent).flat_map(|case| &case.inputs);
    if inputs.any(|input| input.reset_at.is_some()) {
        return None;
    }
    let goes_on = |input: &Input| matches!(input.course, Course::Rate(rate) if rate > 0.0) && input.until.is_none();
    let case = alert.silent.iter().find(|case| case.inputs.iter().any(goes_on))?;
    let mut inputs = case.inputs.clone();
    for input in inputs.iter_mut().filter(|input| goes_on(input)) {
        // By then it would fire if it were to.
        input.reset_at = Some(input.since.max(Some(input.from)).unwrap_or_default() + clock.firing());
    }
    Some(Case {
        title: format!("{}, and its counters start again", case.title),
        inputs,
    })
}

/// The alert's name, with the labels that tell it from its namesakes.
fn called(alert: &Alert) -> String {
    let own: Vec<String> = own_labels(alert)
        .map(|(label, value)| format!("{label}={value}"))
        .collect();
    if own.is_empty() {
        alert.name.clone()
    } else {
        format!("{} {}", alert.name, own.join(" "))
    }
}

/// Labels that tell alerts of one name apart.
fn own_labels(alert: &Alert) -> impl Iterator<Item = (&str, &str)> {
    let routed = ["namespace", "service", "severity", "role"];
    let mut own: Vec<(&str, &str)> = alert
        .labels
        .iter()
        .map(|(label, value)| (label.as_str(), value.as_str()))
        .filter(|(label, _)| !routed.contains(label))
        .collect();
    if !own.is_empty() {
        own.push(("severity", alert.severity.as_str()));
    }
    own.into_iter()
}

/// Times of one alert, in seconds.
#[derive(Clone, Copy)]
struct Clock {
    /// Between two samples.
    interval: u32,
    /// Between two evaluations.
    step: u32,
    /// Where the tests stand.
    file: &'static str,
    onset: u32,
    reach: u32,
    r#for: u32,
    keep: u32,
}

impl Clock {
    fn of(plan: &Plan, alert: &Alert) -> Self {
        let seconds = |text: &str| duration::seconds(text).unwrap_or_default();
        let interval = plan.scrape.interval_seconds.max(1);
        let (reach, r#for) = (alert.reach_seconds, seconds(&alert.r#for));
        let paces = PACES.iter().filter(|(_, longest, _)| reach + r#for <= *longest);
        let (file, _, step) = paces.min_by_key(|(_, longest, _)| longest).unwrap_or(&PACES[2]);
        Self {
            interval,
            // A multiple of the interval, so that every evaluation meets a sample.
            step: interval * (step / interval).max(1),
            file,
            onset: alert.onset_seconds,
            reach,
            r#for,
            keep: alert.keep_firing_for.as_deref().map(seconds).unwrap_or_default(),
        }
    }

    /// For alerts that read what was recorded at every scrape before.
    fn each_interval(plan: &Plan, alert: &Alert) -> Self {
        let clock = Self::of(plan, alert);
        Self {
            step: clock.interval,
            file: OBJECTIVES,
            ..clock
        }
    }

    /// The evaluation at that time, or the next one.
    fn at(&self, seconds: u32) -> u32 {
        seconds.div_ceil(self.step) * self.step
    }

    /// When an alert fires whose condition holds from the start, however far it looks back.
    fn firing(&self) -> u32 {
        self.at(self.onset + self.r#for + SLACK * self.step)
    }

    /// The last evaluation at which it cannot fire yet.
    fn pending(&self) -> Option<u32> {
        self.at(self.r#for).checked_sub(self.step)
    }
}

/// It fires when it must, not before `for`, goes on as long as it should, and ends.
fn fires(alert: &Alert, case: &Case, clock: &Clock, home: &Home) -> Test {
    let firing = clock.firing();
    let expect = |at: u32, fires: bool| Expectation {
        expr: format!(
            "group by ({}) ({})",
            identity(alert).map(|(label, _)| label).collect::<Vec<_>>().join(", "),
            alerts(alert, "")
        ),
        eval_time: duration::text(at),
        exp_samples: if fires { vec![sample(alert)] } else { Vec::new() },
    };
    let mut expectations: Vec<Expectation> = clock.pending().map(|at| expect(at, false)).into_iter().collect();
    expectations.push(expect(firing, true));
    let mut end = firing;
    // Without series there is nothing that could end; an alert on absence would go on.
    let lasts = |input: &Input| input.until.is_none_or(|until| until > firing);
    if case.inputs.iter().any(lasts) {
        if clock.keep > clock.step {
            expectations.push(expect(clock.at(firing + clock.keep) - clock.step, true));
        }
        end = clock.at(firing + clock.reach + clock.keep + SLACK * clock.step);
        expectations.push(expect(end, false));
    }
    let until = |input: &Input| input.until.map_or(firing, |at| at.min(firing));
    Test {
        alert: alert.name.clone(),
        fires_by_seconds: Some(firing),
        name: format!("{} fires: {}", called(alert), case.title),
        interval: duration::text(clock.interval),
        input_series: home.given(&case.inputs, clock.interval, until, end),
        promql_expr_test: expectations,
    }
}

/// It does not fire at any evaluation.
fn silent(alert: &Alert, inputs: &[Input], clock: &Clock, name: String, home: &Home) -> Test {
    let changes = inputs
        .iter()
        .filter_map(|input| input.reset_at.max(input.until).max(input.since).max(Some(input.from)));
    let end = clock.at(changes.max().unwrap_or_default() + clock.firing());
    let until = |input: &Input| input.until.unwrap_or(end);
    Test {
        alert: alert.name.clone(),
        fires_by_seconds: None,
        name,
        interval: duration::text(clock.interval),
        input_series: home.given(inputs, clock.interval, until, end),
        promql_expr_test: vec![Expectation {
            expr: format!(
                "count_over_time({})",
                alerts(alert, &format!("[{}]", duration::text(end + clock.step)))
            ),
            eval_time: duration::text(end),
            exp_samples: Vec::new(),
        }],
    }
}

/// The alert while it fires.
fn alerts(alert: &Alert, range: &str) -> String {
    let own: String = own_labels(alert)
        .map(|(label, value)| format!(",{label}={}", quoted(value)))
        .collect();
    format!(
        "ALERTS{{alertname={},alertstate=\"firing\"{own}}}{range}",
        quoted(&alert.name)
    )
}

/// The labels by which the alert is routed and muted, and those that tell it from its namesakes.
fn identity(alert: &Alert) -> impl Iterator<Item = (&str, &str)> {
    let labels = alert
        .labels
        .iter()
        .map(|(label, value)| (label.as_str(), value.as_str()));
    std::iter::once(("alertname", alert.name.as_str())).chain(labels)
}

fn sample(alert: &Alert) -> Sample {
    let labels: Vec<String> = identity(alert)
        .map(|(label, value)| format!("{label}={}", quoted(value)))
        .collect();
    Sample {
        labels: format!("{{{}}}", labels.join(",")),
        value: 1.0,
    }
}

#[cfg(test)]
mod tests;
