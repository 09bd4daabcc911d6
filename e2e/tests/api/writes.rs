//! Nothing lost in between: every write of the operator is a point where it may die, be refused, or get no answer, and at
//! every moment a watch may break off, miss something, or fall silent.
//!
//! For each workload a reference run is recorded, without a fault, on the real API server with a proxy between it and
//! the operator. From it the cases are generated: one fault at one write, or of the watches of one kind at one step. After each case the
//! oracle holds: the same end state as in the reference run (which counts rollouts, as generations do), nobody else's
//! field changed, no field held, and quiet afterwards. `cargo faults` runs all of them, `cargo test` a subset in which
//! each workload meets each of its writes and each kind of write meets each fault.

mod oracle;
pub mod plan;
pub mod proxy;
mod rivals;
mod scene;
mod watches;

use std::collections::BTreeSet;

use comfy_table::{Table, presets};
use futures::{StreamExt, stream};

use plan::{Case, Fault, Step, WATCHED, WORKLOADS, WatchFault, Workload};
use proxy::Write;
use scene::{Reference, Scene};

/// Cases that run at once. They wait more than they compute.
const AT_ONCE: usize = 12;
/// Runs that are recorded at once: where nothing hurries them, no write comes that another run would not have.
const RECORDED_AT_ONCE: usize = 7;

