//! A container as the API server stores it becomes a fact.

use k8s_openapi::api::core::v1 as k8s;

use super::{Container, ContainerPort, LiveProbe};
use crate::gift::{ProbeKind, ProbeShape};

impl Container {
    /// The facts of a container. `owners` tells the field managers of a probe.
    pub fn of(container: &k8s::Container, owners: impl Fn(ProbeKind) -> Vec<String>) -> Self {
        let live = |kind: ProbeKind, probe: &Option<k8s::Probe>| {
            let shape = ProbeShape::of(probe.as_ref()?);
            Some((
                kind,
                LiveProbe {
                    shape,
                    owned_by: owners(kind),
                },
            ))
        };
        let probes = [
            live(ProbeKind::Liveness, &container.liveness_probe),
            live(ProbeKind::Readiness, &container.readiness_probe),
            live(ProbeKind::Startup, &container.startup_probe),
        ];
        Self {
            name: container.name.clone(),
            image: container.image.clone().unwrap_or_default(),
            ports: ports(container),
            probes: probes.into_iter().flatten().collect(),
        }
    }
}

fn ports(container: &k8s::Container) -> Vec<ContainerPort> {
    let tcp = |protocol: Option<&str>| matches!(protocol, None | Some("TCP"));
    let ports = container
        .ports
        .iter()
        .flatten()
        .filter(|port| tcp(port.protocol.as_deref()));
    ports
        .map(|port| ContainerPort {
            name: port.name.clone(),
            port: port.container_port,
        })
        .collect()
}
