//! Requests under way while probes are given: none of them is lost.

use std::time::{Duration, Instant};

use observed_e2e::wait;
use serde_json::{Value, json};

use crate::START;
use crate::cases::HEALTHY;
use crate::stage::Stage;

/// How long, in minutes, unless `OBSERVED_LOAD_MINUTES` says otherwise.
const MINUTES: u64 = 10;
/// Requests a second.
const RATE: f64 = 500.0;
/// Of those that were to be sent: a busy machine does not come to send each of them.
const SENT: f64 = 0.9;
/// Until the probes are given and rolled out, and until a load that is over has said what came of it.
const DONE: Duration = Duration::from_secs(300);

/// A load, what was done meanwhile, and what came of it. Run by itself, as it takes ten minutes and two quiet cores:
/// `cargo test -p observed-e2e --features node --test node_chain load:: -- --ignored --nocapture`
#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes ten minutes, and two quiet cores"]
async fn no_request_is_lost_while_probes_are_given_and_one_is_when_a_pod_is_killed() {
    let minutes = std::env::var("OBSERVED_LOAD_MINUTES").map_or(MINUTES, |minutes| minutes.parse().unwrap());
    let stage = Stage::set(&[]).await;
    // 500 requests a second need more than the half of a core that the sample's pods may have.
    let limits = ["set", "resources", "deployment/api", "-n", HEALTHY, "--limits=cpu=2"];
    stage.try_kubectl(&limits).await.unwrap();
    stage.scale(HEALTHY, 2).await;
    let available = ["rollout", "status", "deployment/api", "-n", HEALTHY, "--timeout=120s"];
    stage.try_kubectl(&available).await.unwrap();
    let before = stage.generation(HEALTHY).await;

    let start = Instant::now();
    let length = format!("{minutes}m");
    stage
        .ask(HEALTHY, &["--rate", "500", "--for", &length, "--concurrency", "512"])
        .await;
    asked(&stage).await;
    let give = json!({"spec": {"probes": {"mode": "Patch"}}}).to_string();
    stage
        .try_kubectl(&[
            "patch",
            "observedservice",
            "api",
            "-n",
            HEALTHY,
            "--type=merge",
            "-p",
            &give,
        ])
        .await
        .unwrap();
    let installed = async || {
        let services = stage.services().await?;
        let condition = services.get(HEALTHY).and_then(|all| all.get("ProbesInstalled"));
        let condition = condition.ok_or("no condition")?;
        if (condition.status.as_str(), condition.reason.as_str()) == ("True", "Installed") {
            Ok(())
        } else {
            Err(format!("{condition:?}"))
        }
    };
    wait::until(DONE, "the probes to be given", installed).await.unwrap();
    let given = start.elapsed();
    assert_eq!(stage.generation(HEALTHY).await, before + 1, "one rollout");
    let summary = over(&stage, minutes).await;
    println!(
        "{minutes} minutes, the probes were in place after {} s: {summary}",
        given.as_secs()
    );
    assert!(given < Duration::from_secs(minutes * 60), "the load was over before");
    assert_eq!(summary["failed"], 0, "{summary}");
    assert_eq!(summary["statuses"], json!({"200": summary["sent"]}), "{summary}");
    assert!(
        summary["sent"].as_f64().unwrap() > SENT * RATE * 60.0 * minutes as f64,
        "{summary}"
    );

    // The twin: the same load notices a pod that ends without a word. The pod of the first must be gone: it will never be ready.
    let gone = ["delete", "job", "load", "-n", HEALTHY, "--cascade=foreground"];
    stage.try_kubectl(&gone).await.unwrap();
    stage
        .ask(HEALTHY, &["--rate", "500", "--for", "20s", "--concurrency", "512"])
        .await;
    asked(&stage).await;
    stage
        .try_kubectl(&[
            "delete",
            "pod",
            "-l",
            "app=api",
            "-n",
            HEALTHY,
            "--grace-period=0",
            "--force",
        ])
        .await
        .unwrap();
    let summary = over(&stage, 1).await;
    assert!(summary["failed"].as_u64() > Some(0), "{summary}");
    stage.end().await;
}

/// Waits until the load is under way.
async fn asked(stage: &Stage) {
    let running = [
        "wait",
        "pod",
        "-l",
        "app=load",
        "-n",
        HEALTHY,
        "--for=condition=Ready",
        "--timeout=60s",
    ];
    let looked = async || stage.try_kubectl(&running).await.map(drop);
    wait::until(START, "the load to begin", looked).await.unwrap();
}

/// Waits until the load is over. What it says of itself.
async fn over(stage: &Stage, minutes: u64) -> Value {
    let looked = async || {
        let said = stage.try_kubectl(&["logs", "job/load", "-n", HEALTHY]).await?;
        let last = said.lines().rev().find_map(|line| {
            let summary: Value = serde_json::from_str(line).ok()?;
            (summary["final"] == true).then_some(summary)
        });
        last.ok_or(said)
    };
    wait::until(Duration::from_secs(minutes * 60) + DONE, "the load to be over", looked)
        .await
        .unwrap()
}
