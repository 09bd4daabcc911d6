use observed_crds::v1alpha1::Signals;
use observed_crds::v1alpha1::signal_pack::Scope;
use serde_yaml::Value;

use super::series;
use super::*;
use crate::plan::Course;
use crate::signals::sample;

fn plan() -> Plan {
    let signals = Signals::default();
    sample::plan(&sample::binding(&signals)).unwrap()
}

fn values(input: &Input, interval: u32, until: u32, end: u32) -> String {
    series::values(input, interval, until, end, &|number| number.to_string())
}

fn tests_of(plan: &Plan) -> Vec<Value> {
    let mut tests = Vec::new();
    for (drills, step) in drills(plan, "rules.yaml").unwrap().iter().zip(["30s", "4m", "30m"]) {
        let file: Value = serde_yaml::from_str(&drills.text).unwrap();
        assert_eq!(file["rule_files"][0], "rules.yaml");
        assert_eq!(file["evaluation_interval"], step, "{}", drills.name);
        tests.extend(file["tests"].as_sequence().unwrap().clone());
    }
    tests
}

fn named<'a>(tests: &'a [Value], part: &str) -> &'a Value {
    tests
        .iter()
        .find(|test| test["name"].as_str().unwrap().contains(part))
        .unwrap_or_else(|| panic!("no test {part:?}"))
}

fn input(course: Course) -> Input {
    Input {
        name: "up".to_owned(),
        scope: Scope::Scrape,
        labels: [].into(),
        workload_labels: [].into(),
        host_label: None,
        course,
        since: None,
        from: 0,
        reset_at: None,
        until: None,
    }
}

#[test]
fn the_rule_file_holds_the_rules_of_the_object() {
    let plan = plan();
    let file: Value = serde_yaml::from_str(&rules_file(&plan).unwrap()).unwrap();
    let groups: Vec<RuleGroup> = serde_yaml::from_value(file["groups"].clone()).unwrap();
    assert_eq!(groups, rule_groups(&plan));
    assert_eq!(groups.len(), plan.packs.len());
}

#[test]
fn every_case_is_a_test_and_every_alert_is_tried_on_others_too() {
    let plan = plan();
    let tests = tests_of(&plan);
    for alert in plan.packs.iter().flat_map(|pack| &pack.alerts) {
        let of = |what: &str| {
            let start = format!("{} {what}: ", called(alert));
            tests
                .iter()
                .filter(|test| test["name"].as_str().unwrap().starts_with(&start))
                .count()
        };
        let others = if alert.fires[0].inputs.is_empty() { 0 } else { 2 };
        assert_eq!(of("fires"), alert.fires.len());
        let restarts = usize::from(restarted(alert, &Clock::of(&plan, alert)).is_some());
        assert_eq!(
            of("is silent"),
            alert.silent.len() + restarts + others,
            "{}",
            alert.name
        );
    }
}

#[test]
fn an_alert_on_counters_is_tried_with_counters_that_start_again() {
    let plan = plan();
    let tests = tests_of(&plan);
    let again = |alert: &str| {
        let start = format!("{alert} is silent: ");
        let name = |test: &&Value| {
            let name = test["name"].as_str().unwrap();
            name.starts_with(&start) && name.ends_with(", and its counters start again")
        };
        tests.iter().find(name)
    };
    let throttled = again("CPUThrottled").unwrap()["input_series"].as_sequence().unwrap();
    // Window, for and slack are 22 minutes: 44 intervals of 30 seconds.
    for series in throttled {
        let values = series["values"].as_str().unwrap();
        assert!(
            values.ends_with("x43 0+300x44") || values.contains("x43 0+73.5"),
            "{values}"
        );
    }
    assert_eq!(throttled.len(), 2);
    assert!(again("HighErrorRate").is_none(), "the pack has one of its own");
    assert!(again("HighMemoryUsage").is_none(), "memory is no counter");

    let alerts = plan.packs.iter().flat_map(|pack| &pack.alerts);
    let mut alert = alerts
        .clone()
        .find(|alert| alert.name == "CPUThrottled")
        .unwrap()
        .clone();
    let clock = Clock::of(&plan, &alert);
    assert!(restarted(&alert, &clock).is_some());
    alert.fires[0].inputs[0].reset_at = Some(600);
    assert!(restarted(&alert, &clock).is_none(), "a restart is what it is about");
}

