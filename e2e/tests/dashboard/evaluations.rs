//! What a real Prometheus tells of itself when it cannot evaluate a rule.

use std::fs;
use std::path::Path;
use std::process::Command;

use observed_e2e::wait;
use serde_json::{Value, json};

use super::{Programs, SOON, programs, started, words};

/// A vector of one sample by one of two: a join that finds two where one must be.
const BROKEN: &str = "vector(1) / on () (vector(1) or label_replace(vector(1), \"a\", \"b\", \"\", \"\"))";

/// The rule groups of the sample in a namespace, evaluated every second.
fn groups(programs: &Programs, namespace: &str) -> Vec<Value> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let sample = fs::read_to_string(root.join("manifests/samples/claude-api.yaml")).unwrap();
    let input = tempfile::NamedTempFile::with_suffix(".yaml").unwrap();
    fs::write(
        &input,
        sample.replace("namespace: prod", &format!("namespace: {namespace}")),
    )
    .unwrap();
    let output = Command::new(&programs.observed)
        .args(["render", "--only", "prometheus-rule", "-o", "json", "-f"])
        .arg(input.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", words(&output));
    let list: Value = serde_json::from_slice(&output.stdout).unwrap();
    let mut groups = list["items"][0]["spec"]["groups"].as_array().unwrap().clone();
    for group in &mut groups {
        group["interval"] = json!("1s");
    }
    groups
}

#[tokio::test]
async fn the_owner_of_a_rule_that_prometheus_cannot_evaluate_is_told_and_no_namesake() {
    let (programs, directory) = (programs().await, tempfile::tempdir().unwrap());
    let (mut broken, whole) = (groups(programs, "prod"), groups(programs, "dev"));
    let rules = broken[0]["rules"].as_array_mut().unwrap();
    rules.push(json!({"record": "broken", "expr": BROKEN}));
    let all = [broken, whole].concat();
    let file = json!({"groups": all});
    fs::write(directory.path().join("rules.yaml"), file.to_string()).unwrap();
    let (url, _prometheus) = started(programs, directory.path(), |address| {
        format!(
            "global: {{scrape_interval: 1s, scrape_timeout: 1s}}\nrule_files: [rules.yaml]\nscrape_configs:\n\
             - {{job_name: prometheus, static_configs: [{{targets: [\"{address}\"], labels: {{namespace: monitoring}}}}]}}\n"
        )
    });
    let ask = |query: &str| programs.asked(&url, query, None);
    // Firing takes ten minutes more.
    const ALERTS: &str = "ALERTS{alertname=\"RuleEvaluationFailing\"}";
    let pending = wait::until(SOON, "the alert to be pending", async || {
        let samples = ask(ALERTS)?;
        (!samples.is_empty()).then_some(()).ok_or("it is not".to_owned())
    });
    pending.await.unwrap();
    // Until then the namesake may not have been asked about yet.
    let evaluations = "prometheus_rule_group_iterations_total{rule_group=~\".+;observed:dev/claude-api:target\"}";
    let evaluated = || {
        let samples = ask(evaluations)?;
        let count = samples
            .first()
            .and_then(|sample| sample["value"][1].as_str()?.parse::<f64>().ok());
        count.ok_or(format!("{samples:?}"))
    };
    let before = evaluated().unwrap();
    let again = wait::until(SOON, "the rules of the namesake to be evaluated again", async || {
        let now = evaluated()?;
        (now >= before + 3.0).then_some(()).ok_or(format!("{now} times"))
    });
    again.await.unwrap();
    let pending = ask(ALERTS).unwrap();
    let labels = |label: &str| {
        pending
            .iter()
            .map(|sample| sample["metric"][label].as_str())
            .collect::<Vec<_>>()
    };
    assert_eq!(labels("namespace"), [Some("prod")], "{pending:?}");
    assert_eq!(labels("service"), [Some("claude-api")], "{pending:?}");
    // The twin has as many groups, and Prometheus counts them too.
    let of = |namespace: &str| {
        let group = format!("rule_group=~\".+;observed:{namespace}/claude-api:.+\"");
        ask(&format!("count(prometheus_rule_evaluation_failures_total{{{group}}})")).unwrap()
    };
    assert_eq!(of("dev")[0]["value"][1], of("prod")[0]["value"][1]);
}
