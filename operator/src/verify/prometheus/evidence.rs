//! What series tell of all services at once, where nothing lists targets or rules.

use std::collections::BTreeMap;
use std::sync::Arc;

use observed_core::doctor::Sample;

use super::series::Vector;
use super::{Envelope, Error, Prometheus, TIMEOUT};

/// By namespace and job: how many series have each value of [`UP`].
pub(super) type Jobs = BTreeMap<(String, String), BTreeMap<String, usize>>;

/// How many targets of each job are up, and how many are not.
const TARGETS: &str = "count_values by (namespace, job) (\"up\", up)";
/// The jobs of services whose rules are evaluated: the first rule of the pack `target`, which every service has.
const RULES: &str = "count by (namespace, job) (observed:targets_up:ratio)";
const UP: &str = "up";

impl Prometheus {
    /// How many series `up` of this job are 1, and how many there are.
    pub(in super::super) async fn ups(&self, base: &str, namespace: &str, job: &str) -> Result<(usize, usize), Error> {
        let jobs = self.jobs(base, TARGETS).await?;
        let Some(values) = jobs.get(&(namespace.to_owned(), job.to_owned())) else {
            return Ok((0, 0));
        };
        Ok((values.get("1").copied().unwrap_or_default(), values.values().sum()))
    }

    /// Whether there is what the rules of this job record.
    pub(in super::super) async fn records(&self, base: &str, namespace: &str, job: &str) -> Result<bool, Error> {
        let jobs = self.jobs(base, RULES).await?;
        Ok(jobs.contains_key(&(namespace.to_owned(), job.to_owned())))
    }

    /// One answer for all services.
    async fn jobs(&self, base: &str, query: &'static str) -> Result<Arc<Jobs>, Error> {
        let timeout = format!("{}s", TIMEOUT.as_secs());
        let ask = async {
            let query = [("query", query), ("timeout", &timeout)];
            let answer: Envelope<Vector> = self.get(base, "/api/v1/query", &query).await?;
            let mut jobs = Jobs::new();
            for sample in answer.data.result.iter().filter_map(Sample::of) {
                let [namespace, job, up] = ["namespace", "job", UP].map(|label| sample.label(label).to_owned());
                jobs.entry((namespace, job))
                    .or_default()
                    .insert(up, sample.value as usize);
            }
            Ok(jobs)
        };
        self.jobs.get(format!("{base} {query}"), ask).await
    }
}
