//! Two operators, one writer: whatever happens to the one that holds the Lease.
//!
//! Each replica goes to the API server by a gateway of its own that notes every write. While the services are changed
//! without an end, so that whoever works has something to write at every moment, one is killed, stopped, frozen or cut off,
//! or its Lease is deleted. No write may come from who does not hold the Lease.

mod gateway;

use std::time::{Duration, Instant};

use k8s_openapi::api::coordination::v1::Lease;
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams};
use nix::sys::signal::Signal;
use observed_e2e::wait;
use serde_json::json;
use tokio::task::JoinHandle;

use super::operator::{MONITOR, Operator, SOON, Stage};
use gateway::{Deed, Gateway, Journal, holds, releases, writes};

/// How long a Lease of these tests lasts.
const LASTS: Duration = Duration::from_secs(6);

/// How a replica takes its Lease.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Belief {
    /// For as long as it says.
    Right,
    /// For ten minutes, whatever it says: the operator that does not end when it should.
    TooLong,
}

struct Scene {
    stage: Stage,
    journal: Journal,
    changes: JoinHandle<()>,
    leader: (Gateway, Operator),
}

impl Drop for Scene {
    fn drop(&mut self) {
        self.changes.abort();
    }
}

async fn replica(stage: &Stage, journal: &Journal, who: char, belief: Belief) -> (Gateway, Operator) {
    let (told, believed) = match belief {
        Belief::Right => (None, "6s"),
        Belief::TooLong => (Some(LASTS.as_secs()), "10m"),
    };
    let gateway = Gateway::open(stage, who, journal, told).await;
    let operator = Operator::replica(stage, &gateway.kubeconfig, believed).await;
    (gateway, operator)
}

impl Scene {
    /// The replica `a` leads, and there is always something to write.
    async fn new(belief: Belief) -> Self {
        let (stage, journal) = (Stage::shared("replicas").await, Journal::default());
        stage.free_lease().await;
        let leader = replica(&stage, &journal, 'a', belief).await;
        stage.workload("api").await;
        stage.observe("api", "api").await;
        stage.appears(MONITOR, "api").await;
        let monitors = stage.objects(MONITOR);
        let changes = tokio::spawn(async move {
            let mut ticks = tokio::time::interval(Duration::from_millis(50));
            for limit in 1.. {
                ticks.tick().await;
                let change = Patch::Merge(json!({"spec": {"sampleLimit": limit}}));
                // It is written against all the time.
                let _ = monitors.patch("api", &PatchParams::default(), &change).await;
            }
        });
        let scene = Self {
            stage,
            journal,
            changes,
            leader,
        };
        scene.write('a', Instant::now()).await;
        scene
    }

    async fn replica(&self, who: char) -> Operator {
        replica(&self.stage, &self.journal, who, Belief::Right).await.1
    }

    /// Waits until a replica writes, and says when it did.
    async fn write(&self, who: char, after: Instant) -> Instant {
        self.does(who, after, writes).await
    }

    async fn does(&self, who: char, after: Instant, kind: fn(&Deed) -> bool) -> Instant {
        let look = || std::future::ready(self.journal.first(who, after, kind));
        wait::until(SOON, &format!("a deed of {who}"), look).await.unwrap()
    }

    fn leases(&self) -> Api<Lease> {
        Api::namespaced(self.stage.client.clone(), &self.stage.namespace)
    }

