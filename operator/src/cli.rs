//! The command line: arguments in, the stages called, text and an exit status out. Never a decision.
//!
//! Exit status: 0 fine, 1 findings in what was given, 2 wrong usage or something that could not be read or written.

mod cluster;
mod completions;
mod crds;
mod diff;
mod docs;
mod doctor;
mod drill;
mod input;
mod lint;
mod output;
mod preview;
mod probes;
mod rbac;
mod render;
mod run;
mod status;
mod version;

use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::settings::{Settings, file};

/// Gives a running service probes, scraping, alerts and a dashboard, and verifies that each of them works.
#[derive(Debug, Parser)]
#[command(name = "observed", version, propagate_version = true, arg_required_else_help = true, after_help = EXAMPLES)]
struct Line {
    #[command(subcommand)]
    verb: Verb,
}

const EXAMPLES: &str = "\
Examples:
  observed lint -f service.yaml                           say what is wrong with an ObservedService
  observed render -f service.yaml                         show what a cluster would get
  observed drill -f service.yaml                          prove that its alerts fire, and when they do not
  observed status claude-api -n prod                      say how a service stands, and what to do
  observed diff claude-api -n prod                        say which probes its workload would be given, and why
  observed preview -f service.yaml --drill HighErrorRate  draw its dashboard as a page, without Grafana
  observed doctor -n prod                                 find what is dead in the monitoring of a namespace
  source <(observed completions bash)                     complete on the command line

Exit status: 0 fine, 1 findings in what was given, 2 wrong usage or something that could not be read or written.";

#[derive(Debug, Subcommand)]
enum Verb {
    /// Run the operator.
    #[command(after_help = run::EXAMPLES)]
    Run(Box<Settings>),
    /// Show the objects that follow from ObservedServices, without a cluster.
    #[command(after_help = render::EXAMPLES)]
    Render(render::Args),
    /// Say everything that is wrong with ObservedServices, each with its place in the file.
    #[command(after_help = lint::EXAMPLES)]
    Lint(lint::Args),
    /// Prove the alerts: let promtool play each fault, and say which alert fires and which stays silent.
    #[command(after_help = drill::EXAMPLES)]
    Drill(drill::Args),
    /// Say how ObservedServices stand: every condition, since when, and the next step.
    #[command(after_help = status::EXAMPLES)]
    Status(status::Args),
    /// Say what would change in a workload, probe by probe, and why; nothing is written.
    #[command(after_help = diff::EXAMPLES)]
    Diff(diff::Args),
    /// Keep the probes that were given without a trace of Observed, or take them out again, after a yes.
    #[command(after_help = probes::EXAMPLES)]
    Probes(probes::Args),
    /// Draw the dashboard of an ObservedService as one page, from a Prometheus or from a drill, without Grafana.
    #[command(after_help = preview::EXAMPLES)]
    Preview(preview::Args),
    /// Find what is silently dead in the monitoring of a cluster, with your own rights, and say how to mend it.
    #[command(after_help = doctor::EXAMPLES)]
    Doctor(Box<doctor::Args>),
    /// Print the CustomResourceDefinitions, or install and upgrade them.
    #[command(after_help = crds::EXAMPLES)]
    Crds(crds::Args),
    /// Print the ServiceAccount, roles and bindings that the operator needs.
    #[command(after_help = rbac::EXAMPLES)]
    Rbac(rbac::Args),
    /// Print a page of the reference.
    #[command(after_help = docs::EXAMPLES)]
    Docs(docs::Args),
    /// Print the version.
    #[command(after_help = version::EXAMPLES)]
    Version(version::Args),
    /// Print the completions of a shell.
    #[command(after_help = completions::EXAMPLES)]
    Completions(completions::Args),
}

/// What the given resources are.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Outcome {
    /// They can be used.
    Fine,
    /// They cannot, and the findings say why.
    Findings,
}

