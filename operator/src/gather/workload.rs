//! The workload as facts: its containers and their probes, who owns them, and whether a rollout is under way.

use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, StatefulSet};
use k8s_openapi::api::core::v1::PodTemplateSpec;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use observed_core::facts;
use observed_core::gift::{Gifted, template_hash};
use observed_crds::v1alpha1::{DeletionPolicy, TargetKind};
use observed_crds::{DELETION_POLICY_ANNOTATION, PROBES_ANNOTATION, PROBES_MANAGER, foreign};

use crate::managed_fields::{self, Step};

/// Annotation with which a pod names its main container.
const DEFAULT_CONTAINER: &str = "kubectl.kubernetes.io/default-container";

/// The update strategy that leaves old pods until somebody deletes them.
const ON_DELETE: &str = "OnDelete";

/// A workload that can be a target.
pub(super) trait Workload {
    const KIND: TargetKind;
    fn template(&self) -> &PodTemplateSpec;
    fn selector(&self) -> &LabelSelector;
    /// Pods that it should have.
    fn replicas(&self) -> i32;
    /// Why it is not settled, in words.
    fn unsettled(&self) -> Option<String>;
    /// Which pods stay as they are on purpose though the template has changed, in words.
    fn outdated(&self) -> Option<String>;
    /// Why a restart by a change of the template would leave no pod, or would not reach all of them, in words.
    fn unfit_for_restart(&self) -> Option<String>;
}

impl Workload for Deployment {
    const KIND: TargetKind = TargetKind::Deployment;

    fn template(&self) -> &PodTemplateSpec {
        &self.spec.template
    }

    fn selector(&self) -> &LabelSelector {
        &self.spec.selector
    }

    fn replicas(&self) -> i32 {
        self.spec.replicas.unwrap_or(1)
    }

    fn unsettled(&self) -> Option<String> {
        let status = self.status.clone().unwrap_or_default();
        if self.spec.paused == Some(true) {
            return Some("it is paused (spec.paused)".into());
        }
        if let Some(unseen) = unseen(&self.metadata, status.observed_generation) {
            return Some(unseen);
        }
        let stuck = status.conditions.iter().flatten().find(|condition| {
            condition.type_.as_deref() == Some("Progressing")
                && condition.reason.as_deref() == Some("ProgressDeadlineExceeded")
        });
        if let Some(stuck) = stuck {
            return Some(format!(
                "its rollout is stuck: {}",
                stuck.message.clone().unwrap_or_default()
            ));
        }
        let wanted = self.replicas();
        let updated = status.updated_replicas.unwrap_or(0);
        let old = status.replicas.unwrap_or(0) - updated;
        if old > 0 {
            return Some(format!("{old} pods of an earlier revision still run"));
        }
        behind(updated, wanted, "updated")
            .or_else(|| behind(status.available_replicas.unwrap_or(0), wanted, "available"))
    }

    fn outdated(&self) -> Option<String> {
        None
    }

    fn unfit_for_restart(&self) -> Option<String> {
        let strategy = self.spec.strategy.as_ref()?;
        if strategy.type_.as_deref() == Some("Recreate") {
            return Some("its strategy Recreate ends every pod before the first new one starts".into());
        }
        let unavailable = strategy.rolling_update.as_ref()?.max_unavailable.as_ref();
        all_at_once(unavailable, self.replicas())
    }
}

impl Workload for StatefulSet {
    const KIND: TargetKind = TargetKind::StatefulSet;

    fn template(&self) -> &PodTemplateSpec {
        &self.spec.template
    }

    fn selector(&self) -> &LabelSelector {
        &self.spec.selector
    }

    fn replicas(&self) -> i32 {
        self.spec.replicas.unwrap_or(1)
    }

    fn unsettled(&self) -> Option<String> {
        let status = self.status.clone().unwrap_or_default();
        if let Some(unseen) = unseen(&self.metadata, status.observed_generation) {
            return Some(unseen);
        }
        let updated = status.update_revision.is_none() || status.update_revision == status.current_revision;
        if kept_back(self).is_none() && !updated {
            return Some("its pods are being updated".into());
        }
        behind(status.available_replicas.unwrap_or(0), self.replicas(), "available")
    }

