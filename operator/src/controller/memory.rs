//! What the controller remembers of each service. Losing it (a restart) costs patience, never correctness.

mod asked;
mod lived;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use observed_core::facts::{Answer, Facts};
use observed_core::gift::{Gift, ProbeKind};
use observed_core::status::was_contested;
use observed_crds::v1alpha1::{LivenessSign, ObservedServiceStatus};

use super::changes::Ticket;
use crate::apply::Settled;
use crate::gather::Own;
use crate::preflight::Pods;
use asked::Asked;
use lived::Lived;

/// First and longest pause after a failure.
const BACKOFF: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(300));
/// How long something new is looked at every few seconds: prometheus-operator and Prometheus need up to two minutes.
const HURRY: Duration = Duration::from_secs(180);
/// Time for each service that is looked at often: a look at one that has changed asks the API server some ten times.
const EACH: Duration = Duration::from_millis(100);
/// How long what was read is kept at most, though nothing is told of a change.
const KEPT: Duration = Duration::from_secs(1800);
/// How long what a metrics page says counts as new: a service that is looked at every few seconds is not asked as often.
const PAGE_LASTS: Duration = Duration::from_secs(15);
/// Gifts that vanish within this time are a contest. A rollout lies between two of them, and may be slow.
const CONTEST: Duration = Duration::from_secs(3600);
/// So many of them.
const CONTESTED_AT: usize = 2;

/// Namespace and name of a service.
pub(super) type Key = (String, String);

/// What is remembered of every service.
#[derive(Default)]
pub(super) struct Memory {
    services: Mutex<HashMap<Key, Service>>,
}

#[derive(Default)]
struct Service {
    uid: String,
    generation: i64,
    failures: u32,
    last_error: Option<String>,
    hurry_until: Option<Instant>,
    page_read: Option<Instant>,
    contest: Contest,
    asked: Asked,
    lived: Lived,
    kept: Option<(Ticket, Kept)>,
}

/// What was read of a service at a look after which there was nothing to do.
#[derive(Clone)]
pub(super) struct Kept {
    /// When it is read anew, though nothing is told of a change.
    pub(super) until: Instant,
    /// What gathering read.
    pub(super) own: Own,
    /// The pods, if they were read and were all well.
    pub(super) pods: Option<Pods>,
    /// The children.
    pub(super) children: Settled,
}

/// What the running pods answered so far.
pub(super) struct Summary {
    /// The worst answers of the window, the last ones among them.
    pub(super) answers: BTreeMap<ProbeKind, Vec<Answer>>,
    /// The pods have been asked for less than the window.
    pub(super) early: bool,
    /// The sign that their liveness depends on something else.
    pub(super) sign: Option<LivenessSign>,
}

impl Kept {
    /// Until when something is kept that is read now. Not everything is read anew at the same time.
    pub(super) fn until(now: Instant) -> Instant {
        now + spread(KEPT, 0.5)
    }
}

impl Service {
    fn hurries(&self, now: Instant) -> bool {
        self.hurry_until.is_some_and(|until| now < until)
    }
}

impl Memory {
    /// Begins a reconcile: a service that is new, or changed, is looked at often for a while.
    pub(super) fn begin(&self, key: &Key, uid: &str, generation: i64, now: Instant) {
        let mut services = self.lock();
        let service = services.entry(key.clone()).or_default();
        if service.uid != uid {
            *service = Service {
                uid: uid.to_owned(),
                ..Service::default()
            };
        }
        if service.generation != generation {
            service.generation = generation;
            service.hurry_until = Some(now + HURRY);
            service.page_read = None;
            service.kept = None;
        }
    }

    /// What was read, if nothing has changed since.
    pub(super) fn kept(&self, key: &Key, ticket: Ticket, now: Instant) -> Option<Kept> {
        let services = self.lock();
        let (of, kept) = services.get(key)?.kept.as_ref()?;
        (*of == ticket && now < kept.until).then(|| kept.clone())
    }

    /// Keeps what was read, or forgets what was read before.
    pub(super) fn keep(&self, key: &Key, kept: Option<(Ticket, Kept)>) {
        if let Some(service) = self.lock().get_mut(key) {
            service.kept = kept;
        }
    }

    /// Whether the metrics page is to be asked for again.
    pub(super) fn page_is_due(&self, key: &Key, now: Instant) -> bool {
        let services = self.lock();
        let read = services.get(key).and_then(|service| service.page_read);
        read.is_none_or(|read| now.duration_since(read) >= PAGE_LASTS)
    }

    /// A metrics page was read, and what follows from it is in the status.
    pub(super) fn page_was_read(&self, key: &Key, now: Instant) {
        if let Some(service) = self.lock().get_mut(key) {
            service.page_read = Some(now);
        }
    }

    /// Something was written: it is looked at often for a while.
    pub(super) fn hurry(&self, key: &Key, now: Instant) {
        if let Some(service) = self.lock().get_mut(key) {
            service.hurry_until = Some(now + HURRY);
        }
    }

    /// Whether the service is looked at often.
    pub(super) fn hurries(&self, key: &Key, now: Instant) -> bool {
        self.lock().get(key).is_some_and(|service| service.hurries(now))
    }

    /// How far apart two looks at one service are at least, so that all that are looked at often leave time for the others:
    /// kube's queue has no order, and one that never empties may never come to a service that is new.
    pub(super) fn crowd(&self, now: Instant) -> Duration {
        let crowd = self.lock().values().filter(|service| service.hurries(now)).count();
        EACH.saturating_mul(u32::try_from(crowd).unwrap_or(u32::MAX))
    }

