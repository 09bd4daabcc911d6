use observed_core::child::Children;
use observed_core::facts::{Container, LiveProbe, Target};
use observed_core::gift::{Gift, Gifted, ProbeShape};
use observed_crds::v1alpha1::DeletionPolicy;
use serde_json::json;

use super::*;
use crate::controller::changes::Changes;

fn key() -> Key {
    ("prod".into(), "api".into())
}

/// The workload with the gift in place, or without it.
fn facts(with_gift: bool) -> Facts {
    let shape = ProbeShape {
        period_seconds: 10,
        ..Default::default()
    };
    let probe = LiveProbe {
        shape: shape.clone(),
        owned_by: vec![],
    };
    let gifted = Gifted {
        container: "api".into(),
        probes: [(ProbeKind::Liveness, shape.hash())].into(),
        owner_uid: "our-uid".into(),
    };
    let container = Container {
        name: "api".into(),
        probes: if with_gift {
            [(ProbeKind::Liveness, probe)].into()
        } else {
            Default::default()
        },
        ..Default::default()
    };
    Facts {
        uid: "our-uid".into(),
        target: Some(Target {
            uid: "target-uid".into(),
            containers: vec![container],
            gifted: Some(gifted),
            last_writer: Some("argocd-controller".into()),
            ..Default::default()
        }),
        ..Default::default()
    }
}

struct Story {
    memory: Memory,
    start: Instant,
}

impl Story {
    fn new() -> Self {
        let start = Instant::now();
        let memory = Memory::default();
        memory.begin(&key(), "our-uid", 1, start);
        Self { memory, start }
    }

    fn sees(&self, facts: &Facts, minute: u64) -> Option<String> {
        self.memory
            .contested(&key(), facts, None, self.start + Duration::from_secs(60 * minute))
    }
}

#[test]
fn a_gift_that_vanishes_twice_in_ten_minutes_is_contested_and_the_writer_is_named() {
    let story = Story::new();
    for (minute, with_gift) in [(0, true), (1, false), (2, true)] {
        assert_eq!(story.sees(&facts(with_gift), minute), None, "minute {minute}");
    }
    assert_eq!(story.sees(&facts(false), 3).as_deref(), Some("argocd-controller"));
    // It stays so: giving again after a while would roll the workload for ever.
    assert_eq!(story.sees(&facts(false), 60).as_deref(), Some("argocd-controller"));
    // Until somebody changes the spec.
    story.memory.begin(&key(), "our-uid", 2, story.start);
    assert_eq!(story.sees(&facts(false), 61), None);
}

#[test]
fn a_gift_that_is_gone_before_anybody_saw_it_in_place_is_missed_all_the_same() {
    let story = Story::new();
    let gift = Gift {
        container: "api".into(),
        probes: Default::default(),
        gifted: facts(true).target.unwrap().gifted.unwrap(),
        deletion_policy: DeletionPolicy::Release,
        target_uid: "target-uid".into(),
        resource_version: String::new(),
    };
    for minute in [1, 2] {
        assert_eq!(story.sees(&facts(false), minute), None, "nothing was given yet");
    }
    story.memory.gave(&key(), &gift);
    assert_eq!(story.sees(&facts(false), 3), None, "once is no contest");
    story.memory.gave(&key(), &gift);
    assert_eq!(story.sees(&facts(false), 4).as_deref(), Some("argocd-controller"));
}

#[test]
fn a_gift_that_observed_took_back_itself_did_not_vanish() {
    let story = Story::new();
    for minute in [0, 2, 4, 6] {
        assert_eq!(story.sees(&facts(true), minute), None);
        story.memory.took_back(&key());
        assert_eq!(story.sees(&facts(false), minute + 1), None, "minute {minute}");
    }
}

#[test]
fn a_gift_that_vanishes_once_or_seldom_is_not_contested() {
    let story = Story::new();
    for (minute, with_gift) in [
        (0, true),
        (1, false),
        (2, false),
        (3, false),
        (4, true),
        (5, true),
        (75, false),
        (76, true),
    ] {
        assert_eq!(story.sees(&facts(with_gift), minute), None, "minute {minute}");
    }
}

#[test]
fn a_gift_that_somebody_changed_took_over_or_renamed_away_did_not_vanish() {
    let mut changed = facts(true);
    changed.target.as_mut().unwrap().containers[0]
        .probes
        .get_mut(&ProbeKind::Liveness)
        .unwrap()
        .shape
        .period_seconds = 99;
    let mut owned = facts(true);
    owned.target.as_mut().unwrap().containers[0]
        .probes
        .get_mut(&ProbeKind::Liveness)
        .unwrap()
        .owned_by = vec!["helm".into()];
    let mut renamed = facts(false);
    renamed.target.as_mut().unwrap().containers[0].name = "web".into();
    let mut anew = facts(false);
    anew.target.as_mut().unwrap().uid = "another-uid".into();
    for other in [changed, owned, renamed, anew] {
        let story = Story::new();
        for minute in 0..6 {
            let seen = if minute % 2 == 0 { facts(true) } else { other.clone() };
            assert_eq!(story.sees(&seen, minute), None, "{other:?}");
        }
    }
}

