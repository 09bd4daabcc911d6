//! Conditions, with the times at which they last changed.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use observed_crds::v1alpha1::ObservedServiceStatus;
use observed_crds::v1alpha1::conditions::{ConditionType, Reason};

use crate::check::Truth;

/// Longest message: the API allows 32768, a person reads less.
const LONGEST: usize = 1024;
/// Longest list of findings: all of them are wanted at once.
const LONGEST_LIST: usize = 16_384;

/// A condition before it has a time.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Judged {
    pub(super) kind: ConditionType,
    pub(super) truth: Truth,
    pub(super) reason: Reason,
    pub(super) message: String,
    /// How many of how many are good, where that was counted.
    pub(super) count: Option<(usize, usize)>,
}

impl Judged {
    pub(super) fn new(kind: ConditionType, truth: Truth, reason: Reason, message: impl Into<String>) -> Self {
        Self {
            kind,
            truth,
            reason,
            message: message.into(),
            count: None,
        }
    }
}

/// The condition of that type.
pub(super) fn find(status: Option<&ObservedServiceStatus>, kind: ConditionType) -> Option<&Condition> {
    of_type(&status?.conditions, kind)
}

fn of_type(conditions: &[Condition], kind: ConditionType) -> Option<&Condition> {
    conditions.iter().find(|condition| condition.type_ == kind.as_str())
}

/// The conditions. One whose status is as before keeps its time.
pub(super) fn conditions(
    judged: Vec<Judged>,
    previous: &[Condition],
    generation: i64,
    now: Timestamp,
) -> Vec<Condition> {
    // The API writes such times without fractions.
    let now = Time(Timestamp::from_second(now.as_second()).unwrap_or(now));
    let condition = |judged: Judged| {
        let known = judged.reason.conditions().contains(&judged.kind);
        debug_assert!(
            known,
            "{:?} is said of {:?}: add it to its reason",
            judged.reason, judged.kind
        );
        let status = judged.truth.as_str();
        let since = of_type(previous, judged.kind)
            .filter(|before| before.status == status)
            .map_or_else(|| now.clone(), |before| before.last_transition_time.clone());
        let longest = match judged.reason {
            Reason::InvalidSpec | Reason::SeriesMissing | Reason::LabelsMissing => LONGEST_LIST,
            _ => LONGEST,
        };
        Condition {
            type_: judged.kind.as_str().into(),
            status: status.into(),
            reason: judged.reason.as_str().into(),
            message: shorten(&judged.message, longest),
            last_transition_time: since,
            observed_generation: Some(generation),
        }
    };
    judged.into_iter().map(condition).collect()
}

/// The text without control characters but line ends, and no longer than that.
pub(super) fn shorten(text: &str, longest: usize) -> String {
    let clean = text.chars().map(|c| if c.is_control() && c != '\n' { ' ' } else { c });
    if text.chars().count() <= longest {
        return clean.collect();
    }
    clean.take(longest.saturating_sub(1)).chain(['…']).collect()
}
