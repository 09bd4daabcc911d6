//! What is risky about the probes that a container has, as far as their shape shows it.

use std::collections::BTreeMap;

use super::super::ports;
use crate::facts::Container;
use crate::finding::{Code, Finding};
use crate::gift::{Handler, ProbeKind, ProbeShape, port_words};

/// A liveness probe that restarts sooner than this does so on a pause of the garbage collector or a busy node.
const SHORTEST_LIVENESS_SECONDS: i32 = 30;
/// A longer delay stands for a slow start, which is what a startup probe is for.
const LONGEST_DELAY_SECONDS: i32 = 15;
/// A command that is started more often costs more than it tells.
const SHORTEST_EXEC_PERIOD_SECONDS: i32 = 5;
/// Words of a path that stand for "can serve", which depends on others, and not for "is alive".
const DEPENDENT: [&str; 8] = [
    "ready",
    "readyz",
    "readiness",
    "db",
    "database",
    "deep",
    "redis",
    "postgres",
];

/// A probe, and whether it is the workload's own.
#[derive(Clone, Copy, Debug)]
pub(super) struct Linted<'a> {
    /// What it does.
    pub(super) shape: &'a ProbeShape,
    /// Its owner gave it.
    pub(super) theirs: bool,
}

/// The warnings. None of them is about something that Observed would choose by itself.
pub(super) fn lint(container: &Container, probes: &BTreeMap<ProbeKind, Linted<'_>>) -> Vec<Finding> {
    let mut warnings = Vec::new();
    let mut warn = |kind: ProbeKind, field: &str, message: String, help: &str| {
        let theirs = probes.get(&kind).is_some_and(|linted| linted.theirs);
        let (path, whose) = if theirs {
            (
                "spec.targetRef".to_owned(),
                format!("the {kind} probe that container {:?} has", container.name),
            )
        } else {
            (format!("spec.probes.{kind}{field}"), format!("the {kind} probe"))
        };
        warnings.push(Finding::warning(
            Code::RiskyProbe,
            path,
            format!("{whose} {message}"),
            help,
        ));
    };
    for (kind, Linted { shape, theirs }) in probes {
        match &shape.handler {
            Handler::Exec { .. } if !theirs => warn(
                *kind,
                ".exec",
                "runs a command, and Observed runs nothing in a container: nobody has tried it".to_owned(),
                "See that the image has it and that it ends in time: kubectl exec. If pods suffer from it, it is taken back",
            ),
            Handler::HttpGet { scheme, .. } if scheme == "HTTPS" && !theirs => warn(
                *kind,
                ".httpGet.scheme",
                "asks over HTTPS, and the kubelet checks no certificate: one that has expired is not noticed"
                    .to_owned(),
                "Watch the certificate elsewhere",
            ),
            _ => {}
        }
        if shape.timeout_seconds > shape.period_seconds {
            warn(
                *kind,
                ".timeoutSeconds",
                format!(
                    "may take {} s for an attempt, and the next one is due after {} s",
                    shape.timeout_seconds, shape.period_seconds
                ),
                "timeoutSeconds is at most periodSeconds",
            );
        }
        if matches!(shape.handler, Handler::Exec { .. }) && shape.period_seconds < SHORTEST_EXEC_PERIOD_SECONDS {
            warn(
                *kind,
                "",
                format!("starts a process every {} s", shape.period_seconds),
                "Ask over httpGet or tcpSocket, or set periodSeconds to 5 or more",
            );
        }
        if let Some(port) = undeclared(container, shape) {
            warn(
                *kind,
                "",
                format!("asks the port {port:?}, which the container does not declare, so that every attempt fails"),
                "Name a port under ports of the same container",
            );
        }
    }
    if let Some(Linted { shape, .. }) = probes.get(&ProbeKind::Liveness) {
        liveness(container, shape, probes, &mut warn);
    }
    warnings
}

fn liveness(
    container: &Container,
    shape: &ProbeShape,
    probes: &BTreeMap<ProbeKind, Linted<'_>>,
    warn: &mut dyn FnMut(ProbeKind, &str, String, &str),
) {
    let kind = ProbeKind::Liveness;
    let path = path(shape);
    let as_readiness = probes
        .get(&ProbeKind::Readiness)
        .is_some_and(|readiness| asks_the_same(container, shape, readiness.shape));
    if let Some(path) = path.filter(|_| as_readiness) {
        warn(
            kind,
            ".httpGet.path",
            format!("asks {path} as the readiness probe does, so that a pod which should only wait is restarted"),
            "Liveness asks a path that touches no dependency, as /health",
        );
    } else if let Some(path) = path.filter(|path| is_dependent(path)) {
        warn(
            kind,
            ".httpGet.path",
            format!("asks {path}, which by its name depends on others: their outage would restart every pod"),
            "Liveness asks a path that touches no dependency, as /health",
        );
    }
    if shape.failure_threshold <= 1 {
        warn(
            kind,
            ".failureThreshold",
            format!("restarts after one failed attempt ({} s)", shape.verdict_seconds()),
            "Set failureThreshold to 3 or more",
        );
    } else if shape.failure_threshold.saturating_mul(shape.period_seconds) < SHORTEST_LIVENESS_SECONDS {
        warn(
            kind,
            ".failureThreshold",
            format!("restarts after {} s without an answer", shape.verdict_seconds()),
            "Let failureThreshold times periodSeconds be 30 s or more; readiness is what reacts fast",
        );
    }
    if shape.timeout_seconds <= 1 && !matches!(shape.handler, Handler::TcpSocket { .. }) {
        warn(
            kind,
            ".timeoutSeconds",
            format!(
                "allows {} s for an answer, which a throttled CPU alone can take",
                shape.timeout_seconds
            ),
            "Set timeoutSeconds to 3 or more",
        );
    }
    if shape.initial_delay_seconds > LONGEST_DELAY_SECONDS && !probes.contains_key(&ProbeKind::Startup) {
        warn(
            kind,
            "",
            format!(
                "waits {} s before its first attempt, and there is no startup probe: a slower start is restarted, after \
                 a faster one a hang goes unseen",
                shape.initial_delay_seconds
            ),
            "Use a startup probe instead of initialDelaySeconds",
        );
    }
}

fn path(shape: &ProbeShape) -> Option<&str> {
    match &shape.handler {
        Handler::HttpGet { path, .. } => Some(path),
        _ => None,
    }
}

fn is_dependent(path: &str) -> bool {
    path.to_ascii_lowercase()
        .split(|c: char| !c.is_ascii_alphanumeric())
        .any(|word| DEPENDENT.contains(&word))
}

fn asks_the_same(container: &Container, a: &ProbeShape, b: &ProbeShape) -> bool {
    let number = |shape: &ProbeShape| match &shape.handler {
        Handler::HttpGet { port, .. } => ports::port(container, Some(port), &[], "")
            .map(|port| port.port.to_string())
            .unwrap_or_else(|_| port_words(port)),
        _ => String::new(),
    };
    path(a).is_some() && path(a) == path(b) && number(a) == number(b)
}

/// The name of a port that the kubelet cannot find. A number needs no declaration.
fn undeclared<'a>(container: &Container, shape: &'a ProbeShape) -> Option<&'a str> {
    use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
    let (Handler::HttpGet { port, .. } | Handler::TcpSocket { port }) = &shape.handler else {
        return None;
    };
    match port {
        IntOrString::String(name) => {
            (!container.ports.iter().any(|port| port.name.as_ref() == Some(name))).then_some(name.as_str())
        }
        IntOrString::Int(_) => None,
    }
}
