//! A whole cluster with one node, in network, mount, process, host name and IPC namespaces of its own.
//!
//! Outside stays this process. It makes the namespaces ([`init`](super::init) is their first process), enters them once per component, and watches
//! each component with its own log.

mod programs;

use std::ffi::OsString;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use futures::future::try_join_all;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Node as NodeObject;
use kube::api::Api;
use tokio::sync::mpsc;

use super::components::{Components, Site};
use super::forward::Forwarder;
use super::processes::{Kind, children_of};
use super::run::Run;
use super::{Cluster, Error, Node, apply, cgroups, control_plane, init, read_config, requirements, run_dir};
use crate::cache::Cache;
use crate::image::Image;
use crate::monitoring;
use crate::progress::Progress;
use crate::tools::debian::{self, Debian};
use crate::tools::{Tool, Tools};

/// The node's name.
pub(super) const HOST_NAME: &str = "node";
/// The bridge that all pods hang on.
pub(super) const BRIDGE: &str = "cni0";
/// Its address, and the node's.
pub(super) const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 88, 0, 1);
/// The length of the pods' network.
pub(super) const PREFIX: u8 = 16;
const API_PORT: u16 = 6443;
const ETCD_PORT: u16 = 2379;
/// Directories that programs of the node write to under fixed names. The node has its own.
pub(super) const HIDDEN: [&str; 2] = ["/var/lib", "/var/log"];

const PAUSE_IMAGE: &str = "observed.local/pause:1";
const COREDNS_IMAGE: &str = "observed.local/coredns:1";
const NAMES: &str = include_str!("node/coredns.yaml");

/// Measured on two cores.
const USUALLY: Duration = Duration::from_secs(20);
const NAMESPACES_WITHIN: Duration = Duration::from_secs(20);
const READY_WITHIN: Duration = Duration::from_secs(120);

/// What a node needs, without monitoring.
const TOOLS: [Tool; 16] = [
    Tool::Etcd,
    Tool::KubeApiserver,
    Tool::KubeControllerManager,
    Tool::Kubectl,
    Tool::KubeScheduler,
    Tool::KubeProxy,
    Tool::Kubelet,
    Tool::Containerd,
    Tool::ContainerdShim,
    Tool::Ctr,
    Tool::CniBridge,
    Tool::CniHostLocal,
    Tool::CniLoopback,
    Tool::CniPortmap,
    Tool::Coredns,
    Tool::Pause,
];

/// How programs are run inside.
#[derive(Debug)]
pub(super) struct Namespaces {
    first_process: u32,
    environment: Vec<(&'static str, OsString)>,
    ctr: PathBuf,
}

impl Namespaces {
    /// A command that enters the namespaces first.
    fn inside(&self, command: &std::process::Command) -> std::process::Command {
        let mut entered = std::process::Command::new("nsenter");
        entered.args(["--target", &self.first_process.to_string()]);
        entered.args(["--net", "--mount", "--pid", "--uts", "--ipc", "--"]);
        entered.arg(command.get_program()).args(command.get_args());
        entered.envs(self.environment.iter().map(|(name, value)| (name, value)));
        entered
    }

    async fn start(&self, run: &Run, component: &str, command: &std::process::Command) -> Result<(), Error> {
        run.start(component, &self.inside(command)).await
    }

    /// Runs `ctr`, the command line of the container runtime.
    async fn ctr(&self, action: &str, arguments: &[&std::ffi::OsStr]) -> Result<(), Error> {
        let mut command = std::process::Command::new(&self.ctr);
        command.args(["--namespace", "k8s.io"]).args(arguments);
        let mut command = tokio::process::Command::from(self.inside(&command));
        command.stdin(Stdio::null()).kill_on_drop(true);
        let failed = |output: String| Error::Inside {
            action: action.to_owned(),
            output,
        };
        let output = command.output().await.map_err(|error| failed(error.to_string()))?;
        if output.status.success() {
            return Ok(());
        }
        Err(failed(String::from_utf8_lossy(&output.stderr).trim().to_owned()))
    }

