//! The demo's command line, without a cluster.

// Clippy knows only functions with `#[test]` as tests, and not what they share.
#![allow(clippy::unwrap_used)]

use std::process::{Command, Output};

fn demo(arguments: &[&str]) -> (Option<i32>, String) {
    let Output { status, stdout, stderr } = Command::new(env!("CARGO_BIN_EXE_demo"))
        .args(arguments)
        .output()
        .unwrap();
    let text = [stdout, stderr].concat();
    (status.code(), String::from_utf8_lossy(&text).into_owned())
}

#[test]
fn wrong_usage_is_told_at_once_and_has_a_status_of_its_own() {
    for (arguments, told) in [
        (["--image", "a"], "--kubeconfig"),
        (["--chapter", "fire"], "errors, panics, slow"),
    ] {
        let (code, text) = demo(&arguments);
        assert_eq!(code, Some(2), "{text}");
        assert!(text.contains(told), "{text}");
    }
}

#[test]
fn its_help_says_what_each_option_does() {
    let (code, text) = demo(&["--help"]);
    assert_eq!(code, Some(0), "{text}");
    for word in [
        "--keep",
        "--chapter",
        "panics",
        "--kubeconfig",
        "--image",
        "--sample-image",
        "--save-images",
        "Exit status",
    ] {
        assert!(text.contains(word), "{word}: {text}");
    }
}

#[test]
fn a_kubeconfig_that_does_not_exist_is_told_before_anything_is_done() {
    let (code, text) = demo(&["--kubeconfig", "/nowhere/kubeconfig"]);
    assert_eq!(code, Some(2), "{text}");
    assert!(
        text.contains("/nowhere/kubeconfig") && text.contains("cannot be read"),
        "{text}"
    );
    assert!(!text.contains("promises"), "{text}");
}
