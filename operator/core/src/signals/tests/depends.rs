//! Dependencies, thresholds that only the service knows, and signals of some kinds of workload.

use std::collections::BTreeSet;

use observed_crds::v1alpha1::DependencyType;

use super::*;

fn database(name: &str, namespace: &str) -> plan::Dependency {
    plan::Dependency {
        name: name.to_owned(),
        kind: DependencyType::PostgreSQL,
        exporter: Some(plan::Exporter {
            namespace: namespace.to_owned(),
            job: format!("{name}-exporter"),
            instance: None,
        }),
        host: None,
    }
}

/// An HTTP service that the blackbox exporter probes, if it does, and that is called by its host, if it is.
fn called(name: &str, instance: Option<&str>, host: Option<&str>) -> plan::Dependency {
    plan::Dependency {
        name: name.to_owned(),
        kind: DependencyType::Http,
        exporter: instance.map(|instance| plan::Exporter {
            namespace: "monitoring".to_owned(),
            job: "blackbox".to_owned(),
            instance: Some(instance.to_owned()),
        }),
        host: host.map(str::to_owned),
    }
}

/// The plan of a service with these dependencies.
fn depending(dependencies: &[plan::Dependency]) -> Plan {
    let signals = Signals::default();
    let binding = Binding {
        dependencies,
        ..sample::binding(&signals)
    };
    sample::plan(&binding).unwrap()
}

fn of<'a>(plan: &'a Plan, dependency: &str) -> &'a plan::Pack {
    let is = |pack: &&plan::Pack| pack.dependency.as_ref().is_some_and(|found| found.name == dependency);
    plan.packs.iter().find(is).unwrap()
}

#[test]
fn two_databases_share_neither_a_group_nor_a_recorded_series_nor_an_alert_nor_a_panel() {
    let plan = depending(&[database("db", "prod"), database("reports", "prod")]);
    let groups = rule_groups(&plan);
    let names: BTreeSet<&str> = groups.iter().map(|group| group.name.as_str()).collect();
    assert_eq!(names.len(), groups.len(), "{names:?}");
    let (db, reports) = (of(&plan, "db"), of(&plan, "reports"));
    assert_eq!(
        (db.title.as_str(), reports.title.as_str()),
        ("PostgreSQL db", "PostgreSQL reports")
    );
    for (one, other) in db.records.iter().zip(&reports.records) {
        assert_eq!(one.name, other.name);
        assert_ne!(one.labels, other.labels);
    }
    for (one, other) in db.alerts.iter().zip(&reports.alerts) {
        assert_eq!(one.name, other.name);
        assert_ne!(one.labels, other.labels);
        assert_ne!(one.expr, other.expr);
    }
    assert!(db.panels.iter().all(|panel| panel.title.starts_with("db: ")));
}

#[test]
fn a_database_in_another_namespace_is_read_there_and_its_alert_stays_with_the_service() {
    let plan = depending(&[database("db", "data")]);
    let down = alert(&plan, "PostgresDown");
    assert_eq!(prove_namespaced(&down.expr, "data"), Ok(()));
    let labels: Vec<(&str, &str)> = down
        .labels
        .iter()
        .map(|(label, value)| (label.as_str(), value.as_str()))
        .collect();
    let expected = [
        ("dependency", "db"),
        ("namespace", "prod"),
        ("role", "cause"),
        ("service", "claude"),
        ("severity", "critical"),
    ];
    assert_eq!(labels, expected);
    // What is recorded is the service's own.
    let high = alert(&plan, "PostgresConnectionsHigh");
    assert_eq!(prove_namespaced(&high.expr, "prod"), Ok(()));
    assert!(prove_namespaced(&high.expr, "data").is_err());
    for record in &of(&plan, "db").records {
        assert_eq!(record.labels["namespace"], "prod");
    }
    // Nothing of the service reads there.
    for pack in plan.packs.iter().filter(|pack| pack.dependency.is_none()) {
        assert!(
            pack.alerts
                .iter()
                .all(|alert| prove_of(&alert.expr, "prod", &plan.owner.name).is_ok())
        );
    }
}

#[test]
fn what_users_notice_is_marked_so_that_a_database_that_is_down_explains_it() {
    let plan = depending(&[database("db", "prod")]);
    for (name, role) in [
        ("PostgresDown", Some("cause")),
        ("HighErrorRate", Some("symptom")),
        ("CPUThrottled", None),
    ] {
        let alert = alert(&plan, name);
        assert_eq!(alert.labels.get("role").map(String::as_str), role, "{name}");
        assert_eq!(alert.labels["service"], "claude");
    }
}

