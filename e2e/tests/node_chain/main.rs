//! Each link of the chain from a Deployment to whoever is told of an alert, broken in the ways in which people break it, on
//! a real cluster: each is seen in the status of its service with the right reason within two minutes, and is gone within
//! two minutes after it was mended. All at the same time, on copies of the sample, beside one that nobody breaks.
//!
//! `UPDATE_GOLDEN=1` writes the table of `docs/chain.md` with the times of the run.

#![allow(clippy::unwrap_used, clippy::panic)]

mod cases;
mod load;
mod soak;
mod stage;
mod table;

use std::time::{Duration, Instant};

use cases::{Case, HEALTHY, cases};
use futures::future::join_all;
use observed_e2e::wait;
use stage::{Condition, Conditions, Stage};

/// Until all that was applied was seen to work.
const START: Duration = Duration::from_secs(300);
/// What a change of the chain may take to be told.
const PROMISED: Duration = Duration::from_secs(120);

/// What was seen of a case.
pub struct Seen {
    /// Seconds until the status told of it.
    told: f64,
    /// The message of the condition.
    message: String,
    /// Seconds from its mending until the status told nothing of it any more.
    gone: f64,
}

#[tokio::test(flavor = "multi_thread")]
async fn every_link_of_the_chain_that_breaks_is_told_as_what_it_is_and_so_is_that_it_was_mended() {
    let cases = cases();
    let stage = Stage::set(&cases).await;
    let all_work = async || {
        let services = stage.services().await?;
        let open: Vec<_> = cases.iter().map(Case::namespace).chain([HEALTHY.to_owned()]).collect();
        let open: Vec<_> = open
            .iter()
            .filter_map(|namespace| not_working(&services, namespace))
            .collect();
        if open.is_empty() { Ok(()) } else { Err(open.join("\n")) }
    };
    wait::until(START, "every copy to be observed", all_work).await.unwrap();

    join_all(cases.iter().map(|case| stage.act(case, &case.breaks))).await;
    let told = follow(&stage, &cases, |case, services| {
        let condition = services.get(&case.namespace())?.get(case.condition)?;
        let is = (condition.status.as_str(), condition.reason.as_str()) == (case.status, case.reason);
        (is && condition.message.contains(case.words)).then(|| condition.message.clone())
    })
    .await;
    join_all(cases.iter().map(|case| stage.act(case, &case.mends))).await;
    let gone = follow(&stage, &cases, |case, services| {
        not_working(services, &case.namespace()).is_none().then(String::new)
    })
    .await;

    let seen = told
        .into_iter()
        .zip(gone)
        .map(|((told, message), (gone, _))| Seen { told, message, gone });
    table::tell(&cases, &seen.collect::<Vec<_>>());
    stage.end().await;
}

/// Conditions of a copy that are not as they should be.
fn not_working(services: &Conditions, namespace: &str) -> Option<String> {
    conditions(services, namespace, |condition| condition.status != "True")
}

/// Conditions of a copy that say that something does not work. One for which nobody could be asked in time says nothing.
fn broken(services: &Conditions, namespace: &str) -> Option<String> {
    conditions(services, namespace, |condition| condition.status == "False")
}

fn conditions(services: &Conditions, namespace: &str, is_told: impl Fn(&Condition) -> bool) -> Option<String> {
    let Some(conditions) = services.get(namespace) else {
        return Some(format!("{namespace}: no service"));
    };
    let looked = [
        "TargetResolved",
        "ScrapeVerified",
        "RulesHealthy",
        "AlertsRouted",
        "DashboardLoaded",
    ];
    let told = looked.iter().filter_map(|kind| match conditions.get(*kind) {
        Some(condition) if !is_told(condition) => None,
        Some(condition) => Some(format!(
            "{kind}={} {}: {}",
            condition.status, condition.reason, condition.message
        )),
        None => Some(format!("no {kind}")),
    });
    let told: Vec<_> = told.collect();
    (!told.is_empty()).then(|| format!("{namespace}: {}", told.join("; ")))
}

/// The seconds until each case was seen, and what of it. The copy that nobody breaks works at every look.
async fn follow(
    stage: &Stage,
    cases: &[Case],
    sees: impl Fn(&Case, &Conditions) -> Option<String>,
) -> Vec<(f64, String)> {
    let start = Instant::now();
    let seen = std::cell::RefCell::new(vec![None; cases.len()]);
    let look = || async {
        let services = stage.services().await?;
        assert_eq!(broken(&services, HEALTHY), None, "nobody broke it");
        let mut seen = seen.borrow_mut();
        for (case, seen) in cases.iter().zip(seen.iter_mut()).filter(|(_, seen)| seen.is_none()) {
            *seen = sees(case, &services).map(|message| (start.elapsed().as_secs_f64(), message));
        }
        let open = cases.iter().zip(seen.iter()).filter(|(_, seen)| seen.is_none());
        let open: Vec<_> = open
            .map(|(case, _)| {
                let namespace = case.namespace();
                let now = not_working(&services, &namespace).unwrap_or_else(|| format!("{namespace}: all is well"));
                format!("{} ({} {}): {now}", case.what, case.condition, case.reason)
            })
            .collect();
        if open.is_empty() {
            Ok(())
        } else {
            Err(format!("\n{}", open.join("\n")))
        }
    };
    wait::until(PROMISED, "the status to tell of every case", look)
        .await
        .unwrap();
    seen.into_inner().into_iter().flatten().collect()
}
