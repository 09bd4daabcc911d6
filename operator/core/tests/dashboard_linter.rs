//! Every golden dashboard, by the rules of grafana/dashboard-linter that hold for a dashboard about one service.
//!
//! Left out, each for its reason:
//! - `template-job-rule`, `template-instance-rule`: the dashboard is about one service, whose job stands in each query;
//!   recorded series have no instance.
//! - `target-job-rule`, `target-instance-rule`: they ask for the variables of the two rules above.
//! - `target-rate-interval-rule` for a `rate` over a window of `OWN_WINDOWS`, over which a pack defines its signal.
//! - `target-rate-interval-rule` for `increase`: a count over a window that its alert shares ("restarts in 15 minutes")
//!   must not change with the zoom.
//! - `target-logql-rule`, `target-logql-auto-rule`: no panel asks Loki.

// Clippy knows only functions with `#[test]` as tests, and not what they share.
#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods)]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use regex::Regex;
use serde_json::{Value, json};

/// Windows over which packs define rates that are too uneven for a shorter one.
const OWN_WINDOWS: [&str; 2] = ["15m", "30m"];
/// A value of a label, which may hold braces.
static QUOTED: LazyLock<Regex> = LazyLock::new(|| Regex::new(r#""(?:[^"\\]|\\.)*""#).unwrap());
/// A counter's range, and the function over it.
static RANGE: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"\b(?:rate|irate)\([\w:]+(?:\{[^{}]*\})?\[([^\]]*)\]").unwrap());
/// The series whose label a variable takes.
static LABEL_VALUES: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"^label_values\((.+), \w+\)$").unwrap());
/// What ends in `_total`, and the function over it.
static TOTAL: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"(?:\b(\w+)\()?([\w:]+_total)\b(?:[{\[)\s]|$)").unwrap());

/// The golden dashboards, each with the name of its case.
fn dashboards() -> Vec<(String, Value)> {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut found = Vec::new();
    for case in fs::read_dir(golden).unwrap().map(|entry| entry.unwrap().path()) {
        let Ok(text) = fs::read_to_string(case.join("expected/dashboard.yaml")) else {
            continue;
        };
        let config_map: Value = serde_yaml::from_str(&text).unwrap();
        for json in config_map["data"].as_object().unwrap().values() {
            let dashboard = serde_json::from_str(json.as_str().unwrap()).unwrap();
            found.push((case.file_name().unwrap().to_string_lossy().into_owned(), dashboard));
        }
    }
    found
}

/// Every panel that is no row, those in closed rows too.
fn panels(dashboard: &Value) -> Vec<&Value> {
    let top = dashboard["panels"].as_array().unwrap().iter();
    top.flat_map(|panel| std::iter::once(panel).chain(panel["panels"].as_array().into_iter().flatten()))
        .filter(|panel| panel["type"] != "row")
        .collect()
}

fn blank(value: &Value) -> bool {
    value.as_str().is_none_or(|text| text.trim().is_empty())
}

/// The rules that a dashboard breaks.
fn broken(dashboard: &Value) -> BTreeSet<&'static str> {
    let mut broken = BTreeSet::new();
    let variables = dashboard["templating"]["list"].as_array().unwrap();
    let chooses = |variable: &Value| {
        variable["type"] == "datasource" && variable["query"] == "prometheus" && variable["name"] == "datasource"
    };
    if !variables.iter().any(chooses) {
        broken.insert("template-datasource-rule");
    }
    for variable in variables.iter().filter(|variable| variable["type"] == "query") {
        let query = variable["query"]["query"].as_str().unwrap();
        let asked = LABEL_VALUES.captures(query).map(|found| found[1].to_owned());
        if asked.is_none_or(|selector| promql_parser::parser::parse(&selector).is_err()) {
            broken.insert("template-label-promql-rule");
        }
        if variable["refresh"] != 2 {
            broken.insert("template-on-time-change-reload-rule");
        }
    }
    if dashboard["editable"] != false {
        broken.insert("uneditable-dashboard-rule");
    }
    for marks in dashboard["annotations"]["list"].as_array().unwrap() {
        broken.extend(broken_by(marks["expr"].as_str().unwrap()));
    }
    for panel in panels(dashboard) {
        if panel["datasource"]["uid"] != "${datasource}" {
            broken.insert("panel-datasource-rule");
        }
        if blank(&panel["title"]) || blank(&panel["description"]) {
            broken.insert("panel-title-description-rule");
        }
        if blank(&panel["fieldConfig"]["defaults"]["unit"]) {
            broken.insert("panel-units-rule");
        }
        let targets = panel["targets"].as_array().map_or(&[][..], Vec::as_slice);
        if targets.is_empty() {
            broken.insert("panel-no-targets-rule");
        }
        for target in targets {
            broken.extend(broken_by(target["expr"].as_str().unwrap()));
        }
    }
    broken
}

