//! `docs/metrics.md`: what the operator tells about itself, from its own metrics page.

use std::collections::BTreeMap;

use observed_core::exposition::Exposition;
use observed_core::facts::FamilyType;

use super::Metrics;

/// The page.
pub fn page() -> String {
    let mut text = String::from(
        "<!-- Generated from operator/src/metrics by `UPDATE_GOLDEN=1 cargo test -p observed --test generated`. -->\n\
         # The operator's own metrics\n\n\
         On `/metrics` of the port 8080 (`--listen`), in OpenMetrics' text format. Those of the controller, its queue, its requests and the \
         process have the names of controller-runtime, client-go and Prometheus' client libraries, so that dashboards made for them fit. \
         The packs `controller` and `observed` ([reference.md](reference.md)) make alerts of them; the chart brings those for the \
         operator itself.\n\n\
         | metric | type | labels | what it is |\n|---|---|---|---|\n",
    );
    let page = example().encode();
    let helps = page
        .lines()
        .filter_map(|line| line.strip_prefix("# HELP ")?.split_once(' '));
    let helps: BTreeMap<&str, &str> = helps.collect();
    let mut exposition = Exposition::default();
    // It is our own page: each line can be read.
    for line in page.lines() {
        let _ = exposition.line(line);
    }
    for (name, family) in exposition.families() {
        let r#type = match family.r#type {
            FamilyType::Counter => "counter",
            FamilyType::Gauge => "gauge",
            FamilyType::Histogram => "histogram",
            FamilyType::Summary => "summary",
            FamilyType::Untyped => "info",
        };
        let base = name.strip_suffix("_info").unwrap_or(&name);
        let help = helps
            .get(base)
            .map(|help| help.trim_end_matches('.'))
            .unwrap_or_default();
        // OpenMetrics names a counter without what its samples end in.
        let total = if r#type == "counter" { "_total" } else { "" };
        // What says what runs has its sample under another name than its type.
        let Some(labels) = family.labels else { continue };
        let labels: Vec<String> = labels.iter().map(|label| format!("`{label}`")).collect();
        text += &format!("| `{name}{total}` | {type} | {} | {help}. |\n", labels.join(", "));
    }
    text
}

/// Each metric at least once.
fn example() -> Metrics {
    let metrics = Metrics::new();
    let key = ("prod".to_owned(), "api".to_owned());
    metrics.leads("observed", true);
    metrics.rolled(&key.0, &key.1, 0);
    metrics.at_most(1);
    drop(metrics.watch_errors.of("services"));
    drop(metrics.queue.begin(&key));
    metrics.requests.of(&http::Uri::from_static("https://api")).example();
    metrics
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_of_the_page_has_its_type_its_words_and_those_that_have_some_their_labels() {
        let text = page();
        let rows: Vec<&str> = text.lines().filter(|line| line.starts_with("| `")).collect();
        assert!(rows.len() > 20, "{text}");
        for row in &rows {
            assert!(!row.ends_with("| . |"), "{row}");
            let alone = ["process_", "observed_verify"]
                .iter()
                .any(|prefix| row.contains(prefix));
            assert_eq!(row.contains("|  |"), alone, "{row}");
        }
        for expected in [
            "| `observed_rollouts_caused_total` | counter | `service_name`, `service_namespace` | ",
            "| `rest_client_requests_total` | counter | `code`, `host`, `method` | ",
            "| `workqueue_queue_duration_seconds` | histogram | `name` | ",
            "| `observed_build_info` | info | `version` | ",
        ] {
            assert!(text.contains(expected), "{expected}\n{text}");
        }
        let page = example().encode();
        let typed = page
            .lines()
            .filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
        assert!(typed.clone().count() > 20);
        for (name, _) in typed {
            assert!(text.contains(&format!("| `{name}")), "{name}");
        }
        // The twin: what has no sample has no labels, and would be noticed.
        assert!(!Metrics::new().encode().contains("service_namespace"));
    }
}
