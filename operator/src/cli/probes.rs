//! `observed probes`: what Observed gave to a workload, kept without it or taken out, with the user's own rights.

use kube::api::DynamicObject;
use kube::{Api, Client};
use observed_core::facts::Target;
use observed_core::gift::TakeBack;
use observed_core::resolve;
use observed_crds::v1alpha1::{ObservedService, TargetKind, TargetRef};
use serde_json::Value;

use super::cluster::{Access, connected};
use super::output::{ask, clean, may_ask, print};
use super::{Error, Outcome};
use crate::apply::{Done, withdraw, workloads};
use crate::{api_error, gather, mend};

/// A workload in the middle of a rollout changes with each of its pods.
const LOOKS: usize = 10;

pub(super) const EXAMPLES: &str = "\
Examples:
  observed probes release claude-api -n prod              keep the probes and take every trace of Observed away
  observed probes remove claude-api -n prod --dry-run     show what would be taken out again
  observed probes remove deployment/claude-api --yes      of a workload whose ObservedService is gone, without a question

A name is that of an ObservedService, or KIND/NAME of a workload. What changes is shown as the API server would store it, and
made after a yes.

Exit status: 0 nothing of Observed is left, 1 it is still there, 2 wrong usage or something that could not be read or
written.";

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Keep the probes, as the workload's own: the annotations and the entry in managedFields go. Nothing is rolled out.
    #[command(after_help = EXAMPLES)]
    Release(Of),
    /// Take out the probes that were given and that nobody has taken over or changed, with one rollout.
    #[command(after_help = EXAMPLES)]
    Remove(Of),
}

#[derive(Debug, clap::Args)]
struct Of {
    /// Name of an ObservedService, or KIND/NAME of a workload.
    #[arg(value_name = "NAME")]
    name: String,
    /// Namespace. Default: the one of the kubeconfig.
    #[arg(short, long, value_name = "NAMESPACE")]
    namespace: Option<String>,
    #[command(flatten)]
    access: Access,
    /// Make the change without a question.
    #[arg(short, long, conflicts_with = "dry_run")]
    yes: bool,
    /// Only show the change.
    #[arg(long)]
    dry_run: bool,
}

pub(super) fn probes(args: &Args) -> Result<Outcome, Error> {
    let (of, remove) = match &args.verb {
        Verb::Release(of) => (of, false),
        Verb::Remove(of) => (of, true),
    };
    connected(change(of, remove))?
}

async fn change(of: &Of, remove: bool) -> Result<Outcome, Error> {
    let (client, default) = of.access.client().await?;
    let namespace = of.namespace.clone().unwrap_or(default);
    let services = Api::<ObservedService>::namespaced(client.clone(), &namespace);
    let reference = match workload(&of.name)? {
        Some(reference) => reference,
        None => match services.get_opt(&of.name).await {
            Ok(Some(service)) => service.spec.target_ref,
            Ok(None) => {
                return Err(Error::Usage(format!(
                    "there is no ObservedService {:?} in namespace {namespace:?}: name the workload, as deployment/{}",
                    of.name, of.name
                )));
            }
            Err(error) => return Err(Error::Cluster(api_error::words(&error))),
        },
    };
    let told = format!("{} {namespace}/{}", reference.kind.as_str(), reference.name);
    let mut agreed = None;
    for _ in 0..LOOKS {
        let target = gather::read_target(&client, &namespace, &reference).await;
        let Some(target) = target.map_err(|error| Error::Cluster(error.to_string()))? else {
            return Err(Error::Usage(format!("there is no {told}")));
        };
        let Some(taken) = taken(&target, remove) else {
            print(&format!("{told} has nothing of Observed\n"))?;
            return Ok(Outcome::Fine);
        };
        let Some(diff) = diff(&client, &namespace, &target, &taken, &told).await? else {
            continue;
        };
        // Who said yes to a change is not asked about the same one again.
        if agreed.as_ref() != Some(&diff) {
            print(&diff)?;
            if remove && !taken.probes.is_empty() {
                print("the pods are rolled once, and lose these probes\n")?;
            }
            if !of.is_wanted()? {
                return Ok(Outcome::Findings);
            }
            agreed = Some(diff);
        }
        let done = withdraw(&client, &namespace, &target, &taken, false).await;
        if let Done::Written(_) = done.map_err(|error| Error::Cluster(error.to_string()))? {
            print("changed\n")?;
            return Ok(Outcome::Fine);
        }
    }
    Err(Error::Cluster(format!(
        "{told} changed each of the {LOOKS} times that it was looked at: run it again when its rollout is over"
    )))
}

