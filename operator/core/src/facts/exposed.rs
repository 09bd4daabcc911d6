//! What the running pods' metrics pages say: names, never a value.

use std::collections::{BTreeMap, BTreeSet};

use observed_crds::v1alpha1::signal_pack::SeriesType;
use serde::{Deserialize, Serialize};

/// Most bounds of a histogram that the status keeps.
pub(crate) const MOST_BOUNDS: usize = 64;
/// What it keeps of a histogram that has no bucket with a bound.
pub(crate) const NO_BOUND: &str = "+Inf";
/// Longest text of a bound that it keeps.
const LONGEST_BOUND: usize = 32;

/// What the running pods' metrics pages say, all together.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Exposed {
    /// How the page of each asked pod was.
    pub pages: Vec<Page>,
    /// Every metric on a page that could be read, by its name without the suffixes of a histogram.
    pub families: BTreeMap<String, Family>,
}

/// A metric, with or without samples.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Family {
    /// Its type.
    pub r#type: FamilyType,
    /// Names of its labels, but `le` and `quantile`. None when it has no sample, so that nobody knows them.
    pub labels: Option<BTreeSet<String>>,
    /// Upper bounds of its buckets, ascending, without `+Inf`.
    pub bounds: Vec<f64>,
}

/// Type of a metric, as the page says it.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum FamilyType {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Classic histogram.
    Histogram,
    /// Quantiles that the service computes: it has `_sum` and `_count`, and no buckets.
    Summary,
    /// Nothing is said.
    #[default]
    Untyped,
}

/// How the page of a pod was.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Page {
    /// Name of the pod.
    pub pod: String,
    /// How it was.
    pub outcome: PageOutcome,
}

/// How a metrics page was. In the order in which one of several is told.
#[derive(Clone, Debug, Default, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum PageOutcome {
    /// It was read.
    Read,
    /// It is one JSON string: a FastAPI handler that returns the text itself.
    JsonText,
    /// It is HTML.
    Html,
    /// Another HTTP status than 2xx.
    Status(u16),
    /// A Content-Type that Prometheus does not take. Empty: none at all.
    ContentType(String),
    /// A line is not of the text format.
    Malformed {
        /// Number of the line, from 1.
        line: u64,
    },
    /// More than is read.
    TooLarge,
    /// Nothing is on it.
    Empty,
    /// The pod did not answer in time, or at all: this says nothing about the page.
    #[default]
    Unanswered,
}

/// What is asked of the running pods about their metrics.
#[derive(Clone, Debug, PartialEq)]
pub struct PageQuestion {
    /// Number of the container's port.
    pub port: i32,
    /// Path of the page.
    pub path: String,
}

impl Exposed {
    /// Whether the page of any pod could be read.
    pub fn is_known(&self) -> bool {
        !self.families.is_empty() || self.pages.iter().any(|page| page.outcome == PageOutcome::Read)
    }

    /// What is wrong with the pages, when pods answered and none of them could be read.
    pub fn problem(&self) -> Option<&PageOutcome> {
        let outcomes = self.pages.iter().map(|page| &page.outcome);
        outcomes
            .min()
            .filter(|worst| !self.is_known() && !matches!(worst, PageOutcome::Read | PageOutcome::Unanswered))
    }

    /// Adds the page of a pod.
    pub fn add(&mut self, pod: &str, outcome: PageOutcome, families: BTreeMap<String, Family>) {
        self.pages.push(Page {
            pod: pod.to_owned(),
            outcome,
        });
        for (name, family) in families {
            self.families.entry(name).or_default().join(family);
        }
    }

