//! What objectives count, on days as they come: promtool evaluates the rules of the golden case over hand-made series.
//!
//! Each scenario has a twin: the same rules with the flaw that the scenario is about, which must fail it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use observed_e2e::{Progress, binaries};
use serde_json::{Value, json};

use super::{drills_of, golden, notice, read, runs, survives};

/// A day, and what must be known of it. Samples and evaluations are a minute apart, as the golden case has them.
#[derive(Default)]
struct Scenario {
    name: &'static str,
    /// Labels of a series of `http_requests_total`, and its samples in promtool's notation.
    requests: Vec<(&'static str, &'static str)>,
    /// Expression, minute, and its value if it has one.
    expected: Vec<(String, u32, Option<f64>)>,
}

impl Scenario {
    fn test(&self) -> Value {
        let series = |(labels, values): &(&str, &str)| {
            json!({
                "series": format!(
                    "http_requests_total{{namespace=\"prod\",job=\"claude-api\",method=\"POST\",endpoint=\"/work\",{labels}}}"
                ),
                "values": values,
            })
        };
        let expected = |(expr, minute, value): &(String, u32, Option<f64>)| {
            let samples: Vec<Value> = value
                .iter()
                .map(|value| json!({"labels": "{}", "value": value}))
                .collect();
            json!({"expr": expr, "eval_time": format!("{minute}m"), "exp_samples": samples})
        };
        json!({
            "rule_files": ["rules.yaml"],
            "evaluation_interval": "1m",
            "tests": [{
                "name": self.name,
                "interval": "1m",
                "input_series": self.requests.iter().map(series).collect::<Vec<_>>(),
                "promql_expr_test": self.expected.iter().map(expected).collect::<Vec<_>>(),
            }],
        })
    }

    async fn holds(&self, rules: &Value) -> Result<(), String> {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("rules.yaml"), rules.to_string()).unwrap();
        fs::write(directory.path().join("test.yaml"), self.test().to_string()).unwrap();
        runs(&["test", "rules", "test.yaml"], directory.path()).await
    }

    /// It holds, and does not when `flaw` is in the rules.
    async fn proves(&self, (right, flaw): (&str, &str)) {
        let rules = availability();
        self.holds(&rules)
            .await
            .unwrap_or_else(|error| panic!("{}: {error}", self.name));
        let text = rules.to_string();
        assert!(text.contains(right), "{right} is not in the rules");
        let flawed: Value = serde_json::from_str(&text.replace(right, flaw)).unwrap();
        assert!(
            self.holds(&flawed).await.is_err(),
            "{}: nobody notices {flaw:?}",
            self.name
        );
    }
}

/// The rules of the objective `availability`, and no others: long days are evaluated sooner.
fn availability() -> Value {
    let text = fs::read_to_string(golden("objectives").join("rules.yaml")).unwrap();
    let rules: Value = serde_saphyr::from_str(&text).unwrap();
    of_objective(&rules, "availability")
}

/// The rules of one objective.
pub(crate) fn of_objective(rules: &Value, objective: &str) -> Value {
    let groups = rules["groups"].as_array().unwrap().iter();
    let groups: Vec<Value> = groups
        .filter_map(|group| {
            let mut group = group.clone();
            let rules = group["rules"].as_array_mut()?;
            rules.retain(|rule| rule["labels"]["objective"] == objective);
            (!rules.is_empty()).then_some(group)
        })
        .collect();
    json!({"groups": groups})
}

/// The value of a recorded series, without labels and rounded, because rates are not whole numbers.
fn recorded(record: &str, window: &str, rounded: &str) -> String {
    format!("round(sum({record}{{objective=\"availability\",window=\"{window}\"}}), {rounded})")
}

fn ratio(window: &str, rounded: &str) -> String {
    recorded("observed:slo_errors:ratio_rate", window, rounded)
}

