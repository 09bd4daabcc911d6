//! A thin client of the HTTP APIs of Prometheus, Alertmanager and Grafana: the questions that verification and
//! a preview ask, and no others.

mod alerts;
mod error;
mod evidence;
mod rules;
mod series;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use observed_core::doctor::Sample;
use observed_core::duration;
use observed_core::preview::{Series, Span};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::access::{Door, Doors, Server};
use super::age;
use super::seldom::{EVERY, Seldom};
use super::shared::Shared;
use crate::settings::Servers;
pub use alerts::Alerting;
pub use error::Error;
use error::{tls, was_not_sent, words};
use evidence::Jobs;
use rules::Groups;

/// How long one answer may take.
pub(super) const TIMEOUT: Duration = Duration::from_secs(3);
/// Largest answer that is read.
const MOST_BYTES: usize = 16 << 20;
/// How long an address that did not answer is left alone, so that it does not hold up everything else.
const LEFT_ALONE: Duration = Duration::from_secs(15);
/// How often what was not sent is sent again.
const MOST_TIMES_AGAIN: u32 = 2;
/// What is looked at of an answer that refuses.
const MOST_OF_A_REFUSAL: usize = 1000;

/// What was heard last from an address, and when.
type ByAddress<T> = BTreeMap<String, (Instant, T)>;

/// Asks a Prometheus.
pub struct Prometheus {
    doors: Doors,
    silent: Mutex<ByAddress<Error>>,
    shared: Shared<Vec<u8>>,
    targets: Shared<Pools>,
    rules: Shared<Groups>,
    jobs: Shared<Jobs>,
    names: Seldom<BTreeSet<String>>,
    counted: Seldom<Vec<Sample>>,
    /// Metrics of which an address was found to have no sample, and since when.
    missed: Mutex<BTreeMap<(String, String), Instant>>,
}

/// Every target.
#[derive(Default)]
struct Pools {
    /// By scrape pool.
    by_name: BTreeMap<String, Vec<Target>>,
    /// Of each page that is scraped more than once: for which pools, and with which labels.
    twice: BTreeMap<String, Vec<(String, Labels)>>,
}

/// The targets of some scrape pools.
pub(super) struct Found {
    pub(super) targets: Vec<Target>,
    pub(super) again: Option<Again>,
}

/// Another scrape pool with one of the same pages: always the same one, and one of the same job first.
pub(super) struct Again {
    pub(super) pool: String,
    /// Its label `job` is the same there, and so is `namespace`.
    pub(super) same_job: bool,
}

#[derive(Deserialize)]
pub(super) struct Envelope<T> {
    pub(super) data: T,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ActiveTargets {
    #[serde(default)]
    active_targets: Option<Vec<Target>>,
}

/// A target that is scraped.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Target {
    #[serde(default)]
    pub(super) scrape_pool: String,
    #[serde(default)]
    pub(super) scrape_url: String,
    #[serde(default)]
    pub(super) last_error: String,
    pub(super) health: Health,
    /// When it was scraped last.
    #[serde(default)]
    pub(super) last_scrape: String,
    #[serde(default)]
    scrape_interval: String,
    /// Whether that was too long ago when it was told.
    #[serde(skip)]
    pub(super) is_stale: bool,
    #[serde(default)]
    pub(super) labels: Labels,
}

/// The labels of a target that say whose it is.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Labels {
    pub(super) job: String,
    pub(super) namespace: String,
    pub(super) pod: String,
}

/// What the last scrape said.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub(super) enum Health {
    Up,
    Down,
    /// Not scraped yet.
    #[serde(other)]
    Unknown,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Alertmanagers {
    #[serde(default)]
    active_alertmanagers: Option<Vec<Alertmanager>>,
}

#[derive(Deserialize)]
struct Alertmanager {
    url: String,
}

#[derive(Deserialize)]
struct Matrix {
    result: Vec<Values>,
}

/// The values of one series: the time in seconds, and the value as text.
#[derive(Deserialize)]
struct Values {
    metric: BTreeMap<String, String>,
    #[serde(default)]
    values: Vec<(f64, String)>,
}

impl Prometheus {
    /// Asks as the settings say.
    ///
    /// # Errors
    /// The HTTP client cannot be set up.
    pub fn new(servers: Servers) -> Result<Self, Error> {
        Ok(Self {
            doors: Doors::new(servers)?,
            silent: Mutex::default(),
            shared: Shared::default(),
            targets: Shared::default(),
            rules: Shared::default(),
            jobs: Shared::default(),
            names: Seldom::new(EVERY),
            counted: Seldom::new(EVERY),
            missed: Mutex::default(),
        })
    }

