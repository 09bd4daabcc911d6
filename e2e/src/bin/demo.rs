//! `cargo demo`: shows what Observed does, on a real cluster on this machine. The flow is in [`observed_e2e::demo`].

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use observed_e2e::demo;

/// What the runtime's own threads may still do after the end: a build that was interrupted must not hold the prompt.
const LAST_WORK: Duration = Duration::from_secs(2);

fn main() -> ExitCode {
    // Before anything else: the first process inside the cluster's namespaces is this program, too.
    let arguments: Vec<_> = std::env::args_os().collect();
    if let [_, word, directory] = arguments.as_slice()
        && word == "__node"
    {
        return observed_e2e::node_init(Path::new(directory));
    }
    let options = demo::Options::parse();
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            demo::say(&format!("cannot start: {error}"));
            return ExitCode::FAILURE;
        }
    };
    let code = runtime.block_on(demo::run(options));
    runtime.shutdown_timeout(LAST_WORK);
    code
}
