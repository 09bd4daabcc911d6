//! What is rendered is what the program says of itself: rights, settings, and no more than a restricted pod may.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::helm::{chart, chart_with, checkout, helm, objects, observed, only, render};

/// Rights without the labels of who installs them.
pub fn rights(objects: Vec<Value>) -> BTreeMap<String, Value> {
    let kinds = [
        "ServiceAccount",
        "Role",
        "RoleBinding",
        "ClusterRole",
        "ClusterRoleBinding",
    ];
    let rights = objects
        .into_iter()
        .filter(|object| kinds.contains(&object["kind"].as_str().unwrap()));
    let named = rights.map(|mut object| {
        let metadata = object["metadata"].as_object_mut().unwrap();
        let labels = metadata.remove("labels").unwrap();
        let aggregated: Vec<_> = labels
            .as_object()
            .unwrap()
            .keys()
            .filter(|key| key.contains("aggregate"))
            .collect();
        let name = format!("{} {} {aggregated:?}", object["kind"], object["metadata"]);
        (name, object)
    });
    named.collect()
}

#[tokio::test]
async fn the_rights_in_every_mode_are_those_of_the_program() {
    let everywhere = rights(render(&chart(), &[]).await.unwrap());
    assert_eq!(everywhere, rights(objects(&observed(&["rbac"]).await)));

    let options = ["--set", "watchNamespace=prod,rbac.userRoles=false"];
    let in_one = rights(render(&chart(), &options).await.unwrap());
    let of_program = observed(&["rbac", "--watch-namespace", "prod"]).await;
    assert_eq!(in_one, rights(objects(&of_program)));
    assert_ne!(in_one, everywhere);

    let guarded = render(&chart(), &["--set", "metrics.secure=true"]).await.unwrap();
    let of_program = observed(&["rbac", "--secure-metrics"]).await;
    assert_eq!(rights(guarded), rights(objects(&of_program)));
    let options = [&options[..], &["--set", "metrics.secure=true"]].concat();
    let guarded = render(&chart(), &options).await.unwrap();
    let of_program = observed(&["rbac", "--watch-namespace", "prod", "--secure-metrics"]).await;
    assert_eq!(rights(guarded), rights(objects(&of_program)));

    let none = rights(render(&chart(), &["--set", "rbac.create=false"]).await.unwrap());
    assert_eq!(none.len(), 1, "only the ServiceAccount: {none:?}");
}

#[tokio::test]
async fn a_right_more_or_less_would_be_noticed() {
    let of_program = rights(objects(&observed(&["rbac"]).await));
    for (from, to) in [("- prometheuses\n", "- secrets\n"), ("- patch\n", "- update\n")] {
        let other = chart_with("files/rbac.yaml", from, to);
        assert_ne!(rights(render(other.path(), &[]).await.unwrap()), of_program, "{from}");
    }
}

/// The names of settings in a help text: `[env: OBSERVED_LOG=]`, `[env: OBSERVED_GRAFANA_HEADER]`.
fn settings(help: &str) -> BTreeSet<String> {
    let names = help
        .split("[env: ")
        .skip(1)
        .filter_map(|rest| rest.split(['=', ']']).next());
    names.map(str::to_owned).collect()
}

fn environment(deployment: &Value) -> BTreeMap<String, String> {
    let all = deployment["spec"]["template"]["spec"]["containers"][0]["env"]
        .as_array()
        .unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    all.iter()
        .map(|entry| (text(&entry["name"]), text(&entry["value"])))
        .collect()
}