    /// The reconcile succeeded.
    pub(super) fn succeeded(&self, key: &Key) {
        if let Some(service) = self.lock().get_mut(key) {
            service.failures = 0;
            service.last_error = None;
        }
    }

    /// The reconcile failed. Whether this error is news.
    pub(super) fn failed(&self, key: &Key, error: String) -> bool {
        let mut services = self.lock();
        let service = services.entry(key.clone()).or_default();
        service.failures = service.failures.saturating_add(1);
        service.last_error.replace(error.clone()) != Some(error)
    }

    /// Failures in a row so far.
    pub(super) fn failures(&self, key: &Key) -> u32 {
        self.lock().get(key).map_or(0, |service| service.failures)
    }

    /// How long to wait after the failures so far: twice as long each time, and never in step with other services.
    pub(super) fn pause(&self, key: &Key) -> Duration {
        let failures = self.failures(key).max(1);
        let (first, longest) = BACKOFF;
        let pause = first.saturating_mul(1 << (failures - 1).min(16)).min(longest);
        spread(pause, 0.5)
    }

    /// The service is gone.
    pub(super) fn forget(&self, key: &Key) {
        self.lock().remove(key);
    }

    /// A gift was written: from now on it is missed if it is gone, however soon.
    pub(super) fn gave(&self, key: &Key, gift: &Gift) {
        if let Some(service) = self.lock().get_mut(key) {
            let kinds = gift.gifted.probes.keys().copied().collect();
            service.contest.given = Some((gift.target_uid.clone(), gift.container.clone(), kinds));
        }
    }

    /// A gift was taken back by Observed itself: that it is gone is nobody's doing.
    pub(super) fn took_back(&self, key: &Key) {
        if let Some(service) = self.lock().get_mut(key) {
            service.contest.given = None;
        }
    }

    /// What all answers so far mean together.
    pub(super) fn asked(
        &self,
        key: &Key,
        facts: &Facts,
        answers: BTreeMap<ProbeKind, Vec<Answer>>,
        window: Duration,
        now: Instant,
    ) -> Summary {
        let mut services = self.lock();
        let service = services.entry(key.clone()).or_default();
        let target = facts.target.as_ref();
        let of = target.map(|target| (target.uid.clone(), target.template.clone(), service.generation));
        let sign = service.lived.add(&of, &answers);
        let (answers, early) = service.asked.add(of, answers, window, now);
        Summary { answers, early, sign }
    }

    /// Who takes the gift away again and again, if somebody does.
    pub(super) fn contested(
        &self,
        key: &Key,
        facts: &Facts,
        previous: Option<&ObservedServiceStatus>,
        now: Instant,
    ) -> Option<String> {
        let mut services = self.lock();
        let service = services.get_mut(key)?;
        let generation = service.generation;
        service.contest.look(facts, generation, previous, now)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Service>> {
        self.services.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A duration, shorter or longer by up to the given part of it.
pub(super) fn spread(duration: Duration, part: f64) -> Duration {
    // A fresh RandomState is random: a whole crate is not worth it here.
    let random = RandomState::new().hash_one(()) as f64 / u64::MAX as f64;
    duration.mul_f64(1.0 - part + 2.0 * part * random)
}

/// Whether somebody takes a gift away again and again. It stays so until the spec changes, over a restart too: giving
/// once more would only roll the workload once more.
#[derive(Default)]
struct Contest {
    /// What was seen in place: UID of the workload, container, probes.
    given: Option<(String, String, BTreeSet<ProbeKind>)>,
    vanished: Vec<Instant>,
    lost_at_generation: Option<i64>,
}

impl Contest {
    fn look(
        &mut self,
        facts: &Facts,
        generation: i64,
        previous: Option<&ObservedServiceStatus>,
        now: Instant,
    ) -> Option<String> {
        let target = facts.target.as_ref()?;
        if was_contested(previous, generation) {
            self.lost_at_generation = Some(generation);
        }
        if let Some((uid, container, probes)) = self.given.take_if(|(uid, ..)| *uid == target.uid)
            && let Some(now_there) = target.containers.iter().find(|c| c.name == container)
        {
            if probes.iter().any(|kind| !now_there.probes.contains_key(kind)) {
                self.vanished.push(now);
            } else {
                self.given = Some((uid, container, probes));
            }
        }
        self.vanished.retain(|when| now.duration_since(*when) < CONTEST);
        if self.vanished.len() >= CONTESTED_AT {
            self.lost_at_generation = Some(generation);
            self.vanished.clear();
        }
        if let Some(seen) = in_place(facts) {
            self.given = Some(seen);
        }
        (self.lost_at_generation == Some(generation))
            .then(|| target.last_writer.clone().unwrap_or_else(|| "somebody".to_owned()))
    }
}

/// The gift of this service that is in place now.
fn in_place(facts: &Facts) -> Option<(String, String, BTreeSet<ProbeKind>)> {
    let target = facts.target.as_ref()?;
    let gifted = target.gifted.as_ref().filter(|gifted| gifted.owner_uid == facts.uid)?;
    let containers = target
        .containers
        .iter()
        .filter(|container| container.name == gifted.container);
    containers.into_iter().find_map(|container| {
        let still = gifted.probes.iter().filter(|(kind, hash)| {
            container
                .probes
                .get(kind)
                .is_some_and(|live| live.shape.hash() == **hash && live.owned_by.is_empty())
        });
        let still: BTreeSet<ProbeKind> = still.map(|(kind, _)| *kind).collect();
        (!still.is_empty()).then(|| (target.uid.clone(), container.name.clone(), still))
    })
}

#[cfg(test)]
mod tests;