/// Every write of each workload, once with each fault, and each kind that is watched at each of its steps.
fn all(references: &[(&'static Workload, Reference)]) -> Vec<Case> {
    let (mut writes, mut watches) = (Vec::new(), Vec::new());
    for (workload, reference) in references {
        for write in &reference.writes {
            writes.extend(Fault::ALL.map(|fault| Case::Write {
                workload: workload.name.to_owned(),
                write: write.clone(),
                fault,
            }));
        }
        let steps = 0..workload.steps.len();
        for (step, watch) in steps.flat_map(|step| WATCHED.map(|watch| (step, watch))) {
            watches.extend(WatchFault::ALL.map(|fault| Case::Watch {
                workload: workload.name.to_owned(),
                step,
                watch: watch.to_owned(),
                fault,
            }));
        }
    }
    writes.extend(watches);
    writes
}

/// Of all cases so many that each workload meets each of its kinds of writes and watches that are ill at each of its steps,
/// and each kind of write and of watch each of its faults.
fn pairwise(all: &[Case]) -> Vec<Case> {
    let mut met = BTreeSet::new();
    let mut chosen = Vec::new();
    // The faults are turned from write to write, so that one case meets two new pairs where it can.
    let turned = |turn: usize| {
        all.iter()
            .enumerate()
            .filter(move |(at, _)| (at / Fault::ALL.len() + at) % Fault::ALL.len() == turn)
    };
    for (_, case) in (0..Fault::ALL.len()).flat_map(turned) {
        let pairs = case.pairs();
        if pairs.iter().any(|pair| !met.contains(pair)) {
            met.extend(pairs);
            chosen.push(case.clone());
        }
    }
    chosen
}

async fn references() -> Vec<(&'static Workload, Reference)> {
    let recorded = stream::iter(WORKLOADS).map(async |workload| (workload, scene::record(workload).await));
    recorded.buffered(RECORDED_AT_ONCE).collect().await
}

fn reference<'a>(references: &'a [(&'static Workload, Reference)], case: &Case) -> &'a (&'static Workload, Reference) {
    let of = |(workload, _): &&(&'static Workload, Reference)| workload.name == case.workload();
    references
        .iter()
        .find(of)
        .unwrap_or_else(|| panic!("there is no workload {:?}", case.workload()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_fault_at_any_write_or_watch_ends_where_the_run_without_it_ends() {
    let references = references().await;
    let all = all(&references);
    let cases = match std::env::var("OBSERVED_FAULTS") {
        Err(_) => pairwise(&all),
        Ok(which) if which == "all" => all,
        Ok(file) => vec![Case::read(&file)],
    };
    let run = cases.iter().map(async |case| {
        let (workload, reference) = reference(&references, case);
        (case, scene::replay(workload, reference, Some(case)).await)
    });
    let ran: Vec<_> = stream::iter(run).buffer_unordered(AT_ONCE).collect().await;
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_header(["WORKLOAD", "WRITES", "CASES", "MET", "FAILED"]);
    for (workload, reference) in &references {
        let of: Vec<_> = ran
            .iter()
            .filter(|(case, _)| case.workload() == workload.name)
            .collect();
        let count =
            |wanted: fn(&Result<bool, String>) -> bool| of.iter().filter(|(_, end)| wanted(end)).count().to_string();
        table.add_row([
            workload.name.to_owned(),
            reference.writes.len().to_string(),
            of.len().to_string(),
            count(|end| *end == Ok(true)),
            count(Result::is_err),
        ]);
    }
    println!("{table}");
    let failed: Vec<String> = ran
        .iter()
        .filter_map(|(case, end)| Some(format!("{}\n{}", case.plan(), end.as_ref().err()?)))
        .collect();
    assert!(
        failed.is_empty(),
        "{} of {} cases failed:\n{}",
        failed.len(),
        ran.len(),
        failed.join("\n")
    );
    // A fault that is not met proves nothing. Some are not: whether the operator or the garbage collector deletes the
    // children of a predecessor depends on who comes first.
    let met = ran.iter().filter(|(_, end)| *end == Ok(true)).count();
    assert!(met * 2 >= ran.len(), "only {met} of {} faults were met", ran.len());
}

/// The twin: operators that are known to be wrong.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_operator_that_gives_twice_never_lets_go_or_writes_the_time_is_noticed() {
    let workload = &WORKLOADS[0];
    let reference = scene::record(workload).await;
    let wrong = ["probes-one-by-one", "never-lets-go", "time-in-status"].map(async |wrong| {
        let mut scene = Scene::of(workload, Some(wrong)).await;
        (wrong, scene.follow(&reference).await)
    });
    for (wrong, end) in futures::future::join_all(wrong).await {
        assert!(end.is_err(), "{wrong} was not noticed");
    }
    assert_eq!(
        scene::replay(workload, &reference, None).await,
        Ok(false),
        "the right one is not blamed"
    );
}

/// What the run without a fault is compared with must not be how everything was before a step.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_a_step_did_is_seen_by_the_next_look() {
    let scene = Scene::new(&WORKLOADS[0]).await;
    let observed = Step::Observe("{targetRef: {name: shop}, probes: {mode: Disabled}}");
    for _ in 0..20 {
        scene.step(observed).await;
        assert!(scene.end().await.contains_key("ObservedService shop"));
        scene.step(Step::Forget).await;
        assert!(!scene.end().await.contains_key("ObservedService shop"));
    }
}

/// The twin of the watches: one that is never heard of again hides a change from an operator that has nothing else to do.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_watch_that_stays_silent_is_noticed() {
    let workload = WORKLOADS.iter().find(|workload| workload.name == "at rest").unwrap();
    let reference = scene::record(workload).await;
    let end = Scene::new(workload)
        .await
        .follow_in_silence(&reference, "deployments")
        .await;
    // It goes on to say what was true before.
    let difference = end.unwrap_err();
    assert!(difference.contains("ObservedService shop.status"), "{difference}");
}

#[test]
fn the_subset_has_every_pair_and_is_much_smaller_than_the_whole() {
    let write = |what: &str, nth| Write {
        what: what.to_owned(),
        nth,
    };
    let reference = |whats: &[&str]| Reference {
        writes: whats.iter().flat_map(|what| [write(what, 1), write(what, 2)]).collect(),
        ends: Vec::new(),
    };
    let references = [
        (
            &WORKLOADS[0],
            reference(&["PATCH a/x", "PATCH configmaps/x", "DELETE configmaps/x"]),
        ),
        (&WORKLOADS[1], reference(&["PATCH a/x", "DELETE configmaps/y"])),
    ];
    let all = all(&references);
    let chosen = pairwise(&all);
    let pairs = |cases: &[Case]| cases.iter().flat_map(Case::pairs).collect::<BTreeSet<_>>();
    assert_eq!(pairs(&chosen), pairs(&all));
    assert!(chosen.len() * 2 < all.len(), "{} of {}", chosen.len(), all.len());
}