#[test]
fn a_contest_is_remembered_over_a_restart_by_the_status() {
    let status: ObservedServiceStatus = serde_json::from_value(json!({"conditions": [{
        "type": "ProbesInstalled", "status": "False", "reason": "Contested", "message": "", "observedGeneration": 1,
        "lastTransitionTime": "2026-01-01T00:00:00Z"}]}))
    .unwrap();
    let story = Story::new();
    assert!(
        story
            .memory
            .contested(&key(), &facts(false), Some(&status), story.start)
            .is_some()
    );
    let story = Story::new();
    story.memory.begin(&key(), "our-uid", 2, story.start);
    assert_eq!(
        story
            .memory
            .contested(&key(), &facts(false), Some(&status), story.start),
        None
    );
}

#[test]
fn the_pause_grows_with_every_failure_up_to_its_cap_and_a_success_ends_it() {
    let story = Story::new();
    let mut longest = Duration::ZERO;
    for failure in 0..20 {
        story.memory.failed(&key(), "broken".into());
        let pause = story.memory.pause(&key());
        let middle = Duration::from_secs((1 << failure.min(16)).min(300));
        assert!(pause >= middle / 2 && pause <= middle * 3 / 2, "{failure}: {pause:?}");
        longest = longest.max(pause);
    }
    assert!(longest > Duration::from_secs(100));
    story.memory.succeeded(&key());
    assert!(story.memory.pause(&key()) < Duration::from_secs(2));
}

#[test]
fn the_same_error_again_is_no_news() {
    let story = Story::new();
    assert!(story.memory.failed(&key(), "one".into()));
    assert!(!story.memory.failed(&key(), "one".into()));
    assert!(story.memory.failed(&key(), "two".into()));
    story.memory.succeeded(&key());
    assert!(story.memory.failed(&key(), "two".into()));
}

#[test]
fn what_is_new_changed_or_written_is_looked_at_often_and_not_for_ever() {
    let story = Story::new();
    let later = |seconds| story.start + Duration::from_secs(seconds);
    assert!(story.memory.hurries(&key(), later(10)));
    assert!(!story.memory.hurries(&key(), later(181)));
    story.memory.hurry(&key(), later(200));
    assert!(story.memory.hurries(&key(), later(210)));
    story.memory.begin(&key(), "our-uid", 1, later(500));
    assert!(!story.memory.hurries(&key(), later(510)), "the same generation again");
    story.memory.begin(&key(), "another-uid", 1, later(600));
    assert!(story.memory.hurries(&key(), later(610)), "a service made anew");
}

#[test]
fn the_more_services_are_looked_at_often_the_longer_each_waits_and_the_others_do_not_count() {
    let story = Story::new();
    let later = |seconds| story.start + Duration::from_secs(seconds);
    assert_eq!(story.memory.crowd(later(1)), EACH);
    for number in 0..999 {
        let key = ("prod".into(), format!("api-{number}"));
        story.memory.begin(&key, "uid", 1, later(100));
    }
    assert_eq!(story.memory.crowd(later(101)), 1000 * EACH);
    assert_eq!(story.memory.crowd(later(200)), 999 * EACH, "the first is old by then");
    assert_eq!(story.memory.crowd(later(300)), Duration::ZERO);
}

#[test]
fn a_metrics_page_is_asked_for_again_after_a_while_or_when_the_spec_has_changed() {
    let story = Story::new();
    let due = |seconds: u64| {
        story
            .memory
            .page_is_due(&key(), story.start + Duration::from_secs(seconds))
    };
    assert!(due(0), "nobody was asked yet");
    story.memory.page_was_read(&key(), story.start);
    assert!(!due(1) && !due(14) && due(15));
    story.memory.begin(&key(), "our-uid", 1, story.start);
    assert!(!due(1), "nothing has changed");
    story.memory.begin(&key(), "our-uid", 2, story.start);
    assert!(due(1));
}

/// What is kept of a service whose look at `start` left nothing to do, after `then`.
fn kept_after(then: impl FnOnce(&Memory, &Changes, Instant), seconds: u64) -> bool {
    let (story, changes) = (Story::new(), Changes::default());
    let ticket = changes.ticket(&key(), story.start);
    let kept = Kept {
        until: Kept::until(story.start),
        own: Own::default(),
        pods: None,
        children: Settled::of(&Children { items: Vec::new() }).unwrap(),
    };
    story.memory.keep(&key(), ticket.map(|ticket| (ticket, kept)));
    then(&story.memory, &changes, story.start);
    let now = story.start + Duration::from_secs(seconds);
    let ticket = changes.ticket(&key(), now).unwrap();
    story.memory.kept(&key(), ticket, now).is_some()
}

#[test]
fn what_was_read_is_kept_until_a_change_is_told_or_its_time_is_over() {
    assert!(kept_after(|_, _, _| {}, 0));
    assert!(kept_after(
        |memory, _, now| memory.begin(&key(), "our-uid", 1, now),
        899
    ));
    assert!(!kept_after(|_, changes, _| changes.of(key()), 0));
    assert!(!kept_after(|_, changes, _| changes.of_any(), 0));
    assert!(!kept_after(|_, _, _| {}, 2701), "the longest time");
}

#[test]
fn what_was_read_of_another_spec_or_another_service_of_that_name_is_not_kept() {
    for (uid, generation) in [("our-uid", 2), ("other-uid", 1)] {
        let begin = |memory: &Memory, _: &Changes, now| memory.begin(&key(), uid, generation, now);
        assert!(!kept_after(begin, 0), "{uid} {generation}");
    }
    assert!(!kept_after(|memory, _, _| memory.forget(&key()), 0));
    assert!(!kept_after(|memory, _, _| memory.keep(&key(), None), 0));
}
