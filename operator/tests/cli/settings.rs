//! The file of the operator's settings.

use super::{directory, observed};

#[test]
fn a_file_of_settings_that_makes_no_sense_keeps_the_operator_from_starting_and_a_good_one_does_not() {
    let files = directory(&[
        ("wrong.yaml", "resnyc: 60s\nlog: xml\n"),
        ("right.yaml", "resync: 60s\nlog: json\n"),
    ]);
    let path = |name: &str| files.path().join(name).to_str().unwrap().to_owned();
    let done = observed(&["run", "--config", &path("wrong.yaml")], "");
    assert_eq!(done.status, 2, "{done:?}");
    for expected in [
        "wrong.yaml:1:1: error[unknown-field]: resnyc: there is no such setting. Did you mean \"resync\"?\n",
        "wrong.yaml:2:6: error[invalid-value]: log: \"xml\" is no value of it. There are: text, json\n",
    ] {
        assert!(done.err.contains(expected), "{done:?}");
    }
    let done = observed(&["run", "--config", &path("none.yaml")], "");
    assert_eq!(done.status, 2, "{done:?}");
    assert!(done.err.starts_with("error: cannot read the settings in "), "{done:?}");
    // The twin. It is asked for help, so that it does not look for a cluster.
    let done = observed(&["run", "--config", &path("right.yaml"), "--help"], "");
    assert_eq!(done.status, 0, "{done:?}");
}
