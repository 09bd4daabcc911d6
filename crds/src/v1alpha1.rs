//! Version `v1alpha1` of the API.

pub mod conditions;
mod dashboards;
mod dependencies;
mod objectives;
mod observed_service;
mod probes;
mod remediation;
mod runbooks;
mod scrape;
pub mod signal_pack;
mod signals;
mod status;
mod target_ref;

pub use dashboards::Dashboards;
pub use dependencies::{Dependency, DependencyType, ScrapedFrom};
pub use objectives::{ErrorRatio, ExprPair, Latency, Objective, ObjectiveAlerts, Ratio, Sli};
pub use observed_service::{ObservedService, ObservedServiceSpec, crd};
pub use probes::{
    DeletionPolicy, Exec, Grpc, HttpGet, Port, Preflight, ProbeSettings, Probes, ProbesMode, Scheme, StartupSettings,
    TcpSocket,
};
pub use remediation::{
    Remediation, RemediationAction, RemediationKind, RemediationMode, RemediationOutcome, RemediationRecord,
    RemediationStatus,
};
pub use runbooks::Runbooks;
pub use scrape::{Scrape, ScrapeLimits};
pub use signals::{AlertOverride, Histograms, Price, Severity, Signals, State};
pub use status::{
    DependentLiveness, Given, InventoryItem, LivenessSign, ObservedServiceStatus, Offer, OfferedProbes, PackSignals,
    Resolved, SeenSeries, SignalPackStatus, Withdrawn,
};
pub use target_ref::{TargetKind, TargetRef};
