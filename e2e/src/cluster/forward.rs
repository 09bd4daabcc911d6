//! Ports of this machine that lead into a cluster's network.
//!
//! A socket belongs to the network namespace of the thread that makes it. So the listeners are made outside, and one thread that has entered the
//! cluster's namespace accepts from them and dials inside.

use std::fs::File;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::thread;
use std::time::Duration;

use futures::future::BoxFuture;
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::Client;
use kube::api::{Api, ListParams};
use nix::sched::{CloneFlags, setns};
use tokio::io::copy_bidirectional;
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use super::processes::Kind;
use super::{Cluster, Error, error, run_dir};

const KUBECTL_WITHIN: Duration = Duration::from_secs(20);

/// What a port leads to.
#[derive(Clone, Debug)]
enum Target {
    Address(SocketAddr),
    /// Looked up again for each connection: pods come and go.
    Service {
        namespace: String,
        name: String,
        port: u16,
    },
}

struct Order {
    listener: TcpListener,
    target: Target,
    /// For looking up Services; its server is an address inside.
    config: Option<kube::Config>,
}

/// The thread inside.
#[derive(Debug)]
pub(super) struct Forwarder {
    orders: Option<mpsc::UnboundedSender<Order>>,
    thread: Option<thread::JoinHandle<()>>,
    config: Option<kube::Config>,
}

impl Forwarder {
    /// Enters the network namespace of a process.
    pub(super) fn enter(process: u32) -> Result<Self, Error> {
        let path = std::path::PathBuf::from(format!("/proc/{process}/ns/net"));
        let failed = |action| run_dir::io_error(action, &path);
        let namespace = File::open(&path).map_err(failed("open"))?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(failed("serve"))?;
        let (orders, received) = mpsc::unbounded_channel();
        let (report, entered) = std::sync::mpsc::sync_channel(1);
        let body = move || {
            let result = setns(&namespace, CloneFlags::CLONE_NEWNET);
            drop(namespace); // an open file would keep the namespace after the cluster's end
            let is_inside = result.is_ok();
            let _ = report.send(result); // whoever waits is still there
            if is_inside {
                runtime.block_on(serve(received));
            }
        };
        let thread = thread::Builder::new().name("forwarder".to_owned()).spawn(body);
        let thread = thread.map_err(failed("serve"))?;
        let result = entered.recv().map_err(|_| Error::Stopped)?;
        result
            .map_err(std::io::Error::from)
            .map_err(failed("enter the network namespace"))?;
        Ok(Self {
            orders: Some(orders),
            thread: Some(thread),
            config: None,
        })
    }

    /// How the API server is asked from inside.
    pub(super) fn ask_with(&mut self, config: kube::Config) {
        self.config = Some(config);
    }

    /// Opens a port that leads to an address inside.
    pub(super) fn open_address(&self, address: SocketAddr) -> Result<SocketAddr, Error> {
        self.open(Target::Address(address))
    }

    /// Opens a port that leads to a Service.
    pub(super) fn open_service(&self, namespace: &str, name: &str, port: u16) -> Result<SocketAddr, Error> {
        self.open(Target::Service {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            port,
        })
    }

    fn open(&self, target: Target) -> Result<SocketAddr, Error> {
        let path = std::path::Path::new("127.0.0.1");
        let failed = || run_dir::io_error("open a port of", path);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(failed())?;
        listener.set_nonblocking(true).map_err(failed())?;
        let address = listener.local_addr().map_err(failed())?;
        let order = Order {
            listener,
            target,
            config: self.config.clone(),
        };
        let orders = self.orders.as_ref().ok_or(Error::Stopped)?;
        orders.send(order).map_err(|_| Error::Stopped)?;
        Ok(address)
    }
}

impl Drop for Forwarder {
    fn drop(&mut self) {
        drop(self.orders.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join(); // a panic in it was already printed
        }
    }
}

/// The thread's work, until nobody can give an order any more.
async fn serve(mut orders: mpsc::UnboundedReceiver<Order>) {
    let mut listeners = tokio::task::JoinSet::new();
    while let Some(order) = orders.recv().await {
        listeners.spawn(listen(order));
    }
}

async fn listen(order: Order) {
    let Ok(listener) = tokio::net::TcpListener::from_std(order.listener) else {
        return;
    };
    let client = order.config.and_then(|config| Client::try_from(config).ok());
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((mut outside, _)) = listener.accept().await {
        let (client, target) = (client.clone(), order.target.clone());
        connections.spawn(async move {
            // A connection that finds nobody inside is closed, as it would be if it were made there.
            if let Some(address) = resolve(client, target).await
                && let Ok(mut inside) = TcpStream::connect(address).await
            {
                let _ = copy_bidirectional(&mut outside, &mut inside).await;
            }
        });
        while connections.try_join_next().is_some() {}
    }
}

