use std::collections::BTreeSet;

use super::*;

fn panel(kind: PanelKind, title: &str, thresholds: &[Threshold]) -> Panel {
    Panel {
        kind,
        title: title.into(),
        description: "What it tells.".into(),
        unit: Unit::Ratio,
        queries: vec![Query {
            expr: "sum(rate(a[$__rate_interval]))".into(),
            legend: "{{status}}".into(),
            step_seconds: 30,
        }],
        min: Some(0.0),
        max: None,
        thresholds: thresholds.to_vec(),
        links: vec![],
        row_link: None,
    }
}

fn dashboard(rows: Vec<Row>) -> Value {
    let dashboard = Dashboard {
        uid: uid(&["prod", "api"]),
        title: "prod / api".into(),
        description: String::new(),
        tags: vec![],
        refresh: "30s".into(),
        variables: vec![],
        links: vec![],
        annotations: vec![],
        rows,
    };
    serde_json::to_value(dashboard).unwrap()
}

fn row(kind: PanelKind, panels: usize) -> Row {
    Row {
        title: "Row".into(),
        closed: false,
        panels: (0..panels).map(|n| panel(kind, &format!("Panel {n}"), &[])).collect(),
    }
}

fn limit(value: f64, above: bool, color: Color) -> Threshold {
    Threshold { value, above, color }
}

/// Every panel, those in closed rows too.
fn all(dashboard: &Value) -> Vec<&Value> {
    let top = dashboard["panels"].as_array().unwrap();
    top.iter()
        .flat_map(|panel| std::iter::once(panel).chain(panel["panels"].as_array().into_iter().flatten()))
        .collect()
}

#[test]
fn a_uid_is_stable_tells_dashboards_apart_and_is_one_that_grafana_takes() {
    assert_eq!(uid(&["prod", "api"]), uid(&["prod", "api"]));
    let distinct: BTreeSet<_> = [
        uid(&["prod", "api"]),
        uid(&["prod-api"]),
        uid(&["pro", "dapi"]),
        uid(&["dev", "api"]),
    ]
    .into();
    assert_eq!(distinct.len(), 4);
    for uid in distinct {
        assert!(
            uid.len() <= 40 && uid.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'),
            "{uid}"
        );
    }
}

#[test]
fn no_text_becomes_a_variable() {
    for hostile in ["$datasource", "${datasource}", "[[datasource]]", "a $__all b", "$$x"] {
        let plain = plain(hostile);
        let named = |sign: char, next: char| sign == '$' && (next.is_alphanumeric() || matches!(next, '_' | '{'));
        let pairs = || plain.chars().zip(plain.chars().skip(1));
        assert!(!pairs().any(|(a, b)| named(a, b) || (a, b) == ('[', '[')), "{plain}");
        let visible: String = plain.chars().filter(|c| *c != '\u{2060}').collect();
        assert_eq!(visible, hostile, "it reads as before");
    }
    assert_eq!(plain("Error ratio, 95 %"), "Error ratio, 95 %");
    assert_eq!(plain("a\nb\u{7}"), "a b ");
}

#[test]
fn panels_have_distinct_ids_fill_their_lines_and_never_overlap() {
    let rows = vec![
        row(PanelKind::Stat, 8),
        row(PanelKind::Timeseries, 5),
        row(PanelKind::Timeseries, 1),
    ];
    let dashboard = dashboard(rows);
    let panels = all(&dashboard);
    let ids: BTreeSet<_> = panels.iter().map(|panel| panel["id"].as_u64().unwrap()).collect();
    assert_eq!((panels.len(), ids.len()), (17, 17));
    let mut taken = BTreeSet::new();
    for panel in &panels {
        let place = |key: &str| panel["gridPos"][key].as_u64().unwrap();
        for x in place("x")..place("x") + place("w") {
            for y in place("y")..place("y") + place("h") {
                assert!(x < 24 && taken.insert((x, y)), "two panels at {x}, {y}");
            }
        }
    }
    let lines = taken.iter().map(|(_, y)| y).max().unwrap() + 1;
    assert_eq!(taken.len() as u64, 24 * lines, "a hole");
}

#[test]
fn a_row_without_panels_is_left_out() {
    assert_eq!(
        all(&dashboard(vec![row(PanelKind::Stat, 0), row(PanelKind::Stat, 1)])).len(),
        2
    );
}

#[test]
fn rows_that_would_send_too_many_queries_are_closed() {
    let dashboard = dashboard(vec![row(PanelKind::Timeseries, 20), row(PanelKind::Timeseries, 17)]);
    let closed: Vec<_> = dashboard["panels"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|panel| panel["type"] == "row")
        .map(|row| {
            (
                row["collapsed"].as_bool().unwrap(),
                row["panels"].as_array().unwrap().len(),
            )
        })
        .collect();
    assert_eq!(closed, [(false, 0), (true, 17)]);
}

