use std::collections::BTreeSet;
use std::sync::LazyLock;

use observed_crds::v1alpha1::{Severity, Signals};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::finding::FindingSeverity;
use crate::signals::{Binding, sample};

static PACKS: LazyLock<Packs> = LazyLock::new(|| Packs::builtin().unwrap());

fn binding(signals: &Signals) -> Binding<'_> {
    sample::binding(signals)
}

/// The service `claude` in `prod`, with every pack and bounds of buckets.
fn set(written: &Value, bounds: Option<&[f64]>) -> Result<(Vec<plan::Objective>, Vec<Finding>), Vec<Finding>> {
    static BOUND: LazyLock<Vec<Pack>> = LazyLock::new(|| sample::plan(&binding(&Signals::default())).unwrap().packs);
    set_with(written, Some(&BOUND), bounds)
}

fn set_with(
    written: &Value,
    packs: Option<&[Pack]>,
    bounds: Option<&[f64]>,
) -> Result<(Vec<plan::Objective>, Vec<Finding>), Vec<Finding>> {
    set_for(written, &service(packs, bounds))
}

fn set_for(written: &Value, service: &Service<'_>) -> Result<(Vec<plan::Objective>, Vec<Finding>), Vec<Finding>> {
    let written: Vec<api::Objective> = serde_json::from_value(written.clone()).unwrap();
    objectives(&written, service)
}

fn service<'a>(packs: Option<&'a [Pack]>, bounds: Option<&'a [f64]>) -> Service<'a> {
    Service {
        namespace: "prod",
        name: "claude",
        job: "claude-api",
        target_kind: TargetKind::Deployment,
        target_name: "claude-api",
        interval_seconds: 30,
        runbook_base: None,
        known: &PACKS,
        packs,
        bounds,
    }
}

fn one(objective: &Value) -> (plan::Objective, Vec<Finding>) {
    let (mut set, warnings) = set(&json!([objective]), None).unwrap();
    (set.remove(0), warnings)
}

fn availability(target: &str, window: &str) -> Value {
    json!({"name": "availability", "target": target, "window": window, "sli": {"errorRatio": {}}})
}

fn ratio(ratio: &Value) -> Value {
    json!({"name": "tasks", "target": "99%", "sli": {"ratio": ratio}})
}

/// The only finding, as its path and its words.
fn refused(objective: &Value) -> (String, String) {
    let found = set(&json!([objective]), Some(&[0.1, 1.0, 2.5, 10.0, f64::INFINITY])).unwrap_err();
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].severity, FindingSeverity::Error);
    (found[0].path.clone(), found[0].to_string())
}

fn record<'a>(objective: &'a plan::Objective, name: &str, window: &str) -> &'a str {
    let mut records = objective.records.iter();
    let found = records.find(|record| record.name == name && record.labels["window"] == window);
    &found.unwrap().expr
}

fn burning<'a>(objective: &'a plan::Objective, long: &str) -> Option<&'a plan::Alert> {
    objective
        .alerts
        .iter()
        .find(|alert| alert.labels.get("long").is_some_and(|label| label == long))
}

#[test]
fn of_every_window_the_events_the_bad_ones_and_their_ratio_are_recorded_and_the_window_is_a_label() {
    let (objective, warnings) = one(&availability("99.9%", "30d"));
    assert_eq!(warnings, []);
    for window in ["5m", "30m", "1h", "2h", "6h", "1d", "3d", "30d"] {
        for name in [goal::EVENTS, goal::BAD_EVENTS, goal::ERROR_RATIO] {
            record(&objective, name, window);
        }
    }
    assert_eq!(objective.records.len(), 8 * 3 + 1);
    let identities: BTreeSet<_> = objective
        .records
        .iter()
        .map(|record| (&record.name, &record.labels))
        .collect();
    assert_eq!(identities.len(), objective.records.len());
    assert_eq!(
        record(&objective, goal::BUDGET, "30d"),
        "1 - observed:slo_errors:ratio_rate{namespace=\"prod\",service=\"claude\",objective=\"availability\",window=\"30d\"} / 0.001"
    );
}