    /// The metric that a series of this type and name comes from, if a page has it. A counter may be the `_count` or
    /// `_sum` of a histogram or summary.
    pub fn family(&self, name: &str, kind: SeriesType) -> Option<&Family> {
        let family = |name: &str| self.families.get(name);
        if kind == SeriesType::Histogram {
            let typed = family(name).filter(|family| family.r#type == FamilyType::Histogram);
            return typed.or_else(|| family(&format!("{name}_bucket")).filter(|family| !family.bounds.is_empty()));
        }
        let whole = |family: &&Family| matches!(family.r#type, FamilyType::Histogram | FamilyType::Summary);
        let part = ["_count", "_sum"].iter().find_map(|suffix| name.strip_suffix(suffix));
        family(name)
            .filter(|family| !whole(family))
            .or_else(|| part.and_then(family).filter(whole))
            // OpenMetrics names a counter without its suffix.
            .or_else(|| {
                let counter = name.strip_suffix("_total").and_then(family);
                counter.filter(|family| family.r#type == FamilyType::Counter)
            })
    }

    /// Upper bounds of the buckets of a histogram, by its name at the service, as the status keeps them. None when no
    /// bucket was seen; empty when they cannot be kept.
    pub fn bounds(&self, metric: &str) -> Option<Vec<String>> {
        let family = self.family(metric, SeriesType::Histogram)?;
        let is_told = !family.bounds.is_empty() || family.has_no_bounds();
        is_told.then(|| family.kept_bounds())
    }
}

impl Family {
    /// Whether it is a histogram with samples, and has no bucket but that without a bound: a native one looks so in the
    /// text format.
    pub fn has_no_bounds(&self) -> bool {
        self.r#type == FamilyType::Histogram && self.labels.is_some() && self.bounds.is_empty()
    }

    /// Its bounds as the status keeps them. None when they are too many or too long for it: a part of them would mislead.
    pub fn kept_bounds(&self) -> Vec<String> {
        if self.has_no_bounds() {
            return vec![NO_BOUND.to_owned()];
        }
        let texts: Vec<String> = self.bounds.iter().map(f64::to_string).collect();
        let fits = texts.len() <= MOST_BOUNDS && texts.iter().all(|text| text.len() <= LONGEST_BOUND);
        if fits { texts } else { Vec::new() }
    }

    /// What both have.
    fn join(&mut self, other: Self) {
        if self.r#type == FamilyType::Untyped {
            self.r#type = other.r#type;
        }
        if let Some(labels) = other.labels {
            self.labels.get_or_insert_default().extend(labels);
        }
        self.bounds.extend(other.bounds);
        self.bounds.sort_by(f64::total_cmp);
        self.bounds.dedup();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exposed(families: &str) -> Exposed {
        serde_saphyr::from_str(&format!("families: {families}")).unwrap()
    }

    #[test]
    fn two_pods_in_either_order_say_the_same() {
        let page = |families: &str| exposed(families).families;
        let a = page("{x_total: {type: counter}, h: {type: histogram, labels: [a], bounds: [1, 5]}}");
        let b = page("{x_total: {type: counter, labels: [code]}, h: {type: histogram, labels: [b], bounds: [0.5, 5]}}");
        let (mut one, mut two) = (Exposed::default(), Exposed::default());
        one.add("p", PageOutcome::Read, a.clone());
        one.add("q", PageOutcome::Read, b.clone());
        two.add("q", PageOutcome::Read, b);
        two.add("p", PageOutcome::Read, a);
        assert_eq!(one.families, two.families);
        assert_eq!(one.families["h"].bounds, [0.5, 1.0, 5.0]);
        assert_eq!(one.families["x_total"].labels, Some(["code".to_owned()].into()));
    }

    #[test]
    fn a_counter_may_be_a_part_of_a_histogram_or_a_summary_and_no_other_thing() {
        let exposed = exposed("{h: {type: histogram}, s: {type: summary}, c: {type: counter}, g: {type: gauge}}");
        let has = |name: &str, kind| exposed.family(name, kind).is_some();
        for name in ["h_count", "h_sum", "s_count", "c", "c_total", "g"] {
            assert!(has(name, SeriesType::Counter), "{name}");
        }
        for name in ["h", "s", "c_count", "g_count", "g_total", "h_total", "other"] {
            assert!(!has(name, SeriesType::Counter), "{name}");
        }
        assert!(has("h", SeriesType::Histogram));
        assert!(!has("s", SeriesType::Histogram), "a summary has no buckets");
    }

    #[test]
    fn bounds_are_known_only_where_buckets_were_seen() {
        let native = exposed("{n: {type: histogram, labels: []}, s: {type: summary, labels: []}}");
        assert_eq!(native.bounds("n"), Some(vec!["+Inf".to_owned()]));
        assert_eq!(native.bounds("s"), None);
        let exposed = exposed("{h: {type: histogram}, u_bucket: {bounds: [1]}}");
        assert_eq!((exposed.bounds("h"), exposed.bounds("no")), (None, None));
        assert_eq!(exposed.bounds("u"), Some(vec!["1".to_owned()]));
    }

    #[test]
    fn one_page_that_can_be_read_is_enough_and_silence_is_no_problem() {
        let mut exposed = Exposed::default();
        exposed.add("a", PageOutcome::Unanswered, BTreeMap::new());
        assert_eq!((exposed.is_known(), exposed.problem()), (false, None));
        exposed.add("b", PageOutcome::Status(404), BTreeMap::new());
        exposed.add("c", PageOutcome::JsonText, BTreeMap::new());
        assert_eq!(exposed.problem(), Some(&PageOutcome::JsonText));
        exposed.add("d", PageOutcome::Read, BTreeMap::new());
        assert_eq!((exposed.is_known(), exposed.problem()), (true, None));
    }
}