fn budget(rounded: &str) -> String {
    recorded("observed:slo_error_budget:remaining_ratio", "30d", rounded)
}

fn firing(labels: &str) -> String {
    format!("count(ALERTS{{alertname=\"ErrorBudgetBurn\",alertstate=\"firing\",{labels}}})")
}

/// JSON text of rules in which the quotes of PromQL are escaped.
fn in_json(promql: &str) -> String {
    promql.replace('"', "\\\"")
}

#[tokio::test]
async fn after_an_idle_night_the_budget_is_a_number() {
    let night = Scenario {
        name: "busy, idle for six hours, busy",
        requests: vec![
            ("status=\"200\"", "0+600x60 36000x360 36000+600x60"),
            ("status=\"500\"", "0x60 0x360 0+1x59"),
        ],
        expected: vec![
            (ratio("5m", "0.001"), 30, Some(0.0)),
            (ratio("5m", "0.001"), 300, None),
            // 58 of some 71000 requests, where 71 may fail.
            (budget("0.1"), 480, Some(0.2)),
        ],
    };
    night.proves(("} > 0)", "})")).await;
}

#[tokio::test]
async fn the_budget_weighs_every_request_the_same() {
    // An hour with 36000 requests, all good; then an hour with 240, of which every second fails: 0.33 % failed. The mean
    // of the ratios would be 25 %.
    let hours = Scenario {
        name: "a busy hour without errors, a quiet one with many",
        requests: vec![
            ("status=\"200\"", "0+600x60 36002+2x59"),
            ("status=\"500\"", "0x60 2+2x59"),
        ],
        expected: vec![
            (ratio("30d", "0.001"), 120, Some(0.003)),
            (ratio("1d", "0.001"), 120, Some(0.003)),
            (
                recorded("observed:slo_events:increase", "30d", "1000"),
                120,
                Some(36_000.0),
            ),
            (budget("1"), 120, Some(-2.0)),
        ],
    };
    let right = in_json(
        "observed:slo_bad_events:increase{namespace=\"prod\",service=\"claude-api\",objective=\"availability\",window=\"30d\"} / \
         (observed:slo_events:increase{namespace=\"prod\",service=\"claude-api\",objective=\"availability\",window=\"30d\"} > 0)",
    );
    let mean = in_json(
        "avg_over_time(observed:slo_errors:ratio_rate{namespace=\"prod\",service=\"claude-api\",objective=\"availability\",window=\"5m\"}[30d])",
    );
    hours.proves((&right, &mean)).await;
}

#[tokio::test]
async fn an_error_counter_that_appears_with_the_first_error_was_zero_until_then() {
    let outage = Scenario {
        name: "no error series for two hours, then an outage",
        requests: vec![
            ("status=\"200\"", "0+600x120 72000x30"),
            ("status=\"500\"", "_x121 600+600x29"),
        ],
        expected: vec![
            (ratio("1h", "0.001"), 120, Some(0.0)),
            (budget("0.001"), 120, Some(1.0)),
            (firing("long=\"1h\""), 120, None),
            (firing("long=\"1h\""), 124, Some(1.0)),
            (ratio("5m", "0.001"), 130, Some(1.0)),
        ],
    };
    outage.proves(("or on () 0 *", "or on () -1 *")).await;
}

#[tokio::test]
async fn what_happened_in_the_last_minutes_is_whole_in_windows_of_days_and_stays_when_the_counters_go() {
    let outage = Scenario {
        name: "two good hours, five minutes of outage, and then nothing to scrape",
        requests: vec![
            ("status=\"200\"", "0+600x120 72000x4 stale"),
            ("status=\"500\"", "0x120 600+600x4 stale"),
        ],
        // After six hours it is known by what was recorded: what increase() made of the ends of the series is in it.
        expected: [
            (124, "100", 2_400.0),
            (125, "100", 3_000.0),
            (140, "100", 3_000.0),
            (600, "1000", 3_000.0),
        ]
        .map(|(minute, to, bad)| {
            (
                recorded("observed:slo_bad_events:increase", "1d", to),
                minute,
                Some(bad),
            )
        })
        .to_vec(),
    };
    let latest = |of: &str| {
        in_json(&format!(
            "{of}{{namespace=\"prod\",service=\"claude-api\",objective=\"availability\",window=\"6h\"}} or "
        ))
    };
    outage.proves((&latest("observed:slo_bad_events:increase"), "")).await;
    outage.proves((" or sum_over_time(", " + on () sum_over_time(")).await;
}