#[test]
fn short_windows_are_counted_from_what_is_scraped_and_long_ones_added_up_from_what_was_recorded() {
    let (objective, _) = one(&availability("99.9%", "30d"));
    let of_6h = record(&objective, goal::EVENTS, "6h");
    assert!(
        of_6h.contains("[6h]") && of_6h.contains("http_requests_total"),
        "{of_6h}"
    );
    assert_eq!(
        record(&objective, goal::EVENTS, "3d"),
        "sum(observed:slo_events:increase{namespace=\"prod\",service=\"claude\",objective=\"availability\",window=\"6h\"} or \
         sum_over_time(observed:slo_events:increase{namespace=\"prod\",service=\"claude\",objective=\"availability\",\
         window=\"5m\"}[2d18h] offset 5h58m) * 30 / 300)"
    );
}

#[test]
fn what_the_pack_leaves_out_is_left_out() {
    for sli in [json!({"errorRatio": {}}), json!({"latency": {"below": "5s"}})] {
        let (objective, _) = one(&json!({"name": "a", "target": "99%", "sli": sli}));
        for name in [goal::EVENTS, goal::BAD_EVENTS] {
            let expr = record(&objective, name, "5m");
            assert!(expr.contains("endpoint!~\"/(health|live|ready)z?|/metrics\""), "{expr}");
            for tie in ["job=\"claude-api\"", "namespace=\"prod\""] {
                assert!(expr.contains(tie), "{expr}");
            }
        }
    }
}

#[test]
fn a_burn_rate_alert_compares_both_windows_and_asks_for_enough_bad_events() {
    let (objective, _) = one(&availability("99.9%", "30d"));
    let alert = burning(&objective, "1h").unwrap();
    let series = |name: &str, window: &str| {
        format!("{name}{{namespace=\"prod\",service=\"claude\",objective=\"availability\",window=\"{window}\"}}")
    };
    assert_eq!(
        alert.expr,
        format!(
            "{} > 0.0144 and ignoring (window) {} > 0.0144 and ignoring (window) {} > 4.5",
            series("observed:slo_errors:ratio_rate", "1h"),
            series("observed:slo_errors:ratio_rate", "5m"),
            series("observed:slo_bad_events:increase", "1h")
        )
    );
    let labels = [
        "service",
        "namespace",
        "severity",
        "objective",
        "long",
        "short",
        "window",
    ]
    .map(|label| &alert.labels[label]);
    assert_eq!(
        labels,
        ["claude", "prod", "critical", "availability", "1h", "5m", "30d"]
    );
    // Without a `for` it would be out before the cause that mutes it, and then be muted.
    assert!(
        objective
            .alerts
            .iter()
            .all(|alert| alert.role.is_none() && !alert.labels.contains_key("role"))
    );
    let every = json!({"name": "a", "target": "99.9%", "minBadEvents": 0, "sli": {"errorRatio": {}}});
    assert!(!one(&every).0.alerts[0].expr.contains("bad_events"));
}

#[test]
fn the_bucket_of_a_threshold_is_found_with_and_without_its_zero() {
    for (below, le) in [
        ("5s", "5([.]0)?"),
        ("250ms", "0[.]25"),
        ("1s500ms", "1[.]5"),
        ("2m", "120([.]0)?"),
    ] {
        let (objective, _) = one(&json!({"name": "fast", "target": "99%", "sli": {"latency": {"below": below}}}));
        let expr = record(&objective, goal::BAD_EVENTS, "5m");
        assert!(expr.contains(&format!("le=~\"{le}\"")), "{expr}");
    }
}

#[test]
fn a_threshold_that_is_no_bucket_is_told_the_nearest_ones() {
    let fast = |below: &str| json!({"name": "fast", "target": "99%", "sli": {"latency": {"below": below}}});
    let warned = |below: &str, bounds: Option<&[f64]>| {
        let (objectives, warnings) = set(&json!([fast(below)]), bounds).unwrap();
        assert!(
            !objectives[0].alerts.is_empty(),
            "what a pod says takes no objective away"
        );
        assert!(
            warnings
                .iter()
                .all(|warning| warning.severity == FindingSeverity::Warning)
        );
        warnings
    };
    let bounds: Option<&[f64]> = Some(&[0.1, 1.0, 2.5, 10.0, f64::INFINITY]);
    let found = warned("5s", bounds);
    assert_eq!(
        (found.len(), found[0].path.as_str()),
        (1, "spec.objectives[0].sli.latency.below")
    );
    let words = found[0].to_string();
    assert!(words.contains("The nearest buckets end at 2.5s and 10s"), "{words}");
    assert!(warned("50ms", bounds)[0].to_string().contains("end at 0.1s: use"));
    assert_eq!(warned("2s500ms", Some(&[0.1, 2.5])), []);
    assert_eq!(warned("5s", None), [], "nobody looked");
}

