//! Names of the service's own.

use super::*;

#[test]
fn a_rename_reaches_rules_panels_legends_series_and_drills() {
    let renamed = signals(
        &[
            ("http_requests_total", "api_requests_total"),
            ("http_request_duration_seconds", "api_seconds"),
            ("endpoint", "route"),
            ("status", "code"),
        ],
        &[],
    );
    let plan = plan(&renamed);
    for text in rules(&plan).iter().chain(&queries(&plan)) {
        for old in [
            "http_requests_total",
            "http_request_duration_seconds_",
            "endpoint",
            "status=",
        ] {
            // A Deployment's condition has a status too, which nobody can rename.
            assert!(
                !text.contains(old) || text.contains("kube_deployment_status_condition"),
                "{text}"
            );
        }
    }
    assert!(rules(&plan).iter().any(|text| text.contains("api_seconds_bucket{")));
    assert_eq!(panel(&plan, "Request rate").queries[0].legend, "{{code}}");
    let series = &plan.packs[0].series[1];
    assert_eq!(
        (series.canonical.as_str(), series.name.as_str()),
        ("http_request_duration_seconds", "api_seconds")
    );
    let case = &alert(&plan, "HighResponseTime").fires[0];
    let names: Vec<&str> = case.inputs.iter().map(|input| input.name.as_str()).collect();
    assert!(names.contains(&"api_seconds_bucket") && names.contains(&"api_requests_total"));
    assert!(case.inputs.iter().all(|input| !input.labels.contains_key("endpoint")));
}

#[test]
fn two_series_that_would_have_one_name_are_a_finding_each_and_swapped_names_are_none() {
    let found = findings(&signals(
        &[
            ("http_requests_total", "calls_total"),
            ("http_exceptions_total", "calls_total"),
        ],
        &[],
    ));
    let paths: Vec<&str> = found.iter().map(|found| found.path.as_str()).collect();
    assert_eq!(
        paths,
        [
            "spec.signals.rename.http_exceptions_total",
            "spec.signals.rename.http_requests_total"
        ]
    );
    plan(&signals(
        &[
            ("http_requests_total", "http_exceptions_total"),
            ("http_exceptions_total", "http_requests_total"),
        ],
        &[],
    ));
    // The count of a histogram is a counter of requests too.
    plan(&signals(
        &[
            ("http_requests_total", "api_seconds_count"),
            ("http_request_duration_seconds", "api_seconds"),
        ],
        &[],
    ));
}

#[test]
fn a_rename_of_what_no_pack_has_names_what_was_meant() {
    let (path, words) = finding(&signals(&[("http_request_total", "x")], &[]));
    assert_eq!(path, "spec.signals.rename.http_request_total");
    assert!(words.contains("did you mean \"http_requests_total\"?"), "{words}");
}

#[test]
fn a_rename_that_cannot_be_is_a_finding_of_its_own() {
    for (old, new, wrong) in [
        ("http_requests_total", "a-b", "is not the name of a metric"),
        (
            "http_requests_total",
            "x{namespace=\"other\"}",
            "is not the name of a metric",
        ),
        ("endpoint", "a:b", "is not the name of a label"),
        ("endpoint", "__name__", "is not the name of a label"),
        ("endpoint", "namespace", "exported_namespace"),
        ("endpoint", "le", "exported_le"),
        ("endpoint", "status", "would both be \"status\""),
        ("http_request_duration_seconds", "x_bucket", "Write \"x\""),
        (
            "http_request_duration_seconds_bucket",
            "x",
            "Rename \"http_request_duration_seconds\"",
        ),
        (
            "http_requests_total",
            "http_exceptions_total",
            "would both be \"http_exceptions_total\"",
        ),
        ("http_requests_inprogress", "up", "would both be \"up\""),
        ("container_memory_working_set_bytes", "x", "not exposed by the service"),
        ("up", "x", "not exposed by the service"),
    ] {
        let (path, words) = finding(&signals(&[(old, new)], &[]));
        assert_eq!(path, format!("spec.signals.rename.{old}"));
        assert!(words.contains(wrong), "{old}: {words}");
    }
}

#[test]
fn labels_may_swap_their_names() {
    let plan = plan(&signals(&[("endpoint", "status"), ("status", "endpoint")], &[]));
    assert_eq!(panel(&plan, "Request rate").queries[0].legend, "{{endpoint}}");
}