    fn one_writer(&self) -> Result<(), String> {
        self.journal.second_writer().map_or(Ok(()), Err)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn while_one_works_the_other_is_ready_and_when_that_is_killed_takes_over() {
    let scene = Scene::new(Belief::Right).await;
    let (began, other) = (Instant::now(), scene.replica('b').await);
    // For longer than a Lease lasts it only waits.
    while began.elapsed() < LASTS + Duration::from_secs(1) {
        scene.write('a', Instant::now()).await;
    }
    assert_eq!(other.counter("leader_election_master_status").await, 0.0);
    assert_eq!(scene.leader.1.counter("leader_election_master_status").await, 1.0);
    assert_eq!(scene.journal.first('b', began, |_| true), None);

    let killed = Instant::now();
    scene.leader.1.signal(Signal::SIGKILL);
    let taken = scene.does('b', killed, holds).await;
    scene.write('b', killed).await;
    assert_eq!(other.counter("leader_election_master_status").await, 1.0);
    scene.one_writer().unwrap();
    // Not before the Lease is over. The last renewal was up to its interval, and the noise of this machine, earlier.
    assert!(taken - killed > LASTS * 2 / 3, "{:?}", taken - killed);
    assert!(taken - killed < LASTS * 2, "{:?}", taken - killed);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_that_is_told_to_end_hands_over_within_a_second() {
    let mut scene = Scene::new(Belief::Right).await;
    let other = scene.replica('b').await;
    let told = Instant::now();
    scene.leader.1.signal(Signal::SIGTERM);
    let taken = scene.does('b', told, holds).await;
    scene.write('b', told).await;
    assert!(scene.leader.1.ends().await.success());
    scene.one_writer().unwrap();
    println!("handed over in {:?}", taken - told);
    assert!(taken - told < Duration::from_secs(1), "{:?}", taken - told);
    drop(other);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_that_waits_for_an_answer_for_ever_hands_over_all_the_same() {
    let mut scene = Scene::new(Belief::Right).await;
    let _other = scene.replica('b').await;
    scene.leader.0.stall();
    let stalled = Instant::now();
    // It is in the middle of its work, and still holds the Lease.
    scene.does('a', stalled, writes).await;
    scene.does('a', Instant::now(), holds).await;
    let told = Instant::now();
    scene.leader.1.signal(Signal::SIGTERM);
    scene.does('a', told, releases).await;
    scene.write('b', told).await;
    assert!(scene.leader.1.ends().await.success());
    scene.one_writer().unwrap();
}

/// Freezes the leader for longer than its Lease lasts, thaws it, and says whether it ended.
async fn frozen(belief: Belief) -> (Scene, Option<i32>) {
    let mut scene = Scene::new(belief).await;
    let _other = scene.replica('b').await;
    let frozen = Instant::now();
    scene.leader.1.signal(Signal::SIGSTOP);
    scene.write('b', frozen).await;
    let thawed = Instant::now();
    scene.leader.1.signal(Signal::SIGCONT);
    let ended = if belief == Belief::Right {
        scene.leader.1.ends().await.code()
    } else {
        scene.write('a', thawed).await;
        None
    };
    scene.write('b', thawed).await;
    (scene, ended)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_that_was_frozen_ends_without_another_write_and_one_that_goes_on_is_noticed() {
    let (right, wrong) = tokio::join!(frozen(Belief::Right), frozen(Belief::TooLong));
    right.0.one_writer().unwrap();
    assert_eq!(right.1, Some(1));
    let log = right.0.leader.1.log();
    assert!(log.contains("the Lease could not be renewed in time"), "{log}");
    wrong.0.one_writer().unwrap_err();
}

/// Cuts the leader off from the API server.
async fn cut_off(belief: Belief) -> (Scene, Option<i32>) {
    let mut scene = Scene::new(belief).await;
    let _other = scene.replica('b').await;
    let cut = Instant::now();
    scene.leader.0.cut();
    let ended = if belief == Belief::Right {
        scene.leader.1.ends().await.code()
    } else {
        let taken = scene.write('b', cut).await;
        scene.write('a', taken).await;
        None
    };
    scene.write('b', cut).await;
    (scene, ended)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_that_is_cut_off_ends_before_the_other_begins_and_one_that_goes_on_is_noticed() {
    let (right, wrong) = tokio::join!(cut_off(Belief::Right), cut_off(Belief::TooLong));
    right.0.one_writer().unwrap();
    assert_eq!(right.1, Some(1));
    wrong.0.one_writer().unwrap_err();
}

/// Deletes the Lease, and starts another replica that has never seen it.
async fn deleted(belief: Belief) -> Scene {
    let scene = Scene::new(belief).await;
    let gone = Instant::now();
    scene
        .leases()
        .delete("observed", &DeleteParams::default())
        .await
        .unwrap();
    let _other = scene.replica('b').await;
    let look = async || scene.leases().get("observed").await;
    wait::until(SOON, "the Lease to be made again", look).await.unwrap();
    // Whoever it is, by now it is only one.
    let later = gone + LASTS;
    let look = || {
        std::future::ready(
            ['a', 'b']
                .into_iter()
                .any(|who| scene.journal.first(who, later, writes).is_some()),
        )
    };
    wait::until(SOON, "a write afterwards", look).await.unwrap();
    scene
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_lease_that_is_deleted_makes_no_second_writer_and_one_that_looks_too_seldom_is_noticed() {
    let (right, wrong) = tokio::join!(deleted(Belief::Right), deleted(Belief::TooLong));
    right.one_writer().unwrap();
    wrong.one_writer().unwrap_err();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_leader_makes_a_deleted_lease_again_before_who_waits_may() {
    let scene = Scene::new(Belief::Right).await;
    let other = scene.replica('b').await;
    let holder = async || {
        let lease = scene
            .leases()
            .get("observed")
            .await
            .map_err(|error| error.to_string())?;
        Ok::<_, String>(lease.spec.unwrap_or_default().holder_identity)
    };
    let before = holder().await.unwrap();
    let gone = Instant::now();
    scene
        .leases()
        .delete("observed", &DeleteParams::default())
        .await
        .unwrap();
    assert_eq!(wait::until(SOON, "the Lease", holder).await.unwrap(), before);
    scene.does('a', gone, holds).await;
    scene.write('a', gone).await;
    assert_eq!(scene.journal.first('b', gone, |_| true), None);
    scene.one_writer().unwrap();
    drop(other);
}
