//! `observed render`: what a cluster would get.

use clap::ValueEnum;
use clap::builder::PossibleValuesParser;
use observed_core::child::{Body, Child};
use observed_core::gift::Gift;
use observed_core::outputs::{self, OUTPUTS, Ownership};
use observed_core::packs::Packs;
use observed_core::plan::Plan;
use observed_core::yaml;
use serde_json::Value;

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
    match args.only.as_deref() {
        Some(only) if is_gift(only) => gift(args, &packs),
        only => objects(args, &packs, only),
    }
}

/// The patch.
fn gift(args: &Args, packs: &Packs) -> Result<Outcome, Error> {
    let planned = args.input.plan(packs)?;
    if planned.is_refused() {
        return Ok(Outcome::Findings);
    }
    output::print_exactly(&patch(args.output, &planned.plans)?)?;
    Ok(Outcome::Fine)
}

/// The objects.
fn objects(args: &Args, packs: &Packs, only: Option<&str>) -> Result<Outcome, Error> {
    let mut rendered = Rendered::default();
    let planned = args
        .input
        .plan_each(packs, |given| rendered.add(args.output, given, only))?;
    if planned.is_refused() {
        return Ok(Outcome::Findings);
    }
    planned.plans.into_iter().collect::<Result<(), _>>()?;
    rendered.notes.iter().for_each(|note| output::note(note));
    output::print_each(&rendered.pieces(args.output))?;
    Ok(Outcome::Fine)
}

fn is_gift(id: &str) -> bool {
    let gifts = |output: &&&dyn outputs::Output| output.ownership() == Ownership::Contributed;
    OUTPUTS.iter().filter(gifts).any(|output| output.id() == id)
}

/// How long a text is when the next one begins, and what the last resource in it may take beyond that without a copy.
const LONG_BYTES: usize = 1 << 20;
const ROOM_BYTES: usize = 256 << 10;

/// The objects that are Observed's own, in the form that was asked for.
#[derive(Default)]
struct Rendered {
    /// Those of many resources each: memory that grows is copied, and a text for each of thousands would be too.
    texts: Vec<String>,
    /// The one that is written.
    text: String,
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
            Format::Yaml => yaml::append(&mut self.text, objects),
            Format::Json => {
                for object in objects {
                    let item = serde_json::to_string_pretty(&object)?;
                    let comma = if self.text.is_empty() { "" } else { "," };
                    // No text of JSON holds a line break.
                    self.text
                        .extend([comma, "\n", &item].map(|it| it.replace('\n', "\n    ")));
                }
            }
        }
        if self.text.len() > LONG_BYTES {
            let next = String::with_capacity(LONG_BYTES + ROOM_BYTES);
            self.texts.push(std::mem::replace(&mut self.text, next));
        }
        Ok(())
    }

    /// All of it, in the order in which it is printed.
    fn pieces(&self, format: Format) -> Vec<&str> {
        const LIST: &str = "{\n  \"apiVersion\": \"v1\",\n  \"items\": [";
        let texts = || self.texts.iter().chain([&self.text]).filter(|text| !text.is_empty());
        let (begin, between, end) = match format {
            Format::Yaml => ("", "---\n", ""),
            Format::Json if texts().next().is_none() => (LIST, "", "],\n  \"kind\": \"List\"\n}\n"),
            Format::Json => (LIST, ",", "\n  ],\n  \"kind\": \"List\"\n}\n"),
        };
        let texts = texts().enumerate();
        let texts = texts.flat_map(|(at, text)| [if at == 0 { "" } else { between }, text]);
        std::iter::once(begin).chain(texts).chain([end]).collect()
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
            yaml::to_string([&gift.patch()])
        )),
        Format::Json => output::json(&gift.patch()),
    }
}

fn workload(plan: &Plan) -> String {
    let kind = plan.target.kind.as_str();
    format!("{kind} {}/{}", plan.owner.namespace, plan.target.name)
}
