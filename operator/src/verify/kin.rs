//! What answers as Prometheus does and is none: what it does not list may be there all the same, so that nothing follows
//! from it but what its series tell.

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
    let (what, _) = words(asked);
    let listed = format!("{url} lists no {what} of it, and need not: {}", kin.words(asked));
    Some(by_series(backends, check, url, asked, &listed).await)
}

/// The verdict where the question itself is not known. None: it failed in another way.
pub(super) async fn not_served(
    backends: &Backends<'_>,
    check: &Check,
    url: &str,
    asked: Asked,
    error: &Error,
) -> Option<Verdict> {
    let Error::Status { status: 404, .. } = error else {
        return None;
    };
    let (what, _) = words(asked);
    let listed = format!(
        "{url} answers HTTP 404 when it is asked for its {what}s: either its address lacks the path prefix (/prometheus of Mimir, \
         /select/0/prometheus of VictoriaMetrics' vmselect), or it is one that has none, as Mimir and vmselect have no targets \
         and vmagent has no rules"
    );
    Some(by_series(backends, check, url, asked, &listed).await)
}

/// The verdict by what was scraped and recorded, where nothing more is listed. What has no series may be there all the same.
async fn by_series(backends: &Backends<'_>, check: &Check, url: &str, asked: Asked, listed: &str) -> Verdict {
    let namespace = backends.namespace;
    let (told, job, series) = match check {
        Check::Targets { job, expected, .. } => (
            up(backends, check, url, job, usize::try_from(*expected).unwrap_or(0)).await,
            job,
            "up",
        ),
        Check::Rules { reads, .. } => (
            recorded(backends, check, url, &reads.job).await,
            &reads.job,
            "observed:targets_up:ratio",
        ),
        Check::Routes { .. } | Check::Dashboard(_) => (Ok(None), &String::new(), ""),
    };
    let asked_instead = match told {
        Ok(Some(verdict)) => return verdict,
        Ok(None) => format!("it has no series {series}{{namespace={namespace:?}, job={job:?}}} either"),
        Err(error) => format!("asked for the series {series} instead, {error}"),
    };
    let (_, whom) = words(asked);
    let message = format!("{listed}; {asked_instead}. {whom} with --prometheus-url");
    verdict(check, Truth::Unknown, Reason::Unreachable, message, None)
}

/// By the series that each scrape leaves. None: there are none.
async fn up(
    backends: &Backends<'_>,
    check: &Check,
    url: &str,
    job: &str,
    expected: usize,
) -> Result<Option<Verdict>, Error> {
    let namespace = backends.namespace;
    let (up, known) = backends.prometheus.ups(url, namespace, job).await?;
    if known == 0 {
        return Ok(None);
    }
    let all = known.max(expected);
    let seen =
        format!("By the series up{{namespace={namespace:?}, job={job:?}}} at {url}, {up} of {all} pods are scraped");
    let count = Some((up, all));
    if up == all {
        return Ok(Some(verdict(check, Truth::True, Reason::TargetsUp, seen, count)));
    }
    let why = match all - known {
        0 => "for the others it is 0: their last scrape failed. Why, the Prometheus or vmagent says that scrapes them"
            .to_owned(),
        missing => format!(
            "for {missing} there is none. If it stays so for two minutes, see whether the pods' labels fit the Service's selector, \
             and whether everything that is scraped is sent there (remoteWrite)"
        ),
    };
    let message = format!("{seen}: {why}");
    Ok(Some(verdict(check, Truth::False, Reason::TargetsDown, message, count)))
}

/// By what the rules record. None: nothing of them is there.
async fn recorded(backends: &Backends<'_>, check: &Check, url: &str, job: &str) -> Result<Option<Verdict>, Error> {
    let namespace = backends.namespace;
    if !backends.prometheus.records(url, namespace, job).await? {
        return Ok(None);
    }
    let message = format!(
        "{url} has observed:targets_up:ratio{{namespace={namespace:?}, job={job:?}}}, so that the rules are loaded and evaluated; \
         whether one of them fails, nobody can ask it"
    );
    Ok(Some(verdict(check, Truth::True, Reason::RulesLoaded, message, None)))
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
