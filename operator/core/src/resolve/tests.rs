use std::sync::LazyLock;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::child::{Body, Child};
use crate::facts::{AnswerOutcome, Ask};
use crate::gift::ProbeKind;
use crate::outputs;
use crate::promql::Expression;

fn facts(change: impl FnOnce(&mut Value)) -> Facts {
    let good = json!([{"pod": "api-1", "outcome": {"status": 200}, "millis": 3}]);
    let mut facts = json!({
        "namespace": "prod", "name": "api", "uid": "owner-1",
        "target": {
            "name": "api", "uid": "target-1", "resourceVersion": "7", "replicas": 1,
            "selector": {"matchLabels": {"app": "api"}},
            "containers": [{"name": "api", "ports": [{"name": "http", "port": 8000}, {"name": "admin", "port": 9000}]}],
        },
        "services": [{"name": "api", "labels": {"app": "api"}, "ports": [{"name": "http", "port": 80, "targetPort": 8000}]}],
        "preflight": {"liveness": good, "readiness": good, "startup": good},
    });
    change(&mut facts);
    serde_json::from_value(facts).unwrap()
}

fn spec(change: impl FnOnce(&mut Value)) -> ObservedServiceSpec {
    let mut spec = json!({"targetRef": {"name": "api"}});
    change(&mut spec);
    serde_json::from_value(spec).unwrap()
}

fn packs() -> &'static Packs {
    static PACKS: LazyLock<Packs> = LazyLock::new(|| Packs::builtin().unwrap());
    &PACKS
}

fn refused(spec: &ObservedServiceSpec, facts: &Facts) -> Vec<Finding> {
    resolve(spec, facts, packs()).unwrap_err()
}

fn places(findings: &[Finding]) -> Vec<(Code, &str)> {
    findings
        .iter()
        .map(|finding| (finding.code, finding.path.as_str()))
        .collect()
}

#[test]
fn a_spec_that_names_its_target_and_nothing_else_is_enough() {
    let plan = resolve(&spec(|_| {}), &facts(|_| {}), packs()).unwrap();
    assert_eq!(
        (plan.target.container.as_str(), plan.scrape.job.as_str()),
        ("api", "api")
    );
    assert_eq!(plan.warnings, []);
    let rendered = outputs::render(&plan);
    for id in ["service-monitor", "dashboard", "probes"] {
        assert!(rendered.items.iter().any(|child| child.output == id), "{id}");
    }
}

#[test]
fn an_objective_whose_series_nobody_exposes_is_told_with_the_series() {
    let objectives = json!([
        {"name": "fast", "target": "99%", "sli": {"latency": {"below": "5s"}}},
        {"name": "available", "target": "99.9%", "sli": {"errorRatio": {}}},
        {"name": "paid", "target": "99%", "sli": {"ratio": {"good": "paid_total", "total": "bills_total"}}},
    ]);
    let told = |families: Value| {
        let spec = spec(|spec| spec["objectives"] = objectives.clone());
        let facts = facts(|facts| facts["exposed"] = json!({"families": families}));
        let plan = resolve(&spec, &facts, packs()).unwrap();
        let missing = plan
            .exposure
            .missing
            .into_iter()
            .filter(|missing| !missing.objectives.is_empty());
        missing
            .map(|missing| (missing.name, missing.objectives))
            .collect::<Vec<_>>()
    };
    let counter = json!({"http_requests_total": {"type": "counter", "labels": ["method", "endpoint", "status"]}});
    let fast = |name: &str| (name.to_owned(), vec!["fast".to_owned()]);
    assert_eq!(told(counter.clone()), [fast("http_request_duration_seconds")]);
    let mut both = counter;
    both["http_request_duration_seconds"] = json!({"type": "histogram", "labels": ["method", "endpoint"]});
    assert_eq!(told(both), []);
    // In Micrometer's names, where one histogram is both: without buckets its count is there.
    let summary = json!({"http_server_requests_seconds": {"type": "summary", "labels": ["method", "uri", "status"]}});
    assert_eq!(told(summary), [fast("http_server_requests_seconds")]);
}

