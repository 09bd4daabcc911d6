//! Native histograms of a real program: those of Prometheus itself, which Observed has it scrape and reads in its rules.

use std::time::Duration;

use observed_e2e::monitoring;
use serde_json::json;

use crate::stage::Stage;

/// Prometheus' requests take milliseconds. What the first minute has of them is enough.
const SOON: Duration = Duration::from_secs(120);

/// Prometheus, spelled as Go's instrumentation does and with its own prefix.
pub fn observed() -> String {
    let renames = json!({
        "http_requests_total": "prometheus_http_requests_total",
        "http_request_duration_seconds": "prometheus_http_request_duration_seconds",
        "endpoint": "handler",
        "status": "code",
    });
    json!({
        "apiVersion": "observed.rs/v1alpha1",
        "kind": "ObservedService",
        "metadata": {"name": "prometheus", "namespace": monitoring::NAMESPACE},
        "spec": {
            "targetRef": {"kind": "StatefulSet", "name": "prometheus-main"},
            "probes": {"mode": "Disabled"},
            "scrape": {"port": "web", "interval": "5s", "timeout": "4s"},
            "signals": {"packs": ["http"], "window": "30s", "histograms": "Native", "rename": renames},
            "objectives": [{"name": "fast", "target": "99%", "sli": {"latency": {"below": "1s"}}}],
        },
    })
    .to_string()
}

/// Prometheus has the histograms as native ones alone, and everything that is recorded of them has a value.
pub async fn are_read(stage: &Stage) {
    let of_prometheus = format!("namespace=\"{}\"", monitoring::NAMESPACE);
    let histogram = format!("prometheus_http_request_duration_seconds{{{of_prometheus}}}");
    for expression in [
        format!("histogram_count({histogram}) > 0"),
        format!("observed:http_request_duration_seconds:p95{{{of_prometheus}}} > 0"),
        format!("observed:slo_errors:ratio_rate{{{of_prometheus},objective=\"fast\"}} < 1"),
        format!("observed:slo_error_budget:remaining_ratio{{{of_prometheus},objective=\"fast\"}} > 0"),
    ] {
        stage.has(&expression, 1.., SOON).await;
    }
    // The twin: nothing of that could come from the classic series, which are not there.
    for suffix in ["bucket", "count", "sum"] {
        let classic = format!("prometheus_http_request_duration_seconds_{suffix}{{{of_prometheus}}}");
        assert_eq!(stage.query(&classic).await.unwrap().len(), 0, "{classic}");
    }
}
