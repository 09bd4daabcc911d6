//! The series of a drill, with the labels of where they come from and their samples in promtool's notation.

use std::collections::BTreeMap;

use observed_crds::v1alpha1::TargetKind;
use observed_crds::v1alpha1::signal_pack::{Scope, WorkloadPart};

use super::InputSeries;
use crate::names;
use crate::plan::{Course, Dependency, Exporter, Input, Plan};
use crate::promql::quoted;

/// Where series come from.
#[derive(Clone)]
pub(super) struct Home {
    namespace: String,
    job: String,
    pod: String,
    container: String,
    kind: TargetKind,
    workload: String,
    dependency: Option<Dependency>,
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
            dependency: dependency.cloned(),
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

    /// A series with the labels that its scope gives it.
    pub(super) fn series(&self, input: &Input, interval: u32, until: u32, end: u32) -> InputSeries {
        let pod = [("pod", self.pod.as_str()), ("container", &self.container)];
        let dependency = self.dependency.as_ref();
        let exporter = dependency.and_then(|dependency| dependency.exporter.as_ref());
        let (namespace, job, instance, pod) = match (input.scope, exporter) {
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
        };
        let mut labels: BTreeMap<&str, &str> =
            [("namespace", namespace.as_str()), ("job", job), ("instance", instance)].into();
        labels.extend(pod.into_iter().flatten());
        labels.extend(input.workload_labels.iter().map(|(label, part)| match part {
            WorkloadPart::Kind => (label.as_str(), self.kind.as_str()),
            WorkloadPart::Name => (label.as_str(), self.workload.as_str()),
        }));
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
            values: values(input, interval, until, end),
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
pub(super) fn values(input: &Input, interval: u32, until: u32, end: u32) -> String {
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
        parts.push(format!("0+0x{}", flat - first));
        let (start, step) = match input.course {
            Course::Rate(rate) => (rate * f64::from(interval), rate * f64::from(interval)),
            Course::Step(count) => (count, 0.0),
            Course::Constant(_) | Course::Line(..) => (0.0, 0.0),
        };
        if last > flat {
            parts.extend(run(start, step, flat + 1, reset.filter(|at| *at > flat + 1), last));
        }
        return ended(parts, until < end);
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
    ended(parts, until < end)
}

fn ended(mut parts: Vec<String>, ends: bool) -> String {
    if ends {
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
