//! The only place where a condition type or a reason is spelled.

use serde::{Deserialize, Serialize};

/// A condition of an ObservedService. All are positive but the two of kstatus, which exist only while they are true.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
pub enum ConditionType {
    /// Everything that was asked for is in place and was seen to work.
    Ready,
    /// The workload, its container and its ports were found.
    TargetResolved,
    /// The service exposes what its packs read, and how it spells it. Advice: `Ready` does not depend on it.
    SignalsResolved,
    /// The container has the probes.
    ProbesInstalled,
    /// Prometheus scrapes the pods, and what it said about them.
    ScrapeVerified,
    /// Prometheus has loaded the rules, and what it said about them.
    RulesHealthy,
    /// Alertmanager's routes bring every alert to a receiver that sends it somewhere. `Ready` does not wait for it where
    /// no Alertmanager can be asked.
    AlertsRouted,
    /// Grafana loads the dashboard: by the settings of its sidecar, and by its own word where it can be asked. `Ready` does
    /// not wait for it where no Grafana is found.
    DashboardLoaded,
    /// kstatus: work is under way.
    Reconciling,
    /// kstatus: nothing more happens until somebody changes something.
    Stalled,
}

impl ConditionType {
    /// Every condition.
    pub const ALL: [Self; 10] = [
        Self::Ready,
        Self::TargetResolved,
        Self::SignalsResolved,
        Self::ProbesInstalled,
        Self::ScrapeVerified,
        Self::RulesHealthy,
        Self::AlertsRouted,
        Self::DashboardLoaded,
        Self::Reconciling,
        Self::Stalled,
    ];

    /// The `type` of the condition.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "Ready",
            Self::TargetResolved => "TargetResolved",
            Self::SignalsResolved => "SignalsResolved",
            Self::ProbesInstalled => "ProbesInstalled",
            Self::ScrapeVerified => "ScrapeVerified",
            Self::RulesHealthy => "RulesHealthy",
            Self::AlertsRouted => "AlertsRouted",
            Self::DashboardLoaded => "DashboardLoaded",
            Self::Reconciling => "Reconciling",
            Self::Stalled => "Stalled",
        }
    }
}

macro_rules! reasons {
    ($($(#[doc = $doc:literal])+ $name:ident,)+) => {
        /// Why a condition is as it is. A closed list: scripts may match on it.
        #[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
        pub enum Reason { $($(#[doc = $doc])+ $name,)+ }

        impl Reason {
            /// Every reason.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// The `reason` of the condition.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)+ }
            }
        }
    };
}

reasons! {
    /// Every output is in place and verified.
    Converged,
    /// Something is still on its way; the message says what.
    Progressing,
    /// An output is not in place or does not work; the message names it.
    OutputNotReady,
    /// Something could not be verified; the message says what.
    NotVerified,
    /// The workload and its container were found.
    Found,
    /// The workload does not exist (yet).
    TargetNotFound,
    /// The spec asks for something that cannot be; the message lists every finding.
    InvalidSpec,
    /// Services can have the SignalPack: every expression can be tied to one, and every drill computed.
    Usable,
    /// An older ObservedService points at the same workload.
    TargetTaken,
    /// Writing is paused by `spec.paused`.
    Paused,
    /// The service exposes every series that its packs read.
    AllExposed,
    /// The service does not expose a series; the message names it, what is left out, and what would expose it.
    SeriesMissing,
    /// A series lacks a label that expressions use; the message names it and the rename that would fit.
    LabelsMissing,
    /// The pods answer with something that Prometheus cannot read as metrics; the message says what.
    MetricsUnreadable,
    /// No pod has answered with its metrics page yet.
    NotAsked,
    /// The container has the probes, given by Observed or by its owner.
    Installed,
    /// Probes are off, or nothing was asked for.
    Disabled,
    /// `mode: Observe`: what would be given stands in the message.
    Observed,
    /// The running pods did not answer as a probe needs it; nothing was given.
    PreflightFailed,
    /// The running pods cannot be asked yet.
    PreflightPending,
    /// A rollout is under way; probes are given when it has ended.
    RolloutInProgress,
    /// A gift was taken away again and again; Observed has stopped giving.
    Contested,
    /// A gift was taken out, or the workload went back to a revision without it; it is not given again.
    Declined,
    /// The probes kept new pods from becoming ready, or restarted them: they were taken back once.
    Withdrawn,
    /// Every pod that should be scraped is up in Prometheus.
    TargetsUp,
    /// Prometheus knows the pods, but some are down; the message has its error.
    TargetsDown,
    /// The pods are up, and the same pages are scraped again under the same job; the message names the other monitor.
    ScrapedTwice,
    /// Prometheus has no target for it.
    NoTargets,
    /// No Prometheus, or no sidecar of Grafana, selects the object; the message says what is missing.
    NotSelected,
    /// Prometheus has loaded the rules and evaluates them without error.
    RulesLoaded,
    /// Prometheus has not loaded the rules (yet).
    RulesNotLoaded,
    /// Prometheus reports an error for a rule.
    RuleFailing,
    /// Every alert comes to a receiver that sends it somewhere.
    Routed,
    /// Some alerts can only come to a receiver that sends nothing anywhere; the message names them.
    NotRouted,
    /// An inhibit rule keeps an alert from everybody whenever it fires; the message names both.
    Inhibited,
    /// Prometheus sends its alerts to no Alertmanager.
    NoAlertmanager,
    /// Grafana's sidecar selects the dashboard; where Grafana was asked, it has it.
    Loaded,
    /// Grafana does not have the dashboard (yet).
    NotLoaded,
    /// Another dashboard has its uid, its title or its file name; the message names it.
    DashboardTaken,
    /// No Grafana was found.
    NoGrafana,
    /// Nobody could be asked: unreachable, or no Prometheus was found.
    Unreachable,
    /// What Prometheus says is about what was: it has not scraped or evaluated for several intervals.
    Stale,
    /// The API server does not know this kind: its CRD is not installed.
    KindNotServed,
    /// An object of that name belongs to somebody else.
    NameCollision,
    /// The API server refused the object, or prometheus-operator does not let Prometheus have it; the message has its words.
    Rejected,
    /// The operator may not do this; the message names the missing right.
    Forbidden,
    /// The API server did not answer as expected; it is tried again.
    ApiError,
}