#[test]
fn a_pack_of_a_dependency_is_declared_and_not_listed() {
    let listed = Signals {
        packs: Some(vec!["postgres".to_owned()]),
        ..Signals::default()
    };
    let (path, words) = finding(&listed);
    assert_eq!(path, "spec.signals.packs[0]");
    assert!(words.contains("PostgreSQL in spec.dependencies"), "{words}");
}

#[test]
fn an_alert_of_a_dependency_that_is_not_declared_names_its_type() {
    let signals = signals(&[], &[("PostgresDeadlocks", above("3"))]);
    let binding = Binding {
        dependencies: &[],
        ..sample::binding(&signals)
    };
    let found = sample::plan(&binding).unwrap_err();
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(
        found[0].help.contains("dependencies of the type PostgreSQL"),
        "{found:?}"
    );
}

#[test]
fn an_alert_without_a_default_is_off_until_the_service_sets_its_threshold() {
    let off = plan(&Signals::default());
    let names = |plan: &Plan| -> Vec<String> {
        let alerts = plan.packs.iter().flat_map(|pack| &pack.alerts);
        alerts.map(|alert| alert.name.clone()).collect()
    };
    assert!(!names(&off).contains(&"CostBudgetBurnHour".to_owned()));
    let on = plan(&signals(&[], &[("CostBudgetBurnHour", above("20"))]));
    assert!(alert(&on, "CostBudgetBurnHour").expr.contains("> 20"));
    let lasting = AlertOverride {
        r#for: Some("1h".to_owned()),
        ..AlertOverride::default()
    };
    for (change, field, wrong) in [
        (lasting, "above", "has no threshold"),
        (below("20"), "below", "fires above a value"),
        (above("-1"), "above", "never negative"),
    ] {
        let (path, words) = finding(&signals(&[], &[("CostBudgetBurnHour", change)]));
        assert_eq!(path, format!("spec.signals.alerts.CostBudgetBurnHour.{field}"));
        assert!(words.contains(wrong) && words.contains("no default"), "{words}");
    }
}

#[test]
fn a_workload_has_the_signals_of_its_kind_and_no_others() {
    for (kind, has) in [
        (TargetKind::Deployment, "DeploymentReplicasMissing"),
        (TargetKind::StatefulSet, "StatefulSetReplicasMissing"),
        (TargetKind::DaemonSet, "DaemonSetPodsMissing"),
    ] {
        let signals = Signals::default();
        let binding = Binding {
            target_kind: kind,
            ..sample::binding(&signals)
        };
        let plan = sample::plan(&binding).unwrap();
        let missing: Vec<&str> = plan
            .packs
            .iter()
            .flat_map(|pack| &pack.alerts)
            .map(|alert| alert.name.as_str())
            .filter(|name| name.ends_with("Missing"))
            .collect();
        assert_eq!(missing, [has]);
        let label = format!("{}=\"claude-api\"", kind.as_str().to_lowercase());
        assert!(alert(&plan, has).expr.contains(&label));
        let workload = plan.packs.iter().find(|pack| pack.name == "workload").unwrap();
        let deployments = workload
            .series
            .iter()
            .any(|series| series.name.starts_with("kube_deployment_"));
        assert_eq!(deployments, kind == TargetKind::Deployment);
    }
}

#[test]
fn a_change_of_an_alert_of_another_kind_is_a_finding() {
    let (path, words) = finding(&signals(&[], &[("DaemonSetPodsMissing", above("1"))]));
    assert_eq!(path, "spec.signals.alerts.DaemonSetPodsMissing");
    assert!(words.contains("a Deployment has no alert"), "{words}");
}

#[test]
fn a_setting_of_the_service_stands_in_expressions_as_its_number() {
    let plan = plan(&Signals::default());
    assert!(
        alert(&plan, "NearSampleLimit").expr.contains("/ 1000 > 0.8")
            || alert(&plan, "NearSampleLimit").expr.contains("/ 1000) > 0.8")
    );
    assert!(!queries(&plan).iter().any(|text| text.contains("sample_limit")));
    let Course::Constant(just_under) = alert(&plan, "NearSampleLimit").silent[0].inputs[0].course else {
        panic!("not constant");
    };
    assert!((just_under - 784.0).abs() < 1e-9, "{just_under}");
}

fn alert_names(pack: &plan::Pack) -> Vec<&str> {
    pack.alerts.iter().map(|alert| alert.name.as_str()).collect()
}