#[test]
fn a_threshold_that_is_no_bucket_on_the_page_refuses_nothing() {
    let warned = |bounds: Value| {
        let objective = json!([{"name": "fast", "target": "99%", "sli": {"latency": {"below": "5s"}}}]);
        let spec = spec(|spec| spec["objectives"] = objective);
        let family = json!({"type": "histogram", "labels": ["method", "endpoint"], "bounds": bounds});
        let facts = facts(|facts| facts["exposed"] = json!({"families": {"http_request_duration_seconds": family}}));
        let plan = resolve(&spec, &facts, packs()).unwrap();
        assert_eq!(plan.objectives.len(), 1);
        plan.warnings
            .iter()
            .filter(|warning| warning.message.contains("no bucket"))
            .count()
    };
    assert_eq!((warned(json!([0.5, 10])), warned(json!([0.5, 5]))), (1, 0));
    let many: Vec<u32> = (10..100).collect();
    assert_eq!(warned(json!(many)), 0, "too many to be kept are unknown");
}

#[test]
fn a_histogram_without_buckets_is_told_until_it_is_said_to_be_native_and_while_no_pod_answers() {
    let objective = json!([{"name": "fast", "target": "99%", "sli": {"latency": {"below": "5s"}}}]);
    let family = json!({"type": "histogram", "labels": ["method", "endpoint"]});
    let known = facts(|facts| facts["exposed"] = json!({"families": {"http_request_duration_seconds": family}}));
    let told = |kind: &str, facts: &Facts| {
        let spec = spec(|spec| {
            spec["objectives"] = objective.clone();
            spec["signals"] = json!({"histograms": kind});
        });
        let plan = resolve(&spec, facts, packs()).unwrap();
        let paths: Vec<String> = plan.warnings.iter().map(|warning| warning.path.clone()).collect();
        (paths, plan.exposure.seen)
    };
    let (paths, seen) = told("Classic", &known);
    assert!(paths.contains(&"spec.signals.histograms".to_owned()), "{paths:?}");
    let silent = facts(|facts| facts["seen"] = json!(seen));
    assert_eq!(told("Classic", &silent).0, paths);
    let (paths, _) = told("Native", &known);
    assert!(
        !paths
            .iter()
            .any(|path| path.starts_with("spec.signals.histograms") || path.contains("latency")),
        "{paths:?}"
    );
}

#[test]
fn labels_are_taken_from_a_prometheus_that_looks_into_the_namespace_and_from_no_other() {
    let asks = |namespace: &str, label: &str, namespaces: Value| {
        let selects = json!({"objects": {"matchLabels": {"prometheus": label}}, "namespaces": namespaces});
        json!({"namespace": namespace, "name": "p", "selects": {"ServiceMonitor": selects}})
    };
    let labels = |prometheuses: Value| {
        let facts = facts(|facts| facts["prometheuses"] = prometheuses);
        let plan = resolve(&spec(|_| {}), &facts, packs()).unwrap();
        (
            plan.selection_labels.get("ServiceMonitor").cloned(),
            plan.warnings.len(),
        )
    };
    let main = Some([("prometheus".to_owned(), "main".to_owned())].into());
    let own_only = json!([
        asks("a-team", "a-team", Value::Null),
        asks("monitoring", "main", json!({}))
    ]);
    assert_eq!(labels(own_only), (main.clone(), 0));
    let other_label = json!({"matchLabels": {"team": "a"}});
    let elsewhere = json!([
        asks("a-team", "a-team", other_label),
        asks("monitoring", "main", json!({}))
    ]);
    assert_eq!(labels(elsewhere), (main, 0));
    // Two that both look here cannot both be served: the first is, and it is told.
    let both = json!([
        asks("a-team", "a-team", json!({})),
        asks("monitoring", "main", json!({}))
    ]);
    assert_eq!(labels(both).1, 1);
}

