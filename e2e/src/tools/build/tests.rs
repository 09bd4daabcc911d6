use super::*;

#[test]
fn a_family_is_built_again_when_anything_it_is_made_of_changes() {
    let first = key_of(&[("go.mod", "module a")], "-s", None, "go1.26.8");
    assert_eq!(first, key_of(&[("go.mod", "module a")], "-s", None, "go1.26.8"));
    let others = [
        key_of(&[("go.mod", "module b")], "-s", None, "go1.26.8"),
        key_of(&[("go.sum", "module a")], "-s", None, "go1.26.8"),
        key_of(&[("go.mod", "module a")], "-w", None, "go1.26.8"),
        key_of(&[("go.mod", "module a")], "-s", None, "go1.26.9"),
        key_of(&[("go.mod", "module a"), ("go.sum", "")], "-s", None, "go1.26.8"),
        key_of(&[("go.mod", "module a")], "-s", Some("netgo"), "go1.26.8"),
    ];
    assert!(others.iter().all(|other| *other != first), "{others:?} against {first}");
}

#[test]
fn only_an_earlier_state_of_a_family_that_is_listed_is_superseded() {
    let workshop = Workshop {
        root: "/cache/tools".into(),
        go_caches: "/cache/go".into(),
        keys: [(Family::PostgresExporter, "new".to_owned())].into(),
    };
    for (directory, expected) in [
        ("postgres-exporter-old", true),
        ("postgres-exporter-new", false),
        ("postgres-old", false),
        ("somebody-elses-old", false),
        ("lost+found", false),
    ] {
        assert_eq!(
            workshop.is_superseded(&workshop.root.join(directory)),
            expected,
            "{directory}"
        );
    }
}

#[test]
fn a_build_that_fails_names_its_log_and_leaves_nothing_that_looks_built() {
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("pause.log");
    let mut command = Command::new("sh");
    command.args(["-c", "echo the reason; exit 3"]);
    let error = run(command, &log, Tool::Pause).unwrap_err().to_string();
    assert!(error.contains("pause.log") && error.contains("the reason"), "{error}");

    let mut command = Command::new("sh");
    command.args(["-c", "echo fine"]);
    run(command, &log, Tool::Pause).unwrap();
}

#[test]
fn small_programs_are_built_once_and_found_again() {
    let directory = tempfile::tempdir().unwrap();
    let cache = Cache::at(directory.path()).unwrap();
    let paths = ensure(&cache, &[Tool::Pause], &Progress::silent()).unwrap();
    let built = fs::metadata(&paths[&Tool::Pause]).unwrap().modified().unwrap();
    let again = ensure(&cache, &[Tool::Pause], &Progress::silent()).unwrap();
    assert_eq!(
        fs::metadata(&again[&Tool::Pause]).unwrap().modified().unwrap(),
        built,
        "it was built twice"
    );

    fs::remove_file(&again[&Tool::Pause]).unwrap();
    let third = ensure(&cache, &[Tool::Pause], &Progress::silent()).unwrap();
    assert_ne!(
        fs::metadata(&third[&Tool::Pause]).unwrap().modified().unwrap(),
        built,
        "it was not built again"
    );
}
