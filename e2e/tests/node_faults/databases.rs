//! The databases and their exporters break one by one.

use std::time::{Duration, Instant};

use observed_e2e::wait;

use crate::faults::{Faults, Told};
use crate::series;
use crate::stage::Stage;

const SOON: Duration = Duration::from_secs(60);

const DB: &[(&str, &str)] = &[("dependency", "db")];
const CACHE: &[(&str, &str)] = &[("dependency", "cache")];

pub async fn break_and_mend(stage: &Stage, faults: &mut Faults<'_>) {
    let before = stage.pods().await;

    // A database that is gone, and an exporter that cannot start: what it tells of is not said to be down.
    let start = Instant::now();
    stage.scale("statefulset/postgres", 0).await;
    stage.break_exporter("redis-exporter").await;
    let told = [
        Told::new("PostgreSQL gone", "PostgresDown", DB),
        Told::new("exporter of Redis crashes", "RedisExporterDown", CACHE),
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

    // The errors of the API follow from that: nobody is told of them, unless nothing says so.
    let symptom = Told::new("PostgreSQL gone, nothing inhibits", "HighErrorRate", &[]);
    let inhibited = || stage.is_inhibited("HighErrorRate", "PostgresDown");
    wait::until(SOON, "the errors to be inhibited", inhibited)
        .await
        .unwrap();
    assert!(!faults.was_received(&symptom).await.unwrap());
    stage.inhibit_nothing().await;
    let [symptom] = faults.fire(start, [symptom]).await;
    stage.ask_a_pod_no_more().await;

    let start = Instant::now();
    stage.scale("statefulset/postgres", 1).await;
    stage.mend_exporter("redis-exporter").await;
    let [postgres, redis] = fired;
    faults.resolve(start, [postgres, redis, symptom]).await;
    stage.is_ready(2).await;

    // The same the other way round, and a database that nobody tells of any more.
    let start = Instant::now();
    stage.scale("statefulset/redis", 0).await;
    stage.scale("statefulset/postgres", 0).await;
    stage.scale("deployment/postgres-exporter", 0).await;
    let told = [
        Told::new("Redis gone", "RedisDown", CACHE),
        Told::new("PostgreSQL and its exporter gone", "PostgresExporterAbsent", DB),
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
    stage.scale("statefulset/postgres", 1).await;
    stage.scale("deployment/postgres-exporter", 1).await;
    faults.resolve(start, fired).await;
    stage.is_ready(2).await;

    // A database that is up and lets nobody in any more, which is another alert than one that cannot be reached.
    let start = Instant::now();
    let mut held = stage.hold_connections(45);
    stage.send_to_port("redis", "6380").await;
    let told = [
        Told::new("connections of PostgreSQL used up", "PostgresConnectionsExhausted", DB),
        Told::new("the port of Redis is closed", "RedisDown", CACHE),
    ];
    let fired = faults.fire(start, told).await;
    faults.is_silent(&["PostgresDown", "PostgresUnobservable"]).await;
    let start = Instant::now();
    stage.end_connections().await;
    stage.send_to_port("redis", "6379").await;
    held.wait().unwrap();
    faults.resolve(start, fired).await;
    stage.is_ready(2).await;

    // The port of the database is closed, also to those who were connected, and the cache is gone with its exporter.
    let start = Instant::now();
    stage.send_to_port("postgres", "5433").await;
    stage.end_all_connections().await;
    stage.scale("statefulset/redis", 0).await;
    stage.scale("deployment/redis-exporter", 0).await;
    let told = [
        Told::new("the port of PostgreSQL is closed", "PostgresDown", DB),
        Told::new("Redis and its exporter gone", "RedisExporterAbsent", CACHE),
    ];
    let fired = faults.fire(start, told).await;
    faults
        .is_silent(&[
            "PostgresExporterDown",
            "PostgresUnobservable",
            "RedisDown",
            "RedisUnobservable",
        ])
        .await;
    let start = Instant::now();
    stage.send_to_port("postgres", "5432").await;
    stage.scale("statefulset/redis", 1).await;
    stage.scale("deployment/redis-exporter", 1).await;
    faults.resolve(start, fired).await;
    stage.is_ready(2).await;

    // A query that holds a table for so long that all others wait: slow, and no database is down.
    let start = Instant::now();
    let mut held = stage.hold_a_table();
    stage.logs_slow_calls().await;
    let told = [Told::new("a query is slow", "HighResponseTime", &[])];
    let fired = faults.fire(start, told).await;
    faults.is_silent(&["PostgresDown", "PostgresUnobservable"]).await;
    let start = Instant::now();
    stage.release_the_table().await;
    held.wait().unwrap();
    faults.resolve(start, fired).await;

    // Tasks come, and nobody works on them. The exporter of the database cannot start, which nobody else notices.
    stage.switch(r#"{"worker": "off"}"#).await;
    let start = Instant::now();
    stage.ask_for_tasks().await;
    stage.break_exporter("postgres-exporter").await;
    let told = [
        Told::new("nobody works on tasks", "QueueStuck", &[]),
        Told::new("exporter of PostgreSQL crashes", "PostgresExporterDown", DB),
    ];
    let fired = faults.fire(start, told).await;
    faults.is_silent(&["PostgresDown", "PostgresUnobservable"]).await;
    stage.is_ready(2).await;
    let start = Instant::now();
    stage.switch("{}").await;
    stage.mend_exporter("postgres-exporter").await;
    faults.resolve(start, fired).await;

    // Prometheus tells of itself because Observed has it scrape itself: also of rules of others, by their group.
    series::of_its_rules_are_there(stage).await;
    let start = Instant::now();
    stage.break_a_rule().await;
    let told = [Told::new(
        "a rule cannot be evaluated",
        "RuleEvaluationFailing",
        &[("service", "claude-api")],
    )];
    // Its end shows once the failures are five minutes old.
    faults.fire(start, told).await;

    assert_eq!(
        stage.pods().await,
        before,
        "a dependency that is down must restart no pod of the API"
    );
}
