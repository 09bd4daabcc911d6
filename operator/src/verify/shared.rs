//! One answer for all services that ask the same within a short time. Who asks while it is being fetched waits for it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use tokio::sync::OnceCell;

use super::prometheus::{Error, locked};

/// How long an answer is used at least.
pub(super) const KEPT: Duration = Duration::from_secs(5);
/// And at most, however costly it was.
const LONGEST: Duration = Duration::from_secs(60);
/// A costly answer is used for so many times of what it took, so that whoever is asked has other things to do.
const REST: u32 = 20;

/// What was answered to each question.
pub(super) struct Shared<T>(Mutex<BTreeMap<String, Arc<Slot<T>>>>);

struct Slot<T> {
    asked: Instant,
    took: OnceLock<Duration>,
    answer: OnceCell<Result<Arc<T>, Error>>,
}

impl<T> Slot<T> {
    fn is_used(&self) -> bool {
        let took = self.took.get().copied();
        // While nobody knows how long it takes, it is being asked.
        took.is_none_or(|took| self.asked.elapsed() < took.saturating_mul(REST).clamp(KEPT, LONGEST))
    }
}

impl<T> Default for Shared<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T> Shared<T> {
    /// The answer to the question, asked for if nobody did so lately.
    pub(super) async fn get(
        &self,
        question: String,
        ask: impl Future<Output = Result<T, Error>>,
    ) -> Result<Arc<T>, Error> {
        let slot = {
            let mut kept = locked(&self.0);
            // Pods come and go, and their addresses with them.
            kept.retain(|_, slot| slot.is_used());
            let new = || {
                Arc::new(Slot {
                    asked: Instant::now(),
                    took: OnceLock::new(),
                    answer: OnceCell::new(),
                })
            };
            Arc::clone(kept.entry(question).or_insert_with(new))
        };
        let asked = async {
            let answer = ask.await.map(Arc::new);
            slot.took.get_or_init(|| slot.asked.elapsed());
            answer
        };
        slot.answer.get_or_init(|| asked).await.clone()
    }
}