    /// Writes the image's archive and has the container runtime import it.
    pub(super) async fn load_image(&self, run: &Run, image: &Image) -> Result<(), Error> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("image-{}.tar", COUNT.fetch_add(1, Ordering::Relaxed));
        let archive = run.directory.path().join(name);
        let (to_write, at) = (image.clone(), archive.clone());
        let written = tokio::task::spawn_blocking(move || to_write.write(&at)).await;
        written.map_err(|_| Error::Stopped)??;
        let action = format!("import the image {}", image.name());
        let arguments = ["images".as_ref(), "import".as_ref(), archive.as_os_str()];
        self.ctr(&action, &arguments).await?;
        std::fs::remove_file(&archive).map_err(run_dir::io_error("remove", &archive))?;
        Ok(())
    }
}

pub(super) async fn start(options: &Node, progress: &Progress) -> Result<Cluster, Error> {
    requirements(true)?;
    let cache = Cache::of_user()?;
    let mut wanted = TOOLS.to_vec();
    if options.monitoring {
        wanted.extend(monitoring::TOOLS);
    }
    let tools = Tools::ensure(&wanted, progress).await?;
    let (place, shown) = (cache.clone(), progress.clone());
    let debian = tokio::task::spawn_blocking(move || Debian::ensure(&place, &debian::NODE, &shown)).await;
    let debian = debian.map_err(|_| Error::Stopped)??;

    let step = progress.step("starting the cluster and its node", Some(USUALLY));
    let mut run = Run::begin(&cache)?;
    let site = Site {
        bind: Ipv4Addr::UNSPECIFIED,
        advertise: ADDRESS,
        api_port: API_PORT,
        etcd_port: ETCD_PORT,
    };
    let components = Components::new(site, &tools, &run.directory)?;
    run.cgroups = true;
    cgroups::create(&run.directory.name())?;
    let namespaces = enter(&mut run, &options.executable, &tools, &debian).await?;

    // What does not need the API server starts beside it.
    namespaces.start(&run, "etcd", &components.etcd()?).await?;
    namespaces
        .start(&run, "kube-apiserver", &components.api_server(true)?)
        .await?;
    namespaces
        .start(&run, "containerd", &programs::containerd(&components, &run, &tools)?)
        .await?;
    let inner = read_config(&components.admin("inner", &site.server())?).await?;
    let kubeconfig = open_api(&mut run, &components, inner)?;
    let config = read_config(&kubeconfig).await?;
    let images = load_images(&namespaces, &run, &tools, options.monitoring);
    let node = async {
        control_plane::api_is_ready(&run, &config).await?;
        step.detail("the API server is ready");
        let server = site.server();
        namespaces
            .start(&run, "kube-controller-manager", &components.controller_manager()?)
            .await?;
        namespaces
            .start(&run, "kube-scheduler", &programs::scheduler(&components)?)
            .await?;
        namespaces
            .start(&run, "kubelet", &programs::kubelet(&components, &run, &server)?)
            .await?;
        namespaces
            .start(&run, "kube-proxy", &programs::proxy(&components)?)
            .await?;
        let client = kube::Client::try_from(config.clone()).map_err(Error::api("make a client"))?;
        run.watched(apply::apply(&client, apply::parse(NAMES)?)).await?;
        node_is_ready(&run, &client).await?;
        step.detail("the node is ready");
        Ok(client)
    };
    let (client, ()) = tokio::try_join!(node, run.watched(images))?;
    names_are_served(&run, &client).await?;
    run.ready = true;
    step.done();
    Ok(Cluster {
        kind: super::Kind::Node(namespaces),
        kubectl: tools.path(Tool::Kubectl)?.to_owned(),
        kubeconfig,
        config,
        tools: Some(tools),
        run,
    })
}

/// Makes the namespaces, and the thread that serves ports of them.
async fn enter(run: &mut Run, executable: &Path, tools: &Tools, debian: &Debian) -> Result<Namespaces, Error> {
    let environment = environment(tools, debian)?;
    let mut command = std::process::Command::new("unshare");
    command.args(["--net", "--mount", "--pid", "--uts", "--ipc", "--fork", "--mount-proc"]);
    command.args(["--kill-child=SIGKILL", "--"]).arg(executable);
    command.arg("__node").arg(run.directory.path());
    command.envs(environment.iter().map(|(name, value)| (name, value)));
    let (to, mut lines) = mpsc::unbounded_channel();
    let log = run.log("namespaces");
    let outer = run
        .processes
        .start("namespaces", &command, Kind::Namespaces, &log, Some(to))
        .await?;
    let mut is_ready = false;
    let look = || {
        while let Ok(line) = lines.try_recv() {
            is_ready |= line == init::READY;
        }
        std::future::ready(is_ready)
    };
    run.until(NAMESPACES_WITHIN, "the namespaces to be made", "namespaces", look)
        .await?;
    let first_process = children_of(outer)
        .first()
        .and_then(|pid| u32::try_from(pid.as_raw()).ok())
        .ok_or(Error::Stopped)?;
    run.forwarder = Some(Forwarder::enter(first_process)?);
    Ok(Namespaces {
        first_process,
        environment,
        ctr: tools.path(Tool::Ctr)?.to_owned(),
    })
}

