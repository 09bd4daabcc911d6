//! What is generated of what a service exposes, and what of it is kept.

use std::sync::LazyLock;

use observed_crds::v1alpha1::PackSignals;
use observed_crds::v1alpha1::signal_pack::Applies;
use proptest::prelude::*;

use super::*;
use crate::facts::Exposed;
use crate::facts::exposed::MOST_BOUNDS;

/// What pods expose, as families in YAML.
pub(super) fn exposed(families: &str) -> Exposed {
    let page = "pages: [{pod: p, outcome: read}]";
    serde_saphyr::from_str(&format!("{page}\nfamilies: {families}")).unwrap()
}

pub(super) fn known<'a>(now: &'a Exposed, before: &'a [PackSignals], generation: i64) -> Known<'a> {
    Known {
        now: Some(now).filter(|now| now.is_known()),
        before,
        generation,
        settled: true,
    }
}

/// The plan for what is known, with the packs that every service has.
pub(super) fn plan_of(signals: &Signals, known: Known<'_>) -> Plan {
    let mut signals = signals.clone();
    let always = || default_packs(&Packs::builtin().unwrap(), &Signals::default(), &Known::default());
    signals.packs.get_or_insert_with(always);
    let binding = Binding {
        known,
        dependencies: &[],
        ..sample::binding(&signals)
    };
    sample::plan(&binding).unwrap()
}

const BOTH: &str = "{http_requests_total: {type: counter, labels: [endpoint, method, status]}, \
    http_request_duration_seconds: {type: histogram, labels: [endpoint, method], bounds: [0.5, 5]}, \
    http_requests_inprogress: {type: gauge, labels: []}, http_exceptions_total: {type: counter, labels: []}}";
const COUNTER: &str = "{http_requests_total: {type: counter, labels: [endpoint, method, status]}, \
    http_requests_inprogress: {type: gauge, labels: []}, http_exceptions_total: {type: counter, labels: []}}";
const HISTOGRAM: &str = "{http_request_duration_seconds: {type: histogram, labels: [endpoint, method]}, \
    http_requests_inprogress: {type: gauge, labels: []}, http_exceptions_total: {type: counter, labels: []}}";
const NOTHING: &str = "{}";

static SILENCE: LazyLock<Exposed> = LazyLock::new(Exposed::default);

fn http(plan: &Plan) -> &plan::Pack {
    &plan.packs[0]
}

fn names(plan: &Plan) -> (Vec<&str>, Vec<&str>, Vec<&str>) {
    let http = http(plan);
    (
        http.records.iter().map(|record| record.name.as_str()).collect(),
        http.alerts.iter().map(|alert| alert.name.as_str()).collect(),
        http.panels.iter().map(|panel| panel.title.as_str()).collect(),
    )
}

fn missing(plan: &Plan) -> Vec<&str> {
    plan.exposure
        .missing
        .iter()
        .map(|missing| missing.name.as_str())
        .collect()
}

#[test]
fn what_is_exposed_is_generated_and_what_is_not_is_left_out_and_told() {
    let page = exposed(COUNTER);
    let plan = plan_of(&Signals::default(), known(&page, &[], 1));
    assert_eq!(
        names(&plan),
        (
            vec!["observed:http_requests:rate", "observed:http_errors:ratio"],
            vec!["HighErrorRate"],
            vec![
                "Request rate",
                "Error ratio",
                "Busiest endpoints",
                "Requests in flight",
                "Uncaught exceptions"
            ]
        )
    );
    assert_eq!(missing(&plan), ["http_request_duration_seconds"]);
    let told = &plan.exposure.missing[0];
    assert_eq!(
        told.left_out,
        [
            "alert HighResponseTime",
            "panel \"Requests slower than 5 s\"",
            "panel \"Response time\"",
            "panel \"Slowest endpoints (p95)\""
        ]
    );
    assert!(told.when_missing.contains("histogram"));
    // The twin: all of it is there.
    let both = exposed(BOTH);
    let whole = plan_of(&Signals::default(), known(&both, &[], 1));
    assert_eq!((names(&whole).1.len(), missing(&whole)), (2, vec![]));
    assert_eq!(whole.packs[1..], plan.packs[1..], "other packs do not depend on it");
}

