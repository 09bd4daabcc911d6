//! How the liveness of the running processes went, over more than one look: whether it depends on something else.

use std::collections::BTreeMap;

use observed_core::facts::Answer;
use observed_core::gift::ProbeKind;
use observed_crds::v1alpha1::LivenessSign;

use super::asked::{Answers, Of};

/// Looks that count as a state, and not as an accident.
const LOOKS: u32 = 2;
/// Milliseconds of an answer that nobody calls slow, whatever it took before.
const NEVER_SLOW: u64 = 100;
/// So many times as long is another state, and not noise.
const SLOWED: u64 = 3;

/// What the processes answered so far.
#[derive(Default)]
pub(super) struct Lived {
    of: Of,
    pods: BTreeMap<String, Process>,
}

/// One process, of the containers of a pod between two restarts.
#[derive(Default)]
struct Process {
    restarts: i32,
    was_well: bool,
    /// Bad answers since it was well.
    failures: u32,
    /// By the slowest one.
    ready: Pace,
    /// By the fastest one.
    unready: Pace,
}

/// How long the answers of one state took.
#[derive(Default)]
struct Pace {
    looks: u32,
    /// Milliseconds of the one that counts.
    millis: u64,
}

impl Lived {
    /// Adds what was answered now. What it shows together with what was answered before.
    pub(super) fn add(&mut self, of: &Of, answers: &Answers) -> Option<LivenessSign> {
        if self.of != *of {
            *self = Self {
                of: of.clone(),
                ..Self::default()
            };
        }
        let of_kind = |kind| answers.get(&kind).map(Vec::as_slice).unwrap_or_default();
        let readiness = of_kind(ProbeKind::Readiness);
        let liveness = of_kind(ProbeKind::Liveness);
        if !liveness.is_empty() {
            self.pods
                .retain(|pod, _| liveness.iter().any(|answer| answer.pod == *pod));
        }
        let signs = liveness.iter().filter_map(|liveness| {
            let process = self.pods.entry(liveness.pod.clone()).or_default();
            process.add(liveness, readiness.iter().find(|answer| answer.pod == liveness.pod))
        });
        // Every process takes note of its answer, whatever another one shows.
        let signs: Vec<LivenessSign> = signs.collect();
        signs.first().copied()
    }
}

impl Process {
    fn add(&mut self, liveness: &Answer, readiness: Option<&Answer>) -> Option<LivenessSign> {
        if self.restarts != liveness.restarts {
            *self = Self {
                restarts: liveness.restarts,
                ..Self::default()
            };
        }
        if liveness.outcome.is_a_state() && self.was_well {
            self.failures += 1;
        }
        if !liveness.outcome.is_well() {
            return None;
        }
        let came_back = std::mem::take(&mut self.failures) >= LOOKS;
        self.was_well = true;
        match readiness.map(|answer| &answer.outcome) {
            Some(outcome) if outcome.is_well() => self.ready.add(liveness.millis, u64::max),
            Some(outcome) if outcome.is_a_state() => self.unready.add(liveness.millis, u64::min),
            _ => {}
        }
        if came_back {
            return Some(LivenessSign::Failed);
        }
        self.is_slowed().then_some(LivenessSign::Slowed)
    }

    fn is_slowed(&self) -> bool {
        let enough = self.ready.looks >= LOOKS && self.unready.looks >= LOOKS;
        let slow = self.ready.millis.saturating_mul(SLOWED).max(NEVER_SLOW);
        enough && self.unready.millis >= slow
    }
}

impl Pace {
    fn add(&mut self, millis: u64, which: fn(u64, u64) -> u64) {
        self.millis = match self.looks {
            0 => millis,
            _ => which(self.millis, millis),
        };
        self.looks += 1;
    }
}

#[cfg(test)]
mod tests {
    use observed_core::facts::AnswerOutcome;

    use super::*;

    const OK: AnswerOutcome = AnswerOutcome::Status(200);
    const BAD: AnswerOutcome = AnswerOutcome::Status(503);
    const NOBODY: AnswerOutcome = AnswerOutcome::Refused;

    fn of(image: &str) -> Of {
        Some(("uid".into(), image.into(), 1))
    }

    fn answer(outcome: AnswerOutcome, millis: u64, restarts: i32) -> Answer {
        Answer {
            pod: "a".into(),
            outcome,
            millis,
            restarts,
        }
    }