#[test]
fn what_cannot_be_meant_is_told_with_its_field_its_value_and_what_would_be_right() {
    for (objective, path, words) in [
        (availability("100%", "30d"), "target", "\"100%\" is not a percentage"),
        (availability("99.9", "30d"), "target", "for instance \"99.9%\""),
        (availability("99.9%", "6d"), "window", "from 7d to 90d"),
        (availability("99.9%", "4w"), "window", "in days"),
        (json!({"name": "a", "target": "99%", "sli": {}}), "sli", "exactly one"),
        (
            json!({"name": "a", "target": "99%", "sli": {"errorRatio": {}, "latency": {"below": "1s"}}}),
            "sli",
            "exactly one",
        ),
        (
            json!({"name": "a", "target": "99%", "sli": {"latency": {"below": "2h"}}}),
            "sli.latency.below",
            "from 1ms to 1h",
        ),
        (
            ratio(&json!({"good": "rate(a_total[5m])", "total": "a_total"})),
            "sli.ratio.good",
            "column 5: '(' is too much",
        ),
        (
            ratio(&json!({"good": "a_total{b=\"c\"}", "total": "a_total{namespace=\"other\"}"})),
            "sli.ratio.total",
            "Leave out the matcher on namespace",
        ),
        (
            ratio(&json!({"bad": "a_total{job=~\".*\"}", "total": "a_total"})),
            "sli.ratio.bad",
            "Leave out the matcher on job",
        ),
        (
            ratio(&json!({"bad": "a_total", "good": "b_total", "total": "c_total"})),
            "sli.ratio",
            "exactly one of good and bad",
        ),
        (
            ratio(&json!({"total": "c_total"})),
            "sli.ratio",
            "exactly one of good and bad",
        ),
        (
            expr("sum(", "sum(increase(a_total[5m]))"),
            "sli.expr.bad",
            "is not PromQL",
        ),
        (
            expr("sum(increase(b_total[5m]))", "sum(rate(a_total[5m]))"),
            "sli.expr.total",
            "`rate(a_total[5m])` is no number of events that could be added up",
        ),
        (
            expr("sum(increase({a=\"b\"}[5m]))", "sum(increase(a_total[5m]))"),
            "sli.expr.bad",
            "does not name its metric",
        ),
        (
            expr(
                "sum(increase(b_total{namespace=\"other\"}[5m]))",
                "sum(increase(a_total[5m]))",
            ),
            "sli.expr.bad",
            "Leave out the matcher on namespace",
        ),
        (
            json!({"name": "a", "target": "99%", "sli": {"expr": {"total": "sum(increase(a_total[5m]))"}}}),
            "sli.expr",
            "exactly one of good and bad",
        ),
    ] {
        let (at, said) = refused(&objective);
        assert_eq!(at, format!("spec.objectives[0].{path}"), "{said}");
        assert!(said.contains(words), "{said}");
    }
}

fn expr(bad: &str, total: &str) -> Value {
    json!({"name": "jobs", "target": "99%", "sli": {"expr": {"bad": bad, "total": total}}})
}

#[test]
fn expressions_are_tied_and_counted_over_each_window() {
    let lost =
        "sum(increase(jobs_failed_total[5m])) + (sum(increase(jobs_lost_total{why!=\"[5m]\"}[5m])) or vector(0))";
    let (objective, warnings) = one(&expr(lost, "sum(increase(jobs_total[5m]))"));
    assert_eq!(warnings, []);
    assert_eq!(
        record(&objective, goal::EVENTS, "1h"),
        "sum(sum(increase(jobs_total{job=\"claude-api\",namespace=\"prod\"}[1h])))"
    );
    let bad = record(&objective, goal::BAD_EVENTS, "1h");
    let tied = "sum(sum(increase(jobs_failed_total{job=\"claude-api\",namespace=\"prod\"}[1h])) + \
                (sum(increase(jobs_lost_total{job=\"claude-api\",namespace=\"prod\",why!=\"[5m]\"}[1h])) or vector(0)))";
    assert!(bad.starts_with(tied), "{bad}");
    let unmeasured = objective.alerts.last().unwrap();
    assert!(unmeasured.expr.contains("group(jobs_total{"), "{}", unmeasured.expr);
}