#[tokio::test]
async fn every_setting_of_the_operator_can_be_set_and_what_is_set_is_one() {
    let help = observed(&["run", "--help"]).await;
    let mut known = settings(&help);
    // Fixed: the probes and the Service name its port.
    assert!(known.remove("OBSERVED_LISTEN"), "{help}");
    // The chart has a value for each setting.
    assert!(known.remove("OBSERVED_CONFIG"), "{help}");
    known.insert("RUST_LOG".to_owned());
    // Of another Deployment: `super::remediation`.
    assert!(known.remove("OBSERVED_REMEDIATE"), "{help}");

    let all = ["prometheus", "alertmanager", "grafana"]
        .map(|server| {
            format!(
                "{server}.url=http://{server},{server}.tokenSecret.name=a,{server}.basicAuthSecret.name=b,\
                 {server}.caSecret.name=c,{server}.clientCertSecret.name=e,{server}.headers.X-Scope-OrgID=d,"
            )
        })
        .concat()
        + "watchNamespace=prod,dependencyNamespaces={databases,monitoring},log.filter=debug,metrics.secure=true,\
           metrics.certSecret.name=f,traces.otlpEndpoint=http://collector:4318";
    let rendered = render(&chart(), &["--set", &all]).await.unwrap();
    let set: BTreeSet<_> = environment(only(&rendered, "Deployment")).into_keys().collect();
    assert_eq!(set, known);

    let defaults = environment(only(&render(&chart(), &[]).await.unwrap(), "Deployment"));
    for name in [
        "OBSERVED_RESYNC",
        "OBSERVED_CONCURRENCY",
        "OBSERVED_LEASE_NAME",
        "OBSERVED_LEASE_DURATION",
    ] {
        let default = format!("[default: {}]", defaults[name]);
        let (_, rest) = help.split_once(&format!("[env: {name}=]")).unwrap();
        assert!(
            rest.trim_start().starts_with(&default),
            "{name}: {default} is not in {rest}"
        );
    }

    let other = chart_with("templates/_deployment.tpl", "OBSERVED_RESYNC", "OBSERVED_RESYNK");
    let rendered = render(other.path(), &["--set", &all]).await.unwrap();
    let set: BTreeSet<_> = environment(only(&rendered, "Deployment")).into_keys().collect();
    assert_ne!(set, known);
}

#[tokio::test]
async fn the_test_of_a_release_asks_about_that_release_and_is_no_pod_of_the_operator() {
    let options = [
        "--set",
        "fullnameOverride=another,watchNamespace=prod,prometheus.url=https://prometheus:9090,prometheus.headers.X-Scope-OrgID=a,\
         prometheus.clientCertSecret.name=client,prometheus.caSecret.name=ca,alertmanager.url=https://alertmanager",
    ];
    let rendered = render(&chart(), &options).await.unwrap();
    let test = only(&rendered, "Pod");
    assert_eq!(test["metadata"]["annotations"]["helm.sh/hook"], "test");
    let (pod, operator) = (&test["spec"], &only(&rendered, "Deployment")["spec"]);
    let container = &pod["containers"][0];
    let arguments = ["doctor", "--in-cluster", "--namespace", "prod"];
    assert_eq!(container["args"], serde_json::json!(arguments));
    assert_eq!(container["env"][0]["value"], "another");
    assert_eq!(
        container["image"],
        operator["template"]["spec"]["containers"][0]["image"]
    );
    assert_eq!(
        pod["serviceAccountName"],
        operator["template"]["spec"]["serviceAccountName"]
    );
    // It asks by the same addresses, credentials and certificates as the operator.
    let (its, of_operator) = (&container["env"], &operator["template"]["spec"]);
    let servers = |env: &Value| -> Vec<Value> {
        let env = env.as_array().unwrap().iter();
        let is_of_one = |entry: &&Value| {
            let name = entry["name"].as_str().unwrap();
            name.starts_with("OBSERVED_PROMETHEUS_") || name.starts_with("OBSERVED_ALERTMANAGER_")
        };
        env.filter(is_of_one).cloned().collect()
    };
    assert_eq!(servers(its).len(), 6, "{its}");
    assert_eq!(servers(its), servers(&of_operator["containers"][0]["env"]));
    assert_eq!(container["volumeMounts"][0]["mountPath"], "/var/run/secrets/prometheus");
    assert_eq!(container["volumeMounts"], of_operator["containers"][0]["volumeMounts"]);
    assert_eq!(pod["volumes"], of_operator["volumes"]);
    let selected = operator["selector"]["matchLabels"].as_object().unwrap();
    let labels = &test["metadata"]["labels"];
    assert!(
        selected.iter().any(|(label, value)| labels[label] != *value),
        "{labels}"
    );
}