    fn outdated(&self) -> Option<String> {
        let why = kept_back(self)?;
        let status = self.status.clone().unwrap_or_default();
        if status.update_revision == status.current_revision {
            return None;
        }
        behind(status.updated_replicas.unwrap_or(0), self.replicas(), "updated")
            .map(|pods| format!("{pods}: {why} keeps the others until they are replaced"))
    }

    fn unfit_for_restart(&self) -> Option<String> {
        if let Some(why) = kept_back(self) {
            return Some(format!("{why} keeps pods as they are"));
        }
        let rolling = self
            .spec
            .update_strategy
            .as_ref()
            .and_then(|strategy| strategy.rolling_update.as_ref());
        only_one(self.replicas()).or_else(|| all_at_once(rolling?.max_unavailable.as_ref(), self.replicas()))
    }
}

/// Why old pods of a StatefulSet stay on purpose.
fn kept_back(set: &StatefulSet) -> Option<&'static str> {
    let strategy = set.spec.update_strategy.as_ref()?;
    let partition = strategy.rolling_update.as_ref().and_then(|rolling| rolling.partition);
    match strategy.type_.as_deref() {
        Some(ON_DELETE) => Some("the update strategy OnDelete"),
        _ => partition
            .filter(|partition| *partition > 0)
            .map(|_| "the partition of its update strategy"),
    }
}

impl Workload for DaemonSet {
    const KIND: TargetKind = TargetKind::DaemonSet;

    fn template(&self) -> &PodTemplateSpec {
        &self.spec.template
    }

    fn selector(&self) -> &LabelSelector {
        &self.spec.selector
    }

    fn replicas(&self) -> i32 {
        self.status.as_ref().map_or(0, |status| status.desired_number_scheduled)
    }

    fn unsettled(&self) -> Option<String> {
        let status = self.status.clone().unwrap_or_default();
        if let Some(unseen) = unseen(&self.metadata, status.observed_generation) {
            return Some(unseen);
        }
        let wanted = self.replicas();
        let updated = if on_delete(self) {
            wanted
        } else {
            status.updated_number_scheduled.unwrap_or(0)
        };
        behind(updated, wanted, "updated").or_else(|| behind(status.number_available.unwrap_or(0), wanted, "available"))
    }

    fn outdated(&self) -> Option<String> {
        let updated = self.status.as_ref()?.updated_number_scheduled.unwrap_or(0);
        let pods = behind(updated, self.replicas(), "updated").filter(|_| on_delete(self))?;
        Some(format!(
            "{pods}: the update strategy OnDelete keeps the others until they are replaced"
        ))
    }

    fn unfit_for_restart(&self) -> Option<String> {
        if on_delete(self) {
            return Some("the update strategy OnDelete keeps pods as they are".into());
        }
        let rolling = self
            .spec
            .update_strategy
            .as_ref()
            .and_then(|strategy| strategy.rolling_update.as_ref());
        let surges = rolling
            .and_then(|rolling| rolling.max_surge.as_ref())
            .is_some_and(|surge| !is_zero(surge));
        if surges {
            return None;
        }
        only_one(self.replicas()).or_else(|| all_at_once(rolling?.max_unavailable.as_ref(), self.replicas()))
    }
}

/// Of a workload that ends a pod before it starts the next one.
fn only_one(replicas: i32) -> Option<String> {
    (replicas < 2).then(|| "its only pod ends before the next one starts".into())
}

/// Of a rollout that may end every pod at once.
fn all_at_once(unavailable: Option<&IntOrString>, replicas: i32) -> Option<String> {
    // Kubernetes rounds a share of them down.
    let pods = match unavailable? {
        IntOrString::Int(pods) => *pods,
        IntOrString::String(share) => {
            share
                .trim_end_matches('%')
                .parse::<i32>()
                .ok()?
                .saturating_mul(replicas)
                / 100
        }
    };
    (replicas > 0 && pods >= replicas).then(|| "its maxUnavailable lets all of its pods end at once".into())
}

