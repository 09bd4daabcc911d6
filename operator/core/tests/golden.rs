//! Golden cases: an ObservedService and facts in, every object as YAML out. `UPDATE_GOLDEN=1` writes what is rendered
//! now; look at the difference before it is committed.
//!
//! A case without `facts.yaml` uses what is assumed offline. Whatever is expected must be rendered, and the other way
//! round.

// Clippy knows only functions with `#[test]` as tests, and not what they share.
#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use observed_core::child::Body;
use observed_core::facts::Facts;
use observed_core::gift::Gift;
use observed_core::lint::{self, Located, Source};
use observed_core::packs::Packs;
use observed_core::plan::Plan;
use observed_core::{drill, outputs, yaml};

/// Files by name.
type Files = BTreeMap<String, String>;

fn cases() -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut cases: Vec<_> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
        .collect();
    cases.sort();
    cases
}

fn input(case: &Path) -> Source {
    Source {
        name: "input.yaml".into(),
        text: fs::read_to_string(case.join("input.yaml")).unwrap(),
        found: false,
    }
}

/// Everything that follows from a case; of one with an error the findings alone, as `observed render` does it.
fn rendered(case: &Path) -> Files {
    let read = lint::read(&[input(case)], None);
    let packs = Packs::builtin().unwrap();
    let mut findings = read.findings;
    let mut files = Files::new();
    for service in read.services {
        let facts = match fs::read_to_string(case.join("facts.yaml")) {
            Ok(text) => {
                let mut facts: Facts =
                    serde_saphyr::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", case.display()));
                facts.namespace = service.namespace().to_owned();
                facts.name = service.name().to_owned();
                facts
            }
            Err(_) => Facts::assumed(&service.service),
        };
        let (plan, found) = service.plan(&facts, &packs);
        findings.extend(found);
        if let Some(plan) = plan {
            files.extend(of_plan(&plan, service.gift(&facts)));
        }
    }
    if findings.iter().any(Located::is_error) {
        files.clear();
    }
    if !findings.is_empty() {
        findings.sort_by(|a, b| (a.place, &a.finding).cmp(&(b.place, &b.finding)));
        files.insert(
            "findings.txt".into(),
            findings.iter().map(|finding| format!("{finding}\n")).collect(),
        );
    }
    files
}

fn of_plan(plan: &Plan, gift: Option<Gift>) -> Files {
    let mut files = Files::new();
    let mut put = |name: &str, text: String| {
        assert_eq!(
            files.insert(format!("{name}.yaml"), text),
            None,
            "two files {name}.yaml"
        );
    };
    for child in outputs::render(plan).items {
        if let Body::Owned(object) = &child.body {
            put(child.output, yaml::to_string([object]));
        }
    }
    if let Some(gift) = gift {
        put("probes", yaml::to_string([&gift.patch()]));
    }
    for (name, text) in for_promtool(plan) {
        put(name, text);
    }
    files
}

/// What promtool reads: the rules, and their drills as tests of them.
fn for_promtool(plan: &Plan) -> Vec<(&'static str, String)> {
    let drills = drill::drills(plan, "rules.yaml").unwrap();
    let drills = drills.into_iter().map(|file| (file.name, file.text));
    std::iter::once(("rules", drill::rules_file(plan).unwrap()))
        .chain(drills)
        .collect()
}

fn expected(case: &Path) -> Files {
    let Ok(entries) = fs::read_dir(case.join("expected")) else {
        return Files::new();
    };
    entries
        .map(|entry| entry.unwrap().path())
        .map(|path| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            (name, fs::read_to_string(&path).unwrap())
        })
        .collect()
}

/// In what the two differ, one line a file.
fn differences(rendered: &Files, expected: &Files) -> Vec<String> {
    let mut differences = Vec::new();
    for (name, text) in rendered {
        match expected.get(name) {
            None => differences.push(format!("{name} is rendered and not expected")),
            Some(wanted) if wanted != text => {
                let lines = text.lines().zip(wanted.lines());
                let number = lines.take_while(|(a, b)| a == b).count();
                let line = |text: &str| text.lines().nth(number).unwrap_or("(end)").to_owned();
                differences.push(format!(
                    "{name}:{}: rendered {:?}, expected {:?}",
                    number + 1,
                    line(text),
                    line(wanted)
                ));
            }
            Some(_) => {}
        }
    }
    let unrendered = expected.keys().filter(|name| !rendered.contains_key(*name));
    differences.extend(unrendered.map(|name| format!("{name} is expected and nobody renders it")));
    differences
}

