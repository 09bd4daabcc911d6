//! `observed preview`: the dashboard as one page.

use std::collections::BTreeSet;
use std::path::PathBuf;

use futures::{StreamExt as _, TryStreamExt as _, stream};
use observed_core::drill::{self, DrillFile, replay};
use observed_core::outputs;
use observed_core::packs::Packs;
use observed_core::plan::Plan;
use observed_core::preview::{self, Answer, Answers, Span};
use observed_core::{duration, finding};

use super::cluster::connected;
use super::drill::{PromtoolError, promtool};
use super::input::Input;
use super::{Error, Outcome, output};
use crate::settings::Servers;
use crate::settings::access::PrometheusAccess;
use crate::verify::{self, Prometheus};

/// Queries that a Prometheus is asked at once.
const AT_ONCE: usize = 4;

pub(super) const EXAMPLES: &str = "\
Examples:
  observed preview -f service.yaml --drill HighErrorRate -o preview.html
  kubectl -n monitoring port-forward svc/prometheus-operated 9090 &
  observed preview -f service.yaml --prometheus-url http://localhost:9090 --last 1h -o preview.html

The page shows what Grafana would show. It is one file with drawings as SVG, loads nothing and runs nothing. With
--drill it shows the first fault on which the alert must fire, as promtool plays it: every recorded series and alert
included. What the fault has no series of is \"no data\" there.";

#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("values").required(true).multiple(true).args(["prometheus-url", "drill"]))]
pub(super) struct Args {
    #[command(flatten)]
    input: Input,
    #[command(flatten)]
    prometheus: PrometheusAccess,
    /// The alert whose drill is shown. No Prometheus is asked then.
    #[arg(long, value_name = "ALERT")]
    drill: Option<String>,
    /// How long before now it begins, with --prometheus-url.
    #[arg(long, value_name = "DURATION", default_value = "3h", conflicts_with = "drill")]
    last: String,
    /// The promtool to run, with --drill: a path, or a name on the PATH.
    #[arg(long, value_name = "PROGRAM", env = "PROMTOOL", default_value = "promtool")]
    promtool: PathBuf,
    /// File for the page. Default: standard output.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

pub(super) fn preview(args: &Args) -> Result<Outcome, Error> {
    let planned = args.input.plan(&Packs::builtin()?)?;
    if planned.is_refused() {
        return Ok(Outcome::Findings);
    }
    let [(plan, _)] = planned.plans.as_slice() else {
        return Err(Error::Usage(format!(
            "a page shows one service, and {} ObservedServices were given: name the file of one with -f",
            planned.plans.len()
        )));
    };
    let page = match (&args.drill, args.prometheus.url()) {
        (None, Some(url)) => live(plan, url, args)?,
        (drill, _) => drilled(plan, drill.as_deref().unwrap_or_default(), args)?,
    };
    match &args.output {
        Some(file) => output::whole(file, page.as_bytes())?,
        None => output::print_exactly(&page)?,
    }
    Ok(Outcome::Fine)
}

/// The page from a drill, played by promtool.
fn drilled(plan: &Plan, alert: &str, args: &Args) -> Result<String, Error> {
    let replay = replay::replay(plan, alert).ok_or_else(|| unknown(plan, alert))?;
    let (span, name) = (Span::of(&replay), replay.name().to_owned());
    let dashboard = outputs::dashboard(plan);
    let questions = preview::questions(&dashboard, &span);
    let file = DrillFile {
        name: "preview",
        text: replay.file(promtool::RULES, &questions)?,
    };
    let mut played = promtool::play(&args.promtool, &drill::rules_file(plan)?, &[file], None)?;
    let failures = played.remove(&name).ok_or(PromtoolError::NotPlayed(name.clone()))?;
    let replayed = replay::read(&failures).ok_or(PromtoolError::NotRead)?;
    let answers = preview::replayed(&questions, replayed);
    Ok(preview::page(&dashboard, &span, &answers, &format!("Drill: {name}")))
}

fn unknown(plan: &Plan, alert: &str) -> Error {
    let mut names: Vec<String> = drill::tests(plan)
        .filter(|test| test.fires_by_seconds.is_some())
        .map(|test| test.alert)
        .collect();
    names.dedup();
    let meant = finding::nearest(alert, names.iter().map(String::as_str));
    let meant = meant.map(|name| format!("did you mean {name:?}? ")).unwrap_or_default();
    Error::Usage(format!(
        "--drill {alert:?}: the service has no such alert; {meant}It has {}",
        names.join(", ")
    ))
}

/// The page from a Prometheus.
fn live(plan: &Plan, url: &str, args: &Args) -> Result<String, Error> {
    let last = &args.last;
    let servers = Servers {
        prometheus: (&args.prometheus).into(),
        ..Servers::default()
    };
    let seconds = duration::seconds(last).ok_or_else(|| {
        Error::Usage(format!(
            "--last {last:?}: it must be a duration in d, h, m and s, like 3h or 1d12h"
        ))
    })?;
    let now = jiff::Timestamp::now().as_second();
    let span = Span::last(seconds, now, plan.scrape.interval_seconds);
    let dashboard = outputs::dashboard(plan);
    let questions = preview::questions(&dashboard, &span);
    let answers = connected(answers(servers, url, questions, &span))?.map_err(|error| refused(url, &error))?;
    Ok(preview::page(
        &dashboard,
        &span,
        &answers,
        &format!("Prometheus: {url}"),
    ))
}

async fn answers(
    servers: Servers,
    base: &str,
    questions: BTreeSet<String>,
    span: &Span,
) -> Result<Answers, verify::Error> {
    let client = &Prometheus::new(servers)?;
    let asked = stream::iter(questions).map(async |question| {
        let answer = answer(client.values(base, &question, span).await)?;
        Ok((question, answer))
    });
    asked.buffer_unordered(AT_ONCE).try_collect().await
}

/// A query that is refused is the matter of its panel; everything else is that of the whole page.
fn answer(answered: Result<Vec<preview::Series>, verify::Error>) -> Result<Answer, verify::Error> {
    match answered {
        Err(error @ verify::Error::Status { status: 400 | 422, .. }) => Ok(Err(error.to_string())),
        Err(error @ verify::Error::TooLarge { .. }) => Ok(Err(error.to_string())),
        other => other.map(Ok),
    }
}

fn refused(url: &str, error: &verify::Error) -> Error {
    let words = match error {
        verify::Error::NoAnswer { words, .. } => {
            format!("nobody answers ({words}); `kubectl port-forward` brings a Prometheus of a cluster here")
        }
        other => other.to_string(),
    };
    Error::Usage(format!("--prometheus-url {url:?}: {words}"))
}