    /// The active targets of the scrape pools whose name begins so. All targets are asked for, once for all services; where
    /// they are more than is read, those of its first pool.
    pub(super) async fn targets(&self, base: &str, pools: &str) -> Result<Found, Error> {
        let all = self.targets.get(base.to_owned(), self.pools(base, &[])).await;
        let narrow;
        let all = match all {
            Ok(ref all) => &**all,
            Err(Error::TooLarge { .. }) => {
                narrow = self.pools(base, &[("scrapePool", &format!("{pools}0"))]).await?;
                &narrow
            }
            Err(error) => return Err(error),
        };
        let from = all.by_name.range(pools.to_owned()..);
        let ours = from.take_while(|(pool, _)| pool.starts_with(pools));
        let targets: Vec<Target> = ours.flat_map(|(_, targets)| targets.clone()).collect();
        let again = targets.iter().flat_map(|target| {
            let ways = all.twice.get(&target.scrape_url).into_iter().flatten();
            let others = ways.filter(|(pool, _)| !pool.starts_with(pools));
            others.map(move |(pool, labels)| {
                let same_job = labels.job == target.labels.job && labels.namespace == target.labels.namespace;
                (!same_job, pool)
            })
        });
        let again = again.min().map(|(other_job, pool)| Again {
            pool: pool.clone(),
            same_job: !other_job,
        });
        Ok(Found { targets, again })
    }

    async fn pools(&self, base: &str, more: &[(&str, &str)]) -> Result<Pools, Error> {
        let query: Vec<_> = [("state", "active")].iter().chain(more).copied().collect();
        let answer: Envelope<ActiveTargets> = self.get(base, "/api/v1/targets", &query).await?;
        let mut pools = Pools::default();
        let now = Timestamp::now();
        for mut target in answer.data.active_targets.unwrap_or_default() {
            let interval = duration::long_seconds(&target.scrape_interval).map(Duration::from_secs);
            target.is_stale = target.health == Health::Up && age::is_stale(&target.last_scrape, interval, now);
            let pool = std::mem::take(&mut target.scrape_pool);
            let ways = pools.twice.entry(target.scrape_url.clone()).or_default();
            ways.push((pool.clone(), target.labels.clone()));
            pools.by_name.entry(pool).or_default().push(target);
        }
        pools.twice.retain(|_, ways| ways.len() > 1);
        Ok(pools)
    }

    /// Who sends alerts on for this Prometheus: the addresses that it posts them to.
    pub(super) async fn alertmanagers(&self, base: &str) -> Result<Vec<String>, Error> {
        let answer: Envelope<Alertmanagers> = self.shared(Server::Prometheus, base, "/api/v1/alertmanagers").await?;
        let active = answer.data.active_alertmanagers.unwrap_or_default();
        Ok(active.into_iter().map(|alertmanager| alertmanager.url).collect())
    }

    /// The values of an expression over a span of time.
    ///
    /// # Errors
    /// As of [`Prometheus::fetch`], and if the answer is not that of a Prometheus.
    pub async fn values(&self, base: &str, expr: &str, span: &Span) -> Result<Vec<Series>, Error> {
        let [start, end] = [span.start, span.end].map(|second| second.to_string());
        let step = span.step.to_string();
        let query = [("query", expr), ("start", &start), ("end", &end), ("step", &step)];
        let url = base.trim_end_matches('/');
        let answer: Envelope<Matrix> = read(url, &self.fetch(url, "/api/v1/query_range", &query).await?)?;
        let series = answer.data.result.into_iter().map(|series| {
            let points = series.values.iter();
            // Prometheus writes the numbers of Go, which are those of Rust: `NaN`, `+Inf`, `1e-07`.
            let points = points.filter_map(|(second, value)| Some((second.round() as i64, value.parse().ok()?)));
            Series {
                labels: series.metric,
                points: points.collect(),
            }
        });
        Ok(series.collect())
    }

    /// An answer in JSON that does not depend on the service, however many of them ask.
    pub(super) async fn shared<T: DeserializeOwned>(&self, server: Server, base: &str, path: &str) -> Result<T, Error> {
        let url = base.trim_end_matches('/');
        let body = self
            .shared
            .get(format!("{url}{path}"), self.body(server, url, path, &[]))
            .await?;
        read(url, &body)
    }

