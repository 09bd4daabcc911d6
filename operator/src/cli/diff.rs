//! `observed diff`: what would change in a workload, and why.

use std::fmt::Write as _;
use std::path::PathBuf;

use kube::api::ListParams;
use kube::{Api, ResourceExt};
use observed_core::facts::Facts;
use observed_core::finding::Finding;
use observed_core::lint::{self, Located};
use observed_core::rbac::ADMIT_POLICY;
use observed_core::resolve::{self, Change, Comes, Diff, Entry};
use observed_core::{status, yaml};
use observed_crds::v1alpha1::conditions::ConditionType;
use observed_crds::v1alpha1::{ObservedService, TargetRef};
use serde::Serialize;
use serde_json::{Value, json};

use super::cluster::{Access, connected};
use super::output::{Format, clean};
use super::{Error, Outcome, input, output};
use crate::{api_error, gather};

pub(super) const EXAMPLES: &str = "\
Examples:
  observed diff claude-api -n prod                     of one ObservedService of the cluster, with your own rights
  observed diff -n prod                                of all of a namespace
  observed diff -f service.yaml -f deployment.yaml     before a cluster has them: the workload is read from the files too
  kustomize build | observed diff -f - -o json

It is computed as the operator does it, but for one thing: the running pods are not asked. What is shown is what is given
once each of them has answered as it must. In front of a field, + is given, ~ is given anew, = stays, ! is not given.

Exit status: 0 nothing would be given, 1 something would be, 2 wrong usage, something that could not be read, or an
ObservedService with an error in it.";

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Name of an ObservedService of the cluster. Default: all of the namespace.
    #[arg(value_name = "NAME", conflicts_with = "files")]
    name: Option<String>,
    /// File with ObservedServices and their workloads, a directory of such, or - for standard input. No cluster is
    /// asked then.
    #[arg(short = 'f', long = "file", value_name = "FILE", num_args = 1..)]
    files: Vec<PathBuf>,
    /// Namespace. Default: the one of the kubeconfig; with `-f` that of resources that name none, `default`.
    #[arg(short, long, value_name = "NAMESPACE")]
    namespace: Option<String>,
    #[command(flatten)]
    access: Access,
    /// Form of the output.
    #[arg(short, long, value_enum, default_value = "text")]
    output: Format,
}

/// The difference for one ObservedService.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Told {
    namespace: String,
    name: String,
    workload: String,
    #[serde(flatten)]
    diff: Diff,
    /// What the operator said last of the probes.
    operator: Option<String>,
}

pub(super) fn diff(args: &Args) -> Result<Outcome, Error> {
    let told = if args.files.is_empty() {
        connected(live(args))??
    } else {
        offline(&args.files, args.namespace.as_deref())?
    };
    match args.output {
        Format::Text => output::print(&told.iter().map(text).collect::<Vec<_>>().join("\n"))?,
        Format::Json => output::print_exactly(&output::json(&json!({"services": told}))?)?,
    }
    Ok(if told.iter().any(|told| told.diff.gift.is_some()) {
        Outcome::Findings
    } else {
        Outcome::Fine
    })
}

fn told(service: &ObservedService, facts: &Facts, operator: Option<String>) -> Result<Told, Vec<Finding>> {
    let target = &service.spec.target_ref;
    Ok(Told {
        namespace: facts.namespace.clone(),
        name: facts.name.clone(),
        workload: format!("{} {}/{}", target.kind.as_str(), facts.namespace, target.name),
        diff: resolve::diff(&service.spec, facts)?,
        operator,
    })
}

fn offline(files: &[PathBuf], namespace: Option<&str>) -> Result<Vec<Told>, Error> {
    let mut sources = input::sources(files)?;
    // A file with a workload alone is welcome here.
    for source in &mut sources {
        source.found = true;
    }
    let read = lint::read(&sources, namespace);
    refuse(&read.findings)?;
    let mut all = Vec::new();
    for service in &read.services {
        let target = &service.service.spec.target_ref;
        let mut facts = Facts::assumed(&service.service);
        facts.uid = service.service.uid().unwrap_or_default();
        facts.target = Some(written(&sources, service.namespace(), namespace, target)?);
        match told(&service.service, &facts, None) {
            Ok(told) => all.push(told),
            Err(findings) => refuse(&service.locate(findings))?,
        }
    }
    Ok(all)
}

/// The workload, from the files.
fn written(
    sources: &[lint::Source],
    of: &str,
    namespace: Option<&str>,
    target: &TargetRef,
) -> Result<observed_core::facts::Target, Error> {
    let (kind, name) = (target.kind.as_str(), &target.name);
    let found = lint::of_kind(sources, namespace, "apps/v1", kind)
        .into_iter()
        .find(|(within, value)| within == of && value["metadata"]["name"] == json!(name));
    let Some((_, value)) = found else {
        return Err(Error::Usage(format!(
            "{kind} {of}/{name} is not in what was given: give its manifest too, or ask the cluster without -f"
        )));
    };
    gather::written_target(target.kind, value)
        .map_err(|error| Error::Usage(format!("{kind} {of}/{name} cannot be read: {error}")))
}

