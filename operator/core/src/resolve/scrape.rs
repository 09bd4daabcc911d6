//! What Prometheus scrapes, and the labels by which it selects our objects.

use std::collections::BTreeMap;

use observed_crds::v1alpha1::{ObservedServiceSpec, Port};

use super::ports;
use crate::duration;
use crate::facts::{Container, ContainerPort, Facts, PageQuestion, Service, Target};
use crate::finding::{Code, Finding};
use crate::gift::port_words;
use crate::plan::{Scrape, Via};
use crate::selection;

/// Seconds between two scrapes when the spec says nothing: the default of kube-prometheus-stack.
const DEFAULT_INTERVAL_SECONDS: u32 = 30;
/// Longest interval: Prometheus forgets a sample after five minutes (its lookback).
const LONGEST_INTERVAL_SECONDS: u32 = 300;
/// Seconds that a scrape may take when the spec says nothing: Prometheus' own default.
const DEFAULT_TIMEOUT_SECONDS: u32 = 10;
const DEFAULT_SAMPLE_LIMIT: i64 = 20_000;
const DEFAULT_LABEL_LIMIT: i64 = 64;
const DEFAULT_BODY_SIZE_LIMIT: &str = "16MB";

/// How Prometheus reads the service, as far as signals need it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Read<'a> {
    pub(super) job: &'a str,
    pub(super) interval_seconds: u32,
    pub(super) timeout_seconds: u32,
    pub(super) sample_limit: i64,
}

impl<'a> Read<'a> {
    /// What stands for it while the scrape is in doubt.
    pub(super) fn in_doubt(spec: &ObservedServiceSpec, facts: &'a Facts) -> Self {
        Self {
            job: &facts.name,
            interval_seconds: interval_seconds(spec).unwrap_or(DEFAULT_INTERVAL_SECONDS),
            timeout_seconds: DEFAULT_TIMEOUT_SECONDS,
            sample_limit: DEFAULT_SAMPLE_LIMIT,
        }
    }
}

impl<'a> From<&'a Scrape> for Read<'a> {
    fn from(scrape: &'a Scrape) -> Self {
        Self {
            job: &scrape.job,
            interval_seconds: scrape.interval_seconds,
            timeout_seconds: scrape.timeout_seconds,
            sample_limit: scrape.sample_limit,
        }
    }
}

/// Seconds between two scrapes, if the spec's value is one.
fn interval_seconds(spec: &ObservedServiceSpec) -> Option<u32> {
    match spec.scrape.as_ref().and_then(|s| s.interval.as_deref()) {
        Some(text) => duration::seconds(text),
        None => Some(DEFAULT_INTERVAL_SECONDS),
    }
}

/// Path of the metrics page when the spec says nothing.
const DEFAULT_PATH: &str = "/metrics";

/// The page that is scraped, as a question to the pods themselves.
pub(super) fn page(spec: &ObservedServiceSpec, container: &Container) -> Option<PageQuestion> {
    let settings = spec.scrape.clone().unwrap_or_default();
    let port = port(container, settings.port.as_ref()).ok()?;
    Some(PageQuestion {
        port: port.port,
        path: settings.path.unwrap_or_else(|| DEFAULT_PATH.to_owned()),
    })
}

fn port<'a>(container: &'a Container, wanted: Option<&Port>) -> Result<&'a ContainerPort, Finding> {
    ports::port(container, wanted, &["metrics", "http"], "spec.scrape.port")
}

/// The scrape, and what is worth knowing about it.
pub(super) fn scrape(
    spec: &ObservedServiceSpec,
    facts: &Facts,
    target: &Target,
    container: &Container,
) -> Result<(Scrape, Vec<Finding>), Vec<Finding>> {
    let settings = spec.scrape.clone().unwrap_or_default();
    let mut findings = Vec::new();
    let mut warnings = Vec::new();

    let port = port(container, settings.port.as_ref());
    let interval = match interval_seconds(spec) {
        Some(seconds) if seconds <= LONGEST_INTERVAL_SECONDS => Some(seconds),
        _ => {
            findings.push(wrong_duration(
                "spec.scrape.interval",
                settings.interval.as_deref(),
                "from 1s to 5m",
            ));
            None
        }
    };
    let timeout = match settings.timeout.as_deref() {
        None => Some(DEFAULT_TIMEOUT_SECONDS.min(interval.unwrap_or(DEFAULT_TIMEOUT_SECONDS))),
        Some(text) => match (duration::seconds(text), interval) {
            (Some(timeout), Some(interval)) if timeout > interval => {
                findings.push(Finding::error(
                    Code::Duration,
                    "spec.scrape.timeout",
                    format!(
                        "the timeout {text:?} is longer than the interval {:?}",
                        duration::text(interval)
                    ),
                    "prometheus-operator refuses such a monitor: make it at most the interval",
                ));
                None
            }
            (Some(timeout), _) => Some(timeout),
            (None, _) => {
                findings.push(wrong_duration("spec.scrape.timeout", Some(text), "of at least 1s"));
                None
            }
        },
    };
    let port = match port {
        Ok(port) => Some(port),
        Err(finding) => {
            findings.push(finding);
            None
        }
    };
    let (Some(port), Some(interval_seconds), Some(timeout_seconds)) = (port, interval, timeout) else {
        return Err(findings);
    };
    let (via, job) = via(facts, target, port, &mut warnings);
    let limits = settings.limits.unwrap_or_default();
    Ok((
        Scrape {
            via,
            job,
            path: settings.path.unwrap_or_else(|| DEFAULT_PATH.into()),
            interval_seconds,
            timeout_seconds,
            sample_limit: limits.samples.unwrap_or(DEFAULT_SAMPLE_LIMIT),
            label_limit: limits.labels.unwrap_or(DEFAULT_LABEL_LIMIT),
            body_size_limit: limits.body_size.unwrap_or_else(|| DEFAULT_BODY_SIZE_LIMIT.into()),
            histograms: spec
                .signals
                .as_ref()
                .and_then(|signals| signals.histograms)
                .unwrap_or_default(),
        },
        warnings,
    ))
}

