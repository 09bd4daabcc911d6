//! What the demo breaks: one fault, and the alert that it must raise.

use clap::ValueEnum;
use serde_json::{Value, json};

/// A fault that the demo shows.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, ValueEnum)]
pub enum Chapter {
    /// Half of the requests are answered with 500
    #[default]
    Errors,
    /// A bug: every request panics
    Panics,
    /// Every request takes eight seconds more
    Slow,
}

impl Chapter {
    /// What the pods are told on `/faults`.
    #[must_use]
    pub fn fault(self) -> Value {
        match self {
            Self::Errors => json!({"errorRatio": 0.5}),
            Self::Panics => json!({"panic": true}),
            Self::Slow => json!({"latency": "8s"}),
        }
    }

    /// The alert that fires.
    #[must_use]
    pub fn alert(self) -> &'static str {
        match self {
            Self::Errors | Self::Panics => "HighErrorRate",
            Self::Slow => "HighResponseTime",
        }
    }

    /// What is broken now, and that it is mended.
    #[must_use]
    pub fn words(self) -> [&'static str; 2] {
        match self {
            Self::Errors => ["50 % of the requests fail", "The requests succeed again"],
            Self::Panics => ["A bug: every request panics", "The bug is gone"],
            Self::Slow => ["Every request takes 8 s more", "The requests are fast again"],
        }
    }

    /// Whether a pod says that it has this fault, or, after its end, none.
    #[must_use]
    pub fn is_told(self, answer: &Value, on: bool) -> bool {
        let fault = self.fault();
        let mut fields = fault.as_object().into_iter().flatten();
        fields.all(|(name, value)| (answer[name] == *value) == on)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pod_that_says_something_else_than_it_was_told_is_noticed() {
        let said = json!({"errorRatio": 0.5, "latency": "0s", "panic": false});
        assert!(Chapter::Errors.is_told(&said, true) && !Chapter::Errors.is_told(&said, false));
        assert!(Chapter::Slow.is_told(&said, false) && !Chapter::Slow.is_told(&said, true));
        assert!(Chapter::Panics.is_told(&said, false));
    }
}
