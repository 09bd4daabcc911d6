//! How services spell what the packs read.

use super::exposure::{exposed, known, plan_of};
use super::*;
use crate::facts::Exposed;

const GUIDE_PAGE: &str = "{http_requests_total: {type: counter, labels: [endpoint, method, status]}, \
    http_request_duration_seconds: {type: histogram, labels: [endpoint, method]}}";
const INSTRUMENTATOR: &str = "{http_requests_total: {type: counter, labels: [handler, method, status]}, \
    http_request_duration_seconds: {type: histogram, labels: [handler, method]}}";
const OPENTELEMETRY: &str = "{http_server_request_duration_seconds: {type: histogram, \
    labels: [http_request_method, http_route, http_response_status_code]}}";
const PROMHTTP: &str = "{http_requests_total: {type: counter, labels: [code, method]}, \
    http_request_duration_seconds: {type: histogram, labels: [code, method]}}";
const MICROMETER: &str = "{http_server_requests_seconds: {type: histogram, labels: [method, outcome, status, uri]}}";

fn dialect(plan: &Plan) -> &str {
    &plan.exposure.dialects["http"]
}

#[test]
fn a_dialect_is_known_by_what_the_pods_expose() {
    for (page, name) in [
        (GUIDE_PAGE, "guide"),
        (INSTRUMENTATOR, "instrumentator"),
        (OPENTELEMETRY, "opentelemetry"),
        (PROMHTTP, "promhttp"),
        (MICROMETER, "micrometer"),
        (
            "{http_server_requests_seconds: {type: summary, labels: [method, status, uri]}}",
            "micrometer",
        ),
        // Nothing tells them apart: as the packs are written.
        ("{http_requests_total: {type: counter}}", "guide"),
        ("{http_requests_total: {type: counter, labels: [a, b]}}", "guide"),
        ("{process_cpu_seconds_total: {type: counter, labels: []}}", "guide"),
    ] {
        let exposed = exposed(page);
        let plan = plan_of(&Signals::default(), known(&exposed, &[], 1));
        assert_eq!(dialect(&plan), name, "{page}");
    }
}

#[test]
fn a_dialect_reaches_rules_panels_legends_and_drills() {
    let exposed = exposed(OPENTELEMETRY);
    let plan = plan_of(&Signals::default(), known(&exposed, &[], 1));
    for text in rules(&plan).iter().chain(&queries(&plan)) {
        for old in [
            "http_requests_total",
            "http_request_duration_seconds_",
            "endpoint",
            " status",
            "{status",
        ] {
            assert!(!text.contains(old), "{old} in {text}");
        }
    }
    let error = &plan.packs[0].records[1].expr;
    assert!(error.contains("http_server_request_duration_seconds_count{"), "{error}");
    assert!(error.contains("http_response_status_code=~\"5..|5xx\""), "{error}");
    assert_eq!(
        panel(&plan, "Request rate").queries[0].legend,
        "{{http_response_status_code}}"
    );
    for input in alert(&plan, "HighResponseTime")
        .fires
        .iter()
        .flat_map(|case| &case.inputs)
    {
        assert!(
            input.name.starts_with("http_server_request_duration_seconds_"),
            "{}",
            input.name
        );
        assert!(input.labels.contains_key("http_route"));
    }
}

/// Any instrumentation of HTTP beside OpenTelemetry's conventions for generative AI.
fn with_gen_ai(page: &str) -> Exposed {
    let tokens = "gen_ai_client_token_usage: {type: histogram, labels: [gen_ai_request_model, gen_ai_token_type]}}";
    exposed(&page.replacen("}}", &format!("}}, {tokens}"), 1))
}

fn of_packs(names: &[&str]) -> Signals {
    Signals {
        packs: Some(names.iter().map(|name| (*name).to_owned()).collect()),
        ..Signals::default()
    }
}

#[test]
fn requests_and_models_are_spelled_apart_from_each_other() {
    let signals = of_packs(&["http", "llm", "business"]);
    for (page, requests) in [
        (
            "{http_requests_total: {type: counter, labels: [handler, method, status]}}",
            "instrumentator",
        ),
        (
            "{http_requests_total: {type: counter, labels: [code, method]}}",
            "promhttp",
        ),
        (OPENTELEMETRY, "opentelemetry"),
        (MICROMETER, "micrometer"),
        (
            "{http_requests_total: {type: counter, labels: [endpoint, method, status]}}",
            "guide",
        ),
    ] {
        let exposed = with_gen_ai(page);
        let plan = plan_of(&signals, known(&exposed, &[], 1));
        let of = |pack: &str| plan.exposure.dialects[pack].as_str();
        assert_eq!(
            (of("http"), of("llm"), of("business")),
            (requests, "gen-ai", "guide"),
            "{page}"
        );
        let packs = Packs::builtin().unwrap();
        let http = packs.get("http").unwrap();
        let spelled = crate::signals::dialect::metric(&http.spec.series[0], requests, None);
        let stalled = alert(&plan, "TokensStalled").expr;
        assert!(stalled.contains(&format!("rate({spelled}{{")), "{page}: {stalled}");
        assert!(
            stalled.contains("rate(gen_ai_client_token_usage_sum{"),
            "{page}: {stalled}"
        );
        assert_eq!(
            stalled.contains("endpoint!~"),
            ["guide", "promhttp"].contains(&requests),
            "{page}: {stalled}"
        );
    }
    // The twin: what one of them is called in the spec says nothing of the other.
    let exposed = with_gen_ai(MICROMETER);
    let named = Signals {
        dialect: Some("guide".to_owned()),
        ..signals
    };
    let plan = plan_of(&named, known(&exposed, &[], 1));
    assert_eq!((dialect(&plan), &*plan.exposure.dialects["llm"]), ("guide", "guide"));
}