#[test]
fn an_http_service_has_the_signals_of_what_it_is_known_by() {
    let plan = depending(&[
        called("probed", Some("https://a.example.com"), None),
        called("called", None, Some("b.example.com")),
    ]);
    let (probed, called) = (of(&plan, "probed"), of(&plan, "called"));
    assert!(alert_names(probed).contains(&"HttpDependencyDown"));
    assert!(!alert_names(probed).contains(&"HttpDependencyErrors"));
    assert!(alert_names(called).contains(&"HttpDependencyErrors"));
    assert!(!alert_names(called).contains(&"HttpDependencyDown"));
    let down = &probed.alerts[0].expr;
    assert!(
        down.contains(r#"instance="https://a.example.com""#) && down.contains(r#"namespace="monitoring""#),
        "{down}"
    );
    let records = called.records.iter().map(|record| record.expr.as_str());
    for expr in records {
        assert!(expr.contains(r#"server_address="b.example.com""#), "{expr}");
        assert_eq!(prove_namespaced(expr, "prod"), Ok(()), "{expr}");
    }
}

#[test]
fn the_calls_of_two_hosts_are_recorded_and_read_apart() {
    let plan = depending(&[
        called("one", None, Some("one.example.com")),
        called("two", None, Some("two.example.com")),
    ]);
    for (name, other) in [("one", "two"), ("two", "one")] {
        let pack = of(&plan, name);
        let errors = pack.alerts.iter().find(|alert| alert.name == "HttpDependencyErrors");
        let expr = &errors.unwrap().expr;
        assert!(expr.contains(&format!("dependency={name:?}")), "{expr}");
        assert!(!expr.contains(&format!("dependency={other:?}")), "{expr}");
        assert_eq!(pack.records[0].labels["dependency"], name);
    }
}

#[test]
fn a_change_of_an_alert_that_no_http_service_can_have_is_a_finding_and_its_twin_is_none() {
    let slow = signals(&[], &[("HttpDependencySlow", above("3"))]);
    let probed = called("probed", Some("https://a.example.com"), None);
    let both = [probed.clone(), called("called", None, Some("b.example.com"))];
    let planned = |dependencies: &[plan::Dependency]| {
        sample::plan(&Binding {
            dependencies,
            ..sample::binding(&slow)
        })
    };
    let found = planned(&[probed]).unwrap_err();
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].path, "spec.signals.alerts.HttpDependencySlow");
    assert!(
        found[0].message.contains("no dependency of the type HTTP has host"),
        "{found:?}"
    );
    assert!(alert_names(of(&planned(&both).unwrap(), "called")).contains(&"HttpDependencySlow"));
}

#[test]
fn calls_that_the_service_does_not_expose_are_left_out_and_told_and_no_probe_is() {
    let dependencies = [
        called("one", Some("https://one.example.com"), Some("one.example.com")),
        called("two", None, Some("two.example.com")),
    ];
    let signals = Signals::default();
    let seen = |families: &str| {
        let now = exposure::exposed(families);
        sample::plan(&Binding {
            dependencies: &dependencies,
            known: exposure::known(&now, &[], 1),
            ..sample::binding(&signals)
        })
        .unwrap()
    };
    let without = seen("{other_total: {type: counter, labels: []}}");
    let missing = without
        .exposure
        .missing
        .iter()
        .filter(|it| it.pack == "http-dependency");
    let words: Vec<String> = missing.map(plan::MissingSeries::message).collect();
    assert_eq!(words.len(), 1, "{words:?}");
    assert!(
        words[0].contains("http_client_request_duration_seconds is not exposed"),
        "{words:?}"
    );
    assert!(words[0].contains("alert HttpDependencyErrors"), "{words:?}");
    assert!(alert_names(of(&without, "one")).contains(&"HttpDependencyDown"));
    assert_eq!(alert_names(of(&without, "two")), Vec::<&str>::new());
    let of_java = seen(
        "{http_client_requests_seconds: {type: histogram, labels: [client_name, method, outcome, status], bounds: [1]}}",
    );
    assert_eq!(of_java.exposure.dialects["http-dependency"], "micrometer");
    let expr = &of(&of_java, "two").records[0].expr;
    assert!(
        expr.contains(r#"client_name="two.example.com""#) && !expr.contains("server_address"),
        "{expr}"
    );
    let nameless = seen(
        "{http_client_request_duration_seconds: {type: histogram, labels: [http_response_status_code], bounds: [1]}}",
    );
    let lacking: Vec<&str> = nameless.exposure.lacking.iter().map(|it| it.name.as_str()).collect();
    assert!(lacking.contains(&"server_address"), "{lacking:?}");
}
