//! One healthy cluster, and each mistake that people make in it: found by exactly the rule that is for it.

mod answered;
mod bundled;
mod probed;
mod ruled;
mod scraping;
mod shown;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::answers::{AlertmanagerAnswers, PrometheusAnswers, Query, Sample, Target, TargetHealth};
use super::mistakes::Seen;
use super::*;
use crate::facts::AnswerOutcome;
use crate::grafana_api::Known;
use crate::lint::Source;

const HEALTHY: &str = include_str!("tests/healthy.yaml");

const ROUTES: &str = r#"
route:
  receiver: 'null'
  routes:
  - {receiver: prod/web/chat, matchers: ['namespace="prod"'], continue: true}
receivers:
- {name: 'null'}
- {name: prod/web/chat, slack_configs: [{channel: web}]}
"#;

fn source(text: &str) -> Source {
    Source {
        name: "cluster.yaml".into(),
        text: text.into(),
        found: false,
    }
}

fn target(pool: &str, job: &str) -> Target {
    let labels = [
        ("job", job),
        ("namespace", "prod"),
        ("pod", "api-7d4b9c-x2x4z"),
        ("instance", "10.0.0.1:8000"),
    ];
    Target {
        scrape_pool: pool.into(),
        scrape_url: "http://10.0.0.1:8000/metrics".into(),
        labels: labels
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect(),
        last_error: String::new(),
        health: TargetHealth::Up,
    }
}

fn group() -> Group {
    let rule = |name: &str| LoadedRule {
        name: name.into(),
        health: "ok".into(),
        last_error: String::new(),
    };
    Group {
        name: "api".into(),
        file: "/etc/prometheus/rules/prometheus-main-rulefiles-0/prod-api-u1.yaml".into(),
        interval: 30.0,
        evaluation_time: 0.1,
        rules: vec![rule("job:errors:ratio"), rule("HighErrorRate")],
    }
}

/// A cluster in which everything works, and what its Prometheus and Alertmanager answer.
fn healthy() -> Snapshot {
    let (mut snapshot, problems) = read(&[source(HEALTHY)], "default");
    assert_eq!(problems, Vec::<String>::new());
    // It is a cluster and no file: what is not there does not exist.
    snapshot.unseen.clear();
    for object in snapshot.objects.values_mut().flatten() {
        object.place = None;
    }
    let metrics = [
        "http_errors_total",
        "http_requests_total",
        "redis_up",
        "job:errors:ratio",
        "up",
    ];
    snapshot.prometheuses = vec![PrometheusAnswers {
        who: "Prometheus monitoring/main".into(),
        resource: ("monitoring".into(), "main".into()),
        targets: Ok(vec![
            target("serviceMonitor/prod/api/0", "api"),
            target("podMonitor/prod/worker/0", "prod/worker"),
        ]),
        rules: Ok(vec![group()]),
        metrics: Ok(metrics.map(str::to_owned).into()),
        queries: Query::all().into_iter().map(|query| (query, Ok(Vec::new()))).collect(),
    }];
    snapshot.alertmanagers = vec![AlertmanagerAnswers {
        who: "Alertmanager monitoring/main".into(),
        resource: ("monitoring".into(), "main".into()),
        config: Ok(ROUTES.into()),
    }];
    snapshot.grafana = Some(GrafanaAnswers {
        url: "http://grafana".into(),
        dashboards: BTreeMap::new(),
    });
    snapshot.probes = Some(vec![probed::answered(Ok(AnswerOutcome::Status(200)))]);
    snapshot
}

fn ids(diagnosis: &Diagnosis) -> Vec<&'static str> {
    diagnosis.findings.iter().map(|finding| finding.rule).collect()
}

fn object<'a>(snapshot: &'a mut Snapshot, path: &str) -> &'a mut Object {
    let mut objects = snapshot.objects.values_mut().flatten();
    objects
        .find(|object| object.reference().to_string() == path)
        .unwrap_or_else(|| panic!("there is no {path}"))
}

