use super::*;

#[test]
fn drills_are_written_for_a_pipeline_that_runs_them() {
    let two = format!("{GOOD}---\n{}", GOOD.replace("name: claude-api", "name: other"));
    let files = directory(&[]);
    let out = files.path().join("new/drills");
    let written = || observed(&["drill", "-f", "-", "--out", out.to_str().unwrap()], &two);
    let done = written();
    assert_eq!((done.status, done.out.as_str()), (0, ""), "{done:?}");
    let names = || {
        let mut names: Vec<_> = fs::read_dir(&out)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    };
    let expected = [
        "prod.claude-api-drills-slow.yaml",
        "prod.claude-api-drills.yaml",
        "prod.claude-api-rules.yaml",
        "prod.other-drills-slow.yaml",
        "prod.other-drills.yaml",
        "prod.other-rules.yaml",
    ];
    assert_eq!(names(), expected);
    let drills = fs::read_to_string(out.join(expected[1])).unwrap();
    assert!(drills.contains("prod.claude-api-rules.yaml") && drills.contains("HighErrorRate fires: "));
    // Twice is as good as once, and leaves nothing beside them.
    assert_eq!(written().status, 0);
    assert_eq!(names(), expected);
    assert_eq!(fs::read_to_string(out.join(expected[1])).unwrap(), drills);
}

#[test]
fn nothing_is_written_for_what_has_findings() {
    let files = directory(&[]);
    let out = files.path().join("drills");
    let done = observed(
        &["drill", "-f", "-", "--out", out.to_str().unwrap()],
        &with("scrape: {intervall: 15s}"),
    );
    assert_eq!(done.status, 1);
    assert!(done.err.contains("spec.scrape.intervall") && !out.exists(), "{done:?}");
}

#[test]
fn who_has_no_promtool_is_told_where_it_comes_from() {
    let done = observed(&["drill", "-f", "-", "--promtool", "/nowhere/promtool"], GOOD);
    assert_eq!((done.status, done.out.as_str()), (2, ""));
    for part in ["/nowhere/promtool", "go install", "--promtool", "--out"] {
        assert!(done.err.contains(part), "{done:?}");
    }
    let old = directory(&[(
        "promtool",
        "#!/bin/sh\necho \"promtool: error: unknown long flag '--junit'\" >&2; exit 1\n",
    )]);
    let old = old.path().join("promtool");
    fs::set_permissions(&old, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let done = observed(&["drill", "-f", "-", "--promtool", old.to_str().unwrap()], GOOD);
    assert!(
        done.status == 2 && done.err.contains("older than Prometheus 3"),
        "{done:?}"
    );
}