#[tokio::test]
async fn missing_scrapes_restarts_and_new_replicas_do_not_bend_the_ratio() {
    // 1 % of the requests of each pod fail. The first pod is missed at every third scrape and restarts once; the second
    // is replaced by the third.
    let rough = Scenario {
        name: "missing scrapes, a restart and another replica",
        requests: vec![
            (
                "pod=\"a\",status=\"200\"",
                "0+594x10 _ _ 7722+594x10 _ 14256+594x10 0+594x24 stale",
            ),
            ("pod=\"a\",status=\"500\"", "0+6x10 _ _ 78+6x10 _ 144+6x10 0+6x24 stale"),
            ("pod=\"b\",status=\"200\"", "0+594x29 stale"),
            ("pod=\"b\",status=\"500\"", "0+6x29 stale"),
            ("pod=\"c\",status=\"200\"", "_x30 0+594x60"),
            ("pod=\"c\",status=\"500\"", "_x30 0+6x60"),
        ],
        expected: vec![
            (ratio("5m", "0.0001"), 12, Some(0.01)),
            (ratio("30m", "0.0001"), 36, Some(0.01)),
            (ratio("1h", "0.0001"), 61, Some(0.01)),
            (ratio("30d", "0.0001"), 80, Some(0.01)),
            // 137 minutes of pods with 600 requests each.
            (
                recorded("observed:slo_events:increase", "30d", "10000"),
                80,
                Some(80_000.0),
            ),
        ],
    };
    // delta() knows no restart.
    rough.proves(("sum(increase(", "sum(delta(")).await;
}

#[tokio::test]
async fn a_page_ends_soon_after_the_trouble() {
    let recovered = Scenario {
        name: "ten minutes of outage in a good day",
        requests: vec![
            ("status=\"200\"", "0+600x120 72000x10 72000+600x110"),
            ("status=\"500\"", "0x120 0+600x10 6000x110"),
        ],
        expected: vec![
            (firing("long=\"1h\""), 119, None),
            (firing("long=\"1h\""), 129, Some(1.0)),
            // The short window is clean five minutes after it, and a page goes on for five more.
            (firing("long=\"1h\""), 142, None),
            // The long window still holds it.
            (ratio("1h", "0.1"), 142, Some(0.2)),
        ],
    };
    let right = in_json(
        "and ignoring (window) observed:slo_errors:ratio_rate{namespace=\"prod\",service=\"claude-api\",objective=\"availability\",window=\"5m\"} > 0.0144",
    );
    recovered.proves((&right, "")).await;
}

#[tokio::test]
async fn one_failure_of_three_requests_at_night_calls_nobody() {
    let night = Scenario {
        name: "three requests, of which one fails",
        requests: vec![("status=\"200\"", "0x60 1 2x120"), ("status=\"500\"", "0x61 1x120")],
        expected: [62, 66, 90, 120]
            .map(|minute| (firing("objective=\"availability\""), minute, None))
            .to_vec(),
    };
    night.proves(("> 4.5", "> 0")).await;
}