    /// An answer of Prometheus in JSON.
    async fn get<T: DeserializeOwned>(&self, base: &str, path: &str, query: &[(&str, &str)]) -> Result<T, Error> {
        let url = base.trim_end_matches('/');
        read(url, &self.body(Server::Prometheus, url, path, query).await?)
    }

    /// The body of a good answer. An address that does not answer is left alone for a while.
    async fn body(&self, server: Server, url: &str, path: &str, query: &[(&str, &str)]) -> Result<Vec<u8>, Error> {
        self.left_alone(url, self.good(server, url, path, query)).await
    }

    /// The status and the body of an answer, whatever the status. An address that does not answer is left alone for a while.
    pub(super) async fn answer(&self, server: Server, url: &str, path: &str) -> Result<(u16, Vec<u8>), Error> {
        let door = self.doors.of(server);
        let request = door.request(url, path).await?;
        self.left_alone(url, send(door, url, request)).await
    }

    /// Whether the address is asked now: one that did not answer is not.
    fn is_asked(&self, url: &str) -> Result<(), Error> {
        match locked(&self.silent).get(url) {
            Some((since, error)) if since.elapsed() < LEFT_ALONE => Err(error.clone()),
            _ => Ok(()),
        }
    }

    async fn left_alone<T>(&self, url: &str, asked: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        self.is_asked(url)?;
        let answer = asked.await;
        match &answer {
            Err(error @ (Error::NoAnswer { .. } | Error::Tls { .. })) => {
                locked(&self.silent).insert(url.to_owned(), (Instant::now(), error.clone()));
            }
            _ => {
                locked(&self.silent).remove(url);
            }
        }
        answer
    }

    /// The body of a good answer of Prometheus.
    ///
    /// # Errors
    /// As of [`Prometheus::good`].
    pub async fn fetch(&self, url: &str, path: &str, query: &[(&str, &str)]) -> Result<Vec<u8>, Error> {
        self.good(Server::Prometheus, url, path, query).await
    }

    /// The body of a good answer.
    ///
    /// # Errors
    /// Nobody answered in time, or with another status than 2xx, or with more than is read.
    pub async fn good(&self, server: Server, url: &str, path: &str, query: &[(&str, &str)]) -> Result<Vec<u8>, Error> {
        let door = self.doors.of(server);
        let request = door.request(url, path).await?.query(query);
        let (status, body) = send(door, url, request).await?;
        if (200..300).contains(&status) {
            return Ok(body);
        }
        let url = url.to_owned();
        let words = String::from_utf8_lossy(body.get(..MOST_OF_A_REFUSAL).unwrap_or(&body));
        Err(match door.next_step(&url, status, &words) {
            Some(step) => Error::Refused { url, status, step },
            None => Error::Status { url, status },
        })
    }
}

/// The status and the body of the answer.
async fn send(door: &Door, url: &str, request: reqwest::RequestBuilder) -> Result<(u16, Vec<u8>), Error> {
    let no_answer = |error: reqwest::Error| {
        let url = url.to_owned();
        let words = words(&error);
        match tls(&error).and_then(|error| door.about_tls(&url, error)) {
            Some(step) => Error::Tls { url, words, step },
            None => Error::NoAnswer { url, words },
        }
    };
    let mut response = answer(request).await.map_err(no_answer)?;
    let status = response.status().as_u16();
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(no_answer)? {
        if body.len() + chunk.len() > MOST_BYTES {
            return Err(Error::TooLarge { url: url.to_owned() });
        }
        body.extend_from_slice(&chunk);
    }
    Ok((status, body))
}

/// Asks, and again if the request was not sent. A server that wants a certificate says so after the handshake: now and then
/// the connection is gone before that is read, and nobody would learn why.
async fn answer(request: reqwest::RequestBuilder) -> Result<reqwest::Response, reqwest::Error> {
    for _ in 0..MOST_TIMES_AGAIN {
        let Some(copy) = request.try_clone() else { break };
        match copy.send().await {
            Err(error) if was_not_sent(&error) => {}
            other => return other,
        }
    }
    request.send().await
}

pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn read<T: DeserializeOwned>(url: &str, answer: &[u8]) -> Result<T, Error> {
    serde_json::from_slice(answer).map_err(|error| Error::Answer {
        url: url.to_owned(),
        words: not_json(&error),
    })
}

/// Why an answer is not the one that was asked for. Not in the words of the error, which quote the answer: it may hold
/// what is secret.
pub(super) fn not_json(error: &serde_json::Error) -> &'static str {
    match error.classify() {
        serde_json::error::Category::Data => "it is JSON of another form",
        _ => "it is no JSON, or not whole",
    }
}
