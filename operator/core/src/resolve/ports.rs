//! Ports of a container, by name or number.

use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use observed_crds::v1alpha1::Port;

use crate::facts::{Container, ContainerPort};
use crate::finding::{Code, Finding, nearest};

/// The port that is meant: the wanted one, else the first of the preferred names, else the only one.
pub(super) fn port<'a>(
    container: &'a Container,
    wanted: Option<&Port>,
    preferred: &[&str],
    path: &str,
) -> Result<&'a ContainerPort, Finding> {
    let by_name = |name: &str| container.ports.iter().find(|p| p.name.as_deref() == Some(name));
    let found = match wanted {
        Some(IntOrString::String(name)) => by_name(name),
        Some(IntOrString::Int(number)) => container.ports.iter().find(|p| p.port == *number),
        None => preferred
            .iter()
            .find_map(|name| by_name(name))
            .or(match container.ports.as_slice() {
                [only] => Some(only),
                _ => None,
            }),
    };
    found.ok_or_else(|| missing(container, wanted, path))
}

/// A declared port as a probe or a monitor names it: by name where it has one.
pub(super) fn reference(port: &ContainerPort) -> Port {
    match &port.name {
        Some(name) => IntOrString::String(name.clone()),
        None => IntOrString::Int(port.port),
    }
}

fn missing(container: &Container, wanted: Option<&Port>, path: &str) -> Finding {
    let has = if container.ports.is_empty() {
        "It declares no port: add one under ports in the workload".to_owned()
    } else {
        let ports: Vec<_> = container
            .ports
            .iter()
            .map(|p| match &p.name {
                Some(name) => format!("{name} ({})", p.port),
                None => p.port.to_string(),
            })
            .collect();
        format!("It has: {}", ports.join(", "))
    };
    let name = &container.name;
    let (message, meant) = match wanted {
        Some(IntOrString::String(port)) => (
            format!("container {name:?} has no port named {port:?}"),
            nearest(port, container.ports.iter().filter_map(|p| p.name.as_deref())),
        ),
        Some(IntOrString::Int(port)) => (format!("container {name:?} declares no port {port}"), None),
        None if container.ports.is_empty() => (format!("container {name:?} declares no port"), None),
        None => (
            format!(
                "container {name:?} has {} ports and none is named here",
                container.ports.len()
            ),
            None,
        ),
    };
    let meant = meant.map(|m| format!("Did you mean {m:?}? ")).unwrap_or_default();
    Finding::error(Code::Port, path, message, format!("{meant}{has}"))
}
