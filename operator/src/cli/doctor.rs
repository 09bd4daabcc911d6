//! `observed doctor`: what is silently dead in the monitoring that is there.

mod bundle;
mod fix;
mod in_cluster;
mod sarif;

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::ValueEnum;
use observed_core::doctor::{self, Diagnosis, Finding, Scope, Severity, Snapshot};
use serde_json::json;

use super::cluster::{Access, connected};
use super::input;
use super::output;
use super::{Error, Outcome};
use crate::settings::Servers;
use crate::settings::access::{AlertmanagerAccess, GrafanaAccess, PrometheusAccess};
use crate::snapshot::snapshot;

pub(super) const EXAMPLES: &str = "\
Examples:
  observed doctor                              the namespace of the kubeconfig
  observed doctor claude-api -n prod           what belongs to one workload, Service or monitor
  observed doctor -A --strict                  the whole cluster; warnings count too
  observed doctor -A -o sarif > doctor.sarif   for a code scanner
  observed doctor -n prod --fix                show each change as a diff, and make it after a yes
  observed doctor --bundle seen.tar.gz         write what was seen into an archive, without what is secret
  observed doctor -f manifests/                files, without a cluster
  observed doctor --in-cluster                 in a pod of the operator: whether it can do its work
  observed doctor --prometheus-url http://localhost:9090 --alertmanager-url http://localhost:9093
  observed doctor --grafana-url http://localhost:3000 --grafana-token-file token

It reads with your own rights, and writes nothing but what --fix asks about. What you may not read is named, and the rest is judged. docs/doctor.md lists every
rule.";

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Name of a workload, Service or monitor: only what belongs to it. Default: everything.
    #[arg(value_name = "NAME", conflicts_with = "all_namespaces")]
    name: Option<String>,
    /// Namespace. Default: the one of the kubeconfig, or `default`; with --file all that are in the files.
    #[arg(short, long, value_name = "NAMESPACE", conflicts_with = "all_namespaces")]
    namespace: Option<String>,
    /// All namespaces.
    #[arg(short = 'A', long)]
    all_namespaces: bool,
    /// Manifests instead of a cluster: a file, a directory of .yaml, .yml and .json files, or - for standard input. Rules that
    /// need the cluster are named and not run: nobody is asked.
    #[arg(short = 'f', long = "file", value_name = "FILE", num_args = 1.., conflicts_with = "context")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    access: Access,
    #[command(flatten)]
    prometheus: PrometheusAccess,
    #[command(flatten)]
    alertmanager: AlertmanagerAccess,
    #[command(flatten)]
    grafana: GrafanaAccess,
    /// Form of the output.
    #[arg(short, long, value_enum, default_value = "table")]
    output: Form,
    /// Count a warning as much as an error.
    #[arg(long)]
    strict: bool,
    /// Show the change of each finding that has one as a diff, and make it after a yes. Nothing is made when standard input is no
    /// terminal, nor what somebody else manages.
    #[arg(long, conflicts_with_all = ["files", "output"])]
    fix: bool,
    /// Also write a support archive (.tar.gz): the findings, the objects and answers that they were found in, and versions.
    /// Values of environments, annotations, ConfigMaps and headers, commands and addresses of receivers are not in it.
    #[arg(long, value_name = "FILE", conflicts_with = "files")]
    bundle: Option<PathBuf>,
    /// Instead, from a pod with the operator's ServiceAccount: whether this installation of Observed can do its work. --namespace
    /// is the one that it looks after; default: all. `helm test` runs it.
    #[arg(long, conflicts_with_all = ["name", "all_namespaces", "files", "context", "output", "fix", "bundle"])]
    in_cluster: bool,
    /// Lease of the operator, for --in-cluster.
    #[arg(long, env = "OBSERVED_LEASE_NAME", value_name = "NAME", default_value = observed_core::rbac::NAME)]
    lease_name: String,
    /// Address of the operator's secured /metrics, for --in-cluster: with it the operator must be allowed to ask who reads them.
    #[arg(long, env = "OBSERVED_METRICS_LISTEN", value_name = "ADDRESS")]
    metrics_listen: Option<std::net::SocketAddr>,
    /// Print the page about every rule, as it is in docs/doctor.md.
    #[arg(long, hide = true, exclusive = true)]
    page: bool,
}

/// For whom.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum Form {
    /// For people.
    Table,
    /// For programs.
    Json,
    /// For code scanners (SARIF 2.1.0).
    Sarif,
}

impl Args {
    fn servers(&self) -> Servers {
        Servers {
            prometheus: (&self.prometheus).into(),
            alertmanager: (&self.alertmanager).into(),
            grafana: (&self.grafana).into(),
        }
    }
}