#[tokio::test]
async fn an_expression_that_loses_one_of_its_counters_fails_the_drills_of_its_objective() {
    let case = golden("objectives-of-own-counters");
    let rules = of_objective(&read(&case.join("rules.yaml")), "exports");
    let drills = drills_of(&case, "ErrorBudgetBurn long=1h objective=exports");
    survives(&rules, &drills).await.unwrap();
    for (counted, lost) in [("outcome=~\\\"failed|lost\\\"", "outcome=\\\"ok\\\""), ("[1h]", "[1m]")] {
        let text = rules.to_string();
        assert!(text.contains(counted), "{counted}");
        let mutated: Value = serde_json::from_str(&text.replace(counted, lost)).unwrap();
        assert!(notice(&drills, &mutated).await, "nobody notices {lost:?}");
    }
}

/// Objectives of every kind, with every target and window.
fn hundreds() -> (String, usize) {
    let mut documents = String::new();
    let mut objectives = 0;
    for service in 0..32 {
        documents.push_str(&format!(
            "---\napiVersion: observed.rs/v1alpha1\nkind: ObservedService\nmetadata: {{name: api-{service}, namespace: prod}}\n\
             spec:\n  targetRef: {{name: api-{service}}}\n  objectives:\n"
        ));
        for number in 0..16 {
            let nines = ["93.5", "95", "99", "99.5", "99.9", "99.95", "99.99", "99.99999"][(service + number) % 8];
            let days = 7 + (service * 16 + number) % 84;
            let sli = [
                "{errorRatio: {}}".to_owned(),
                format!("{{latency: {{below: {}ms}}}}", 5 + service * 250),
                "{ratio: {good: 'tasks_total{outcome=~\"a|b\"}', total: tasks_total}}".to_owned(),
                "{ratio: {bad: errors_total, total: 'tasks_total{kind!~\"x.*\"}'}}".to_owned(),
            ][number % 4]
                .clone();
            documents.push_str(&format!(
                "  - {{name: o-{number}, target: \"{nines}%\", window: {days}d, minBadEvents: {number}, sli: {sli}}}\n"
            ));
            objectives += 1;
        }
    }
    (documents, objectives)
}

#[tokio::test]
async fn the_rules_of_hundreds_of_objectives_are_rules_for_promtool() {
    let (text, objectives) = hundreds();
    let directory = tempfile::tempdir().unwrap();
    let input = directory.path().join("services.yaml");
    fs::write(&input, text).unwrap();
    let program = binaries::debug("observed", &Progress::detect()).await.unwrap();
    let rendered = Command::new(program)
        .args(["render", "--only", "prometheus-rule", "-f"])
        .arg(&input)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&rendered.stderr).into_owned();
    assert!(rendered.status.success(), "{said}");
    let mut groups = Vec::new();
    let mut named = BTreeMap::<String, usize>::new();
    for document in String::from_utf8(rendered.stdout).unwrap().split("\n---\n") {
        let object: Value = serde_saphyr::from_str(document).unwrap();
        for group in object["spec"]["groups"].as_array().unwrap() {
            for rule in group["rules"].as_array().unwrap() {
                if rule["record"] == "observed:slo_error_budget:remaining_ratio" {
                    *named
                        .entry(format!("{}/{}", rule["labels"]["service"], rule["labels"]["objective"]))
                        .or_default() += 1;
                }
            }
            // Those of packs have no labels by which promtool could tell services apart.
            if group["name"].as_str().unwrap().ends_with(":objectives") {
                groups.push(group.clone());
            }
        }
    }
    assert_eq!((named.len(), named.values().max()), (objectives, Some(&1)));
    check(directory.path(), &json!({"groups": groups})).await.unwrap();
    groups[1]["rules"][0]["expr"] = json!("sum(increase(a[5m])");
    assert!(check(directory.path(), &json!({"groups": groups})).await.is_err());
}

async fn check(directory: &Path, rules: &Value) -> Result<(), String> {
    fs::write(directory.join("rules.yaml"), rules.to_string()).unwrap();
    runs(
        &["check", "rules", "--lint=all", "--lint-fatal", "rules.yaml"],
        directory,
    )
    .await
}