    /// The signs that these answers gave, one after another.
    fn signs(looks: &[(Answer, AnswerOutcome)]) -> Vec<Option<LivenessSign>> {
        let mut lived = Lived::default();
        let look = |(liveness, ready): &(Answer, AnswerOutcome)| {
            let readiness = answer(ready.clone(), 1, liveness.restarts);
            let answers = [
                (ProbeKind::Liveness, vec![liveness.clone()]),
                (ProbeKind::Readiness, vec![readiness]),
            ];
            lived.add(&of("one"), &answers.into())
        };
        looks.iter().map(look).collect()
    }

    fn any(looks: &[(Answer, AnswerOutcome)]) -> Option<LivenessSign> {
        signs(looks).into_iter().flatten().next()
    }

    fn story(outcomes: &[(AnswerOutcome, i32)]) -> Vec<(Answer, AnswerOutcome)> {
        let look = |(outcome, restarts): &(AnswerOutcome, i32)| (answer(outcome.clone(), 1, *restarts), OK);
        outcomes.iter().map(look).collect()
    }

    #[test]
    fn liveness_that_fails_and_comes_back_in_one_process_depends_on_something_else() {
        let told = signs(&story(&[(OK, 0), (BAD, 0), (AnswerOutcome::TimedOut, 0), (OK, 0)]));
        assert_eq!(told, [None, None, None, Some(LivenessSign::Failed)]);
    }

    #[test]
    fn liveness_that_a_restart_helped_that_failed_once_or_only_while_it_started_depends_on_nothing() {
        for outcomes in [
            vec![(OK, 0), (BAD, 0), (BAD, 0), (OK, 1)],
            vec![(OK, 0), (BAD, 0), (OK, 0), (BAD, 0), (OK, 0)],
            vec![(BAD, 0), (BAD, 0), (BAD, 0), (OK, 0)],
            vec![(OK, 0), (NOBODY, 0), (NOBODY, 0), (OK, 0)],
            vec![(OK, 0), (BAD, 0), (BAD, 0), (BAD, 0)],
        ] {
            assert_eq!(any(&story(&outcomes)), None, "{outcomes:?}");
        }
    }

    fn paced(looks: &[(u64, AnswerOutcome)]) -> Option<LivenessSign> {
        let look = |(millis, ready): &(u64, AnswerOutcome)| (answer(OK, *millis, 0), ready.clone());
        any(&looks.iter().map(look).collect::<Vec<_>>())
    }

    #[test]
    fn liveness_that_is_slow_whenever_readiness_fails_depends_on_what_readiness_asks() {
        let slow = paced(&[(5, OK), (40, OK), (300, BAD), (120, BAD)]);
        assert_eq!(slow, Some(LivenessSign::Slowed));
        let after = paced(&[(300, BAD), (120, BAD), (5, OK), (40, OK)]);
        assert_eq!(after, Some(LivenessSign::Slowed), "in either order");
    }

    #[test]
    fn liveness_that_is_slow_now_and_then_or_as_fast_as_ever_depends_on_nothing() {
        for looks in [
            vec![(5, OK), (40, OK), (300, BAD), (119, BAD)],
            vec![(5, OK), (150, OK), (300, BAD), (300, BAD)],
            vec![(1, OK), (1, OK), (99, BAD), (99, BAD)],
            vec![(5, OK), (300, BAD), (300, BAD)],
            vec![(5, OK), (5, OK), (300, BAD)],
            vec![(5, OK), (5, OK), (300, NOBODY), (300, NOBODY)],
        ] {
            assert_eq!(paced(&looks), None, "{looks:?}");
        }
    }

    #[test]
    fn looks_in_which_nobody_was_asked_change_nothing_and_another_image_begins_anew() {
        let told = |then: &Of| {
            let mut lived = Lived::default();
            let mut look = |of: &Of, outcome: AnswerOutcome| {
                lived.add(of, &[(ProbeKind::Liveness, vec![answer(outcome, 1, 0)])].into())
            };
            for outcome in [OK, BAD, BAD] {
                assert_eq!(look(&of("one"), outcome), None);
            }
            lived.add(&of("one"), &Answers::new());
            lived.add(then, &[(ProbeKind::Liveness, vec![answer(OK, 1, 0)])].into())
        };
        assert_eq!(told(&of("one")), Some(LivenessSign::Failed));
        assert_eq!(told(&of("two")), None);
    }
}
