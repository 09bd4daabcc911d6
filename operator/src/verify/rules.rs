//! The verdict on the rules of a service.

use std::time::Duration;

use observed_core::check::{Check, Truth, Verdict};
use observed_core::duration;
use observed_crds::v1alpha1::conditions::Reason;

use super::kin::{self, Asked};
use super::{Backends, LONGEST_WORDS, series, unreachable, verdict};
use crate::api_error::shorten;

/// Whether a Prometheus has loaded the rules and evaluates them, and what is worth knowing of rules that work.
pub(super) async fn rules(backends: &Backends<'_>, who: &str, url: &str, check: &Check) -> Verdict {
    let Check::Rules {
        name,
        groups,
        expected,
        reach,
        reads,
        ..
    } = check
    else {
        return verdict(check, Truth::Unknown, Reason::Unreachable, String::new(), None);
    };
    let loaded = match backends.prometheus.rules(url, groups).await {
        Ok(loaded) => loaded,
        Err(error) => {
            let told = kin::not_served(backends, check, url, Asked::Rules, &error).await;
            return told.unwrap_or_else(|| unreachable(check, who, &error));
        }
    };
    if loaded.rules == 0
        && let Some(told) = kin::not_listed(backends, check, url, Asked::Rules).await
    {
        return told;
    }
    let count = Some((loaded.healthy, *expected));
    if let Some((rule, error)) = &loaded.failing {
        let message = format!(
            "{who} cannot evaluate the rule {:?}: {}",
            shorten(rule, LONGEST_WORDS),
            shorten(error, LONGEST_WORDS)
        );
        return verdict(check, Truth::False, Reason::RuleFailing, message, count);
    }
    if loaded.rules != *expected {
        let message = format!(
            "{who} has loaded {} of {expected} rules of the PrometheusRule {name:?}. It can take two minutes; if it \
             stays so, the log of prometheus-operator says why",
            loaded.rules
        );
        return verdict(check, Truth::False, Reason::RulesNotLoaded, message, count);
    }
    if loaded.healthy < *expected {
        let message = format!(
            "{who} has loaded all {expected} rules and evaluated {} of them so far",
            loaded.healthy
        );
        return verdict(check, Truth::False, Reason::RulesNotLoaded, message, count);
    }
    if let Some((group, since)) = &loaded.stale {
        let message = format!(
            "{who} has not evaluated the group {group:?} since {}, so that what it says is stale. See whether it hangs or has \
             too little CPU, and whether its clock is right",
            shorten(since, LONGEST_WORDS)
        );
        return verdict(check, Truth::Unknown, Reason::Stale, message, count);
    }
    let mut message = format!("{who} evaluates all {expected} rules without error");
    if let Some(group) = &loaded.slow {
        message.push_str(&format!(
            ". Worth knowing: the group {group:?} takes longer than its interval, so that evaluations are left out. Give \
             spec.scrape.interval more time, or Prometheus more CPU"
        ));
    }
    if let Some(kept) = kept(backends, who).filter(|kept| *kept < *reach) {
        message.push_str(&format!(
            ". Worth knowing: a rule looks back {}, and {who} keeps samples for {} only: it computes over what is left. Set \
             spec.retention of the Prometheus to more",
            in_words(*reach),
            in_words(kept)
        ));
    }
    for advice in series::advice(backends, who, url, reads).await {
        message.push_str(". Worth knowing: ");
        message.push_str(&advice);
    }
    verdict(check, Truth::True, Reason::RulesLoaded, message, count)
}

/// How long a Prometheus keeps samples. Nobody knows it of an address, behind which others may keep them longer.
fn kept(backends: &Backends<'_>, who: &str) -> Option<Duration> {
    backends.resource(who)?.retention_seconds.map(Duration::from_secs)
}

fn in_words(duration: Duration) -> String {
    duration::text(u32::try_from(duration.as_secs()).unwrap_or(u32::MAX))
}