/// Our programs before the machine's own.
fn environment(tools: &Tools, debian: &Debian) -> Result<Vec<(&'static str, OsString)>, Error> {
    let machine = std::env::var_os("PATH").unwrap_or_default();
    let own = tools.directories().into_iter().chain(debian.program_directories());
    let administrator = ["/usr/sbin", "/usr/bin", "/sbin", "/bin"].map(PathBuf::from);
    let join = |paths: Vec<PathBuf>| {
        std::env::join_paths(paths).map_err(|error| Error::Inside {
            action: "set PATH".to_owned(),
            output: error.to_string(),
        })
    };
    let programs = join(
        own.chain(std::env::split_paths(&machine))
            .chain(administrator)
            .collect(),
    )?;
    let libraries = debian.library_directories();
    let mut environment = vec![("PATH", programs)];
    if !libraries.is_empty() {
        environment.push(("LD_LIBRARY_PATH", join(libraries)?));
    }
    Ok(environment)
}

/// Opens the API server's port outside, and writes the kubeconfig that leads there.
fn open_api(run: &mut Run, components: &Components<'_>, inner: kube::Config) -> Result<PathBuf, Error> {
    let forwarder = run.forwarder.as_mut().ok_or(Error::Stopped)?;
    forwarder.ask_with(inner);
    let address = forwarder.open_address(SocketAddr::from((Ipv4Addr::LOCALHOST, API_PORT)))?;
    components.admin("admin", &format!("https://{address}"))
}

/// The images that every pod and every name needs, and those of monitoring, once the container runtime answers.
async fn load_images(namespaces: &Namespaces, run: &Run, tools: &Tools, monitoring: bool) -> Result<(), Error> {
    let look = || async {
        let answer = namespaces.ctr("ask the container runtime", &["version".as_ref()]).await;
        answer.map_err(|error| error.to_string())
    };
    run.until(READY_WITHIN, "the container runtime to answer", "containerd", look)
        .await?;
    let mut images = vec![
        Image::new(PAUSE_IMAGE)
            .file(tools.path(Tool::Pause)?, "/bin/pause")
            .entrypoint("/bin/pause"),
        Image::new(COREDNS_IMAGE)
            .file(tools.path(Tool::Coredns)?, "/bin/coredns")
            .entrypoint("/bin/coredns"),
    ];
    if monitoring {
        images.extend(monitoring::images(tools)?);
    }
    try_join_all(images.iter().map(|image| namespaces.load_image(run, image))).await?;
    Ok(())
}

async fn node_is_ready(run: &Run, client: &kube::Client) -> Result<(), Error> {
    let nodes: Api<NodeObject> = Api::all(client.clone());
    let look = || async {
        let node = nodes.get(HOST_NAME).await.map_err(|error| error.to_string())?;
        let conditions = node.status.and_then(|status| status.conditions).unwrap_or_default();
        let ready = conditions.into_iter().find(|condition| condition.type_ == "Ready");
        let ready = ready.ok_or_else(|| "it tells nothing of itself yet".to_owned())?;
        if ready.status == "True" {
            Ok(())
        } else {
            Err(ready.message.unwrap_or_default())
        }
    };
    run.until(READY_WITHIN, "the node to be Ready", "kubelet", look).await
}

async fn names_are_served(run: &Run, client: &kube::Client) -> Result<(), Error> {
    let deployments: Api<Deployment> = Api::namespaced(client.clone(), "kube-system");
    let look = || async {
        let status = deployments
            .get("coredns")
            .await
            .map_err(|error| error.to_string())?
            .status;
        let status = status.unwrap_or_default();
        if status.ready_replicas == Some(1) {
            Ok(())
        } else {
            Err(serde_json::json!(status).to_string())
        }
    };
    run.until(READY_WITHIN, "the cluster's name server to be Ready", "kubelet", look)
        .await
}
