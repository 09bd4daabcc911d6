//! Everything that the outside said about one service. Plain data: golden cases hold it as YAML.

mod assumed;
mod container;
mod content;
pub(crate) mod exposed;
mod source;

use std::collections::{BTreeMap, BTreeSet};

use observed_crds::foreign::LabelSelector;
use observed_crds::v1alpha1::signal_pack::SignalPack;
use observed_crds::v1alpha1::{DeletionPolicy, DependentLiveness, Given, Offer, PackSignals, TargetKind};
use serde::{Deserialize, Serialize};

use crate::gift::{Gifted, ProbeKind, ProbeShape};
use crate::sidecar::Sidecars;

pub use content::Content;
pub use exposed::{Exposed, Family, FamilyType, Page, PageOutcome, PageQuestion};
pub use source::Source;

/// What the outside said about one ObservedService.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Facts {
    /// Namespace of the ObservedService and of everything that belongs to it.
    pub namespace: String,
    /// Name of the ObservedService.
    pub name: String,
    /// UID of the ObservedService. Empty offline.
    pub uid: String,
    /// Generation of its spec.
    pub generation: i64,
    /// The workload, if it exists.
    pub target: Option<Target>,
    /// The Services in the namespace that select the workload's pods.
    pub services: Vec<Service>,
    /// An older ObservedService that points at the same workload.
    pub taken_by: Option<String>,
    /// Kinds of optional APIs (`ServiceMonitor`, …) that the API server serves.
    pub served: BTreeSet<String>,
    /// Every `Prometheus` resource, as far as it decides what is selected.
    pub prometheuses: Vec<Prometheus>,
    /// Every `PrometheusAgent`, with the monitors that it selects. It evaluates no rules, and answers no questions.
    pub agents: Vec<Prometheus>,
    /// Whether the policy that lets a gift's handler yield to another one ([`crate::rbac::YIELD_POLICY`]) is in the cluster.
    /// None: nobody knows.
    pub yields: Option<bool>,
    /// Whether the policy that puts an offered gift into a rollout ([`crate::rbac::ADMIT_POLICY`]) is in the cluster. None:
    /// nobody knows, or was asked.
    pub admits: Option<bool>,
    /// The sidecars of Grafana that load dashboards.
    pub sidecars: Sidecars,
    /// Labels of the namespace, which the namespace selectors of a Prometheus look at.
    pub namespace_labels: BTreeMap<String, String>,
    /// What the running pods answered to the questions of [`crate::resolve::questions`].
    pub preflight: BTreeMap<ProbeKind, Vec<Answer>>,
    /// They have not been asked for as long as [`crate::resolve::preflight_seconds`] says. The answers are the worst ones
    /// of that time.
    pub asking: bool,
    /// Seconds that the running pods took to become ready, by container, as their history tells. Only where a probe says
    /// when that is.
    pub starts: BTreeMap<String, u32>,
    /// What the running pods' metrics pages say. Nothing: everything that is wanted counts as exposed.
    pub exposed: Exposed,
    /// What the status keeps of what they said before.
    pub seen: Vec<PackSignals>,
    /// The namespaces, beside its own, whose exporters the service may name. None: all of them, or nobody knows.
    pub dependency_namespaces: Option<BTreeSet<String>>,
    /// The SignalPacks of the namespace that the service names.
    pub packs: Vec<SignalPack>,
    /// Those of them that are not of the format, and why.
    pub unreadable_packs: BTreeMap<String, String>,
    /// A gift has been taken away again and again; who did it, if known.
    pub contested: Option<String>,
    /// What was given before, as the last status tells it.
    pub given: Option<Given>,
    /// What is offered, as the last status tells it.
    pub offer: Option<Offer>,
    /// What was seen of the liveness endpoint, now or before, that a single answer does not tell.
    pub dependent: Option<DependentLiveness>,
    /// The time of the gift's trial is over.
    pub trial_over: bool,
    /// The pods that run with the gift, while it is on trial ([`crate::resolve::on_trial`]).
    pub trial: Vec<TrialPod>,
}

