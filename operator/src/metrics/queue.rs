//! What waits to be worked on and what is under way, told as controller-runtime tells it of its queue.
//!
//! kube keeps its queue to itself. What goes into it and what comes out is seen here: a trigger, the beginning of a
//! reconcile, and when its service is due again.

use std::collections::HashMap;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

use super::CONTROLLER;

/// Namespace and name of a service.
type Key = (String, String);

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct ByName {
    name: &'static str,
}

const NAME: ByName = ByName { name: CONTROLLER };

type Seconds = Gauge<f64, AtomicU64>;

/// A clone is the same queue.
#[derive(Clone)]
pub struct Queue {
    state: Arc<Mutex<State>>,
    adds: Family<ByName, Counter>,
    retries: Family<ByName, Counter>,
    depth: Family<ByName, Gauge>,
    waited: Family<ByName, Histogram, fn() -> Histogram>,
    worked: Family<ByName, Histogram, fn() -> Histogram>,
    unfinished: Family<ByName, Seconds>,
    longest: Family<ByName, Seconds>,
}

#[derive(Default)]
struct State {
    /// Triggered, and since when.
    waiting: HashMap<Key, Instant>,
    /// When it is looked at again by itself.
    due: HashMap<Key, Instant>,
    /// Under way, and since when.
    working: HashMap<Key, Instant>,
}

impl State {
    /// Since when a service waits, if it does.
    fn waits_since(&self, key: &Key, now: Instant) -> Option<Instant> {
        let due = self.due.get(key).copied().filter(|due| *due <= now);
        self.waiting.get(key).copied().into_iter().chain(due).min()
    }

    fn depth(&self, now: Instant) -> usize {
        let due = self.due.iter().filter(|(_, due)| **due <= now);
        let due = due.filter(|(key, _)| !self.waiting.contains_key(*key));
        self.waiting.len() + due.count()
    }
}

