//! The API with a real PostgreSQL, a real Redis and their exporters on a real cluster, and copies of it without: what the packs `postgres` and
//! `redis` read is there, each thing that breaks is told as what it is, and where nothing breaks nothing is told.

#![allow(clippy::unwrap_used, clippy::panic)]

mod around;
mod copies;
mod databases;
mod faults;
mod natives;
mod postgres;
mod series;
mod stage;
mod traces;
mod volumes;
mod yesterday;

use std::time::Duration;

use copies::Copies;
use faults::Faults;
use observed_e2e::demo::promise::Promise;
use stage::Stage;

/// Longer than any of the faults takes to be told.
const QUIET: Duration = Duration::from_secs(45);

#[tokio::test(flavor = "multi_thread")]
async fn every_series_of_the_dependencies_is_there_and_what_breaks_is_told_as_what_it_is() {
    let stage = Stage::set().await;
    stage.apply(&natives::observed()).await;
    let copies = Copies::set(&stage).await;
    stage.holds(Promise::PodsReady).await;
    stage.holds(Promise::RulesHealthy).await;
    stage.holds(Promise::StatusReady).await;
    series::of_the_packs_are_there(&stage).await;
    series::of_the_recordings_are_there(&stage).await;
    series::of_the_business_are_there(&stage).await;
    natives::are_read(&stage).await;
    traces::tell_of_each_call(&stage).await;
    stage.ask_a_pod().await;
    copies.are_observed().await;

    let mut faults = Faults::new(&stage.eyes);
    let mut of_copies = Faults::new(&copies.eyes);
    faults.nothing_fires_for(QUIET).await;
    tokio::join!(
        databases::break_and_mend(&stage, &mut faults),
        copies.break_and_mend(&mut of_copies)
    );
    copies.nothing_else_fired().await;
    faults.print(&of_copies);
    stage.end().await;
}
