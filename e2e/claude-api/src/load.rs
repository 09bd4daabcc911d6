//! Sends requests, bounded in number, rate and time, and counts what came back.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Bytes;
use axum::http::{Request, Uri, header};
use clap::Args;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use crate::duration;
use crate::model::MODELS;
use crate::serve::asked_to_end;

const MAX_DURATION: Duration = Duration::from_secs(3600);
const NEVER: Duration = Duration::from_secs(365 * 24 * 3600);

/// What to send, and how much.
#[derive(Args, Clone, Debug)]
pub struct Options {
    /// Where the questions go, such as http://claude-api.prod.svc/v1/messages.
    #[arg(long, value_parser = http_url)]
    url: Uri,
    /// Requests a second, from 0.1 to 1000.
    #[arg(long, default_value = "10", value_parser = rate)]
    rate: f64,
    /// How long to send, at most 1h.
    #[arg(long = "for", default_value = "30s", value_parser = limited)]
    duration: Duration,
    /// The API key to send.
    #[arg(long, env = "API_KEY", hide_env_values = true, default_value = "")]
    api_key: String,
    /// How many requests to send at most. Without it only the time is a bound.
    #[arg(long)]
    count: Option<u64>,
    /// Requests that may be in flight. Those beyond are not sent but counted as skipped.
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=1024))]
    concurrency: u16,
    /// How long one request may take.
    #[arg(long, default_value = "10s", value_parser = duration::parse)]
    timeout: Duration,
    /// Also print a line so often, with `final` false.
    #[arg(long, value_parser = duration::parse)]
    report_every: Option<Duration>,
}

fn http_url(text: &str) -> Result<Uri, String> {
    let url: Uri = text.parse().map_err(|error| format!("{error}"))?;
    match (url.scheme_str(), url.authority()) {
        (Some("http"), Some(_)) => Ok(url),
        _ => Err("must start with http:// and a host".to_owned()),
    }
}

fn rate(text: &str) -> Result<f64, String> {
    let parsed = text.parse().ok().filter(|rate| (0.1..=1000.0).contains(rate));
    parsed.ok_or_else(|| "must be a number from 0.1 to 1000".to_owned())
}

fn limited(text: &str) -> Result<Duration, String> {
    match duration::parse(text)? {
        duration if duration <= MAX_DURATION => Ok(duration),
        _ => Err(format!("must be at most {}", duration::print(MAX_DURATION))),
    }
}

/// What came of one request.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Outcome {
    Answered(u16),
    Failed(&'static str),
}

/// What came of all requests.
#[derive(Debug, Default)]
struct Tally {
    sent: u64,
    skipped: u64,
    statuses: BTreeMap<u16, u64>,
    failed: BTreeMap<&'static str, u64>,
    seconds: Vec<f64>,
}

impl Tally {
    fn add(&mut self, outcome: Outcome, took: Duration) {
        match outcome {
            Outcome::Answered(status) => *self.statuses.entry(status).or_default() += 1,
            Outcome::Failed(how) => *self.failed.entry(how).or_default() += 1,
        }
        self.seconds.push(took.as_secs_f64());
    }

    fn answered(&self) -> u64 {
        self.statuses.values().sum()
    }

    fn summary(&self, took: Duration, last: bool) -> Value {
        let mut seconds = self.seconds.clone();
        seconds.sort_by(f64::total_cmp);
        let quantile = |q: f64| {
            let index = ((seconds.len() as f64 * q).ceil() as usize).saturating_sub(1);
            seconds.get(index).copied()
        };
        json!({
            "final": last,
            "durationSeconds": took.as_secs_f64(),
            "sent": self.sent,
            "answered": self.answered(),
            "statuses": self.statuses,
            "failed": self.failed.values().sum::<u64>(),
            "failures": self.failed,
            "skipped": self.skipped,
            "latencySeconds": {"p50": quantile(0.5), "p95": quantile(0.95), "p99": quantile(0.99), "max": quantile(1.0)},
        })
    }
}

