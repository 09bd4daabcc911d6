//! One thing worth knowing: its recording rule, its panel and its alerts.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Drill;
use crate::v1alpha1::Severity;

/// One thing worth knowing about a service.
#[derive(JsonSchema, Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Signal {
    /// name, unique in the pack. Required.
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub name: String,
    /// builtIn says what becomes of the signal of the same name in the pack that `extends` names. Required when that has
    /// one, and only then.
    #[serde(default)]
    pub built_in: Option<BuiltIn>,
    /// help says what the signal tells, its unit, and what it is without traffic.
    pub help: String,
    /// unit of its value.
    pub unit: Unit,
    /// record keeps the value as a series of its own.
    #[serde(default)]
    pub record: Option<Record>,
    /// panel draws it.
    #[serde(default)]
    pub panel: Option<Panel>,
    /// alerts on it.
    #[serde(default)]
    pub alerts: Vec<Alert>,
}

/// What a user's signal does to the built-in one of its name.
#[derive(JsonSchema, Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum BuiltIn {
    /// Alerts and queries of the panel come after the built-in ones. Record, unit, help and the rest of the panel stay.
    Extend,
    /// The user's signal stands in its place, and nothing of the built-in one is left.
    Replace,
}

impl Signal {
    /// Every expression of the signal.
    pub fn expressions(&self) -> impl Iterator<Item = &str> {
        let record = self.record.iter().map(|record| &record.expr);
        let queries = self.panel.iter().flat_map(|panel| &panel.queries);
        let alerts = self
            .alerts
            .iter()
            .flat_map(|alert| alert.value.iter().chain(&alert.when));
        let all = record.chain(queries.map(|query| &query.expr)).chain(alerts);
        all.map(String::as_str)
    }
}

/// A recording rule.
#[derive(JsonSchema, Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Record {
    /// as is the name of the recorded series: `observed:<what>:<operation>`. Required.
    #[schemars(length(max = 128), regex(pattern = r"^observed:[a-zA-Z0-9_]+:[a-zA-Z0-9_]+$"))]
    pub r#as: String,
    /// expr computes it.
    pub expr: String,
}

/// Unit of a value. Ratios are 0 to 1.
#[derive(JsonSchema, Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Unit {
    /// 0 to 1, shown as percent.
    Ratio,
    /// Seconds.
    Seconds,
    /// Bytes.
    Bytes,
    /// Bytes a second.
    BytesPerSecond,
    /// Requests a second.
    RequestsPerSecond,
    /// CPU cores.
    Cores,
    /// Operations a second.
    OperationsPerSecond,
    /// Reads or writes of a disk a second.
    DiskOperationsPerSecond,
    /// Tokens a minute.
    TokensPerMinute,
    /// US dollars.
    Usd,
    /// US dollars an hour.
    UsdPerHour,
    /// So many times something else; 1 is as much.
    Times,
    /// A plain number.
    Count,
    /// 1 when something holds. The value says nothing more, so that no text shows it.
    Flag,
}

/// How a signal is drawn.
#[derive(JsonSchema, Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Panel {
    /// title of the panel. Required.
    #[schemars(length(min = 1, max = 128), regex(pattern = r"^[^$]*$"))]
    pub title: String,
    /// queries of the panel. In a query the range `[5m]` (the pack's window) becomes Grafana's `$__rate_interval`.
    pub queries: Vec<PanelQuery>,
    /// min of the axis.
    #[serde(default)]
    pub min: Option<f64>,
    /// max of the axis.
    #[serde(default)]
    pub max: Option<f64>,
    /// overview also shows the last value in the first row: of what the signal records, or else of each query.
    #[serde(default)]
    pub overview: bool,
}

/// One line, or one bundle of lines, of a panel.
#[derive(JsonSchema, Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PanelQuery {
    /// expr that is drawn.
    pub expr: String,
    /// legend of a line; `{{label}}` stands for a label's value. Required.
    #[schemars(length(max = 128), regex(pattern = r"^[^$]*$"))]
    pub legend: String,
}

/// An alert on a signal.
#[derive(KubeSchema, Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(
    validation = Rule::new("[has(self.above), has(self.below), has(self.needs)].filter(given, given).size() == 1").message("give exactly one of above, below and needs")
)]
pub struct Alert {
    /// name, unique among all packs. Required.
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[A-Z][A-Za-z0-9]*$"))]
    pub name: String,
    /// severity, as a label.
    pub severity: Severity,
    /// role in an incident, as a label: Alertmanager mutes a symptom while a cause of the same service fires. Default:
    /// neither.
    #[serde(default)]
    pub role: Option<Role>,
    /// value is compared with the threshold. Default: the signal's record.
    #[serde(default)]
    pub value: Option<String>,
    /// above: fires when the value is greater. A decimal. Exactly one of above, below and needs.
    #[serde(default)]
    #[schemars(length(max = 32), regex(pattern = r"^-?[0-9]+(\.[0-9]+)?$"))]
    pub above: Option<String>,
    /// below: fires when the value is less. A decimal.
    #[serde(default)]
    #[schemars(length(max = 32), regex(pattern = r"^-?[0-9]+(\.[0-9]+)?$"))]
    pub below: Option<String>,
    /// needs says that nobody can know the threshold but the service: the alert is off until the service sets it on this
    /// side.
    #[serde(default)]
    pub needs: Option<Side>,
    /// when must hold too, for instance that there is enough traffic to judge.
    #[serde(default)]
    pub when: Option<String>,
    /// for is how long the condition must hold. Prometheus duration.
    #[schemars(length(max = 16), regex(pattern = r"^([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?$"))]
    pub r#for: String,
    /// keepFiringFor is how long it goes on after the condition has ended. Prometheus duration.
    #[serde(default)]
    #[schemars(length(max = 16), regex(pattern = r"^([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?$"))]
    pub keep_firing_for: Option<String>,
    /// summary in one sentence, the same for every firing.
    pub summary: String,
    /// impact says what people notice.
    pub impact: String,
    /// first is what to look at first, in order. Read-only commands and queries.
    pub first: Vec<String>,
    /// drill proves the alert.
    pub drill: Drill,
}

/// A side of a threshold.
#[derive(JsonSchema, Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Side {
    /// Fires when the value is greater.
    Above,
    /// Fires when the value is less.
    Below,
}

/// What an alert is in an incident.
#[derive(JsonSchema, Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Role {
    /// It explains the symptoms of its service.
    Cause,
    /// Users notice it; a cause may explain it.
    Symptom,
}

impl Role {
    /// The value of the `role` label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cause => "cause",
            Self::Symptom => "symptom",
        }
    }
}
