//! False alarms: what is told of services that are healthy.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use observed_e2e::wait;

use crate::cases::HEALTHY;
use crate::stage::Stage;
use crate::{START, not_working};

/// How long, in minutes, unless `OBSERVED_SOAK_MINUTES` says otherwise.
const MINUTES: u64 = 60;
/// Until an alert fires that waits for 5 minutes.
const TOLD: Duration = Duration::from_secs(600);
/// Beyond the end.
const SLACK: Duration = Duration::from_secs(60);

/// The healthy copy is asked all the time. Run by itself, as it takes an hour:
/// `cargo test -p observed-e2e --features node --test node_chain soak:: -- --ignored --nocapture`
#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes an hour"]
async fn of_what_is_healthy_no_alert_fires_and_no_condition_leaves_true() {
    let minutes = std::env::var("OBSERVED_SOAK_MINUTES").map_or(MINUTES, |minutes| minutes.parse().unwrap());
    let time = Duration::from_secs(minutes * 60);
    let stage = Stage::set(&[]).await;
    stage.ask(HEALTHY, &["--rate", "5", "--for", "1h"]).await;
    let works = async || match not_working(&stage.services().await?, HEALTHY) {
        None => Ok(()),
        Some(words) => Err(words),
    };
    wait::until(START, "the copy to be observed", works).await.unwrap();

    let start = Instant::now();
    let left = std::cell::RefCell::new(BTreeMap::new());
    let looks = std::cell::Cell::new(0);
    let over = || async {
        // Whoever cannot be asked for a moment is asked again.
        if let Ok(services) = stage.services().await {
            looks.set(looks.get() + 1);
            if let Some(words) = not_working(&services, HEALTHY) {
                left.borrow_mut()
                    .entry(words)
                    .or_insert_with(|| start.elapsed().as_secs());
            }
        }
        if start.elapsed() > time {
            Ok(())
        } else {
            Err("not over")
        }
    };
    wait::until(time + SLACK, "the end", over).await.unwrap();
    let fired = stage.fired(HEALTHY, minutes).await.unwrap();
    let left = left.into_inner();
    println!(
        "{minutes} minutes, {} looks: fired {fired:?}, left True: {left:?}",
        looks.get()
    );
    assert!(fired.is_empty() && left.is_empty());
    // The same question has an answer where somebody breaks something.
    stage.scale(HEALTHY, 0).await;
    let told = async || match (works().await, stage.fired(HEALTHY, minutes).await?.as_slice()) {
        (Err(_), [_, ..]) => Ok(()),
        seen => Err(format!("{seen:?}")),
    };
    wait::until(TOLD, "what is broken to be told", told).await.unwrap();
    stage.end().await;
}
