//! How a probe asks, and where that leads.

use observed_crds::v1alpha1::{Exec, Grpc, HttpGet, Port, ProbeSettings, Scheme, StartupSettings, TcpSocket};

use super::super::super::ports;
use crate::facts::{Container, ContainerPort};
use crate::finding::{Code, Finding};
use crate::gift::{Handler, ProbeKind, ProbeShape};

/// Where a handler leads, with the number of the port if it has one; in words why a default leads nowhere; None after a
/// finding.
pub(super) type Led = Option<Result<(Handler, Option<i32>), String>>;

/// A handler of the spec by its name. None after a finding.
type Named<'a> = (&'a str, Option<(Handler, Option<i32>)>);

/// The handlers of a probe in the spec.
#[derive(Clone, Copy)]
pub(super) struct Handlers<'a> {
    http_get: Option<&'a HttpGet>,
    tcp_socket: Option<&'a TcpSocket>,
    grpc: Option<&'a Grpc>,
    exec: Option<&'a Exec>,
}

impl<'a> From<&'a ProbeSettings> for Handlers<'a> {
    fn from(settings: &'a ProbeSettings) -> Self {
        Self {
            http_get: settings.http_get.as_ref(),
            tcp_socket: settings.tcp_socket.as_ref(),
            grpc: settings.grpc.as_ref(),
            exec: settings.exec.as_ref(),
        }
    }
}

impl<'a> From<&'a StartupSettings> for Handlers<'a> {
    fn from(settings: &'a StartupSettings) -> Self {
        Self {
            http_get: settings.http_get.as_ref(),
            tcp_socket: settings.tcp_socket.as_ref(),
            grpc: settings.grpc.as_ref(),
            exec: settings.exec.as_ref(),
        }
    }
}

/// The handler that the spec gives. The outer None: it gives none. The inner one: there is a finding against it.
pub(super) fn given(
    container: &Container,
    at: &str,
    handlers: Handlers<'_>,
    findings: &mut Vec<Finding>,
) -> Option<Led> {
    let before = findings.len();
    let mut all: Vec<Named<'_>> = Vec::new();
    if let Some(get) = handlers.http_get {
        let port = port(
            container,
            get.port.as_ref(),
            "http",
            &format!("{at}.httpGet.port"),
            findings,
        );
        let fits = get.path.starts_with('/') && get.path.bytes().all(|b| b.is_ascii_graphic());
        if !fits || get.path.contains("..") {
            findings.push(Finding::error(
                Code::InvalidValue,
                format!("{at}.httpGet.path"),
                format!("{:?} is not a path that a probe can ask", get.path),
                "It starts with / and has no spaces, control characters or '..', as /health",
            ));
        }
        all.push(("httpGet", port.map(|port| http_get(&get.path, get.scheme, port))));
    }
    if let Some(tcp) = handlers.tcp_socket {
        let port = port(
            container,
            tcp.port.as_ref(),
            "http",
            &format!("{at}.tcpSocket.port"),
            findings,
        );
        let handler = |port: &ContainerPort| Handler::TcpSocket {
            port: ports::reference(port),
        };
        all.push(("tcpSocket", port.map(|port| (handler(port), Some(port.port)))));
    }
    if let Some(grpc) = handlers.grpc {
        let port = port(
            container,
            grpc.port.as_ref(),
            "grpc",
            &format!("{at}.grpc.port"),
            findings,
        );
        let handler = |port: &ContainerPort| Handler::Grpc {
            port: port.port,
            service: grpc.service.clone().unwrap_or_default(),
        };
        all.push(("grpc", port.map(|port| (handler(port), Some(port.port)))));
    }
    if let Some(exec) = handlers.exec {
        if exec.command.is_empty() {
            findings.push(Finding::error(
                Code::InvalidValue,
                format!("{at}.exec.command"),
                "the command has no words",
                "Give the program and its arguments, as [pg_isready, -q]",
            ));
        }
        let command = exec.command.clone();
        all.push(("exec", Some((Handler::Exec { command }, None))));
    }
    let names: Vec<&str> = all.iter().map(|(name, _)| *name).collect();
    if names.len() > 1 {
        findings.push(Finding::error(
            Code::BrokenRule,
            at,
            format!("{} are given", names.join(" and ")),
            "A probe has one handler: give httpGet, tcpSocket, grpc or exec",
        ));
    }
    let (_, led) = all.into_iter().next()?;
    Some(led.filter(|_| findings.len() == before).map(Ok))
}

fn port<'a>(
    container: &'a Container,
    wanted: Option<&Port>,
    preferred: &str,
    path: &str,
    findings: &mut Vec<Finding>,
) -> Option<&'a ContainerPort> {
    let found = ports::port(container, wanted, &[preferred], path);
    found.map_err(|finding| findings.push(finding)).ok()
}

fn http_get(path: &str, scheme: Scheme, port: &ContainerPort) -> (Handler, Option<i32>) {
    let handler = Handler::HttpGet {
        path: path.to_owned(),
        port: ports::reference(port),
        scheme: scheme.as_str().to_owned(),
    };
    (handler, Some(port.port))
}

/// The documented default. That it finds no port is nothing that the user wrote, so it is no finding.
pub(super) fn by_default(container: &Container, kind: ProbeKind, path: &str) -> Result<(Handler, Option<i32>), String> {
    let at = format!("spec.probes.{kind}.httpGet.port");
    ports::port(container, None, &["http"], &at)
        .map(|port| http_get(path, Scheme::Http, port))
        .map_err(|finding| {
            format!(
                "no port for GET {path}: {}. {}; name one in {at}",
                finding.message, finding.help
            )
        })
}

/// The handler of somebody else's liveness probe, if preflight can ask what it asks.
pub(super) fn follow(container: &Container, theirs: &ProbeShape) -> Led {
    let port = match &theirs.handler {
        Handler::HttpGet { port, .. } | Handler::TcpSocket { port } => port.clone(),
        Handler::Grpc { port, .. } => Port::Int(*port),
        Handler::Exec { .. } | Handler::None => return None,
    };
    let port = ports::port(container, Some(&port), &[], "").ok()?;
    Some(Ok((theirs.handler.clone(), Some(port.port))))
}
