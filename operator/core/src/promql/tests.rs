use std::collections::BTreeMap;
use std::time::Duration;

use super::*;

const WINDOW: Duration = Duration::from_secs(300);

fn parsed(text: &str) -> Expression {
    Expression::parse(text).unwrap()
}

fn tie(labels: &[(&str, &str)]) -> Tie {
    let labels: BTreeMap<String, String> = labels.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
    let mut tie = Tie::new(WINDOW, Duration::from_secs(600), labels).unwrap();
    let matches = [("namespace", Match::Is("prod")), ("job", Match::Is("api"))];
    let declared = |name, windowed| Declared {
        name,
        matches: &matches,
        windowed,
    };
    tie.declare("requests_total", declared("api_requests_total", true))
        .unwrap();
    tie.declare("up", declared("up", false)).unwrap();
    tie
}

fn rule(tie: &Tie, text: &str) -> String {
    tie.rule(&parsed(text)).unwrap().to_string()
}

#[test]
fn a_selector_gets_the_service_its_own_name_and_its_own_window() {
    assert_eq!(
        rule(&tie(&[]), "rate(requests_total{status=\"500\"}[5m])"),
        "rate(api_requests_total{job=\"api\",namespace=\"prod\",status=\"500\"}[10m])"
    );
}

#[test]
fn a_range_that_is_not_the_packs_window_stays() {
    assert_eq!(
        rule(&tie(&[]), "increase(requests_total[15m])"),
        "increase(api_requests_total{job=\"api\",namespace=\"prod\"}[15m])"
    );
}

#[test]
fn the_window_of_a_series_that_the_service_does_not_expose_stays() {
    assert_eq!(
        rule(&tie(&[]), "avg_over_time(up[5m])"),
        "avg_over_time(up{job=\"api\",namespace=\"prod\"}[5m])"
    );
}

#[test]
fn a_renamed_label_is_renamed_wherever_labels_stand() {
    let text =
        "sum by (status) (requests_total{status=\"500\"}) / on (job) group_left (status) (up and ignoring (status) up)";
    let renamed = rule(&tie(&[("status", "code")]), text);
    assert!(!renamed.contains("status"), "{renamed}");
    assert_eq!(renamed.matches("code").count(), 4, "{renamed}");
}

#[test]
fn a_panel_has_grafanas_range_for_the_window_and_no_other() {
    let panel = tie(&[])
        .panel(&parsed("rate(requests_total[5m]) / increase(requests_total[15m])"))
        .unwrap();
    assert!(panel.expr.contains("[$__rate_interval]"), "{}", panel.expr);
    assert!(panel.expr.contains("[15m]"), "{}", panel.expr);
    let tied = panel.tied.to_string();
    assert_eq!(parsed(&tied).to_string(), tied);
}

#[test]
fn what_reads_as_the_mark_of_grafanas_range_stays_as_it_is() {
    for text in [
        "rate(requests_total[5m]) / increase(requests_total[7d1ms])",
        "rate(requests_total{a=\"[7d1ms]\"}[5m])",
        "rate(requests_total{a=\"[7d1ms] [7d2ms]\"}[5m]) / increase(requests_total[7d3ms])",
    ] {
        let expected = rule(&tie(&[]), text);
        let panel = tie(&[]).panel(&parsed(text)).unwrap().expr;
        let panel = panel.replace(",pod=~\"$pod\"", "");
        assert_eq!(panel.matches("[$__rate_interval]").count(), 1, "{panel}");
        assert_eq!(panel.replace("[$__rate_interval]", "[10m]"), expected);
    }
}

#[test]
fn what_a_panel_counts_is_counted_over_the_window_of_which_its_title_speaks() {
    let panel = tie(&[]).panel(&parsed("increase(requests_total[5m])")).unwrap();
    assert!(panel.expr.contains("pod=~\"$pod\"}[5m]"), "{}", panel.expr);
    let panel = tie(&[]).panel(&parsed("rate(requests_total[5m])")).unwrap();
    assert!(panel.expr.contains("[$__rate_interval]"), "{}", panel.expr);
}