/// Sends until a bound is reached or the process is asked to end. Fails if nothing was answered.
pub async fn run(options: Options) -> ExitCode {
    let end = match asked_to_end() {
        Ok(end) => end,
        Err(error) => {
            print(&json!({"error": error.to_string()}));
            return ExitCode::FAILURE;
        }
    };
    let tally = drive(&options, end).await;
    if tally.answered() > 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

async fn drive(options: &Options, end: impl Future<Output = ()>) -> Tally {
    let sender = Sender::new(options);
    let permits = Arc::new(Semaphore::new(options.concurrency.into()));
    let mut tally = Tally::default();
    let mut flying = JoinSet::new();
    let mut tick = interval(Duration::from_secs_f64(1.0 / options.rate));
    let mut report = interval(options.report_every.unwrap_or(NEVER));
    report.set_missed_tick_behavior(MissedTickBehavior::Skip);
    report.reset();
    let start = Instant::now();
    let mut over = std::pin::pin!(async {
        tokio::select! {
            () = sleep(options.duration) => {}
            () = end => {}
        }
    });
    while options.count.is_none_or(|count| tally.sent < count) {
        tokio::select! {
            _ = tick.tick() => match Arc::clone(&permits).try_acquire_owned() {
                Ok(permit) => {
                    tally.sent += 1;
                    let sending = sender.send(tally.sent);
                    flying.spawn(async move {
                        let outcome = sending.await;
                        drop(permit);
                        outcome
                    });
                }
                Err(_) => tally.skipped += 1,
            },
            Some(Ok((outcome, took))) = flying.join_next() => tally.add(outcome, took),
            _ = report.tick() => print(&tally.summary(start.elapsed(), false)),
            () = &mut over => break,
        }
    }
    while let Some(done) = flying.join_next().await {
        if let Ok((outcome, took)) = done {
            tally.add(outcome, took);
        }
    }
    print(&tally.summary(start.elapsed(), true));
    tally
}

struct Sender {
    client: Client<HttpConnector, Full<Bytes>>,
    url: Uri,
    api_key: String,
    timeout: Duration,
}

impl Sender {
    fn new(options: &Options) -> Self {
        // A connection for each request: so they spread over all pods of a Service.
        let client = Client::builder(TokioExecutor::new())
            .pool_max_idle_per_host(0)
            .build_http();
        Self {
            client,
            url: options.url.clone(),
            api_key: options.api_key.clone(),
            timeout: options.timeout,
        }
    }

    fn send(&self, number: u64) -> impl Future<Output = (Outcome, Duration)> + Send + 'static {
        let mut content = String::from("What does the service do");
        let _ = write!(content, " at request {number}?");
        let model = MODELS[number as usize % MODELS.len()].name;
        let question = json!({"model": model, "max_tokens": 64, "messages": [{"role": "user", "content": content}]});
        let request = Request::post(self.url.clone())
            .header(header::CONTENT_TYPE, "application/json")
            .header("x-request-id", format!("load-{number}"))
            .header("x-api-key", &self.api_key)
            .body(Full::from(question.to_string()));
        let (client, limit) = (self.client.clone(), self.timeout);
        async move {
            let start = Instant::now();
            let exchange = async {
                let Ok(request) = request else {
                    return Outcome::Failed("request");
                };
                match client.request(request).await {
                    Err(error) if error.is_connect() => Outcome::Failed("connect"),
                    Err(_) => Outcome::Failed("closed"),
                    Ok(response) => {
                        let status = response.status().as_u16();
                        match response.into_body().collect().await {
                            Ok(_) => Outcome::Answered(status),
                            Err(_) => Outcome::Failed("closed"),
                        }
                    }
                }
            };
            let outcome = timeout(limit, exchange).await.unwrap_or(Outcome::Failed("timeout"));
            (outcome, start.elapsed())
        }
    }
}

// Not `println!`, which panics on a closed pipe.
fn print(line: &Value) {
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_counts_every_status_and_every_failure() {
        let mut tally = Tally::default();
        for (outcome, times) in [
            (Outcome::Answered(200), 97),
            (Outcome::Answered(500), 1),
            (Outcome::Failed("timeout"), 2),
        ] {
            for _ in 0..times {
                tally.sent += 1;
                tally.add(outcome, Duration::from_millis(tally.sent));
            }
        }
        let summary = tally.summary(Duration::from_secs(10), true);
        assert_eq!(summary["statuses"], json!({"200": 97, "500": 1}));
        assert_eq!(summary["failures"], json!({"timeout": 2}));
        assert_eq!((&summary["sent"], &summary["failed"]), (&json!(100), &json!(2)));
        assert_eq!(summary["latencySeconds"]["p95"], 0.095);
        assert_eq!(summary["latencySeconds"]["max"], 0.1);
    }

    #[test]
    fn a_summary_of_nothing_has_no_latency() {
        let summary = Tally::default().summary(Duration::ZERO, true);
        assert_eq!(summary["answered"], 0);
        assert!(summary["latencySeconds"]["p50"].is_null());
    }

    #[test]
    fn bounds_are_checked_before_anything_is_sent() {
        assert!(http_url("http://claude-api.prod.svc/v1/messages").is_ok());
        for url in ["https://host/", "/v1/messages", "ftp://host", "http://"] {
            assert!(http_url(url).is_err(), "{url}");
        }
        assert!(rate("1000").is_ok() && rate("0").is_err() && rate("1001").is_err() && rate("NaN").is_err());
        assert!(limited("1h").is_ok() && limited("2h").is_err());
    }
}
