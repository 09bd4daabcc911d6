//! What the demo promises, and the summary of what became of each promise.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// The moment that a promise's seconds are counted from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Since {
    /// Observed's manifests were applied.
    Install,
    /// The ObservedService was applied.
    Apply,
    /// The API was broken.
    Faults,
    /// It was mended.
    Calm,
    /// The ObservedService was deleted.
    Delete,
    /// The end of the demo began.
    End,
}

impl fmt::Display for Since {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Install => "install",
            Self::Apply => "apply",
            Self::Faults => "broken",
            Self::Calm => "mended",
            Self::Delete => "delete",
            Self::End => "end",
        })
    }
}

macro_rules! promises {
    ($($(#[doc = $doc:literal])+ $name:ident: $since:ident, $words:literal;)+) => {
        /// One thing that the demo promises to show.
        #[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
        pub enum Promise { $($(#[doc = $doc])+ $name,)+ }

        impl Promise {
            /// Every promise, in the order in which they are shown.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// The promise in words, as the summary has it.
            #[must_use]
            pub fn words(self) -> &'static str {
                match self { $(Self::$name => $words,)+ }
            }

            /// What its seconds are counted from.
            #[must_use]
            pub fn since(self) -> Since {
                match self { $(Self::$name => Since::$since,)+ }
            }
        }
    };
}

promises! {
    /// Observed's Deployment is Available.
    Installed: Install, "Observed runs in the cluster";
    /// Its ServiceAccount may not do everything.
    OwnRole: Install, "Observed has a role of its own and is no admin";
    /// Liveness, readiness and startup probe are in the Deployment.
    ProbesGiven: Apply, "probes are in the Deployment";
    /// The Deployment was rolled out once and not more.
    OneRollout: Apply, "one rollout, and no second";
    /// All pods of the new rollout are Ready.
    PodsReady: Apply, "the pods are Ready";
    /// The ServiceMonitor is there.
    MonitorThere: Apply, "the ServiceMonitor is there";
    /// Every pod is `up` in Prometheus.
    TargetsUp: Apply, "Prometheus scrapes every pod";
    /// Every rule is loaded and evaluated without error.
    RulesHealthy: Apply, "Prometheus evaluates every rule without error";
    /// Every alert comes to a receiver that sends it on, by Alertmanager's real routes.
    RoutesKnown: Apply, "the routes bring every alert to somebody";
    /// The dashboard's ConfigMap is there and holds a dashboard.
    DashboardThere: Apply, "the dashboard is there";
    /// The ObservedService is Ready.
    StatusReady: Apply, "the status says Ready";
    /// The alert is pending in Prometheus.
    AlertPending: Faults, "broken: the alert is pending in Prometheus";
    /// The alert is firing in Prometheus.
    AlertFiring: Faults, "broken: the alert fires in Prometheus";
    /// Alertmanager has the alert.
    AlertRouted: Faults, "broken: Alertmanager has the alert";
    /// The webhook receiver got the notification.
    AlertReceived: Faults, "broken: the webhook received the alert";
    /// The alert is gone from Prometheus.
    AlertEnded: Calm, "mended: the alert ends in Prometheus";
    /// The webhook receiver got the notification of the end.
    EndReceived: Calm, "mended: the webhook received the end";
    /// What was generated is gone.
    ChildrenGone: Delete, "what was generated is gone";
    /// The probes are still in the Deployment.
    ProbesStay: Delete, "the probes are still in the Deployment";
    /// The deletion rolled nothing out.
    NoRollout: Delete, "the Deployment was not rolled again";
    /// No field of the Deployment is managed in our name.
    NothingManaged: Delete, "no field of the Deployment is managed by Observed";
    /// The demo leaves nothing behind.
    NothingLeft: End, "the demo left nothing behind";
}

#[derive(Clone, Debug)]
enum Outcome {
    Held(Duration),
    Broken(String),
}

/// What became of the promises.
#[derive(Clone, Debug, Default)]
pub struct Summary(BTreeMap<Promise, Outcome>);

impl Summary {
    /// The promise held, so long after the moment that its seconds are counted from.
    pub fn held(&mut self, promise: Promise, after: Duration) {
        self.0.insert(promise, Outcome::Held(after));
    }

    /// The promise did not hold: what was seen instead.
    pub fn broken(&mut self, promise: Promise, seen: impl Into<String>) {
        self.0.insert(promise, Outcome::Broken(seen.into()));
    }

    /// Whether each and every promise held. One that was never looked at did not.
    #[must_use]
    pub fn all_held(&self) -> bool {
        self.count() == Promise::ALL.len()
    }

    /// Whether a promise was seen not to hold.
    #[must_use]
    pub fn any_broken(&self) -> bool {
        self.0.values().any(|outcome| matches!(outcome, Outcome::Broken(_)))
    }

    fn count(&self) -> usize {
        let held = |outcome: &&Outcome| matches!(outcome, Outcome::Held(_));
        self.0.values().filter(held).count()
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = Promise::ALL
            .iter()
            .map(|promise| promise.words().len())
            .max()
            .unwrap_or_default();
        writeln!(f, "{:<width$}  {:>10}  result", "promise", "seconds")?;
        for promise in Promise::ALL {
            let (seconds, result) = match self.0.get(promise) {
                Some(Outcome::Held(after)) => (format!("{:.1}", after.as_secs_f64()), "pass"),
                Some(Outcome::Broken(_)) => ("-".to_owned(), "FAIL"),
                None => ("-".to_owned(), "FAIL (not reached)"),
            };
            let words = promise.words();
            writeln!(f, "{words:<width$}  {seconds:>10}  {result}")?;
            if let Some(Outcome::Broken(seen)) = self.0.get(promise) {
                writeln!(f, "    last seen: {seen}")?;
            }
        }
        write!(f, "{} of {} promises held", self.count(), Promise::ALL.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> Summary {
        let mut summary = Summary::default();
        for promise in Promise::ALL {
            summary.held(*promise, Duration::from_millis(1234));
        }
        summary
    }

    #[test]
    fn a_summary_shows_every_promise_with_its_seconds_on_one_screen() {
        let summary = all();
        assert!(summary.all_held() && !summary.any_broken());
        let text = summary.to_string();
        for promise in Promise::ALL {
            let line = text.lines().find(|line| line.starts_with(promise.words())).unwrap();
            assert!(line.contains("1.2") && line.ends_with("pass"), "{line}");
        }
        assert!(text.ends_with("22 of 22 promises held"), "{text}");
        assert!(text.lines().count() <= 24, "more than one screen");
        assert!(text.lines().all(|line| line.len() <= 80), "wider than a terminal");
    }

    #[test]
    fn one_broken_promise_is_enough_and_what_was_seen_is_told() {
        let mut summary = all();
        summary.broken(Promise::PodsReady, "1 of 2 Ready");
        assert!(!summary.all_held() && summary.any_broken());
        let text = summary.to_string();
        assert!(text.contains("    last seen: 1 of 2 Ready"), "{text}");
        assert!(text.ends_with("21 of 22 promises held"), "{text}");
    }

    #[test]
    fn a_promise_that_was_never_looked_at_did_not_hold() {
        let mut summary = Summary::default();
        summary.held(Promise::ProbesGiven, Duration::ZERO);
        assert!(!summary.all_held() && !summary.any_broken());
        let text = summary.to_string();
        assert_eq!(text.matches("not reached").count(), Promise::ALL.len() - 1);
    }

    #[test]
    fn no_promise_begins_with_the_words_of_another() {
        for promise in Promise::ALL {
            let same = |other: &&Promise| other.words().starts_with(promise.words());
            assert_eq!(Promise::ALL.iter().filter(same).count(), 1, "{promise:?}");
        }
    }
}
