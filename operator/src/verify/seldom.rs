//! Answers to questions that cost more and change less: asked every few minutes, once for all services. The last good one
//! counts until there is a newer one, so that a question that fails now and then changes no verdict.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex as StdMutex};
use std::time::{Duration, Instant};

use tokio::sync::Mutex;

use super::prometheus::{Error, locked};

/// Time between two times of one question.
pub(super) const EVERY: Duration = Duration::from_secs(300);
/// How long an answer counts, and a question is remembered, at most.
const FORGOTTEN: Duration = Duration::from_secs(3600);

/// An answer, and when it was asked for.
pub(super) struct Answer<T> {
    pub(super) asked: Instant,
    pub(super) value: T,
}

/// What was answered to each question.
pub(super) struct Seldom<T> {
    every: Duration,
    slots: StdMutex<Slots<T>>,
}

/// By question: when somebody last wanted to know, and what is known.
type Slots<T> = BTreeMap<String, (Instant, Arc<Slot<T>>)>;

/// When it was asked last, and the last good answer. Who asks while it is being asked waits for it.
type Slot<T> = Mutex<(Option<Instant>, Option<Arc<Answer<T>>>)>;

impl<T> Seldom<T> {
    pub(super) fn new(every: Duration) -> Self {
        Self {
            every,
            slots: StdMutex::default(),
        }
    }

    /// The answer to the question, asked for if nobody did so for a while. None: there was none for long.
    pub(super) async fn get(
        &self,
        question: String,
        ask: impl Future<Output = Result<T, Error>>,
    ) -> Option<Arc<Answer<T>>> {
        let slot = {
            let mut slots = locked(&self.slots);
            slots.retain(|_, (used, _)| used.elapsed() < FORGOTTEN);
            let new = || (Instant::now(), Arc::new(Mutex::new((None, None))));
            let (used, slot) = slots.entry(question).or_insert_with(new);
            *used = Instant::now();
            Arc::clone(slot)
        };
        let mut slot = slot.lock().await;
        let (last, answer) = &mut *slot;
        if last.is_none_or(|last| last.elapsed() >= self.every) {
            let asked = Instant::now();
            *last = Some(asked);
            if let Ok(value) = ask.await {
                *answer = Some(Arc::new(Answer { asked, value }));
            }
        }
        answer.clone().filter(|answer| answer.asked.elapsed() < FORGOTTEN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is known after the question was answered with 1 and then not at all, or with 2.
    async fn known(every: Duration, second: Option<u8>) -> Option<u8> {
        let seldom = Seldom::new(every);
        let answer = |value: Option<u8>| async move { value.ok_or_else(|| Error::TooLarge { url: "x".into() }) };
        let first = seldom.get("q".into(), answer(Some(1))).await;
        assert_eq!(first.map(|first| first.value), Some(1));
        seldom.get("q".into(), answer(second)).await.map(|answer| answer.value)
    }

    #[tokio::test]
    async fn a_question_is_asked_again_only_after_a_while_and_a_failure_takes_no_answer_away() {
        assert_eq!(known(EVERY, Some(2)).await, Some(1), "it was not asked");
        assert_eq!(known(Duration::ZERO, Some(2)).await, Some(2));
        assert_eq!(known(Duration::ZERO, None).await, Some(1));
    }

    #[tokio::test]
    async fn a_question_that_was_never_answered_has_no_answer_and_others_are_not_touched() {
        let seldom = Seldom::new(EVERY);
        let failed = async { Err(Error::TooLarge { url: "x".into() }) };
        assert!(seldom.get("q".into(), failed).await.is_none());
        assert!(seldom.get("q".into(), async { Ok(1) }).await.is_none(), "not so soon");
        assert!(seldom.get("r".into(), async { Ok(1) }).await.is_some());
    }
}
