//! What objectives can be set on.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What an objective can be set on: countable events, of which some are bad. Selectors of counters, without a range:
/// the windows follow from the objective.
#[derive(JsonSchema, Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Indicator {
    /// name of the field of `spec.objectives[].sli` that chooses it: `errorRatio` or `latency`.
    pub name: String,
    /// total selects all events.
    pub total: String,
    /// bad selects the bad events. Exactly one of bad and within.
    #[serde(default)]
    pub bad: Option<String>,
    /// within selects the buckets of a histogram, all of them: the one whose bound is the objective's threshold holds
    /// the good events.
    #[serde(default)]
    pub within: Option<String>,
    /// impact says what people notice when there are too many bad events.
    pub impact: String,
    /// first is what to look at first, in order. Read-only commands and queries.
    pub first: Vec<String>,
    /// drill lists the series that count the events, by the names that the selectors select.
    pub drill: BTreeMap<String, Vec<IndicatorSeries>>,
}

/// One series that counts events of an indicator.
#[derive(JsonSchema, Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct IndicatorSeries {
    /// labels of the series.
    pub labels: BTreeMap<String, String>,
    /// bucket of a histogram that it is.
    #[serde(default)]
    pub bucket: Option<Bucket>,
    /// counts says which events it counts.
    pub counts: Vec<Outcome>,
}

/// The bound of a bucket.
#[derive(JsonSchema, Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Bucket {
    /// The objective's threshold.
    Threshold,
    /// Infinity: every event.
    Infinite,
}

/// What becomes of an event.
#[derive(JsonSchema, Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Outcome {
    /// It is as it should be.
    Good,
    /// It is not.
    Bad,
    /// It is bad, and not one of those that the indicator is about, such as an answer to a probe.
    Ignored,
}
