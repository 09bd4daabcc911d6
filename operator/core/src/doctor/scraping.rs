//! ServiceMonitors and PodMonitors: what they would scrape.

use observed_crds::foreign::LabelSelector;
use serde_json::{Value, json};

use super::answers::{PrometheusAnswers, Query, Sample};
use super::finding::Found;
use super::kind::{Kind, MONITORS};
use super::pods;
use super::snapshot::{Object, Snapshot, list};
use crate::{scrape_pool, selection};

/// A monitor.
pub(super) struct Monitor<'a> {
    pub(super) object: &'a Object,
    pub(super) selector: LabelSelector,
    pub(super) endpoints: Vec<Endpoint<'a>>,
}

/// One page that it scrapes.
#[derive(Clone, Copy)]
pub(super) struct Endpoint<'a> {
    pub(super) index: usize,
    pub(super) value: &'a Value,
}

/// What a monitor's endpoint leads to at one workload.
pub(super) struct Aim<'a> {
    /// The Service on the way, in a ServiceMonitor.
    pub(super) service: Option<&'a Object>,
    pub(super) workload: &'a Object,
    /// Number of the container's port.
    pub(super) port: i64,
}

/// Every monitor.
pub(super) fn monitors(snapshot: &Snapshot) -> impl Iterator<Item = Monitor<'_>> {
    let objects = MONITORS.into_iter().flat_map(|kind| snapshot.of(kind));
    objects.map(|object| {
        let endpoints = list(&object.at("/spec")[field(object.kind)]).iter().enumerate();
        Monitor {
            object,
            selector: pods::selector(object.at("/spec/selector")),
            endpoints: endpoints.map(|(index, value)| Endpoint { index, value }).collect(),
        }
    })
}

/// The field of a monitor's spec that holds its endpoints.
fn field(kind: Kind) -> &'static str {
    match kind {
        Kind::PodMonitor => "podMetricsEndpoints",
        _ => "endpoints",
    }
}

impl<'a> Endpoint<'a> {
    /// Name of the port, if it goes by that.
    pub(super) fn port(&self) -> Option<&'a str> {
        self.value["port"].as_str().filter(|port| !port.is_empty())
    }

    /// The path of the page.
    pub(super) fn path(&self) -> &'a str {
        self.value["path"]
            .as_str()
            .filter(|path| !path.is_empty())
            .unwrap_or("/metrics")
    }

    /// Where it stands in the monitor.
    pub(super) fn field(&self, kind: Kind) -> String {
        format!("spec.{}[{}]", field(kind), self.index)
    }
}

impl<'a> Monitor<'a> {
    /// Whether it selects Services, and not pods.
    pub(super) fn is_of_services(&self) -> bool {
        self.object.kind == Kind::ServiceMonitor
    }

    /// Namespaces in which it looks. None: all of them.
    pub(super) fn namespaces(&self) -> Option<Vec<&'a str>> {
        let selector = self.object.at("/spec/namespaceSelector");
        if selector["any"].as_bool() == Some(true) {
            return None;
        }
        let names: Vec<&str> = list(&selector["matchNames"]).iter().filter_map(Value::as_str).collect();
        Some(if names.is_empty() {
            vec![&self.object.namespace]
        } else {
            names
        })
    }

    /// The finding with a patch that changes endpoints. It carries all of them: a merge patch replaces a list whole.
    pub(super) fn patched(&self, found: Found, change: impl Fn(&Endpoint<'_>, &mut Value)) -> Found {
        let changed = |endpoint: &Endpoint<'_>| {
            let mut value = endpoint.value.clone();
            change(endpoint, &mut value);
            value
        };
        let endpoints: Vec<Value> = self.endpoints.iter().map(changed).collect();
        let patch = json!({"spec": {field(self.object.kind): endpoints}});
        found.patch(&self.object.reference(), &patch)
    }

    fn looks_into(&self, namespace: &str) -> bool {
        self.namespaces().is_none_or(|names| names.contains(&namespace))
    }

    /// Whether all objects of the kind are seen where it looks.
    pub(super) fn sees(&self, snapshot: &Snapshot, kind: Kind) -> bool {
        match self.namespaces() {
            None => snapshot.sees_all(kind),
            Some(names) => names.iter().all(|namespace| snapshot.sees(kind, namespace)),
        }
    }

    /// The Services that it selects.
    pub(super) fn services(&self, snapshot: &'a Snapshot) -> Vec<&'a Object> {
        let services = snapshot.of(Kind::Service).iter();
        services
            .filter(|service| {
                self.looks_into(&service.namespace) && selection::matches(&self.selector, &service.labels)
            })
            .collect()
    }

    /// The workloads whose pods it selects, with the Service on the way.
    pub(super) fn workloads(&self, snapshot: &'a Snapshot) -> Vec<(Option<&'a Object>, &'a Object)> {
        if !self.is_of_services() {
            let found = pods::workloads(snapshot).filter(|workload| self.looks_into(&workload.namespace));
            return found
                .filter(|workload| selection::matches(&self.selector, &pods::template_labels(workload)))
                .map(|workload| (None, workload))
                .collect();
        }
        let behind = |service: &'a Object| {
            let selector = pods::of_service(service);
            let selected = selector.map(|selector| pods::selected(snapshot, &service.namespace, &selector));
            selected
                .into_iter()
                .flatten()
                .map(move |workload| (Some(service), workload))
        };
        self.services(snapshot).into_iter().flat_map(behind).collect()
    }

    /// Where an endpoint leads, by the number of the container's port, as far as that is known.
    pub(super) fn aims(&self, snapshot: &'a Snapshot, endpoint: &Endpoint<'_>) -> Vec<Aim<'a>> {
        let aim = |(service, workload): (Option<&'a Object>, &'a Object)| {
            let port = match (service, endpoint.port()) {
                (Some(service), Some(name)) => {
                    let mut ports = service.list("/spec/ports").iter();
                    behind(ports.find(|port| port["name"].as_str() == Some(name))?, workload)
                }
                (None, Some(name)) => named(workload, name),
                (_, None) => {
                    numbered(&endpoint.value["targetPort"], workload).or_else(|| endpoint.value["portNumber"].as_i64())
                }
            };
            Some(Aim {
                service,
                workload,
                port: port?,
            })
        };
        self.workloads(snapshot).into_iter().filter_map(aim).collect()
    }
}

