//! The program as its users meet it, and misuse it. Each misuse has a twin that passes.

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

const GOOD: &str = "apiVersion: observed.rs/v1alpha1
kind: ObservedService
metadata: {name: claude-api, namespace: prod}
spec:
  targetRef: {name: claude-api}
";

/// What the program did.
#[derive(Debug)]
struct Done {
    status: i32,
    out: String,
    err: String,
}

fn observed(arguments: &[&str], stdin: &str) -> Done {
    let mut child = Command::new(env!("CARGO_BIN_EXE_observed"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // It may have refused its arguments, and be gone.
    let _ = child.stdin.take().unwrap().write_all(stdin.as_bytes());
    let done = child.wait_with_output().unwrap();
    Done {
        status: done.status.code().unwrap(),
        out: String::from_utf8(done.stdout).unwrap(),
        err: String::from_utf8(done.stderr).unwrap(),
    }
}

/// The good resource with this below `spec`.
fn with(spec: &str) -> String {
    format!("{GOOD}{}", spec.lines().map(|line| format!("  {line}\n")).collect::<String>())
}

/// Both verbs refuse the text, `render` prints nothing, and each finding begins as expected.
fn refused(text: &str, expected: &[&str]) {
    let lint = observed(&["lint", "-f", "-"], text);
    assert_eq!(lint.status, 1, "{lint:?}");
    let lines: Vec<_> = lint.out.lines().collect();
    assert_eq!(lines.len(), expected.len(), "{lines:#?}");
    for (line, expected) in lines.iter().zip(expected) {
        let line = line.strip_prefix("standard input:").unwrap();
        assert!(line.starts_with(expected), "{line}\nis not\n{expected}");
    }
    let render = observed(&["render", "-f", "-"], text);
    assert_eq!((render.status, render.out.as_str(), render.err.as_str()), (1, "", lint.out.as_str()));
}

fn accepted(text: &str) {
    let lint = observed(&["lint", "-f", "-"], text);
    assert_eq!((lint.status, lint.out.as_str()), (0, ""), "{lint:?}");
    let render = observed(&["render", "-f", "-"], text);
    assert_eq!(render.status, 0, "{render:?}");
}

fn directory(files: &[(&str, &str)]) -> TempDir {
    let directory = TempDir::new().unwrap();
    for (name, text) in files {
        let path: PathBuf = directory.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    directory
}

#[test]
fn an_unknown_field_is_answered_with_the_nearest_name() {
    refused(
        &with("scrape: {intervall: 15s}"),
        &["6:12: error[unknown-field]: spec.scrape.intervall: there is no field \"intervall\". Did you mean \"interval\"? "],
    );
    accepted(&with("scrape: {interval: 15s}"));
}

#[test]
fn a_wrong_type_is_answered_with_the_right_one() {
    refused(
        &with("scrape: {interval: 15}"),
        &["6:22: error[wrong-type]: spec.scrape.interval: the number 15 is not a text. Write it in quotes"],
    );
    refused(&with("probes: []"), &["6:11: error[wrong-type]: spec.probes: a list is not a map of fields. "]);
    accepted(&with("probes: {}"));
}

#[test]
fn a_key_that_stands_there_twice_is_refused() {
    refused(
        &with("paused: true\npaused: false"),
        &["7:3: error[syntax]: the key \"paused\" stands here again; it is in line 6 already. Keep one of the two"],
    );
    accepted(&with("paused: false"));
}

#[test]
fn a_text_that_is_no_yaml_is_refused_with_the_place() {
    refused("a: [1, 2\nb: }\n", &["2:"]);
    let done = observed(&["lint", "-f", "-"], "a: [1, 2\nb: }\n");
    assert!(done.out.contains("error[syntax]: this is not YAML: "), "{done:?}");
}

#[test]
fn a_port_that_the_container_lacks_is_answered_with_those_that_it_has() {
    let facts = "target: {kind: Deployment, name: claude-api, replicas: 1, selector: {matchLabels: {a: b}}, podLabels: {a: b},
  containers: [{name: api, ports: [{name: http, port: 8080}, {name: admin, port: 9090}]}]}\n";
    let files = directory(&[("facts.yaml", facts), ("wrong.yaml", &with("scrape: {port: htp}")), ("right.yaml", &with("scrape: {port: http}"))]);
    let path = |name: &str| files.path().join(name).to_str().unwrap().to_owned();
    let done = observed(&["lint", "-f", &path("wrong.yaml"), "--facts", &path("facts.yaml")], "");
    assert_eq!(done.status, 1, "{done:?}");
    let expected = "wrong.yaml:6:18: error[port]: spec.scrape.port: container \"api\" has no port named \"htp\". Did you mean \"http\"? It has: http (8080), admin (9090)\n";
    assert!(done.out.contains(expected), "{done:?}");
    let done = observed(&["lint", "-f", &path("right.yaml"), "--facts", &path("facts.yaml")], "");
    assert!(!done.out.contains("error[port]"), "{done:?}");
}

#[test]
fn a_target_that_the_facts_do_not_have_is_a_finding() {
    let files = directory(&[("facts.yaml", "served: []\n")]);
    let facts = files.path().join("facts.yaml");
    let done = observed(&["render", "-f", "-", "--facts", facts.to_str().unwrap()], GOOD);
    assert_eq!((done.status, done.out.as_str()), (1, ""));
    assert!(done.err.contains("5:21: error[target-not-found]: spec.targetRef.name: there is no Deployment \"claude-api\""), "{done:?}");
}

#[test]
fn facts_that_cannot_be_used_are_wrong_usage() {
    let files = directory(&[("unknown.yaml", "servd: []\n"), ("other.yaml", "name: other\n"), ("good.yaml", "name: claude-api\n")]);
    let with = |name: &str, text: &str| observed(&["render", "-f", "-", "--facts", files.path().join(name).to_str().unwrap()], text);
    let unknown = with("unknown.yaml", GOOD);
    assert_eq!(unknown.status, 2);
    assert!(unknown.err.contains("does not hold facts: ") && unknown.err.contains("servd"), "{unknown:?}");
    let other = with("other.yaml", GOOD);
    assert_eq!((other.status, other.err.as_str()), (2, "error: the facts are about \"other\", and \"claude-api\" was given\n"));
    let two = format!("{GOOD}---\n{}", GOOD.replace("claude-api", "b"));
    assert_eq!(with("good.yaml", &two).status, 2);
    assert_eq!(with("missing.yaml", GOOD).status, 2);
    assert_eq!(with("good.yaml", GOOD).status, 1);
}

#[test]
fn a_name_that_leaves_no_room_for_its_children_is_refused() {
    let named = |length| GOOD.replace("name: claude-api, ", &format!("name: {}, ", "a".repeat(length)));
    refused(&named(63), &["3:18: error[broken-rule]: metadata.name: at most 52 characters"]);
    refused(&named(53), &["3:18: error[broken-rule]: metadata.name: at most 52 characters"]);
    accepted(&named(52));
}

#[test]
fn two_services_for_one_target_are_found_across_files() {
    let second = GOOD.replace("{name: claude-api, ", "{name: second, ");
    let files = directory(&[("a.yaml", GOOD), ("deeper/b.yaml", &second)]);
    let done = observed(&["lint", "-f", files.path().to_str().unwrap()], "");
    assert_eq!(done.status, 1);
    assert!(done.out.contains("deeper/b.yaml:5:21: error[target-taken]: spec.targetRef.name: "), "{done:?}");
    let elsewhere = second.replace("namespace: prod", "namespace: test");
    let files = directory(&[("a.yaml", GOOD), ("deeper/b.yaml", &elsewhere)]);
    assert_eq!(observed(&["lint", "-f", files.path().to_str().unwrap()], "").status, 0);
}

#[test]
fn all_findings_come_at_once() {
    refused(
        &with("probe: {}\nscrape: {interval: 15, port: HTTP}\nprobes: {liveness: {periodSeconds: 1, timeoutSeconds: 2}}"),
        &[
            "6:3: error[unknown-field]: spec.probe: ",
            "7:22: error[wrong-type]: spec.scrape.interval: ",
            "7:32: error[broken-rule]: spec.scrape.port: ",
            "8:12: error[broken-rule]: spec.probes.liveness: ",
        ],
    );
}

#[test]
fn anchors_and_several_documents_are_read() {
    let text = format!(
        "{}---\n{}",
        with("probes:\n  liveness: &same {httpGet: {path: /x}, periodSeconds: 20}\n  readiness: *same"),
        GOOD.replace("claude-api", "b")
    );
    accepted(&text);
    refused(
        &text.replace("periodSeconds: 20", "periodSeconds: 0"),
        &["7:53: error[invalid-value]: spec.probes.liveness.periodSeconds: ", "7:53: error[invalid-value]: spec.probes.readiness.periodSeconds: "],
    );
}

#[test]
fn an_empty_file_and_another_resource_are_refused() {
    refused("", &["1:1: error[no-resource]: the file holds no resource. Write at least apiVersion: "]);
    refused("# nothing\n---\n", &["1:1: error[no-resource]: "]);
    refused("apiVersion: v1\nkind: ConfigMap\n", &["2:7: error[wrong-kind]: kind: \"ConfigMap\" of \"v1\" is not an ObservedService. "]);
    accepted(&format!("apiVersion: v1\nkind: ConfigMap\n---\n{GOOD}"));
}

#[test]
fn a_directory_of_other_resources_only_is_refused_and_a_mixed_one_is_not() {
    let other = "apiVersion: v1\nkind: ConfigMap\n";
    let files = directory(&[("a.yaml", other), ("b.json", "{}"), ("c.txt", "no: [yaml")]);
    let done = observed(&["lint", "-f", files.path().to_str().unwrap()], "");
    assert_eq!(done.status, 1, "{done:?}");
    let files = directory(&[("a.yaml", other), ("b.yml", GOOD), ("c.txt", "no: [yaml"), (".hidden.yaml", "no: [yaml")]);
    let done = observed(&["lint", "-f", files.path().to_str().unwrap()], "");
    assert_eq!((done.status, done.out.as_str()), (0, ""));
    let files = directory(&[("c.txt", "")]);
    let done = observed(&["lint", "-f", files.path().to_str().unwrap()], "");
    assert_eq!(done.status, 2);
    assert!(done.err.contains("holds no file that ends in .yaml, .yml or .json"), "{done:?}");
}

#[test]
fn wrong_usage_and_what_cannot_be_read_end_with_2() {
    for arguments in [
        &["render"][..],
        &["render", "-f", "/nowhere/at/all.yaml"],
        &["lint", "-f", "/nowhere/at/all.yaml"],
        &["lint", "-f", "-", "-f", "-"],
        &["render", "-f", "-", "--only", "elephant"],
        &["render", "-f", "-", "-o", "xml"],
        &["conjure"],
        &["completions", "basic"],
    ] {
        let done = observed(arguments, GOOD);
        assert_eq!((done.status, done.out.as_str()), (2, ""), "{arguments:?}: {done:?}");
        assert!(done.err.starts_with("error: "), "{arguments:?}: {done:?}");
    }
    let done = observed(&["lint", "-f", "/nowhere/at/all.yaml"], "");
    assert_eq!(done.err, "error: cannot read /nowhere/at/all.yaml: No such file or directory (os error 2)\n");
    let files = directory(&[]);
    let latin1 = files.path().join("latin1.yaml");
    fs::write(&latin1, b"a: \xe4\n").unwrap();
    assert_eq!(observed(&["lint", "-f", latin1.to_str().unwrap()], "").status, 2);
}

#[test]
fn findings_are_there_for_programs_too() {
    let done = observed(&["lint", "-o", "json", "-f", "-"], &with("scrape: {intervall: 15s}"));
    assert_eq!(done.status, 1);
    let value: Value = serde_json::from_str(&done.out).unwrap();
    let finding = &value["findings"][0];
    assert_eq!(
        (&finding["file"], &finding["line"], &finding["column"], &finding["severity"], &finding["code"], &finding["path"]),
        (&"standard input".into(), &6.into(), &12.into(), &"error".into(), &"unknown-field".into(), &"spec.scrape.intervall".into())
    );
    let done = observed(&["lint", "-o", "json", "-f", "-"], GOOD);
    assert_eq!((done.status, serde_json::from_str::<Value>(&done.out).unwrap()), (0, serde_json::json!({"findings": []})));
}

/// A double-quoted YAML text that means this.
fn quoted(text: &str) -> String {
    let escaped = text.chars().map(|c| match c {
        '"' | '\\' => format!("\\{c}"),
        c if c.is_control() => format!("\\x{:02x}", u32::from(c)),
        c => c.to_string(),
    });
    format!("\"{}\"", escaped.collect::<String>())
}

#[test]
fn hostile_text_in_any_field_is_refused_or_only_text() {
    let fields = [
        "targetRef: {name: X}",
        "targetRef: {name: claude-api, container: X}",
        "probes: {liveness: {httpGet: {path: X}}}",
        "probes: {liveness: {httpGet: {path: /, port: X}}}",
        "probes: {startup: {within: X}}",
        "probes: {mode: X}",
        "scrape: {port: X}",
        "scrape: {path: X}",
        "scrape: {interval: X}",
        "scrape: {limits: {bodySize: X}}",
        "signals: {packs: [X]}",
        "signals: {window: X}",
        "signals: {rename: {X: a}}",
        "signals: {rename: {http_requests_total: X}}",
        "signals: {alerts: {X: {above: \"1\"}}}",
        "signals: {alerts: {HighErrorRate: {because: X}}}",
        "signals: {alerts: {HighErrorRate: {above: X}}}",
        "signals: {alerts: {HighErrorRate: {for: X}}}",
        "dashboards: {folder: X}",
        "dashboards: {labels: {X: a}}",
        "dashboards: {labels: {a: X}}",
        "runbooks: {baseURL: X}",
    ];
    let hostile = ["\"", "a\nb: c", "{{ .Values.x }}", "}}", "`id`", "\u{1b}[31mred", "\u{7}\0", "🦀", "$(id)", "' or 1=1 --", "../../etc"];
    for field in fields {
        let base = if field.starts_with("targetRef") { GOOD.replace("  targetRef: {name: claude-api}\n", "") } else { GOOD.to_owned() };
        for text in hostile {
            let text = format!("{base}  {}\n", field.replace('X', &quoted(text)));
            let done = observed(&["render", "-f", "-"], &text);
            assert!([0, 1].contains(&done.status), "{text}: {done:?}");
            assert!(!done.err.chars().any(|c| c.is_control() && c != '\n'), "{text}: {done:?}");
            if done.status == 1 {
                assert_eq!(done.out, "", "{text}");
                continue;
            }
            // What is printed is YAML, and none of it comes from the text but as a text.
            for document in serde_yaml::Deserializer::from_str(&done.out) {
                let object: Value = serde::Deserialize::deserialize(document).unwrap();
                assert!(object.get("b").is_none() && object["metadata"]["namespace"] == "prod", "{text}: {object}");
            }
        }
    }
}

#[test]
fn metadata_that_is_hostile_is_refused() {
    for text in ["\"", "a\nb", "{{x}}", "🦀", "\u{1b}[31m"] {
        let name = GOOD.replace("name: claude-api, ", &format!("name: {}, ", quoted(text)));
        assert_eq!(observed(&["render", "-f", "-"], &name).status, 1, "{name}");
        let namespace = GOOD.replace("namespace: prod", &format!("namespace: {}", quoted(text)));
        assert_eq!(observed(&["render", "-f", "-"], &namespace).status, 1, "{namespace}");
    }
}

#[test]
fn the_namespace_can_be_given_and_must_not_differ() {
    let without = GOOD.replace(", namespace: prod", "");
    assert_eq!(observed(&["lint", "-n", "shop", "-f", "-"], &without).status, 0);
    let done = observed(&["lint", "-n", "shop", "-f", "-"], GOOD);
    assert_eq!(done.status, 1);
    assert!(done.out.contains("3:41: error[invalid-value]: metadata.namespace: "), "{done:?}");
}

#[test]
fn a_reader_that_has_enough_ends_the_program_quietly() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_observed"))
        .arg("manifests")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let done = child.wait_with_output().unwrap();
    assert_eq!((done.status.code(), String::from_utf8(done.stderr).unwrap().as_str()), (Some(0), ""));
}

#[test]
fn everything_that_is_printed_as_yaml_is_read_alike_by_a_second_parser() {
    for arguments in [&["crds"][..], &["rbac"], &["rbac", "--watch-namespace", "prod"], &["manifests"], &["render", "-f", "-"]] {
        let done = observed(arguments, GOOD);
        assert_eq!(done.status, 0, "{done:?}");
        let ours: Vec<Value> = observed_core::yaml::parse(&done.out).documents.iter().map(observed_core::yaml::Node::to_json).collect();
        let theirs: Vec<Value> = serde_yaml::Deserializer::from_str(&done.out)
            .map(|document| serde::Deserialize::deserialize(document).unwrap())
            .filter(|document: &Value| !document.is_null())
            .collect();
        assert_eq!(ours, theirs, "{arguments:?}");
    }
}

#[test]
fn nothing_is_coloured_where_nobody_looks() {
    for arguments in [&["--help"][..], &["lint", "-f", "-"], &["version"], &["render", "--help"]] {
        let done = observed(arguments, "a: [");
        assert!(!format!("{}{}", done.out, done.err).contains('\u{1b}'), "{arguments:?}");
    }
}

#[test]
fn version_and_completions_are_there() {
    let version = observed(&["version", "-o", "json"], "");
    let value: Value = serde_json::from_str(&version.out).unwrap();
    assert_eq!(value["version"], env!("CARGO_PKG_VERSION"));
    assert!(observed(&["version"], "").out.starts_with("observed "));
    for shell in ["bash", "zsh", "fish"] {
        assert!(observed(&["completions", shell], "").out.contains("render"), "{shell}");
    }
}
