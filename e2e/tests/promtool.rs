//! promtool, the real one, judges every rendered rule, and runs the drills of every alert.
//!
//! The golden cases are what it reads: the same files that the golden tests compare with what is rendered.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use observed_e2e::{Progress, Tool, Tools, binaries};
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

/// The directories of expected files that hold rules.
fn cases() -> Vec<PathBuf> {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .join("operator/core/tests/golden");
    let directories = fs::read_dir(golden)
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
    // The twin: rules that spell a label as the pack does, for a service that spells it otherwise.
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let case = golden.join("operator/core/tests/golden/dialect-opentelemetry/expected");
    let rules: Value = serde_saphyr::from_str(&fs::read_to_string(case.join("rules.yaml")).unwrap()).unwrap();
    let drills = fs::read_to_string(case.join("drills.yaml")).unwrap();
    survives(&rules, &drills, "HighErrorRate").await.unwrap();
    let canonical = rules.to_string().replace("http_response_status_code", "status");
    let canonical: Value = serde_json::from_str(&canonical).unwrap();
    assert!(survives(&canonical, &drills, "HighErrorRate").await.is_err());
}

#[tokio::test]
async fn an_alert_that_never_fires_or_always_does_or_has_another_threshold_fails_its_drills() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let case = golden.join("operator/core/tests/golden/minimal/expected");
    let rules: Value = serde_saphyr::from_str(&fs::read_to_string(case.join("rules.yaml")).unwrap()).unwrap();
    let drills = fs::read_to_string(case.join("drills.yaml")).unwrap();
    let mut alerts = 0;
    for (group, rule) in alerts_of(&rules) {
        alerts += 1;
        let place = format!("/groups/{group}/rules/{rule}");
        let alert = rules.pointer(&place).unwrap()["alert"].as_str().unwrap();
        let expr = rules.pointer(&place).unwrap()["expr"]
            .as_str()
            .unwrap()
            .trim()
            .to_owned();
        for mutant in [format!("({expr}) > Inf"), format!("({expr}) or vector(1)")] {
            let mut mutated = rules.clone();
            mutated.pointer_mut(&place).unwrap()["expr"] = json!(mutant);
            assert!(
                survives(&mutated, &drills, alert).await.is_err(),
                "its drills do not notice {mutant:?}"
            );
        }
    }
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
async fn the_drill_command_proves_each_alert_and_says_which_one_is_not() {
    let service = "{apiVersion: observed.rs/v1alpha1, kind: ObservedService, metadata: {name: api, namespace: prod}, \
                   spec: {targetRef: {name: api}, signals: {alerts: {HighErrorRate: {above: '0.2'}}}}}";
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("service.yaml");
    fs::write(&file, service).unwrap();
    let observed = binaries::debug("observed", &Progress::detect()).await.unwrap();
    let drill = async |promtool: &Path, more: &[&str]| {
        let output = Command::new(&observed)
            .args(["drill", "-f"])
            .arg(&file)
            .arg("--promtool")
            .arg(promtool)
            .args(more)
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        (output.status.code(), text + &String::from_utf8_lossy(&output.stderr))
    };
    let real = promtool().await;
    let (status, table) = drill(real, &[]).await;
    assert_eq!(status, Some(0), "{table}");
    let line = table.lines().find(|line| line.contains("HighErrorRate")).unwrap();
    assert!(line.ends_with("proven") && !table.contains("FAILED"), "{table}");
    let (status, none) = drill(real, &["--alert", "HighErrorRat"]).await;
    assert!(status == Some(2) && none.contains("HighErrorRat"), "{none}");

    // The twin: rules with another threshold on their way to promtool.
    let wrapper = directory.path().join("promtool");
    let script = format!(
        "#!/bin/sh\nsed -i 's/> 0.2/> 0.3/' rules.yaml\nexec {} \"$@\"\n",
        real.display()
    );
    fs::write(&wrapper, script).unwrap();
    fs::set_permissions(&wrapper, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let (status, text) = drill(&wrapper, &["-o", "json", "--alert", "HighErrorRate"]).await;
    assert_eq!(status, Some(1), "{text}");
    let report: Value = serde_json::from_str(&text).unwrap();
    let alerts = report["services"][0]["alerts"].as_array().unwrap();
    assert_eq!(alerts.len(), 1);
    let failures = alerts[0]["failures"].as_array().unwrap();
    assert!(
        failures
            .iter()
            .all(|failure| failure["case"].as_str().unwrap().starts_with("HighErrorRate fires: "))
    );
    assert!(
        !failures.is_empty() && alerts[0]["silent"]["passed"] == alerts[0]["silent"]["cases"],
        "{text}"
    );
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