fn is_zero(number: &IntOrString) -> bool {
    match number {
        IntOrString::Int(number) => *number == 0,
        IntOrString::String(share) => share.trim_end_matches('%') == "0",
    }
}

fn on_delete(set: &DaemonSet) -> bool {
    let strategy = set.spec.update_strategy.as_ref();
    strategy.and_then(|strategy| strategy.type_.as_deref()) == Some(ON_DELETE)
}

fn unseen(meta: &ObjectMeta, observed: Option<i64>) -> Option<String> {
    (observed.unwrap_or(0) < meta.generation.unwrap_or(0))
        .then(|| "its controller has not seen the last change yet".into())
}

fn behind(pods: i32, wanted: i32, what: &str) -> Option<String> {
    (pods < wanted).then(|| format!("{pods} of {wanted} pods are {what}"))
}

/// The workload as facts.
pub(super) fn target<W: Workload>(workload: &W, meta: &ObjectMeta) -> facts::Target {
    let template = workload.template();
    let pod = template.metadata.clone().unwrap_or_default();
    let managed = meta.managed_fields.as_deref().unwrap_or_default();
    let containers = template
        .spec
        .as_ref()
        .map(|spec| spec.containers.as_slice())
        .unwrap_or_default();
    facts::Target {
        kind: W::KIND,
        name: meta.name.clone().unwrap_or_default(),
        uid: meta.uid.clone().unwrap_or_default(),
        resource_version: meta.resource_version.clone().unwrap_or_default(),
        generation: meta.generation.unwrap_or_default(),
        replicas: workload.replicas(),
        template: template_hash(template),
        unsettled: workload.unsettled(),
        outdated: workload.outdated(),
        unfit_for_restart: workload.unfit_for_restart(),
        selector: selector(workload.selector()),
        pod_labels: pod.labels.unwrap_or_default(),
        default_container: pod
            .annotations
            .and_then(|mut annotations| annotations.remove(DEFAULT_CONTAINER)),
        containers: containers
            .iter()
            .map(|container| {
                facts::Container::of(container, |kind| {
                    let path = [
                        Step::Field("spec"),
                        Step::Field("template"),
                        Step::Field("spec"),
                        Step::Field("containers"),
                        Step::Named(&container.name),
                        Step::Field(kind.field()),
                    ];
                    managed_fields::owners(managed, &path, PROBES_MANAGER)
                })
            })
            .collect(),
        gifted: meta
            .annotations
            .as_ref()
            .and_then(|a| a.get(PROBES_ANNOTATION))
            .and_then(|text| Gifted::parse(text)),
        deletion_policy: deletion_policy(meta),
        source: source(meta),
        held: !managed_fields::positions(managed, PROBES_MANAGER).is_empty(),
        last_writer: managed_fields::last_writer(managed, PROBES_MANAGER),
    }
}

fn source(meta: &ObjectMeta) -> Option<facts::Source> {
    let managers = meta.managed_fields.iter().flatten();
    let managers: Vec<&str> = managers.filter_map(|entry| entry.manager.as_deref()).collect();
    let (labels, annotations) = (meta.labels.clone(), meta.annotations.clone());
    facts::Source::of(&labels.unwrap_or_default(), &annotations.unwrap_or_default(), &managers)
}

/// What becomes of a gift when no ObservedService points at the workload any more, as its annotation says.
pub(crate) fn deletion_policy(meta: &ObjectMeta) -> DeletionPolicy {
    let annotations = meta.annotations.as_ref();
    let said = annotations.and_then(|all| all.get(DELETION_POLICY_ANNOTATION));
    match said.map(String::as_str) {
        Some(policy) if policy == DeletionPolicy::Remove.as_str() => DeletionPolicy::Remove,
        _ => DeletionPolicy::Release,
    }
}

fn selector(selector: &LabelSelector) -> foreign::LabelSelector {
    let expressions = selector.match_expressions.iter().flatten();
    foreign::LabelSelector {
        match_labels: selector.match_labels.clone().unwrap_or_default(),
        match_expressions: expressions
            .filter_map(|expression| serde_json::to_value(expression).ok())
            .collect(),
    }
}
