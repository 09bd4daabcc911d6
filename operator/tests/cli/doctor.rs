//! `observed doctor` on files, as its users meet it.

use serde_json::Value;

use super::{directory, observed};

const MONITOR: &str = "apiVersion: monitoring.coreos.com/v1
kind: ServiceMonitor
metadata: {name: api, namespace: prod, labels: {LABEL}}
spec:
  selector: {matchLabels: {app: api}}
  endpoints: [{port: web, interval: 30s, scrapeTimeout: 10s}]
---
apiVersion: v1
kind: Service
metadata: {name: api, namespace: prod, labels: {app: api}}
spec: {selector: {app: api}, ports: [{name: web, port: 80}]}
---
apiVersion: monitoring.coreos.com/v1
kind: Prometheus
metadata: {name: main, namespace: monitoring}
spec: {serviceMonitorSelector: {matchLabels: {release: kps}}, serviceMonitorNamespaceSelector: {}}
";

fn manifests(label: &str) -> String {
    MONITOR.replace("LABEL", label)
}

#[test]
fn files_with_a_mistake_end_with_1_and_their_mended_twin_with_0() {
    let broken = observed(&["doctor", "-f", "-"], &manifests(""));
    assert_eq!(broken.status, 1, "{broken:?}");
    for part in [
        "error[monitor-not-selected] ServiceMonitor prod/api (standard input:1)",
        "its label release=kps is missing",
        "kubectl label --overwrite servicemonitors -n prod api release=kps",
        "1 errors, 0 warnings, 0 notes",
        "(no Prometheus was asked)",
    ] {
        assert!(broken.out.contains(part), "{part}: {}", broken.out);
    }
    let mended = observed(&["doctor", "-f", "-"], &manifests("release: kps"));
    assert_eq!(mended.status, 0, "{mended:?}");
    assert!(mended.out.starts_with("0 errors, 0 warnings, 0 notes"), "{mended:?}");
}

#[test]
fn a_warning_counts_only_where_it_is_asked_for() {
    let rule = "apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata: {name: redis, namespace: prod}
spec: {groups: [{name: redis, rules: [{alert: RedisDown, expr: 'redis_up == 0'}]}]}
";
    let done = observed(&["doctor", "-f", "-"], rule);
    assert!(done.out.contains("warning[dependency-alert-blind]"), "{done:?}");
    assert_eq!(done.status, 0);
    assert_eq!(observed(&["doctor", "--strict", "-f", "-"], rule).status, 1);
}

#[test]
fn programs_get_json_and_code_scanners_sarif() {
    let files = directory(&[("a/monitor.yaml", &manifests(""))]);
    let path = files.path().to_str().unwrap();
    let json = observed(&["doctor", "-o", "json", "-f", path], "");
    let value: Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!(value["findings"][0]["rule"], "monitor-not-selected");
    assert_eq!(value["findings"][0]["object"]["kind"], "ServiceMonitor");
    assert_eq!(value["findings"][0]["place"]["line"], 1);
    assert!(value["notRun"].as_array().unwrap().len() > 5);

    let sarif = observed(&["doctor", "-o", "sarif", "-f", path], "");
    assert_eq!(sarif.status, 1);
    let value: Value = serde_json::from_str(&sarif.out).unwrap();
    assert_eq!(value["version"], "2.1.0");
    let run = &value["runs"][0];
    let result = &run["results"][0];
    assert_eq!(
        (&result["ruleId"], &result["level"]),
        (&"monitor-not-selected".into(), &"error".into())
    );
    let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
    assert_eq!(run["tool"]["driver"]["rules"][index]["id"], "monitor-not-selected");
    let place = &result["locations"][0]["physicalLocation"];
    assert!(
        place["artifactLocation"]["uri"]
            .as_str()
            .unwrap()
            .ends_with("a/monitor.yaml")
    );
    assert_eq!(place["region"]["startLine"], 1);
    let mended = observed(&["doctor", "-o", "sarif", "-f", "-"], &manifests("release: kps"));
    let value: Value = serde_json::from_str(&mended.out).unwrap();
    assert_eq!(value["runs"][0]["results"], serde_json::json!([]));
}

#[test]
fn one_namespace_or_name_of_the_files_can_be_asked_about() {
    let text = manifests("");
    assert_eq!(observed(&["doctor", "-n", "test", "-f", "-"], &text).status, 0);
    assert_eq!(observed(&["doctor", "-n", "prod", "-f", "-"], &text).status, 1);
    assert_eq!(observed(&["doctor", "api", "-n", "prod", "-f", "-"], &text).status, 1);
    let nobody = observed(&["doctor", "nobody", "-n", "prod", "-f", "-"], &text);
    assert_eq!(nobody.status, 2);
    assert!(
        nobody
            .err
            .contains("nothing is called \"nobody\" in namespace \"prod\""),
        "{nobody:?}"
    );
}

#[test]
fn what_cannot_be_read_ends_with_2_and_no_clean_bill() {
    for (arguments, stdin) in [
        (&["doctor", "-f", "-"][..], "a: ["),
        (&["doctor", "-f", "/nowhere.yaml"], ""),
        (&["doctor", "--prometheus-url", "prometheus:9090"], ""),
        (&["doctor", "-A", "-n", "prod"], ""),
        (&["doctor", "api", "-A"], ""),
        (&["doctor", "--context", "nowhere"], ""),
    ] {
        let done = observed(arguments, stdin);
        assert_eq!((done.status, done.out.as_str()), (2, ""), "{arguments:?}: {done:?}");
        assert!(done.err.starts_with("error: "), "{arguments:?}: {done:?}");
    }
}

#[test]
fn what_observed_itself_renders_has_no_finding() {
    let rendered = observed(&["render", "-f", "-"], super::GOOD);
    assert_eq!(rendered.status, 0);
    let done = observed(&["doctor", "--strict", "-f", "-"], &rendered.out);
    assert_eq!(done.status, 0, "{}", done.out);
    assert!(done.out.starts_with("0 errors, 0 warnings"), "{}", done.out);
}