#[test]
fn a_case_that_fires_is_asked_before_while_and_after() {
    let tests = tests_of(&plan());
    let asked = named(&tests, "HighErrorRate fires: every request fails")["promql_expr_test"].clone();
    let verdicts: Vec<(String, usize)> = asked
        .as_sequence()
        .unwrap()
        .iter()
        .map(|asked| {
            (
                asked["eval_time"].as_str().unwrap().to_owned(),
                asked["exp_samples"].as_sequence().unwrap().len(),
            )
        })
        .collect();
    let expected = [("4m30s", 0), ("12m", 1), ("16m30s", 1), ("24m", 0)];
    assert_eq!(verdicts, expected.map(|(at, alerts)| (at.to_owned(), alerts)));
}

#[test]
fn a_case_that_is_silent_is_asked_about_all_of_its_time() {
    let tests = tests_of(&plan());
    let test = named(&tests, "HighErrorRate is silent: the process restarts");
    let asked = &test["promql_expr_test"][0];
    // The restart comes after 15m; window, for and slack follow it.
    assert_eq!(asked["eval_time"], "27m");
    assert_eq!(
        asked["expr"],
        "count_over_time(ALERTS{alertname=\"HighErrorRate\",alertstate=\"firing\"}[27m30s])"
    );
    assert_eq!(asked["exp_samples"].as_sequence().unwrap().len(), 0);
}

#[test]
fn series_have_the_labels_of_their_scope_and_their_own() {
    let tests = tests_of(&plan());
    let http = named(&tests, "HighErrorRate fires: every request fails")["input_series"][0].clone();
    assert_eq!(
        http["series"],
        "http_requests_total{container=\"api\",endpoint=\"/work\",instance=\"10.0.0.1:8080\",job=\"claude-api\",\
         method=\"POST\",namespace=\"prod\",pod=\"claude-api-7d4b9c6f5-x2vqp\",status=\"503\"}"
    );
    let memory = named(&tests, "HighMemoryUsage is silent: no limit")["input_series"][0].clone();
    assert!(memory["series"].as_str().unwrap().contains("job=\"kubelet\""));
}

#[test]
fn samples_follow_the_course() {
    let at = |course, until, end| values(&input(course), 30, until, end);
    assert_eq!(at(Course::Constant(0.5), 120, 120), "0.5+0x4");
    assert_eq!(at(Course::Rate(2.0), 120, 120), "0+60x4");
    assert_eq!(at(Course::Step(3.0), 120, 120), "0 3+0x3");
    assert_eq!(at(Course::Step(3.0), 0, 0), "0");
    assert_eq!(at(Course::Constant(1.0), 60, 120), "1+0x2 stale");
    assert_eq!(at(Course::Line(1.0, 0.5), 60, 60), "1+15x2");
    assert_eq!(at(Course::Line(1.0, -0.5), 60, 60), "1-15x2");
}

#[test]
fn a_series_that_begins_later_has_no_samples_before() {
    let later = |course| Input {
        since: Some(60),
        ..input(course)
    };
    assert_eq!(values(&later(Course::Rate(2.0)), 30, 180, 180), "_x2 0+60x4");
    assert_eq!(values(&later(Course::Step(2.0)), 30, 180, 180), "_x2 0 2+0x3");
}