#[test]
fn a_panel_is_of_the_pods_that_the_viewer_chose_where_a_series_has_pods_and_a_rule_is_of_all() {
    let expr = parsed("rate(requests_total[5m]) / up");
    let panel = tie(&[]).panel(&expr).unwrap();
    assert!(
        panel
            .expr
            .contains("api_requests_total{job=\"api\",namespace=\"prod\",pod=~\"$pod\"}"),
        "{}",
        panel.expr
    );
    assert!(
        panel.expr.contains("up{job=\"api\",namespace=\"prod\"}"),
        "{}",
        panel.expr
    );
    assert!(!rule(&tie(&[]), "rate(requests_total[5m])").contains("$pod"));
}

#[test]
fn an_expression_that_cannot_be_tied_is_refused() {
    for (text, wrong) in [
        ("rate(requests_total[5m]", "is not PromQL"),
        ("rate(other_total[5m])", "neither declared nor recorded"),
        ("{job=\"api\"}", "does not name its metric"),
        ("{__name__=~\"requests_.*\"}", "does not name its metric"),
        ("requests_total{__name__=\"x\"}", "is not PromQL"),
        ("requests_total{namespace=\"other\"}", "ties it to the service"),
        ("requests_total{job=~\".*\"}", "ties it to the service"),
        ("requests_total{a=\"b\" or c=\"d\"}", "alternatives"),
        (
            "label_replace(up, \"namespace\", \"x\", \"\", \"\")",
            "labels from text",
        ),
        ("count_values(\"version\", up)", "labels from text"),
    ] {
        let error = Expression::parse(text)
            .and_then(|expr| tie(&[]).rule(&expr))
            .map(|expr| expr.to_string());
        let error = error.map_err(|error| error.to_string());
        assert!(
            error.as_ref().is_err_and(|error| error.contains(wrong)),
            "{text}: {error:?}"
        );
    }
}

#[test]
fn a_name_that_is_none_is_refused() {
    for wrong in ["", "1x", "a-b", "a b", "x{namespace=\"other\"}", "ä"] {
        let matches = [];
        let declared = Declared {
            name: wrong,
            matches: &matches,
            windowed: true,
        };
        assert!(tie(&[]).declare("requests_total", declared).is_err(), "{wrong:?}");
        let labels = [("status".to_owned(), wrong.to_owned())].into();
        assert!(Tie::new(WINDOW, WINDOW, labels).is_err(), "{wrong:?}");
    }
}

fn priced() -> Tie {
    let mut tie = tie(&[("model", "llm_model")]);
    let price = |direction: &str, each: f64| Price {
        labels: vec![
            ("model".to_owned(), "a\"b".to_owned()),
            ("direction".to_owned(), direction.to_owned()),
        ],
        each,
    };
    tie.price(
        "cost_total",
        "requests_total",
        vec![price("input", 0.000_003), price("output", 0.5)],
    );
    tie.number("limit", 7.0);
    tie
}

#[test]
fn a_counter_with_prices_is_computed_part_by_part_wherever_its_rate_is_taken() {
    assert_eq!(
        rule(&priced(), "sum by (model) (rate(cost_total[5m] offset 1w)) / limit"),
        "sum by (llm_model) ((rate(api_requests_total{direction=\"input\",job=\"api\",llm_model=\"a\\\"b\",namespace=\"prod\"}\
         [10m] offset 1w) * 0.000003 or rate(api_requests_total{direction=\"output\",job=\"api\",llm_model=\"a\\\"b\",\
         namespace=\"prod\"}[10m] offset 1w) * 0.5)) / 7"
    );
}

#[test]
fn a_counter_with_prices_cannot_be_read_as_it_stands() {
    for text in ["cost_total", "deriv(cost_total[5m])", "sum(cost_total) > 1"] {
        assert!(
            matches!(priced().rule(&parsed(text)), Err(Error::Computed(_))),
            "{text}"
        );
    }
}

#[test]
fn an_expression_that_is_tied_is_proven_to_stay_in_its_namespace() {
    for text in [
        "rate(requests_total[5m])",
        "max_over_time(rate(requests_total[5m])[1h:1m] offset 5m)",
        "topk(scalar(up), requests_total) unless on (job) up == 1",
        "absent(up) or -up",
    ] {
        let tied = rule(&tie(&[]), text);
        assert_eq!(prove_namespaced(&tied, "prod"), Ok(()), "{tied}");
        assert!(prove_namespaced(&tied, "other").is_err(), "{tied}");
    }
}