pub(super) fn doctor(args: &Args) -> Result<Outcome, Error> {
    if args.page {
        output::print_exactly(&doctor::page())?;
        return Ok(Outcome::Fine);
    }
    if args.in_cluster {
        return in_cluster::look(args);
    }
    let snapshot = if args.files.is_empty() {
        cluster(args)?
    } else {
        files(args)?
    };
    if !doctor::is_known(&snapshot) {
        let (name, namespace) = (&snapshot.scope.name, &snapshot.scope.namespace);
        return Err(Error::Usage(format!(
            "nothing is called {:?} in namespace {:?}: no workload, Service, monitor or label app says so",
            name.as_deref().unwrap_or_default(),
            namespace.as_deref().unwrap_or_default()
        )));
    }
    let diagnosis = doctor::diagnose(&snapshot);
    let text = match args.output {
        Form::Table => table(&diagnosis, &snapshot),
        Form::Json => output::json(&json!({
            "findings": diagnosis.findings,
            "notRun": diagnosis.not_run,
            "unseen": snapshot.not_seen(),
        }))?,
        Form::Sarif => output::json(&sarif::log(&diagnosis))?,
    };
    match args.output {
        Form::Table => output::print(&text)?,
        Form::Json | Form::Sarif => output::print_exactly(&text)?,
    }
    if let Some(path) = &args.bundle {
        bundle::write(path, &args.access, &diagnosis, &snapshot)?;
    }
    let made = match args.fix {
        true => fix::fix(&args.access, &diagnosis, &snapshot)?,
        false => Vec::new(),
    };
    let stops = |finding: &Finding| match finding.severity {
        _ if finding.fix.change.as_ref().is_some_and(|change| made.contains(change)) => false,
        Severity::Error => true,
        Severity::Warning => args.strict,
        Severity::Note => false,
    };
    let stopped = diagnosis.findings.iter().any(stops);
    Ok(if stopped { Outcome::Findings } else { Outcome::Fine })
}

fn cluster(args: &Args) -> Result<Snapshot, Error> {
    connected(async {
        let (client, default) = args.access.client().await?;
        let namespace = args.namespace.clone().unwrap_or(default);
        let scope = Scope {
            namespace: (!args.all_namespaces).then_some(namespace),
            name: args.name.clone(),
        };
        snapshot(&client, scope, args.servers()).await.map_err(Error::cluster)
    })?
}

fn files(args: &Args) -> Result<Snapshot, Error> {
    let sources = input::sources(&args.files)?;
    let namespace = args.namespace.as_deref().unwrap_or("default");
    let (mut read, problems) = doctor::read(&sources, namespace);
    if let Some(problem) = problems.first() {
        let more = match problems.len() {
            1 => String::new(),
            number => format!(" (and {} more)", number - 1),
        };
        return Err(Error::Usage(format!("{problem}{more}")));
    }
    read.scope = Scope {
        namespace: args
            .namespace
            .clone()
            .or_else(|| args.name.as_ref().map(|_| namespace.to_owned())),
        name: args.name.clone(),
    };
    Ok(read)
}

fn table(diagnosis: &Diagnosis, snapshot: &Snapshot) -> String {
    let mut text = String::new();
    for finding in &diagnosis.findings {
        let place = finding
            .place
            .as_ref()
            .map(|place| format!(" ({}:{})", place.file, place.place.line));
        let _ = writeln!(
            text,
            "{}[{}] {}{}\n  seen:   {}\n  effect: {}\n  fix:    {}",
            finding.severity.as_str(),
            finding.rule,
            finding.object,
            place.unwrap_or_default(),
            finding.evidence,
            finding.effect,
            finding.fix.words
        );
        if let Some(command) = &finding.fix.command {
            let _ = writeln!(text, "          {command}");
        }
        text.push('\n');
    }
    let count = |severity: Severity| {
        diagnosis
            .findings
            .iter()
            .filter(|finding| finding.severity == severity)
            .count()
    };
    let _ = writeln!(
        text,
        "{} errors, {} warnings, {} notes. {} of {} rules were run",
        count(Severity::Error),
        count(Severity::Warning),
        count(Severity::Note),
        doctor::RULES.len() - diagnosis.not_run.len(),
        doctor::RULES.len()
    );
    // What several rules lack is told once.
    let mut reasons: Vec<(&str, Vec<&str>)> = Vec::new();
    for not in &diagnosis.not_run {
        match reasons.iter_mut().find(|(because, _)| *because == not.because) {
            Some((_, rules)) => rules.push(not.rule),
            None => reasons.push((&not.because, vec![not.rule])),
        }
    }
    for (because, rules) in reasons {
        let _ = writeln!(text, "not run: {} ({because})", rules.join(", "));
    }
    for words in snapshot.not_seen() {
        let _ = writeln!(text, "not seen: {words}");
    }
    text
}