#[test]
fn a_counter_that_is_reset_starts_again_from_zero() {
    let reset = |course| Input {
        reset_at: Some(90),
        ..input(course)
    };
    assert_eq!(values(&reset(Course::Rate(2.0)), 30, 180, 180), "0+60x2 0+60x3");
    assert_eq!(values(&reset(Course::Step(2.0)), 30, 180, 180), "0 2+0x1 0+0x3");
    assert_eq!(values(&reset(Course::Rate(2.0)), 30, 60, 60), "0+60x2");
}

#[test]
fn names_from_the_user_are_quoted() {
    let mut plan = plan();
    plan.packs[0].alerts[0].fires[0].inputs[0]
        .labels
        .insert("endpoint".to_owned(), "a\"},b{\\".to_owned());
    let tests = tests_of(&plan);
    let series = tests[0]["input_series"][0]["series"].as_str().unwrap();
    assert!(series.contains("endpoint=\"a\\\"},b{\\\\\""), "{series}");
}

/// A name, labels and how the value goes.
type Given<'a> = (&'a str, &'a [(&'a str, &'a str)], Course);

/// A native histogram `h`, from what is given as series of a classic one.
fn native(given: &[Given<'_>]) -> Vec<String> {
    let inputs = given.iter().map(|(name, labels, course)| Input {
        name: (*name).to_owned(),
        labels: labels.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect(),
        ..input(*course)
    });
    let inputs: Vec<Input> = inputs.collect();
    let sampled = native::sampled(&inputs, &["h".to_owned()].into());
    let shown = sampled.iter().map(|sampled| match &sampled.histogram {
        Some(histogram) => format!(
            "{} {:?} {}",
            sampled.input.name,
            sampled.input.labels,
            histogram.times(1.0)
        ),
        None => sampled.input.name.clone(),
    });
    shown.collect()
}

#[test]
fn buckets_count_and_sum_with_the_same_labels_are_one_native_histogram() {
    let rate = Course::Rate;
    let given = [
        ("h_count", [("a", "1"), ("code", "200")].as_slice(), rate(10.0)),
        ("h_bucket", &[("a", "1"), ("le", "+Inf")], rate(10.0)),
        ("h_bucket", &[("a", "1"), ("le", "3")], rate(9.0)),
        ("h_bucket", &[("a", "1"), ("le", "1")], rate(4.0)),
        ("h_sum", &[("a", "1"), ("code", "200")], rate(30.0)),
        ("h_total", &[], rate(1.0)),
    ];
    // 4 in the bucket that ends at 0.5, 5 in that of the root of 3, 1 in that of 6.
    let zeros = |number| " 0".repeat(number);
    let buckets = format!("4{} 5{} 1", zeros(14), zeros(13));
    let expected =
        format!("h {{\"a\": \"1\", \"code\": \"200\"}} {{{{schema:3 count:10 sum:30 offset:-8 buckets:[{buckets}]}}}}");
    assert_eq!(native(&given), ["h_total".to_owned(), expected]);
}

#[test]
fn a_count_with_other_labels_is_a_native_histogram_of_its_own() {
    let given = [
        ("h_bucket", [("a", "1"), ("le", "+Inf")].as_slice(), Course::Step(3.0)),
        ("h_count", &[("a", "2")], Course::Step(5.0)),
        ("h_count", &[("a", "1")], Course::Rate(3.0)),
    ];
    let found = native(&given);
    assert_eq!(found.len(), 3, "{found:?}");
    assert!(found.iter().any(|text| text.contains("count:5")), "{found:?}");
}

#[test]
fn the_samples_of_a_native_histogram_go_as_those_of_a_counter() {
    let text = |times: f64| format!("{{{times}}}");
    let at = |input: &Input| series::values(input, 30, 120, 120, &text);
    assert_eq!(at(&input(Course::Rate(1.0))), "{0}+{30}x4");
    let reset = Input {
        reset_at: Some(60),
        ..input(Course::Step(1.0))
    };
    assert_eq!(at(&reset), "{0} {1}+{0}x0 {0}+{0}x2");
}
