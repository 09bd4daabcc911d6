use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::State;

/// A promise about a service: which share of its events is good, over which time.
#[derive(KubeSchema, Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Objective {
    /// name of the objective: the label `objective` of what is recorded and of its alerts. Required. At most 32 of a-z,
    /// 0-9 and -.
    ///
    /// Example: `availability`
    #[schemars(length(min = 1, max = 32), regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub name: String,
    /// sli is the indicator: which events there are, and which of them are good. Required, exactly one.
    pub sli: Sli,
    /// target is the least share of good events. Required. A percentage greater than 0 and less than 100, with at most
    /// five decimals.
    ///
    /// Example: `"99.9%"`
    #[schemars(length(max = 16), regex(pattern = r"^(0|[1-9][0-9]?)(\.[0-9]{1,5})?%$"))]
    #[x_kube(validation = Rule::new("self.replace('0', '').replace('.', '') != '%'").message("target must be greater than 0%: a target of 0% promises nothing"))]
    pub target: String,
    /// window is the time over which the target holds and the error budget is counted; it moves with the clock. Default:
    /// `30d`. Days, from `7d` to `90d`. Prometheus must keep its data at least as long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 3), regex(pattern = r"^([7-9]|[1-8][0-9]|90)d$"))]
    pub window: Option<String>,
    /// minBadEvents is how many bad events an alert's long window holds at least before the alert fires, so that one
    /// failure of three requests at night calls nobody. Default: 5. 0 to 1000000; 0 judges every event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1_000_000))]
    pub min_bad_events: Option<i32>,
    /// alerts turns off alerts of the objective. Default: all are on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alerts: Option<ObjectiveAlerts>,
}

/// Which events there are, and which of them are good.
#[derive(KubeSchema, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("[has(self.errorRatio), has(self.latency), has(self.ratio), has(self.expr)].filter(given, given).size() == 1").message("give exactly one of errorRatio, latency, ratio and expr"))]
pub struct Sli {
    /// errorRatio: a request is good unless it failed on the service's side, as the pack `http` counts it.
    ///
    /// Example: `{}`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_ratio: Option<ErrorRatio>,
    /// latency: a request is good when it was answered within a time, as the pack `http` measures it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency: Option<Latency>,
    /// ratio: events of counters of your own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ratio: Option<Ratio>,
    /// expr: events that two expressions of your own count, where one counter each does not say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expr: Option<ExprPair>,
}

/// Requests that do not fail. It has no settings.
#[derive(JsonSchema, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct ErrorRatio {}

/// Requests that are answered in time.
#[derive(KubeSchema, Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Latency {
    /// below is the time within which a good request is answered. Required. A Prometheus duration of at most `1h` that
    /// is a bucket of the histogram.
    ///
    /// Example: `5s`, `250ms`
    #[schemars(
        length(min = 2, max = 16),
        regex(pattern = r"^([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?$")
    )]
    pub below: String,
}

/// Events of counters that the service itself exposes.
#[derive(KubeSchema, Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.good) != has(self.bad)").message("give one of good and bad beside total: the other is the rest"))]
pub struct Ratio {
    /// good selects the counter of good events: a metric name with matchers, no function and no range. Namespace and
    /// job are added. Exactly one of good and bad.
    ///
    /// Example: `tasks_completed_total{outcome="success"}`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512))]
    pub good: Option<String>,
    /// bad selects the counter of bad events, in the same way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512))]
    pub bad: Option<String>,
    /// total selects the counter of all events, in the same way. Required.
    ///
    /// Example: `tasks_completed_total{outcome!="cancelled"}`
    #[schemars(length(min = 1, max = 512))]
    pub total: String,
}

/// Events that PromQL expressions over series of the service count.
///
/// Each says how many events there were in the last `5m`, with `increase`, `sum_over_time` or `count_over_time` over that
/// range, which stands for whatever window a rule has. Namespace and job are added, and the sum of what the expression
/// gives is taken. Where a series may be missing it says so itself: `(sum(increase(a_total[5m])) or vector(0))`.
#[derive(KubeSchema, Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.good) != has(self.bad)").message("give one of good and bad beside total: the other is the rest"))]
pub struct ExprPair {
    /// good counts the good events. Exactly one of good and bad.
    ///
    /// Example: `sum(sum_over_time(probe_success[5m]))`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2048))]
    pub good: Option<String>,
    /// bad counts the bad events, in the same way.
    ///
    /// Example: `sum(increase(jobs_failed_total[5m])) + (sum(increase(jobs_lost_total[5m])) or vector(0))`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2048))]
    pub bad: Option<String>,
    /// total counts all events, in the same way. Required.
    ///
    /// Example: `sum(increase(jobs_total[5m]))`
    #[schemars(length(min = 1, max = 2048))]
    pub total: String,
}

/// Which alerts an objective has.
#[derive(KubeSchema, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.because) || ![has(self.page) && self.page == 'Disabled', has(self.ticket) && self.ticket == 'Disabled', has(self.unmeasured) && self.unmeasured == 'Disabled'].exists(off, off)").message("a disabled alert says why in because"))]
pub struct ObjectiveAlerts {
    /// page: severity `critical`, when 2 % of the budget go in 1h or 5 % in 6h. Default: `Enabled`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page: Option<State>,
    /// ticket: severity `warning`, when 10 % of the budget go in 1d or 3d. Default: `Enabled`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ticket: Option<State>,
    /// unmeasured: when the series that the indicator needs are gone (`critical`), or were never there (`warning`).
    /// Default: `Enabled`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unmeasured: Option<State>,
    /// because says why an alert is off. Required when one is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512))]
    pub because: Option<String>,
}
