//! Settings from a file: under the names of the flags, and only where neither a flag nor the environment says otherwise.

use std::error::Error as _;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use clap::error::{ContextKind, ContextValue};
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command};
use observed_core::finding::{Code, Finding, nearest};
use observed_core::lint::Located;
use observed_core::yaml::{self, Content, Entry, Node};

/// The flag that names the file.
pub const FLAG: &str = "config";

/// Why a file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It cannot be read.
    #[error("cannot read the settings in {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Something in it is wrong.
    #[error("the settings are refused")]
    Wrong(Vec<Located>),
}

/// The arguments with those that the file of the settings stands for: of its values the ones that neither the arguments
/// nor the environment give. Without a file, or where the arguments are of another verb, they are as they were.
///
/// # Errors
/// The file cannot be read, or something in it is wrong: all of it at once.
pub fn with_file(line: &Command, verb: &str, mut arguments: Vec<OsString>) -> Result<Vec<OsString>, Error> {
    if !arguments.iter().any(|argument| argument == verb) {
        return Ok(arguments);
    }
    // What is wrong with the arguments themselves is said when they are read for good.
    let read = line.clone().ignore_errors(true).try_get_matches_from(&arguments);
    let (Ok(read), Some(command)) = (read, line.find_subcommand(verb)) else {
        return Ok(arguments);
    };
    let Some(given) = read.subcommand_matches(verb) else {
        return Ok(arguments);
    };
    let Some(path) = given.get_one::<PathBuf>(FLAG) else {
        return Ok(arguments);
    };
    let more = from_file(command, given, path)?;
    let after = arguments.iter().position(|argument| argument == verb);
    arguments.splice(after.map_or(0, |at| at + 1)..after.map_or(0, |at| at + 1), more);
    Ok(arguments)
}

/// What a file of settings can hold.
pub fn keys(command: &Command) -> impl Iterator<Item = &Arg> {
    let held = |arg: &&Arg| arg.get_env().is_some() && arg.get_long().is_some_and(|long| long != FLAG);
    command.get_arguments().filter(held)
}

fn from_file(command: &Command, given: &ArgMatches, path: &Path) -> Result<Vec<OsString>, Error> {
    let name = path.display().to_string();
    let text = fs::read_to_string(path).map_err(|source| Error::Read {
        path: path.to_owned(),
        source,
    })?;
    let parsed = yaml::parse(&text);
    let mut wrong = Vec::new();
    let mut told = |place, finding| {
        wrong.push(Located {
            file: name.clone(),
            place,
            finding,
        });
    };
    for problem in parsed.problems {
        let finding = Finding::error(Code::Syntax, "", problem.message, problem.help);
        told(problem.place, finding);
    }
    let mut arguments = Vec::new();
    for (index, document) in parsed.documents.iter().enumerate() {
        if index > 0 || !matches!(document.content, Content::Map(_)) {
            let help = "Write one document, with a line KEY: VALUE for each setting, as resync: 60s";
            let finding = Finding::error(Code::WrongType, "", "this is no map of settings", help);
            told(document.place, finding);
            continue;
        }
        for entry in document.entries() {
            let Some(arg) = keys(command).find(|arg| arg.get_long() == Some(entry.key.as_str())) else {
                told(entry.place, unknown(command, &entry.key));
                continue;
            };
            match values(arg, entry, &text) {
                Ok(values) => {
                    let source = given.value_source(arg.get_id().as_str());
                    if matches!(source, None | Some(ValueSource::DefaultValue)) {
                        let flags = values.iter().map(|value| format!("--{}={value}", entry.key).into());
                        arguments.extend(flags);
                    }
                }
                Err(findings) => findings.into_iter().for_each(|(place, finding)| told(place, finding)),
            }
        }
    }
    if wrong.is_empty() {
        return Ok(arguments);
    }
    Err(Error::Wrong(wrong))
}

fn unknown(command: &Command, key: &str) -> Finding {
    let names = || keys(command).filter_map(Arg::get_long);
    let help = match nearest(key, names()) {
        Some(nearest) => format!("Did you mean {nearest:?}?"),
        None => format!("There are: {}", names().collect::<Vec<_>>().join(", ")),
    };
    Finding::error(Code::UnknownField, key, "there is no such setting", help)
}