#[test]
fn an_alert_whose_guard_is_missing_is_left_out_and_what_it_guards_is_still_drawn() {
    let page = exposed(HISTOGRAM);
    let plan = plan_of(&Signals::default(), known(&page, &[], 1));
    assert_eq!(
        names(&plan),
        (
            vec!["observed:http_request_duration_seconds:p95"],
            vec![],
            vec![
                "Response time",
                "Requests slower than 5 s",
                "Slowest endpoints (p95)",
                "Requests in flight",
                "Uncaught exceptions"
            ]
        )
    );
    assert!(panel(&plan, "Response time").thresholds.is_empty());
    assert!(
        plan.exposure.missing[0]
            .left_out
            .contains(&"alert HighResponseTime".to_owned())
    );
}

#[test]
fn while_nobody_knows_anything_everything_is_generated_as_the_packs_are_written() {
    let plan = plan_of(&Signals::default(), known(&SILENCE, &[], 1));
    assert_eq!(
        (names(&plan).1.len(), plan.exposure.unasked.as_slice()),
        (2, ["http".to_owned()].as_slice())
    );
    assert_eq!((missing(&plan), plan.exposure.seen.as_slice()), (vec![], [].as_slice()));
    assert_eq!(plan.exposure.dialects["http"], "guide");
    let packs: Vec<&str> = plan.packs.iter().map(|pack| pack.name.as_str()).collect();
    assert!(
        ["http", "workload", "target"].iter().all(|name| packs.contains(name)),
        "{packs:?}"
    );
}

#[test]
fn a_pack_that_exposes_nothing_is_left_out_whole_and_its_signals_can_be_required() {
    let page = exposed(NOTHING);
    let with = |require: &[&str]| {
        let signals = Signals {
            require: require.iter().map(|name| (*name).to_owned()).collect(),
            ..Signals::default()
        };
        plan_of(&signals, known(&page, &[], 1))
    };
    assert_eq!(names(&with(&[])), (vec![], vec![], vec![]));
    assert_eq!(names(&with(&["http"])).1, ["HighErrorRate", "HighResponseTime"]);
    // What its guard reads is recorded too.
    let latency = with(&["http/latency"]);
    assert_eq!(names(&latency).1, ["HighResponseTime"]);
    assert_eq!(
        names(&latency).0,
        [
            "observed:http_requests:rate",
            "observed:http_request_duration_seconds:p95"
        ]
    );
    assert_eq!(missing(&latency).len(), 4, "it is told all the same");
}

#[test]
fn a_requirement_that_is_none_names_what_was_meant() {
    for (required, words) in [
        ("htp", "did you mean \"http\"?"),
        ("http/latencies", "did you mean \"http/latency\"?"),
        ("http/", "http/latency"),
    ] {
        let signals = Signals {
            require: vec!["http".to_owned(), required.to_owned()],
            ..Signals::default()
        };
        let (path, found) = finding(&signals);
        assert_eq!(path, "spec.signals.require[1]");
        assert!(found.contains(words), "{found}");
    }
    let elsewhere = Signals {
        packs: Some(vec!["target".to_owned()]),
        require: vec!["http/latency".to_owned()],
        ..Signals::default()
    };
    assert!(finding(&elsewhere).1.contains("add it to spec.signals.packs"));
}

#[test]
fn what_was_once_seen_stays_until_the_spec_changes_and_a_settled_pod_says_otherwise() {
    let (both, counter) = (exposed(BOTH), exposed(COUNTER));
    let before = plan_of(&Signals::default(), known(&both, &[], 3)).exposure.seen;
    let left = |now: &Exposed, generation: i64, settled: bool| {
        let known = Known {
            settled,
            ..known(now, &before, generation)
        };
        let plan = plan_of(&Signals::default(), known);
        (missing(&plan).len(), plan.exposure.seen[0].generation)
    };
    // No pod answers, or one answers with less: under the same spec nothing is lost.
    assert_eq!((left(&SILENCE, 3, true), left(&counter, 3, true)), ((0, 3), (0, 3)));
    // The spec has changed: silence says nothing, a rollout says nothing yet, and then it is as the pods say.
    assert_eq!((left(&SILENCE, 4, true), left(&counter, 4, false)), ((0, 3), (0, 3)));
    assert_eq!(left(&counter, 4, true), (1, 4));
}