#[test]
fn an_agent_that_looks_here_is_served_with_its_label_after_every_prometheus() {
    let asks = |name: &str, labels: Value| {
        let selects = json!({"objects": {"matchLabels": labels}, "namespaces": {}});
        json!([{"namespace": "a-team", "name": name, "selects": {"ServiceMonitor": selects}}])
    };
    let plan = |prometheuses: Value| {
        let facts = facts(|facts| {
            facts["prometheuses"] = prometheuses;
            facts["agents"] = asks("edge", json!({"agent": "edge", "release": "edge"}));
        });
        resolve(&spec(|_| {}), &facts, packs()).unwrap()
    };
    let alone = plan(json!([]));
    assert_eq!(alone.selection_labels["ServiceMonitor"]["release"], "edge");
    assert!(alone.warnings.is_empty() && !alone.selection_labels.contains_key("PrometheusRule"));
    let both = plan(asks("main", json!({"release": "main"})));
    let labels = &both.selection_labels["ServiceMonitor"];
    assert_eq!((labels["release"].as_str(), labels["agent"].as_str()), ("main", "edge"));
    assert_eq!(both.warnings.len(), 1);
    let told = both.warnings[0].to_string();
    assert!(
        told.contains("PrometheusAgent a-team/edge selects a ServiceMonitor by release=edge"),
        "{told}"
    );
}

#[test]
fn the_workload_comes_last_and_only_where_there_is_something_to_give() {
    let plan = resolve(&spec(|_| {}), &facts(|_| {}), packs()).unwrap();
    let last = outputs::render(&plan).items.pop().unwrap();
    assert!(matches!(last, Child { body: Body::Gift(_), name, .. } if name == "api"));
    let paused = resolve(&spec(|spec| spec["paused"] = json!(true)), &facts(|_| {}), packs()).unwrap();
    assert!(
        !outputs::render(&paused)
            .items
            .iter()
            .any(|child| child.output == "probes")
    );
}

#[test]
fn a_workload_that_does_not_exist_is_one_finding() {
    let spec = spec(|spec| spec["targetRef"]["kind"] = json!("StatefulSet"));
    let facts = facts(|facts| facts["target"] = Value::Null);
    let findings = refused(&spec, &facts);
    assert_eq!(places(&findings), [(Code::TargetNotFound, "spec.targetRef.name")]);
    assert!(
        findings[0]
            .message
            .contains("no StatefulSet \"api\" in namespace \"prod\""),
        "{}",
        findings[0]
    );
    assert_eq!(questions(&spec, &facts), []);
}

#[test]
fn a_workload_that_an_older_one_has_is_one_finding_that_names_it() {
    let facts = facts(|facts| facts["takenBy"] = json!("older"));
    let findings = refused(&spec(|_| {}), &facts);
    assert_eq!(places(&findings), [(Code::TargetTaken, "spec.targetRef")]);
    assert!(findings[0].message.contains("\"older\""), "{}", findings[0]);
    assert_eq!(questions(&spec(|_| {}), &facts), []);
}

#[test]
fn of_several_containers_one_must_be_named_by_name_or_by_what_it_is() {
    let two = |facts: &mut Value| {
        facts["target"]["containers"] = json!([
            {"name": "proxy", "ports": [{"name": "proxy", "port": 1}]},
            {"name": "app", "ports": [{"name": "web", "port": 2}]},
        ]);
    };
    let findings = refused(&spec(|_| {}), &facts(two));
    assert_eq!(places(&findings), [(Code::Container, "spec.targetRef.container")]);
    assert!(findings[0].help.contains("proxy, app"), "{}", findings[0]);
    let wrong = refused(&spec(|spec| spec["targetRef"]["container"] = json!("ap")), &facts(two));
    assert!(wrong[0].help.contains("did you mean \"app\""), "{}", wrong[0]);
    let container = |spec: &ObservedServiceSpec, facts: &Facts| {
        resolve(spec, facts, packs()).map(|plan| plan.target.container).unwrap()
    };
    assert_eq!(
        container(&spec(|spec| spec["targetRef"]["container"] = json!("app")), &facts(two)),
        "app"
    );
    let by_default = facts(|facts| {
        two(facts);
        facts["target"]["defaultContainer"] = json!("proxy");
    });
    assert_eq!(container(&spec(|_| {}), &by_default), "proxy");
    let by_port = facts(|facts| {
        two(facts);
        facts["target"]["containers"][1]["ports"][0]["name"] = json!("http");
    });
    assert_eq!(container(&spec(|_| {}), &by_port), "app");
}