/// Tells the errors; with one there is no difference to show.
fn refuse(findings: &[Located]) -> Result<(), Error> {
    let errors: Vec<Located> = findings.iter().filter(|it| it.is_error()).cloned().collect();
    if errors.is_empty() {
        return Ok(());
    }
    output::note(super::lint::lines(&errors).trim_end());
    Err(Error::Usage("an ObservedService has an error in it".into()))
}

async fn live(args: &Args) -> Result<Vec<Told>, Error> {
    let (client, default) = args.access.client().await?;
    let namespace = args.namespace.clone().unwrap_or(default);
    let api = Api::<ObservedService>::namespaced(client.clone(), &namespace);
    let listed = api.list(&ListParams::default()).await;
    let services = listed.map_err(|error| Error::Cluster(api_error::words(&error)))?.items;
    let wanted = |service: &&ObservedService| args.name.as_ref().is_none_or(|name| *name == service.name_any());
    let chosen: Vec<_> = services.iter().filter(wanted).collect();
    if let (Some(name), true) = (&args.name, chosen.is_empty()) {
        return Err(Error::Usage(format!(
            "there is no ObservedService {name:?} in namespace {namespace:?}"
        )));
    }
    let mut all = Vec::new();
    for service in chosen {
        let target = &service.spec.target_ref;
        let workload = gather::read_target(&client, &namespace, target).await;
        let workload = workload.map_err(|error| Error::Cluster(error.to_string()))?;
        let same = services.iter().filter(|other| {
            let other = &other.spec.target_ref;
            (other.kind, &other.name) == (target.kind, &target.name)
        });
        let said = service.status.as_ref();
        let generation = service.metadata.generation.unwrap_or_default();
        let last_writer = workload.as_ref().and_then(|target| target.last_writer.clone());
        let mut facts = Facts {
            namespace: namespace.clone(),
            name: service.name_any(),
            uid: service.uid().unwrap_or_default(),
            generation,
            target: workload,
            taken_by: gather::taken_by(service, &same.cloned().collect::<Vec<_>>()),
            admits: gather::admits(&client, service).await,
            given: said.and_then(|said| said.given.clone()),
            offer: said.and_then(|said| said.offer.clone()),
            contested: status::was_contested(said, generation)
                .then(|| last_writer.unwrap_or_else(|| "somebody".to_owned())),
            ..Facts::default()
        };
        let before = said.and_then(|said| said.dependent_liveness.as_ref());
        facts.dependent = resolve::dependent(&service.spec, &facts, before, None);
        let conditions = said.iter().flat_map(|said| &said.conditions);
        let operator = conditions
            .into_iter()
            .find(|condition| condition.type_ == ConditionType::ProbesInstalled.as_str())
            .filter(|condition| condition.observed_generation == Some(generation))
            .map(|condition| format!("{}: {}", condition.reason, condition.message));
        all.push(told(service, &facts, operator).map_err(|findings| {
            let words: Vec<String> = findings.iter().map(|it| it.message.clone()).collect();
            Error::Usage(format!("{namespace}/{}: {}", service.name_any(), words.join("; ")))
        })?);
    }
    Ok(all)
}

/// As people read it.
fn text(told: &Told) -> String {
    let diff = &told.diff;
    let mut text = format!(
        "{}, container {}, for ObservedService {}/{}\n",
        told.workload, diff.container, told.namespace, told.name
    );
    let mut line = |words: &str| {
        let _ = writeln!(text, "{}", clean(words));
    };
    for entry in &diff.probes {
        for words in lines(entry) {
            line(&words);
        }
    }
    if !diff.other_containers.is_empty() {
        line(&format!("Left alone: container {}", diff.other_containers.join(", ")));
    }
    if let (Some((_, seconds)), Some(comes)) = (&diff.gift, diff.comes) {
        let how = match comes {
            Comes::ByPatch => "Given in one patch, which rolls the pods once, after".to_owned(),
            Comes::WithARollout => format!(
                "Added by the policy {ADMIT_POLICY} in a rollout of the workload's own, so that none is rolled out for them, the next one after"
            ),
        };
        line(&format!(
            "{how} every running pod has answered as it must for {seconds} s"
        ));
    }
    for why in &diff.waits_for {
        line(&format!("Not now: {why}"));
    }
    if let Some(snippet) = &diff.snippet {
        line(&format!(
            "To have them in the source of the workload too, {}:",
            snippet.place
        ));
        for field in yaml::to_string([&snippet.content]).lines() {
            line(&format!("    {field}"));
        }
    }
    if let Some(operator) = &told.operator {
        line(&format!("The operator says {operator}"));
    }
    text
}

fn lines(entry: &Entry) -> Vec<String> {
    let now = entry.now.as_deref().unwrap_or_default();
    let (sign, head) = match entry.change {
        Change::Add => ("+", format!("{}: # {}", entry.field, entry.why)),
        Change::Update => ("~", format!("{}: # {}; now {now}", entry.field, entry.why)),
        Change::Keep => ("=", format!("{}: {now} # {}", entry.field, entry.why)),
        Change::None => ("!", format!("{}: # {}", entry.field, entry.why)),
    };
    let mut lines = vec![format!("{sign} {head}")];
    if let Some(then) = &entry.then {
        let then: &Value = then;
        let yaml = yaml::to_string([then]);
        lines.extend(yaml.lines().map(|field| format!("{sign}   {field}")));
    }
    lines
}