fn resolve(client: Option<Client>, target: Target) -> BoxFuture<'static, Option<SocketAddr>> {
    Box::pin(async move {
        match target {
            Target::Address(address) => Some(address),
            Target::Service { namespace, name, port } => find(client?, &namespace, &name, port).await,
        }
    })
}

/// The Service's own address, or for one without, a ready pod behind it.
async fn find(client: Client, namespace: &str, name: &str, port: u16) -> Option<SocketAddr> {
    let services: Api<Service> = Api::namespaced(client.clone(), namespace);
    let spec = services.get(name).await.ok()?.spec?;
    if let Some(address) = spec.cluster_ip.and_then(|text| text.parse::<IpAddr>().ok()) {
        return Some(SocketAddr::new(address, port));
    }
    let port_name = spec
        .ports
        .into_iter()
        .flatten()
        .find(|found| found.port == i32::from(port))?
        .name;
    let slices: Api<EndpointSlice> = Api::namespaced(client, namespace);
    let selected = ListParams::default().labels(&format!("kubernetes.io/service-name={name}"));
    let slices = slices.list(&selected).await.ok()?.items;
    slices
        .iter()
        .find_map(|slice| ready_endpoint(slice, port_name.as_deref()))
}

fn ready_endpoint(slice: &EndpointSlice, port_name: Option<&str>) -> Option<SocketAddr> {
    let is_named = |name: Option<&str>| name.unwrap_or_default() == port_name.unwrap_or_default();
    let ports = slice.ports.iter().flatten();
    let port = ports
        .filter(|port| is_named(port.name.as_deref()))
        .find_map(|port| port.port)?;
    let is_ready = |ready: Option<bool>| ready.unwrap_or(true);
    let endpoints = slice.endpoints.iter().flatten();
    let mut ready = endpoints.filter(|endpoint| is_ready(endpoint.conditions.as_ref().and_then(|found| found.ready)));
    let address = ready.find_map(|endpoint| endpoint.addresses.first())?;
    Some(SocketAddr::new(address.parse().ok()?, port.try_into().ok()?))
}

/// A Service that does not exist, or has no such port, is told at once.
pub(super) async fn check_service(client: &Client, namespace: &str, name: &str, port: u16) -> Result<(), Error> {
    let services: Api<Service> = Api::namespaced(client.clone(), namespace);
    let found = services.get(name).await;
    let service = found.map_err(Error::api(format!("forward to the Service {namespace}/{name}")))?;
    let ports: Vec<i32> = service
        .spec
        .and_then(|spec| spec.ports)
        .into_iter()
        .flatten()
        .map(|port| port.port)
        .collect();
    if ports.contains(&i32::from(port)) {
        return Ok(());
    }
    Err(Error::Forward {
        namespace: namespace.to_owned(),
        service: name.to_owned(),
        reason: format!("it has no port {port}, but {ports:?}"),
    })
}

/// A cluster that others run has no namespace to enter here: `kubectl` goes through its API server.
pub(super) async fn by_kubectl(
    cluster: &Cluster,
    namespace: &str,
    service: &str,
    port: u16,
) -> Result<SocketAddr, Error> {
    let component = format!("port-forward-{namespace}-{service}-{port}");
    let log = cluster.run.log(&component);
    let mut command = std::process::Command::new(cluster.kubectl());
    command.arg("--kubeconfig").arg(cluster.kubeconfig());
    command.args(["--namespace", namespace, "port-forward", "--address", "127.0.0.1"]);
    command.args([format!("service/{service}"), format!(":{port}")]);
    let (to, mut lines) = mpsc::unbounded_channel();
    cluster
        .run
        .processes
        .start(&component, &command, Kind::Plain, &log, Some(to))
        .await?;
    let told = async {
        while let Some(line) = lines.recv().await {
            if let Some(address) = told_address(&line) {
                // Whoever listens must go on: a closed pipe would end kubectl at its next line.
                let _ = cluster
                    .run
                    .processes
                    .serve(async move { while lines.recv().await.is_some() {} });
                return Some(address);
            }
        }
        None
    };
    let failed = || Error::Forward {
        namespace: namespace.to_owned(),
        service: service.to_owned(),
        reason: error::tail(&log),
    };
    tokio::time::timeout(KUBECTL_WITHIN, told)
        .await
        .ok()
        .flatten()
        .ok_or_else(failed)
}

/// `Forwarding from 127.0.0.1:40123 -> 9090`
fn told_address(line: &str) -> Option<SocketAddr> {
    line.strip_prefix("Forwarding from ")?.split(' ').next()?.parse().ok()
}