#[tokio::test]
async fn more_than_one_replica_is_spread_and_never_all_evicted() {
    let one = render(&chart(), &[]).await.unwrap();
    let spec = &only(&one, "Deployment")["spec"];
    assert_eq!(spec["replicas"], 1);
    assert!(!one.iter().any(|object| object["kind"] == "PodDisruptionBudget"));
    assert!(spec["template"]["spec"]["topologySpreadConstraints"].is_null());

    let two = render(&chart(), &["--set", "replicas=2"]).await.unwrap();
    let spec = &only(&two, "Deployment")["spec"];
    let labels = &spec["selector"];
    assert_eq!(spec["replicas"], 2);
    let budget = &only(&two, "PodDisruptionBudget")["spec"];
    assert_eq!((&budget["maxUnavailable"], &budget["selector"]), (&1.into(), labels));
    let spread = spec["template"]["spec"]["topologySpreadConstraints"]
        .as_array()
        .unwrap();
    assert!(spread.len() == 2 && spread.iter().all(|over| over["labelSelector"] == *labels));
    // A new one is there before the old one goes: the Lease says which of them writes.
    for objects in [one, two] {
        let strategy = &only(&objects, "Deployment")["spec"]["strategy"];
        assert_eq!(strategy["rollingUpdate"]["maxUnavailable"], 0, "{strategy}");
    }
}

