//! What is wrong with a file, and what is answered.

use super::{GOOD, accepted, directory, observed, refused, with};

#[test]
fn an_unknown_field_is_answered_with_the_nearest_name() {
    refused(
        &with("scrape: {intervall: 15s}"),
        &[
            "6:12: error[unknown-field]: spec.scrape.intervall: there is no field \"intervall\". Did you mean \"interval\"? ",
        ],
    );
    accepted(&with("scrape: {interval: 15s}"));
}

#[test]
fn a_wrong_type_is_answered_with_the_right_one() {
    refused(
        &with("scrape: {interval: 15}"),
        &["6:22: error[wrong-type]: spec.scrape.interval: the number 15 is not a text. Write it in quotes"],
    );
    refused(
        &with("probes: []"),
        &["6:11: error[wrong-type]: spec.probes: a list is not a map of fields. "],
    );
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
    let facts =
        "target: {kind: Deployment, name: claude-api, replicas: 1, selector: {matchLabels: {a: b}}, podLabels: {a: b},
  containers: [{name: api, ports: [{name: http, port: 8080}, {name: admin, port: 9090}]}]}\n";
    let files = directory(&[
        ("facts.yaml", facts),
        ("wrong.yaml", &with("scrape: {port: htp}")),
        ("right.yaml", &with("scrape: {port: http}")),
    ]);
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
    assert!(
        done.err
            .contains("5:21: error[target-not-found]: spec.targetRef.name: there is no Deployment \"claude-api\""),
        "{done:?}"
    );
}

#[test]
fn facts_that_cannot_be_used_are_wrong_usage() {
    let files = directory(&[
        ("unknown.yaml", "servd: []\n"),
        ("other.yaml", "name: other\n"),
        ("good.yaml", "name: claude-api\n"),
    ]);
    let with = |name: &str, text: &str| {
        observed(
            &[
                "render",
                "-f",
                "-",
                "--facts",
                files.path().join(name).to_str().unwrap(),
            ],
            text,
        )
    };
    let unknown = with("unknown.yaml", GOOD);
    assert_eq!(unknown.status, 2);
    assert!(
        unknown.err.contains("does not hold facts: ") && unknown.err.contains("servd"),
        "{unknown:?}"
    );
    let other = with("other.yaml", GOOD);
    assert_eq!(
        (other.status, other.err.as_str()),
        (
            2,
            "error: the facts are about \"other\", and \"claude-api\" was given\n"
        )
    );
    let two = format!("{GOOD}---\n{}", GOOD.replace("claude-api", "b"));
    assert_eq!(with("good.yaml", &two).status, 2);
    assert_eq!(with("missing.yaml", GOOD).status, 2);
    assert_eq!(with("good.yaml", GOOD).status, 1);
}

#[test]
fn a_name_that_leaves_no_room_for_its_children_is_refused() {
    let named = |length| GOOD.replace("name: claude-api, ", &format!("name: {}, ", "a".repeat(length)));
    refused(
        &named(63),
        &["3:18: error[broken-rule]: metadata.name: at most 52 characters"],
    );
    refused(
        &named(53),
        &["3:18: error[broken-rule]: metadata.name: at most 52 characters"],
    );
    accepted(&named(52));
}

#[test]
fn two_services_for_one_target_are_found_across_files() {
    let second = GOOD.replace("{name: claude-api, ", "{name: second, ");
    let files = directory(&[("a.yaml", GOOD), ("deeper/b.yaml", &second)]);
    let done = observed(&["lint", "-f", files.path().to_str().unwrap()], "");
    assert_eq!(done.status, 1);
    assert!(
        done.out
            .contains("deeper/b.yaml:5:21: error[target-taken]: spec.targetRef.name: "),
        "{done:?}"
    );
    let elsewhere = second.replace("namespace: prod", "namespace: test");
    let files = directory(&[("a.yaml", GOOD), ("deeper/b.yaml", &elsewhere)]);
    assert_eq!(observed(&["lint", "-f", files.path().to_str().unwrap()], "").status, 0);
}

#[test]
fn all_findings_come_at_once() {
    refused(
        &with(
            "probe: {}\nscrape: {interval: 15, port: HTTP}\nprobes: {liveness: {periodSeconds: 1, timeoutSeconds: 2}}",
        ),
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
        with("probes:\n  liveness: &same {periodSeconds: 20}\n  readiness: *same"),
        GOOD.replace("claude-api", "b")
    );
    accepted(&text);
    refused(
        &text.replace("periodSeconds: 20", "periodSeconds: 0"),
        &[
            "7:37: error[invalid-value]: spec.probes.liveness.periodSeconds: ",
            "7:37: error[invalid-value]: spec.probes.readiness.periodSeconds: ",
        ],
    );
}

#[test]
fn an_empty_file_and_another_resource_are_refused() {
    refused(
        "",
        &["1:1: error[no-resource]: the file holds no resource. Write at least apiVersion: "],
    );
    refused("# nothing\n---\n", &["1:1: error[no-resource]: "]);
    refused(
        "apiVersion: v1\nkind: ConfigMap\n",
        &["2:7: error[wrong-kind]: kind: \"ConfigMap\" of \"v1\" is not an ObservedService. "],
    );
    accepted(&format!("apiVersion: v1\nkind: ConfigMap\n---\n{GOOD}"));
}

#[test]
fn a_directory_of_other_resources_only_is_refused_and_a_mixed_one_is_not() {
    let other = "apiVersion: v1\nkind: ConfigMap\n";
    let files = directory(&[("a.yaml", other), ("b.json", "{}"), ("c.txt", "no: [yaml")]);
    let done = observed(&["lint", "-f", files.path().to_str().unwrap()], "");
    assert_eq!(done.status, 1, "{done:?}");
    let files = directory(&[
        ("a.yaml", other),
        ("b.yml", GOOD),
        ("c.txt", "no: [yaml"),
        (".hidden.yaml", "no: [yaml"),
    ]);
    let done = observed(&["lint", "-f", files.path().to_str().unwrap()], "");
    assert_eq!((done.status, done.out.as_str()), (0, ""));
    let files = directory(&[("c.txt", "")]);
    let done = observed(&["lint", "-f", files.path().to_str().unwrap()], "");
    assert_eq!(done.status, 2);
    assert!(
        done.err.contains("holds no file that ends in .yaml, .yml or .json"),
        "{done:?}"
    );
}

#[test]
fn the_namespace_can_be_given_and_must_not_differ() {
    let without = GOOD.replace(", namespace: prod", "");
    assert_eq!(observed(&["lint", "-n", "shop", "-f", "-"], &without).status, 0);
    let done = observed(&["lint", "-n", "shop", "-f", "-"], GOOD);
    assert_eq!(done.status, 1);
    assert!(
        done.out.contains("3:41: error[invalid-value]: metadata.namespace: "),
        "{done:?}"
    );
}
