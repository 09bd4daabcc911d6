//! Once or never: every write of an action is a point where the process may die, be refused, or get no answer.

use futures::{StreamExt, stream};
use k8s_openapi::api::apps::v1::Deployment;
use observed_crds::v1alpha1::{RemediationOutcome, RemediationRecord};
use observed_e2e::wait;

use super::super::operator::{Operator, SOON, client};
use super::super::writes::plan::Fault;
use super::super::writes::proxy::{Proxy, Write};
use super::{account, deployment, evaluating, history, looks_again, observed, restarted_at};

/// Cases that run at once. They wait more than they compute.
const AT_ONCE: usize = 6;

/// The writes of an action, in their order.
fn writes() -> [Write; 4] {
    [
        ("PATCH observedservices/api/status", 1),
        ("PATCH deployments/api", 1),
        ("let go of deployments/api", 1),
        ("PATCH observedservices/api/status", 2),
    ]
    .map(|(what, nth)| Write {
        what: what.to_owned(),
        nth,
    })
}

/// How everything is once nothing is written any more.
#[derive(Clone)]
struct End {
    history: Vec<RemediationRecord>,
    restarts: i64,
    deployment: Deployment,
}

impl End {
    /// The one outcome of it all.
    fn outcome(&self) -> Result<RemediationOutcome, String> {
        match self.history.as_slice() {
            [record] => Ok(record.outcome),
            other => Err(format!("{other:?}")),
        }
    }

    /// It was done once and is told as done, or was never done and is told as that, and nothing is held.
    fn is_once_or_never(&self) -> Result<(), String> {
        let managers = self.deployment.metadata.managed_fields.iter().flatten();
        let held = managers
            .filter_map(|entry| entry.manager.as_deref())
            .any(|manager| manager == "observed-remediation");
        let told = match self.outcome()? {
            RemediationOutcome::Acted => 1,
            RemediationOutcome::Failed => 0,
            other => return Err(format!("it stays {other:?}")),
        };
        match (held, told == self.restarts) {
            (true, _) => Err("a field is held".to_owned()),
            (_, false) => Err(format!("{} restarts: {:?}", self.restarts, self.history)),
            (false, true) => Ok(()),
        }
    }
}

/// An alert that is to be acted on, where this goes wrong, if anything: the writes, and the end.
async fn played(planned: Option<(Write, Fault)>) -> Result<(Vec<Write>, End), String> {
    let (stage, _operator) = observed("Act", "TargetAbsent").await;
    let before = deployment(&stage).await.metadata.generation;
    let (_prometheus, url, _files) = evaluating(&stage, None).await;
    let rights = client(&account(&stage, None).await).await;
    let proxy = Proxy::start(rights, stage.cluster.run_dir(), &stage.namespace).await;
    let kills = matches!(planned, Some((_, Fault::KilledBefore | Fault::KilledAfter)));
    let faulty = planned.is_some();
    if let Some((write, fault)) = planned {
        proxy.plan(write, fault);
    }
    let mut remediator = Operator::remediator(&stage, proxy.kubeconfig(), &url).await;
    let happened = async || {
        let met = if faulty {
            proxy.met()
        } else {
            !history(&stage).await.is_empty()
        };
        met.then_some(()).ok_or("nothing happened")
    };
    wait::until(SOON, "the fault", happened)
        .await
        .map_err(|error| error.to_string())?;
    if kills {
        proxy.killed.notified().await;
        remediator.kill();
        stage.free_lease_of("observed-remediator").await;
        remediator = Operator::remediator(&stage, proxy.kubeconfig(), &url).await;
    }
    let quiet = async || {
        let before = proxy.writes().len();
        looks_again(&remediator).await;
        let after = proxy.writes();
        (after.len() == before).then_some(()).ok_or(format!("{after:?}"))
    };
    let quiet = wait::until(SOON, "the writes to end", quiet).await;
    quiet.map_err(|error| format!("{error}\n{}", remediator.log()))?;
    let after = deployment(&stage).await;
    let restarts = after.metadata.generation.unwrap_or_default() - before.unwrap_or_default();
    assert_eq!(restarts > 0, restarted_at(&after).is_some());
    let end = End {
        history: history(&stage).await,
        restarts,
        deployment: after,
    };
    Ok((proxy.writes(), end))
}

/// Every write with the process dying around it and its answer lost, and the others once each.
fn cases() -> Vec<(Write, Fault)> {
    let always = [Fault::KilledBefore, Fault::KilledAfter, Fault::LostAfter];
    let others = Fault::ALL.into_iter().filter(|fault| !always.contains(fault));
    let others: Vec<Fault> = others.collect();
    let all = std::env::var("OBSERVED_FAULTS").is_ok();
    let mut cases = Vec::new();
    let writes = writes();
    for (at, write) in writes.iter().enumerate() {
        let turned = others
            .iter()
            .enumerate()
            .filter(|(nth, _)| all || nth % writes.len() == at);
        for fault in always.into_iter().chain(turned.map(|(_, fault)| *fault)) {
            cases.push((write.clone(), fault));
        }
    }
    cases
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_fault_at_any_write_of_an_action_leaves_it_done_once_or_never_and_told_as_it_is() {
    let (mut written, end) = played(None).await.unwrap();
    // Who writes to the workload in between is let go again for.
    written.retain(|write| write.nth == 1 || !write.what.starts_with("let go of "));
    assert_eq!(written, writes(), "the cases are those of an action");
    assert_eq!(
        (end.outcome(), end.is_once_or_never()),
        (Ok(RemediationOutcome::Acted), Ok(()))
    );

    let run = cases().into_iter().map(async |(write, fault)| {
        let ended = played(Some((write.clone(), fault))).await;
        let ended = ended.and_then(|(_, end)| end.is_once_or_never().map(|()| end));
        (write, fault, ended)
    });
    let ran: Vec<_> = stream::iter(run).buffer_unordered(AT_ONCE).collect().await;
    let failed: Vec<String> = ran
        .iter()
        .filter_map(|(write, fault, end)| Some(format!("{fault:?} at {write:?}: {}", end.as_ref().err()?)))
        .collect();
    assert!(
        failed.is_empty(),
        "{} of {}:\n{}",
        failed.len(),
        ran.len(),
        failed.join("\n")
    );
    // Both ends were met, or one of them was never looked at.
    let restarts = |wanted: i64| ran.iter().flat_map(|(.., end)| end).any(|end| end.restarts == wanted);
    assert!(restarts(0) && restarts(1));
}

/// The twin: ends that are neither.
#[tokio::test]
async fn an_action_that_is_done_twice_told_wrong_or_held_is_noticed() {
    let (_, end) = played(None).await.unwrap();
    let changed = |change: &dyn Fn(&mut End)| {
        let mut changed = end.clone();
        change(&mut changed);
        changed.is_once_or_never()
    };
    assert_eq!(changed(&|_| ()), Ok(()));
    assert!(changed(&|end| end.restarts = 2).is_err());
    assert!(changed(&|end| end.restarts = 0).is_err());
    assert!(changed(&|end| end.history.clear()).is_err());
    assert!(changed(&|end| end.history[0].outcome = RemediationOutcome::Acting).is_err());
    let hold = |end: &mut End| {
        let entries = end.deployment.metadata.managed_fields.as_mut().unwrap();
        entries[0].manager = Some("observed-remediation".to_owned());
    };
    assert!(changed(&hold).is_err());
}