#[tokio::test]
async fn what_watches_the_operator_has_the_names_of_the_release_and_the_labels_of_the_user() {
    let options = [
        "--set",
        "serviceMonitor.enabled=true,serviceMonitor.interval=15s,serviceMonitor.labels.release=prometheus",
        "--set",
        "prometheusRule.enabled=true,prometheusRule.labels.release=prometheus,dashboard.enabled=true",
        "--set-string",
        "fullnameOverride=true",
    ];
    let rendered = render(&chart(), &options).await.unwrap();
    let monitor = only(&rendered, "ServiceMonitor");
    assert_eq!(monitor["spec"]["endpoints"][0]["interval"], "15s");
    assert_eq!(
        monitor["spec"]["selector"]["matchLabels"]["app.kubernetes.io/instance"],
        "observed"
    );
    let rules = only(&rendered, "PrometheusRule");
    for object in [monitor, rules] {
        assert_eq!(object["metadata"]["name"], "true");
        assert_eq!(object["metadata"]["labels"]["release"], "prometheus");
        // Else the operator would take it for its own.
        assert_ne!(object["metadata"]["labels"]["app.kubernetes.io/managed-by"], "observed");
    }
    let text = rules.to_string();
    assert!(
        text.contains(r#"{job=\"true\",namespace=\"observed-system\"}"#),
        "{text}"
    );
    let maps: Vec<_> = rendered.iter().filter(|object| object["kind"] == "ConfigMap").collect();
    let names: Vec<_> = maps
        .iter()
        .map(|map| map["metadata"]["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["true-runbooks", "true-dashboard"]);
    assert_eq!(maps[1]["metadata"]["labels"]["grafana_dashboard"], "1");
    let all = rendered.iter().map(Value::to_string).collect::<String>();
    for place in ["the-namespace", "the-release", "the-dashboard"] {
        assert!(!all.contains(place), "{place}");
    }
    let refused = render(&chart(), &["--set", "prometheusRule.enabled=true"]).await;
    assert!(refused.unwrap_err().contains("needs serviceMonitor.enabled"));
}

#[tokio::test]
async fn what_the_chart_brings_is_what_an_observed_service_for_the_release_would_be_given() {
    let options = "serviceMonitor.enabled=true,prometheusRule.enabled=true,dashboard.enabled=true";
    let rendered = render(&chart(), &["--set", options]).await.unwrap();
    let sample = checkout().join("manifests/samples/observed.yaml");
    let generated = objects(&observed(&["render", "-f", sample.to_str().unwrap()]).await);
    let data = |objects: &[Value], name: &str| {
        let is_it = |object: &&Value| object["kind"] == "ConfigMap" && object["metadata"]["name"] == name;
        objects.iter().find(is_it).unwrap()["data"].clone()
    };
    assert_eq!(
        only(&rendered, "PrometheusRule")["spec"],
        only(&generated, "PrometheusRule")["spec"]
    );
    for name in ["observed-runbooks", "observed-dashboard"] {
        assert_eq!(data(&rendered, name), data(&generated, name), "{name}");
    }
    // The twin: another release has other rules.
    let other = render(&chart(), &["--set", options, "--set", "fullnameOverride=another"])
        .await
        .unwrap();
    assert_ne!(
        only(&other, "PrometheusRule")["spec"],
        only(&generated, "PrometheusRule")["spec"]
    );
}

#[tokio::test]
async fn two_releases_in_one_namespace_have_a_lease_each_and_the_right_to_no_other() {
    let options = ["--set", "fullnameOverride=another,watchNamespace=prod"];
    let rendered = render(&chart(), &options).await.unwrap();
    assert_eq!(
        environment(only(&rendered, "Deployment"))["OBSERVED_LEASE_NAME"],
        "another"
    );
    let is_it = |object: &&Value| object["kind"] == "Role" && object["metadata"]["name"] == "another-lease";
    let role = rendered.iter().find(is_it).unwrap();
    assert_eq!(role["rules"][1]["resourceNames"], serde_json::json!(["another"]));
}

#[tokio::test]
async fn a_digest_wins_over_a_tag_and_a_tag_over_the_version() {
    let digest = format!("sha256:{}", "0123456789abcdef".repeat(4));
    let by_digest = format!("image.repository=r.example.org/o,image.tag=v1,image.digest={digest}");
    for (options, image) in [
        ("image.repository=observed", "observed:0.1.0".to_owned()),
        (
            "image.repository=r.example.org/o,image.tag=v1",
            "r.example.org/o:v1".to_owned(),
        ),
        (by_digest.as_str(), format!("r.example.org/o@{digest}")),
    ] {
        let rendered = render(&chart(), &["--set", options]).await.unwrap();
        let pod = &only(&rendered, "Deployment")["spec"]["template"]["spec"];
        assert_eq!(pod["containers"][0]["image"], *image);
    }
}

#[tokio::test]
async fn the_version_of_the_chart_is_that_of_the_program() {
    let text = std::fs::read_to_string(chart().join("Chart.yaml")).unwrap();
    let (chart, version) = (&objects(&text)[0], env!("CARGO_PKG_VERSION"));
    assert_eq!(
        (&chart["version"], &chart["appVersion"]),
        (&version.into(), &version.into())
    );

    // What Artifact Hub shows is what is installed, and its example is one that lint accepts.
    let annotation =
        |name: &str| objects(chart["annotations"][format!("artifacthub.io/{name}")].as_str().unwrap())[0].clone();
    let shown: BTreeSet<_> = annotation("crds")
        .as_array()
        .unwrap()
        .iter()
        .map(|crd| crd["name"].to_string())
        .collect();
    let installed = objects(&observed(&["crds"]).await);
    assert_eq!(
        shown,
        installed
            .iter()
            .map(|crd| crd["metadata"]["name"].to_string())
            .collect()
    );
    let example = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(example.path(), annotation("crdsExamples")[0].to_string()).unwrap();
    assert_eq!(
        observed(&["lint", "--strict", "-f", example.path().to_str().unwrap()]).await,
        ""
    );
}

#[tokio::test]
async fn after_the_installation_three_commands_are_told() {
    let chart = chart();
    let told = async |options: &[&str]| {
        let arguments = [
            &[
                "install",
                "o",
                chart.to_str().unwrap(),
                "-n",
                "home",
                "--dry-run=client",
            ],
            options,
        ]
        .concat();
        helm(&arguments)
            .await
            .unwrap()
            .split_once("NOTES:")
            .unwrap()
            .1
            .to_owned()
    };
    let notes = told(&[]).await;
    for words in [
        "kubectl -n home rollout status deployment/o-observed",
        "kubectl apply -f - <<EOF",
        "kubectl get observedservices -A",
        "observed:0.1.0 is published nowhere",
    ] {
        assert!(notes.contains(words), "{words}: {notes}");
    }
    let notes = told(&["--set", "image.repository=r.example.org/o,watchNamespace=prod"]).await;
    assert!(
        notes.contains("the namespace prod") && !notes.contains("published nowhere"),
        "{notes}"
    );
}

#[tokio::test]
async fn the_policy_that_lets_gifts_yield_is_there_where_the_cluster_serves_it_or_it_is_asked_for() {
    let served = [
        "--api-versions",
        "admissionregistration.k8s.io/v1/MutatingAdmissionPolicy",
    ];
    for (options, expected) in [
        (&served[..], 2),
        (&[], 0),
        (&[&served[..], &["--set", "watchNamespace=prod"]].concat(), 0),
        (&[&served[..], &["--set", "yieldPolicy=never"]].concat(), 0),
        (&["--set", "yieldPolicy=always"], 2),
    ] {
        let objects = render(&chart(), options).await.unwrap();
        let policies = objects
            .iter()
            .filter(|object| object["metadata"]["name"] == "observed-yield");
        assert_eq!(policies.count(), expected, "{options:?}");
    }
}
