//! promtool, the real one, judges every rendered rule, and runs the drills of every alert.
//!
//! The golden cases are what it reads: the same files that the golden tests compare with what is rendered.

#![allow(clippy::unwrap_used, clippy::panic)]

mod objectives;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use observed_e2e::{Progress, Tool, Tools};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

async fn promtool() -> &'static PathBuf {
    static TOOL: OnceCell<PathBuf> = OnceCell::const_new();
    let ensure = async || {
        let tools = Tools::ensure(&[Tool::Promtool], &Progress::detect()).await.unwrap();
        tools.path(Tool::Promtool).unwrap().to_owned()
    };
    TOOL.get_or_init(ensure).await
}

/// Where the golden cases are.
fn goldens() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    root.join("operator/core/tests/golden")
}

/// What is expected of a golden case.
fn golden(case: &str) -> PathBuf {
    goldens().join(case).join("expected")
}

/// The directories of expected files that hold rules.
fn cases() -> Vec<PathBuf> {
    let directories = fs::read_dir(goldens())
        .unwrap()
        .map(|entry| entry.unwrap().path().join("expected"));
    let mut cases: Vec<_> = directories
        .filter(|directory| directory.join("rules.yaml").exists())
        .collect();
    cases.sort();
    cases
}

async fn runs(arguments: &[&str], directory: &Path) -> Result<(), String> {
    let output = Command::new(promtool().await)
        .args(arguments)
        .current_dir(directory)
        .output()
        .unwrap();
    let text = [output.stdout, output.stderr].concat();
    if output.status.success() {
        Ok(())
    } else {
        Err(String::from_utf8_lossy(&text).into_owned())
    }
}

#[tokio::test]
async fn every_rendered_rule_is_one_for_promtool() {
    let cases = cases();
    assert!(cases.len() >= 3, "{cases:?}");
    for case in &cases {
        runs(&["check", "rules", "--lint=all", "--lint-fatal", "rules.yaml"], case)
            .await
            .unwrap_or_else(|error| panic!("{}: {error}", case.display()));
    }
    // The twin: a rule that is none.
    let broken = tempfile::tempdir().unwrap();
    let text = fs::read_to_string(cases[0].join("rules.yaml")).unwrap();
    fs::write(broken.path().join("rules.yaml"), text.replace("rate(", "rat(")).unwrap();
    assert!(runs(&["check", "rules", "rules.yaml"], broken.path()).await.is_err());
}

#[tokio::test]
async fn every_alert_fires_and_stays_silent_as_its_drills_say() {
    for case in cases() {
        runs(&["test", "rules", "drills.yaml"], &case)
            .await
            .unwrap_or_else(|error| panic!("{}: {error}", case.display()));
    }
}

#[tokio::test]
async fn an_alert_that_never_fires_or_always_does_or_has_another_threshold_fails_its_drills() {
    let case = golden("minimal");
    let rules: Value = serde_saphyr::from_str(&fs::read_to_string(case.join("rules.yaml")).unwrap()).unwrap();
    let drills = fs::read_to_string(case.join("drills.yaml")).unwrap();
    let alerts = mutants_are_noticed(&rules, &drills).await;
    assert!(alerts >= 5, "{alerts}");

    let text = rules.to_string();
    for other in ["> 0.06", "> 0.04"] {
        assert!(text.contains("> 0.05"), "{text}");
        let mutated: Value = serde_json::from_str(&text.replace("> 0.05", other)).unwrap();
        assert!(
            survives(&mutated, &drills, "HighErrorRate").await.is_err(),
            "the drills do not notice the threshold {other}"
        );
    }
    survives(&rules, &drills, "HighErrorRate").await.unwrap();
}

#[tokio::test]
async fn a_burn_rate_alert_that_never_fires_or_always_does_or_has_another_threshold_fails_its_drills() {
    let case = golden("objectives-of-own-counters");
    let rules: Value = serde_saphyr::from_str(&fs::read_to_string(case.join("rules.yaml")).unwrap()).unwrap();
    let drills = fs::read_to_string(case.join("drills.yaml")).unwrap();
    let rules = objectives::of_objective(&rules, "tasks");
    assert_eq!(mutants_are_noticed(&rules, &drills).await, 6);
    // 3.36, 1.4, 0.7 and 0.2333 times the budget of 10 %.
    for (threshold, long) in [
        ("0.336", "1h"),
        ("0.14", "6h"),
        ("0.07", "1d"),
        ("0.023333333333333", "3d"),
    ] {
        let text = rules.to_string();
        let named = format!("ErrorBudgetBurn long={long} objective=tasks");
        for factor in [0.9, 1.1] {
            assert!(text.contains(&format!("> {threshold} ")), "{threshold}");
            let other: f64 = threshold.parse::<f64>().unwrap() * factor;
            let mutated = text.replace(&format!("> {threshold} "), &format!("> {other} "));
            let mutated: Value = serde_json::from_str(&mutated).unwrap();
            assert!(
                survives(&mutated, &drills, &named).await.is_err(),
                "{long}: nobody notices {other}"
            );
        }
        survives(&rules, &drills, &named).await.unwrap();
    }
}

/// Each alert with an expression that never or always holds fails its own drills. How many alerts there are.
async fn mutants_are_noticed(rules: &Value, drills: &str) -> usize {
    let alerts = alerts_of(rules);
    for (group, rule) in &alerts {
        let place = format!("/groups/{group}/rules/{rule}");
        let alert = rules.pointer(&place).unwrap();
        let (named, expr) = (called(alert), alert["expr"].as_str().unwrap().trim());
        for mutant in [format!("({expr}) > Inf"), format!("({expr}) or vector(1)")] {
            let mut mutated = rules.clone();
            mutated.pointer_mut(&place).unwrap()["expr"] = json!(mutant);
            assert!(
                survives(&mutated, drills, &named).await.is_err(),
                "its drills do not notice {mutant:?}"
            );
        }
    }
    alerts.len()
}

/// How the drills of an alert begin: its name, and what tells it from its namesakes.
fn called(alert: &Value) -> String {
    let name = alert["alert"].as_str().unwrap();
    let labels = alert["labels"].as_object().unwrap().iter();
    let mut own: Vec<String> = labels
        .filter(|(label, _)| !["namespace", "service", "severity"].contains(&label.as_str()))
        .map(|(label, value)| format!(" {label}={}", value.as_str().unwrap()))
        .collect();
    if !own.is_empty() {
        own.push(format!(" severity={}", alert["labels"]["severity"].as_str().unwrap()));
    }
    format!("{name}{}", own.concat())
}

/// Group and place in it of every alerting rule.
fn alerts_of(rules: &Value) -> Vec<(usize, usize)> {
    let groups = rules["groups"].as_array().unwrap();
    let of_group = |(group, rules): (usize, &Value)| {
        let rules = rules["rules"].as_array().unwrap().clone();
        rules
            .into_iter()
            .enumerate()
            .filter(|(_, rule)| rule.get("alert").is_some())
            .map(move |(rule, _)| (group, rule))
    };
    groups.iter().enumerate().flat_map(of_group).collect()
}

/// Runs the drills of one alert against other rules. JSON is YAML.
async fn survives(rules: &Value, drills: &str, alert: &str) -> Result<(), String> {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("rules.yaml"), rules.to_string()).unwrap();
    fs::write(directory.path().join("drills.yaml"), drills).unwrap();
    runs(
        &["test", "rules", "--run", &format!("^{alert} "), "drills.yaml"],
        directory.path(),
    )
    .await
}
