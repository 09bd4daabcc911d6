//! What happens to the cluster in a run, and what goes wrong in it.

use serde::{Deserialize, Serialize};

use super::proxy::Write;

/// One step of a workload. After each the operator is waited for.
#[derive(Clone, Copy, Debug)]
pub enum Step {
    /// The workload of this name is there, and runs.
    Target(&'static str),
    /// It is gone.
    NoTarget(&'static str),
    /// No Service selects its pods any more.
    NoService(&'static str),
    /// An ObservedService of this spec.
    Observe(&'static str),
    /// The ObservedService is gone.
    Forget,
    /// It is gone, and at once there is another one of its name and of this spec.
    Anew(&'static str),
    /// The pods answer on /ready with 200 or 503.
    Ready(bool),
    /// Somebody changes our rules, adds a group, and takes the labels off our dashboard.
    Drift,
    /// The operator is replaced.
    Upgrade,
}

/// A run of the cluster.
#[derive(Debug)]
pub struct Workload {
    pub name: &'static str,
    pub steps: &'static [Step],
}

const PLAIN: &str = "{targetRef: {name: shop}, probes: {preflight: {window: 1s}, readiness: {timeoutSeconds: 3}}}";
const CHANGED: &str = "{targetRef: {name: shop}, probes: {preflight: {window: 1s}, readiness: {timeoutSeconds: 3}}, scrape: {interval: 15s}, \
                       signals: {alerts: {HighErrorRate: {above: '0.2'}}}}";
const NO_PROBES: &str = "{targetRef: {name: shop}, probes: {mode: Disabled}}";
const REMOVED: &str = "{targetRef: {name: shop}, probes: {preflight: {window: 1s}, readiness: {timeoutSeconds: 3}, deletionPolicy: Remove}}";
const OTHER: &str = "{targetRef: {name: cart}, probes: {preflight: {window: 1s}, readiness: {timeoutSeconds: 3}}}";

pub const WORKLOADS: &[Workload] = &[
    Workload {
        name: "create",
        steps: &[Step::Target("shop"), Step::Observe(PLAIN)],
    },
    Workload {
        name: "create before the target",
        steps: &[Step::Observe(PLAIN), Step::Target("shop")],
    },
    Workload {
        name: "edit",
        steps: &[Step::Target("shop"), Step::Observe(PLAIN), Step::Observe(CHANGED)],
    },
    Workload {
        name: "toggle",
        steps: &[Step::Target("shop"), Step::Observe(NO_PROBES), Step::Observe(PLAIN)],
    },
    Workload {
        name: "another kind of child",
        steps: &[Step::Target("shop"), Step::Observe(PLAIN), Step::NoService("shop")],
    },
    Workload {
        name: "retarget",
        steps: &[
            Step::Target("shop"),
            Step::Target("cart"),
            Step::Observe(PLAIN),
            Step::Observe(OTHER),
        ],
    },
    Workload {
        name: "delete",
        steps: &[Step::Target("shop"), Step::Observe(PLAIN), Step::Forget],
    },
    Workload {
        name: "delete and remove",
        steps: &[
            Step::Target("shop"),
            Step::Observe(PLAIN),
            Step::Observe(REMOVED),
            Step::Forget,
        ],
    },
    Workload {
        name: "delete and make anew",
        steps: &[Step::Target("shop"), Step::Observe(PLAIN), Step::Anew(CHANGED)],
    },
    Workload {
        name: "the target is made anew",
        steps: &[
            Step::Target("shop"),
            Step::Observe(PLAIN),
            Step::NoTarget("shop"),
            Step::Target("shop"),
        ],
    },
    Workload {
        name: "drift",
        steps: &[Step::Target("shop"), Step::Observe(PLAIN), Step::Drift],
    },
    Workload {
        name: "preflight fails, then passes",
        steps: &[
            Step::Target("shop"),
            Step::Ready(false),
            Step::Observe(PLAIN),
            Step::Ready(true),
        ],
    },
    Workload {
        name: "at rest",
        steps: &[
            Step::Target("shop"),
            Step::Observe(NO_PROBES),
            Step::Drift,
            Step::NoTarget("shop"),
        ],
    },
    Workload {
        name: "upgrade",
        steps: &[Step::Target("shop"), Step::Observe(PLAIN), Step::Upgrade],
    },
];

/// What goes wrong, once.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub enum Fault {
    /// The operator dies before the write reaches the API server.
    KilledBefore,
    /// It dies when the write is done and before it knows.
    KilledAfter,
    /// The connection breaks before the write reaches the API server.
    LostBefore,
    /// It breaks when the write is done.
    LostAfter,
    /// 409.
    Conflict,
    /// 429 with Retry-After.
    TooManyRequests,
    /// 500.
    InternalError,
    /// 403.
    Forbidden,
}

impl Fault {
    pub const ALL: [Self; 8] = [
        Self::KilledBefore,
        Self::KilledAfter,
        Self::LostBefore,
        Self::LostAfter,
        Self::Conflict,
        Self::TooManyRequests,
        Self::InternalError,
        Self::Forbidden,
    ];
}

/// What happens to the watches of one kind.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub enum WatchFault {
    /// They break, and are refused for a while, as are the lists that they begin with.
    Refused,
    /// They are told that what they know is too old (410).
    Gone,
    /// Nothing comes through for a while, and then they break.
    Silent,
}

impl WatchFault {
    pub const ALL: [Self; 3] = [Self::Refused, Self::Gone, Self::Silent];
}

/// What is watched of a service, by its plural.
pub const WATCHED: [&str; 5] = [
    "observedservices",
    "deployments",
    "services",
    "configmaps",
    "prometheusrules",
];

/// One fault of one workload.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Case {
    /// At one write.
    Write {
        workload: String,
        write: Write,
        fault: Fault,
    },
    /// Of the watches of one kind, from before a step until a moment after it.
    Watch {
        workload: String,
        step: usize,
        watch: String,
        fault: WatchFault,
    },
}

impl Case {
    pub fn workload(&self) -> &str {
        match self {
            Self::Write { workload, .. } | Self::Watch { workload, .. } => workload,
        }
    }

    /// What it brings together. The subset has every pair once: of a write by its object and a workload, and of a write by
    /// its kind alone and a fault.
    pub fn pairs(&self) -> [(String, String); 2] {
        match self {
            Self::Write { workload, write, fault } => [
                (write.what.clone(), workload.clone()),
                (write.kind(), format!("{fault:?}")),
            ],
            Self::Watch {
                workload,
                step,
                watch,
                fault,
            } => [
                (workload.clone(), format!("watches at step {step}")),
                (format!("watches of {watch}"), format!("{fault:?}")),
            ],
        }
    }

    /// The file that plays it again: `OBSERVED_FAULTS=FILE cargo faults`.
    pub fn plan(&self) -> String {
        serde_saphyr::to_string(self).unwrap()
    }

    /// A case from such a file.
    pub fn read(file: &str) -> Self {
        let text = std::fs::read_to_string(file).unwrap_or_else(|error| panic!("OBSERVED_FAULTS={file}: {error}"));
        serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{file} is no plan: {error}"))
    }
}
