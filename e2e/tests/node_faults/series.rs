//! What the packs say about series, held against what Prometheus has of the true exporters.

use std::collections::BTreeSet;
use std::time::Duration;

use observed_e2e::demo::manifest::checkout;
use observed_e2e::wait;
use serde_json::Value;

use crate::stage::{NAMESPACE, Stage};

/// Two scrapes, and for the recording rules that look back a few more.
const SOON: Duration = Duration::from_secs(60);

/// Series that these servers cannot have: only a replica of Redis knows whether its primary answers.
const NOT_HERE: [&str; 1] = ["redis_master_link_up"];

/// Every series that the two packs name exists, with the labels that they name.
pub async fn of_the_packs_are_there(stage: &Stage) {
    let mut seen = 0;
    for pack in ["postgres", "redis"] {
        let path = checkout().join(format!("operator/core/packs/{pack}.yaml"));
        let pack_of: Value = serde_saphyr::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        for series in pack_of["spec"]["series"].as_array().unwrap() {
            let name = series["name"].as_str().unwrap();
            let selector = format!("{name}{{namespace=\"{NAMESPACE}\",job=\"{pack}-exporter\"}}");
            if NOT_HERE.contains(&name) {
                assert_eq!(
                    stage.query(&selector).await.unwrap(),
                    Vec::<Value>::new(),
                    "{name} is there after all"
                );
                continue;
            }
            let labels = series["labels"].as_array().cloned().unwrap_or_default();
            let look = || async {
                let found = stage.query(&selector).await?;
                let one = found.first().ok_or("no such series")?;
                match labels
                    .iter()
                    .find(|label| one["metric"][label.as_str().unwrap()].is_null())
                {
                    Some(label) => Err(format!("without the label {label}: {one}")),
                    None => Ok(()),
                }
            };
            wait::until(SOON, &selector, look).await.unwrap();
            seen += 1;
        }
    }
    assert!(seen > 20, "{seen}");
}

/// Every recording rule of the two packs gives a value.
pub async fn of_the_recordings_are_there(stage: &Stage) {
    let all = format!("{{__name__=~\"observed:(postgres|redis)_.*\",namespace=\"{NAMESPACE}\"}}");
    let expected: BTreeSet<String> = [
        "observed:postgres_cache_hits:ratio",
        "observed:postgres_connections:ratio",
        "observed:postgres_statement_seconds:mean",
        "observed:postgres_wraparound:ratio",
        "observed:redis_clients:ratio",
        "observed:redis_evictions:rate",
        "observed:redis_hits:ratio",
        "observed:redis_memory:ratio",
    ]
    .map(str::to_owned)
    .into();
    let look = || async {
        let found = stage.query(&all).await?;
        let names = found
            .iter()
            .filter_map(|one| one["metric"]["__name__"].as_str().map(str::to_owned));
        let names: BTreeSet<String> = names.collect();
        if names == expected {
            Ok(())
        } else {
            Err(format!("{names:?}"))
        }
    };
    wait::until(SOON, "every recording rule to have a value", look)
        .await
        .unwrap();
}

/// What Prometheus counts of the evaluation of each rule group of the sample, which are files of prometheus-operator's, and that none failed.
pub async fn of_its_rules_are_there(stage: &Stage) {
    let arguments = ["get", "prometheusrule", "claude-api", "-n", NAMESPACE, "-o", "json"];
    let rules: Value = serde_json::from_str(&stage.kubectl(&arguments).await).unwrap();
    let groups = rules["spec"]["groups"].as_array().unwrap().len();
    let group = format!("rule_group=~\".+;observed:{NAMESPACE}/claude-api:.+\"");
    let failures = format!("prometheus_rule_evaluation_failures_total{{{group}}} == 0");
    stage.has(&failures, groups..=groups, SOON).await;
}

/// What only the databases know is counted: the one key of the load is one active key, and no series names it.
pub async fn of_the_business_are_there(stage: &Stage) {
    let keys = format!("max(api_keys_active{{namespace=\"{NAMESPACE}\",window=\"1d\"}}) == 1");
    for expression in [
        keys,
        format!("tasks_completed_total{{namespace=\"{NAMESPACE}\",outcome=\"success\"}}"),
        format!("tasks_queued{{namespace=\"{NAMESPACE}\"}}"),
        format!("tasks_oldest_age_seconds{{namespace=\"{NAMESPACE}\"}}"),
        format!("db_pool_size{{namespace=\"{NAMESPACE}\"}}"),
    ] {
        stage.has(&expression, 1.., SOON).await;
    }
}