impl Facts {
    /// Upper bounds of the buckets of a histogram, by its name at the service: ascending, without `+Inf`. What a pod
    /// says now, else what one said before. None when nobody knows them: then nothing follows from it.
    pub fn bounds(&self, metric: &str) -> Option<Vec<f64>> {
        let now = self.exposed.bounds(metric).filter(|_| self.exposed.is_known());
        // Those that the status cannot keep count as unknown from the start, or the finding would go when the pod does.
        let texts = now.or_else(|| {
            let mut seen = self.seen.iter().flat_map(|pack| &pack.seen);
            let seen = seen.find(|seen| seen.r#as.as_deref().unwrap_or(&seen.name) == metric)?;
            Some(seen.bounds.clone())
        });
        let bounds: Vec<f64> = texts?.iter().filter_map(|bound| bound.parse().ok()).collect();
        (!bounds.is_empty()).then_some(bounds)
    }
}

/// The workload.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Target {
    /// Kind of the workload.
    pub kind: TargetKind,
    /// Name of the workload.
    pub name: String,
    /// UID of the workload: a write is meant for this very object.
    pub uid: String,
    /// resourceVersion that was read: a write is meant for this very state.
    pub resource_version: String,
    /// Generation of its spec.
    pub generation: i64,
    /// Pods that the workload should have.
    pub replicas: i32,
    /// [`crate::gift::template_hash`] of its pods' template. Empty offline.
    pub template: String,
    /// Why the workload is not settled (a rollout under way, paused), in words. None when it is.
    pub unsettled: Option<String>,
    /// Which pods stay on purpose as they were before the template changed, in words.
    pub outdated: Option<String>,
    /// Why a restart by a change of the template would leave no pod, or would not reach all of them, in words.
    pub unfit_for_restart: Option<String>,
    /// Selector of the workload.
    pub selector: LabelSelector,
    /// Labels of its pods.
    pub pod_labels: BTreeMap<String, String>,
    /// The pods' annotation `kubectl.kubernetes.io/default-container`.
    pub default_container: Option<String>,
    /// Its containers; native sidecars and init containers are left out.
    pub containers: Vec<Container>,
    /// What Observed gave it, as the annotation says.
    pub gifted: Option<Gifted>,
    /// What becomes of it when no ObservedService points at the workload any more, as another annotation says.
    pub deletion_policy: DeletionPolicy,
    /// The tool that it comes from, if it shows.
    pub source: Option<Source>,
    /// A gift was given but not let go of yet: our managedFields entry is still there.
    pub held: bool,
    /// Field manager that wrote the workload last, status apart. Named when a gift is contested.
    pub last_writer: Option<String>,
}

/// A container of the workload.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Container {
    /// Name of the container.
    pub name: String,
    /// Its image.
    pub image: String,
    /// Ports that it declares.
    pub ports: Vec<ContainerPort>,
    /// Probes that it has.
    pub probes: BTreeMap<ProbeKind, LiveProbe>,
}

/// A declared port of a container.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct ContainerPort {
    /// Name, if it has one.
    pub name: Option<String>,
    /// Number.
    pub port: i32,
}

/// A probe that a container has.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct LiveProbe {
    /// What it does.
    pub shape: ProbeShape,
    /// Field managers that own a part of it. Nobody owns a gift that was let go.
    pub owned_by: Vec<String>,
}

/// A Service that selects the workload's pods.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Service {
    /// Name of the Service.
    pub name: String,
    /// Labels of the Service: a ServiceMonitor selects on them.
    pub labels: BTreeMap<String, String>,
    /// Its ports.
    pub ports: Vec<ServicePort>,
}

/// A port of a Service.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct ServicePort {
    /// Name, if it has one. A ServiceMonitor can only use a port with a name.
    pub name: Option<String>,
    /// Number.
    pub port: i32,
    /// Name of the container's port that it leads to, if it goes by name.
    pub target_port_name: Option<String>,
    /// Number of the container's port that it leads to, if it goes by number.
    pub target_port: Option<i32>,
}

/// A `Prometheus` resource, or a `PrometheusAgent`.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Prometheus {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Base URL at which it answers inside the cluster. Empty of an agent.
    pub url: String,
    /// How long it keeps samples. None: nobody knows.
    pub retention_seconds: Option<u64>,
    /// Shards, each of which scrapes a part of the targets. None: one.
    pub shards: Option<i32>,
    /// What it selects, by kind: `ServiceMonitor`, `PodMonitor`, `PrometheusRule`.
    pub selects: BTreeMap<String, Selects>,
}

/// What a Prometheus selects of one kind.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Selects {
    /// Selector on the object's labels. None selects nothing.
    pub objects: Option<LabelSelector>,
    /// Selector on the namespace's labels. None means the Prometheus' own namespace.
    pub namespaces: Option<LabelSelector>,
}

/// What one running pod answered to one question.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Answer {
    /// Name of the pod.
    pub pod: String,
    /// What came back. The body is never kept.
    pub outcome: AnswerOutcome,
    /// Milliseconds that it took.
    pub millis: u64,
    /// Restarts of the pod's containers so far: after another one it is another process that answers.
    pub restarts: i32,
}