#[test]
fn a_selector_that_leaves_the_namespace_fails_the_proof_wherever_it_stands() {
    for text in [
        "up",
        "up{namespace=~\"prod\"}",
        "up{namespace!=\"prod\"}",
        "up{namespace=\"prod\"} + up",
        "sum(rate(up{namespace=\"prod\"}[5m])) > bool scalar(up{job=\"a\"})",
        "max_over_time(up[1h:1m])",
        "topk(scalar(up), up{namespace=\"prod\"})",
        "up{namespace=\"prod\" or job=\"b\"}",
        "up{rule_group=~\".+;observed:dev/api:.+\"}",
        "up{rule_group=~\".+;observed:prod/.+:.+\"}",
        "up{rule_group!~\".+;observed:prod/api:.+\"}",
        "up{rule_group=\".+;observed:prod/api:.+\"}",
        "up{group=~\".+;observed:prod/api:.+\"}",
        "up{rule_group=~\".+;observed:prod/api:.+\" or job=\"b\"}",
    ] {
        assert!(prove_namespaced(text, "prod").is_err(), "{text}");
    }
    let own = "up{rule_group=~\".+;observed:prod/api\\\\.v1:.+\"}";
    assert_eq!(prove_of(own, "prod", "api.v1"), Ok(()));
    assert!(prove_of(own, "prod", "api-v1").is_err() && prove_of(own, "dev", "api.v1").is_err());
    assert!(prove_namespaced(own, "prod").is_err());
}

#[test]
fn an_expression_is_printed_so_that_it_is_read_back_the_same() {
    for text in [
        "a * on (x) group_left (y) (b > 0) and on () (c or d)",
        "-(a ^ 2) + (b + c) * d",
        "sum without (x) (rate(a{b=\"\\\"\\\\\\n\"}[5m] offset 1h))",
        "quantile_over_time(0.9, a[1h:30s]) == bool 1",
    ] {
        let parsed = Expression::parse(text).unwrap();
        assert_eq!(Expression::parse(&parsed.to_string()), Ok(parsed), "{text}");
    }
}

#[test]
fn an_operand_is_not_torn_apart_by_an_operator() {
    for (text, operand) in [("a and b", "(a and b)"), ("sum(a)", "sum(a)"), ("-a", "(-a)")] {
        assert_eq!(parsed(text).compared(true, 5.0).to_string(), format!("{operand} > 5"));
    }
}

#[test]
fn the_reach_adds_ranges_offsets_subqueries_and_what_lies_behind_a_series() {
    let none = |_: &str| Duration::ZERO;
    let behind = |name: &str| Duration::from_secs(if name == "recorded" { 300 } else { 0 });
    let reach =
        |text: &str, behind: &dyn Fn(&str) -> Duration| Expression::parse(text).unwrap().reach(behind).as_secs();
    assert_eq!(reach("a", &none), 0);
    assert_eq!(reach("rate(a[5m] offset 1m)", &none), 360);
    assert_eq!(reach("max_over_time(rate(a[5m])[10m:1m])", &none), 900);
    assert_eq!(reach("a > 1 and recorded > 0", &behind), 300);
    assert_eq!(reach("avg_over_time(recorded[10m])", &behind), 900);
}

#[test]
fn an_amount_is_arithmetic_on_what_a_drill_knows() {
    let variables = [("threshold", 0.05), ("for", 300.0)];
    for (formula, value) in [
        ("10", 10.0),
        ("-2", -2.0),
        ("15m", 900.0),
        ("0.5 * for", 150.0),
        ("10 * (1 - threshold)", 9.5),
        ("(threshold + 1.2) / 900", 1.25 / 900.0),
        ("Inf", f64::INFINITY),
    ] {
        assert_eq!(amount(formula, &variables), Ok(value), "{formula}");
    }
}

