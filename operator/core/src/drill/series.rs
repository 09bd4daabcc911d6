//! The series of a drill, with the labels of where they come from and their samples in promtool's notation.

use std::collections::{BTreeMap, BTreeSet};

use observed_crds::v1alpha1::TargetKind;
use observed_crds::v1alpha1::signal_pack::{Scope, WorkloadPart};

use super::InputSeries;
use super::native::{self, Sampled};
use crate::names;
use crate::plan::{Course, Dependency, Exporter, Input, Plan};
use crate::promql::{RULE_GROUP, quoted};

/// The namespace of a Prometheus, which is not that of the services.
const MONITORING: &str = "monitoring";

/// Where series come from.
#[derive(Clone)]
pub(super) struct Home {
    namespace: String,
    job: String,
    pod: String,
    container: String,
    kind: TargetKind,
    workload: String,
    /// Name of the ObservedService.
    service: String,
    dependency: Option<Dependency>,
    /// Names of the service's native histograms.
    natives: BTreeSet<String>,
}

impl Home {
    /// The service, or what it depends on.
    pub(super) fn of(plan: &Plan, dependency: Option<&Dependency>) -> Self {
        let target = &plan.target;
        Self {
            namespace: plan.owner.namespace.clone(),
            job: plan.scrape.job.clone(),
            pod: names::sample_pod(target.kind, &target.name),
            container: target.container.clone(),
            kind: target.kind,
            workload: target.name.clone(),
            service: plan.owner.name.clone(),
            dependency: dependency.cloned(),
            natives: plan.natives.clone(),
        }
    }

    /// Those that look most like the service and are not: its namesake next door, and a workload with a longer name. Of a
    /// dependency that is one of several also its neighbour there.
    pub(super) fn others(&self) -> Vec<(&'static str, Self)> {
        let elsewhere = |exporter: &Exporter| Exporter {
            namespace: format!("{}-staging", exporter.namespace),
            ..exporter.clone()
        };
        let beside = |exporter: &Exporter| Exporter {
            job: format!("{}-worker", exporter.job),
            ..exporter.clone()
        };
        let namesake = Self {
            namespace: format!("{}-staging", self.namespace),
            dependency: self.dependency.as_ref().map(|it| read_from(it, elsewhere)),
            ..self.clone()
        };
        let neighbour = Self {
            job: format!("{}-worker", self.job),
            pod: names::sample_pod(self.kind, &format!("{}-worker", self.workload)),
            workload: format!("{}-worker", self.workload),
            service: format!("{}-worker", self.service),
            dependency: self.dependency.as_ref().map(|it| read_from(it, beside)),
            ..self.clone()
        };
        let another = self.dependency.as_ref().and_then(another);
        let another = another.map(|dependency| Self {
            dependency: Some(dependency),
            ..self.clone()
        });
        let mut others = vec![
            ("at its namesake in another namespace", namesake),
            ("at a workload whose name begins with its name", neighbour),
        ];
        others.extend(another.map(|home| ("at another target of its exporter, or another host", home)));
        others
    }

    /// What a case gives, each series with the labels that its scope gives it, until the time that `until` says.
    pub(super) fn given(
        &self,
        inputs: &[Input],
        interval: u32,
        until: impl Fn(&Input) -> u32,
        end: u32,
    ) -> Vec<InputSeries> {
        let sampled = native::sampled(inputs, &self.natives);
        let series = |sampled: &Sampled| self.series(sampled, interval, until(&sampled.input), end);
        sampled.iter().map(series).collect()
    }

