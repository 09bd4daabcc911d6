//! What holds a gift back whatever the pods would answer: the spec, the owner's will, and a rollout under way.

use observed_crds::PROBES_ANNOTATION;
use observed_crds::v1alpha1::conditions::Reason;
use observed_crds::v1alpha1::{ObservedServiceSpec, ProbesMode};

use super::{Gaps, mode, offer};
use crate::facts::{Container, Facts, Target};
use crate::gift::{Gifted, ProbeKind};

/// Why nothing can be given now.
pub(super) fn held_back(
    spec: &ObservedServiceSpec,
    facts: &Facts,
    target: &Target,
    container: &Container,
    gaps: &Gaps,
) -> Option<(Reason, String)> {
    if spec.paused {
        return Some((Reason::Paused, "spec.paused is true: nothing is given".into()));
    }
    if let Some(who) = &facts.contested {
        return Some((
            Reason::Contested,
            format!(
                "Probes that Observed gave were taken away again and again, last by {who:?}: it has stopped giving. Put \
                 the probes into the workload's own source, or set spec.probes.mode to Observe; a change of this spec \
                 starts anew"
            ),
        ));
    }
    if let Some(withdrawn) = withdrawn(facts, target, container, gaps) {
        return Some((Reason::Withdrawn, withdrawn));
    }
    if let Some(declined) = declined(facts, target, container, gaps) {
        return Some((Reason::Declined, declined));
    }
    if facts.uid.is_empty() || target.uid.is_empty() {
        return Some((
            Reason::PreflightPending,
            "Nobody is asked offline: in a cluster the running pods are asked first".into(),
        ));
    }
    if mode(spec) == ProbesMode::Admission && facts.admits == Some(false) {
        return Some((Reason::PolicyMissing, offer::no_policy()));
    }
    let unsettled = target.unsettled.as_ref()?;
    let gifted = target
        .gifted
        .as_ref()
        .is_some_and(|gifted| gifted.owner_uid == facts.uid);
    let way_out = if gifted {
        ". If a probe that Observed gave keeps its pods from becoming ready, set spec.probes.mode to Disabled; kubectl \
         rollout undo then takes it back"
    } else {
        ""
    };
    Some((
        Reason::RolloutInProgress,
        format!(
            "{} {:?} is not settled ({unsettled}): nothing is given before it is{way_out}",
            target.kind.as_str(),
            target.name
        ),
    ))
}

/// Images that a gift may hurt before it is not given to any other.
const MOST_WITHDRAWALS: i32 = 2;

/// What did not fit an image once does not fit it a second time, and what did not fit two images fits none.
fn withdrawn(facts: &Facts, target: &Target, container: &Container, gaps: &Gaps) -> Option<String> {
    let given = facts.given.as_ref().filter(|given| given.target_uid == target.uid)?;
    let withdrawn = given.withdrawn.as_ref()?;
    let for_good = withdrawn.times >= MOST_WITHDRAWALS;
    if !for_good && withdrawn.image != container.image {
        return None;
    }
    let gone = gone(Gifted::parse(&given.gift).as_ref(), facts, container, gaps);
    let again = if for_good {
        "They were given to another image before, and hurt it too: they are given again when spec.probes changes"
    } else {
        "They are given again with another image, or when spec.probes changes"
    };
    (!gone.is_empty()).then(|| format!("{}: they were taken back. {again}", withdrawn.because))
}

/// The image that an earlier gift was taken back from: whoever goes back to it goes back to it without.
pub(super) fn image_without(facts: &Facts, target: &Target) -> Option<String> {
    let given = facts.given.as_ref().filter(|given| given.target_uid == target.uid)?;
    Some(given.withdrawn.as_ref()?.image.clone())
}

/// Who had a probe and has it no longer does not want it, and to give it once more would roll the workload once more.
fn declined(facts: &Facts, target: &Target, container: &Container, gaps: &Gaps) -> Option<String> {
    let taken_out = gone(target.gifted.as_ref(), facts, container, gaps);
    if !taken_out.is_empty() {
        return Some(format!(
            "Observed gave {}, and it was taken away again: it is not given a second time. Set spec.probes.mode to \
             Disabled to agree, change its settings in spec.probes, or remove the annotation {PROBES_ANNOTATION} from \
             the workload to have it given with its next revision",
            words(&taken_out)
        ));
    }
    let given = facts
        .given
        .as_ref()
        .filter(|given| given.target_uid == target.uid && given.templates.contains(&target.template))?;
    let rolled_back = gone(Gifted::parse(&given.gift).as_ref(), facts, container, gaps);
    (!rolled_back.is_empty()).then(|| {
        format!(
            "Observed gave {} to this very revision before, and {} {:?} went back to it without (a rollback, or an older \
             file, by {:?}): for one revision nothing is given twice. The next revision gets it, and so does this one \
             when spec.probes changes",
            words(&rolled_back),
            target.kind.as_str(),
            target.name,
            target.last_writer.as_deref().unwrap_or("somebody")
        )
    })
}

/// Probes that are wanted, were given just so, and are gone. None once one of them is wanted otherwise: that is another
/// gift.
fn gone(gifted: Option<&Gifted>, facts: &Facts, container: &Container, gaps: &Gaps) -> Vec<ProbeKind> {
    let ours = |gifted: &&Gifted| gifted.owner_uid == facts.uid && gifted.container == container.name;
    let Some(gifted) = gifted.filter(ours) else {
        return Vec::new();
    };
    let missing = gaps.open.iter().filter_map(|(kind, wanted)| {
        let hash = gifted
            .probes
            .get(kind)
            .filter(|_| !container.probes.contains_key(kind))?;
        Some((*kind, *hash == wanted.shape.hash()))
    });
    let missing: Vec<_> = missing.collect();
    if missing.iter().all(|(_, same)| *same) {
        missing.into_iter().map(|(kind, _)| kind).collect()
    } else {
        Vec::new()
    }
}

fn words(kinds: &[ProbeKind]) -> String {
    let kinds: Vec<_> = kinds.iter().map(|kind| kind.as_str()).collect();
    kinds.join(" and ")
}
