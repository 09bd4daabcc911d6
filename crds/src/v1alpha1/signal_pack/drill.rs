//! The proof of an alert.

use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// The proof of an alert: where it must fire and where it must stay silent.
#[derive(JsonSchema, Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Drill {
    /// fires lists cases in which the alert must fire.
    #[schemars(length(min = 1, max = 32))]
    pub fires: Vec<DrillCase>,
    /// silent lists cases in which it must not.
    #[schemars(length(min = 1, max = 32))]
    pub silent: Vec<DrillCase>,
}

/// One case of a drill: what the world looks like. It must hold for every threshold that a service may set, so numbers
/// near the threshold are formulas in it.
#[derive(JsonSchema, Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DrillCase {
    /// case in words.
    pub case: String,
    /// given series, by the names that the expressions select in the pack.
    pub given: BTreeMap<String, Vec<DrillSeries>>,
}

/// One series of a drill. Labels of the scope (namespace, job, pod, instance, container, rule_group) are filled in unless given.
#[derive(JsonSchema, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DrillSeries {
    /// labels of the series beside the filled-in ones.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// bucket is the upper bound of a histogram's bucket: the label `le`.
    #[serde(default)]
    #[schemars(schema_with = "amount")]
    pub bucket: Option<Amount>,
    /// value of a gauge, constant unless it has a slope. Exactly one of value, rate and count.
    #[serde(default)]
    #[schemars(schema_with = "amount")]
    pub value: Option<Amount>,
    /// slope of a gauge: what its value changes by in a second.
    #[serde(default)]
    #[schemars(schema_with = "amount")]
    pub slope: Option<Amount>,
    /// rate of a counter: growth a second.
    #[serde(default)]
    #[schemars(schema_with = "amount")]
    pub rate: Option<Amount>,
    /// count of a counter that grows once, from zero to it, right after the start.
    #[serde(default)]
    #[schemars(schema_with = "amount")]
    pub count: Option<Amount>,
    /// resetAt: the counter starts again from zero at this time after the start.
    #[serde(default)]
    #[schemars(schema_with = "amount")]
    pub reset_at: Option<Amount>,
    /// since: the series begins at this time after the start. Default: at the start.
    #[serde(default)]
    #[schemars(schema_with = "amount")]
    pub since: Option<Amount>,
    /// until: the series ends at this time after the start. Default: the end.
    #[serde(default)]
    #[schemars(schema_with = "amount")]
    pub until: Option<Amount>,
}

/// A number of a drill: `10`, or PromQL arithmetic as in `10 * (1 - threshold)` or `15m`. In it `threshold` is the
/// alert's threshold, `for` the seconds that its condition must hold, and the pack's settings have their names.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Amount {
    /// A plain number.
    Number(f64),
    /// Arithmetic.
    Formula(String),
}

/// A number or a text, which no structural schema can say: the format itself refuses anything else.
fn amount(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"x-kubernetes-preserve-unknown-fields": true})
}