fn bless(case: &Path, rendered: &Files) {
    let directory = case.join("expected");
    let _ = fs::remove_dir_all(&directory);
    fs::create_dir_all(&directory).unwrap();
    for (name, text) in rendered {
        fs::write(directory.join(name), text).unwrap();
    }
}

#[test]
fn every_case_renders_what_is_expected() {
    let mut wrong = Vec::new();
    for case in cases() {
        let rendered = rendered(&case);
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            bless(&case, &rendered);
        }
        let name = case.file_name().unwrap().to_string_lossy().into_owned();
        wrong.extend(
            differences(&rendered, &expected(&case))
                .into_iter()
                .map(|d| format!("{name}/expected/{d}")),
        );
    }
    assert!(
        wrong.is_empty(),
        "UPDATE_GOLDEN=1 writes them anew:\n{}",
        wrong.join("\n")
    );
}

#[test]
fn a_difference_a_missing_file_and_one_too_many_are_noticed() {
    let files = |files: &[(&str, &str)]| files.iter().map(|(n, t)| ((*n).to_owned(), (*t).to_owned())).collect();
    let rendered: Files = files(&[("a.yaml", "x: 1\ny: 2\n"), ("b.yaml", ""), ("same.yaml", "z: 1\n")]);
    let expected: Files = files(&[("a.yaml", "x: 1\ny: 3\n"), ("c.yaml", ""), ("same.yaml", "z: 1\n")]);
    assert_eq!(
        differences(&rendered, &expected),
        [
            "a.yaml:2: rendered \"y: 2\", expected \"y: 3\"",
            "b.yaml is rendered and not expected",
            "c.yaml is expected and nobody renders it"
        ]
    );
}

#[test]
fn the_same_input_renders_the_same_bytes_each_time() {
    for case in cases() {
        assert_eq!(rendered(&case), rendered(&case), "{}", case.display());
    }
}

#[test]
fn what_is_rendered_is_read_alike_by_a_second_parser() {
    let mut read = 0;
    for (name, text) in cases().iter().flat_map(|case| rendered(case)) {
        if !name.ends_with(".yaml") {
            continue;
        }
        let ours: Vec<_> = yaml::parse(&text).documents.iter().map(yaml::Node::to_json).collect();
        let theirs: Vec<serde_json::Value> = serde_yaml::Deserializer::from_str(&text)
            .map(|document| serde::Deserialize::deserialize(document).unwrap())
            .collect();
        assert_eq!(ours, theirs, "{name}");
        read += ours.len();
    }
    assert!(read > 0 || outputs::owned_kinds().is_empty(), "nothing was rendered");
}

#[test]
fn the_samples_are_the_inputs_of_golden_cases() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let read = |path: PathBuf| fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    for (sample, case) in [
        ("claude-api", "sample"),
        ("minimal", "minimal"),
        ("claude-api-dependencies", "sample-with-dependencies"),
        ("llm-api", "llm-api"),
        ("observed", "observed"),
        ("python-fastapi", "python-fastapi"),
        ("worker", "worker"),
    ] {
        let sample = read(root.join(format!("manifests/samples/{sample}.yaml")));
        let input = read(root.join(format!("operator/core/tests/golden/{case}/input.yaml")));
        // Where a sample brings more than what is observed, that comes last.
        assert!(
            sample == input || sample.ends_with(&format!("\n---\n{input}")),
            "{case}"
        );
    }
}

#[test]
fn every_alert_has_the_labels_by_which_the_dashboard_marks_it() {
    let mut alerts = 0;
    for case in cases() {
        let read = |file: &str| -> Option<serde_json::Value> {
            let text = fs::read_to_string(case.join("expected").join(file)).ok()?;
            Some(serde_saphyr::from_str(&text).unwrap())
        };
        let (Some(rules), Some(config_map)) = (read("rules.yaml"), read("dashboard.yaml")) else {
            continue;
        };
        let dashboard = config_map["data"].as_object().unwrap().values().next().unwrap();
        let dashboard: serde_json::Value = serde_json::from_str(dashboard.as_str().unwrap()).unwrap();
        let marks = &dashboard["annotations"]["list"][0]["expr"];
        let groups = rules["groups"].as_array().unwrap().iter();
        let rules = groups.flat_map(|group| group["rules"].as_array().unwrap());
        for alert in rules.filter(|rule| !rule["alert"].is_null()) {
            let (namespace, service) = (&alert["labels"]["namespace"], &alert["labels"]["service"]);
            let wanted = format!("ALERTS{{alertstate=\"firing\",namespace={namespace},service={service}}}");
            assert_eq!(*marks, wanted, "{}: {}", case.display(), alert["alert"]);
            alerts += 1;
        }
    }
    assert!(alerts > 50, "{alerts}");
}
