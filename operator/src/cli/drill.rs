//! `observed drill`: every alert played through by promtool.

pub(super) mod promtool;

use std::fs;
use std::path::{Path, PathBuf};

use comfy_table::{Table, presets};
use observed_core::drill::{self, Test};
use observed_core::duration;
use observed_core::packs::Packs;
use observed_core::plan::Plan;
use serde::Serialize;
use serde_json::json;

use super::input::Input;
use super::output::{self, Format};
use super::{Error, Outcome};

pub(super) use promtool::PromtoolError;

pub(super) const EXAMPLES: &str = "\
Examples:
  observed drill -f service.yaml
  observed drill -f service.yaml --alert HighErrorRate
  observed drill -f services/ -o json | jq '.services[].alerts[] | select(.failures != [])'
  observed drill -f services/ --out drills && promtool test rules drills/*-drills*.yaml

Each alert carries its drill: faults in which it must fire, and harmless things (no traffic, a restart, a counter that
begins anew, a value just below the threshold, the same fault at a namesake) in which it must not. They follow the
thresholds of the service. BY is the time since the start of the drill by which the alert must fire. Before that start there
is nothing, so that a fault fills a window of days at once. promtool 3 comes with Prometheus:
go install github.com/prometheus/prometheus/cmd/promtool.

Exit status: 0 every alert is proven, 1 one is not or the ObservedServices have findings, 2 promtool could not be run.";

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    input: Input,
    /// Form of the output.
    #[arg(short, long, value_enum, default_value = "text", conflicts_with = "out")]
    output: Format,
    /// Only this alert.
    #[arg(long, value_name = "NAME", conflicts_with = "out")]
    alert: Option<String>,
    /// The promtool to run: a path, or a name on the PATH.
    #[arg(
        long,
        value_name = "PROGRAM",
        env = "PROMTOOL",
        default_value = "promtool",
        conflicts_with = "out"
    )]
    promtool: PathBuf,
    /// Run nothing: write a rule file and its promtool unit tests for each service into this directory.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// The alerts of one service, played through.
#[derive(Debug, Serialize)]
struct Drilled {
    namespace: String,
    name: String,
    alerts: Vec<Proof>,
}

/// One alert, played through.
#[derive(Debug, Default, Serialize)]
struct Proof {
    alert: String,
    fires: Tally,
    /// Seconds after the start of the drill by which it must fire.
    #[serde(rename = "firesBySeconds")]
    fires_by_seconds: u32,
    silent: Tally,
    failures: Vec<Failure>,
}

/// How many cases there are, and in how many the alert did as it must.
#[derive(Clone, Copy, Debug, Default, Serialize)]
struct Tally {
    passed: usize,
    cases: usize,
}

/// A case in which the alert did not do as it must.
#[derive(Debug, Serialize)]
struct Failure {
    case: String,
    promtool: Vec<String>,
}

pub(super) fn drill(args: &Args) -> Result<Outcome, Error> {
    let planned = args.input.plan(&Packs::builtin()?)?;
    if planned.is_refused() {
        return Ok(Outcome::Findings);
    }
    let plans = planned.plans.iter().map(|(plan, _)| plan);
    if let Some(directory) = &args.out {
        return write(directory, plans);
    }
    let mut services = Vec::new();
    for plan in plans {
        services.push(played(plan, args)?);
    }
    let known = services.iter().any(|service| !service.alerts.is_empty());
    if let (Some(alert), false) = (&args.alert, known) {
        return Err(Error::Usage(format!(
            "no service has an alert {alert:?}: observed render --only prometheus-rule shows those that there are"
        )));
    }
    let text = match args.output {
        Format::Json => output::json(&json!({"services": services}))?,
        Format::Text => services.iter().map(table).collect(),
    };
    output::print(&text)?;
    let proven = services
        .iter()
        .flat_map(|service| &service.alerts)
        .all(|alert| alert.failures.is_empty());
    Ok(if proven { Outcome::Fine } else { Outcome::Findings })
}

/// Plays the drills of one service.
fn played(plan: &Plan, args: &Args) -> Result<Drilled, Error> {
    let wanted = |test: &Test| args.alert.as_ref().is_none_or(|alert| test.alert == *alert);
    let tests: Vec<Test> = drill::tests(plan).filter(wanted).collect();
    let mut drilled = Drilled {
        namespace: plan.owner.namespace.clone(),
        name: plan.owner.name.clone(),
        alerts: Vec::new(),
    };
    if tests.is_empty() {
        return Ok(drilled);
    }
    let (rules, drills) = (drill::rules_file(plan)?, drill::drills(plan, promtool::RULES)?);
    let played = promtool::play(&args.promtool, &rules, &drills, args.alert.as_deref())?;
    for test in tests {
        if drilled.alerts.last().is_none_or(|last| last.alert != test.alert) {
            drilled.alerts.push(Proof {
                alert: test.alert.clone(),
                ..Proof::default()
            });
        }
        let Some(proof) = drilled.alerts.last_mut() else {
            continue;
        };
        let wrong = played
            .get(&test.name)
            .ok_or(PromtoolError::NotPlayed(test.name.clone()))?;
        let tally = if let Some(seconds) = test.fires_by_seconds {
            proof.fires_by_seconds = proof.fires_by_seconds.max(seconds);
            &mut proof.fires
        } else {
            &mut proof.silent
        };
        tally.cases += 1;
        if wrong.is_empty() {
            tally.passed += 1;
        } else {
            proof.failures.push(Failure {
                case: test.name,
                promtool: wrong.clone(),
            });
        }
    }
    Ok(drilled)
}

/// The alerts of a service as a table, and below it what went wrong.
fn table(service: &Drilled) -> String {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_header(["ALERT", "FIRES", "BY", "SILENT", "RESULT"]);
    for proof in &service.alerts {
        let of = |tally: Tally| format!("{} of {}", tally.passed, tally.cases);
        let result = if proof.failures.is_empty() { "proven" } else { "FAILED" };
        table.add_row([
            proof.alert.clone(),
            of(proof.fires),
            duration::text(proof.fires_by_seconds),
            of(proof.silent),
            result.to_owned(),
        ]);
    }
    let mut text = format!("{}/{}\n{}\n", service.namespace, service.name, table.trim_fmt());
    for failure in service.alerts.iter().flat_map(|proof| &proof.failures) {
        text += &format!("\n{}\n", failure.case);
        for words in &failure.promtool {
            text += &format!("  {}\n", words.replace('\n', "\n  "));
        }
    }
    text + "\n"
}

/// Writes the rules and the drills of each service: `<namespace>.<name>-rules.yaml` and `-drills.yaml`.
fn write<'a>(directory: &Path, plans: impl Iterator<Item = &'a Plan>) -> Result<Outcome, Error> {
    fs::create_dir_all(directory).map_err(|source| Error::Write {
        name: directory.display().to_string(),
        source,
    })?;
    for plan in plans {
        // A namespace holds no dot, so that no two services have one name for their files.
        let stem = format!("{}.{}", plan.owner.namespace, plan.owner.name);
        let rules = format!("{stem}-rules.yaml");
        let drills = drill::drills(plan, &rules)?;
        let drills = drills
            .into_iter()
            .map(|file| (format!("{stem}-{}.yaml", file.name), file.text));
        for (name, text) in std::iter::once((rules.clone(), drill::rules_file(plan)?)).chain(drills) {
            let path = directory.join(name);
            output::whole(&path, text.as_bytes())?;
        }
    }
    Ok(Outcome::Fine)
}
