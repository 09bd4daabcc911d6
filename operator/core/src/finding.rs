//! What the user's input could do better. Never an error of ours, never what the world answered.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A finding in an ObservedService.
#[derive(Clone, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// Whether the resource can be used in spite of it.
    pub severity: FindingSeverity,
    /// Which rule found it.
    pub code: Code,
    /// JSON path of the field, as `spec.scrape.port`.
    pub path: String,
    /// What is wrong, with the value.
    pub message: String,
    /// What would be right.
    pub help: String,
}

/// Whether a resource with the finding can be used.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum FindingSeverity {
    /// It cannot be used as it is.
    Error,
    /// It can, but something may not be as the user thinks.
    Warning,
}

/// The rule that made a finding. A closed list, so that scripts may match on it.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, strum::IntoStaticStr)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Code {
    /// The text is not YAML, or holds a key twice.
    Syntax,
    /// The document is of another kind.
    WrongKind,
    /// The file holds no resource.
    NoResource,
    /// A field that the schema does not have.
    UnknownField,
    /// A required field is missing.
    MissingField,
    /// A value of another type than the schema's.
    WrongType,
    /// A value out of the schema's bounds.
    InvalidValue,
    /// A rule across fields is broken.
    BrokenRule,
    /// The workload was not found.
    TargetNotFound,
    /// Another ObservedService has the workload.
    TargetTaken,
    /// The workload has no such container, or several and none is named.
    Container,
    /// The container has no such port, or several and none is named.
    Port,
    /// The Service that selects the pods cannot be scraped as it is.
    Service,
    /// A pack, an alert or a name that does not exist.
    UnknownSignal,
    /// The service was not seen to expose a series or a label that its packs read.
    NotExposed,
    /// An expression cannot be tied to the service.
    Expression,
    /// A SignalPack that the service names cannot be used.
    SignalPack,
    /// A duration that does not fit with another one.
    Duration,
    /// A probe that the container has can hurt it.
    RiskyProbe,
}

impl Finding {
    /// A finding that must be mended.
    pub fn error(code: Code, path: impl Into<String>, message: impl Into<String>, help: impl Into<String>) -> Self {
        Self {
            severity: FindingSeverity::Error,
            code,
            path: path.into(),
            message: message.into(),
            help: help.into(),
        }
    }

    /// A finding that can be lived with.
    pub fn warning(code: Code, path: impl Into<String>, message: impl Into<String>, help: impl Into<String>) -> Self {
        Self {
            severity: FindingSeverity::Warning,
            ..Self::error(code, path, message, help)
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}. {}", self.path, self.message, self.help)
    }
}

/// The candidate that is closest to what was written, if it is close enough to be meant.
pub fn nearest<'a>(written: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(written, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= candidate.len().max(written.len()) / 3 + 1)
        .min()
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typing_mistake_is_answered_with_the_name_that_was_meant() {
        assert_eq!(
            nearest("tragetRef", ["probes", "targetRef", "scrape"]),
            Some("targetRef")
        );
    }

    #[test]
    fn a_word_that_is_like_nothing_gets_no_suggestion() {
        assert_eq!(nearest("elephant", ["probes", "targetRef", "scrape"]), None);
    }
}
