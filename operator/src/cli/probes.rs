//! `observed probes`: what Observed gave to a workload, kept without it or taken out, with the user's own rights.

use kube::Api;
use kube::api::DynamicObject;
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
    let target = gather::read_target(&client, &namespace, &reference).await;
    let Some(target) = target.map_err(|error| Error::Cluster(error.to_string()))? else {
        return Err(Error::Usage(format!("there is no {told}")));
    };
    let Some(taken) = taken(&target, remove) else {
        print(&format!("{told} has nothing of Observed\n"))?;
        return Ok(Outcome::Fine);
    };
    let would = withdraw(&client, &namespace, &target, &taken, true).await;
    let Done::Written(after) = would.map_err(|error| Error::Cluster(error.to_string()))? else {
        return Err(changed(&told));
    };
    let before = workloads(&client, &namespace, target.kind).get(&target.name).await;
    let before = before.map_err(|error| Error::Cluster(api_error::words(&error)))?;
    let diff = mend::diff(&told, &shown(&before), &shown(&after)).map_err(|error| Error::Cluster(error.to_string()))?;
    let lines: Vec<String> = diff.lines().map(clean).collect();
    print(&format!("{}\n", lines.join("\n")))?;
    if remove && !taken.probes.is_empty() {
        print("the pods are rolled once, and lose these probes\n")?;
    }
    let wanted = of.yes || (!of.dry_run && may_ask() && ask("make this change? [y/N] ")?);
    if !wanted {
        print(match (of.dry_run, may_ask()) {
            (true, _) => "nothing was changed: this is a dry run\n",
            (false, true) => "left as it is\n",
            (false, false) => "nothing was changed: standard input is no terminal, and there is no --yes\n",
        })?;
        return Ok(Outcome::Findings);
    }
    let done = withdraw(&client, &namespace, &target, &taken, false).await;
    match done.map_err(|error| Error::Cluster(error.to_string()))? {
        Done::Changed => Err(changed(&told)),
        Done::Written(_) => {
            print("changed\n")?;
            Ok(Outcome::Fine)
        }
    }
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

fn changed(told: &str) -> Error {
    Error::Cluster(format!("{told} has changed since it was looked at: run it again"))
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
