#![allow(clippy::needless_pass_by_value)] // values are written where they are passed

use serde_json::{Value, json};

use super::*;
use crate::child::Body;
use crate::facts::Facts;
use crate::packs::Packs;

fn plan(dashboards: Value) -> Plan {
    let facts: Facts = serde_json::from_value(json!({
        "namespace": "prod", "name": "api", "uid": "owner-1",
        "target": {"name": "api", "replicas": 1, "containers": [{"name": "api", "ports": [{"name": "http", "port": 8000}]}]},
    }))
    .unwrap();
    let spec = json!({"targetRef": {"name": "api"}, "signals": {"packs": []}, "dashboards": dashboards});
    let mut plan = crate::resolve::resolve(&serde_json::from_value(spec).unwrap(), &facts, &Packs::default()).unwrap();
    plan.packs = vec![pack("http", "Requests"), pack("target", "Scrape")];
    plan
}

fn pack(name: &str, title: &str) -> plan::Pack {
    let query = plan::PanelQuery {
        expr: format!("sum(rate({name}_total{{namespace=\"prod\"}}[$__rate_interval]))"),
        legend: "{{status}}".into(),
        step_seconds: 30,
    };
    let panel = |title: &str, overview: bool| plan::Panel {
        title: title.into(),
        description: "What it tells.".into(),
        unit: Unit::Ratio,
        queries: vec![query.clone()],
        min: Some(0.0),
        max: None,
        thresholds: vec![plan::Threshold {
            value: 0.05,
            above: true,
            severity: Severity::Critical,
        }],
        overview: overview.then(|| query.clone()).into_iter().collect(),
        alerts: vec!["HighErrorRate".into()],
    };
    plan::Pack {
        name: name.into(),
        title: title.into(),
        dependency: None,
        series: vec![],
        records: vec![],
        alerts: vec![],
        panels: vec![panel("Rate", true), panel("Other", false)],
        indicators: vec![],
        priced: vec![],
    }
}

fn config_map(plan: &Plan) -> Value {
    match &Dashboard.render(plan)[0].body {
        Body::Owned(object) => object.clone(),
        Body::Gift(_) | Body::TakeBack(_) | Body::Will(_) => panic!("a dashboard is ours"),
    }
}

fn shown(plan: &Plan) -> Value {
    serde_json::from_str(config_map(plan)["data"]["prod.api.json"].as_str().unwrap()).unwrap()
}

#[test]
fn the_config_map_is_found_by_the_sidecar_in_the_folder_that_is_asked_for() {
    let object = config_map(&plan(json!({"folder": "Team A"})));
    let metadata = &object["metadata"];
    assert_eq!(
        (&object["kind"], &metadata["name"]),
        (&json!("ConfigMap"), &json!("api-dashboard"))
    );
    assert_eq!(metadata["labels"]["grafana_dashboard"], "1");
    assert_eq!(metadata["annotations"]["grafana_folder"], "Team A");
    let object = config_map(&plan(json!({"labels": {"dash": "yes"}})));
    assert_eq!(object["metadata"]["labels"]["dash"], "yes");
    assert_eq!(object["metadata"]["labels"]["grafana_dashboard"], Value::Null);
    assert_eq!(object["metadata"]["annotations"]["grafana_folder"], Value::Null);
}

#[test]
fn alerts_that_fire_are_marked_on_every_panel() {
    let shown = shown(&plan(json!({})));
    let marks = &shown["annotations"]["list"];
    assert_eq!(
        marks[0]["expr"],
        "ALERTS{alertstate=\"firing\",namespace=\"prod\",service=\"api\"}"
    );
    assert_eq!(marks[0]["enable"], true);
    assert_eq!(marks[0]["datasource"]["uid"], "${datasource}");
}

#[test]
fn that_no_alert_fires_is_a_number_and_not_nothing() {
    let shown = shown(&plan(json!({})));
    let firing = "ALERTS{alertstate=\"firing\",namespace=\"prod\",service=\"api\"}";
    let expr = |panel: usize| shown["panels"][panel]["targets"][0]["expr"].clone();
    assert_eq!(expr(1), format!("count({firing}) or vector(0)"));
    assert_eq!(
        expr(4),
        format!("max by (alertname, severity, role, dependency) ({firing})")
    );
    let target = &shown["panels"][4]["targets"][0];
    assert_eq!(
        (&target["instant"], &target["range"], &target["format"]),
        (&json!(true), &json!(false), &json!("table"))
    );
}