/// Sets a field; null removes it. Labels are read anew.
fn set(snapshot: &mut Snapshot, path: &str, pointer: &str, value: Value) {
    let found = object(snapshot, path);
    let (above, field) = pointer.rsplit_once('/').unwrap();
    let field = field.replace("~1", "/");
    let above = found
        .value
        .pointer_mut(above)
        .unwrap_or_else(|| panic!("{path} has no {above}"));
    match (value, above) {
        (Value::Null, Value::Object(map)) => {
            map.remove(&field);
        }
        (value, Value::Array(list)) => list[field.parse::<usize>().unwrap()] = value,
        (value, above) => above[field] = value,
    }
    *found = Object::new(found.kind, found.value.clone(), "default");
}

fn add(snapshot: &mut Snapshot, yaml: &str) {
    let (more, problems) = read(&[source(yaml)], "default");
    assert_eq!(problems, Vec::<String>::new());
    for mut object in more.objects.into_values().flatten() {
        object.place = None;
        snapshot.add(object);
    }
}

fn remove(snapshot: &mut Snapshot, path: &str) {
    for objects in snapshot.objects.values_mut() {
        objects.retain(|object| object.reference().to_string() != path);
    }
}

fn down(snapshot: &mut Snapshot, error: &str) {
    let target = &mut snapshot.prometheuses[0].targets.as_mut().unwrap()[0];
    target.health = TargetHealth::Down;
    target.last_error = error.into();
}

fn answer(snapshot: &mut Snapshot, query: Query, value: f64) {
    let labels = target("", "api").labels;
    snapshot.prometheuses[0]
        .queries
        .insert(query, Ok(vec![Sample { labels, value }]));
}

const SM: &str = "ServiceMonitor prod/api";
const PM: &str = "PodMonitor prod/worker";
const RULE: &str = "PrometheusRule prod/api";
const DEPLOYMENT: &str = "Deployment prod/api";
const SERVICE: &str = "Service prod/api";
const MAP: &str = "ConfigMap prod/api-dashboard";
const CONTAINER: &str = "/spec/template/spec/containers/0";

/// A rule, the mistake in words, the mistake, and what the finding has to say.
type Case = (&'static str, &'static str, fn(&mut Snapshot), &'static str);

/// Every case.
fn cases() -> impl Iterator<Item = &'static Case> {
    [
        scraping::CASES,
        answered::CASES,
        ruled::CASES,
        shown::CASES,
        probed::CASES,
    ]
    .into_iter()
    .flatten()
}

fn expr(snapshot: &mut Snapshot, text: &str) {
    set(snapshot, RULE, "/spec/groups/0/rules/1/expr", json!(text));
}

fn dashboard(snapshot: &mut Snapshot, text: &str) {
    set(snapshot, MAP, "/data", json!({"api.json": text}));
}

/// Grafana has this under the uid `api`.
fn in_grafana(snapshot: &mut Snapshot, title: Option<&str>) {
    let known = title.map(|title| Known {
        title: title.into(),
        folder: "Services".into(),
    });
    let grafana = snapshot.grafana.as_mut().unwrap();
    grafana.dashboards.insert("api".into(), Ok(known));
}

/// Prometheus has loaded none of it yet, and may not say so.
fn unloaded(snapshot: &mut Snapshot) {
    snapshot.prometheuses[0].rules = Err("it says 503".into());
}

/// Prometheus has not scraped it yet.
fn unknown(snapshot: &mut Snapshot) {
    snapshot.prometheuses[0].targets.as_mut().unwrap()[0].health = TargetHealth::Unknown;
}

#[test]
fn a_healthy_cluster_has_no_finding_and_every_rule_is_run() {
    let diagnosis = diagnose(&healthy());
    assert!(diagnosis.findings.is_empty(), "{:#?}", diagnosis.findings);
    assert_eq!(diagnosis.not_run, []);
}

#[test]
fn each_mistake_is_found_by_exactly_the_rule_that_is_for_it() {
    for (rule, mistake, make, words) in cases() {
        let mut snapshot = healthy();
        make(&mut snapshot);
        let diagnosis = diagnose(&snapshot);
        assert!(!diagnosis.findings.is_empty(), "{rule}: {mistake}: nothing is found");
        for finding in &diagnosis.findings {
            assert_eq!(finding.rule, *rule, "{mistake}: {finding:#?}");
        }
        let told = serde_json::to_string(&diagnosis.findings).unwrap();
        let words = serde_json::to_string(words).unwrap();
        assert!(
            told.contains(words.trim_matches('"')),
            "{rule}: {mistake}: {words} is not in {told}"
        );
    }
}

