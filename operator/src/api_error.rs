//! What an error of the Kubernetes API means for us: its reason, whether to try again, and words for people.

use kube::runtime::watcher;
use observed_crds::v1alpha1::conditions::Reason;

/// When to try again after an error.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Retry {
    /// Soon, and ever more seldom: it may well pass.
    Backoff,
    /// Seldom: somebody has to change something first.
    Seldom,
}

/// The reason that an API error is reported under.
pub fn reason(error: &kube::Error) -> Reason {
    match error {
        kube::Error::Api(status) if status.is_forbidden() => Reason::Forbidden,
        _ => Reason::ApiError,
    }
}

/// When to try again after an API error.
pub fn retry(error: &kube::Error) -> Retry {
    match reason(error) {
        Reason::Forbidden => Retry::Seldom,
        _ => Retry::Backoff,
    }
}

/// Whether the API server said that something, an object or a whole kind, is not there. By the status alone: of an API
/// group that it does not know it says so in plain text, without a reason.
pub fn is_not_found(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 404)
}

/// Whether the operator has no right to do it.
pub fn is_forbidden(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.is_forbidden())
}

/// Whether the object changed since it was read.
pub fn is_conflict(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.is_conflict())
}

/// The API server's own words, at most 512 characters of them.
pub fn words(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => shorten(&status.message, 512),
        other => shorten(&other.to_string(), 512),
    }
}

/// The same of a watch that broke off.
pub fn words_of_watch(error: &watcher::Error) -> String {
    match error {
        watcher::Error::InitialListFailed(error)
        | watcher::Error::WatchStartFailed(error)
        | watcher::Error::WatchFailed(error) => words(error),
        watcher::Error::WatchError(status) => shorten(&status.message, 512),
        other => shorten(&other.to_string(), 512),
    }
}

/// A foreign text without control characters, cut where it gets too long.
pub fn shorten(text: &str, longest: usize) -> String {
    let clean = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    if text.chars().count() <= longest {
        return clean.collect();
    }
    clean
        .take(longest.saturating_sub(1))
        .chain(std::iter::once('…'))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_there_is_known_by_the_status_alone() {
        let answered = |code, reason: &str| {
            let status = kube::core::Status {
                code,
                reason: reason.into(),
                ..Default::default()
            };
            kube::Error::Api(Box::new(status))
        };
        assert!(is_not_found(&answered(404, "NotFound")));
        assert!(is_not_found(&answered(404, "Failed to parse error data")));
        assert!(!is_not_found(&answered(403, "Forbidden")));
    }

    #[test]
    fn a_foreign_text_is_cut_and_holds_no_control_character() {
        assert_eq!(shorten("a\nb\u{1b}[31m", 20), "a b [31m");
        assert_eq!(shorten("äöüäöü", 4), "äöü…");
        assert_eq!(shorten("äöüä", 4), "äöüä");
    }
}
