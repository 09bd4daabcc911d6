//! Brings up a cluster and holds it until Ctrl-C: `cargo run -p observed-e2e --bin cluster -- --node --monitoring`. With
//! `--programs` it builds what tests need, all at once.
//!
//! It prints one line for each thing that is ready. For work on Observed itself, and for the tests that kill whoever holds a cluster.

use std::path::Path;
use std::process::ExitCode;

use clap::Parser;
use observed_e2e::{Cluster, ControlPlane, Node, Progress, Tool, Tools, monitoring, node_init};

/// Brings up a real Kubernetes cluster on this machine and holds it until Ctrl-C.
#[derive(Debug, Parser)]
struct Arguments {
    /// Builds every program that the tests need, and ends; Go's caches, which are of gigabytes, go with it
    #[arg(long, conflicts_with = "node")]
    programs: bool,
    /// With a node, so that pods run; needs root
    #[arg(long)]
    node: bool,
    /// With prometheus-operator, a Prometheus and an Alertmanager; needs --node
    #[arg(long, requires = "node")]
    monitoring: bool,
}

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next().is_some_and(|first| first == "__node") {
        return arguments
            .next()
            .map_or(ExitCode::from(2), |run_dir| node_init(Path::new(&run_dir)));
    }
    let arguments = Arguments::parse();
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&error),
    };
    match runtime.block_on(hold(&arguments)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(error.as_ref()),
    }
}

fn failed(error: &dyn std::error::Error) -> ExitCode {
    eprintln!("{error}");
    ExitCode::FAILURE
}

async fn hold(arguments: &Arguments) -> Result<(), Box<dyn std::error::Error>> {
    let progress = Progress::detect();
    if arguments.programs {
        let all: Vec<Tool> = Tool::of_tests().collect();
        Tools::ensure(&all, &progress).await?;
        return Ok(());
    }
    // Ctrl-C while it starts drops what there is of it, which ends that as well.
    let cluster = tokio::select! {
        interrupted = tokio::signal::ctrl_c() => return Ok(interrupted?),
        cluster = bring_up(arguments, &progress) => cluster?,
    };
    println!("run {}", cluster.run_dir().display());
    println!("export KUBECONFIG={}", cluster.kubeconfig().display());
    progress.line("Ctrl-C ends it");
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted?,
        failure = cluster.failure() => return Err(failure.into()),
    }
    Ok(cluster.stop().await?)
}

async fn bring_up(arguments: &Arguments, progress: &Progress) -> Result<Cluster, Box<dyn std::error::Error>> {
    if !arguments.node {
        let all = ControlPlane {
            controller_manager: true,
        };
        return Ok(Cluster::control_plane(all, progress).await?);
    }
    let node = Node {
        executable: std::env::current_exe()?,
        monitoring: arguments.monitoring,
    };
    let cluster = Cluster::node(node, progress).await?;
    if arguments.monitoring {
        monitoring::install(&cluster, progress).await?;
    }
    Ok(cluster)
}