#[test]
fn every_rule_has_a_case_an_id_of_its_own_and_words() {
    let cases: BTreeSet<&str> = cases().map(|(rule, ..)| *rule).collect();
    let rules: BTreeSet<&str> = RULES.iter().map(|rule| rule.id).collect();
    assert_eq!(cases, rules);
    assert_eq!(rules.len(), RULES.len());
    for rule in RULES {
        for words in [rule.title, rule.effect, rule.fix] {
            assert!(!words.is_empty() && !words.ends_with('.'), "{}: {words}", rule.id);
        }
        assert!(page().contains(&format!("\n## {}\n", rule.id)), "{}", rule.id);
    }
}

#[test]
fn every_mistake_has_a_rule_that_is_there_or_a_reason_and_every_rule_a_mistake() {
    let rules: BTreeSet<&str> = RULES.iter().map(|rule| rule.id).collect();
    let mut found = BTreeSet::new();
    for mistake in mistakes::MISTAKES {
        match mistake.seen {
            Seen::By(ids) => {
                assert!(!ids.is_empty(), "nothing finds: {}", mistake.what);
                found.extend(ids.iter().copied());
            }
            Seen::Not(why) => assert!(!why.is_empty(), "{}", mistake.what),
        }
    }
    assert_eq!(found, rules);
}

#[test]
fn a_rule_that_prometheus_evaluates_is_not_accused() {
    let mut snapshot = healthy();
    expr(&mut snapshot, "what is new in the language");
    assert_eq!(ids(&diagnose(&snapshot)), Vec::<&str>::new());
    unloaded(&mut snapshot);
    assert_eq!(ids(&diagnose(&snapshot)), ["rule-invalid"]);
}

#[test]
fn what_an_unseen_one_could_select_is_not_accused() {
    let mut snapshot = healthy();
    set(&mut snapshot, SM, "/metadata/labels", json!({}));
    assert_eq!(ids(&diagnose(&snapshot)), ["monitor-not-selected"]);
    snapshot.unseen.insert(Kind::PrometheusAgent, Unseen::Forbidden);
    assert_eq!(ids(&diagnose(&snapshot)), Vec::<&str>::new());
}

#[test]
fn an_alertmanager_that_tells_nobody_anything_is_told_once_for_the_cluster() {
    let mut snapshot = healthy();
    snapshot.alertmanagers[0].config = Ok("{route: {receiver: 'null'}, receivers: [{name: 'null'}]}".into());
    let objects = |snapshot: &Snapshot| -> Vec<String> {
        diagnose(snapshot)
            .findings
            .iter()
            .map(|finding| finding.object.to_string())
            .collect()
    };
    assert_eq!(objects(&snapshot), ["Alertmanager monitoring/main"]);
    snapshot.scope.namespace = Some("prod".into());
    assert_eq!(objects(&snapshot), [RULE]);
}

#[test]
fn of_a_sharded_prometheus_one_pod_does_not_know_everything() {
    let mut snapshot = healthy();
    snapshot.prometheuses[0].targets.as_mut().unwrap().remove(0);
    assert_eq!(ids(&diagnose(&snapshot)), ["no-target"]);
    set(&mut snapshot, "Prometheus monitoring/main", "/spec/shards", json!(2));
    assert_eq!(ids(&diagnose(&snapshot)), Vec::<&str>::new());
}

#[test]
fn a_rule_that_lacks_what_it_needs_is_named_and_the_others_run() {
    let mut snapshot = healthy();
    set(&mut snapshot, SM, "/spec/endpoints/0/scrapeTimeout", json!("60s"));
    snapshot.unseen.insert(Kind::Prometheus, Unseen::Forbidden);
    snapshot.objects.remove(&Kind::Prometheus);
    snapshot.prometheuses[0].targets = Err("it says 403".into());
    let diagnosis = diagnose(&snapshot);
    assert_eq!(ids(&diagnosis), ["scrape-timeout"]);
    let why = |rule: &str| {
        diagnosis
            .not_run
            .iter()
            .find(|not| not.rule == rule)
            .map(|not| not.because.as_str())
    };
    assert_eq!(why("monitor-not-selected"), Some("you may not list prometheuses"));
    assert_eq!(why("target-down"), Some("it says 403"));
    assert_eq!(why("dashboard-duplicate"), None);
}

