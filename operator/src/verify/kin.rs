//! What answers as Prometheus does and is none: what it does not list may be there all the same, so that nothing follows
//! from it.

use observed_core::check::{Check, Truth, Verdict};
use observed_crds::v1alpha1::conditions::Reason;
use serde::Deserialize;

use super::access::Server;
use super::prometheus::Envelope;
use super::{Backends, Error, Prometheus, verdict};

/// What answers at an address.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kin {
    Thanos,
    Mimir,
    VictoriaMetrics,
}

/// What was asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Asked {
    Targets,
    Rules,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BuildInfo {
    #[serde(default)]
    version: String,
    #[serde(default)]
    revision: String,
    /// Mimir, and what was made of it, say here who they are.
    #[serde(default)]
    application: String,
}

impl Kin {
    /// None: it is Prometheus, as far as it says.
    async fn of(prometheus: &Prometheus, url: &str) -> Option<Self> {
        let told = prometheus.shared(Server::Prometheus, url, "/api/v1/status/buildinfo");
        let info: Envelope<BuildInfo> = told.await.ok()?;
        let info = info.data;
        if !info.application.is_empty() {
            return Some(Self::Mimir);
        }
        // VictoriaMetrics names the version of Prometheus whose API it has, and nothing else.
        if info.revision.is_empty() {
            return Some(Self::VictoriaMetrics);
        }
        // Thanos answers in the form of Prometheus, which left 0.x in 2016.
        info.version.starts_with("0.").then_some(Self::Thanos)
    }

    fn words(self, asked: Asked) -> &'static str {
        match (self, asked) {
            (Self::Thanos, Asked::Targets) => {
                "it is Thanos, which knows no more targets than the sidecars behind it tell (--endpoint)"
            }
            (Self::Thanos, Asked::Rules) => {
                "it is Thanos, which knows no more rules than the sidecars and rulers behind it tell (--endpoint)"
            }
            (Self::Mimir, Asked::Targets) => "it is Mimir, which scrapes nothing itself",
            (Self::Mimir, Asked::Rules) => {
                "it is Mimir, which evaluates only what was loaded into its own ruler for this tenant, by Alloy \
                 (mimir.rules.kubernetes) for instance"
            }
            (Self::VictoriaMetrics, Asked::Targets) => {
                "it is VictoriaMetrics, which lists what it scrapes itself and not what vmagent scrapes"
            }
            (Self::VictoriaMetrics, Asked::Rules) => {
                "it is VictoriaMetrics, whose rules are evaluated by vmalert and are seen here only where -vmalert.proxyURL is \
                 set"
            }
        }
    }
}

/// The verdict where the address of the settings lists nothing of a check and need not do so. None: what it does not list
/// is not there.
pub(super) async fn not_listed(backends: &Backends<'_>, check: &Check, url: &str, asked: Asked) -> Option<Verdict> {
    if backends.prometheus_url != Some(url) {
        return None;
    }
    let kin = Kin::of(backends.prometheus, url).await?;
    let (what, whom) = words(asked);
    let message = format!(
        "{url} lists no {what} of it, and need not: {}. {whom} with --prometheus-url",
        kin.words(asked)
    );
    Some(verdict(check, Truth::Unknown, Reason::Unreachable, message, None))
}

/// The verdict where the question itself is not known. None: it failed in another way.
pub(super) fn not_served(check: &Check, url: &str, asked: Asked, error: &Error) -> Option<Verdict> {
    let Error::Status { status: 404, .. } = error else {
        return None;
    };
    let (what, whom) = words(asked);
    let message = format!(
        "{url} answers HTTP 404 when it is asked for its {what}s: either its address lacks the path prefix (/prometheus of Mimir, \
         /select/0/prometheus of VictoriaMetrics' vmselect), or it is one that has none, as Mimir and vmselect have no targets \
         and vmagent has no rules. {whom} with --prometheus-url"
    );
    Some(verdict(check, Truth::Unknown, Reason::Unreachable, message, None))
}

fn words(asked: Asked) -> (&'static str, &'static str) {
    match asked {
        Asked::Targets => ("target", "Name the Prometheus, or the vmagent, that scrapes"),
        Asked::Rules => (
            "rule",
            "Name the Prometheus, the ruler or the vmalert that evaluates the rules",
        ),
    }
}