#[test]
fn a_series_that_appears_is_no_longer_missing() {
    let (nothing, both) = (exposed(NOTHING), exposed(BOTH));
    let before = plan_of(&Signals::default(), known(&nothing, &[], 1)).exposure.seen;
    assert_eq!(before[0].missing.len(), 4);
    let silent = plan_of(&Signals::default(), known(&SILENCE, &before, 1));
    assert_eq!(missing(&silent).len(), 4, "silence is no news");
    assert_eq!(
        missing(&plan_of(&Signals::default(), known(&both, &before, 1))).len(),
        0
    );
}

#[test]
fn labels_of_a_counter_are_learnt_when_something_is_counted_and_not_forgotten() {
    let (quiet, counted) = (exposed("{http_requests_total: {type: counter}}"), exposed(COUNTER));
    let seen =
        |now: &Exposed, before: &[PackSignals]| plan_of(&Signals::default(), known(now, before, 1)).exposure.seen;
    let first = seen(&quiet, &[]);
    assert_eq!(first[0].seen[0].labels, None);
    let second = seen(&counted, &first);
    assert_eq!(second[0].seen[0].labels.as_ref().map(Vec::len), Some(3));
    assert_eq!(seen(&quiet, &second), second);
}

#[test]
fn a_label_that_a_series_lacks_is_told_with_the_rename_that_fits() {
    let lacks = |labels: &str| {
        let page = exposed(&format!(
            "{{http_requests_total: {{type: counter, labels: {labels}}}, \
             http_request_duration_seconds: {{type: histogram, labels: [endpoint, method]}}}}"
        ));
        let plan = plan_of(&Signals::default(), known(&page, &[], 1));
        let told = plan.exposure.lacking.into_iter();
        told.map(|lacking| (lacking.label, lacking.nearest)).collect::<Vec<_>>()
    };
    let told = |label: &str, nearest: Option<&str>| (label.to_owned(), nearest.map(str::to_owned));
    assert_eq!(lacks("[endpoint, method, status]"), []);
    assert_eq!(lacks("[endpoint, status]"), [told("method", None)]);
    assert_eq!(lacks("[endpoint, method, stats]"), [told("status", Some("stats"))]);
    assert_eq!(
        lacks("[endpoint, method, code]"),
        [told("status", Some("code"))],
        "another dialect says it so"
    );
    assert_eq!(
        lacks("[method, status, path]"),
        [told("endpoint", Some("path"))],
        "nothing else is left"
    );
    assert_eq!(lacks("[method, status, path, zone]"), [told("endpoint", None)]);
}

#[test]
fn a_pack_for_who_exposes_it_is_there_when_something_of_it_is_exposed_or_named() {
    let mut packs = Packs::builtin().unwrap();
    packs.packs[0].spec.applies = Applies::WhenExposed;
    let applies = |signals: &Signals, now: &Exposed, before: &[PackSignals]| {
        let names = default_packs(&packs, signals, &known(now, before, 1));
        assert!(names.contains(&"target".to_owned()) && names.contains(&"workload".to_owned()));
        names.contains(&"http".to_owned())
    };
    let plain = Signals::default();
    let (nothing, some) = (
        exposed(NOTHING),
        exposed("{http_server_requests_seconds: {type: summary}}"),
    );
    assert!(!applies(&plain, &SILENCE, &[]) && !applies(&plain, &nothing, &[]));
    assert!(applies(&plain, &some, &[]), "in whatever dialect");
    let before = plan_of(&plain, known(&some, &[], 1)).exposure.seen;
    assert!(applies(&plain, &SILENCE, &before) && applies(&plain, &nothing, &before));
    for named in [
        signals(&[("http_requests_total", "x_total")], &[]),
        signals(&[("endpoint", "route")], &[]),
        signals(&[], &[("HighErrorRate", above("0.1"))]),
        Signals {
            require: vec!["http/latency".to_owned()],
            ..Signals::default()
        },
    ] {
        assert!(applies(&named, &nothing, &[]), "{named:?}");
    }
}

#[test]
fn a_label_of_a_pack_that_is_always_there_names_no_other_pack() {
    let mut packs = Packs::builtin().unwrap();
    let mut other = packs.packs[0].clone();
    other.metadata.name = "other".to_owned();
    other.spec.applies = Applies::WhenExposed;
    other.spec.series.truncate(1);
    other.spec.series[0].name = "other_total".to_owned();
    other.spec.series[0].labels = vec!["status".to_owned(), "tenant".to_owned()];
    packs.packs.push(other);
    let page = exposed(NOTHING);
    let has_other = |label: &str| {
        let names = default_packs(&packs, &signals(&[(label, "x")], &[]), &known(&page, &[], 1));
        names.contains(&"other".to_owned())
    };
    assert!(!has_other("status") && has_other("tenant"));
}

