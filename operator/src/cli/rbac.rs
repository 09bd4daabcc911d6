//! `observed rbac`: what the operator may do.

use observed_core::rbac::{self, MetricsReaders, NAMESPACE, Scope};

use super::{Error, Outcome, output};

pub(super) const EXAMPLES: &str = "\
Examples:
  observed rbac                             for an operator that looks after every namespace
  observed rbac --watch-namespace prod      for one that looks after prod only
  observed rbac --remediation               for an operator and what does something about alerts beside it
  observed rbac --secure-metrics            for one with --metrics-listen, and the role of who may read its metrics

In one namespace the operator has a Role there. Only the right to list the Prometheus resources stays a ClusterRole:
the Prometheus that selects the service may be anywhere. Without it Observed verifies nothing, and all else works.
What --secure-metrics adds is a ClusterRole in one namespace too: tokens and the path /metrics belong to no namespace.";

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Namespace that the operator looks after. Default: all of them.
    #[arg(long, value_name = "NAMESPACE")]
    watch_namespace: Option<String>,
    /// Namespace that the operator runs in.
    #[arg(short, long, value_name = "NAMESPACE", default_value = NAMESPACE)]
    namespace: String,
    /// Add the right to ask whose token it is and what they may do (`observed run --metrics-listen`), and the ClusterRole
    /// observed-metrics-reader, to be bound to the ServiceAccount of your Prometheus.
    #[arg(long)]
    secure_metrics: bool,
    /// Add the ServiceAccount, roles and bindings of what does something about alerts (`observed run --remediate`).
    #[arg(long)]
    remediation: bool,
}

pub(super) fn rbac(args: &Args) -> Result<Outcome, Error> {
    let scope = args.watch_namespace.as_deref().map_or(Scope::Cluster, Scope::Namespace);
    let readers = if args.secure_metrics {
        MetricsReaders::Allowed
    } else {
        MetricsReaders::All
    };
    let mut objects = rbac::objects(scope, &args.namespace, readers);
    if args.remediation {
        objects.extend(rbac::remediator_objects(scope, &args.namespace, readers));
    }
    if args.watch_namespace.is_none() {
        objects.extend(rbac::user_roles());
    }
    output::generated("observed rbac", &objects)
}
