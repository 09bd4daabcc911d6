//! A gift that waits for a rollout of the workload's owner: `spec.probes.mode: Admission`. The policy `observed-admit` of the
//! chart reads it in the status, and puts it in.

use std::collections::BTreeMap;

use observed_crds::v1alpha1::Offer;

use super::held::image_without;
use crate::facts::{Facts, Target};
use crate::gift::{Gift, ProbeKind, ProbeShape, offer};
use crate::plan::Offered;
use crate::rbac::ADMIT_POLICY;

/// The gift, for this very state of the workload and of the spec.
pub(super) fn offered(gift: Gift, facts: &Facts, target: &Target) -> Offered {
    Offered {
        offer: of(&gift, facts, target),
        gift,
    }
}

fn of(gift: &Gift, facts: &Facts, target: &Target) -> Offer {
    Offer {
        target_uid: target.uid.clone(),
        target_generation: target.generation,
        generation: facts.generation,
        container: gift.container.clone(),
        except_image: image_without(facts, target),
        gift: gift.gifted.to_string(),
        probes: offer::probes(&gift.probes),
    }
}

/// Whether just this is offered by now.
pub(super) fn stands(gift: &Gift, facts: &Facts, target: &Target) -> bool {
    facts.offer.as_ref() == Some(&of(gift, facts, target))
}

/// What is offered by now for this spec.
pub(super) fn standing(facts: &Facts, target: &Target) -> BTreeMap<ProbeKind, ProbeShape> {
    let offer = facts.offer.as_ref();
    let offer = offer.filter(|offer| offer.target_uid == target.uid && offer.generation == facts.generation);
    offer.map(offer::shapes).unwrap_or_default()
}

/// What an offer waits for.
pub(super) fn awaited(facts: &Facts) -> String {
    let unknown = match facts.admits {
        Some(_) => String::new(),
        None => format!(". Whether this cluster has the policy {ADMIT_POLICY} is not known"),
    };
    format!(
        "They wait for the next rollout of the workload's own, in which the policy {ADMIT_POLICY} adds them: a deployment, \
         or kubectl rollout restart. None is rolled out for them{unknown}"
    )
}

/// That nothing will take an offer in this cluster, and what would.
pub(in crate::resolve) fn no_policy() -> String {
    format!(
        "spec.probes.mode is Admission, and this cluster has no policy {ADMIT_POLICY}: no rollout will bring the probes. \
         Install it (Kubernetes 1.36: admitPolicy=always in the chart, manifests/components/admit), or set spec.probes.mode \
         to Patch"
    )
}