/// The rules that a query breaks.
fn broken_by(expr: &str) -> BTreeSet<&'static str> {
    let mut broken = BTreeSet::new();
    let asked = expr.replace("$__rate_interval", "5m").replace("$__interval", "1m");
    if promql_parser::parser::parse(&asked).is_err() {
        broken.insert("target-promql-rule");
    }
    let expr = QUOTED.replace_all(expr, "");
    let expr = expr.as_ref();
    let fits = |window: &str| window == "$__rate_interval" || OWN_WINDOWS.contains(&window);
    if RANGE.captures_iter(expr).any(|range| !fits(&range[1])) {
        broken.insert("target-rate-interval-rule");
    }
    // A counter is what ends in `_total` and is not recorded: recorded names have colons.
    let rated = |function: &str| matches!(function, "rate" | "irate" | "increase");
    if TOTAL
        .captures_iter(expr)
        .any(|counter| !counter[2].contains(':') && !counter.get(1).is_some_and(|function| rated(function.as_str())))
    {
        broken.insert("target-counter-agg-rule");
    }
    broken
}

#[test]
fn every_golden_dashboard_keeps_the_rules_of_the_dashboard_linter() {
    let dashboards = dashboards();
    assert!(
        dashboards.iter().any(|(case, _)| case == "sample"),
        "no dashboard was read"
    );
    let broken: Vec<_> = dashboards
        .iter()
        .map(|(case, dashboard)| (case, broken(dashboard)))
        .filter(|(_, broken)| !broken.is_empty())
        .collect();
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn a_dashboard_that_breaks_a_rule_is_noticed() {
    let wrong: [(&str, &str, Value); 15] = [
        ("template-datasource-rule", "/templating/list/0/query", json!("loki")),
        (
            "template-label-promql-rule",
            "/templating/list/3/query/query",
            json!("label_values(up{, pod)"),
        ),
        (
            "template-on-time-change-reload-rule",
            "/templating/list/3/refresh",
            json!(1),
        ),
        ("uneditable-dashboard-rule", "/editable", json!(true)),
        ("panel-datasource-rule", "/panels/1/datasource/uid", json!("P1")),
        ("panel-title-description-rule", "/panels/1/title", json!("")),
        ("panel-title-description-rule", "/panels/1/description", json!(" ")),
        ("panel-units-rule", "/panels/1/fieldConfig/defaults/unit", Value::Null),
        ("panel-no-targets-rule", "/panels/1/targets", json!([])),
        ("target-promql-rule", "/panels/1/targets/0/expr", json!("sum(up")),
        (
            "target-promql-rule",
            "/annotations/list/0/expr",
            json!("ALERTS{service}"),
        ),
        (
            "target-rate-interval-rule",
            "/panels/1/targets/0/expr",
            json!("rate(a_total{b=~\"c{2}\"}[5m])"),
        ),
        (
            "target-counter-agg-rule",
            "/panels/1/targets/0/expr",
            json!("sum(a_total{b=~\"c{2}\"})"),
        ),
        ("target-counter-agg-rule", "/panels/1/targets/0/expr", json!("a_total")),
        (
            "target-counter-agg-rule",
            "/panels/1/targets/0/expr",
            json!("max(a_total)"),
        ),
    ];
    let (_, sample) = dashboards().into_iter().find(|(case, _)| case == "sample").unwrap();
    for (rule, place, value) in wrong {
        let mut dashboard = sample.clone();
        *dashboard.pointer_mut(place).unwrap() = value.clone();
        assert_eq!(broken(&dashboard), BTreeSet::from([rule]), "{place} = {value}");
    }
}

#[test]
fn every_window_that_is_left_out_is_one_that_a_golden_dashboard_has() {
    let dashboards = dashboards();
    let targets = dashboards
        .iter()
        .flat_map(|(_, dashboard)| panels(dashboard))
        .flat_map(|panel| panel["targets"].as_array().unwrap());
    let mut windows = BTreeSet::new();
    for target in targets {
        let expr = QUOTED.replace_all(target["expr"].as_str().unwrap(), "").into_owned();
        windows.extend(RANGE.captures_iter(&expr).map(|range| range[1].to_owned()));
    }
    for window in OWN_WINDOWS {
        assert!(windows.contains(window), "{window} of {windows:?}");
    }
}
