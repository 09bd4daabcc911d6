//! `observed crds`: the CustomResourceDefinitions.

use super::{Error, Outcome, output};

pub(super) const EXAMPLES: &str = "\
Example:
  observed crds | kubectl apply --server-side -f -";

pub(super) fn crds() -> Result<Outcome, Error> {
    let crd = serde_json::to_value(observed_crds::v1alpha1::crd())?;
    output::generated("observed crds", &[crd])
}
