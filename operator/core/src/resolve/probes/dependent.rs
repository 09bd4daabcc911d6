//! Liveness that depends on something else: a probe would restart a process that lives, and that a restart does not help.

use observed_crds::v1alpha1::{DependentLiveness, LivenessSign, ObservedServiceSpec};

use super::all_wanted;
use super::wanted::Wanted;
use crate::facts::Facts;
use crate::gift::ProbeKind;
use crate::resolve::target::container;

/// What is known of the liveness endpoint after the running pods gave this sign, or none. What was known before holds for
/// the same endpoint of the same image of the same workload.
pub fn dependent(
    spec: &ObservedServiceSpec,
    facts: &Facts,
    before: Option<&DependentLiveness>,
    sign: Option<LivenessSign>,
) -> Option<DependentLiveness> {
    let target = facts.target.as_ref()?;
    let container = container(spec, target).ok()?;
    let mut wanted = all_wanted(spec, facts, target, container).ok()?;
    let liveness = wanted.remove(&ProbeKind::Liveness)?.ok()?;
    let seen = |sign| DependentLiveness {
        target_uid: target.uid.clone(),
        image: container.image.clone(),
        endpoint: liveness.shape.handler.words(),
        sign,
    };
    let before = before.filter(|before| **before == seen(before.sign)).cloned();
    before.or_else(|| sign.map(seen))
}

/// Why the probe is not given, whatever the pods answer now.
pub(super) fn refusal(kind: ProbeKind, wanted: &Wanted, facts: &Facts) -> Option<String> {
    let seen = facts.dependent.as_ref().filter(|_| kind == ProbeKind::Liveness)?;
    let sign = match seen.sign {
        LivenessSign::Failed => "it failed and was well again while its process lived on",
        LivenessSign::Slowed => "it answers much slower whenever readiness fails",
    };
    Some(format!(
        "{}: {sign}, so it depends on something else, and a probe would restart pods that a restart does not help; let it \
         answer from the process alone. Another image is asked anew, and so is another endpoint in spec.probes.liveness",
        wanted.shape.handler.words()
    ))
}