#[test]
fn a_port_that_the_container_lacks_is_answered_with_those_that_it_has() {
    let findings = refused(&spec(|spec| spec["scrape"] = json!({"port": "htp"})), &facts(|_| {}));
    assert_eq!(places(&findings), [(Code::Port, "spec.scrape.port")]);
    assert!(findings[0].message.contains("no port named \"htp\""), "{}", findings[0]);
    assert!(
        findings[0]
            .help
            .contains("Did you mean \"http\"? It has: http (8000), admin (9000)"),
        "{}",
        findings[0]
    );
    let by_number = refused(&spec(|spec| spec["scrape"] = json!({"port": 7})), &facts(|_| {}));
    assert!(by_number[0].message.contains("declares no port 7"), "{}", by_number[0]);
    assert!(
        resolve(
            &spec(|spec| spec["scrape"] = json!({"port": 9000})),
            &facts(|_| {}),
            packs()
        )
        .is_ok()
    );
}

#[test]
fn findings_of_every_concern_come_at_once_in_order_and_once() {
    let spec = spec(|spec| {
        spec["scrape"] = json!({"port": "gone", "interval": "10m", "timeout": "soon"});
        spec["probes"] =
            json!({"liveness": {"httpGet": {"path": "/health", "port": "gone"}}, "startup": {"within": "x"}});
    });
    let findings = refused(&spec, &facts(|_| {}));
    let mut found = places(&findings);
    assert!(findings.is_sorted(), "{findings:?}");
    found.sort_by_key(|(_, path)| *path);
    assert_eq!(
        found,
        [
            (Code::Port, "spec.probes.liveness.httpGet.port"),
            (Code::Duration, "spec.probes.startup.within"),
            (Code::Duration, "spec.scrape.interval"),
            (Code::Port, "spec.scrape.port"),
            (Code::Duration, "spec.scrape.timeout"),
        ]
    );
}

#[test]
fn a_timeout_longer_than_its_interval_is_a_finding_and_the_default_never_is() {
    let long = spec(|spec| spec["scrape"] = json!({"interval": "5s", "timeout": "6s"}));
    assert_eq!(
        places(&refused(&long, &facts(|_| {}))),
        [(Code::Duration, "spec.scrape.timeout")]
    );
    let short = spec(|spec| spec["scrape"] = json!({"interval": "5s"}));
    let plan = resolve(&short, &facts(|_| {}), packs()).unwrap();
    assert_eq!((plan.scrape.interval_seconds, plan.scrape.timeout_seconds), (5, 5));
}

#[test]
fn the_children_of_the_longest_name_have_names_that_the_api_server_takes() {
    let longest = "a".repeat(52);
    let plan = resolve(&spec(|_| {}), &facts(|facts| facts["name"] = json!(longest)), packs()).unwrap();
    for child in outputs::render(&plan).items {
        assert!(child.name.len() <= 63, "{}", child.name);
        if let Body::Owned(object) = &child.body {
            let labels = object["metadata"]["labels"].as_object().unwrap();
            assert!(
                labels.values().all(|value| value.as_str().unwrap().len() <= 63),
                "{labels:?}"
            );
        }
    }
}

const HOSTILE: [&str; 8] = [
    "\"",
    "a\nb",
    "{{ $labels.x }}",
    "}}",
    "`rm`",
    "\u{0}\u{1b}[31m",
    "\u{1f600}",
    "\\\"} or up{x=\"",
];

/// Renders; whatever comes out can be read again, and says the same.
fn rendered(spec: &ObservedServiceSpec, facts: &Facts) -> Option<usize> {
    let plan = resolve(spec, facts, packs()).ok()?;
    let rules = plan.packs.iter().flat_map(|pack| {
        let records = pack.records.iter().map(|record| &record.expr);
        records.chain(pack.alerts.iter().map(|alert| &alert.expr))
    });
    for expr in rules {
        Expression::parse(expr).unwrap();
    }
    let children = outputs::render(&plan).items;
    for child in &children {
        if let Body::Owned(object) = &child.body {
            let text = object.to_string();
            assert_eq!(&serde_json::from_str::<Value>(&text).unwrap(), object);
            let files = object["data"].as_object().into_iter().flatten();
            for (_, file) in files.filter(|(name, _)| name.ends_with(".json")) {
                serde_json::from_str::<Value>(file.as_str().unwrap()).unwrap();
            }
        }
    }
    Some(children.len())
}

