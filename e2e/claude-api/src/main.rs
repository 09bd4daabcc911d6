//! `claude-api`: the service that Observed is shown and tested on, and the two programs that go with it.
//!
//! * `serve` answers requests like the API of a language model, from a model that is only arithmetic, and exposes metrics. Its admin port
//!   switches faults on.
//! * `load` sends it requests, bounded in number, rate and time, and counts what came back.
//! * `receive` takes Alertmanager's webhooks and tells which alerts arrived when.

mod admin;
mod api;
mod cache;
mod database;
mod dependencies;
mod duration;
mod faults;
mod findings;
mod load;
mod metrics;
mod model;
mod receive;
mod requests;
mod serve;
mod stream;
mod tasks;
mod telemetry;
mod trace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// The sample service of Observed.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the API (what happens without a command).
    Serve(Box<serve::Options>),
    /// Send requests to an API, and print what came back as one line of JSON.
    Load(load::Options),
    /// Receive webhooks of Alertmanager, and tell what was received.
    Receive(receive::Options),
}

#[tokio::main]
async fn main() -> ExitCode {
    let command = Arguments::parse()
        .command
        .unwrap_or_else(|| Command::Serve(Box::default()));
    let outcome = match command {
        Command::Serve(options) => serve_with_traces(*options).await,
        Command::Load(options) => return load::run(options).await,
        Command::Receive(options) => {
            telemetry::start(None);
            receive::run(options).await
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(%error, "cannot serve");
            ExitCode::FAILURE
        }
    }
}

/// Serves, and sends the last spans at the end, where there are any.
async fn serve_with_traces(options: serve::Options) -> Result<(), serve::Error> {
    let traces = options.traces();
    telemetry::start(traces.as_ref().ok().and_then(Option::as_ref));
    let traces = traces?;
    let served = serve::run(options).await;
    if let Some(traces) = traces {
        traces.finish().await;
    }
    served
}
