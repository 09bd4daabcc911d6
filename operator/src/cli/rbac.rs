//! `observed rbac`: what the operator may do.

use observed_core::rbac::{self, NAMESPACE, Scope};

use super::{Error, Outcome, output};

pub(super) const EXAMPLES: &str = "\
Examples:
  observed rbac                             for an operator that looks after every namespace
  observed rbac --watch-namespace prod      for one that looks after prod only

In one namespace the operator has a Role there. Only the right to list the Prometheus resources stays a ClusterRole:
the Prometheus that selects the service may be anywhere. Without it Observed verifies nothing, and all else works.";

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Namespace that the operator looks after. Default: all of them.
    #[arg(long, value_name = "NAMESPACE")]
    watch_namespace: Option<String>,
    /// Namespace that the operator runs in.
    #[arg(short, long, value_name = "NAMESPACE", default_value = NAMESPACE)]
    namespace: String,
}

pub(super) fn rbac(args: &Args) -> Result<Outcome, Error> {
    let scope = args.watch_namespace.as_deref().map_or(Scope::Cluster, Scope::Namespace);
    let mut objects = rbac::objects(scope, &args.namespace);
    if args.watch_namespace.is_none() {
        objects.extend(rbac::user_roles());
    }
    output::generated("observed rbac", &objects)
}