#[test]
fn a_namespace_whose_labels_are_not_seen_is_not_accused() {
    let mut snapshot = healthy();
    snapshot.objects.remove(&Kind::Namespace);
    snapshot.unseen.insert(Kind::Namespace, Unseen::Forbidden);
    let found = ids(&diagnose(&snapshot));
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn of_a_kind_that_is_seen_in_one_namespace_only_nothing_is_said_about_the_rest() {
    let mut snapshot = healthy();
    set(&mut snapshot, SM, "/metadata/labels", json!({}));
    snapshot.scope.namespace = Some("prod".into());
    snapshot.narrow.insert(Kind::Prometheus);
    let diagnosis = diagnose(&snapshot);
    assert!(!ids(&diagnosis).contains(&"monitor-not-selected"));
    let not = diagnosis
        .not_run
        .iter()
        .find(|not| not.rule == "monitor-not-selected")
        .unwrap();
    assert!(not.because.contains("only in namespace prod"), "{not:?}");
}

#[test]
fn one_name_or_namespace_is_asked_about_and_the_rest_is_left_out() {
    let mut snapshot = healthy();
    set(&mut snapshot, SM, "/metadata/labels", json!({}));
    set(&mut snapshot, PM, "/metadata/labels", json!({}));
    set(&mut snapshot, RULE, "/metadata/labels", json!({}));
    let objects = |snapshot: &Snapshot| -> BTreeSet<String> {
        diagnose(snapshot)
            .findings
            .iter()
            .map(|finding| finding.object.to_string())
            .collect()
    };
    let of = |all: &[&str]| all.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
    assert_eq!(objects(&snapshot), of(&[SM, PM, RULE]));
    snapshot.scope = Scope {
        namespace: Some("prod".into()),
        name: Some("worker".into()),
    };
    assert_eq!(objects(&snapshot), of(&[PM]));
    snapshot.scope.name = Some("api".into());
    assert_eq!(objects(&snapshot), of(&[SM, RULE]));
    assert!(is_known(&snapshot));
    snapshot.scope.name = Some("nobody".into());
    assert!(!is_known(&snapshot));
    snapshot.scope = Scope {
        namespace: Some("monitoring".into()),
        name: None,
    };
    assert_eq!(objects(&snapshot), of(&[]));
}

#[test]
fn files_are_judged_as_far_as_they_go_and_findings_have_their_place() {
    let text = "{apiVersion: v1, kind: Secret, metadata: {name: x}}\n---\napiVersion: monitoring.coreos.com/v1\nkind: ServiceMonitor\n\
                metadata: {name: a}\nspec: {selector: {}, endpoints: [{port: web, interval: 10s, scrapeTimeout: 1m}]}\n---\na: [";
    let (snapshot, problems) = read(&[source(text)], "team");
    assert_eq!(problems.len(), 1, "{problems:?}");
    let diagnosis = diagnose(&snapshot);
    assert_eq!(ids(&diagnosis), ["scrape-timeout"]);
    let place = diagnosis.findings[0].place.as_ref().unwrap();
    assert_eq!((place.file.as_str(), place.place.line), ("cluster.yaml", 3));
    assert_eq!(diagnosis.findings[0].object.namespace, "team");
    let not: BTreeMap<&str, &str> = diagnosis
        .not_run
        .iter()
        .map(|not| (not.rule, not.because.as_str()))
        .collect();
    assert_eq!(not["monitor-not-selected"], "the files hold no prometheuses");
    assert_eq!(not["target-down"], "no Prometheus was asked");
}

#[test]
fn a_hostile_text_reaches_no_terminal_and_no_shell() {
    let mut snapshot = healthy();
    set(
        &mut snapshot,
        "Prometheus monitoring/main",
        "/spec/serviceMonitorSelector",
        json!({"matchLabels": {"x": "$(reboot)\u{1b}[31m"}}),
    );
    set(&mut snapshot, SM, "/metadata/name", json!("a;reboot"));
    let diagnosis = diagnose(&snapshot);
    let command = diagnosis.findings[0].fix.command.as_ref().unwrap();
    assert!(command.ends_with("-n prod 'a;reboot' 'x=$(reboot) [31m'"), "{command}");
    assert!(
        !diagnosis
            .findings
            .iter()
            .any(|finding| finding.evidence.contains('\u{1b}'))
    );
}