/// What came back.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum AnswerOutcome {
    /// An HTTP status.
    Status(u16),
    /// A good HTTP status, with a content that says that it is none.
    Content(Content),
    /// The connection was accepted (a TCP question).
    Connected,
    /// The gRPC health protocol says `SERVING`.
    Serving,
    /// It says something else.
    NotServing,
    /// The question was answered with this gRPC status.
    GrpcStatus(i32),
    /// Nothing listens there, or what listens hangs up without an answer.
    Refused,
    /// No answer in the time that the probe would allow.
    TimedOut,
    /// The pod could not be reached at all, for instance because of a network policy: this says nothing about it.
    #[default]
    Unreachable,
}

impl AnswerOutcome {
    /// As a probe needs it.
    pub fn is_well(&self) -> bool {
        matches!(self, Self::Status(200..300) | Self::Connected | Self::Serving)
    }

    /// What speaks of a state that may pass, more than of a mistake.
    pub fn is_a_state(&self) -> bool {
        matches!(
            self,
            Self::Status(500..)
                | Self::TimedOut
                | Self::NotServing
                | Self::Content(Content::NotWell | Content::StatusInside(400..))
        )
    }

    /// The more it speaks against a probe, the greater.
    fn weight(&self) -> u8 {
        match self {
            _ if self.is_well() => 0,
            Self::Unreachable => 1,
            _ => 2,
        }
    }
}

impl Answer {
    /// The worse of two answers of one pod to one question; of two that are as good the slower.
    #[must_use]
    pub fn or_worse(self, other: Self) -> Self {
        let badness = |answer: &Self| (answer.outcome.weight(), answer.millis);
        if badness(&other) > badness(&self) { other } else { self }
    }
}

/// A pod that runs with the probes that were given.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct TrialPod {
    /// Name of the pod.
    pub pod: String,
    /// Restarts of the container. None are told when the kernel ended it, because it went over its memory limit.
    pub restarts: i32,
    /// Seconds that it ran before the last restart.
    pub ran_seconds: Option<u64>,
    /// Seconds for which the container has been started and not ready.
    pub unready_seconds: u64,
}

/// A question that preflight asks each running pod before a probe is given.
#[derive(Clone, Debug, PartialEq)]
pub struct Question {
    /// Probe that it is asked for.
    pub probe: ProbeKind,
    /// Number of the container's port.
    pub port: i32,
    /// What is asked there.
    pub ask: Ask,
    /// Seconds that the answer may take.
    pub timeout_seconds: i32,
}

/// What is asked of a port.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Ask {
    /// A connection.
    Connect,
    /// An HTTP request.
    Get {
        /// Path of the request.
        path: String,
        /// It is encrypted; nobody checks the certificate.
        https: bool,
    },
    /// A question of the gRPC health protocol about this service, or the server as a whole.
    Grpc {
        /// Name of the service.
        service: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_those_of_a_pod_that_answers_else_those_that_were_kept() {
        let kept =
            "seen: [{pack: http, dialect: micrometer, generation: 1, seen: [{name: h, as: x, bounds: ['0.5', '5']}]}]";
        let facts = |exposed: &str| serde_saphyr::from_str::<Facts>(&format!("{kept}\n{exposed}")).unwrap();
        let silent = facts("exposed: {pages: [{pod: p, outcome: unanswered}]}");
        assert_eq!(silent.bounds("x"), Some(vec![0.5, 5.0]));
        assert_eq!(
            (silent.bounds("h"), silent.bounds("y")),
            (None, None),
            "only by the name at the service"
        );
        let now = facts("exposed: {families: {x: {type: histogram, bounds: [1]}}}");
        assert_eq!(now.bounds("x"), Some(vec![1.0]));
        assert_eq!(Facts::default().bounds("x"), None);
    }

    #[test]
    fn bounds_that_the_status_cannot_keep_are_unknown_while_a_pod_tells_them_too() {
        let told = |most: usize| {
            let bounds: Vec<String> = (1..=most).map(|bound| bound.to_string()).collect();
            let page = format!(
                "exposed: {{families: {{x: {{type: histogram, bounds: [{}]}}}}}}",
                bounds.join(", ")
            );
            let kept = "seen: [{pack: http, dialect: guide, generation: 1, seen: [{name: x, bounds: ['5']}]}]";
            serde_saphyr::from_str::<Facts>(&format!("{kept}\n{page}"))
                .unwrap()
                .bounds("x")
        };
        assert_eq!(told(exposed::MOST_BOUNDS + 1), None, "nor are they those of long ago");
        assert_eq!(
            told(exposed::MOST_BOUNDS).map(|bounds| bounds.len()),
            Some(exposed::MOST_BOUNDS)
        );
    }
}