#[test]
fn a_closed_row_sends_no_query_and_so_closes_no_other() {
    let closed = Row {
        closed: true,
        ..row(PanelKind::Timeseries, 40)
    };
    let dashboard = dashboard(vec![closed, row(PanelKind::Timeseries, 1)]);
    let rows = dashboard["panels"].as_array().unwrap().iter();
    let states: Vec<_> = rows
        .filter(|panel| panel["type"] == "row")
        .map(|row| row["collapsed"].clone())
        .collect();
    assert_eq!(states, [true, false]);
}

#[test]
fn a_query_names_the_viewers_datasource_and_the_shortest_step() {
    let dashboard = dashboard(vec![row(PanelKind::Timeseries, 1)]);
    let panel = all(&dashboard)[1];
    let target = &panel["targets"][0];
    assert_eq!(target["expr"], "sum(rate(a[$__rate_interval]))");
    assert_eq!(
        (&target["interval"], &target["refId"], &target["legendFormat"]),
        (&"30s".into(), &"A".into(), &"{{status}}".into())
    );
    assert_eq!(
        (&panel["datasource"]["uid"], &target["datasource"]["uid"]),
        (&"${datasource}".into(), &"${datasource}".into())
    );
    assert_eq!(dashboard["templating"]["list"][0]["name"], "datasource");
}

fn steps(kind: PanelKind, thresholds: &[Threshold]) -> Vec<(Option<f64>, String)> {
    let dashboard = dashboard(vec![Row {
        title: "Row".into(),
        closed: false,
        panels: vec![panel(kind, "Panel", thresholds)],
    }]);
    let steps = all(&dashboard)[1]["fieldConfig"]["defaults"]["thresholds"]["steps"].clone();
    let steps = steps.as_array().unwrap().iter();
    steps
        .map(|step| (step["value"].as_f64(), step["color"].as_str().unwrap().to_owned()))
        .collect()
}

fn step(value: Option<f64>, color: &str) -> (Option<f64>, String) {
    (value, color.to_owned())
}

#[test]
fn a_threshold_is_a_line_in_its_colour_whichever_side_is_wrong() {
    for above in [true, false] {
        let steps = steps(PanelKind::Timeseries, &[limit(0.05, above, Color::Red)]);
        assert_eq!(steps, [step(None, "green"), step(Some(0.05), "red")]);
    }
    let thresholds = [limit(0.05, true, Color::Red)];
    for (thresholds, lines) in [(&thresholds[..], "line"), (&[], "off")] {
        let dashboard = dashboard(vec![Row {
            title: "Row".into(),
            closed: false,
            panels: vec![panel(PanelKind::Timeseries, "Panel", thresholds)],
        }]);
        let style = &all(&dashboard)[1]["fieldConfig"]["defaults"]["custom"]["thresholdsStyle"]["mode"];
        assert_eq!(style, lines);
    }
}

#[test]
fn a_number_is_coloured_by_what_is_wrong_at_its_value() {
    let above = [limit(0.05, true, Color::Red), limit(0.01, true, Color::Orange)];
    assert_eq!(
        steps(PanelKind::Stat, &above),
        [
            step(None, "green"),
            step(Some(0.010_000_000_01), "orange"),
            step(Some(0.050_000_000_05), "red")
        ]
    );
    let below = [limit(0.5, false, Color::Red), limit(0.9, false, Color::Orange)];
    assert_eq!(
        steps(PanelKind::Stat, &below),
        [step(None, "red"), step(Some(0.5), "orange"), step(Some(0.9), "green")]
    );
}

#[test]
fn a_number_that_is_just_at_the_limit_of_an_alert_is_not_coloured_as_if_it_fired() {
    for thresholds in [
        &[limit(0.0, true, Color::Red)][..],
        &[limit(-2.0, true, Color::Red), limit(3.0, true, Color::Orange)],
        &[limit(1.0, false, Color::Red)],
        &[limit(0.0, false, Color::Orange), limit(5e9, true, Color::Red)],
    ] {
        let steps = steps(PanelKind::Stat, thresholds);
        for value in thresholds
            .iter()
            .flat_map(|limit| [limit.value - 1.0, limit.value, limit.value + 10.0])
        {
            // Grafana takes the last step that begins at the value or before it.
            let mut begun = steps.iter().filter(|(from, _)| from.is_none_or(|from| value >= from));
            let shown = begun.next_back().map(|(_, color)| color.as_str());
            assert_eq!(
                shown,
                Some(meaning(thresholds, value).as_str()),
                "{value} of {thresholds:?}"
            );
        }
    }
}

#[test]
fn a_threshold_that_is_no_number_draws_nothing() {
    assert_eq!(
        steps(PanelKind::Stat, &[limit(f64::NAN, true, Color::Red)]),
        [step(None, "text")]
    );
}