/// Number of the container's port that a Service's port leads to.
pub(super) fn behind(port: &Value, workload: &Object) -> Option<i64> {
    match &port["targetPort"] {
        Value::Null => port["port"].as_i64(),
        target => numbered(target, workload),
    }
}

fn numbered(port: &Value, workload: &Object) -> Option<i64> {
    match port {
        Value::String(name) => named(workload, name),
        number => number.as_i64(),
    }
}

fn named(workload: &Object, name: &str) -> Option<i64> {
    let ports = pods::ports(workload);
    ports
        .iter()
        .find(|(port, _)| *port == Some(name))
        .map(|(_, number)| *number)
}

/// What the names of all scrape pools of a monitor begin with.
fn pools(monitor: &Object) -> Option<String> {
    scrape_pool::of_monitor(monitor.kind.into(), &monitor.namespace, &monitor.name)
}

/// The scrape pool of an endpoint of a monitor.
pub(super) fn pool(monitor: &Object, index: usize) -> Option<String> {
    Some(format!("{}{index}", pools(monitor)?))
}

/// The monitor that a scrape pool belongs to.
pub(super) fn of_pool<'a>(snapshot: &'a Snapshot, pool: &str) -> Option<&'a Object> {
    let (of, namespace, name) = scrape_pool::monitor(pool)?;
    let kind = MONITORS.into_iter().find(|kind| <&str>::from(*kind) == of)?;
    snapshot.find(kind, namespace, name)
}

/// What is found at each monitor by questions about labels, which are answered by job and namespace: `found` gets the
/// first sample of one of the monitor's jobs, and who gave it.
pub(super) fn by_label(
    snapshot: &Snapshot,
    labels: &[&'static str],
    query: impl Fn(&'static str) -> Query,
    found: impl Fn(&Monitor<'_>, &str, &str, &Sample) -> Found,
) -> Vec<Found> {
    let mut all = Vec::new();
    for monitor in monitors(snapshot) {
        for answers in &snapshot.prometheuses {
            let samples = labels
                .iter()
                .filter_map(|label| Some((label, sample_of(answers, query(label), monitor.object)?)));
            all.extend(samples.map(|(label, sample)| found(&monitor, &answers.who, label, sample)));
        }
    }
    all
}

fn sample_of<'a>(answers: &'a PrometheusAnswers, query: Query, monitor: &Object) -> Option<&'a Sample> {
    let pools = pools(monitor)?;
    let own = |sample: &&Sample| {
        answers.targets.iter().flatten().any(|target| {
            let is = |label: &str| target.labels.get(label).map(String::as_str) == Some(sample.label(label));
            target.scrape_pool.starts_with(&pools) && is("job") && is("namespace")
        })
    };
    answers.queries.get(&query)?.as_ref().ok()?.iter().find(own)
}
