//! The proof of the alerts, as files that promtool runs: it evaluates the very rules that Prometheus would load.

use std::collections::BTreeMap;

use observed_crds::foreign::RuleGroup;
use observed_crds::v1alpha1::signal_pack::Scope;
use serde::Serialize;

use crate::duration;
use crate::names;
use crate::plan::{Alert, Case, Course, Input, Plan};
use crate::promql::quoted;
use crate::signals::rule_groups;

/// Evaluations that a verdict is waited for beyond the time that it needs at least.
const SLACK: u32 = 4;

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

#[derive(Debug, Serialize)]
struct Test {
    name: String,
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
/// file that these are written to.
///
/// # Errors
/// They cannot be written as YAML.
pub fn drills(plan: &Plan, rules: &str) -> Result<String, serde_saphyr::SerializeError> {
    let alerts = plan.packs.iter().flat_map(|pack| &pack.alerts);
    let of_objectives = plan.objectives.iter().flat_map(|objective| &objective.alerts);
    serde_saphyr::to_string(&TestFile {
        rule_files: vec![rules.to_owned()],
        evaluation_interval: duration::text(plan.scrape.interval_seconds),
        tests: alerts
            .chain(of_objectives)
            .flat_map(|alert| tests(plan, alert))
            .collect(),
    })
}

fn tests(plan: &Plan, alert: &Alert) -> Vec<Test> {
    let clock = Clock::of(plan, alert);
    let firing = alert.fires.iter().map(|case| fires(plan, alert, case, &clock));
    let quiet = alert.silent.iter().map(|case| {
        let title = format!("{} is silent: {}", called(alert), case.title);
        silent(alert, &case.inputs, &clock, title, &Home::of(plan))
    });
    let elsewhere = alert.fires.iter().find(|case| !case.inputs.is_empty());
    let elsewhere = elsewhere.into_iter().flat_map(|case| {
        Home::others(plan).map(|(place, home)| {
            let title = format!("{} is silent: {}, but {place}", called(alert), case.title);
            silent(alert, &case.inputs, &clock, title, &home)
        })
    });
    firing.chain(quiet).chain(elsewhere).collect()
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
    let routed = ["namespace", "service", "severity"];
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
struct Clock {
    interval: u32,
    onset: u32,
    reach: u32,
    r#for: u32,
    keep: u32,
}

impl Clock {
    fn of(plan: &Plan, alert: &Alert) -> Self {
        let seconds = |text: &str| duration::seconds(text).unwrap_or_default();
        Self {
            interval: plan.scrape.interval_seconds.max(1),
            onset: alert.onset_seconds,
            reach: alert.reach_seconds,
            r#for: seconds(&alert.r#for),
            keep: alert.keep_firing_for.as_deref().map(seconds).unwrap_or_default(),
        }
    }

    /// The evaluation at that time, or the next one.
    fn at(&self, seconds: u32) -> u32 {
        seconds.div_ceil(self.interval) * self.interval
    }

    /// When an alert fires whose condition holds from the start, however far it looks back.
    fn firing(&self) -> u32 {
        self.at(self.onset + self.r#for + SLACK * self.interval)
    }

    /// The last evaluation at which it cannot fire yet.
    fn pending(&self) -> Option<u32> {
        self.at(self.r#for).checked_sub(self.interval)
    }
}

/// It fires when it must, not before `for`, goes on as long as it should, and ends.
fn fires(plan: &Plan, alert: &Alert, case: &Case, clock: &Clock) -> Test {
    let firing = clock.firing();
    let expect = |at: u32, fires: bool| Expectation {
        expr: format!(
            "group by ({}) ({})",
            identity_labels(plan, alert)
                .map(|(label, _)| label)
                .collect::<Vec<_>>()
                .join(", "),
            alerts(alert, "")
        ),
        eval_time: duration::text(at),
        exp_samples: if fires { vec![identity(plan, alert)] } else { Vec::new() },
    };
    let mut expectations: Vec<Expectation> = clock.pending().map(|at| expect(at, false)).into_iter().collect();
    expectations.push(expect(firing, true));
    let mut end = firing;
    // Without series there is nothing that could end; an alert on absence would go on.
    if case
        .inputs
        .iter()
        .any(|input| input.until.is_none_or(|until| until > firing))
    {
        if clock.keep > clock.interval {
            expectations.push(expect(clock.at(firing + clock.keep) - clock.interval, true));
        }
        end = clock.at(firing + clock.reach + clock.keep + SLACK * clock.interval);
        expectations.push(expect(end, false));
    }
    let home = Home::of(plan);
    let series = |input: &Input| {
        home.series(
            input,
            clock.interval,
            input.until.map_or(firing, |at| at.min(firing)),
            end,
        )
    };
    Test {
        name: format!("{} fires: {}", called(alert), case.title),
        interval: duration::text(clock.interval),
        input_series: case.inputs.iter().map(series).collect(),
        promql_expr_test: expectations,
    }
}

/// It does not fire at any evaluation.
fn silent(alert: &Alert, inputs: &[Input], clock: &Clock, name: String, home: &Home) -> Test {
    let last = inputs
        .iter()
        .filter_map(|input| input.reset_at.max(input.until).max(Some(input.from)))
        .max();
    let end = clock.at(last.unwrap_or_default() + clock.firing());
    let series = |input: &Input| home.series(input, clock.interval, input.until.unwrap_or(end), end);
    Test {
        name,
        interval: duration::text(clock.interval),
        input_series: inputs.iter().map(series).collect(),
        promql_expr_test: vec![Expectation {
            expr: format!(
                "count_over_time({})",
                alerts(alert, &format!("[{}]", duration::text(end + clock.interval)))
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

/// The labels by which the alert is routed, and those that tell it from its namesakes.
fn identity_labels<'a>(plan: &'a Plan, alert: &'a Alert) -> impl Iterator<Item = (&'a str, &'a str)> {
    let routed = [
        ("alertname", alert.name.as_str()),
        ("namespace", plan.owner.namespace.as_str()),
        ("service", plan.owner.name.as_str()),
        ("severity", alert.severity.as_str()),
    ];
    routed
        .into_iter()
        .chain(own_labels(alert).filter(|(label, _)| *label != "severity"))
}

fn identity(plan: &Plan, alert: &Alert) -> Sample {
    let labels: Vec<String> = identity_labels(plan, alert)
        .map(|(label, value)| format!("{label}={}", quoted(value)))
        .collect();
    Sample {
        labels: format!("{{{}}}", labels.join(",")),
        value: 1.0,
    }
}

/// Where series come from.
struct Home {
    namespace: String,
    job: String,
    pod: String,
    container: String,
}

impl Home {
    /// The service.
    fn of(plan: &Plan) -> Self {
        let target = &plan.target;
        Self {
            namespace: plan.owner.namespace.clone(),
            job: plan.scrape.job.clone(),
            pod: names::sample_pod(target.kind, &target.name),
            container: target.container.clone(),
        }
    }

    /// Those that look most like the service and are not: its namesake next door, and a workload with a longer name.
    fn others(plan: &Plan) -> [(&'static str, Self); 2] {
        let target = &plan.target;
        let namesake = Self {
            namespace: format!("{}-staging", plan.owner.namespace),
            ..Self::of(plan)
        };
        let neighbour = Self {
            job: format!("{}-worker", plan.scrape.job),
            pod: names::sample_pod(target.kind, &format!("{}-worker", target.name)),
            ..Self::of(plan)
        };
        [
            ("at its namesake in another namespace", namesake),
            ("at a workload whose name begins with its name", neighbour),
        ]
    }

    /// A series with the labels that its scope gives it.
    fn series(&self, input: &Input, interval: u32, until: u32, end: u32) -> InputSeries {
        let (job, instance) = match input.scope {
            Scope::Service | Scope::Scrape => (self.job.as_str(), "10.0.0.1:8080"),
            // What the kubelet and kube-state-metrics tell has their job and instance, not the service's.
            Scope::Pod => ("kubelet", "10.0.0.100:10250"),
        };
        let mut labels: BTreeMap<&str, &str> = [
            ("namespace", self.namespace.as_str()),
            ("job", job),
            ("pod", &self.pod),
            ("container", &self.container),
            ("instance", instance),
        ]
        .into();
        labels.extend(
            input
                .labels
                .iter()
                .map(|(label, value)| (label.as_str(), value.as_str())),
        );
        let labels: Vec<String> = labels
            .into_iter()
            .map(|(label, value)| format!("{label}={}", quoted(value)))
            .collect();
        InputSeries {
            series: format!("{}{{{}}}", input.name, labels.join(",")),
            values: values(input, interval, until, end),
        }
    }
}

/// The samples in promtool's notation, one an interval, from 0 to `until`; then a mark that the series has ended.
fn values(input: &Input, interval: u32, until: u32, end: u32) -> String {
    let last = until / interval;
    let reset = input
        .reset_at
        .map(|at| at.div_ceil(interval))
        .filter(|at| (1..=last).contains(at));
    // The last sample before the course begins.
    let flat = input.from.div_ceil(interval).min(last);
    let zeros = match flat {
        0 => "0".to_owned(),
        _ => format!("0+0x{flat}"),
    };
    let mut parts = match input.course {
        Course::Constant(value) => run(value, 0.0, 0, reset, last),
        Course::Rate(rate) if flat == 0 => run(0.0, rate * f64::from(interval), 0, reset, last),
        Course::Rate(_) | Course::Step(_) if flat == last => vec![zeros],
        Course::Rate(rate) => {
            let step = rate * f64::from(interval);
            let line = run(step, step, flat + 1, reset.filter(|at| *at > flat + 1), last);
            [vec![zeros], line].concat()
        }
        Course::Step(count) => {
            let line = run(count, 0.0, flat + 1, reset.filter(|at| *at > flat + 1), last);
            [vec![zeros], line].concat()
        }
    };
    if until < end {
        parts.push("stale".to_owned());
    }
    parts.join(" ")
}

/// A line from sample `first` to sample `last`. From the sample `reset` on it starts again at zero.
fn run(start: f64, step: f64, first: u32, reset: Option<u32>, last: u32) -> Vec<String> {
    let line = |start: f64, samples: u32| format!("{start}+{step}x{samples}");
    match reset {
        None => vec![line(start, last - first)],
        Some(reset) => vec![line(start, reset - 1 - first), line(0.0, last - reset)],
    }
}

#[cfg(test)]
mod tests;