#[test]
fn hostile_text_in_any_field_of_the_spec_breaks_nothing() {
    type Set = fn(&mut Value, &str);
    let fields: [(&str, Set); 16] = [
        ("targetRef.name", |s, t| s["targetRef"]["name"] = json!(t)),
        ("targetRef.container", |s, t| s["targetRef"]["container"] = json!(t)),
        ("scrape.port", |s, t| s["scrape"] = json!({"port": t})),
        ("scrape.path", |s, t| s["scrape"] = json!({"path": t})),
        ("scrape.interval", |s, t| s["scrape"] = json!({"interval": t})),
        ("scrape.timeout", |s, t| s["scrape"] = json!({"timeout": t})),
        ("scrape.limits.bodySize", |s, t| {
            s["scrape"] = json!({"limits": {"bodySize": t}})
        }),
        ("probes.liveness.httpGet.path", |s, t| {
            s["probes"] = json!({"liveness": {"httpGet": {"path": t}}})
        }),
        ("probes.readiness.tcpSocket.port", |s, t| {
            s["probes"] = json!({"readiness": {"tcpSocket": {"port": t}}})
        }),
        ("probes.startup.within", |s, t| {
            s["probes"] = json!({"startup": {"within": t}})
        }),
        ("dashboards.folder", |s, t| s["dashboards"] = json!({"folder": t})),
        ("dashboards.labels", |s, t| s["dashboards"] = json!({"labels": {t: t}})),
        ("runbooks.baseURL", |s, t| s["runbooks"] = json!({"baseURL": t})),
        ("signals.packs", |s, t| s["signals"] = json!({"packs": [t]})),
        ("signals.rename", |s, t| {
            s["signals"] = json!({"rename": {"http_requests_total": t}})
        }),
        ("signals.alerts", |s, t| {
            s["signals"] = json!({"alerts": {"HighErrorRate": {"above": t, "for": t, "because": t}}});
        }),
    ];
    for (field, set) in fields {
        for text in HOSTILE {
            let spec = spec(|spec| {
                // Binding the packs costs most of the time, and only signals change them.
                if !field.starts_with("signals") {
                    spec["signals"] = json!({"packs": []});
                }
                set(spec, text);
            });
            let questions = questions(&spec, &facts(|_| {}));
            assert!(
                questions
                    .iter()
                    .filter_map(|q| match &q.ask {
                        Ask::Get { path, .. } => Some(path),
                        _ => None,
                    })
                    .all(|path| path.bytes().all(|b| b.is_ascii_graphic())),
                "{field}"
            );
            rendered(&spec, &facts(|_| {}));
        }
    }
    assert!(rendered(&spec(|_| {}), &facts(|_| {})).is_some());
}

#[test]
fn hostile_text_in_any_fact_breaks_nothing() {
    type Set = fn(&mut Value, &str);
    // Those that the expressions hold, and those that they do not.
    let expressed: [Set; 4] = [
        |f, t| f["name"] = json!(t),
        |f, t| f["namespace"] = json!(t),
        |f, t| f["target"]["name"] = json!(t),
        |f, t| f["services"][0]["name"] = json!(t),
    ];
    let others: [Set; 5] = [
        |f, t| f["target"]["containers"][0]["name"] = json!(t),
        |f, t| f["target"]["containers"][0]["ports"][0]["name"] = json!(t),
        |f, t| f["services"][0]["labels"] = json!({t: t}),
        |f, t| f["services"][0]["ports"][0]["name"] = json!(t),
        |f, t| f["contested"] = json!(t),
    ];
    for text in HOSTILE {
        for set in expressed {
            rendered(&spec(|_| {}), &facts(|facts| set(facts, text)));
        }
        for set in others {
            rendered(&without_packs(), &facts(|facts| set(facts, text)));
        }
    }
}