impl Queue {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let buckets: fn() -> Histogram = || Histogram::new(exponential_buckets(0.001, 4.0, 11));
        let queue = Self {
            state: Arc::default(),
            adds: Family::default(),
            retries: Family::default(),
            depth: Family::default(),
            waited: Family::new_with_constructor(buckets),
            worked: Family::new_with_constructor(buckets),
            unfinished: Family::default(),
            longest: Family::default(),
        };
        registry.register(
            "workqueue_adds",
            "Services that came into the queue",
            Family::clone(&queue.adds),
        );
        registry.register(
            "workqueue_retries",
            "Services that came into the queue again because of an error",
            Family::clone(&queue.retries),
        );
        registry.register(
            "workqueue_depth",
            "Services that wait to be worked on",
            Family::clone(&queue.depth),
        );
        let unit = || Unit::Seconds;
        registry.register_with_unit(
            "workqueue_queue_duration",
            "Time that a service waited",
            unit(),
            Family::clone(&queue.waited),
        );
        registry.register_with_unit(
            "workqueue_work_duration",
            "Time that the work on a service took",
            unit(),
            Family::clone(&queue.worked),
        );
        registry.register_with_unit(
            "workqueue_unfinished_work",
            "Time that everything under way has taken so far, in sum",
            unit(),
            Family::clone(&queue.unfinished),
        );
        registry.register_with_unit(
            "workqueue_longest_running_processor",
            "Time that what is under way for longest has taken so far",
            unit(),
            Family::clone(&queue.longest),
        );
        // They exist from the start, so that the first increase is seen as one.
        drop((queue.adds.get_or_create(&NAME), queue.retries.get_or_create(&NAME)));
        drop((queue.waited.get_or_create(&NAME), queue.worked.get_or_create(&NAME)));
        queue
    }

    /// Something makes the controller look at a service.
    pub fn triggered(&self, namespace: &str, name: &str) {
        let key = (namespace.to_owned(), name.to_owned());
        let mut state = self.state();
        state.waiting.entry(key).or_insert_with(|| {
            self.adds.get_or_create(&NAME).inc();
            Instant::now()
        });
    }

    /// A service is looked at again after this time, by itself.
    pub fn due(&self, key: &Key, after: Duration) {
        self.state().due.insert(key.clone(), Instant::now() + after);
    }

    /// The same, because of an error.
    pub fn retried(&self, key: &Key, after: Duration) {
        self.retries.get_or_create(&NAME).inc();
        self.due(key, after);
    }

    /// A service is gone.
    pub fn forget(&self, key: &Key) {
        let mut state = self.state();
        state.waiting.remove(key);
        state.due.remove(key);
    }

    /// The work on a service begins. It ends with the guard.
    pub fn begin(&self, key: &Key) -> Working {
        let now = Instant::now();
        let mut state = self.state();
        if let Some(since) = state.waits_since(key, now) {
            self.waited
                .get_or_create(&NAME)
                .observe(now.duration_since(since).as_secs_f64());
        }
        if state.waiting.remove(key).is_none() {
            self.adds.get_or_create(&NAME).inc();
        }
        state.due.remove(key);
        state.working.insert(key.clone(), now);
        Working {
            queue: self.clone(),
            key: key.clone(),
        }
    }

    /// Brings the gauges to what is so now.
    pub(super) fn look(&self) {
        let (state, now) = (self.state(), Instant::now());
        let depth = state.depth(now).try_into().unwrap_or(i64::MAX);
        self.depth.get_or_create(&NAME).set(depth);
        let taken = state
            .working
            .values()
            .map(|since| now.duration_since(*since).as_secs_f64());
        let (sum, longest) = taken.fold((0.0, 0.0), |(sum, longest), taken| {
            (sum + taken, f64::max(longest, taken))
        });
        self.unfinished.get_or_create(&NAME).set(sum);
        self.longest.get_or_create(&NAME).set(longest);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A service is worked on.
pub struct Working {
    queue: Queue,
    key: Key,
}

impl Drop for Working {
    fn drop(&mut self) {
        let since = self.queue.state().working.remove(&self.key);
        if let Some(since) = since {
            self.queue
                .worked
                .get_or_create(&NAME)
                .observe(since.elapsed().as_secs_f64());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> Key {
        ("prod".to_owned(), "api".to_owned())
    }

    /// What the page says of these metrics, after some work.
    fn page(work: impl FnOnce(&Queue)) -> impl Fn(&str) -> String {
        let mut registry = Registry::default();
        let queue = Queue::register(&mut registry);
        work(&queue);
        queue.look();
        let mut page = String::new();
        prometheus_client::encoding::text::encode(&mut page, &registry).unwrap();
        move |name| {
            let line = format!("{name}{{name=\"observedservice\"}} ");
            let found = page.lines().find_map(|text| text.strip_prefix(&line));
            found.unwrap_or_else(|| panic!("{name}: {page}")).to_owned()
        }
    }

    #[test]
    fn a_trigger_of_what_waits_already_is_no_other_one() {
        let seen = page(|queue| {
            queue.triggered("prod", "api");
            queue.triggered("prod", "api");
            queue.triggered("prod", "other");
        });
        assert_eq!(
            (seen("workqueue_depth"), seen("workqueue_adds_total")),
            ("2".into(), "2".into())
        );
        assert_eq!(seen("workqueue_queue_duration_seconds_count"), "0");
    }

    #[test]
    fn what_is_begun_does_not_wait_any_more_and_what_has_ended_was_work() {
        let seen = page(|queue| {
            queue.triggered("prod", "api");
            let working = queue.begin(&key());
            drop(working);
        });
        for (name, value) in [
            ("workqueue_depth", "0"),
            ("workqueue_adds_total", "1"),
            ("workqueue_queue_duration_seconds_count", "1"),
            ("workqueue_work_duration_seconds_count", "1"),
            ("workqueue_longest_running_processor_seconds", "0.0"),
        ] {
            assert_eq!(seen(name), value, "{name}");
        }
    }

    #[test]
    fn what_is_under_way_takes_longer_and_longer() {
        let mut registry = Registry::default();
        let queue = Queue::register(&mut registry);
        let _working = queue.begin(&key());
        queue.look();
        let longest = || queue.longest.get_or_create(&NAME).get();
        let before = longest();
        queue.look();
        assert!(longest() > before, "{} {before}", longest());
    }

    #[test]
    fn what_is_due_waits_only_when_its_time_has_come_and_an_error_is_a_retry() {
        let later = page(|queue| queue.retried(&key(), Duration::from_secs(60)));
        assert_eq!(
            (later("workqueue_depth"), later("workqueue_retries_total")),
            ("0".into(), "1".into())
        );
        let now = page(|queue| queue.due(&key(), Duration::ZERO));
        assert_eq!(
            (now("workqueue_depth"), now("workqueue_retries_total")),
            ("1".into(), "0".into())
        );
        let gone = page(|queue| {
            queue.due(&key(), Duration::ZERO);
            queue.triggered("prod", "api");
            queue.forget(&key());
        });
        assert_eq!(gone("workqueue_depth"), "0");
    }
}