#[test]
fn a_sum_that_one_missing_counter_hides_and_one_that_no_drill_proves_are_told() {
    let total = "sum(increase(jobs_total[5m]))";
    for (bad, words) in [
        (
            "sum(increase(a_total[5m])) + sum(increase(b_total[5m]))",
            "counts nothing as long as one of `a_total` and `b_total` is not there",
        ),
        ("2 * sum(increase(a_total[5m]))", "not proven by drills"),
        // The same event twice.
        (
            "sum(increase(jobs_total{b=\"c\"}[5m])) + (sum(increase(jobs_total{b=~\"c|d\"}[5m])) or vector(0))",
            "not proven by drills",
        ),
    ] {
        let (objective, warnings) = one(&expr(bad, total));
        assert!(
            warnings.iter().any(|warning| warning.message.contains(words)),
            "{bad}: {warnings:?}"
        );
        assert_eq!(objective.alerts[0].fires, [], "{bad}");
    }
}

#[test]
fn every_finding_comes_at_once() {
    let wrong = json!([
        {"name": "a", "target": "0%", "window": "1d", "sli": {"ratio": {"good": "a b", "total": "-"}}},
        {"name": "a", "target": "99%", "sli": {"errorRatio": {}}},
    ]);
    let found = set(&wrong, None).unwrap_err();
    let paths: BTreeSet<&str> = found.iter().map(|finding| finding.path.as_str()).collect();
    let expected = [
        "[0].sli.ratio.good",
        "[0].sli.ratio.total",
        "[0].target",
        "[0].window",
        "[1].name",
    ];
    assert_eq!(
        paths,
        expected
            .map(|path| format!("spec.objectives{path}"))
            .iter()
            .map(String::as_str)
            .collect()
    );
}

#[test]
fn an_indicator_whose_pack_does_not_apply_names_the_pack() {
    let found = set_with(&json!([availability("99%", "30d")]), Some(&[]), None).unwrap_err();
    assert!(
        found[0].to_string().contains("Add \"http\" to spec.signals.packs"),
        "{found:?}"
    );
    let in_doubt = set_with(&json!([availability("99%", "30d")]), None, None).unwrap();
    assert_eq!(in_doubt, (vec![], vec![]), "the packs have findings of their own");
}

#[test]
fn an_alert_that_can_never_fire_is_left_out_and_told_with_the_target_it_needs() {
    let (objective, warnings) = one(&availability("90%", "30d"));
    assert!(burning(&objective, "1h").is_none() && burning(&objective, "6h").is_some());
    let words = warnings[0].to_string();
    assert!(
        words.contains("that of 1h needs at least 93.06%") && !words.contains("of 6h"),
        "{words}"
    );
    assert_eq!(one(&availability("93.06%", "30d")).1, []);
    // Over 90 days all four would need more than 66.7 %.
    assert!(
        refused(&availability("66.6%", "90d"))
            .1
            .contains("no burn-rate alert can ever fire")
    );
}

#[test]
fn alerts_can_be_turned_off() {
    let with = |alerts: &Value| {
        let mut objective = availability("99.9%", "30d");
        objective["alerts"] = alerts.clone();
        one(&objective).0
    };
    let severities = |objective: &plan::Objective| -> Vec<Severity> {
        objective.alerts.iter().map(|alert| alert.severity).collect()
    };
    let (page, ticket) = (Severity::Critical, Severity::Warning);
    assert_eq!(
        severities(&with(&json!({}))),
        [page, page, ticket, ticket, page, ticket]
    );
    assert_eq!(
        severities(&with(&json!({"page": "Disabled"}))),
        [ticket, ticket, page, ticket]
    );
    assert_eq!(
        severities(&with(&json!({"ticket": "Disabled", "unmeasured": "Disabled"}))),
        [page, page]
    );
}

#[test]
fn every_expression_stays_in_the_namespace() {
    let latency = json!({"name": "fast", "target": "99%", "sli": {"latency": {"below": "1s"}}});
    let good = ratio(&json!({"total": "tasks_total", "good": "tasks_total{outcome=\"ok\"}"}));
    let sum = expr("sum(increase(a_total[5m]))", "sum(increase(b_total[5m]))");
    for objective in [availability("99.9%", "30d"), latency, good, sum] {
        let (objective, _) = one(&objective);
        let alerts = objective.alerts.iter().map(|alert| &alert.expr);
        for expr in objective.records.iter().map(|record| &record.expr).chain(alerts) {
            assert_eq!(crate::promql::prove_namespaced(expr, "prod"), Ok(()), "{expr}");
            assert!(crate::promql::prove_namespaced(expr, "other").is_err(), "{expr}");
        }
    }
}

