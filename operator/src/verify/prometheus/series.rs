//! Which series a Prometheus has, asked seldom and for all services at once.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use observed_core::doctor::{Query, Sample};
use serde::Deserialize;
use serde_json::Value;

use super::super::seldom::Answer;
use super::{Envelope, Error, Prometheus, TIMEOUT, locked, read};

#[derive(Deserialize)]
pub(super) struct Vector {
    #[serde(default)]
    pub(super) result: Vec<Value>,
}

impl Prometheus {
    /// Those of the metrics of which it has no sample in its whole retention. One that was missed for the first time counts
    /// only once it is missing from an answer that was asked for later: the last one may be older than the service.
    /// Nobody could be asked: none.
    pub(in super::super) async fn never_seen<'a>(&self, base: &str, metrics: &[&'a str]) -> BTreeSet<&'a str> {
        let began = Instant::now();
        let Some(names) = self.names(base).await else {
            return BTreeSet::new();
        };
        let mut missed = locked(&self.missed);
        let mut never = BTreeSet::new();
        for metric in metrics {
            let question = (base.to_owned(), (*metric).to_owned());
            if names.value.contains(*metric) {
                missed.remove(&question);
            } else if names.asked >= *missed.entry(question).or_insert(began) {
                never.insert(*metric);
            }
        }
        never
    }

    /// Every metric of its whole retention.
    async fn names(&self, base: &str) -> Option<Arc<Answer<BTreeSet<String>>>> {
        let ask = async {
            let answer: Envelope<BTreeSet<String>> = self.aside(base, "/api/v1/label/__name__/values", &[]).await?;
            Ok(answer.data)
        };
        self.names.get(base.to_owned(), ask).await
    }

    /// The jobs with series whose own label of that name lost against the target's. Nobody could be asked: none.
    pub(in super::super) async fn collided(&self, base: &str, label: &'static str) -> Vec<Sample> {
        self.counted(base, Query::Collided(label).promql()).await
    }

    /// The values of a label that a metric has, or had some hours or a day ago, each with its namespace and job: a process that
    /// starts anew counts only what happened since. Nobody could be asked: none.
    pub(in super::super) async fn label_values(&self, base: &str, metric: &str, label: &str) -> Vec<Sample> {
        let query =
            format!("count by (namespace, job, {label}) ({metric} or {metric} offset 6h or {metric} offset 1d)");
        self.counted(base, query).await
    }

    async fn counted(&self, base: &str, query: String) -> Vec<Sample> {
        let timeout = format!("{}s", TIMEOUT.as_secs());
        let ask = async {
            let query = [("query", query.as_str()), ("timeout", &timeout)];
            let answer: Envelope<Vector> = self.aside(base, "/api/v1/query", &query).await?;
            Ok(answer.data.result.iter().filter_map(Sample::of).collect())
        };
        let answer = self.counted.get(format!("{base} {query}"), ask).await;
        answer
            .map(|answer: Arc<Answer<Vec<Sample>>>| answer.value.clone())
            .unwrap_or_default()
    }

    /// An answer in JSON to a question that is worth no more than this: whether it is answered or not says nothing about the
    /// address, which may only be slow with it. Who does not answer is not asked either.
    async fn aside<T: serde::de::DeserializeOwned>(
        &self,
        base: &str,
        path: &str,
        query: &[(&str, &str)],
    ) -> Result<T, Error> {
        let url = base.trim_end_matches('/');
        self.is_asked(url)?;
        read(url, &self.fetch(url, path, query).await?)
    }
}
