use super::*;
use crate::grafana::{Annotation, Color, Panel, PanelKind, Query, Row, Threshold, Unit, Values};

const EXPR: &str = "sum(rate(a_total[$__rate_interval]))";
const FIRING: &str = "ALERTS{alertstate=\"firing\"}";

pub(super) fn panel(title: &str) -> Panel {
    Panel {
        kind: PanelKind::Timeseries,
        title: title.into(),
        description: "What it tells.".into(),
        unit: Unit::Ratio,
        queries: vec![Query {
            expr: EXPR.into(),
            legend: "{{status}}".into(),
            step_seconds: 30,
        }],
        min: Some(0.0),
        max: None,
        thresholds: vec![Threshold {
            value: 0.05,
            above: true,
            color: Color::Red,
        }],
        links: vec![],
        row_link: None,
    }
}

fn dashboard(panels: Vec<Panel>) -> Dashboard {
    Dashboard {
        uid: "obs-1".into(),
        title: "prod / api".into(),
        description: String::new(),
        tags: vec![],
        refresh: "30s".into(),
        variables: vec![],
        links: vec![],
        annotations: vec![Annotation {
            name: "Alerts firing".into(),
            expr: FIRING.into(),
            title: "{{alertname}}".into(),
            color: Color::Red,
        }],
        rows: vec![Row {
            title: "Requests".into(),
            closed: false,
            panels,
        }],
    }
}

/// What is asked for a panel.
fn question() -> String {
    asked(&dashboard(vec![]), &panel("").queries[0], &SPAN)
}

const SPAN: Span = Span {
    start: 0,
    end: 300,
    step: 30,
    clock: Clock::Start,
};

fn series(labels: &[(&str, &str)], points: &[(i64, f64)]) -> Series {
    Series {
        labels: labels
            .iter()
            .map(|(label, value)| ((*label).to_owned(), (*value).to_owned()))
            .collect(),
        points: points.to_vec(),
    }
}

/// The page of one panel, whose query and marks are answered so.
fn drawn(panel: Panel, answer: Answer, firing: Answer) -> String {
    let dashboard = dashboard(vec![panel]);
    let mut answers = Answers::from([(FIRING.to_owned(), firing)]);
    answers.insert(question(), answer);
    assert_eq!(questions(&dashboard, &SPAN), answers.keys().cloned().collect());
    page(&dashboard, &SPAN, &answers, "Drill: x")
}

#[test]
fn grafanas_variables_become_what_grafana_puts_for_them() {
    let mut dashboard = dashboard(vec![]);
    dashboard.variables = vec![Variable {
        name: "pod".into(),
        label: "Pod".into(),
        values: Values::Label {
            label: "pod".into(),
            of: "up".into(),
        },
    }];
    let asked = |step, step_seconds| {
        let query = Query {
            expr: "rate(a{pod=~\"$pod\"}[$__rate_interval]) + b[$__interval]".into(),
            legend: String::new(),
            step_seconds,
        };
        asked(&dashboard, &query, &Span { step, ..SPAN })
    };
    assert_eq!(asked(15, 30), "rate(a{pod=~\".*\"}[2m]) + b[30s]");
    assert_eq!(asked(300, 30), "rate(a{pod=~\".*\"}[5m30s]) + b[5m]");
}

#[test]
fn a_table_has_the_labels_of_what_is_there_at_the_end() {
    let table = || Panel {
        kind: PanelKind::Table,
        ..panel("Which alerts fire")
    };
    let alert = |name: &str, last| {
        series(
            &[("alertname", name), ("severity", "critical")],
            &[(0, 1.0), (last, 1.0)],
        )
    };
    let page = drawn(table(), Ok(vec![alert("Now", 300), alert("Before", 270)]), Ok(vec![]));
    assert!(page.contains("<tr><th>alertname</th><th>severity</th></tr>"), "{page}");
    assert!(page.contains("<tr><td>Now</td><td>critical</td></tr>") && !page.contains("Before"));
    let page = drawn(table(), Ok(vec![alert("Before", 270)]), Ok(vec![]));
    assert!(page.contains("no data at the end of this time") && !page.contains("Before"));
}

#[test]
fn a_line_is_drawn_with_its_name_its_last_value_and_the_threshold() {
    let line = series(&[("status", "500")], &[(0, 0.0), (30, 0.02), (60, 0.08)]);
    let page = drawn(panel("Errors"), Ok(vec![line]), Ok(vec![]));
    for part in [
        "<path class=\"line\" d=\"M0 ",
        "<td>500</td><td>8%</td><td>8%</td>",
        "alert above 5%",
        "<line class=\"threshold\"",
        "stroke=\"red\"",
        ">8%</text>",
        ">5m</text>",
        "Alerts firing: none in this time.",
    ] {
        assert!(page.contains(part), "{part} in {page}");
    }
    assert!(!page.contains("no data") && !page.contains("class=\"mark\""));
}

#[test]
fn where_there_is_no_value_the_panel_says_so_and_draws_no_axis() {
    for kind in [PanelKind::Timeseries, PanelKind::Stat] {
        for answer in [vec![], vec![series(&[], &[])]] {
            let page = drawn(
                Panel {
                    kind,
                    ..panel("Errors")
                },
                Ok(answer),
                Ok(vec![]),
            );
            assert!(
                page.contains("<p class=\"none\">no data</p>") && !page.contains("<svg"),
                "{page}"
            );
        }
    }
}

