//! `observed render`: what a cluster would get.

use clap::ValueEnum;
use clap::builder::PossibleValuesParser;
use observed_core::child::{Body, Child};
use observed_core::gift::Gift;
use observed_core::outputs::{self, OUTPUTS, Ownership};
use observed_core::packs::Packs;
use observed_core::plan::Plan;
use observed_core::yaml;
use serde_json::{Value, json};

use super::input::{Given, Input};
use super::{Error, Outcome, output};

pub(super) const EXAMPLES: &str = "\
Examples:
  observed render -f service.yaml
  observed render -f services/ --only prometheus-rule
  observed render -f service.yaml --facts facts.yaml -o json
  observed render -f service.yaml --only probes > probes.yaml
  kubectl -n prod patch deployment claude-api --patch-file probes.yaml

It is computed as the operator does it, with what can be assumed of a workload: one container with a port `http`, a
Service of the workload's name, no probes. --facts says otherwise. If anything is wrong, nothing is printed but the
findings, on standard error.";

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    input: Input,
    /// Form of the output: documents of YAML, or one List in JSON.
    #[arg(short, long, value_enum, default_value = "yaml")]
    output: Format,
    /// Only this output. `probes` are no object of their own: they come as a patch for `kubectl patch`.
    #[arg(long, value_name = "OUTPUT", value_parser = PossibleValuesParser::new(OUTPUTS.iter().map(|output| output.id())))]
    only: Option<String>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum Format {
    Yaml,
    Json,
}

pub(super) fn render(args: &Args) -> Result<Outcome, Error> {
    let packs = Packs::builtin()?.without_drills();
    let text = match args.only.as_deref() {
        Some(only) if is_gift(only) => gift(args, &packs)?,
        only => objects(args, &packs, only)?,
    };
    let Some(text) = text else {
        return Ok(Outcome::Findings);
    };
    output::print_exactly(&text)?;
    Ok(Outcome::Fine)
}

/// The patch. None: something is wrong, and was told.
fn gift(args: &Args, packs: &Packs) -> Result<Option<String>, Error> {
    let planned = args.input.plan(packs)?;
    if planned.is_refused() {
        return Ok(None);
    }
    patch(args.output, &planned.plans).map(Some)
}

/// The objects. None: something is wrong, and was told.
fn objects(args: &Args, packs: &Packs, only: Option<&str>) -> Result<Option<String>, Error> {
    let mut rendered = Rendered::default();
    let planned = args
        .input
        .plan_each(packs, |given| rendered.add(args.output, given, only))?;
    if planned.is_refused() {
        return Ok(None);
    }
    planned.plans.into_iter().collect::<Result<(), _>>()?;
    rendered.notes.iter().for_each(|note| output::note(note));
    let text = match args.output {
        Format::Yaml => rendered.documents,
        Format::Json => output::json(&json!({"apiVersion": "v1", "kind": "List", "items": rendered.items}))?,
    };
    Ok(Some(text))
}

fn is_gift(id: &str) -> bool {
    let gifts = |output: &&&dyn outputs::Output| output.ownership() == Ownership::Contributed;
    OUTPUTS.iter().filter(gifts).any(|output| output.id() == id)
}

/// The objects that are Observed's own, in the form that was asked for.
#[derive(Default)]
struct Rendered {
    documents: String,
    items: Vec<Value>,
    /// What would be given to the workloads.
    notes: Vec<String>,
}

impl Rendered {
    fn add(&mut self, format: Format, (plan, gift): Given, only: Option<&str>) -> Result<(), Error> {
        let wanted = OUTPUTS
            .iter()
            .filter(|output| only.is_none_or(|only| only == output.id()));
        let objects = wanted.flat_map(|output| output.render(&plan)).filter_map(owned);
        self.notes
            .extend(gift.filter(|_| only.is_none()).map(|gift| given(&plan, &gift)));
        match format {
            Format::Yaml => yaml::append(&mut self.documents, objects)?,
            Format::Json => self.items.extend(objects),
        }
        Ok(())
    }
}

fn owned(child: Child) -> Option<Value> {
    match child.body {
        Body::Owned(object) => Some(object),
        Body::Gift(_) | Body::TakeBack(_) | Body::Will(_) => None,
    }
}

fn given(plan: &Plan, gift: &Gift) -> String {
    let probes = gift
        .probes
        .iter()
        .map(|(kind, shape)| format!("\n  {kind}: {}", shape.words()));
    format!(
        "note: {} would be given, if its pods answer (--only probes prints them as a patch):{}",
        workload(plan),
        probes.collect::<String>()
    )
}

/// The gift as `kubectl patch` takes it. There is one at most, because a patch file holds one.
fn patch(format: Format, plans: &[Given]) -> Result<String, Error> {
    let [(plan, gift)] = plans else {
        return Err(Error::Usage(format!(
            "a patch is for one workload, and {} ObservedServices were given",
            plans.len()
        )));
    };
    let Some(gift) = gift else {
        output::note(&format!(
            "note: nothing would be given to {}: {}",
            workload(plan),
            plan.probes.message
        ));
        return Ok(String::new());
    };
    match format {
        Format::Yaml => Ok(format!(
            "# kubectl -n {} patch {} {} --patch-file THIS_FILE\n{}",
            plan.owner.namespace,
            plan.target.kind.as_str().to_lowercase(),
            plan.target.name,
            yaml::to_string([&gift.patch()])?
        )),
        Format::Json => output::json(&gift.patch()),
    }
}

fn workload(plan: &Plan) -> String {
    let kind = plan.target.kind.as_str();
    format!("{kind} {}/{}", plan.owner.namespace, plan.target.name)
}
