//! Observed: gives a running service probes, scraping, alerts and a dashboard, and verifies that each of them works.

mod api_error;
mod apply;
mod controller;
mod events;
mod gather;
mod managed_fields;
mod metrics;
#[cfg(test)]
mod mock;
mod preflight;
mod server;
mod settings;
mod telemetry;
mod verify;

use clap::Parser;

#[derive(Parser)]
enum Line {
    Run(settings::Settings),
}

#[tokio::main]
async fn main() -> Result<(), controller::Error> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let Line::Run(settings) = Line::parse();
    controller::run(settings).await
}
