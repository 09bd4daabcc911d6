//! Kubernetes Events, for people who look at `kubectl describe`. One for each change, none for a resync.

use k8s_openapi::api::core::v1::ObjectReference;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use kube::{Client, Resource};
use observed_core::facts::Facts;
use observed_crds::v1alpha1::conditions::{ConditionType, Reason};
use observed_crds::v1alpha1::{ObservedService, ObservedServiceStatus, RemediationOutcome, RemediationRecord};

use crate::api_error::shorten;
use crate::apply::Held;

/// The API server refuses a longer note.
const LONGEST_NOTE: usize = 1000;

/// Conditions whose change is worth an Event. `Ready` and the kstatus pair only sum the others up.
const TOLD: [ConditionType; 7] = [
    ConditionType::TargetResolved,
    ConditionType::ProbesInstalled,
    ConditionType::ScrapeVerified,
    ConditionType::RulesHealthy,
    ConditionType::AlertsRouted,
    ConditionType::SignalsResolved,
    ConditionType::DashboardLoaded,
];

/// Publishes Events.
pub struct Events {
    recorder: Recorder,
}

impl Events {
    /// In the operator's name.
    pub fn new(client: Client) -> Self {
        Self {
            recorder: Recorder::new(client, Reporter::from("observed")),
        }
    }

    /// Tells what changed between two states. An Event that cannot be published is lost: it is a hint, never a record.
    pub async fn tell(
        &self,
        service: &ObservedService,
        before: Option<&ObservedServiceStatus>,
        after: &ObservedServiceStatus,
    ) {
        for event in changes(before, after) {
            self.publish(&event, &service.object_ref(&())).await;
        }
    }

    /// Tells the workload's own people that it was given probes.
    pub async fn given(&self, service: &ObservedService, facts: &Facts, what: &str) {
        let note = format!(
            "Observed gave the container probes, as ObservedService {} asks: {what}",
            facts.name
        );
        self.about_workload(service, facts, (EventType::Normal, "ProbesGiven", "Give"), &note)
            .await;
    }

    /// Tells the workload's own people that the probes were taken out again.
    pub async fn taken_back(&self, service: &ObservedService, facts: &Facts, because: &str) {
        let note = format!("Observed took its probes out of the container again: {because}");
        self.about_workload(
            service,
            facts,
            (EventType::Warning, "ProbesWithdrawn", "TakeBack"),
            &note,
        )
        .await;
    }

    /// Tells the workload's own people that the probes were taken out, as their service had asked before it went.
    pub async fn removed(&self, workload: &Held, because: &str) {
        let event = Event {
            type_: EventType::Normal,
            reason: "ProbesRemoved".into(),
            note: Some(format!("Observed took its probes out of the container: {because}")),
            action: "TakeBack".into(),
            secondary: None,
        };
        self.publish(&event, &reference(workload)).await;
    }

    /// Tells what became of an alert that something is done about: at the service, and at the workload if it was touched.
    pub async fn remediation(&self, service: &ObservedService, workload: Option<&Held>, record: &RemediationRecord) {
        let good = matches!(record.outcome, RemediationOutcome::Acted | RemediationOutcome::WouldAct);
        let event = Event {
            type_: if good { EventType::Normal } else { EventType::Warning },
            reason: format!("Remediation{}", record.outcome.as_str()),
            note: Some(shorten(&format!("{}: {}", record.alert, record.message), LONGEST_NOTE)),
            action: record.action.as_str().into(),
            secondary: None,
        };
        self.publish(&event, &service.object_ref(&())).await;
        if let Some(workload) = workload {
            let event = Event {
                secondary: Some(service.object_ref(&())),
                ..event
            };
            self.publish(&event, &reference(workload)).await;
        }
    }

    async fn about_workload(
        &self,
        service: &ObservedService,
        facts: &Facts,
        (type_, reason, action): (EventType, &str, &str),
        note: &str,
    ) {
        let Some(target) = &facts.target else { return };
        let workload = reference(&Held::new(&facts.namespace, target));
        let event = Event {
            type_,
            reason: reason.into(),
            note: Some(shorten(note, LONGEST_NOTE)),
            action: action.into(),
            secondary: Some(service.object_ref(&())),
        };
        self.publish(&event, &workload).await;
    }