#[test]
fn a_query_that_failed_is_told_and_is_not_no_answer() {
    let page = drawn(panel("Errors"), Err("too many samples".into()), Err("no rules".into()));
    assert!(page.contains("The query failed: too many samples"));
    assert!(page.contains("Alerts firing: the query failed: no rules"));
    let page = super::page(&dashboard(vec![panel("Errors")]), &SPAN, &Answers::new(), "x");
    assert!(page.contains("The query failed: it was not asked"));
}

#[test]
fn an_alert_that_fires_is_marked_for_as_long_as_it_does() {
    let firing = series(&[("alertname", "HighErrorRate")], &[(60, 1.0), (90, 1.0), (240, 1.0)]);
    let line = || Ok(vec![series(&[], &[(0, 0.0), (300, 0.0)])]);
    let page = drawn(panel("Errors"), line(), Ok(vec![firing]));
    assert!(page.contains("Alerts firing: HighErrorRate, 1m to 1m30s."), "{page}");
    assert!(page.contains("Alerts firing: HighErrorRate, 4m to 4m."));
    assert_eq!(page.matches("class=\"mark\"").count(), 2);
    assert_eq!(
        drawn(panel("Errors"), line(), Ok(vec![]))
            .matches("class=\"mark\"")
            .count(),
        0
    );
}

#[test]
fn a_number_has_the_colour_of_what_is_wrong_at_it() {
    let stat = || Panel {
        kind: PanelKind::Stat,
        ..panel("Errors")
    };
    let shown = |value| {
        drawn(
            stat(),
            Ok(vec![series(&[], &[(0, 0.5), (30, value), (60, f64::NAN)])]),
            Ok(vec![]),
        )
    };
    assert!(shown(0.06).contains("style=\"color: red\">6%"));
    assert!(shown(0.04).contains("style=\"color: green\">4%"));
}

#[test]
fn a_number_is_named_where_labels_tell_what_it_is_of() {
    let shown = |legend: &str| {
        let mut stat = Panel {
            kind: PanelKind::Stat,
            ..panel("Images")
        };
        stat.queries[0].legend = legend.into();
        drawn(
            stat,
            Ok(vec![series(&[("image", "api:1.4.2")], &[(0, 0.5)])]),
            Ok(vec![]),
        )
    };
    assert!(shown("{{image}}").contains("<p class=\"help\">api:1.4.2</p>"));
    assert!(!shown("half").contains("<p class=\"help\">half</p>"));
}

#[test]
fn a_number_that_is_not_of_the_end_says_when_it_was_seen() {
    let stat = || Panel {
        kind: PanelKind::Stat,
        ..panel("Errors")
    };
    let shown = |second| drawn(stat(), Ok(vec![series(&[], &[(second, 0.5)])]), Ok(vec![]));
    assert!(shown(240).contains("last seen at 4m"));
    assert!(!shown(300).contains("last seen at"));
}

#[test]
fn text_of_the_user_stays_text_and_the_page_may_load_and_run_nothing() {
    let hostile = "\"'><script>alert(1)</script><img src=x onerror=y>&amp;";
    let mut panel = panel(hostile);
    panel.description = hostile.into();
    let line = series(&[("status", hostile)], &[(0, 0.1), (30, 0.2)]);
    let firing = series(&[("alertname", hostile)], &[(0, 1.0)]);
    let mut dashboard = dashboard(vec![panel]);
    (dashboard.title, dashboard.rows[0].title) = (hostile.into(), hostile.into());
    let answers = Answers::from([(question(), Ok(vec![line])), (FIRING.to_owned(), Ok(vec![firing]))]);
    let page = page(&dashboard, &SPAN, &answers, hostile);
    assert!(!page.contains("<script") && !page.contains("<img"), "{page}");
    assert!(page.matches("&lt;script&gt;").count() >= 8);
    assert!(page.contains("default-src 'none'"));
    for loaded in ["http://", "https://", "src=", "href=", "url("] {
        assert!(!page.replace("img src=x", "").contains(loaded), "{loaded}");
    }
    // The twin: what is not escaped would be seen.
    assert!(page.replace("&lt;", "<").contains("<script"));
}

#[test]
fn more_lines_than_can_be_told_apart_are_counted() {
    let lines = |count: usize| {
        (0..count)
            .map(|n| series(&[("status", &n.to_string())], &[(0, 0.1), (30, 0.2)]))
            .collect()
    };
    let page = |count| drawn(panel("Errors"), Ok(lines(count)), Ok(vec![]));
    assert!(page(100).contains("and 76 more series that are not drawn"));
    assert!(!page(24).contains("more series"));
}

#[test]
fn a_drill_is_answered_by_what_was_said_at_each_moment() {
    let asked = ["a", "b", "c"].map(str::to_owned).into();
    let at = |value| Ok(vec![([("x".to_owned(), "1".to_owned())].into(), value)]);
    let replayed = Replayed::from([
        ("a".to_owned(), [(0, at(1.0)), (60, at(2.0))].into()),
        ("b".to_owned(), [(0, at(1.0)), (60, Err("many".to_owned()))].into()),
    ]);
    let answers = super::replayed(&asked, replayed);
    assert_eq!(answers["a"], Ok(vec![series(&[("x", "1")], &[(0, 1.0), (60, 2.0)])]));
    assert_eq!(answers["b"], Err("many".to_owned()));
    assert_eq!(answers["c"], Ok(vec![]));
}

#[test]
fn the_last_hours_end_at_a_multiple_of_the_step() {
    let span = Span::last(10_800, 1_000_000_019, 30);
    assert_eq!((span.start, span.end, span.step), (999_989_160, 999_999_960, 60));
    assert_eq!(Span::last(60, 1_000, 30).step, 30);
}
