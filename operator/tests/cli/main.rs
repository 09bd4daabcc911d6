//! The program as its users meet it, and misuse it. Each misuse has a twin that passes.

// Clippy knows only functions with `#[test]` as tests, and not what they share.
#![allow(clippy::unwrap_used, clippy::panic)]

mod diff;
mod doctor;
mod drill;
mod findings;
mod hostile;
mod render;
mod settings;

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
    format!(
        "{GOOD}{}",
        spec.lines().map(|line| format!("  {line}\n")).collect::<String>()
    )
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
    assert_eq!(
        (render.status, render.out.as_str(), render.err.as_str()),
        (1, "", lint.out.as_str())
    );
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
    assert_eq!(
        done.err,
        "error: cannot read /nowhere/at/all.yaml: No such file or directory (os error 2)\n"
    );
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
        (
            &finding["file"],
            &finding["line"],
            &finding["column"],
            &finding["severity"],
            &finding["code"],
            &finding["path"]
        ),
        (
            &"standard input".into(),
            &6.into(),
            &12.into(),
            &"error".into(),
            &"unknown-field".into(),
            &"spec.scrape.intervall".into()
        )
    );
    let done = observed(&["lint", "-o", "json", "-f", "-"], GOOD);
    assert_eq!(
        (done.status, serde_json::from_str::<Value>(&done.out).unwrap()),
        (0, serde_json::json!({"findings": []}))
    );
}

#[test]
fn a_reader_that_has_enough_ends_the_program_quietly() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_observed"))
        .arg("crds")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let done = child.wait_with_output().unwrap();
    assert_eq!(
        (done.status.code(), String::from_utf8(done.stderr).unwrap().as_str()),
        (Some(0), "")
    );
}

#[test]
fn everything_that_is_printed_as_yaml_is_read_alike_by_a_second_parser() {
    for arguments in [
        &["crds"][..],
        &["rbac"],
        &["rbac", "--watch-namespace", "prod"],
        &["render", "-f", "-"],
    ] {
        let done = observed(arguments, GOOD);
        assert_eq!(done.status, 0, "{done:?}");
        let ours: Vec<Value> = observed_core::yaml::parse(&done.out)
            .documents
            .iter()
            .map(observed_core::yaml::Node::to_json)
            .collect();
        let theirs: Vec<Value> = serde_yaml::Deserializer::from_str(&done.out)
            .map(|document| serde::Deserialize::deserialize(document).unwrap())
            .filter(|document: &Value| !document.is_null())
            .collect();
        assert_eq!(ours, theirs, "{arguments:?}");
    }
}

#[test]
fn nothing_is_coloured_where_nobody_looks() {
    for arguments in [
        &["--help"][..],
        &["lint", "-f", "-"],
        &["version"],
        &["render", "--help"],
    ] {
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
