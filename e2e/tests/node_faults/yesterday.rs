//! What Prometheus would know of the day before if it had run by then: promtool writes it into its storage.

use std::fmt::Write as _;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::Path;
use std::time::{Duration, SystemTime};

use observed_e2e::{Progress, Tool, Tools, monitoring};
use tokio::process::Command;

use crate::stage::Stage;

/// Prometheus looks for new blocks once a minute.
const SOON: Duration = Duration::from_secs(120);
/// Hours before now, with room for what a test takes.
const FROM: u64 = 26;
const TO: u64 = 23;

/// Copies cost so many dollars an hour at this time of yesterday.
pub async fn cost(stage: &Stage, namespace: &str, copies: &[(&str, f64)]) {
    let now = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs();
    let mut text = String::from("# TYPE llm_cost_usd counter\n");
    for (copy, usd_per_hour) in copies {
        let labels = format!("namespace=\"{namespace}\",job=\"{copy}\",pod=\"{copy}-before\",model=\"claude-opus\"");
        for minute in 0..(FROM - TO) * 60 {
            let (usd, second) = (usd_per_hour * minute as f64 / 60.0, now - FROM * 3600 + minute * 60);
            writeln!(text, "llm_cost_usd_total{{{labels}}} {usd} {second}").unwrap();
        }
    }
    text.push_str("# EOF\n");
    write(stage, &text).await;
}

/// Waits until Prometheus has found what so many copies cost.
pub async fn is_known(stage: &Stage, namespace: &str, copies: usize) {
    let asked = format!("llm_cost_usd_total{{namespace=\"{namespace}\"}} offset 1d");
    stage.has(&asked, copies..=copies, SOON).await;
}

async fn write(stage: &Stage, openmetrics: &str) {
    let tools = Tools::ensure(&[Tool::Promtool], &Progress::detect()).await.unwrap();
    let directory = stage.cluster.run_dir().join("yesterday");
    let (file, blocks) = (directory.join("openmetrics"), directory.join("blocks"));
    std::fs::create_dir_all(&blocks).unwrap();
    std::fs::write(&file, openmetrics).unwrap();
    let made = Command::new(tools.path(Tool::Promtool).unwrap())
        .args(["tsdb", "create-blocks-from", "openmetrics"])
        .args([&file, &blocks])
        .output()
        .await
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    let uid = [
        "get",
        "pod",
        "prometheus-main-0",
        "-n",
        monitoring::NAMESPACE,
        "-o",
        "jsonpath={.metadata.uid}",
    ];
    let uid = stage.kubectl(&uid).await;
    let storage = stage.empty_dir_of(&uid, "prometheus-main-db");
    let owner = std::fs::metadata(&storage).unwrap();
    let mut moved = 0;
    for block in std::fs::read_dir(&blocks).unwrap() {
        let block = block.unwrap();
        give(&block.path(), owner.uid(), owner.gid());
        // Whole or not at all: it is one rename.
        std::fs::rename(block.path(), storage.join(block.file_name())).unwrap();
        moved += 1;
    }
    assert!(moved > 0, "{made:?}");
}

fn give(path: &Path, user: u32, group: u32) {
    chown(path, Some(user), Some(group)).unwrap();
    if path.is_dir() {
        for entry in std::fs::read_dir(path).unwrap() {
            give(&entry.unwrap().path(), user, group);
        }
    }
}
