//! `observed manifests`: an installation.

use observed_core::install;

use super::{Error, Outcome, output};

/// The image that is not named otherwise: the one of this version.
const IMAGE: &str = concat!("observed:", env!("CARGO_PKG_VERSION"));

pub(super) const EXAMPLES: &str = "\
Examples:
  observed manifests | kubectl apply --server-side -f -
  observed manifests --image registry.example.org/observed:0.1.0 > install.yaml";

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Image of the operator. Its entry point is the program `observed`.
    #[arg(long, default_value = IMAGE)]
    image: String,
    /// Namespace that the operator runs in. It is made.
    #[arg(short, long, value_name = "NAMESPACE", default_value = install::NAMESPACE)]
    namespace: String,
}

pub(super) fn manifests(args: &Args) -> Result<Outcome, Error> {
    output::generated("observed manifests", &install::objects(&args.namespace, &args.image)?)
}
