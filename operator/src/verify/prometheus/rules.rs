//! The rules that a Prometheus has loaded, counted, page by page.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde::Deserialize;

use super::{Envelope, Error, Prometheus, age};

/// Groups of rules in one answer: of fewer than 16 MiB, where they are as large as ours.
const PAGE: usize = 500;
/// Pages that are read, and so groups that are kept.
const MOST_PAGES: usize = 100;

/// The rules of each group.
pub(super) type Groups = BTreeMap<String, Loaded>;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LoadedGroups {
    #[serde(default)]
    groups: Option<Vec<Group>>,
    /// Where the next page begins. Before version 3.1 Prometheus knows no pages and answers with all groups.
    #[serde(default)]
    group_next_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Group {
    name: String,
    #[serde(default)]
    rules: Vec<Rule>,
    /// Seconds between two evaluations.
    #[serde(default)]
    interval: f64,
    /// Seconds that the last evaluation took.
    #[serde(default)]
    evaluation_time: f64,
    #[serde(default)]
    last_evaluation: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Rule {
    name: String,
    /// `ok`, `err`, or `unknown` before the first evaluation.
    #[serde(default)]
    health: String,
    #[serde(default)]
    last_error: String,
}

/// The rules that are loaded, counted.
#[derive(Clone, Debug, Default, PartialEq)]
pub(in super::super) struct Loaded {
    pub(in super::super) rules: usize,
    pub(in super::super) healthy: usize,
    /// Name and error of the first that cannot be evaluated.
    pub(in super::super) failing: Option<(String, String)>,
    /// The first group whose evaluation takes longer than its interval.
    pub(in super::super) slow: Option<String>,
    /// Name and time of the last evaluation of the first group for which that was too long ago when it was told.
    pub(in super::super) stale: Option<(String, String)>,
}

impl Loaded {
    fn add(&mut self, other: Self) {
        self.rules += other.rules;
        self.healthy += other.healthy;
        self.failing = self.failing.take().or(other.failing);
        self.slow = self.slow.take().or(other.slow);
        self.stale = self.stale.take().or(other.stale);
    }

    fn of(name: &str, group: Group, now: Timestamp) -> Self {
        let is_slow = group.interval > 0.0 && group.evaluation_time > group.interval;
        let interval = Duration::try_from_secs_f64(group.interval).ok();
        let interval = interval.filter(|interval| !interval.is_zero());
        let is_stale = age::is_stale(&group.last_evaluation, interval, now);
        Self {
            stale: is_stale.then(|| (name.to_owned(), group.last_evaluation)),
            slow: is_slow.then(|| name.to_owned()),
            rules: group.rules.len(),
            healthy: group.rules.iter().filter(|rule| rule.health == "ok").count(),
            failing: group
                .rules
                .into_iter()
                .find(|rule| rule.health == "err")
                .map(|rule| (rule.name, rule.last_error)),
        }
    }
}

fn counted(into: &mut Groups, groups: Option<Vec<Group>>) {
    let now = Timestamp::now();
    for mut group in groups.unwrap_or_default() {
        let name = std::mem::take(&mut group.name);
        let loaded = Loaded::of(&name, group, now);
        into.entry(name).or_default().add(loaded);
    }
}

impl Prometheus {
    /// The loaded rules of these groups. All rules are asked for, once for all services; where they are more than is read,
    /// those of these groups.
    pub(in super::super) async fn rules(&self, base: &str, groups: &[String]) -> Result<Loaded, Error> {
        let all = self.rules.get(base.to_owned(), self.all_rules(base)).await;
        let narrow;
        let all = match all {
            Ok(ref all) => &**all,
            Err(Error::TooLarge { .. }) => {
                narrow = self.some_rules(base, groups).await?;
                &narrow
            }
            Err(error) => return Err(error),
        };
        let mut loaded = Loaded::default();
        for ours in groups.iter().filter_map(|group| all.get(group)) {
            loaded.add(ours.clone());
        }
        Ok(loaded)
    }

    async fn some_rules(&self, base: &str, groups: &[String]) -> Result<Groups, Error> {
        let groups = groups.iter().map(|group| ("rule_group[]", group.as_str()));
        let query: Vec<(&str, &str)> = groups.chain([("exclude_alerts", "true")]).collect();
        let answer: Envelope<LoadedGroups> = self.get(base, "/api/v1/rules", &query).await?;
        let mut counts = Groups::new();
        counted(&mut counts, answer.data.groups);
        Ok(counts)
    }

    async fn all_rules(&self, base: &str) -> Result<Groups, Error> {
        match self.pages(base).await {
            // The rules were loaded anew between two pages, and the next one begins nowhere.
            Err(Error::Status { status: 400, .. }) => self.pages(base).await,
            pages => pages,
        }
    }

    async fn pages(&self, base: &str) -> Result<Groups, Error> {
        let size = PAGE.to_string();
        let mut counts = Groups::new();
        let mut next = None;
        for _ in 0..MOST_PAGES {
            let from = next.as_deref().map(|token: &str| ("group_next_token", token));
            let query: Vec<_> = [("exclude_alerts", "true"), ("group_limit", size.as_str())]
                .into_iter()
                .chain(from)
                .collect();
            let answer: Envelope<LoadedGroups> = self.get(base, "/api/v1/rules", &query).await?;
            counted(&mut counts, answer.data.groups);
            next = answer.data.group_next_token.filter(|token| !token.is_empty());
            if next.is_none() {
                return Ok(counts);
            }
        }
        Err(Error::TooLarge { url: base.to_owned() })
    }
}
