//! The mistakes that people make again and again, and which rule finds each.

/// What finds a mistake.
#[derive(Debug)]
pub(super) enum Seen {
    /// Any of these rules, by what is known.
    By(&'static [&'static str]),
    /// Nothing that a cluster shows. Why not, and who notices instead.
    Not(&'static str),
}

/// A mistake.
#[derive(Debug)]
pub(super) struct Mistake {
    /// What people do.
    pub(super) what: &'static str,
    /// Who finds it.
    pub(super) seen: Seen,
    /// Issues on GitHub in which somebody asked why nothing works.
    pub(super) asked: &'static [&'static str],
}

const fn mistake(what: &'static str, by: &'static [&'static str], asked: &'static [&'static str]) -> Mistake {
    let seen = Seen::By(by);
    Mistake { what, seen, asked }
}

const fn unseen(what: &'static str, why: &'static str) -> Mistake {
    let (seen, asked) = (Seen::Not(why), &[]);
    Mistake { what, seen, asked }
}

/// All of them, along the way from the pod to the person who is woken.
pub(super) const MISTAKES: &[Mistake] = &[
    mistake(
        "A ServiceMonitor lacks the label that Prometheus selects by (`release: …`), or is in a namespace that it leaves out",
        &["monitor-not-selected"],
        &[
            "prometheus-community/helm-charts#840",
            "prometheus-operator/kube-prometheus#1392",
        ],
    ),
    mistake(
        "The port of a monitor is a number or the name of the container's port, or the Service's port has no name",
        &["monitor-port"],
        &[
            "prometheus-operator/prometheus-operator#2515",
            "prometheus-operator/prometheus-operator#2833",
        ],
    ),
    mistake(
        "A ServiceMonitor selects by the labels of the pods, in another namespace, or a Service that selects no pod",
        &["monitor-without-service", "service-without-pods", "no-target"],
        &[
            "prometheus-operator/prometheus-operator#4007",
            "prometheus-operator/prometheus-operator#4724",
        ],
    ),
    mistake(
        "Two monitors, or one that selects two Services, scrape the same page",
        &["scraped-twice"],
        &[],
    ),
    mistake(
        "The ServiceAccount of Prometheus may not list Services, endpoints and pods in the namespace",
        &["prometheus-rights"],
        &[],
    ),
    mistake(
        "A NetworkPolicy keeps Prometheus out",
        &["network-policy", "target-down"],
        &[],
    ),
    mistake(
        "A database or cache is scraped on its own port, without an exporter",
        &["scrape-not-http", "target-down"],
        &[],
    ),
    mistake(
        "FastAPI returns `generate_latest()` as JSON, or a page has a Content-Type that Prometheus 3 refuses",
        &["metrics-content-type"],
        &["prometheus/prometheus#15485"],
    ),
    mistake(
        "The path, port, scheme or credentials of a monitor are not those of the page",
        &["target-down", "empty-page"],
        &[],
    ),
    mistake(
        "The scrape timeout is longer than the interval",
        &["scrape-timeout", "rejected"],
        &[],
    ),
    mistake(
        "A label of the service is called `endpoint`, `job`, `pod`, … and becomes `exported_…`",
        &["label-collision"],
        &["bitnami/charts#7534", "kedacore/charts#434"],
    ),
    mistake(
        "A label holds the raw path, an id or a user, until the sample limit drops the whole page",
        &["unbounded-label", "sample-limit"],
        &["mozilla-ai/otari#264"],
    ),
    mistake(
        "Several workers of one pod each count for themselves",
        &["several-workers", "counters-of-several-processes"],
        &["trallnag/prometheus-fastapi-instrumentator#50"],
    ),
    unseen(
        "A middleware counts a request only after `await call_next`, so that an unhandled exception is never counted as a 500",
        "Only the service's code shows it: `up` stays 1 and the error ratio stays low; `http_exceptions_total` (the panel `Uncaught \
         exceptions` of the pack `http`) covers it where the service counts exceptions before it raises them further",
    ),
    mistake(
        "A PrometheusRule lacks one of the labels of `ruleSelector`, or is in a namespace that Prometheus leaves out",
        &["rule-not-selected", "rule-not-loaded"],
        &[
            "prometheus-operator/prometheus-operator#3767",
            "prometheus-operator/prometheus-operator#4707",
        ],
    ),
    mistake(
        "One expression, name or label of a PrometheusRule is wrong, and the whole object is dropped",
        &["rule-invalid", "rejected"],
        &[
            "prometheus-operator/prometheus-operator#2273",
            "cloudnative-pg/charts#825",
        ],
    ),
    mistake(
        "A join matches many series to many",
        &["rule-failing"],
        &["rook/rook#16896", "prometheus-community/helm-charts#2038"],
    ),
    mistake(
        "A group takes longer than its interval, or its metric was renamed",
        &["rule-slow", "series-never-seen"],
        &[],
    ),
    mistake(
        "Prometheus keeps samples for less time than an SLO looks back",
        &["retention"],
        &[],
    ),
    mistake(
        "`redis_up == 0` is all that tells of a dead Redis, and its exporter dies too",
        &["dependency-alert-blind"],
        &[],
    ),
    mistake(
        "A label of an alert holds `{{ $value }}`, so that it begins anew at each evaluation",
        &["alert-changes"],
        &[],
    ),
    mistake(
        "An AlertmanagerConfig takes only alerts with `namespace`, or is selected by no Alertmanager",
        &["alert-without-namespace", "alertmanager-config-not-selected"],
        &[
            "prometheus-operator/prometheus-operator#3737",
            "prometheus-operator/prometheus-operator#4289",
        ],
    ),
    mistake(
        "The route ends at a receiver that sends nothing, or an inhibit rule silences the alert",
        &["alert-not-delivered", "alert-inhibited"],
        &[],
    ),
    mistake(
        "A dashboard was exported for import (`__inputs`, `${DS_PROMETHEUS}`), or for the HTTP API (`{\"dashboard\": …}`)",
        &["dashboard-for-import", "dashboard-unreadable"],
        &["grafana/grafana#10786"],
    ),
    mistake(
        "A ConfigMap of dashboards is too large for `kubectl apply`",
        &["dashboard-too-large"],
        &["prometheus-operator/prometheus-operator#535"],
    ),
    mistake(
        "The sidecar of Grafana looks for another label or namespace, or two dashboards have one uid or title",
        &[
            "dashboard-not-loaded",
            "dashboard-duplicate",
            "dashboard-not-in-grafana",
        ],
        &["kiwigrid/helm-charts#433", "grafana/grafana#43530"],
    ),
    mistake(
        "Liveness asks a path that depends on the database, or one that a blocking call holds up",
        &["risky-probe", "liveness-too-slow"],
        &[],
    ),
    mistake(
        "A handler returns `{…}, 503` from FastAPI, which answers 200 with a list, so that readiness never fails; or the probe asks a \
         login page",
        &["readiness-never-fails"],
        &[],
    ),
];