#[test]
fn an_amount_that_is_no_arithmetic_is_refused() {
    for formula in [
        "",
        "other",
        "threshold{a=\"b\"}",
        "sum(threshold)",
        "1 > 0",
        "0 / 0",
        "\"1\"",
        "2 ^ 3",
    ] {
        assert!(amount(formula, &[("threshold", 1.0)]).is_err(), "{formula:?}");
    }
}

#[test]
fn the_labels_of_an_expression_are_those_that_it_matches_groups_by_or_joins_on() {
    let labels = |text: &str| {
        Expression::parse(text)
            .unwrap()
            .labels()
            .into_iter()
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(
        labels("sum by (a) (rate(x{b=~\"1\"}[5m])) / on (c) group_left (d) topk without (e) (1, y{f!=\"\"})"),
        "a b c d e f"
    );
    assert_eq!(labels("sum(x) + 1"), "");
}

/// A tie to a service whose histogram `h` is a native one.
fn to_native() -> Tie {
    let window = Duration::from_secs(300);
    let mut tie = Tie::new(window, window, [].into()).unwrap();
    for (suffix, part) in HistogramPart::ALL {
        let name = format!("h{suffix}");
        let declared = Declared {
            name: &name,
            matches: &[("namespace", Match::Is("prod"))],
            windowed: true,
        };
        tie.declare(&name, declared).unwrap();
        tie.native(&name, "lat", part);
    }
    tie
}

#[test]
fn what_reads_a_classic_histogram_reads_the_native_one() {
    let lat = "rate(lat{namespace=\"prod\"}[5m])";
    for (written, tied) in [
        (
            "sum by (a) (rate(h_count[5m]))",
            format!("sum by (a) (histogram_count({lat}))"),
        ),
        (
            "rate(h_sum{a=\"b\"}[5m])",
            "histogram_sum(rate(lat{namespace=\"prod\",a=\"b\"}[5m]))".to_owned(),
        ),
        (
            "histogram_quantile(0.95, sum by (a, le) (rate(h_bucket[5m]))) >= 0",
            format!("histogram_quantile(0.95, sum by (a) ({lat})) >= 0"),
        ),
        ("sum(increase(h_bucket{le=~\"5(\\\\.0)?\"}[5m]))", {
            let grown = lat.replace("rate", "increase");
            format!("sum((histogram_fraction(0, 5, {grown}) * (histogram_count({grown}) > 0)))")
        }),
        ("h_count", "histogram_count(lat{namespace=\"prod\"})".to_owned()),
        (
            "present_over_time(h_count[5m])",
            "present_over_time(lat{namespace=\"prod\"}[5m])".to_owned(),
        ),
    ] {
        let found = to_native().rule(&Expression::parse(written).unwrap()).unwrap();
        // As text, in which matchers have one order.
        assert_eq!(found.to_string(), parsed(&tied).to_string(), "{written}");
    }
    let whole = to_native()
        .whole(&Expression::parse("h_count{a=\"b\"}").unwrap())
        .unwrap();
    assert_eq!(whole.to_string(), "lat{a=\"b\",namespace=\"prod\"}");
}

#[test]
fn what_a_native_histogram_cannot_answer_is_refused() {
    for written in [
        "max_over_time(h_count[5m])",
        "rate(h_bucket{le!=\"5\"}[5m])",
        "rate(h_bucket{le=~\".*\"}[5m])",
    ] {
        let found = to_native().rule(&Expression::parse(written).unwrap());
        assert!(matches!(found, Err(Error::Native(_))), "{written}: {found:?}");
    }
}

#[test]
fn a_number_means_the_same_on_a_graph_of_the_same_values_and_on_no_other() {
    let shown = |alert: &str, drawn: &str| parsed(alert).is_shown_by(&parsed(drawn));
    assert!(shown("a / b", "a / b"));
    assert!(shown("max by (job) (a)", "max by (job, pod) (a)"));
    for (alert, drawn) in [
        ("a", "b"),
        ("sum by (job) (a)", "sum by (job, pod) (a)"),
        ("max by (job) (a)", "min by (job) (a)"),
        ("max by (job) (a)", "a"),
    ] {
        assert!(!shown(alert, drawn), "{alert} {drawn}");
    }
}