#[test]
fn rollouts_of_the_workload_are_marked_by_its_own_kind_and_name() {
    let mut plan = plan(json!({}));
    let marked = |plan: &Plan| shown(plan)["annotations"]["list"][1]["expr"].clone();
    assert_eq!(
        marked(&plan),
        "(kube_replicaset_spec_replicas{namespace=\"prod\"} > 0 unless on (namespace, replicaset) \
         kube_replicaset_spec_replicas{namespace=\"prod\"} offset 2m > 0) and on (namespace, replicaset) \
         kube_replicaset_owner{namespace=\"prod\",owner_kind=\"Deployment\",owner_name=\"api\"}"
    );
    plan.target.kind = TargetKind::StatefulSet;
    plan.target.name = "db".into();
    let revision = "kube_statefulset_status_update_revision{namespace=\"prod\",statefulset=\"db\"}";
    assert_eq!(marked(&plan), format!("{revision} unless {revision} offset 2m"));
    plan.target.kind = TargetKind::DaemonSet;
    assert_eq!(
        marked(&plan),
        "changes(kube_daemonset_metadata_generation{namespace=\"prod\",daemonset=\"db\"}[2m]) > 0"
    );
}

#[test]
fn the_viewer_chooses_among_the_pods_of_the_service_and_no_other() {
    let shown = shown(&plan(json!({})));
    let variables = shown["templating"]["list"].as_array().unwrap();
    let names: Vec<_> = variables.iter().map(|variable| variable["name"].clone()).collect();
    assert_eq!(names, ["datasource", "namespace", "service", "pod"]);
    assert_eq!(
        variables[3]["query"]["query"],
        "label_values(up{job=\"api\",namespace=\"prod\"}, pod)"
    );
}

#[test]
fn the_pages_that_are_given_are_linked_and_no_others() {
    let mut plan = plan(json!({"logsURL": "https://logs.example.org/?app=${service}"}));
    let links = |plan: &Plan| {
        let links = shown(plan)["links"].as_array().unwrap().clone();
        let link = |link: &Value| (link["title"].clone(), link["url"].clone());
        links.iter().map(link).collect::<Vec<_>>()
    };
    let logs = (json!("Logs"), json!("https://logs.example.org/?app=${service}"));
    assert_eq!(links(&plan), [logs]);
    plan.dashboard.runbooks_url = Some("https://runbooks.example.org".into());
    plan.dashboard.logs_url = None;
    assert_eq!(
        links(&plan),
        [(json!("Runbooks"), json!("https://runbooks.example.org"))]
    );
}

