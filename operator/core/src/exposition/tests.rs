use proptest::prelude::*;

use super::*;

/// What the page has, or the number of the line that ended it.
fn read(page: &str) -> Result<BTreeMap<String, Family>, (usize, Error)> {
    let mut exposition = Exposition::default();
    for (line, number) in page.lines().zip(1..) {
        exposition.line(line).map_err(|error| (number, error))?;
    }
    Ok(exposition.families())
}

fn family(page: &str, name: &str) -> Family {
    read(page).unwrap().remove(name).unwrap()
}

fn labels(family: &Family) -> Vec<&str> {
    family.labels.iter().flatten().map(String::as_str).collect()
}

const PAGE: &str = r#"# HELP http_requests_total Requests, "all" of them.
# TYPE http_requests_total counter
http_requests_total{method="GET",endpoint="/a\"b}",status="200"} 1027 1395066363000
http_requests_total{method="POST",endpoint="/",status="5xx",} 3.0
# TYPE quiet_total counter
# TYPE http_request_duration_seconds histogram
http_request_duration_seconds_bucket{endpoint="/",le="0.5"} 1
http_request_duration_seconds_bucket{endpoint="/",le="5.0"} 2
http_request_duration_seconds_bucket{endpoint="/",le="+Inf"} 2
http_request_duration_seconds_sum{endpoint="/"} 1.5e+00
http_request_duration_seconds_count{endpoint="/"} 2
# TYPE rpc summary
rpc{quantile="0.5",service="a"} NaN
rpc_count{service="a"} 2
untyped 12
weird -Inf

# EOF
"#;

#[test]
fn a_page_becomes_names_types_labels_and_bounds_and_no_value() {
    let families = read(PAGE).unwrap();
    assert_eq!(
        families.keys().map(String::as_str).collect::<Vec<_>>(),
        [
            "http_request_duration_seconds",
            "http_requests_total",
            "quiet_total",
            "rpc",
            "untyped",
            "weird"
        ]
    );
    let requests = &families["http_requests_total"];
    assert_eq!(labels(requests), ["endpoint", "method", "status"]);
    let duration = &families["http_request_duration_seconds"];
    assert_eq!(
        (duration.r#type, labels(duration), duration.bounds.as_slice()),
        (FamilyType::Histogram, vec!["endpoint"], [0.5, 5.0].as_slice())
    );
    assert_eq!(labels(&families["rpc"]), ["service"]);
    for value in ["1027", "/a", "GET", "5xx", "1.5"] {
        assert!(!format!("{families:?}").contains(value), "{value} is kept");
    }
}

#[test]
fn a_counter_that_was_never_counted_is_there_and_its_labels_are_unknown() {
    let quiet = family(PAGE, "quiet_total");
    assert_eq!((quiet.r#type, quiet.labels), (FamilyType::Counter, None));
    assert_eq!(family(PAGE, "untyped").labels, Some([].into()));
}

#[test]
fn openmetrics_is_read_too() {
    let page = "# TYPE hits counter\n# UNIT hits requests\nhits_total{code=\"200\"} 5 1.7e9 # {trace_id=\"a b\"} 1 2\n\
                hits_created{code=\"200\"} 1.7e9\n# EOF\n";
    let families = read(page).unwrap();
    assert_eq!(families.len(), 1);
    assert_eq!(labels(&families["hits"]), ["code"]);
}

#[test]
fn names_in_quotes_are_read() {
    let page = "# TYPE \"http.requests\" counter\n{\"http.requests\",\"http.route\"=\"/\"} 1\n";
    assert_eq!(labels(&family(page, "http.requests")), ["http.route"]);
}

#[test]
fn buckets_without_a_type_have_bounds() {
    let buckets = family("x_bucket{le=\"1\"} 1\nx_bucket{le=\"+Inf\"} 1\n", "x_bucket");
    assert_eq!(buckets.bounds, [1.0]);
}

#[test]
fn a_line_that_prometheus_would_refuse_ends_the_reading() {
    for line in [
        "\"# HELP x\\n# TYPE x counter\\n\"",
        "<html>",
        "{\"status\": \"ok\"}",
        "hello",
        "hello world",
        "1x 1",
        "x",
        "x 1 2 3",
        "x{a=\"b\" 1",
        "x{a=b} 1",
        "x{=\"b\"} 1",
        "x{a=\"b\"c=\"d\"} 1",
        "x{a=\"b} 1",
        "x{\"y\",a=\"b\"} 1",
        "# TYPE x contre",
        "# TYPE x",
        "{} 1",
        "x-y 1",
        "x 1 # trace",
    ] {
        assert_eq!(read(&format!("good 1\n{line}\n")), Err((2, Error::Malformed)), "{line}");
    }
}

#[test]
fn names_and_their_number_are_bounded() {
    let long = "x".repeat(LONGEST_NAME + 1);
    assert!(read(&format!("{long} 1\n# TYPE {long} gauge\n")).unwrap().is_empty());
    let many: String = (0..=MOST_FAMILIES).map(|n| format!("x{n} 1\n")).collect();
    assert_eq!(read(&many), Err((MOST_FAMILIES + 1, Error::TooMany)));
    let wide: String = (0..1000)
        .map(|n| format!("h_bucket{{l{n}=\"\",le=\"{n}\"}} 1\n"))
        .collect();
    let wide = family(&wide, "h_bucket");
    assert_eq!(
        (wide.labels.unwrap().len(), wide.bounds.len()),
        (MOST_LABELS, MOST_BOUNDS)
    );
}

proptest! {
    #[test]
    fn no_text_panics(text in ".{0,200}") {
        let _ = read(&text);
    }

    #[test]
    fn every_escaped_value_is_one_value(value in ".{0,40}") {
        let escaped = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        prop_assume!(!value.contains('\r'));
        let read = Sample::parse(&format!("x{{a=\"{escaped}\"}} 1"));
        prop_assert_eq!(read.map(|sample| sample.labels), Some(vec![("a".to_owned(), value)]));
    }
}
