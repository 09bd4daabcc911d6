//! Observed: gives a running service probes, scraping, alerts and a dashboard, and verifies that each of them works.

mod api_error;
mod apply;
mod cli;
mod controller;
mod events;
mod gather;
mod installed;
#[cfg(feature = "known-bad")]
mod known_bad;
mod lease;
mod managed_fields;
mod mend;
mod metrics;
#[cfg(test)]
mod mock;
mod pods;
mod preflight;
mod process;
mod remediate;
mod server;
mod services;
mod settings;
mod skew;
mod snapshot;
mod telemetry;
mod trial;
mod verify;
mod write_status;

/// Rendering makes many short-lived texts: with the allocator of the C library it takes a quarter more instructions.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    cli::main()
}