#[test]
fn every_panel_leads_to_the_runbooks_of_its_alerts_and_to_the_logs() {
    let mut plan = plan(json!({"logsURL": "https://logs.example.org/?app=${service}"}));
    plan.dashboard.runbooks_url = Some("https://runbooks.example.org/".into());
    let links = |panel: &Value| {
        let links = panel["links"].as_array().into_iter().flatten();
        links
            .map(|link| link["url"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let logs = "https://logs.example.org/?app=${service}";
    let with = shown(&plan);
    let panels = with["panels"].as_array().unwrap().iter();
    for panel in panels.filter(|panel| panel["type"] != "row") {
        let runbook = match panel["title"].as_str().unwrap() {
            "Rate" | "Other" => "https://runbooks.example.org/HighErrorRate",
            _ => "https://runbooks.example.org/",
        };
        assert_eq!(links(panel), [runbook, logs], "{}", panel["title"]);
    }
    // Which alerts fire: each line has its own.
    assert_eq!(
        with["panels"][4]["fieldConfig"]["defaults"]["links"][0]["url"],
        "https://runbooks.example.org/${__data.fields.alertname}"
    );
    plan.dashboard.runbooks_url = None;
    plan.dashboard.logs_url = None;
    let without = shown(&plan);
    assert!(
        without["panels"]
            .as_array()
            .unwrap()
            .iter()
            .all(|panel| links(panel).is_empty())
    );
    assert_eq!(without["panels"][4]["fieldConfig"]["defaults"]["links"], Value::Null);
}

#[test]
fn the_row_of_a_dependency_is_closed_and_the_others_are_open() {
    let mut plan = plan(json!({}));
    let closed = |plan: &Plan| {
        let shown = shown(plan);
        let rows = shown["panels"].as_array().unwrap().iter();
        rows.filter(|panel| panel["type"] == "row")
            .map(|row| row["collapsed"].as_bool().unwrap())
            .collect::<Vec<_>>()
    };
    assert_eq!(closed(&plan), [false, false, false]);
    plan.packs[1].dependency = Some(plan::Dependency {
        name: "db".into(),
        kind: observed_crds::v1alpha1::DependencyType::PostgreSQL,
        exporter: None,
        host: None,
    });
    assert_eq!(closed(&plan), [false, false, true]);
}

#[test]
fn the_first_row_is_the_overview_and_every_pack_has_one() {
    let shown = shown(&plan(json!({})));
    let titles: Vec<_> = shown["panels"]
        .as_array()
        .unwrap()
        .iter()
        .map(|panel| (panel["type"].as_str().unwrap(), panel["title"].as_str().unwrap()))
        .collect();
    assert_eq!(
        titles,
        [
            ("row", "Overview"),
            ("stat", "Alerts firing"),
            ("stat", "Rate"),
            ("stat", "Rate"),
            ("table", "Which alerts fire"),
            ("row", "Requests"),
            ("timeseries", "Rate"),
            ("timeseries", "Other"),
            ("row", "Scrape"),
            ("timeseries", "Rate"),
            ("timeseries", "Other"),
        ]
    );
}

#[test]
fn objectives_have_a_row_after_the_overview_and_their_budget_in_it() {
    let mut plan = plan(json!({}));
    let mut objective = pack("availability", "Objectives");
    objective.panels[0].title = "Budget".into();
    plan.objectives = vec![plan::Objective {
        metrics: Vec::new(),
        name: "availability".into(),
        records: vec![],
        alerts: vec![],
        panels: objective.panels,
    }];
    let shown = shown(&plan);
    let titles: Vec<_> = shown["panels"]
        .as_array()
        .unwrap()
        .iter()
        .map(|panel| panel["title"].clone())
        .collect();
    assert_eq!(
        titles[..9],
        [
            "Overview",
            "Alerts firing",
            "Rate",
            "Rate",
            "Budget",
            "Which alerts fire",
            "Objectives",
            "Budget",
            "Other"
        ]
    );
}

#[test]
fn the_threshold_of_an_alert_is_a_line_in_the_colour_of_its_severity() {
    let shown = shown(&plan(json!({})));
    let defaults = &shown["panels"][6]["fieldConfig"]["defaults"];
    assert_eq!(
        defaults["thresholds"]["steps"][1],
        json!({"color": "red", "value": 0.05})
    );
    assert_eq!(defaults["unit"], "percentunit");
}

#[test]
fn two_services_have_different_files_and_uids() {
    let one = plan(json!({}));
    let mut other = one.clone();
    other.owner.namespace = "dev".into();
    assert_ne!(
        shown(&one)["uid"],
        serde_json::from_str::<Value>(config_map(&other)["data"]["dev.api.json"].as_str().unwrap()).unwrap()["uid"]
    );
}

#[test]
fn hostile_text_stays_text() {
    let mut plan = plan(json!({"folder": "\"}{{`\u{1f600}"}));
    let hostile = "\"\n{{ .Evil }}`$datasource[[datasource]]\u{0}\u{1f600}";
    plan.packs[0].title = hostile.into();
    plan.packs[0].panels[0].title = hostile.into();
    plan.packs[0].panels[0].description = hostile.into();
    let shown = shown(&plan);
    let title = shown["panels"][2]["title"].as_str().unwrap();
    assert!(
        title.contains("{{ .Evil }}`") && !title.contains("$datasource") && !title.contains("[["),
        "{title:?}"
    );
}

#[test]
fn a_dashboard_that_does_not_fit_says_what_is_left_out() {
    let whole = dashboard(&plan(json!({})));
    let file = format!("{}\n", serde_json::to_string(&whole).unwrap());
    let size = file.len();
    assert_eq!(text(whole.clone(), size), file);
    let less: Value = serde_json::from_str(&text(whole, size - 1)).unwrap();
    assert!(
        less["description"]
            .as_str()
            .unwrap()
            .contains("last 1 rows are left out"),
        "{}",
        less["description"]
    );
    assert!(less.to_string().len() < size);
}

#[test]
fn only_disks_have_operations_of_input_and_output() {
    assert_eq!(unit(Unit::OperationsPerSecond).id(), "ops");
    assert_eq!(unit(Unit::DiskOperationsPerSecond).id(), "iops");
}
