//! promtool, the real one, judges every rendered rule, and runs the drills of every alert.
//!
//! The golden cases are what it reads: the same files that the golden tests compare with what is rendered.

#![allow(clippy::unwrap_used, clippy::panic)]

mod objectives;
mod restarts;
mod results;
mod rollouts;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use futures::{StreamExt, stream};
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

/// Name of a golden case, from where its expected files are.
fn name_of(expected: &Path) -> String {
    let case = expected.parent().and_then(Path::file_name).unwrap();
    case.to_string_lossy().into_owned()
}

async fn runs(arguments: &[&str], directory: &Path) -> Result<(), String> {
    let output = tokio::process::Command::new(promtool().await)
        .args(arguments)
        .current_dir(directory)
        .output()
        .await
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

/// Files with the drills of a case.
fn drill_files(case: &Path) -> Vec<PathBuf> {
    let names = [
        "drills.yaml",
        "drills-slow.yaml",
        "drills-slowest.yaml",
        "drills-objectives.yaml",
    ];
    let files = names.map(|name| case.join(name));
    files.into_iter().filter(|file| file.exists()).collect()
}

fn read(file: &Path) -> Value {
    serde_saphyr::from_str(&fs::read_to_string(file).unwrap()).unwrap()
}

/// The drills of single alerts, by the name of the alert. promtool evaluates every rule of a file in every test, so that
/// a file with one alert is gone through in a fraction of the time.
fn drills_by_alert(case: &Path) -> BTreeMap<String, Vec<Value>> {
    let mut found: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for file in drill_files(case) {
        let whole = read(&file);
        let mut by_alert: BTreeMap<String, Vec<Value>> = BTreeMap::new();
        for test in whole["tests"].as_array().unwrap() {
            let alert = test["name"].as_str().unwrap().split(' ').next().unwrap().to_owned();
            by_alert.entry(alert).or_default().push(test.clone());
        }
        for (alert, tests) in by_alert {
            let mut part = whole.clone();
            part["tests"] = json!(tests);
            found.entry(alert).or_default().push(part);
        }
    }
    found
}

/// The rules without the other alerts, and without the recorded series that the alert does not read.
fn only(rules: &Value, alert: &str) -> Value {
    let mut rules = rules.clone();
    let groups = rules["groups"].as_array_mut().unwrap();
    let all = || groups.iter().flat_map(|group| group["rules"].as_array().unwrap());
    let mut needed: Vec<String> = all().filter(|rule| rule["alert"] == alert).map(expr).collect();
    // Windows of an objective are recorded under one name, and read different series.
    let records: Vec<(String, String)> = all()
        .filter_map(|rule| Some((rule["record"].as_str()?.to_owned(), expr(rule))))
        .collect();
    let mut kept: BTreeSet<String> = BTreeSet::new();
    while let Some(text) = needed.pop() {
        let read: BTreeSet<&String> = records.iter().map(|(record, _)| record).collect();
        for record in read.into_iter().filter(|record| text.contains(record.as_str())) {
            if kept.insert(record.clone()) {
                let same = records.iter().filter(|(other, _)| other == record);
                needed.extend(same.map(|(_, expr)| expr.clone()));
            }
        }
    }
    for group in groups.iter_mut() {
        let rules = group["rules"].as_array_mut().unwrap();
        rules.retain(|rule| {
            rule["alert"] == alert || rule["record"].as_str().is_some_and(|record| kept.contains(record))
        });
    }
    groups.retain(|group| !group["rules"].as_array().unwrap().is_empty());
    rules
}

fn expr(rule: &Value) -> String {
    rule["expr"].as_str().unwrap().trim().to_owned()
}

#[tokio::test]
async fn every_alert_fires_and_stays_silent_as_its_drills_say() {
    let mut proofs = Vec::new();
    for case in cases() {
        let rules = read(&case.join("rules.yaml"));
        let drills = drills_by_alert(&case);
        for (_, _, rule) in alerts_of(&rules) {
            assert!(drills.contains_key(rule["alert"].as_str().unwrap()), "{rule}");
        }
        proofs.extend(drills.into_iter().map(|(alert, drills)| {
            let rules = only(&rules, &alert);
            (name_of(&case), alert, rules, drills)
        }));
    }
    assert!(proofs.len() >= 200, "{}", proofs.len());
    // It is most of what this suite takes, and promtool uses one core.
    let at_once = std::thread::available_parallelism().unwrap().get();
    let proof = async |(case, alert, rules, drills): &(String, String, Value, Vec<Value>)| {
        let end = survives(rules, drills).await;
        end.unwrap_or_else(|error| panic!("{case}, {alert}: {error}"));
    };
    stream::iter(&proofs).for_each_concurrent(at_once, proof).await;
    let proven = proofs.iter();
    results::are_current(proven.map(|(case, alert, _, drills)| (case.as_str(), alert.as_str(), drills.as_slice())));
    // The twin: rules that spell a label as the pack does, for a service that spells it otherwise.
    let case = golden("dialect-opentelemetry");
    let rules = only(&read(&case.join("rules.yaml")), "HighErrorRate");
    let drills = &drills_by_alert(&case)["HighErrorRate"];
    survives(&rules, drills).await.unwrap();
    let canonical = rules.to_string().replace("http_response_status_code", "status");
    let canonical: Value = serde_json::from_str(&canonical).unwrap();
    assert!(survives(&canonical, drills).await.is_err());
    // The twin of native histograms: rules for classic ones, on the same service.
    let rules = |case: &str| only(&read(&golden(case).join("rules.yaml")), "HighResponseTime");
    let drills = &drills_by_alert(&golden("native-histograms"))["HighResponseTime"];
    survives(&rules("native-histograms"), drills).await.unwrap();
    assert!(survives(&rules("dialect-opentelemetry"), drills).await.is_err());
}

#[tokio::test]
async fn an_alert_that_never_fires_or_always_does_or_has_another_threshold_fails_its_drills() {
    let mut tried = BTreeSet::new();
    for case in ["llm-api", "statefulset", "daemonset", "observed", "own-pack"] {
        let case = golden(case);
        let rules = read(&case.join("rules.yaml"));
        let drills = drills_by_alert(&case);
        for (group, place, rule) in alerts_of(&rules) {
            let alert = rule["alert"].as_str().unwrap();
            if !tried.insert(alert.to_owned()) {
                continue;
            }
            let expr = expr(&rule);
            for mutant in [format!("({expr}) > Inf"), format!("({expr}) or vector(1)")] {
                let mut mutated = rules.clone();
                mutated["groups"][group]["rules"][place]["expr"] = json!(mutant);
                assert!(
                    notice(&drills[alert], &only(&mutated, alert)).await,
                    "its drills do not notice {mutant:?}"
                );
            }
        }
    }
    assert!(tried.len() >= 65, "{} {tried:?}", tried.len());

    let case = golden("minimal");
    let rules = read(&case.join("rules.yaml"));
    let drills = &drills_by_alert(&case)["HighErrorRate"];
    let text = only(&rules, "HighErrorRate").to_string();
    for other in ["> 0.06", "> 0.04"] {
        assert!(text.contains("> 0.05"), "{text}");
        let mutated: Value = serde_json::from_str(&text.replace("> 0.05", other)).unwrap();
        assert!(
            notice(drills, &mutated).await,
            "the drills do not notice the threshold {other}"
        );
    }
    assert!(
        !notice(drills, &only(&rules, "HighErrorRate")).await,
        "nothing is wrong"
    );
}

#[tokio::test]
async fn a_burn_rate_alert_that_never_fires_or_always_does_or_has_another_threshold_fails_its_drills() {
    let case = golden("objectives-of-own-counters");
    let rules = objectives::of_objective(&read(&case.join("rules.yaml")), "tasks");
    let mut alerts = 0;
    for (group, place, rule) in alerts_of(&rules) {
        let drills = drills_of(&case, &called(&rule));
        let expr = expr(&rule);
        for mutant in [format!("({expr}) > Inf"), format!("({expr}) or vector(1)")] {
            let mut mutated = rules.clone();
            mutated["groups"][group]["rules"][place]["expr"] = json!(mutant);
            assert!(notice(&drills, &mutated).await, "its drills do not notice {mutant:?}");
        }
        alerts += 1;
    }
    assert_eq!(alerts, 6);
    // 3.36, 1.4, 0.7 and 0.2333 times the budget of 10 %.
    for (threshold, long) in [
        ("0.336", "1h"),
        ("0.14", "6h"),
        ("0.07", "1d"),
        ("0.023333333333333", "3d"),
    ] {
        let text = rules.to_string();
        let drills = drills_of(&case, &format!("ErrorBudgetBurn long={long} objective=tasks"));
        for factor in [0.9, 1.1] {
            assert!(text.contains(&format!("> {threshold} ")), "{threshold}");
            let other: f64 = threshold.parse::<f64>().unwrap() * factor;
            let mutated = text.replace(&format!("> {threshold} "), &format!("> {other} "));
            let mutated: Value = serde_json::from_str(&mutated).unwrap();
            assert!(notice(&drills, &mutated).await, "{long}: nobody notices {other}");
        }
        survives(&rules, &drills).await.unwrap();
    }
}

/// The drills whose names begin like this.
fn drills_of(case: &Path, named: &str) -> Vec<Value> {
    let start = format!("{named} ");
    let mut parts: Vec<Value> = drill_files(case).iter().map(|file| read(file)).collect();
    for part in &mut parts {
        let tests = part["tests"].as_array_mut().unwrap();
        tests.retain(|test| test["name"].as_str().unwrap().starts_with(&start));
    }
    parts.retain(|part| !part["tests"].as_array().unwrap().is_empty());
    assert!(!parts.is_empty(), "no drill begins with {named:?}");
    parts
}

/// How the drills of an alert begin: its name, and what tells it from its namesakes.
fn called(alert: &Value) -> String {
    let name = alert["alert"].as_str().unwrap();
    let labels = alert["labels"].as_object().unwrap().iter();
    let mut own: Vec<String> = labels
        .filter(|(label, _)| !["namespace", "service", "severity", "role"].contains(&label.as_str()))
        .map(|(label, value)| format!(" {label}={}", value.as_str().unwrap()))
        .collect();
    if !own.is_empty() {
        own.push(format!(" severity={}", alert["labels"]["severity"].as_str().unwrap()));
    }
    format!("{name}{}", own.concat())
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
    // Its window and its `for` of 5 minutes each, and four evaluations.
    assert!(line.contains(" 12m "), "{table}");
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

/// Group, place in it and rule of every alert.
fn alerts_of(rules: &Value) -> Vec<(usize, usize, Value)> {
    let mut found = Vec::new();
    for (group, rules) in rules["groups"].as_array().unwrap().iter().enumerate() {
        for (place, rule) in rules["rules"].as_array().unwrap().iter().enumerate() {
            if rule.get("alert").is_some() {
                found.push((group, place, rule.clone()));
            }
        }
    }
    found
}

/// Runs drills against rules. JSON is YAML.
async fn survives(rules: &Value, drills: &[Value]) -> Result<(), String> {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("rules.yaml"), rules.to_string()).unwrap();
    let names: Vec<String> = (0..drills.len()).map(|n| format!("drills-{n}.yaml")).collect();
    for (name, drills) in names.iter().zip(drills) {
        fs::write(directory.path().join(name), drills.to_string()).unwrap();
    }
    let mut arguments = vec!["test", "rules"];
    arguments.extend(names.iter().map(String::as_str));
    runs(&arguments, directory.path()).await
}

/// Whether one of the drills fails with such rules. They are run one by one: the first that fails is enough, and most often
/// the very first does.
async fn notice(drills: &[Value], rules: &Value) -> bool {
    for part in drills {
        for test in part["tests"].as_array().unwrap() {
            let mut one = part.clone();
            one["tests"] = json!([test]);
            if survives(rules, &[one]).await.is_err() {
                return true;
            }
        }
    }
    false
}