fn without_packs() -> ObservedServiceSpec {
    spec(|spec| spec["signals"] = json!({"packs": []}))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_same_spec_and_facts_always_render_the_same(
        interval in 1u32..300,
        replicas in 0i32..5,
        services in prop::collection::btree_map("[a-z]{1,8}", prop::collection::btree_map("[a-z]{1,4}", "[a-z]{0,4}", 0..3), 0..4),
        folder in prop::option::of(".{1,20}"),
        status in 100u16..600,
    ) {
        let spec = spec(|spec| {
            spec["scrape"] = json!({"interval": format!("{interval}s")});
            spec["dashboards"] = json!({"folder": folder});
            spec["signals"] = json!({"packs": []});
        });
        let mut facts = facts(|facts| {
            facts["target"]["replicas"] = json!(replicas);
            let port = json!([{"name": "web", "port": 8000}]);
            let list = services.iter().map(|(name, labels)| json!({"name": name, "labels": labels, "ports": port}));
            facts["services"] = list.collect();
        });
        for answer in facts.preflight.get_mut(&ProbeKind::Readiness).unwrap() {
            answer.outcome = AnswerOutcome::Status(status);
        }
        let once = resolve(&spec, &facts, packs());
        let again = resolve(&spec.clone(), &facts.clone(), packs());
        prop_assert_eq!(&once, &again);
        let plan = once.unwrap();
        let render = |plan: &Plan| format!("{:?}", outputs::render(plan));
        prop_assert_eq!(render(&plan), render(&again.unwrap()));
        prop_assert_eq!(outputs::checks(&plan), outputs::checks(&plan));
    }
}

#[test]
fn a_dependency_is_read_where_its_exporter_is_scraped() {
    let depends = |spec: &mut Value| {
        spec["dependencies"] = json!([
            {"name": "db", "type": "PostgreSQL", "scrapedFrom": {"job": "pg", "namespace": "data"}},
            {"name": "cache", "type": "Redis", "scrapedFrom": {"job": "redis", "instance": "redis://cache:6379"}},
            {"name": "models", "type": "HTTP", "host": "models.example.com"},
        ]);
    };
    let plan = resolve(&spec(depends), &facts(|_| {}), packs()).unwrap();
    let found: Vec<String> = plan
        .packs
        .iter()
        .filter_map(|pack| pack.dependency.as_ref())
        .map(|found| match &found.exporter {
            Some(from) => format!("{} {} {} {:?}", found.name, from.namespace, from.job, from.instance),
            None => format!("{} {:?}", found.name, found.host),
        })
        .collect();
    assert_eq!(
        found,
        [
            "db data pg None",
            "cache prod redis Some(\"redis://cache:6379\")",
            "models Some(\"models.example.com\")"
        ]
    );
}

#[test]
fn an_exporter_of_another_namespace_is_refused_where_that_namespace_is_not_shared() {
    let depends = |spec: &mut Value| {
        spec["dependencies"] = json!([
            {"name": "db", "type": "PostgreSQL", "scrapedFrom": {"job": "pg", "namespace": "data"}},
            {"name": "own", "type": "PostgreSQL", "scrapedFrom": {"job": "pg", "namespace": "prod"}},
        ]);
    };
    let among = |shared: &[&str]| {
        let shared = shared.iter().map(ToString::to_string).collect();
        let facts = Facts {
            dependency_namespaces: Some(shared),
            ..facts(|_| {})
        };
        resolve(&spec(depends), &facts, packs()).map(|_| ())
    };
    let refused = among(&["monitoring"]).unwrap_err();
    assert_eq!(refused.len(), 1, "{refused:?}");
    assert_eq!(refused[0].path, "spec.dependencies[0].scrapedFrom.namespace");
    assert!(refused[0].help.contains("--dependency-namespaces"), "{refused:?}");
    assert_eq!(among(&["data"]), Ok(()));
}

#[test]
fn dependencies_that_cannot_be_told_apart_from_each_other_or_from_the_service_are_findings() {
    let depends = |spec: &mut Value| {
        spec["dependencies"] = json!([
            {"name": "db", "type": "PostgreSQL", "scrapedFrom": {"job": "pg"}},
            {"name": "db", "type": "Redis", "scrapedFrom": {"job": "redis"}},
            {"name": "self", "type": "Redis", "scrapedFrom": {"job": "api"}},
        ]);
    };
    assert_eq!(
        places(&refused(&spec(depends), &facts(|_| {}))),
        [
            (Code::InvalidValue, "spec.dependencies[1].name"),
            (Code::InvalidValue, "spec.dependencies[2].scrapedFrom.job"),
        ]
    );
}
