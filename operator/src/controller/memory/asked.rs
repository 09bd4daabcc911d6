//! What the running pods answered over a while, before anything is given to them.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use observed_core::facts::Answer;
use observed_core::gift::ProbeKind;

pub(super) type Answers = BTreeMap<ProbeKind, Vec<Answer>>;
/// UID and template of the workload, and the generation of the spec.
pub(super) type Of = Option<(String, String, i64)>;

/// The answers of the last window.
#[derive(Default)]
pub(super) struct Asked {
    of: Of,
    since: Option<Instant>,
    looks: Vec<(Instant, Answers)>,
}

impl Asked {
    /// Adds what was answered now. The worst of the window for each pod that answered now, and whether the pods have been
    /// asked for less than the window.
    pub(super) fn add(&mut self, of: Of, answers: Answers, window: Duration, now: Instant) -> (Answers, bool) {
        // Nobody is asked while nothing could be given: what was answered before that is too old to count.
        if answers.values().all(Vec::is_empty) {
            *self = Self::default();
            return (answers, false);
        }
        if self.of != of {
            *self = Self { of, ..Self::default() };
        }
        let since = *self.since.get_or_insert(now);
        self.looks.retain(|(when, _)| now.duration_since(*when) < window);
        self.looks.push((now, answers.clone()));
        let worst = answers.into_iter().map(|(kind, list)| {
            let list = list.iter().map(|answer| self.worst(kind, answer));
            (kind, list.collect())
        });
        (worst.collect(), now.duration_since(since) < window)
    }

    fn worst(&self, kind: ProbeKind, now: &Answer) -> Answer {
        let earlier = self.looks.iter().filter_map(|(_, answers)| answers.get(&kind));
        let of_pod = earlier.flatten().filter(|answer| answer.pod == now.pod).cloned();
        of_pod.fold(now.clone(), Answer::or_worse)
    }
}

#[cfg(test)]
mod tests {
    use observed_core::facts::AnswerOutcome;

    use super::*;

    const WINDOW: Duration = Duration::from_secs(30);

    fn of(generation: i64) -> Of {
        Some(("uid".into(), "template".into(), generation))
    }

    fn answers(pod: &str, outcome: AnswerOutcome, millis: u64) -> Answers {
        let answer = Answer {
            pod: pod.into(),
            outcome,
            millis,
            restarts: 0,
        };
        [(ProbeKind::Liveness, vec![answer])].into()
    }

    fn good(millis: u64) -> Answers {
        answers("a", AnswerOutcome::Status(200), millis)
    }

    /// Adds answers, each so many seconds after the beginning; what is told after each.
    fn told(looks: Vec<(u64, Of, Answers)>) -> Vec<(Answers, bool)> {
        let (mut asked, began) = (Asked::default(), Instant::now());
        let add = |(seconds, of, answers)| asked.add(of, answers, WINDOW, began + Duration::from_secs(seconds));
        looks.into_iter().map(add).collect()
    }

    #[test]
    fn good_answers_count_when_they_have_come_for_the_whole_window() {
        let told = told([0, 15, 29, 30].map(|at| (at, of(1), good(at))).to_vec());
        let early: Vec<bool> = told.iter().map(|(_, early)| *early).collect();
        assert_eq!(early, [true, true, true, false]);
        assert_eq!(told[1].0, good(15), "the slowest one is told");
    }

    #[test]
    fn one_bad_answer_counts_until_it_is_older_than_the_window() {
        let bad = answers("a", AnswerOutcome::Status(503), 1);
        let told = told(vec![
            (0, of(1), good(1)),
            (20, of(1), bad.clone()),
            (40, of(1), good(1)),
            (49, of(1), good(1)),
            (50, of(1), good(1)),
        ]);
        let last: Vec<&Answers> = told.iter().map(|(answers, _)| answers).collect();
        assert_eq!(last, [&good(1), &bad, &bad, &bad, &good(1)]);
    }

    #[test]
    fn a_pod_that_is_gone_a_change_and_a_time_without_questions_begin_anew() {
        let bad = answers("gone", AnswerOutcome::Refused, 1);
        let told = told(vec![(0, of(1), bad), (5, of(1), good(1)), (31, of(2), good(1))]);
        assert_eq!(told[1], (good(1), true));
        assert_eq!(told[2], (good(1), true), "the spec has changed");
        let told = told_after_silence();
        assert_eq!(told, [(good(1), true), (Answers::new(), false), (good(1), true)]);
    }

    fn told_after_silence() -> Vec<(Answers, bool)> {
        told(vec![
            (0, of(1), good(1)),
            (10, of(1), Answers::new()),
            (40, of(1), good(1)),
        ])
    }
}