#[test]
fn a_pack_that_only_lends_has_a_dialect_that_is_told_and_kept() {
    let signals = of_packs(&["llm"]);
    let exposed = with_gen_ai(MICROMETER);
    let plan = plan_of(&signals, known(&exposed, &[], 1));
    assert_eq!(
        plan.exposure.dialects,
        [("http", "micrometer"), ("llm", "gen-ai")]
            .map(|(pack, dialect)| (pack.to_owned(), dialect.to_owned()))
            .into()
    );
    assert!(
        alert(&plan, "TokensStalled")
            .expr
            .contains("http_server_requests_seconds_count")
    );
    let silent = Known {
        now: None,
        ..known(&exposed, &plan.exposure.seen, 2)
    };
    let later = plan_of(&signals, silent);
    assert_eq!(later.exposure.dialects, plan.exposure.dialects);
    // The twin: who kept nothing knows nothing.
    let unknown = Known { before: &[], ..silent };
    assert_eq!(plan_of(&signals, unknown).exposure.dialects["http"], "guide");
}

#[test]
fn a_dialect_without_a_label_has_no_case_that_tells_series_apart_by_it() {
    let cases = |page: &str| {
        let exposed = exposed(page);
        let plan = plan_of(&Signals::default(), known(&exposed, &[], 1));
        alert(&plan, "HighErrorRate").silent
    };
    let about_the_readiness_page = |case: &plan::Case| case.title.contains("readiness page");
    let (guide, promhttp) = (cases(GUIDE_PAGE), cases(PROMHTTP));
    assert!(guide.iter().any(about_the_readiness_page) && !promhttp.iter().any(about_the_readiness_page));
    assert_eq!(promhttp.len() + 1, guide.len());
    for input in promhttp.iter().flat_map(|case| &case.inputs) {
        let labels: Vec<&str> = input.labels.keys().map(String::as_str).collect();
        assert_eq!(labels, ["code", "method"]);
    }
}

#[test]
fn a_dialect_of_the_spec_holds_whatever_is_exposed_and_a_rename_above_it() {
    let exposed = exposed(INSTRUMENTATOR);
    let mut signals = signals(&[("http_requests_total", "hits_total"), ("endpoint", "handler")], &[]);
    signals.dialect = Some("promhttp".to_owned());
    signals.require = vec!["http".to_owned()];
    let plan = plan_of(&signals, known(&exposed, &[], 1));
    assert_eq!(dialect(&plan), "promhttp");
    let rate = &plan.packs[0].records[0].expr;
    assert!(rate.contains("hits_total{") && rate.contains("handler!~"), "{rate}");
    assert!(plan.packs[0].records[1].expr.contains("code=~"));
    // The label is there again, and so are the cases about it.
    assert!(
        alert(&plan, "HighErrorRate")
            .silent
            .iter()
            .any(|case| case.title.contains("readiness page"))
    );
    let auto = Signals {
        dialect: Some("auto".to_owned()),
        ..Signals::default()
    };
    assert_eq!(dialect(&plan_of(&auto, known(&exposed, &[], 1))), "instrumentator");
}

#[test]
fn a_dialect_that_no_pack_knows_names_what_was_meant() {
    let signals = Signals {
        dialect: Some("opentelemetri".to_owned()),
        ..Signals::default()
    };
    let (path, words) = finding(&signals);
    assert_eq!(path, "spec.signals.dialect");
    assert!(words.contains("did you mean \"opentelemetry\"?"), "{words}");
    assert!(words.contains("auto, gen-ai, guide, instrumentator"), "{words}");
    // A pack that is not chosen may know it: nothing is wrong then, and nothing follows.
    let elsewhere = Signals {
        dialect: Some("promhttp".to_owned()),
        packs: Some(vec!["target".to_owned()]),
        ..Signals::default()
    };
    let alone = Binding {
        dependencies: &[],
        ..sample::binding(&elsewhere)
    };
    assert_eq!(sample::plan(&alone).unwrap().exposure.dialects, [].into());
}

#[test]
fn a_new_name_that_another_label_has_in_the_dialect_is_a_finding() {
    let mut signals = signals(&[("endpoint", "code")], &[]);
    signals.dialect = Some("promhttp".to_owned());
    let (path, words) = finding(&signals);
    assert_eq!(path, "spec.signals.rename.endpoint");
    assert!(words.contains("would both be \"code\""), "{words}");
    // In the pack's own dialect no label has that name.
    signals.dialect = Some("guide".to_owned());
    plan(&signals);
}

#[test]
fn another_instrumentation_is_noticed_when_its_rollout_has_ended_and_not_before() {
    let (old, new) = (exposed(INSTRUMENTATOR), exposed(OPENTELEMETRY));
    let before = plan_of(&Signals::default(), known(&old, &[], 1)).exposure.seen;
    let with = |exposed: &Exposed, settled: bool| {
        let known = Known {
            settled,
            ..known(exposed, &before, 1)
        };
        dialect(&plan_of(&Signals::default(), known)).to_owned()
    };
    assert_eq!(with(&new, false), "instrumentator");
    assert_eq!(with(&new, true), "opentelemetry");
    // While pods of both are there, each fits as well as the other.
    let mut both = old.clone();
    both.add("q", crate::facts::PageOutcome::Read, new.families.clone());
    assert_eq!(with(&both, true), "instrumentator");
}
