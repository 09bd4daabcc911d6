use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What is done about an alert that goes on firing, by the process `observed run --remediate`: without it nothing happens. It
/// never acts on a workload that is not settled, twice for one alert, on two services at once, or while many services
/// have alerts; all that it did and refused stands in `status.remediation`.
#[derive(KubeSchema, Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Remediation {
    /// mode says whether something is done. Default: `DryRun`.
    #[serde(default)]
    pub mode: RemediationMode,
    /// actions, one for an alert. At most 16.
    ///
    /// Example: `[{alert: MemoryLeak, action: Restart, after: 10m}]`
    #[schemars(length(min = 1, max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["alert".into()]))]
    pub actions: Vec<RemediationAction>,
    /// maxPerHour is how often something is done within an hour, whatever the alerts: 1 to 6. Default: 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 6))]
    pub max_per_hour: Option<i32>,
    /// maxPerDay is how often something is done within 24 hours, whatever the alerts: 1 to 10. Default: 3.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10))]
    pub max_per_day: Option<i32>,
}

/// Whether something is done.
#[derive(JsonSchema, Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub enum RemediationMode {
    /// What would be done is written into the status and told in an Event, and nothing is done.
    #[default]
    DryRun,
    /// It is done.
    Act,
}

/// What is done about one alert.
#[derive(KubeSchema, Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RemediationAction {
    /// alert is its name. One of the service's own: what a dependency lacks, no restart of the service mends.
    #[schemars(length(min = 1, max = 63), regex(pattern = "^[a-zA-Z_][a-zA-Z0-9_]*$"))]
    pub alert: String,
    /// action that is taken.
    pub action: RemediationKind,
    /// after is how long the alert must have been firing, as a Prometheus duration of whole seconds. Default: `5m`, so
    /// that whoever is paged may look first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16), regex(pattern = r"^([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?$"))]
    pub after: Option<String>,
}

/// An action. A closed list: nothing runs a command, deletes anything, or takes away a replica.
#[derive(JsonSchema, Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum RemediationKind {
    /// The pods are replaced one after the other, as `kubectl rollout restart` does it.
    Restart,
}

/// What was done about alerts, and what was refused. Written by `observed run --remediate` alone, when it changes.
#[derive(KubeSchema, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RemediationStatus {
    /// history has one entry for each time that an alert began to fire, the oldest first. At most 32.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub history: Vec<RemediationRecord>,
}

/// What became of an alert that fired.
#[derive(KubeSchema, Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RemediationRecord {
    /// alert is its name.
    #[schemars(length(max = 63))]
    pub alert: String,
    /// activeSince is since when Prometheus has seen its condition.
    pub active_since: Time,
    /// action that was meant.
    pub action: RemediationKind,
    /// outcome is what became of it.
    pub outcome: RemediationOutcome,
    /// time of the outcome.
    pub time: Time,
    /// message says what was done, or why not, and what to do.
    #[schemars(length(max = 512))]
    pub message: String,
}

/// What became of an action.
#[derive(JsonSchema, Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum RemediationOutcome {
    /// It is about to be done. If the process ends in between, or gets no answer, the next look finds out whether it was
    /// done; it is not done again.
    Acting,
    /// It was done.
    Acted,
    /// It would have been done, if the mode were `Act`.
    WouldAct,
    /// It could not be done, and is not tried again.
    Failed,
    /// The workload is not settled: it is changing, paused, or not all of its pods are available.
    RefusedUnsettled,
    /// The action does not fit the workload: it would leave no pod, or change none.
    RefusedUnfit,
    /// So much was done already as the spec allows for an hour or a day.
    RefusedBudget,
    /// Something was done to another service a short time ago: never two at once.
    RefusedElsewhere,
    /// More than a fifth of the services have such alerts: it is the platform, not the service.
    RefusedStorm,
}

impl RemediationKind {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Restart => "Restart",
        }
    }
}

impl RemediationOutcome {
    /// Each of them.
    pub const ALL: [Self; 9] = [
        Self::Acting,
        Self::Acted,
        Self::WouldAct,
        Self::Failed,
        Self::RefusedUnsettled,
        Self::RefusedUnfit,
        Self::RefusedBudget,
        Self::RefusedElsewhere,
        Self::RefusedStorm,
    ];

    /// Whether nothing was done, and it may still be.
    pub fn is_refusal(self) -> bool {
        !matches!(self, Self::Acting | Self::Acted | Self::WouldAct | Self::Failed)
    }

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Acting => "Acting",
            Self::Acted => "Acted",
            Self::WouldAct => "WouldAct",
            Self::Failed => "Failed",
            Self::RefusedUnsettled => "RefusedUnsettled",
            Self::RefusedUnfit => "RefusedUnfit",
            Self::RefusedBudget => "RefusedBudget",
            Self::RefusedElsewhere => "RefusedElsewhere",
            Self::RefusedStorm => "RefusedStorm",
        }
    }
}