/// The command could not be carried out.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("cannot read {name}")]
    Read { name: String, source: std::io::Error },
    #[error("cannot read {0}: it is not text in UTF-8")]
    NotText(String),
    #[error("{name} does not hold facts: {words}")]
    Facts { name: String, words: String },
    #[error("{0}")]
    Usage(String),
    #[error("cannot write {name}")]
    Write { name: String, source: std::io::Error },
    #[error(transparent)]
    Promtool(#[from] drill::PromtoolError),
    #[error("cannot write to standard output")]
    Print(#[source] std::io::Error),
    #[error("cannot write it as YAML")]
    Yaml(#[from] serde_saphyr::ser::Error),
    #[error("cannot write it as JSON")]
    Json(#[from] serde_json::Error),
    #[error(transparent)]
    Packs(#[from] observed_core::packs::PackError),
    #[error("cannot read the cluster: {0}")]
    Cluster(String),
    #[error("cannot start")]
    Start(#[source] std::io::Error),
    #[error(transparent)]
    Run(Box<crate::process::Error>),
}

impl Error {
    /// The cluster could not be read.
    #[allow(clippy::needless_pass_by_value)] // it is what map_err passes
    fn cluster(error: impl std::error::Error) -> Self {
        Self::Cluster(error.to_string())
    }
}

/// Reads the arguments and does what they say.
pub fn main() -> ExitCode {
    let command = Line::command();
    let arguments = match file::with_file(&command, "run", std::env::args_os().collect()) {
        Ok(arguments) => arguments,
        Err(error) => return refused(&error),
    };
    let line = Line::from_arg_matches(&command.get_matches_from(arguments)).unwrap_or_else(|error| error.exit());
    let done = match line.verb {
        Verb::Run(settings) => run::run(*settings),
        Verb::Render(args) => render::render(&args),
        Verb::Lint(args) => lint::lint(&args),
        Verb::Drill(args) => drill::drill(&args),
        Verb::Status(args) => status::status(&args),
        Verb::Diff(args) => diff::diff(&args),
        Verb::Probes(args) => probes::probes(&args),
        Verb::Preview(args) => preview::preview(&args),
        Verb::Doctor(args) => doctor::doctor(&args),
        Verb::Crds(args) => crds::crds(&args),
        Verb::Rbac(args) => rbac::rbac(&args),
        Verb::Docs(args) => docs::docs(&args),
        Verb::Version(args) => version::version(&args),
        Verb::Completions(args) => completions::completions(&args),
    };
    match done {
        Ok(Outcome::Fine) => ExitCode::SUCCESS,
        Ok(Outcome::Findings) => ExitCode::from(1),
        // Who closes the pipe has read enough.
        Err(Error::Print(error)) if error.kind() == std::io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => refused(&error),
    }
}

/// Says why nothing was done: an error on one line, findings each on its own.
fn refused(error: &(dyn std::error::Error + 'static)) -> ExitCode {
    match error.downcast_ref() {
        Some(file::Error::Wrong(findings)) => output::note(lint::lines(findings).trim_end()),
        _ => output::note(&format!("error: {}", words(error))),
    }
    ExitCode::from(2)
}

/// An error and what caused it, on one line.
fn words(error: &(dyn std::error::Error + 'static)) -> String {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        // Some errors say what their cause says.
        if !words.ends_with(&text) {
            words.push_str(": ");
            words.push_str(&text);
        }
        cause = error.source();
    }
    words.lines().map(str::trim).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound_and_every_verb_has_an_example() {
        let mut command = Line::command();
        command.clone().debug_assert();
        command.build();
        for verb in command.get_subcommands().filter(|verb| verb.get_name() != "help") {
            let help = verb.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(
                help.contains(&format!("observed {}", verb.get_name())),
                "{}",
                verb.get_name()
            );
        }
    }

    #[test]
    fn an_error_is_told_with_its_causes_on_one_line() {
        let source = std::io::Error::other("first\n  second");
        let error = Error::Read {
            name: "a.yaml".into(),
            source,
        };
        assert_eq!(words(&error), "cannot read a.yaml: first second");
    }
}
