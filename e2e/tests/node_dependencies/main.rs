//! The API with a real PostgreSQL, a real Redis and their exporters on a real cluster: what the packs `postgres` and `redis` read is there, and
//! each thing that breaks is told as what it is.

#![allow(clippy::unwrap_used, clippy::panic)]

mod faults;
mod series;
mod stage;

use std::time::{Duration, Instant};

use faults::{Faults, Told};
use observed_e2e::demo::promise::Promise;
use stage::Stage;

/// Longer than any of the faults takes to be told.
const QUIET: Duration = Duration::from_secs(45);

#[tokio::test(flavor = "multi_thread")]
async fn every_series_of_the_dependencies_is_there_and_what_breaks_is_told_as_what_it_is() {
    let stage = Stage::set().await;
    stage.holds(Promise::PodsReady).await;
    stage.holds(Promise::RulesHealthy).await;
    stage.holds(Promise::StatusReady).await;
    series::of_the_packs_are_there(&stage).await;
    series::of_the_recordings_are_there(&stage).await;
    series::of_the_business_are_there(&stage).await;

    let mut faults = Faults::new(&stage);
    faults.nothing_fires_for(QUIET).await;
    let before = stage.pods().await;

    // A database that is gone, and an exporter that cannot start: what it tells of is not said to be down.
    let start = Instant::now();
    stage.scale("statefulset/postgres", 0).await;
    stage.break_exporter("redis-exporter").await;
    let told = [
        Told::new("PostgreSQL gone", "PostgresDown", "db"),
        Told::new("exporter of Redis crashes", "RedisExporterDown", "cache"),
    ];
    let fired = faults.fire(start, told).await;
    faults
        .is_silent(&[
            "RedisDown",
            "RedisUnobservable",
            "PostgresExporterDown",
            "PostgresUnobservable",
        ])
        .await;
    stage.is_ready(0).await;
    let start = Instant::now();
    stage.scale("statefulset/postgres", 1).await;
    stage.mend_exporter("redis-exporter").await;
    faults.resolve(start, fired).await;
    stage.is_ready(2).await;

    // The same the other way round, and an exporter that is not there at all.
    let start = Instant::now();
    stage.scale("statefulset/redis", 0).await;
    stage.scale("deployment/postgres-exporter", 0).await;
    let told = [
        Told::new("Redis gone", "RedisDown", "cache"),
        Told::new("exporter of PostgreSQL gone", "PostgresExporterAbsent", "db"),
    ];
    let fired = faults.fire(start, told).await;
    faults
        .is_silent(&[
            "PostgresDown",
            "PostgresUnobservable",
            "RedisExporterDown",
            "RedisUnobservable",
        ])
        .await;
    stage.is_ready(0).await;
    let start = Instant::now();
    stage.scale("statefulset/redis", 1).await;
    stage.scale("deployment/postgres-exporter", 1).await;
    faults.resolve(start, fired).await;
    stage.is_ready(2).await;

    // A database that is up and lets nobody in any more, which is another alert than one that is down.
    let start = Instant::now();
    let mut held = stage.hold_connections(45);
    let told = [Told::new(
        "connections of PostgreSQL used up",
        "PostgresConnectionsExhausted",
        "db",
    )];
    let fired = faults.fire(start, told).await;
    faults.is_silent(&["PostgresDown", "PostgresUnobservable"]).await;
    let start = Instant::now();
    stage.end_connections().await;
    held.wait().unwrap();
    faults.resolve(start, fired).await;

    assert_eq!(
        stage.pods().await,
        before,
        "a dependency that is down must restart no pod of the API"
    );
    faults.print();
    stage.end().await;
}
