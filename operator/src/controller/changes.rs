//! Whether something of a service may have changed since it was looked at, as the watches tell.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::memory::Key;

/// How long a watch is doubted after an error: the longest pause before kube starts it again, and a list.
const DOUBTED: Duration = Duration::from_secs(90);

/// The state of what is watched of a service. The same one: nothing has changed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Ticket(u64);

/// What the watches told. A clone is the same.
#[derive(Clone, Default)]
pub(super) struct Changes(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    of: HashMap<Key, u64>,
    /// Of no service alone.
    any: u64,
    /// Watches that do not know yet what there is.
    listing: BTreeSet<&'static str>,
    doubted_until: Option<Instant>,
}

impl Changes {
    /// Something of this service.
    pub(super) fn of(&self, key: Key) {
        *self.lock().of.entry(key).or_default() += 1;
    }

    /// Something of any service.
    pub(super) fn of_any(&self) {
        self.lock().any += 1;
    }

    /// A watch begins by asking what there is: what it missed may have been anything.
    pub(super) fn list(&self, watch: &'static str) {
        self.lock().listing.insert(watch);
    }

    /// It knows what there is. What is gone since it broke off it does not tell.
    pub(super) fn listed(&self, watch: &'static str) {
        let mut state = self.lock();
        state.listing.remove(watch);
        state.any += 1;
    }

    /// A watch broke off, or could not be started.
    pub(super) fn broke(&self, now: Instant) {
        let mut state = self.lock();
        state.any += 1;
        state.doubted_until = Some(now + DOUBTED);
    }

    /// The state of now, before anything is read. None: a change may go unheard.
    pub(super) fn ticket(&self, key: &Key, now: Instant) -> Option<Ticket> {
        let state = self.lock();
        let doubted = state.doubted_until.is_some_and(|until| now < until);
        let of = state.of.get(key).copied().unwrap_or_default();
        // Both only grow, so that the sum is another one after each change.
        (state.listing.is_empty() && !doubted).then(|| Ticket(state.any + of))
    }

    /// The service is gone, and with it what was kept of it.
    pub(super) fn forget(&self, key: &Key) {
        self.lock().of.remove(key);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> Key {
        ("prod".into(), name.into())
    }

    /// Whether a look at `api` finds what was read before this still true.
    fn still(told: impl FnOnce(&Changes)) -> bool {
        let (changes, now) = (Changes::default(), Instant::now());
        changes.of(key("api"));
        let before = changes.ticket(&key("api"), now);
        assert!(before.is_some());
        told(&changes);
        changes.ticket(&key("api"), now) == before
    }

    #[test]
    fn what_is_told_of_a_service_or_of_all_is_a_change_of_it_and_what_is_told_of_another_one_is_none() {
        assert!(still(|_| {}));
        assert!(still(|changes| changes.of(key("other"))));
        assert!(!still(|changes| changes.of(key("api"))));
        assert!(!still(Changes::of_any));
    }

    #[test]
    fn while_a_watch_lists_nothing_is_sure_and_afterwards_everything_may_have_changed() {
        let (changes, now) = (Changes::default(), Instant::now());
        let before = changes.ticket(&key("api"), now);
        changes.list("services");
        changes.list("deployments");
        changes.listed("services");
        assert_eq!(changes.ticket(&key("api"), now), None);
        changes.listed("deployments");
        let after = changes.ticket(&key("api"), now);
        assert!(after.is_some() && after != before);
    }

    #[test]
    fn a_watch_that_broke_is_doubted_until_it_must_have_begun_again() {
        let (changes, now) = (Changes::default(), Instant::now());
        let before = changes.ticket(&key("api"), now);
        changes.broke(now);
        assert_eq!(changes.ticket(&key("api"), now + DOUBTED / 2), None);
        let after = changes.ticket(&key("api"), now + DOUBTED);
        assert!(after.is_some() && after != before);
    }
}
