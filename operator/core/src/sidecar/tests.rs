use serde_json::json;

use super::*;

/// As the chart of Grafana makes it.
fn grafana(env: &[(&str, &str)]) -> Value {
    let env: Vec<Value> = env
        .iter()
        .map(|(name, value)| json!({"name": name, "value": value}))
        .collect();
    json!({"metadata": {"namespace": "monitoring", "name": "grafana"}, "spec": {"template": {"spec": {"containers": [
        {"name": "grafana-sc-dashboard", "image": "quay.io/kiwigrid/k8s-sidecar:2.5.0", "env": env},
        {"name": "grafana-sc-datasources", "image": "quay.io/kiwigrid/k8s-sidecar:2.5.0",
            "env": [{"name": "LABEL", "value": "grafana_datasource"}, {"name": "FOLDER", "value": "/etc/grafana/provisioning/datasources"}]},
        {"name": "grafana", "image": "grafana/grafana:13.1.3"},
    ]}}}})
}

const USUAL: [(&str, &str); 6] = [
    ("METHOD", "WATCH"),
    ("LABEL", "grafana_dashboard"),
    ("LABEL_VALUE", "1"),
    ("FOLDER", "/tmp/dashboards"),
    ("RESOURCE", "both"),
    ("NAMESPACE", "ALL"),
];

fn with(changes: &[(&str, &str)]) -> Sidecars {
    let mut env: BTreeMap<&str, &str> = USUAL.into();
    env.extend(changes.iter().copied());
    let env: Vec<_> = env.into_iter().collect();
    Sidecars {
        found: read("Deployment", &grafana(&env)),
        unseen: None,
    }
}

fn file() -> DashboardFile {
    DashboardFile {
        name: "api-dashboard".into(),
        labels: [("grafana_dashboard".to_owned(), "1".to_owned())].into(),
        key: "prod.api.json".into(),
        uid: "abc".into(),
        title: "prod / api".into(),
        ..DashboardFile::default()
    }
}

fn other(uid: &str, title: &str, key: &str) -> Shown {
    Shown {
        namespace: "dev".into(),
        name: "copy".into(),
        key: key.into(),
        uid: Some(uid.into()),
        title: Some(title.into()),
        ..Shown::default()
    }
}

#[test]
fn a_sidecar_that_looks_for_the_label_everywhere_loads_it() {
    let sidecars = with(&[]);
    assert_eq!(sidecars.found.len(), 1, "that of the data sources is another one");
    let (truth, reason, message) = judge(&sidecars, "prod", &file());
    assert_eq!((truth, reason), (Truth::True, Reason::Loaded), "{message}");
    assert!(
        message.contains("Deployment monitoring/grafana") && message.contains("grafana_dashboard=1 in all namespaces")
    );
}

#[test]
fn what_keeps_a_sidecar_from_loading_it_is_told_with_what_mends_it() {
    for (changes, words, fix) in [
        (
            &[("LABEL_VALUE", "true")][..],
            "looks for grafana_dashboard=true, and it has grafana_dashboard=1",
            "{grafana_dashboard: \"true\"}",
        ),
        (
            &[("LABEL", "dashboards"), ("LABEL_VALUE", "yes")],
            "looks for the label dashboards=yes",
            "{dashboards: \"yes\"}",
        ),
        (
            &[("LABEL", "dashboards"), ("LABEL_VALUE", "")],
            "looks for the label dashboards.",
            "{dashboards: \"1\"}",
        ),
        (
            &[("NAMESPACE", "monitoring, ops")],
            "looks only into monitoring, ops",
            "searchNamespace",
        ),
        (&[("NAMESPACE", "")], "looks only into monitoring", "searchNamespace"),
    ] {
        let (truth, reason, message) = judge(&with(changes), "prod", &file());
        assert_eq!((truth, reason), (Truth::False, Reason::NotSelected), "{message}");
        assert!(message.contains(words) && message.contains(fix), "{message}");
    }
}

#[test]
fn one_of_several_grafanas_is_enough() {
    let mut sidecars = with(&[("LABEL_VALUE", "true")]);
    sidecars.found.extend(with(&[]).found);
    assert_eq!(judge(&sidecars, "prod", &file()).0, Truth::True);
}

#[test]
fn where_nobody_is_found_or_not_everything_is_seen_nothing_is_said_to_be_broken() {
    let (truth, reason, message) = judge(&Sidecars::default(), "prod", &file());
    assert_eq!((truth, reason), (Truth::Unknown, Reason::NoGrafana));
    assert!(message.contains("--grafana-url"), "{message}");
    // One that loads Secrets only is none.
    assert_eq!(
        judge(&with(&[("RESOURCE", "secret")]), "prod", &file()).1,
        Reason::NoGrafana
    );
    let unseen = Some("the operator may look into namespace \"prod\" alone".to_owned());
    let (truth, reason, message) = judge(
        &Sidecars {
            unseen: unseen.clone(),
            ..Sidecars::default()
        },
        "prod",
        &file(),
    );
    assert_eq!((truth, reason), (Truth::Unknown, Reason::NoGrafana));
    assert!(message.contains("alone"), "{message}");
    let (truth, reason, _) = judge(
        &Sidecars {
            unseen,
            ..with(&[("LABEL", "other")])
        },
        "prod",
        &file(),
    );
    assert_eq!((truth, reason), (Truth::Unknown, Reason::NotSelected));
}

#[test]
fn another_dashboard_with_its_uid_its_title_or_its_file_is_named() {
    for (loaded, same) in [
        (other("abc", "Copy", "copy.json"), Some("uid")),
        (other("x", "prod / api", "copy.json"), Some("title")),
        (other("x", "Copy", "prod.api.json"), Some("key")),
        (other("abc", "prod / api", "copy.json"), Some("uid and title")),
        (other("x", "Copy", "copy.json"), None),
        (
            Shown {
                folder: "Team".into(),
                ..other("x", "prod / api", "prod.api.json")
            },
            None,
        ),
        (
            Shown {
                namespace: "prod".into(),
                name: "api-dashboard".into(),
                ..other("abc", "prod / api", "prod.api.json")
            },
            None,
        ),
    ] {
        let mut sidecars = with(&[("FOLDER_ANNOTATION", "folder")]);
        sidecars.found[0].loads.push(loaded.clone());
        let (truth, reason, message) = judge(&sidecars, "prod", &file());
        match same {
            Some(same) => {
                assert_eq!((truth, reason), (Truth::False, Reason::DashboardTaken), "{loaded:?}");
                assert!(
                    message.contains(&format!("the same {same}: ")) && message.contains("dev/copy"),
                    "{message}"
                );
            }
            None => assert_eq!(truth, Truth::True, "{message}"),
        }
    }
    // Where files are named after the ConfigMap too, the key is free.
    let mut sidecars = with(&[("UNIQUE_FILENAMES", "True")]);
    sidecars.found[0].loads.push(other("x", "Copy", "prod.api.json"));
    assert_eq!(judge(&sidecars, "prod", &file()).0, Truth::True);
}