#[test]
fn every_alert_has_cases_on_both_sides() {
    for sli in [
        json!({"errorRatio": {}}),
        json!({"latency": {"below": "5s"}}),
        json!({"ratio": {"good": "a_total{b=\"c\"}", "total": "a_total"}}),
        json!({"ratio": {"bad": "b_total", "total": "a_total"}}),
        json!({"expr": {"bad": "sum(increase(b_total[5m]))", "total": "sum(increase(a_total[5m]))"}}),
    ] {
        let (objective, warnings) = one(&json!({"name": "a", "target": "99%", "sli": sli}));
        assert_eq!(warnings, []);
        for alert in &objective.alerts {
            assert!(
                !alert.fires.is_empty() && alert.silent.len() >= 2,
                "{sli} {:?}",
                alert.labels
            );
        }
    }
    let (_, warnings) = one(&ratio(&json!({"good": "a_total", "total": "a_total"})));
    assert!(
        warnings[0].message.contains("no bad event could be imagined"),
        "{warnings:?}"
    );
}

#[test]
fn where_nobody_wants_drills_alerts_and_findings_are_the_same_and_have_no_cases() {
    let undrilled = PACKS.clone().without_drills();
    let written = json!([
        {"name": "a", "target": "99%", "sli": {"ratio": {"bad": "b_total", "total": "a_total"}}},
        {"name": "b", "target": "99%", "sli": {"ratio": {"good": "a_total", "total": "a_total"}}},
    ]);
    let of = |known| {
        set_for(
            &written,
            &Service {
                known,
                ..service(None, None)
            },
        )
        .unwrap()
    };
    let ((mut drilled, warnings), (bare, same)) = (of(&PACKS), of(&undrilled));
    assert_ne!(drilled, bare);
    for alert in drilled.iter_mut().flat_map(|objective| &mut objective.alerts) {
        alert.fires.clear();
        alert.silent.clear();
    }
    assert_eq!(drilled, bare);
    assert_eq!(warnings, same);
    assert_eq!(warnings.len(), 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    /// Targets as ten-thousandths of a percent, so that what is expected needs no arithmetic of ours.
    #[test]
    fn whatever_the_target_and_the_window_thresholds_are_right_and_nothing_is_random(
        target in 1_u64..1_000_000,
        days in 7_u64..=90,
        name in "[a-z0-9]([-a-z0-9]{0,30}[a-z0-9])?",
        kind in 0_usize..5,
    ) {
        let sli = [
            json!({"errorRatio": {}}),
            json!({"latency": {"below": "250ms"}}),
            json!({"ratio": {"good": "a_total{b!=\"c\"}", "total": "a_total"}}),
            json!({"ratio": {"bad": "b_total", "total": "a_total"}}),
            json!({"expr": {"good": "sum(sum_over_time(up[5m]))", "total": "sum(count_over_time(up[5m]))"}}),
        ][kind].clone();
        let text = format!("{}.{:04}%", target / 10_000, target % 10_000);
        let written = json!([{"name": name, "target": text, "window": format!("{days}d"), "sli": sli}]);
        let result = set(&written, None);
        prop_assert_eq!(&result, &set(&written, None));
        let budget = (1_000_000 - target) as f64 / 1e6;
        let factors = [("1h", 0.02 * 24.0), ("6h", 0.05 * 4.0), ("1d", 0.1), ("3d", 0.1 / 3.0)];
        let thresholds = factors.map(|(long, a_day)| (long, a_day * days as f64 * budget));
        match result {
            Err(_) => prop_assert!(thresholds.iter().all(|(_, threshold)| *threshold > 1.0 - 1e-9)),
            Ok((set, warnings)) => {
                for (long, threshold) in thresholds {
                    let Some(alert) = burning(&set[0], long) else {
                        prop_assert!(threshold > 1.0 - 1e-9 && !warnings.is_empty(), "{long} {threshold}");
                        continue;
                    };
                    let printed = alert.expr.split(" > ").nth(1).unwrap().split(' ').next().unwrap();
                    prop_assert!(printed.len() <= 17 && !printed.ends_with('0'), "{printed}");
                    let printed: f64 = printed.parse().unwrap();
                    prop_assert!((printed / threshold - 1.0).abs() < 1e-6, "{long} {printed} {threshold}");
                    prop_assert!(printed < 1.0);
                }
            }
        }
    }
}
