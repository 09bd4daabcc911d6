//! etcd and the API server on this machine, for tests of what the API server itself decides.

use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::time::Duration;

use super::components::{Components, Site};
use super::run::Run;
use super::{Cluster, ControlPlane, Error, Kind, read_config};
use crate::cache::Cache;
use crate::progress::Progress;
use crate::tools::{Tool, Tools};

/// Measured: 3 to 4 s on two cores.
const USUALLY: Duration = Duration::from_secs(4);
pub(super) const READY_WITHIN: Duration = Duration::from_secs(90);
/// A free port can be taken by another program before it is used.
const ATTEMPTS: usize = 3;

pub(super) async fn start(options: &ControlPlane, progress: &Progress) -> Result<Cluster, Error> {
    let mut wanted = vec![Tool::Etcd, Tool::KubeApiserver, Tool::Kubectl];
    if options.controller_manager {
        wanted.push(Tool::KubeControllerManager);
    }
    let tools = Tools::ensure(&wanted, progress).await?;
    let step = progress.step("starting etcd and the API server", Some(USUALLY));
    let mut attempt = 1;
    let cluster = loop {
        match try_start(options, &tools).await {
            Err(error) if error.is_a_taken_port() && attempt < ATTEMPTS => attempt += 1,
            other => break other?,
        }
    };
    step.done();
    Ok(cluster)
}

async fn try_start(options: &ControlPlane, tools: &Tools) -> Result<Cluster, Error> {
    let mut run = Run::begin(&Cache::of_user()?)?;
    let site = Site {
        bind: Ipv4Addr::LOCALHOST,
        advertise: Ipv4Addr::LOCALHOST,
        api_port: free_port(run.directory.path())?,
        etcd_port: free_port(run.directory.path())?,
    };
    let components = Components::new(site, tools, &run.directory)?;
    let kubeconfig = components.admin("admin", &site.server())?;
    run.start("etcd", &components.etcd()?).await?;
    let mut api_server = components.api_server(options.controller_manager)?;
    // Tests wait for its CPU, a tenth of which went into collecting garbage, and not for its memory.
    api_server.env("GOGC", "300");
    run.start("kube-apiserver", &api_server).await?;
    let config = read_config(&kubeconfig).await?;
    api_is_ready(&run, &config).await?;
    if options.controller_manager {
        run.start("kube-controller-manager", &components.controller_manager()?)
            .await?;
    }
    run.ready = true;
    Ok(Cluster {
        kind: Kind::ControlPlane {
            accounts: options.controller_manager,
        },
        kubectl: tools.path(Tool::Kubectl)?.to_owned(),
        kubeconfig,
        config,
        tools: Some(tools.clone()),
        run,
    })
}

/// Waits until the API server answers that it is ready, which it does when its own roles are there.
pub(super) async fn api_is_ready(run: &Run, config: &kube::Config) -> Result<(), Error> {
    let client = kube::Client::try_from(config.clone()).map_err(Error::api("make a client"))?;
    let look = || async {
        let request = http::Request::get("/readyz").body(Vec::new());
        let request = request.map_err(|error| error.to_string())?;
        let answer = client.request_text(request).await;
        answer.map_err(|error| super::error::chain(&error))
    };
    run.until(READY_WITHIN, "the API server to be ready", "kube-apiserver", look)
        .await?;
    Ok(())
}

fn free_port(run_dir: &Path) -> Result<u16, Error> {
    let bound = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|listener| listener.local_addr());
    let bound = bound.map_err(super::run_dir::io_error("find a free port of 127.0.0.1 for", run_dir))?;
    Ok(bound.port())
}