#[test]
fn a_series_that_two_packs_read_is_missing_only_in_the_one_that_does_not_find_it() {
    let otel = "{http_server_request_duration_seconds: {type: histogram, labels: [http_request_method, http_route, \
        http_response_status_code]}, tokens_used_total: {type: counter, labels: [model, direction]}}";
    let page = exposed(otel);
    let plan_with = |packs: &Packs| {
        let names = default_packs(packs, &Signals::default(), &known(&page, &[], 1));
        let signals = Signals {
            packs: Some(names),
            ..Signals::default()
        };
        let binding = Binding {
            known: known(&page, &[], 1),
            ..sample::binding(&signals)
        };
        bind(packs, signals.packs.as_deref().unwrap(), &binding).unwrap()
    };
    let alerts = |bound: &Bound, pack: &str| -> Vec<String> {
        let pack = bound.packs.iter().find(|bound| bound.name == pack).unwrap();
        pack.alerts.iter().map(|alert| alert.name.clone()).collect()
    };
    let mut packs = Packs::builtin().unwrap();
    let bound = plan_with(&packs);
    assert_eq!(alerts(&bound, "http"), ["HighErrorRate", "HighResponseTime"]);
    assert_eq!(alerts(&bound, "llm"), ["TokensStalled"]);
    // The twin: a pack that declares the series itself, in one spelling, lacks it and takes it from no other pack.
    let llm = packs.packs.iter_mut().find(|pack| pack.metadata.name == "llm").unwrap();
    llm.spec.borrows.clear();
    for series in &mut llm.spec.series {
        series.dialects.clear();
    }
    let bound = plan_with(&packs);
    assert_eq!(alerts(&bound, "http"), ["HighErrorRate", "HighResponseTime"]);
    assert_eq!(alerts(&bound, "llm"), Vec::<String>::new());
    let told: Vec<_> = bound
        .exposure
        .missing
        .iter()
        .map(|missing| (missing.pack.as_str(), &missing.left_out))
        .collect();
    assert!(
        told.contains(&("llm", &vec!["alert TokensStalled".to_owned()])),
        "{told:?}"
    );
}

#[test]
fn what_a_pack_borrows_from_another_brings_it_to_no_service() {
    let packs = Packs::builtin().unwrap();
    let apply = |signals: &Signals, page: &str| {
        let page = exposed(page);
        let names = default_packs(&packs, signals, &known(&page, &[], 1));
        let names = names.into_iter().filter(|name| name == "llm" || name == "business");
        names.collect::<Vec<_>>()
    };
    let plain = Signals::default();
    assert_eq!(apply(&plain, BOTH), Vec::<String>::new());
    assert_eq!(apply(&plain, "{tokens_used_total: {type: counter}}"), ["llm"]);
    assert_eq!(apply(&plain, "{tasks_completed_total: {type: counter}}"), ["business"]);
    assert_eq!(
        apply(&signals(&[("http_requests_total", "x_total")], &[]), BOTH),
        Vec::<String>::new()
    );
    assert_eq!(apply(&signals(&[("tokens_used_total", "x_total")], &[]), BOTH), ["llm"]);
    assert_eq!(apply(&priced(), BOTH), ["llm"]);
    // What is kept of it says no more than what is there.
    let page = exposed(BOTH);
    let listed = Signals {
        packs: Some(vec!["http".to_owned(), "llm".to_owned()]),
        ..Signals::default()
    };
    let kept = plan_of(&listed, known(&page, &[], 1)).exposure.seen;
    assert!(kept.iter().any(|seen| seen.pack == "llm" && !seen.seen.is_empty()));
    assert!(!default_packs(&packs, &plain, &known(&page, &kept, 1)).contains(&"llm".to_owned()));
}

fn priced() -> Signals {
    Signals {
        prices: vec![observed_crds::v1alpha1::Price {
            model: "m".to_owned(),
            input_per_million: "3".to_owned(),
            output_per_million: "15".to_owned(),
            ..Default::default()
        }],
        ..Signals::default()
    }
}

