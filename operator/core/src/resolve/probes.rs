//! Which probes are given, which are there, and which are refused.

use observed_crds::v1alpha1::ObservedServiceSpec;

use crate::facts::{Container, Facts, Question, Target};
use crate::finding::Finding;
use crate::plan::Probes;

/// What happens with the probes, and what is worth knowing about those that are there.
pub(super) fn probes(
    _spec: &ObservedServiceSpec,
    _facts: &Facts,
    _target: &Target,
    _container: &Container,
) -> Result<(Probes, Vec<Finding>), Vec<Finding>> {
    Err(Vec::new())
}

/// What preflight must ask.
pub(super) fn questions(
    _spec: &ObservedServiceSpec,
    _facts: &Facts,
    _target: &Target,
    _container: &Container,
) -> Vec<Question> {
    Vec::new()
}
