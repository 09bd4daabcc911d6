//! The proof of the alerts, as files that promtool runs: it evaluates the very rules that Prometheus would load.

mod series;

use std::collections::BTreeMap;

use observed_crds::foreign::RuleGroup;
use serde::Serialize;

use crate::duration;
use crate::plan::{Alert, Case, Input, Pack, Plan};
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
    /// Whether the alert must fire in it, or stay silent.
    #[serde(skip)]
    pub fires: bool,
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
    let alerts = plan
        .packs
        .iter()
        .flat_map(|pack| pack.alerts.iter().map(move |alert| (pack, alert)));
    alerts.flat_map(|(pack, alert)| {
        let clock = Clock::of(plan, alert);
        let tests = of_alert(plan, pack, alert, &clock);
        tests.into_iter().map(move |test| (clock, test))
    })
}

fn of_alert(plan: &Plan, pack: &Pack, alert: &Alert, clock: &Clock) -> Vec<Test> {
    let home = Home::of(plan, pack);
    let firing = alert.fires.iter().map(|case| fires(plan, alert, case, clock, &home));
    let quiet = alert.silent.iter().map(|case| {
        let title = format!("{} is silent: {}", alert.name, case.title);
        silent(alert, &case.inputs, clock, title, &home)
    });
    let elsewhere = alert.fires.iter().find(|case| !case.inputs.is_empty());
    let elsewhere = elsewhere.into_iter().flat_map(|case| {
        home.others().map(|(place, home)| {
            let title = format!("{} is silent: {}, but {place}", alert.name, case.title);
            silent(alert, &case.inputs, clock, title, &home)
        })
    });
    firing.chain(quiet).chain(elsewhere).collect()
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
            reach,
            r#for,
            keep: alert.keep_firing_for.as_deref().map(seconds).unwrap_or_default(),
        }
    }

    /// The evaluation at that time, or the next one.
    fn at(&self, seconds: u32) -> u32 {
        seconds.div_ceil(self.step) * self.step
    }

    /// When an alert fires whose condition holds from the start, however far it looks back.
    fn firing(&self) -> u32 {
        self.at(self.reach + self.r#for + SLACK * self.step)
    }

    /// The last evaluation at which it cannot fire yet.
    fn pending(&self) -> Option<u32> {
        self.at(self.r#for).checked_sub(self.step)
    }
}

/// It fires when it must, not before `for`, goes on as long as it should, and ends.
fn fires(plan: &Plan, alert: &Alert, case: &Case, clock: &Clock, home: &Home) -> Test {
    let firing = clock.firing();
    let expect = |at: u32, fires: bool| Expectation {
        expr: format!(
            "group by ({}) ({})",
            identity(plan, alert, home).0,
            alerts(alert, home, "")
        ),
        eval_time: duration::text(at),
        exp_samples: if fires {
            vec![identity(plan, alert, home).1]
        } else {
            Vec::new()
        },
    };
    let mut expectations: Vec<Expectation> = clock.pending().map(|at| expect(at, false)).into_iter().collect();
    expectations.push(expect(firing, true));
    let mut end = firing;
    // Without series there is nothing that could end; an alert on absence would go on.
    if !case.inputs.is_empty() {
        if clock.keep > clock.step {
            expectations.push(expect(clock.at(firing + clock.keep) - clock.step, true));
        }
        end = clock.at(firing + clock.reach + clock.keep + SLACK * clock.step);
        expectations.push(expect(end, false));
    }
    let series = |input: &Input| {
        home.series(
            input,
            clock.interval,
            input.until.map_or(firing, |at| at.min(firing)),
            end,
        )
    };
    Test {
        alert: alert.name.clone(),
        fires: true,
        name: format!("{} fires: {}", alert.name, case.title),
        interval: duration::text(clock.interval),
        input_series: case.inputs.iter().map(series).collect(),
        promql_expr_test: expectations,
    }
}

/// It does not fire at any evaluation.
fn silent(alert: &Alert, inputs: &[Input], clock: &Clock, name: String, home: &Home) -> Test {
    let changes = inputs
        .iter()
        .filter_map(|input| input.reset_at.max(input.until).max(input.since));
    let end = clock.at(changes.max().unwrap_or_default() + clock.firing());
    let series = |input: &Input| home.series(input, clock.interval, input.until.unwrap_or(end), end);
    Test {
        alert: alert.name.clone(),
        fires: false,
        name,
        interval: duration::text(clock.interval),
        input_series: inputs.iter().map(series).collect(),
        promql_expr_test: vec![Expectation {
            expr: format!(
                "count_over_time({})",
                alerts(alert, home, &format!("[{}]", duration::text(end + clock.step)))
            ),
            eval_time: duration::text(end),
            exp_samples: Vec::new(),
        }],
    }
}

/// The alert while it fires.
fn alerts(alert: &Alert, home: &Home, range: &str) -> String {
    let dependency = home.dependency.as_ref();
    let dependency = dependency.map(|dependency| format!(",dependency={}", quoted(&dependency.name)));
    format!(
        "ALERTS{{alertname={},alertstate=\"firing\"{}}}{range}",
        quoted(&alert.name),
        dependency.unwrap_or_default()
    )
}

/// The labels by which the alert is routed and muted, and the sample that has them.
fn identity(plan: &Plan, alert: &Alert, home: &Home) -> (String, Sample) {
    let owner = &plan.owner;
    let mut labels = vec![("alertname", alert.name.as_str())];
    labels.extend(
        home.dependency
            .iter()
            .map(|dependency| ("dependency", dependency.name.as_str())),
    );
    labels.push(("namespace", &owner.namespace));
    labels.extend(alert.role.map(|role| ("role", role.as_str())));
    labels.extend([("service", owner.name.as_str()), ("severity", alert.severity.as_str())]);
    let names: Vec<&str> = labels.iter().map(|(name, _)| *name).collect();
    let pairs: Vec<String> = labels
        .iter()
        .map(|(name, value)| format!("{name}={}", quoted(value)))
        .collect();
    let labels = format!("{{{}}}", pairs.join(","));
    (names.join(", "), Sample { labels, value: 1.0 })
}

#[cfg(test)]
mod tests;