#[test]
fn a_series_that_only_prices_read_is_missing_only_with_prices_and_so_are_its_labels() {
    let told = |signals: Signals, page: &str| {
        let page = exposed(page);
        let signals = Signals {
            packs: Some(vec!["business".to_owned()]),
            ..signals
        };
        let plan = plan_of(&signals, known(&page, &[], 1));
        let lacking: Vec<String> = plan
            .exposure
            .lacking
            .iter()
            .map(|lacking| lacking.label.clone())
            .collect();
        (missing(&plan).contains(&"tokens_used_total"), lacking)
    };
    assert_eq!(told(Signals::default(), NOTHING), (false, vec![]));
    assert_eq!(told(priced(), NOTHING), (true, vec![]));
    let bare = "{tokens_used_total: {type: counter, labels: [llm, kind]}}";
    assert_eq!(told(Signals::default(), bare), (false, vec![]));
    assert_eq!(
        told(priced(), bare),
        (false, vec!["model".to_owned(), "direction".to_owned()])
    );
}

#[test]
fn bounds_are_kept_whole_or_not_at_all_and_every_one_fits_into_the_status() {
    let kept = |bounds: &str| {
        let page = exposed(&format!(
            "{{http_request_duration_seconds: {{type: histogram, labels: [endpoint, method], bounds: {bounds}}}}}"
        ));
        let plan = plan_of(&Signals::default(), known(&page, &[], 1));
        plan.exposure.seen[0].seen[0].bounds.clone()
    };
    assert_eq!(kept("[0.005, 0.5, 5]"), ["0.005", "0.5", "5"]);
    assert_eq!(kept("[1e-200, 5]"), Vec::<String>::new());
    let many: Vec<String> = (1..=MOST_BOUNDS + 1).map(|bound| bound.to_string()).collect();
    assert_eq!(kept(&format!("[{}]", many.join(", "))), Vec::<String>::new());
    assert_eq!(kept(&format!("[{}]", many[1..].join(", "))).len(), MOST_BOUNDS);
}

fn pages() -> impl Strategy<Value = Exposed> {
    let labels = prop::sample::subsequence(
        vec!["endpoint", "handler", "method", "status", "code", "uri", "path"],
        0..=7,
    );
    let family = prop::option::of((labels, any::<bool>()));
    prop::collection::vec(family, 5).prop_map(|families| {
        let names = [
            ("http_requests_total", "counter"),
            ("http_request_duration_seconds", "histogram"),
            ("http_server_request_duration_seconds", "histogram"),
            ("http_server_requests_seconds", "summary"),
            ("other", "gauge"),
        ];
        let families = names.iter().zip(families).filter_map(|((name, kind), family)| {
            let (labels, counted) = family?;
            let labels = if counted {
                format!(", labels: [{}]", labels.join(", "))
            } else {
                String::new()
            };
            Some(format!("{name}: {{type: {kind}{labels}}}"))
        });
        exposed(&format!("{{{}}}", families.collect::<Vec<_>>().join(", ")))
    })
}

/// One pack is enough, and quicker.
fn of_http() -> Signals {
    Signals {
        packs: Some(vec!["http".to_owned()]),
        ..Signals::default()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn silence_and_a_second_look_change_nothing(page in pages()) {
        let first = plan_of(&of_http(), known(&page, &[], 1));
        let kept = &first.exposure.seen;
        let silent = plan_of(&of_http(), known(&SILENCE, kept, 1));
        prop_assert_eq!(&silent, &first);
        let again = plan_of(&of_http(), known(&page, kept, 1));
        prop_assert_eq!(&again, &first);
    }

    #[test]
    fn whatever_pods_say_one_after_the_other_nothing_that_was_seen_is_lost(pages in prop::collection::vec(pages(), 1..5)) {
        let mut kept: Vec<PackSignals> = Vec::new();
        for page in &pages {
            let seen = plan_of(&of_http(), known(page, &kept, 1)).exposure.seen;
            let names = |seen: &[PackSignals]| {
                let all = seen.iter().flat_map(|pack| &pack.seen);
                all.map(|seen| seen.name.clone()).collect::<std::collections::BTreeSet<_>>()
            };
            prop_assert!(names(&seen).is_superset(&names(&kept)));
            kept = seen;
        }
    }
}
