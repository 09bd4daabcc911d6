//! `observed crds`: the CustomResourceDefinitions.

use std::time::Duration;

use clap::ValueEnum;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, Patch, PatchParams};
use kube::runtime::conditions::is_crd_established;
use kube::runtime::wait::await_condition;
use kube::{Client, ResourceExt};
use serde_json::Value;

use super::cluster::{Access, connected};
use super::{Error, Outcome, output};
use crate::{api_error, skew};

pub(super) const EXAMPLES: &str = "\
Examples:
  observed crds > crds.yaml               print them
  observed crds --only signalpack         one of them
  observed crds apply                     install or upgrade them in the cluster of the kubeconfig
  observed crds apply --force-conflicts   also where Helm or kubectl applied them

An upgrade only ever adds fields: ObservedServices and what was generated for them stay as they are.";

/// Field manager of what is applied.
const MANAGER: &str = "observed-crds";
/// How long the API server may take to serve what was applied.
const LONGEST: Duration = Duration::from_secs(30);

#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct Args {
    /// Only this kind. Default: all of them.
    #[arg(long, value_enum)]
    only: Option<Kind>,
    #[command(subcommand)]
    what: Option<What>,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Install or upgrade them with server-side apply, and wait until they are served. Without it they are printed.
    Apply {
        #[command(flatten)]
        access: Access,
        /// Take over fields that another field manager holds with other values, such as Helm.
        #[arg(long)]
        force_conflicts: bool,
    },
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum Kind {
    Observedservice,
    Signalpack,
}

pub(super) fn crds(args: &Args) -> Result<Outcome, Error> {
    if let Some(What::Apply {
        access,
        force_conflicts,
    }) = &args.what
    {
        return apply(access, *force_conflicts);
    }
    let wanted = match args.only {
        None => None,
        Some(Kind::Observedservice) => Some("ObservedService"),
        Some(Kind::Signalpack) => Some("SignalPack"),
    };
    let all = skew::crds()?.into_iter();
    let all = all.filter(|crd| wanted.is_none_or(|wanted| crd.spec.names.kind == wanted));
    let all: Result<Vec<Value>, _> = all.map(serde_json::to_value).collect();
    output::generated("observed crds", &all?)
}

fn apply(access: &Access, force: bool) -> Result<Outcome, Error> {
    connected(async {
        let (client, _) = access.client().await?;
        let mut outcome = Outcome::Fine;
        for crd in skew::crds()? {
            let name = crd.name_any();
            match one(&client, crd, force).await {
                Ok(words) => output::print(&format!("{name}: {words}\n"))?,
                Err(error) if api_error::is_conflict(&error) => {
                    let words = api_error::words(&error);
                    output::note(&format!(
                        "{name}: {words}\nTo take them over: observed crds apply --force-conflicts"
                    ));
                    outcome = Outcome::Findings;
                }
                Err(error) => return Err(Error::Cluster(format!("{name}: {}", api_error::words(&error)))),
            }
        }
        Ok(outcome)
    })?
}

/// What became of one definition.
async fn one(client: &Client, crd: CustomResourceDefinition, force: bool) -> Result<&'static str, kube::Error> {
    let api: Api<CustomResourceDefinition> = Api::all(client.clone());
    let name = crd.name_any();
    let mut params = PatchParams::apply(MANAGER);
    params.force = force;
    let before = api.get_metadata_opt(&name).await?;
    let now = api.patch(&name, &params, &Patch::Apply(crd)).await?;
    let established = await_condition(api, &name, is_crd_established());
    if tokio::time::timeout(LONGEST, established).await.is_err() {
        return Ok("applied, and not served yet: kubectl describe crd tells why");
    }
    Ok(match before.map(|before| before.metadata) {
        None => "created",
        Some(before) if before.resource_version == now.metadata.resource_version => "unchanged",
        Some(_) => "upgraded",
    })
}