/// The values of a setting, as a flag would have them.
fn values(arg: &Arg, entry: &Entry, text: &str) -> Result<Vec<String>, Vec<(yaml::Place, Finding)>> {
    let many = matches!(arg.get_action(), ArgAction::Append);
    let nodes = match &entry.value.content {
        Content::List(items) if many => items.as_slice(),
        _ => std::slice::from_ref(&entry.value),
    };
    let mut values = Vec::new();
    let mut wrong = Vec::new();
    for node in nodes {
        match scalar(node, text).and_then(|value| check(arg, &value).map(|()| value)) {
            Ok(value) => values.push(value),
            Err((message, help)) => {
                let code = match node.content {
                    Content::String(_) | Content::Number(_) | Content::Bool(_) => Code::InvalidValue,
                    Content::Null | Content::List(_) | Content::Map(_) => Code::WrongType,
                };
                wrong.push((node.place, Finding::error(code, &entry.key, message, help)));
            }
        }
    }
    if wrong.is_empty() { Ok(values) } else { Err(wrong) }
}

/// What is wrong with a value, and what would be right.
type Words = (String, String);

/// A value as it is written: what YAML takes for a number or a truth may be meant as a name.
fn scalar(node: &Node, text: &str) -> Result<String, Words> {
    let kind = match &node.content {
        Content::String(text) => return Ok(text.clone()),
        Content::Number(_) | Content::Bool(_) => {
            return Ok(text
                .get(node.place.start..node.place.end)
                .unwrap_or_default()
                .to_owned());
        }
        Content::Null => "it has no value",
        Content::List(_) => "it is a list, and one value is asked for",
        Content::Map(_) => "it is a map, and one value is asked for",
    };
    Err((kind.to_owned(), "Write one value, or leave the key out".to_owned()))
}

