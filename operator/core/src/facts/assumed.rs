//! What is assumed of a workload that nobody looked at, so that everything can be rendered without a cluster.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use observed_crds::foreign::LabelSelector;
use observed_crds::v1alpha1::{ObservedService, ObservedServiceSpec, Port};

use super::{Answer, AnswerOutcome, Ask, Container, ContainerPort, Facts, Question, Service, ServicePort, Target};
use crate::{names, outputs, resolve};

/// Port of a container that serves.
const HTTP: (&str, i32) = ("http", 8080);
/// Number of the first port that the spec names without saying its number.
const FIRST_NAMED: i32 = 8081;
/// Stands for a UID where there is no cluster.
const OFFLINE: &str = "offline";
/// Label by which workload and Service belong together.
const NAME_LABEL: &str = "app.kubernetes.io/name";

impl Facts {
    /// The workload exists, with one container that has the port `http` and every port that the spec names; a Service of
    /// its name leads to its named ports; every optional kind is served. Its pods were not asked.
    pub fn assumed(service: &ObservedService) -> Self {
        let spec = &service.spec;
        let name = &spec.target_ref.name;
        let labels = BTreeMap::from([(NAME_LABEL.to_owned(), name.clone())]);
        let ports = ports(service);
        let container = Container {
            name: spec
                .target_ref
                .container
                .clone()
                .unwrap_or_else(|| name.replace('.', "-")),
            image: String::new(),
            ports: ports.clone(),
            probes: BTreeMap::new(),
        };
        let leads_to = |port: &ContainerPort| ServicePort {
            name: port.name.clone(),
            port: port.port,
            target_port_name: port.name.clone(),
            target_port: None,
        };
        let optional = outputs::owned_kinds().into_iter().filter(|kind| kind.optional);
        Self {
            namespace: service.metadata.namespace.clone().unwrap_or_default(),
            name: service.metadata.name.clone().unwrap_or_default(),
            target: Some(Target {
                kind: spec.target_ref.kind,
                name: name.clone(),
                replicas: 1,
                selector: LabelSelector {
                    match_labels: labels.clone(),
                    match_expressions: Vec::new(),
                },
                pod_labels: labels.clone(),
                containers: vec![container],
                ..Target::default()
            }),
            services: vec![Service {
                name: name.clone(),
                labels,
                ports: ports.iter().filter(|port| port.name.is_some()).map(leads_to).collect(),
            }],
            served: optional.map(|kind| kind.kind.to_owned()).collect(),
            ..Self::default()
        }
    }

    /// The same, as if the pods had given the answer that a probe needs to every question that nobody asked them yet.
    pub fn answered(&self, spec: &ObservedServiceSpec) -> Self {
        let mut facts = self.clone();
        let Some(target) = &mut facts.target else {
            return facts;
        };
        // Nothing is given to an object without a UID.
        for uid in [&mut facts.uid, &mut target.uid] {
            if uid.is_empty() {
                OFFLINE.clone_into(uid);
            }
        }
        let pods = 1..=target.replicas.max(1);
        let pod = names::sample_pod(target.kind, &target.name);
        for question in resolve::questions(spec, &facts) {
            let answers = facts.preflight.entry(question.probe).or_default();
            if answers.is_empty() {
                *answers = pods
                    .clone()
                    .map(|number| good(&question, format!("{pod}{number}")))
                    .collect();
            }
        }
        facts
    }
}

/// The answer that a probe needs.
fn good(question: &Question, pod: String) -> Answer {
    Answer {
        pod,
        outcome: match question.ask {
            Ask::Get { .. } => AnswerOutcome::Status(200),
            Ask::Connect => AnswerOutcome::Connected,
            Ask::Grpc { .. } => AnswerOutcome::Serving,
        },
        millis: 1,
        restarts: 0,
    }
}

fn ports(service: &ObservedService) -> Vec<ContainerPort> {
    let mut ports = vec![ContainerPort {
        name: Some(HTTP.0.to_owned()),
        port: HTTP.1,
    }];
    let mut next = FIRST_NAMED;
    for wanted in named(service) {
        match wanted {
            IntOrString::Int(number) if ports.iter().all(|port| port.port != number) => {
                ports.push(ContainerPort {
                    name: None,
                    port: number,
                });
            }
            IntOrString::String(name) if ports.iter().all(|port| port.name.as_ref() != Some(&name)) => {
                ports.push(ContainerPort {
                    name: Some(name),
                    port: next,
                });
                next += 1;
            }
            _ => {}
        }
    }
    ports
}

/// Ports that the spec names.
fn named(service: &ObservedService) -> Vec<Port> {
    let spec = &service.spec;
    let probes = spec.probes.clone().unwrap_or_default();
    let handlers = [
        probes
            .liveness
            .map(|probe| (probe.http_get, probe.tcp_socket, probe.grpc)),
        probes
            .readiness
            .map(|probe| (probe.http_get, probe.tcp_socket, probe.grpc)),
        probes
            .startup
            .map(|probe| (probe.http_get, probe.tcp_socket, probe.grpc)),
    ];
    let of_probes = handlers.into_iter().flatten().flat_map(|(get, tcp, grpc)| {
        [
            get.and_then(|get| get.port),
            tcp.and_then(|tcp| tcp.port),
            grpc.and_then(|grpc| grpc.port),
        ]
    });
    let of_scrape = spec.scrape.as_ref().and_then(|scrape| scrape.port.clone());
    of_probes.chain([of_scrape]).flatten().collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn service(spec: &serde_json::Value) -> ObservedService {
        serde_json::from_value(json!({
            "apiVersion": "observed.rs/v1alpha1", "kind": "ObservedService",
            "metadata": {"name": "a", "namespace": "prod"}, "spec": spec,
        }))
        .unwrap()
    }

    #[test]
    fn the_target_and_every_port_that_the_spec_names_are_there() {
        let facts = Facts::assumed(&service(&json!({
            "targetRef": {"name": "a", "container": "api"},
            "scrape": {"port": "metrics"},
            "probes": {"liveness": {"tcpSocket": {"port": 9000}}, "readiness": {"httpGet": {"path": "/r", "port": 8080}}},
        })));
        let container = &facts.target.unwrap().containers[0];
        assert_eq!(container.name, "api");
        let ports: Vec<_> = container.ports.iter().map(|p| (p.name.as_deref(), p.port)).collect();
        assert_eq!(ports, [(Some("http"), 8080), (None, 9000), (Some("metrics"), 8081)]);
        assert_eq!(facts.services[0].ports.len(), 2);
    }

    #[test]
    fn what_nobody_can_know_stays_empty() {
        let facts = Facts::assumed(&service(&json!({"targetRef": {"name": "a"}})));
        assert_eq!((facts.uid.as_str(), facts.taken_by, facts.contested), ("", None, None));
        assert!(facts.prometheuses.is_empty());
    }
}
