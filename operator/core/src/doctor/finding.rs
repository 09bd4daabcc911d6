//! One thing that is wrong with one object.

use std::fmt;

use serde::Serialize;

use super::Rule;
use super::kind::Kind;
use super::snapshot::{Object, pairs};
use crate::yaml::Place;

/// How bad it is. The worst first.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Severity {
    /// Something is dead: it is not scraped, not loaded, not shown, not delivered.
    Error,
    /// It works, and will fail when it is needed, or shows something wrong.
    Warning,
    /// Worth knowing.
    Note,
}

impl Severity {
    /// `error`, `warning` or `note`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Note => "note",
        }
    }
}

/// An object.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Reference {
    /// Its namespace. Empty: it has none.
    pub namespace: String,
    /// Its kind.
    pub kind: Kind,
    /// Its name.
    pub name: String,
}

impl fmt::Display for Reference {
    /// `ServiceMonitor prod/api`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind: &str = self.kind.into();
        match self.namespace.as_str() {
            "" => write!(f, "{kind} {}", self.name),
            namespace => write!(f, "{kind} {namespace}/{}", self.name),
        }
    }
}

/// What mends it.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Fix {
    /// What to do.
    pub words: String,
    /// A command that does it, if one is known that is right as it stands.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// What the command does.
    #[serde(skip)]
    pub change: Option<Change>,
}

/// A change of one object.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Change {
    /// The object; not always the one that the finding is about.
    pub object: Reference,
    /// A JSON merge patch of it.
    pub merge: String,
}

/// What a rule found.
#[derive(Clone, Debug)]
pub struct Found {
    /// How bad it is.
    pub severity: Severity,
    /// The object that has to change.
    pub object: Reference,
    /// File and place of the object, if it was read from one.
    pub place: Option<(String, Place)>,
    /// What was seen.
    pub evidence: String,
    /// What mends it.
    pub fix: Fix,
}

impl Found {
    /// An object with something wrong.
    pub fn new(severity: Severity, object: &Object, evidence: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            severity,
            object: object.reference(),
            place: object.place.clone(),
            evidence: evidence.into(),
            fix: Fix {
                words: fix.into(),
                command: None,
                change: None,
            },
        }
    }

    /// With a command that mends it.
    #[must_use]
    pub fn command(mut self, command: impl Into<String>) -> Self {
        self.fix.command = Some(command.into());
        self
    }

    fn change(mut self, object: &Reference, merge: &serde_json::Value) -> Self {
        self.fix.change = Some(Change {
            object: object.clone(),
            merge: merge.to_string(),
        });
        self
    }

    /// With a merge patch of an object that mends it.
    #[must_use]
    pub fn patch(self, object: &Reference, patch: &serde_json::Value) -> Self {
        let command = format!(
            "kubectl patch {} {} --type=merge -p {}",
            object.kind.plural(),
            named(object),
            shell_quoted(&patch.to_string())
        );
        self.command(command).change(object, patch)
    }

    /// With labels that the object, or its namespace, gets.
    #[must_use]
    pub fn label(self, object: &Reference, labels: &std::collections::BTreeMap<String, String>) -> Self {
        let pairs: Vec<String> = pairs(labels).iter().map(|pair| shell_quoted(pair)).collect();
        let command = format!(
            "kubectl label --overwrite {} {} {}",
            object.kind.plural(),
            named(object),
            pairs.join(" ")
        );
        let merge = serde_json::json!({"metadata": {"labels": labels}});
        self.command(command).change(object, &merge)
    }

    pub(super) fn of(self, rule: &Rule) -> Finding {
        Finding {
            severity: self.severity,
            object: self.object,
            rule: rule.id,
            place: self.place.map(|(file, place)| InFile { file, place }),
            evidence: clean(&self.evidence),
            effect: rule.effect,
            fix: Fix {
                words: clean(&self.fix.words),
                command: self.fix.command.as_deref().map(clean),
                change: self.fix.change,
            },
        }
    }
}

fn named(object: &Reference) -> String {
    match object.namespace.as_str() {
        "" => shell_quoted(&object.name),
        namespace => format!("-n {} {}", shell_quoted(namespace), shell_quoted(&object.name)),
    }
}

/// A word that a POSIX shell takes as it stands.
pub(super) fn shell_quoted(text: &str) -> String {
    if !text.is_empty()
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "-_./=:,@".contains(c))
    {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// A foreign text without what would steer a terminal.
fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// Where an object was read.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub struct InFile {
    /// Name of the file.
    pub file: String,
    /// Place in it.
    #[serde(flatten)]
    pub place: Place,
}

/// A finding of a rule.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// The object that has to change.
    pub object: Reference,
    /// Id of the rule.
    pub rule: &'static str,
    /// Where the object was read, if from a file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub place: Option<InFile>,
    /// What was seen.
    pub evidence: String,
    /// What follows for the user.
    pub effect: &'static str,
    /// What mends it.
    pub fix: Fix,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_one_that_a_shell_takes_as_it_is_meant() {
        assert_eq!(shell_quoted("release=kps"), "release=kps");
        assert_eq!(shell_quoted("{\"a\": 1}"), "'{\"a\": 1}'");
        assert_eq!(shell_quoted("it's"), r"'it'\''s'");
        assert_eq!(shell_quoted("$(reboot)"), "'$(reboot)'");
    }
}