    /// Tells that a service could not be worked on.
    pub async fn failed(&self, service: &impl Resource<DynamicType = ()>, reason: Reason, words: &str) {
        let event = Event {
            type_: EventType::Warning,
            reason: reason.as_str().into(),
            note: Some(shorten(words, LONGEST_NOTE)),
            action: "Reconcile".into(),
            secondary: None,
        };
        self.publish(&event, &service.object_ref(&())).await;
    }

    async fn publish(&self, event: &Event, about: &ObjectReference) {
        if let Err(error) = self.recorder.publish(event, about).await {
            tracing::debug!(%error, reason = event.reason, "an Event could not be published");
        }
    }
}

fn reference(workload: &Held) -> ObjectReference {
    ObjectReference {
        api_version: Some("apps/v1".into()),
        kind: Some(workload.kind.as_str().into()),
        namespace: Some(workload.namespace.clone()),
        name: Some(workload.name.clone()),
        uid: Some(workload.uid.clone()),
        ..Default::default()
    }
}

/// One Event for each condition whose status or reason is not what it was.
fn changes(before: Option<&ObservedServiceStatus>, after: &ObservedServiceStatus) -> Vec<Event> {
    let told = |kind: &str| TOLD.iter().any(|condition| condition.as_str() == kind);
    let was = |kind: &str| before.and_then(|before| before.conditions.iter().find(|condition| condition.type_ == kind));
    after
        .conditions
        .iter()
        .filter(|condition| told(&condition.type_))
        .filter(|now| was(&now.type_).is_none_or(|was| (&was.status, &was.reason) != (&now.status, &now.reason)))
        // What is only on its way is no news.
        .filter(|now| !passing(&now.reason))
        .map(|now| Event {
            type_: if now.status == "False" {
                EventType::Warning
            } else {
                EventType::Normal
            },
            reason: now.reason.clone(),
            note: Some(shorten(&now.message, LONGEST_NOTE)),
            action: now.type_.clone(),
            secondary: None,
        })
        .collect()
}

fn passing(reason: &str) -> bool {
    [
        Reason::Progressing,
        Reason::PreflightPending,
        Reason::NotAsked,
        Reason::RolloutInProgress,
        Reason::NoTargets,
        Reason::RulesNotLoaded,
        Reason::Unreachable,
        Reason::NotLoaded,
        Reason::NoGrafana,
        Reason::Found,
    ]
    .iter()
    .any(|passing| passing.as_str() == reason)
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

    use super::*;

    fn status(conditions: &[(&str, &str, &str)]) -> ObservedServiceStatus {
        let conditions = conditions.iter().map(|(kind, status, reason)| Condition {
            type_: (*kind).into(),
            status: (*status).into(),
            reason: (*reason).into(),
            message: format!("because of {reason}"),
            last_transition_time: Time(Timestamp::UNIX_EPOCH),
            observed_generation: None,
        });
        ObservedServiceStatus {
            conditions: conditions.collect(),
            ..Default::default()
        }
    }

    fn reasons(before: Option<&ObservedServiceStatus>, after: &ObservedServiceStatus) -> Vec<String> {
        changes(before, after).into_iter().map(|event| event.reason).collect()
    }

    #[test]
    fn a_change_is_told_once() {
        let before = status(&[("ProbesInstalled", "False", "PreflightPending")]);
        let after = status(&[("ProbesInstalled", "True", "Installed"), ("Ready", "True", "Converged")]);
        assert_eq!(reasons(Some(&before), &after), ["Installed"]);
        assert_eq!(reasons(None, &after), ["Installed"]);
    }

    #[test]
    fn what_did_not_change_and_what_is_passing_is_not_told() {
        let same = status(&[("ProbesInstalled", "True", "Installed")]);
        assert!(reasons(Some(&same), &same).is_empty());
        assert!(reasons(None, &status(&[("ScrapeVerified", "False", "NoTargets")])).is_empty());
    }
}