fn wrong_duration(path: &str, written: Option<&str>, right: &str) -> Finding {
    Finding::error(
        Code::Duration,
        path,
        format!("{:?} is not a duration {right}", written.unwrap_or_default()),
        "Write it as Prometheus does, for instance 15s or 1m30s",
    )
}

/// A Service that leads to the port and can be selected; else the pods themselves.
fn via(facts: &Facts, target: &Target, port: &ContainerPort, warnings: &mut Vec<Finding>) -> (Via, String) {
    let mut usable: Vec<(&Service, &str)> = facts
        .services
        .iter()
        .filter(|service| !service.labels.is_empty())
        .filter_map(|service| service_port(service, port).map(|name| (service, name)))
        .collect();
    // The one named like the workload first, then by name, so that the choice never changes by itself.
    usable.sort_by_key(|(service, _)| (service.name != target.name, service.name.clone()));
    if let Some((service, port)) = usable.first() {
        let via = Via::Service {
            name: service.name.clone(),
            labels: service.labels.clone(),
            port: (*port).to_owned(),
        };
        return (via, service.name.clone());
    }
    if let Some(service) = facts.services.first() {
        warnings.push(Finding::warning(
            Code::Service,
            "spec.scrape.port",
            format!(
                "Service {:?} selects the pods, but a ServiceMonitor cannot use it: it needs labels, and a named port that leads to {}",
                service.name,
                port_words(&ports::reference(port))
            ),
            "The pods are scraped by a PodMonitor instead",
        ));
    }
    (
        Via::Pods {
            selector: target.selector.clone(),
            port: ports::reference(port),
        },
        facts.name.clone(),
    )
}

/// Name of the Service's port that leads to the container's port.
fn service_port<'a>(service: &'a Service, port: &ContainerPort) -> Option<&'a str> {
    service
        .ports
        .iter()
        .find(|candidate| match (&candidate.target_port_name, candidate.target_port) {
            (Some(name), _) => Some(name) == port.name.as_ref(),
            (None, Some(number)) => number == port.port,
            (None, None) => candidate.port == port.port,
        })
        .and_then(|candidate| candidate.name.as_deref())
}

/// Labels that our objects must carry to be selected, by kind: what the Prometheus resources, and then the agents, that
/// look into the namespace ask for by `matchLabels`.
///
/// Where two ask for different values of one label, the first one (by namespace and name) is served.
pub(super) fn selection_labels(facts: &Facts) -> (BTreeMap<String, BTreeMap<String, String>>, Vec<Finding>) {
    let mut labels: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    let mut warnings = Vec::new();
    let kinds = [("Prometheus", &facts.prometheuses), ("PrometheusAgent", &facts.agents)];
    let all = kinds
        .into_iter()
        .flat_map(|(of, all)| all.iter().map(move |one| (of, one)));
    let mut all: Vec<_> = all.collect();
    all.sort_by_key(|(of, one)| (*of, &one.namespace, &one.name));
    for (of, prometheus) in all {
        for (kind, selects) in &prometheus.selects {
            let outside = selection::outside(prometheus, kind, &facts.namespace, &facts.namespace_labels);
            let Some(objects) = selects.objects.as_ref().filter(|_| outside.is_none()) else {
                continue;
            };
            let asked = labels.entry(kind.clone()).or_default();
            for (key, value) in &objects.match_labels {
                match asked.get(key) {
                    None => {
                        asked.insert(key.clone(), value.clone());
                    }
                    Some(other) if other != value => warnings.push(Finding::warning(
                        Code::Service,
                        "spec.scrape",
                        format!(
                            "{of} {}/{} selects a {kind} by {key}={value}, another one by {key}={other}",
                            prometheus.namespace, prometheus.name
                        ),
                        "An object can serve only one of them; make their selectors agree to have both",
                    )),
                    Some(_) => {}
                }
            }
        }
    }
    labels.retain(|_, labels| !labels.is_empty());
    (labels, warnings)
}
