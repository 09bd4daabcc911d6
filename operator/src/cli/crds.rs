//! `observed crds`: the CustomResourceDefinitions.

use clap::ValueEnum;
use observed_crds::v1alpha1::{self, signal_pack};

use super::{Error, Outcome, output};

pub(super) const EXAMPLES: &str = "\
Example:
  observed crds | kubectl apply --server-side -f -
  observed crds --only signalpack";

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Only this kind. Default: all of them.
    #[arg(long, value_enum)]
    only: Option<Kind>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum Kind {
    Observedservice,
    Signalpack,
}

pub(super) fn crds(args: &Args) -> Result<Outcome, Error> {
    let all = [
        (Kind::Observedservice, serde_json::to_value(v1alpha1::crd())?),
        (Kind::Signalpack, serde_json::to_value(signal_pack::crd()?)?),
    ];
    let wanted = all
        .into_iter()
        .filter(|(kind, _)| args.only.is_none_or(|only| only == *kind));
    output::generated("observed crds", &wanted.map(|(_, crd)| crd).collect::<Vec<_>>())
}
