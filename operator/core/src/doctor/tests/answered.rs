//! What Prometheus and Alertmanager answer.

use super::*;

pub(super) const CASES: &[Case] = &[
    (
        "no-target",
        "Prometheus has none",
        |s| {
            s.prometheuses[0].targets.as_mut().unwrap().remove(0);
        },
        "serviceMonitor/prod/api/0",
    ),
    (
        "target-down",
        "nothing listens",
        |s| down(s, "dial tcp 10.0.0.1:8000: connect: connection refused"),
        "0.0.0.0",
    ),
    (
        "target-down",
        "another path",
        |s| down(s, "server returned HTTP status 404 Not Found"),
        "Set path",
    ),
    (
        "metrics-content-type",
        "FastAPI wraps the text as JSON",
        |s| {
            down(
                s,
                "received unsupported Content-Type \"application/json\" and no fallback_scrape_protocol specified for target",
            )
        },
        "media_type=CONTENT_TYPE_LATEST",
    ),
    (
        "sample-limit",
        "too many series",
        |s| down(s, "sample limit exceeded"),
        "sampleLimit",
    ),
    (
        "empty-page",
        "an empty registry",
        |s| answer(s, Query::EmptyPages, 0.0),
        "scrape_samples_scraped is 0",
    ),
    (
        "label-collision",
        "the guide's label endpoint",
        |s| answer(s, Query::Collided("endpoint"), 12.0),
        "labeldrop",
    ),
    (
        "label-collision",
        "a label namespace",
        |s| answer(s, Query::Collided("namespace"), 12.0),
        "metricRelabelings",
    ),
    (
        "unbounded-label",
        "the path of the URL",
        |s| answer(s, Query::LabelValues("path"), 4711.0),
        "4711 values",
    ),
    (
        "counters-of-several-processes",
        "each scrape another worker",
        |s| answer(s, Query::ProcessStarts, 20.0),
        "changed 20 times",
    ),
    (
        "rule-not-loaded",
        "the group is not there",
        |s| s.prometheuses[0].rules = Ok(Vec::new()),
        "has not loaded the groups api",
    ),
    (
        "rule-not-loaded",
        "a group of that name of another object",
        |s| s.prometheuses[0].rules.as_mut().unwrap()[0].file = "/r/prod-api-v2-u9.yaml".into(),
        "has not loaded the groups api",
    ),
    (
        "rule-failing",
        "two replicas of kube-state-metrics",
        |s| {
            let rule = &mut s.prometheuses[0].rules.as_mut().unwrap()[0].rules[1];
            rule.health = "err".into();
            rule.last_error = "found duplicate series for the match group {pod=\"a\"} on the right hand-side of the operation: [...];many-to-many matching not allowed: matching labels must be unique on one side".into();
        },
        "aggregate",
    ),
    (
        "rule-slow",
        "it takes too long",
        |s| s.prometheuses[0].rules.as_mut().unwrap()[0].evaluation_time = 45.0,
        "45.0 s",
    ),
    (
        "series-never-seen",
        "the metric was renamed",
        |s| {
            s.prometheuses[0]
                .metrics
                .as_mut()
                .unwrap()
                .remove("http_requests_total");
            s.prometheuses[0]
                .metrics
                .as_mut()
                .unwrap()
                .insert("http_request_total".into());
        },
        "Is http_request_total meant",
    ),
    (
        "alert-not-delivered",
        "the route is for another namespace",
        |s| s.alertmanagers[0].config = Ok(ROUTES.replace("namespace=\"prod\"", "namespace=\"test\"")),
        "\"null\", which sends nothing",
    ),
    (
        "alert-not-delivered",
        "the receiver is empty",
        |s| {
            s.alertmanagers[0].config = Ok(ROUTES.replace(
                "slack_configs: [{channel: web}]",
                "slack_configs: []}\n- {name: other, slack_configs: [{channel: x}]",
            ))
        },
        "prod/web/chat",
    ),
    (
        "alert-inhibited",
        "two rules that silence each other's source",
        |s| s.alertmanagers[0].config = Ok(format!("{ROUTES}{INHIBITED}")),
        "inhibits HighErrorRate by BudgetSpent, which it inhibits in turn",
    ),
];

const INHIBITED: &str = "
inhibit_rules:
- {source_matchers: [alertname=HighErrorRate], target_matchers: [alertname=BudgetSpent], equal: [namespace]}
- {source_matchers: [alertname=BudgetSpent], target_matchers: [alertname=HighErrorRate], equal: [namespace]}
";