impl Of {
    /// Whether the change that was shown is to be made. If not, why is said.
    fn is_wanted(&self) -> Result<bool, Error> {
        if self.yes || (!self.dry_run && may_ask() && ask("make this change? [y/N] ")?) {
            return Ok(true);
        }
        print(match (self.dry_run, may_ask()) {
            (true, _) => "nothing was changed: this is a dry run\n",
            (false, true) => "left as it is\n",
            (false, false) => "nothing was changed: standard input is no terminal, and there is no --yes\n",
        })?;
        Ok(false)
    }
}

/// The change, as the API server would store it. None: the workload has changed since it was looked at.
async fn diff(
    client: &Client,
    namespace: &str,
    target: &Target,
    taken: &TakeBack,
    told: &str,
) -> Result<Option<String>, Error> {
    let would = withdraw(client, namespace, target, taken, true).await;
    let Done::Written(after) = would.map_err(|error| Error::Cluster(error.to_string()))? else {
        return Ok(None);
    };
    let before = workloads(client, namespace, target.kind).get(&target.name).await;
    let before = before.map_err(|error| Error::Cluster(api_error::words(&error)))?;
    let diff = mend::diff(told, &shown(&before), &shown(&after));
    let lines: Vec<String> = diff.lines().map(clean).collect();
    Ok(Some(format!("{}\n", lines.join("\n"))))
}

/// What goes. None where there is nothing of ours.
fn taken(target: &Target, remove: bool) -> Option<TakeBack> {
    let held = || TakeBack {
        target_uid: target.uid.clone(),
        resource_version: target.resource_version.clone(),
        ..TakeBack::default()
    };
    let taken = resolve::remains(target, "").or_else(|| target.held.then(held))?;
    Some(if remove {
        taken
    } else {
        TakeBack {
            probes: [].into(),
            ..taken
        }
    })
}

/// A workload that is named as kubectl names it.
fn workload(name: &str) -> Result<Option<TargetRef>, Error> {
    let Some((kind, name)) = name.split_once('/') else {
        return Ok(None);
    };
    let wanted = kind.to_lowercase();
    let is = |of: &TargetKind| [of.as_str().to_lowercase().as_str(), of.plural()].contains(&wanted.as_str());
    match TargetKind::ALL.into_iter().find(is) {
        Some(kind) => Ok(Some(TargetRef {
            kind,
            name: name.to_owned(),
            container: None,
        })),
        None => Err(Error::Usage(format!(
            "{kind:?} is no workload: deployment, statefulset or daemonset"
        ))),
    }
}

/// What people look at: not who owns which field, nor what counts the changes.
fn shown(object: &DynamicObject) -> Value {
    let mut value = serde_json::to_value(object).unwrap_or_default();
    value["status"] = Value::Null;
    for field in ["managedFields", "resourceVersion", "generation"] {
        value["metadata"][field] = Value::Null;
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_workload_is_named_by_its_kind_in_either_number_and_case() {
        for name in ["deployment/a", "Deployments/a"] {
            let reference = workload(name).unwrap().unwrap();
            assert_eq!((reference.kind, reference.name.as_str()), (TargetKind::Deployment, "a"));
        }
        assert!(workload("a").unwrap().is_none());
        assert!(matches!(workload("job/a"), Err(Error::Usage(_))));
    }
}