/// Asks the flag's own parser.
fn check(arg: &Arg, value: &str) -> Result<(), Words> {
    let alone = Arg::new(arg.get_id().clone())
        .long("value")
        .action(arg.get_action().clone())
        .value_delimiter(arg.get_value_delimiter())
        .value_parser(arg.get_value_parser().clone());
    let command = Command::new("settings").no_binary_name(true).arg(alone);
    let Err(error) = command.try_get_matches_from([format!("--value={value}")]) else {
        return Ok(());
    };
    // Whoever does not name the value has a reason: it may be a secret.
    let message = match error.get(ContextKind::InvalidValue) {
        Some(ContextValue::String(value)) => format!("{value:?} is no value of it"),
        _ => "its value is refused".to_owned(),
    };
    let help = match (error.get(ContextKind::ValidValue), error.source()) {
        (Some(ContextValue::Strings(valid)), _) => format!("There are: {}", valid.join(", ")),
        (_, Some(source)) => source.to_string(),
        _ => error.to_string().trim().trim_start_matches("error: ").to_owned(),
    };
    Err((message, help))
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

    use super::*;
    use crate::settings::{Access, Settings};

    #[derive(Parser)]
    struct Line {
        #[command(subcommand)]
        verb: Verb,
    }

    #[derive(Subcommand)]
    enum Verb {
        Run(Box<Settings>),
    }

    fn read(file: &str, arguments: &[&str]) -> Result<Settings, String> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("settings.yaml");
        fs::write(&path, file).unwrap();
        let config = format!("--config={}", path.display());
        let all = ["observed", "run", &config]
            .into_iter()
            .chain(arguments.iter().copied());
        let all = with_file(&Line::command(), "run", all.map(OsString::from).collect());
        let all = all.map_err(|error| {
            let Error::Wrong(wrong) = error else {
                return error.to_string();
            };
            let lines: String = wrong.iter().map(|finding| format!("{finding}\n")).collect();
            lines.replace(path.to_str().unwrap(), "settings.yaml")
        })?;
        let matches = Line::command()
            .try_get_matches_from(all)
            .map_err(|error| error.to_string())?;
        let Verb::Run(settings) = Line::from_arg_matches(&matches).unwrap().verb;
        Ok(*settings)
    }

    #[test]
    fn a_value_of_the_file_holds_unless_a_flag_gives_another() {
        let file = "resync: 5m\nconcurrency: 3\nwatch-namespace: on\nprometheus-url: http://p/\n\
                    prometheus-header: ['X-Scope-OrgID: a', 'X-Other: b']\n";
        let settings = read(file, &["--resync=2m"]).unwrap();
        assert_eq!(settings.resync.as_secs(), 120);
        assert_eq!(settings.concurrency, 3);
        assert_eq!(settings.watch_namespace.as_deref(), Some("on"));
        assert_eq!(settings.lease_name, "observed");
        let access = Access::from(&settings.prometheus);
        assert_eq!((access.url.as_deref(), access.headers.len()), (Some("http://p"), 2));
        // What the flag gives takes the place of the whole list.
        let settings = read(file, &["--prometheus-header=X-Scope-OrgID: c"]).unwrap();
        assert_eq!(Access::from(&settings.prometheus).headers.len(), 1);
    }

    #[test]
    fn what_the_environment_gives_comes_before_the_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("settings.yaml");
        fs::write(&path, "given: from-the-file\nnot-given: from-the-file\n").unwrap();
        let arg = |name: &'static str, variable: &'static str| Arg::new(name).long(name).env(variable);
        let config = arg(FLAG, "OBSERVED_NOT_SET").value_parser(clap::value_parser!(PathBuf));
        // Cargo sets the one, and nobody the other.
        let run = Command::new("run")
            .arg(config)
            .args([arg("given", "CARGO_PKG_NAME"), arg("not-given", "OBSERVED_NOT_SET")]);
        let config = format!("--config={}", path.display());
        let all = ["observed", "run", &config].map(OsString::from).to_vec();
        let joined = with_file(&Command::new("observed").subcommand(run), "run", all).unwrap();
        assert_eq!(joined[2], "--not-given=from-the-file", "{joined:?}");
        assert_eq!(joined.len(), 4, "{joined:?}");
    }

    #[test]
    fn what_a_flag_needs_may_stand_in_the_file_and_what_contradicts_it_is_refused() {
        let token = read("prometheus-url: http://p", &["--prometheus-token-file=/t"]).unwrap();
        assert_eq!(Access::from(&token.prometheus).token_file, Some("/t".into()));
        let both = read(
            "prometheus-url: http://p\nprometheus-basic-auth-file: /b",
            &["--prometheus-token-file=/t"],
        );
        assert!(both.unwrap_err().contains("--prometheus-basic-auth-file"));
        assert!(read("prometheus-token-file: /t", &[]).is_err());
    }

    #[test]
    fn everything_that_is_wrong_is_said_at_once_with_its_place_and_what_would_be_right() {
        let file = "resnyc: 60s\nresync: 60\nlog: xml\nconcurrency: [1, 2]\nlisten:\nconfig: other.yaml\nelephant: 1\n";
        let refused = read(file, &[]).err().unwrap();
        for expected in [
            "settings.yaml:1:1: error[unknown-field]: resnyc: there is no such setting. Did you mean \"resync\"?\n",
            "settings.yaml:2:9: error[invalid-value]: resync: \"60\" is no value of it. not a duration: write it as 90s, 5m or 1h\n",
            "settings.yaml:3:6: error[invalid-value]: log: \"xml\" is no value of it. There are: text, json\n",
            "settings.yaml:4:14: error[wrong-type]: concurrency: it is a list, and one value is asked for. ",
            "error[wrong-type]: listen: it has no value. ",
            "settings.yaml:6:1: error[unknown-field]: config: there is no such setting.",
            "settings.yaml:7:1: error[unknown-field]: elephant: there is no such setting. There are: prometheus-url, ",
        ] {
            assert!(refused.contains(expected), "{expected}\n{refused}");
        }
        for wrong in [
            "- resync: 60s",
            "a: [",
            "resync: 60s\n---\nresync: 60s",
            "resync: 60s\nresync: 61s",
        ] {
            assert!(read(wrong, &[]).is_err(), "{wrong}");
        }
        for nothing in ["", "# resync: 60s\n", "{}"] {
            assert!(read(nothing, &[]).is_ok(), "{nothing:?}");
        }
    }

    #[test]
    fn what_may_be_secret_is_shown_by_no_refusal() {
        let file = "prometheus-url: https://user:hunter2@p\nprometheus-header: ['Authorization: hunter2', hunter2]\n";
        let refused = read(file, &[]).err().unwrap();
        assert!(!refused.contains("hunter2"), "{refused}");
        assert_eq!(refused.lines().count(), 3, "{refused}");
    }

    #[test]
    fn a_file_that_is_not_there_is_refused_by_its_name() {
        let all = ["observed", "run", "--config=/nowhere/settings.yaml"].map(OsString::from);
        let refused = with_file(&Line::command(), "run", all.to_vec()).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "cannot read the settings in /nowhere/settings.yaml"
        );
    }
}
