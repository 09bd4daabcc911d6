//! Files with ObservedServices, and what is known or assumed of their workloads.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use observed_core::facts::Facts;
use observed_core::gift::Gift;
use observed_core::lint::{self, Located, Service, Source};
use observed_core::packs::Packs;
use observed_core::plan::Plan;

use super::{Error, output};

/// What stands for standard input.
const STDIN: &str = "-";

#[derive(Debug, clap::Args)]
pub(super) struct Input {
    /// File with ObservedServices, a directory of .yaml, .yml and .json files, or - for standard input.
    #[arg(short = 'f', long = "file", value_name = "FILE", required = true, num_args = 1..)]
    files: Vec<PathBuf>,
    /// Namespace of ObservedServices that name none. Default: `default`. One that names another is a finding.
    #[arg(short, long, value_name = "NAMESPACE")]
    namespace: Option<String>,
    /// Facts about the workload of the one ObservedService that is given, as YAML or JSON. Default: they are assumed
    /// (one container with a port `http`, a Service of the workload's name, no probes).
    #[arg(long, value_name = "FILE")]
    facts: Option<PathBuf>,
}

/// A plan, and what would be given to its workload.
pub(super) type Given = (Plan, Option<Gift>);

/// What was read and what follows from it.
#[derive(Debug)]
pub(super) struct Planned<T = Given> {
    /// The files.
    pub(super) sources: Vec<Source>,
    /// What was made of the ObservedServices that have a plan.
    pub(super) plans: Vec<T>,
    /// Every finding, by file and place.
    pub(super) findings: Vec<Located>,
    /// ObservedServices that could be read.
    pub(super) services: usize,
}

impl<T> Planned<T> {
    /// Tells every finding on standard error. Whether one of them is an error, so that nothing else may be printed.
    pub(super) fn is_refused(&self) -> bool {
        if !self.findings.is_empty() {
            output::note(super::lint::lines(&self.findings).trim_end());
        }
        self.findings.iter().any(Located::is_error)
    }
}

impl Input {
    /// Reads the files and resolves what is in them.
    pub(super) fn plan(&self, packs: &Packs) -> Result<Planned, Error> {
        self.plan_each(packs, |given| given)
    }

    /// The same, with what is made of each plan in its place: to hold thousands of plans costs more than to make them.
    pub(super) fn plan_each<T>(&self, packs: &Packs, mut make: impl FnMut(Given) -> T) -> Result<Planned<T>, Error> {
        let sources = sources(&self.files)?;
        let given = self.facts.as_deref().map(facts).transpose()?;
        let read = lint::read(&sources, self.namespace.as_deref());
        let mut planned = Planned {
            sources,
            findings: read.findings,
            services: read.services.len(),
            plans: Vec::new(),
        };
        if given.is_some() && read.services.len() > 1 {
            return Err(Error::Usage(format!(
                "--facts are about one workload, and {} ObservedServices were given",
                read.services.len()
            )));
        }
        for service in read.services {
            let facts = match &given {
                Some(facts) => of_service(facts.clone(), &service)?,
                None => Facts::assumed(&service.service),
            };
            let (plan, findings) = service.plan(&facts, packs);
            planned.findings.extend(findings);
            planned
                .plans
                .extend(plan.map(|plan| make((plan, service.gift(&facts)))));
        }
        planned
            .findings
            .sort_by(|a, b| (&a.file, a.place, &a.finding).cmp(&(&b.file, b.place, &b.finding)));
        Ok(planned)
    }
}

/// The texts of files and directories, `-` being standard input.
pub(super) fn sources(files: &[PathBuf]) -> Result<Vec<Source>, Error> {
    let stdin = files.iter().filter(|file| file.as_os_str() == STDIN).count();
    if stdin > 1 {
        return Err(Error::Usage("standard input (-) can be given only once".into()));
    }
    let mut sources = Vec::new();
    for file in files {
        if file.as_os_str() == STDIN {
            let mut bytes = Vec::new();
            let read = std::io::stdin().read_to_end(&mut bytes);
            sources.push(source("standard input".into(), read.map(|_| bytes), false)?);
        } else if fs::metadata(file).is_ok_and(|metadata| metadata.is_dir()) {
            let before = sources.len();
            directory(file, &mut sources)?;
            if sources.len() == before {
                let name = file.display();
                return Err(Error::Usage(format!(
                    "{name} holds no file that ends in .yaml, .yml or .json"
                )));
            }
        } else {
            sources.push(source(file.display().to_string(), fs::read(file), false)?);
        }
    }
    Ok(sources)
}

fn source(name: String, bytes: Result<Vec<u8>, std::io::Error>, found: bool) -> Result<Source, Error> {
    let bytes = match bytes {
        Ok(bytes) => bytes,
        Err(source) => return Err(Error::Read { name, source }),
    };
    match String::from_utf8(bytes) {
        Ok(text) => Ok(Source { name, text, found }),
        Err(_) => Err(Error::NotText(name)),
    }
}

/// The files of a directory and of those in it, by name. Hidden ones and linked directories are left out.
fn directory(path: &Path, sources: &mut Vec<Source>) -> Result<(), Error> {
    let unreadable = |source| Error::Read {
        name: path.display().to_string(),
        source,
    };
    let mut entries = Vec::new();
    for entry in fs::read_dir(path).map_err(unreadable)? {
        entries.push(entry.map_err(unreadable)?);
    }
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        let hidden = entry.file_name().to_string_lossy().starts_with('.');
        let is_resource = path
            .extension()
            .and_then(|extension| extension.to_str())
            .is_some_and(|extension| ["yaml", "yml", "json"].contains(&extension));
        if hidden {
            continue;
        }
        if entry.file_type().map_err(unreadable)?.is_dir() {
            directory(&path, sources)?;
        } else if is_resource && !path.is_dir() {
            sources.push(source(path.display().to_string(), fs::read(&path), true)?);
        }
    }
    Ok(())
}

fn facts(file: &Path) -> Result<Facts, Error> {
    let name = file.display().to_string();
    let text = source(name.clone(), fs::read(file), false)?.text;
    serde_saphyr::from_str(&text).map_err(|error| Error::Facts {
        name,
        words: error.without_snippet().to_string(),
    })
}

/// The facts with the name of the service that they are about, where they do not say it.
fn of_service(mut facts: Facts, service: &Service) -> Result<Facts, Error> {
    for (fact, of_service) in [
        (&mut facts.namespace, service.namespace()),
        (&mut facts.name, service.name()),
    ] {
        if fact.is_empty() {
            of_service.clone_into(fact);
        } else if fact != of_service {
            return Err(Error::Usage(format!(
                "the facts are about {fact:?}, and {of_service:?} was given"
            )));
        }
    }
    Ok(facts)
}
