use super::super::kind::{Kind, MONITORS, Need};
use super::super::scraping::{Endpoint, Monitor, behind, monitors};
use super::super::snapshot::Object;
use super::super::{Found, Rule, Severity, Snapshot, pods};
use crate::finding::nearest;

pub(super) const RULE: Rule = Rule {
    id: "monitor-port",
    title: "The port of a monitor is no name of a port that is there",
    effect: "The endpoint has no target: Prometheus drops every address because no port has that name",
    fix: "`port` is the name of a port of the Service (in a PodMonitor: of the container), never a number and never the \
          container's port name",
    needs: &[Need::Any(&MONITORS), Need::Objects(Kind::Service)],
    find,
};

fn find(snapshot: &Snapshot) -> Vec<Found> {
    let mut found = Vec::new();
    for monitor in monitors(snapshot) {
        for endpoint in &monitor.endpoints {
            found.extend(match monitor.is_of_services() {
                true => of_services(snapshot, &monitor, endpoint),
                false => of_pods(snapshot, &monitor, endpoint),
            });
        }
    }
    found
}

fn of_services(snapshot: &Snapshot, monitor: &Monitor<'_>, endpoint: &Endpoint<'_>) -> Option<Found> {
    let services = monitor.services(snapshot);
    let port = endpoint.port()?;
    let names = |service: &'_ Object| -> Vec<String> {
        let ports = service.list("/spec/ports").iter();
        ports
            .filter_map(|port| port["name"].as_str())
            .map(str::to_owned)
            .collect()
    };
    let service = *services.first()?;
    if services
        .iter()
        .any(|service| names(service).iter().any(|name| name == port))
    {
        return None;
    }
    let field = format!("{}.port", endpoint.field(monitor.object.kind));
    let there = names(service);
    let evidence = format!(
        "{field} is {port:?}, and the ports of {} are {}",
        service.reference(),
        ports(service)
    );
    let meant = meant(snapshot, service, port);
    let (fix, patched) = match meant.or_else(|| nearest(port, there.iter().map(String::as_str)).map(str::to_owned)) {
        Some(name) => (format!("Set {field} to {name:?}"), Some(name)),
        None if there.is_empty() => (
            "Give the Service's port a name, and use that name here".to_owned(),
            None,
        ),
        None => (format!("Set {field} to one of {}", there.join(", ")), None),
    };
    let found = Found::new(Severity::Error, monitor.object, evidence, fix);
    Some(match patched {
        Some(name) => replaced(found, monitor, endpoint, &name),
        None => found,
    })
}

/// The name of the Service's port with that number, or that leads to the container's port of that name.
fn meant(snapshot: &Snapshot, service: &Object, port: &str) -> Option<String> {
    let number = port.parse::<i64>().ok();
    let selector = pods::of_service(service);
    let workloads = selector
        .map(|selector| pods::selected(snapshot, &service.namespace, &selector))
        .unwrap_or_default();
    let found = service.list("/spec/ports").iter().find(|candidate| {
        let behind = |workload: &&Object| {
            let target = behind(candidate, workload);
            let named = pods::ports(workload).into_iter().find(|(name, _)| *name == Some(port));
            target.is_some() && (target == number || target == named.map(|(_, number)| number))
        };
        (number.is_some() && candidate["port"].as_i64() == number)
            || candidate["targetPort"].as_str() == Some(port)
            || workloads.iter().any(behind)
    });
    found?["name"].as_str().map(str::to_owned)
}

fn of_pods(snapshot: &Snapshot, monitor: &Monitor<'_>, endpoint: &Endpoint<'_>) -> Option<Found> {
    let port = endpoint.port()?;
    let workloads: Vec<&Object> = monitor
        .workloads(snapshot)
        .into_iter()
        .map(|(_, workload)| workload)
        .collect();
    let has = |workload: &&Object| pods::ports(workload).iter().any(|(name, _)| *name == Some(port));
    let workload = *workloads.first()?;
    if workloads.iter().any(has) {
        return None;
    }
    let field = format!("{}.port", endpoint.field(monitor.object.kind));
    let declared = pods::ports(workload);
    let number = port.parse::<i64>().ok();
    let meant = declared
        .iter()
        .find(|(_, declared)| Some(*declared) == number)
        .and_then(|(name, _)| *name);
    let names: Vec<&str> = declared.iter().filter_map(|(name, _)| *name).collect();
    let evidence = format!(
        "{field} is {port:?}, and the containers of {} name {}",
        workload.reference(),
        listed(&names)
    );
    let found = |fix: String| Found::new(Severity::Error, monitor.object, evidence.clone(), fix);
    Some(match (meant.or_else(|| nearest(port, names.iter().copied())), number) {
        (Some(name), _) => replaced(found(format!("Set {field} to {name:?}")), monitor, endpoint, name),
        (None, Some(number)) => found(format!(
            "Name that port in the container, or set portNumber: {number} instead of port"
        )),
        (None, None) => found(format!("Set {field} to the name of a port that the container declares")),
    })
}

fn replaced(found: Found, monitor: &Monitor<'_>, endpoint: &Endpoint<'_>, name: &str) -> Found {
    monitor.patched(found, |other, value| {
        if other.index == endpoint.index {
            value["port"] = name.into();
        }
    })
}

fn ports(service: &Object) -> String {
    let ports = service
        .list("/spec/ports")
        .iter()
        .map(|port| match port["name"].as_str() {
            Some(name) => format!("{name:?} ({})", port["port"]),
            None => format!("{} without a name", port["port"]),
        });
    let ports: Vec<String> = ports.collect();
    if ports.is_empty() {
        "none".into()
    } else {
        ports.join(", ")
    }
}

fn listed(names: &[&str]) -> String {
    if names.is_empty() {
        "no port".into()
    } else {
        names.join(", ")
    }
}
