//! The proof of the alerts, as files that promtool runs: it evaluates the very rules that Prometheus would load.

use std::collections::BTreeMap;

use observed_crds::foreign::RuleGroup;
use observed_crds::v1alpha1::TargetKind;
use observed_crds::v1alpha1::signal_pack::{Scope, WorkloadPart};
use serde::Serialize;

use crate::duration;
use crate::names;
use crate::plan::{Alert, Case, Course, Dependency, Input, Pack, Plan};
use crate::promql::quoted;
use crate::signals::rule_groups;

/// Evaluations that a verdict is waited for beyond the time that it needs at least.
const SLACK: u32 = 4;
/// How often rules are evaluated until a verdict: the file, the longest time to a verdict and the step, in seconds. The
/// first one goes in the steps of the scrape.
const PACES: [(&str, u32, u32); 3] = [
    ("drills", 3600, 0),
    // Less than the five minutes after which Prometheus forgets a recorded value.
    ("drills-slow", 12 * 3600, 240),
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
/// files that these are written to. Alerts that look back far have a file of their own, in which rules are evaluated less
/// often: a file has one interval, and a week in steps of half a minute takes minutes to go through.
///
/// # Errors
/// They cannot be written as YAML.
pub fn drills(plan: &Plan, rules: &str) -> Result<Vec<DrillFile>, serde_saphyr::SerializeError> {
    let mut files: BTreeMap<(&str, u32), Vec<Test>> = BTreeMap::new();
    for pack in &plan.packs {
        for alert in &pack.alerts {
            let clock = Clock::of(plan, alert);
            files
                .entry((clock.file, clock.step))
                .or_default()
                .extend(tests(plan, pack, alert, &clock));
        }
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

fn tests(plan: &Plan, pack: &Pack, alert: &Alert, clock: &Clock) -> Vec<Test> {
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

/// Where series come from.
#[derive(Clone)]
struct Home {
    namespace: String,
    job: String,
    pod: String,
    container: String,
    kind: TargetKind,
    workload: String,
    dependency: Option<Dependency>,
}

impl Home {
    /// The service, and what the pack is about.
    fn of(plan: &Plan, pack: &Pack) -> Self {
        let target = &plan.target;
        Self {
            namespace: plan.owner.namespace.clone(),
            job: plan.scrape.job.clone(),
            pod: names::sample_pod(target.kind, &target.name),
            container: target.container.clone(),
            kind: target.kind,
            workload: target.name.clone(),
            dependency: pack.dependency.clone(),
        }
    }

    /// Those that look most like the service and are not: its namesake next door, and a workload with a longer name.
    fn others(&self) -> [(&'static str, Self); 2] {
        let elsewhere = |dependency: &Dependency| Dependency {
            namespace: format!("{}-staging", dependency.namespace),
            ..dependency.clone()
        };
        let beside = |dependency: &Dependency| Dependency {
            job: format!("{}-worker", dependency.job),
            ..dependency.clone()
        };
        let namesake = Self {
            namespace: format!("{}-staging", self.namespace),
            dependency: self.dependency.as_ref().map(elsewhere),
            ..self.clone()
        };
        let neighbour = Self {
            job: format!("{}-worker", self.job),
            pod: names::sample_pod(self.kind, &format!("{}-worker", self.workload)),
            workload: format!("{}-worker", self.workload),
            dependency: self.dependency.as_ref().map(beside),
            ..self.clone()
        };
        [
            ("at its namesake in another namespace", namesake),
            ("at a workload whose name begins with its name", neighbour),
        ]
    }

    /// A series with the labels that its scope gives it.
    fn series(&self, input: &Input, interval: u32, until: u32, end: u32) -> InputSeries {
        let pod = [("pod", self.pod.as_str()), ("container", &self.container)];
        let (namespace, job, instance, pod) = match (input.scope, &self.dependency) {
            (Scope::Dependency, Some(dependency)) => {
                (&dependency.namespace, dependency.job.as_str(), "10.0.0.50:9100", None)
            }
            (Scope::Service | Scope::Scrape | Scope::Dependency, _) => {
                (&self.namespace, self.job.as_str(), "10.0.0.1:8080", Some(pod))
            }
            // What the kubelet and kube-state-metrics tell has their job and instance, not the service's.
            (Scope::Pod, _) => (&self.namespace, "kubelet", "10.0.0.100:10250", Some(pod)),
            (Scope::Workload | Scope::Namespace, _) => (&self.namespace, "kube-state-metrics", "10.0.0.8:8080", None),
        };
        let mut labels: BTreeMap<&str, &str> =
            [("namespace", namespace.as_str()), ("job", job), ("instance", instance)].into();
        labels.extend(pod.into_iter().flatten());
        labels.extend(input.workload_labels.iter().map(|(label, part)| match part {
            WorkloadPart::Kind => (label.as_str(), self.kind.as_str()),
            WorkloadPart::Name => (label.as_str(), self.workload.as_str()),
        }));
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

/// The samples in promtool's notation, one an interval, from its start to `until`; then a mark that the series has ended.
fn values(input: &Input, interval: u32, until: u32, end: u32) -> String {
    let last = until / interval;
    let first = input.since.unwrap_or_default().div_ceil(interval).min(last);
    let reset = input
        .reset_at
        .map(|at| at.div_ceil(interval))
        .filter(|at| (first + 1..=last).contains(at));
    let mut parts = Vec::new();
    if first > 0 {
        parts.push(format!("_x{first}"));
    }
    match input.course {
        Course::Constant(value) => parts.extend(run(value, 0.0, first, reset, last)),
        Course::Line(value, slope) => parts.extend(run(value, slope * f64::from(interval), first, reset, last)),
        Course::Rate(rate) => parts.extend(run(0.0, rate * f64::from(interval), first, reset, last)),
        Course::Step(count) => {
            parts.push("0".to_owned());
            if last > first {
                parts.extend(run(count, 0.0, first + 1, reset.filter(|at| *at > first + 1), last));
            }
        }
    }
    if until < end {
        parts.push("stale".to_owned());
    }
    parts.join(" ")
}

/// A line from sample `first` to sample `last`. From the sample `reset` on it starts again at zero.
fn run(start: f64, step: f64, first: u32, reset: Option<u32>, last: u32) -> Vec<String> {
    let line = |start: f64, samples: u32| {
        if step < 0.0 {
            format!("{start}-{}x{samples}", -step)
        } else {
            format!("{start}+{step}x{samples}")
        }
    };
    match reset {
        None => vec![line(start, last - first)],
        Some(reset) => vec![line(start, reset - 1 - first), line(0.0, last - reset)],
    }
}

#[cfg(test)]
mod tests;
