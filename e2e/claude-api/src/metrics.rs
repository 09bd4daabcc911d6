//! What the service counts, under the names that people's rules and dashboards expect.

pub mod usage;

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::exemplar::HistogramWithExemplars;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use crate::model::{Answer, MODELS, Model};

/// The format that [`Metrics::expose`] writes. Prometheus 3 refuses a scrape without a format that it knows.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The path label of a request that no route matched: one series for all scanners of the world.
pub const UNMATCHED: &str = "unmatched";

// Past 10 s, because a language model is slow: a quantile never reads more than the last bound.
const BUCKETS_SECONDS: &[f64] = &[
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0,
];

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct RequestLabels {
    method: &'static str,
    endpoint: String,
    status: u16,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct RouteLabels {
    method: &'static str,
    endpoint: String,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct TokenLabels {
    model: &'static str,
    direction: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct ModelLabels {
    model: &'static str,
}

/// Leads from a bucket to a request that fell into it.
#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct TraceLabels {
    trace_id: String,
}

/// All metrics of the service.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    durations: Family<RouteLabels, HistogramWithExemplars<TraceLabels>, fn() -> HistogramWithExemplars<TraceLabels>>,
    first_tokens: Family<ModelLabels, Histogram, fn() -> Histogram>,
    in_progress: Gauge,
    exceptions: Counter,
    tokens: Family<TokenLabels, Counter>,
    cost_usd: Family<ModelLabels, Counter<f64, AtomicU64>>,
}

impl Metrics {
    /// Metrics at zero. Series whose labels are known are there from the start: the first increment of a series that is born with it is lost
    /// to `rate()`.
    pub fn new() -> Self {
        let metrics = Self {
            registry: Registry::default(),
            requests: Family::default(),
            durations: Family::new_with_constructor(|| HistogramWithExemplars::new(BUCKETS_SECONDS.iter().copied())),
            first_tokens: Family::new_with_constructor(|| Histogram::new(BUCKETS_SECONDS.iter().copied())),
            in_progress: Gauge::default(),
            exceptions: Counter::default(),
            tokens: Family::default(),
            cost_usd: Family::default(),
        };
        for status in [200, 400, 500] {
            metrics
                .requests
                .get_or_create(&RequestLabels {
                    method: "POST",
                    endpoint: "/v1/messages".to_owned(),
                    status,
                })
                .inc_by(0);
        }
        drop(metrics.durations.get_or_create(&RouteLabels {
            method: "POST",
            endpoint: "/v1/messages".to_owned(),
        }));
        for Model { name: model, .. } in MODELS {
            metrics.cost_usd.get_or_create(&ModelLabels { model }).inc_by(0.0);
            drop(metrics.first_tokens.get_or_create(&ModelLabels { model }));
            for direction in ["input", "output"] {
                metrics
                    .tokens
                    .get_or_create(&TokenLabels { model, direction })
                    .inc_by(0);
            }
        }
        metrics.registered()
    }

    // The registry appends `_total` to the names of counters.
    fn registered(mut self) -> Self {
        let registry = &mut self.registry;
        registry.register("http_requests", "Requests answered", self.requests.clone());
        registry.register(
            "http_request_duration_seconds",
            "Time from a request to its answer",
            self.durations.clone(),
        );
        registry.register(
            "http_requests_inprogress",
            "Requests not answered yet",
            self.in_progress.clone(),
        );
        registry.register(
            "http_exceptions",
            "Panics that no handler caught",
            self.exceptions.clone(),
        );
        registry.register(
            "llm_time_to_first_token_seconds",
            "Time from a request to the first word of its streamed answer",
            self.first_tokens.clone(),
        );
        registry.register("tokens_used", "Tokens read and written", self.tokens.clone());
        registry.register("llm_cost_usd", "Price of all answers in dollars", self.cost_usd.clone());
        self
    }

    /// Adds what is counted only with databases.
    pub fn with_usage(&mut self) -> usage::Usage {
        usage::Usage::new(&mut self.registry)
    }

    /// A request has begun.
    pub fn begin(&self) {
        self.in_progress.inc();
    }

    /// A request has ended.
    pub fn end(&self, method: &'static str, endpoint: &str, status: u16, took: Duration, trace_id: &str) {
        self.in_progress.dec();
        let endpoint = endpoint.to_owned();
        self.durations
            .get_or_create(&RouteLabels {
                method,
                endpoint: endpoint.clone(),
            })
            .observe(
                took.as_secs_f64(),
                Some(TraceLabels {
                    trace_id: trace_id.to_owned(),
                }),
                None,
            );
        self.requests
            .get_or_create(&RequestLabels {
                method,
                endpoint,
                status,
            })
            .inc();
    }

    /// The first word of a streamed answer was written.
    pub fn first_token(&self, model: &'static Model, took: Duration) {
        self.first_tokens
            .get_or_create(&ModelLabels { model: model.name })
            .observe(took.as_secs_f64());
    }

    /// A handler panicked.
    pub fn panicked(&self) {
        self.exceptions.inc();
    }

    /// A model has answered.
    pub fn answered(&self, model: &'static Model, answer: &Answer) {
        for (direction, tokens) in [("input", answer.input_tokens), ("output", answer.output_tokens)] {
            self.tokens
                .get_or_create(&TokenLabels {
                    model: model.name,
                    direction,
                })
                .inc_by(tokens);
        }
        self.cost_usd
            .get_or_create(&ModelLabels { model: model.name })
            .inc_by(model.cost_usd(answer));
    }

    /// Everything, in the format of [`CONTENT_TYPE`].
    pub fn expose(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        text::encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The value of a series, by its exact text.
    fn value(metrics: &Metrics, series: &str) -> Option<f64> {
        let text = metrics.expose().unwrap();
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        line.map(|value| value.split(' ').next().unwrap().parse().unwrap())
    }

    #[test]
    fn requests_are_counted_and_timed_under_the_expected_names() {
        let metrics = Metrics::new();
        metrics.begin();
        assert_eq!(value(&metrics, "http_requests_inprogress"), Some(1.0));
        metrics.end("POST", "/v1/messages", 200, Duration::from_secs(7), "4bf92f3577b34da6");
        assert_eq!(value(&metrics, "http_requests_inprogress"), Some(0.0));
        let counted = r#"http_requests_total{method="POST",endpoint="/v1/messages",status="200"}"#;
        assert_eq!(value(&metrics, counted), Some(1.0));
        let bucket = |le: &str| {
            format!(r#"http_request_duration_seconds_bucket{{le="{le}",method="POST",endpoint="/v1/messages"}}"#)
        };
        assert_eq!(value(&metrics, &bucket("5.0")), Some(0.0));
        assert_eq!(value(&metrics, &bucket("10.0")), Some(1.0));
        let slow = format!("{} 1 # {{trace_id=\"4bf92f3577b34da6\"}} 7.0", bucket("10.0"));
        assert!(metrics.expose().unwrap().lines().any(|line| line.starts_with(&slow)));
        assert_eq!(value(&metrics, &bucket("60.0")), Some(1.0));
        assert_eq!(value(&metrics, &bucket("+Inf")), Some(1.0));
        let labels = r#"{method="POST",endpoint="/v1/messages"}"#;
        assert_eq!(
            value(&metrics, &format!("http_request_duration_seconds_count{labels}")),
            Some(1.0)
        );
        assert_eq!(
            value(&metrics, &format!("http_request_duration_seconds_sum{labels}")),
            Some(7.0)
        );
    }

    #[test]
    fn tokens_and_cost_are_counted_by_model() {
        let metrics = Metrics::new();
        let model = Model::named("claude-sonnet").unwrap();
        let answer = model.answer(["a question of some length"], 10);
        metrics.answered(model, &answer);
        let tokens = |model: &str, direction: &str| {
            let series = format!(r#"tokens_used_total{{model="{model}",direction="{direction}"}}"#);
            value(&metrics, &series)
        };
        assert_eq!(tokens("claude-sonnet", "input"), Some(7.0));
        assert_eq!(tokens("claude-sonnet", "output"), Some(10.0));
        assert_eq!(tokens("claude-opus", "input"), Some(0.0));
        let cost = value(&metrics, r#"llm_cost_usd_total{model="claude-sonnet"}"#).unwrap();
        assert!((cost - model.cost_usd(&answer)).abs() < 1e-12 && cost > 0.0, "{cost}");
    }

    #[test]
    fn known_series_exist_before_their_first_event_and_others_do_not() {
        let metrics = Metrics::new();
        let errors = r#"http_requests_total{method="POST",endpoint="/v1/messages",status="500"}"#;
        assert_eq!(value(&metrics, errors), Some(0.0));
        assert_eq!(value(&metrics, &errors.replace("500", "418")), None);
    }

    #[test]
    fn the_exposition_names_no_counter_twice_and_ends_as_the_format_demands() {
        let text = Metrics::new().expose().unwrap();
        assert!(
            text.contains("# TYPE http_requests counter\n") && text.ends_with("# EOF\n"),
            "{text}"
        );
        assert!(!text.contains("_total_total"), "{text}");
    }
}