    fn series(&self, sampled: &Sampled, interval: u32, until: u32, end: u32) -> InputSeries {
        let input = &sampled.input;
        let pod = [("pod", self.pod.as_str()), ("container", &self.container)];
        let dependency = self.dependency.as_ref();
        let exporter = dependency.and_then(|dependency| dependency.exporter.as_ref());
        let (namespace, job, instance, pod): (&str, _, _, _) = match (input.scope, exporter) {
            (Scope::Dependency, Some(exporter)) => {
                let instance = exporter.instance.as_deref().unwrap_or("10.0.0.50:9100");
                (&exporter.namespace, exporter.job.as_str(), instance, None)
            }
            (Scope::Service | Scope::Scrape | Scope::Dependency, _) => {
                (&self.namespace, self.job.as_str(), "10.0.0.1:8080", Some(pod))
            }
            // What the kubelet and kube-state-metrics tell has their job and instance, not the service's.
            (Scope::Pod, _) => (&self.namespace, "kubelet", "10.0.0.100:10250", Some(pod)),
            (Scope::Workload | Scope::Namespace, _) => (&self.namespace, "kube-state-metrics", "10.0.0.8:8080", None),
            (Scope::Rules, _) => (MONITORING, "prometheus", "10.0.0.9:9090", None),
        };
        let mut labels: BTreeMap<&str, &str> = [("namespace", namespace), ("job", job), ("instance", instance)].into();
        labels.extend(pod.into_iter().flatten());
        labels.extend(input.workload_labels.iter().map(|(label, part)| match part {
            WorkloadPart::Kind => (label.as_str(), self.kind.as_str()),
            WorkloadPart::Name => (label.as_str(), self.workload.as_str()),
        }));
        let group = (input.scope == Scope::Rules).then(|| {
            let group = names::rule_group(&self.namespace, &self.service, "target");
            format!("/etc/prometheus/rules/rules.yaml;{group}")
        });
        labels.extend(group.iter().map(|group| (RULE_GROUP, group.as_str())));
        let host = dependency.and_then(|dependency| dependency.host.as_deref());
        labels.extend(input.host_label.as_deref().zip(host));
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
            values: match &sampled.histogram {
                Some(histogram) => values(input, interval, until, end, &|times| histogram.times(times)),
                None => values(input, interval, until, end, &|number| number.to_string()),
            },
        }
    }
}

/// The dependency with another scrape of its exporter.
fn read_from(dependency: &Dependency, exporter: impl Fn(&Exporter) -> Exporter) -> Dependency {
    Dependency {
        exporter: dependency.exporter.as_ref().map(exporter),
        ..dependency.clone()
    }
}

/// What the same exporter, or the same service's metrics, tell of something else. None where all of it is the dependency's.
fn another(dependency: &Dependency) -> Option<Dependency> {
    let other = |text: &String| format!("{text}.other");
    let exporter = match &dependency.exporter {
        Some(exporter) => Some(Exporter {
            instance: Some(other(exporter.instance.as_ref()?)),
            ..exporter.clone()
        }),
        None => None,
    };
    let host = dependency.host.as_ref().map(other);
    (exporter.is_some() || host.is_some()).then(|| Dependency {
        exporter,
        host,
        ..dependency.clone()
    })
}

/// The samples in promtool's notation, one an interval, from its start to `until`; then a mark that the series has ended.
/// A sample is written as `text` says.
pub(super) fn values(input: &Input, interval: u32, until: u32, end: u32, text: &dyn Fn(f64) -> String) -> String {
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
    // The last sample before the course begins: a counter stands at zero until then.
    let flat = input.from.div_ceil(interval).clamp(first, last);
    if flat > first && !matches!(input.course, Course::Constant(_) | Course::Line(..)) {
        parts.push(line(0.0, 0.0, flat - first, text));
        let (start, step) = match input.course {
            Course::Rate(rate) => (rate * f64::from(interval), rate * f64::from(interval)),
            Course::Step(count) => (count, 0.0),
            Course::Constant(_) | Course::Line(..) => (0.0, 0.0),
        };
        if last > flat {
            let reset = reset.filter(|at| *at > flat + 1);
            parts.extend(run(start, step, [flat + 1, last], reset, text));
        }
        return ended(parts, until < end);
    }
    let whole = [first, last];
    match input.course {
        Course::Constant(value) => parts.extend(run(value, 0.0, whole, reset, text)),
        Course::Line(value, slope) => parts.extend(run(value, slope * f64::from(interval), whole, reset, text)),
        Course::Rate(rate) => parts.extend(run(0.0, rate * f64::from(interval), whole, reset, text)),
        Course::Step(count) => {
            parts.push(text(0.0));
            if last > first {
                let reset = reset.filter(|at| *at > first + 1);
                parts.extend(run(count, 0.0, [first + 1, last], reset, text));
            }
        }
    }
    ended(parts, until < end)
}

fn ended(mut parts: Vec<String>, ends: bool) -> String {
    if ends {
        parts.push("stale".to_owned());
    }
    parts.join(" ")
}

/// A line from the first to the last sample. From the sample `reset` on it starts again at zero.
fn run(
    start: f64,
    step: f64,
    [first, last]: [u32; 2],
    reset: Option<u32>,
    text: &dyn Fn(f64) -> String,
) -> Vec<String> {
    match reset {
        None => vec![line(start, step, last - first, text)],
        Some(reset) => vec![
            line(start, step, reset - 1 - first, text),
            line(0.0, step, last - reset, text),
        ],
    }
}

/// A sample, and so many more.
fn line(start: f64, step: f64, more: u32, text: &dyn Fn(f64) -> String) -> String {
    let sign = if step < 0.0 { '-' } else { '+' };
    format!("{}{sign}{}x{more}", text(start), text(step.abs()))
}
