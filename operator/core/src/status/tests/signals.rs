//! The condition `SignalsResolved`.

use super::*;
use crate::plan::{Exposure, LackingLabel, MissingSeries};

fn with(exposure: Exposure) -> Case {
    let mut case = Case::good();
    case.plan.exposure = exposure;
    case
}

fn missing() -> Exposure {
    Exposure {
        dialects: [("http".to_owned(), "micrometer".to_owned())].into(),
        missing: vec![MissingSeries {
            pack: "http".into(),
            name: "http_server_requests_seconds".into(),
            left_out: vec!["alert HighResponseTime".into()],
            objectives: Vec::new(),
            when_missing: "Turn buckets on.".into(),
        }],
        ..Exposure::default()
    }
}

fn says(status: &ObservedServiceStatus) -> &str {
    &get(status, "SignalsResolved").unwrap().message
}

#[test]
fn a_missing_series_is_told_with_what_is_left_out_and_what_would_expose_it_and_the_service_is_ready() {
    let status = with(missing()).status();
    assert_eq!(of(&status, "SignalsResolved"), ("False", "SeriesMissing"));
    assert_eq!(
        says(&status),
        "http_server_requests_seconds is not exposed (pack http). Left out: alert HighResponseTime. Turn buckets on. \
         Dialect: micrometer (http)"
    );
    assert_eq!(of(&status, "Ready"), ("True", "Converged"));
    assert!(
        get(&status, "Ready")
            .unwrap()
            .message
            .contains("see SignalsResolved (SeriesMissing)")
    );
    assert!(
        get(&Case::good().status(), "Ready")
            .unwrap()
            .message
            .ends_with("seen to work")
    );
    let mut promised = missing();
    promised.missing[0].objectives = vec!["fast".into(), "faster".into()];
    assert!(
        says(&with(promised).status())
            .contains("HighResponseTime. Not measured: objective fast, objective faster. Turn")
    );
    let mut insisted = missing();
    insisted.missing[0].left_out.clear();
    assert!(says(&with(insisted).status()).contains("generated all the same"));
}

#[test]
fn a_label_that_is_missing_comes_with_the_line_to_write() {
    let lacking = |nearest: Option<&str>| {
        let label = LackingLabel {
            series: "http_requests_total".into(),
            label: "endpoint".into(),
            name: "endpoint".into(),
            has: vec!["method".into(), "path".into()],
            nearest: nearest.map(str::to_owned),
        };
        with(Exposure {
            lacking: vec![label],
            ..Exposure::default()
        })
        .status()
    };
    let status = lacking(Some("path"));
    assert_eq!(of(&status, "SignalsResolved"), ("False", "LabelsMissing"));
    assert!(
        says(&status)
            .contains("it has: method, path. If \"path\" is meant, write under spec.signals: rename: {endpoint: path}")
    );
    assert!(says(&lacking(None)).contains("rename: {endpoint: ...}"));
}

#[test]
fn a_service_of_which_nothing_is_known_says_so_and_waits_for_nobody() {
    let status = with(Exposure {
        unasked: vec!["http".into()],
        ..Exposure::default()
    })
    .status();
    assert_eq!(of(&status, "SignalsResolved"), ("Unknown", "NotAsked"));
    assert!(says(&status).contains("No pod has answered GET /metrics yet"));
    assert_eq!((of(&status, "Ready").0, of(&status, "Reconciling").0), ("True", ""));
}

#[test]
fn every_page_that_cannot_be_read_is_told_in_words_of_its_own() {
    let mut told = std::collections::BTreeSet::new();
    for (outcome, words) in [
        (json!("jsonText"), "media_type=CONTENT_TYPE_LATEST"),
        (json!("html"), "HTML"),
        (json!({"status": 404}), "HTTP 404"),
        (
            json!({"contentType": "application/json\u{1b}"}),
            "\"application/json \"",
        ),
        (json!({"contentType": ""}), "without a Content-Type"),
        (json!({"malformed": {"line": 7}}), "a line of what the pods answer"),
        (json!("tooLarge"), "too large"),
        (json!("empty"), "empty page"),
    ] {
        let mut case = Case::good();
        case.facts = facts(|facts| facts["exposed"] = json!({"pages": [{"pod": "api-1", "outcome": outcome}]}));
        let status = case.status();
        assert_eq!(
            of(&status, "SignalsResolved"),
            ("False", "MetricsUnreadable"),
            "{outcome}"
        );
        assert!(says(&status).contains(words), "{outcome}: {}", says(&status));
        assert_eq!(of(&status, "Ready").0, "True", "ScrapeVerified tells whether it works");
        assert!(told.insert(says(&status).to_owned()));
    }
    // Its number is another one on every page: the status must not be written anew each time.
    let at_line = |line: u64| {
        let mut case = Case::good();
        let page = json!({"pages": [{"pod": "api-1", "outcome": {"malformed": {"line": line}}}]});
        case.facts = facts(|facts| facts["exposed"] = page);
        says(&case.status()).to_owned()
    };
    assert_eq!(at_line(7), at_line(8));
    // A pod that does not answer, or another one that does, is no news about the page.
    for pages in [
        json!([{"pod": "api-1", "outcome": "unanswered"}]),
        json!([{"pod": "api-1", "outcome": "html"}, {"pod": "api-2", "outcome": "read"}]),
    ] {
        let mut case = Case::good();
        case.facts = facts(|facts| facts["exposed"] = json!({"pages": pages}));
        assert_eq!(of(&case.status(), "SignalsResolved"), ("True", "AllExposed"));
    }
}

#[test]
fn what_is_known_is_kept_by_a_status_that_refuses_the_spec() {
    let kept = Exposure {
        seen: serde_json::from_value(json!([{"pack": "http", "dialect": "guide", "generation": 1}])).unwrap(),
        ..Exposure::default()
    };
    let before = with(kept.clone()).status();
    assert_eq!(before.signals, kept.seen);
    let now = Timestamp::from_second(9).unwrap();
    let finding = Finding::error(Code::Duration, "spec.scrape.interval", "it is wrong", "Mend it");
    assert_eq!(
        refused(&[finding], &facts(|_| {}), Some(&before), 2, now).signals,
        kept.seen
    );
}
