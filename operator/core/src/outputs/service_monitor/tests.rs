use observed_crds::v1alpha1::Signals;
use serde_json::{Value, json};

use super::*;
use crate::child::Body;
use crate::facts::Facts;
use crate::packs::Packs;
use crate::signals::sample;

fn plan(change: impl FnOnce(&mut Value)) -> Plan {
    let mut facts = json!({
        "namespace": "prod", "name": "api", "uid": "owner-1",
        "target": {
            "kind": "Deployment", "name": "api", "uid": "target-1", "replicas": 3,
            "selector": {"matchLabels": {"app": "api"}},
            "containers": [{"name": "api", "ports": [{"name": "http", "port": 8000}]}],
        },
        "services": [{
            "name": "front", "labels": {"app": "api", "helm.sh/chart": "api-1.2.3"},
            "ports": [{"name": "web", "port": 80, "targetPortName": "http"}],
        }],
        "prometheuses": [{"namespace": "mon", "name": "k8s", "url": "http://p", "selects": {
            "ServiceMonitor": {"objects": {"matchLabels": {"release": "kps"}}, "namespaces": {}},
            "PodMonitor": {"objects": {"matchLabels": {"release": "pods"}}, "namespaces": {}},
        }}],
    });
    change(&mut facts);
    let facts: Facts = serde_json::from_value(facts).unwrap();
    let spec = serde_json::from_value(json!({"targetRef": {"name": "api"}, "signals": {"packs": []}})).unwrap();
    crate::resolve::resolve(&spec, &facts, &Packs::default()).unwrap()
}

fn object(plan: &Plan) -> Value {
    let children = ServiceMonitor.render(plan);
    match &children[0].body {
        Body::Owned(object) => object.clone(),
        Body::Gift(_) | Body::TakeBack(_) | Body::Will(_) => panic!("a monitor is ours"),
    }
}

#[test]
fn a_service_is_scraped_by_a_service_monitor_in_its_own_namespace_only() {
    let object = object(&plan(|_| {}));
    assert_eq!(object["kind"], "ServiceMonitor");
    assert_eq!(object["metadata"]["name"], "api");
    assert_eq!(object["metadata"]["labels"]["release"], "kps");
    assert_eq!(
        object["spec"],
        json!({
            "selector": {"matchLabels": {"app": "api"}},
            "namespaceSelector": {"matchNames": ["prod"]},
            "endpoints": [{
                "port": "web", "path": "/metrics", "interval": "30s", "scrapeTimeout": "10s",
                "relabelings": [
                    {"action": "keep", "sourceLabels": ["__meta_kubernetes_service_name"], "regex": "front"},
                    {"action": "labeldrop", "regex": "endpoint"},
                ],
            }],
            "sampleLimit": 20000, "labelLimit": 64, "bodySizeLimit": "16MB",
        })
    );
}

#[test]
fn pods_without_a_service_are_scraped_by_a_pod_monitor_under_the_services_name() {
    let plan = plan(|facts| facts["services"] = json!([]));
    let object = object(&plan);
    assert_eq!(object["kind"], "PodMonitor");
    assert_eq!(object["metadata"]["labels"]["release"], "pods");
    assert_eq!(object["spec"]["selector"], json!({"matchLabels": {"app": "api"}}));
    let endpoint = &object["spec"]["podMetricsEndpoints"][0];
    assert_eq!(endpoint["port"], "http");
    assert_eq!(
        endpoint["relabelings"],
        json!([
            {"action": "replace", "targetLabel": "job", "replacement": "api"},
            {"action": "labeldrop", "regex": "endpoint"},
        ])
    );
}

#[test]
fn a_pod_port_without_a_name_is_scraped_by_number() {
    let plan = plan(|facts| {
        facts["services"] = json!([]);
        facts["target"]["containers"][0]["ports"] = json!([{"port": 8000}]);
    });
    let endpoint = &object(&plan)["spec"]["podMetricsEndpoints"][0];
    assert_eq!(
        (&endpoint["port"], &endpoint["portNumber"]),
        (&Value::Null, &json!(8000))
    );
}

#[test]
fn labels_of_a_release_are_selected_on_only_where_there_is_nothing_else() {
    let only = plan(|facts| facts["services"][0]["labels"] = json!({"helm.sh/chart": "api-1.2.3"}));
    assert_eq!(
        object(&only)["spec"]["selector"],
        json!({"matchLabels": {"helm.sh/chart": "api-1.2.3"}})
    );
}

#[test]
fn the_check_asks_about_the_very_object_that_is_rendered() {
    for change in [(|_| {}) as fn(&mut Value), |facts| facts["services"] = json!([])] {
        let plan = plan(change);
        let object = object(&plan);
        let checks = ServiceMonitor.checks(&plan);
        let [
            Check::Targets {
                kind,
                namespace,
                name,
                labels,
                job,
                expected,
                ..
            },
        ] = checks.as_slice()
        else {
            panic!("one check: {checks:?}");
        };
        assert_eq!(
            (*kind, namespace.as_str(), name.as_str(), *expected),
            (object["kind"].as_str().unwrap(), "prod", "api", 3)
        );
        assert_eq!(json!(labels), object["metadata"]["labels"]);
        assert_eq!(*job, plan.scrape.job);
    }
}

#[test]
fn the_check_names_the_exporters_that_dependencies_are_read_from_and_no_dependency_without_one() {
    let mut plan = sample::plan(&sample::binding(&Signals::default())).unwrap();
    let dependencies = plan.packs.iter_mut().filter_map(|pack| pack.dependency.as_mut());
    for cache in dependencies.filter(|dependency| dependency.name == "cache") {
        cache.exporter = None;
    }
    let checks = ServiceMonitor.checks(&plan);
    let [Check::Targets { exporters, .. }] = checks.as_slice() else {
        panic!("one check: {checks:?}");
    };
    let jobs = exporters
        .iter()
        .map(|(name, exporter)| (name.as_str(), exporter.job.as_str()));
    assert_eq!(
        jobs.collect::<Vec<_>>(),
        [("db", "db-exporter"), ("models", "models-exporter")]
    );
}
