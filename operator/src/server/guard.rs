//! Who may read `/metrics`: as controller-runtime's filter does it, the API server says whose token it is (TokenReview) and
//! whether they may `get` the nonResourceURL `/metrics` (SubjectAccessReview). Without an answer nobody may.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use k8s_openapi::api::authentication::v1::{TokenReview, TokenReviewSpec, UserInfo};
use k8s_openapi::api::authorization::v1::{NonResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec};
use kube::api::PostParams;
use kube::{Api, Client};
use observed_core::rbac::{METRICS_PATH, METRICS_VERB};
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;

use crate::api_error;

/// How long who was let in is let in again without a question.
const LET_IN: Duration = Duration::from_secs(60);
/// The same of who was not: a right that was just given is soon seen.
const TURNED_AWAY: Duration = Duration::from_secs(10);
/// Tokens whose decisions are kept. Whoever sends more of them makes us ask, and never keep, more.
const KEPT: usize = 256;
/// Tokens that the API server is asked about at once: whoever sends many of them must not become its load.
const AT_ONCE: usize = 4;
/// The scrape's own timeout is 10 s: it is to see the words and not nothing.
const PATIENCE: Duration = Duration::from_secs(8);
/// A token of a ServiceAccount has one or two kilobytes.
const LONGEST_TOKEN: usize = 16 * 1024;

/// Why a request is not answered with the metrics.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Refusal {
    NoToken,
    Unknown,
    /// The user of that name has no right to it.
    Forbidden(String),
    /// The API server does not let the operator ask.
    MayNotAsk(String),
    /// The API server did not answer as it should.
    NoAnswer(String),
}

impl Refusal {
    fn told(&self) -> (StatusCode, String) {
        match self {
            Self::NoToken => {
                let words = "who reads /metrics shows a bearer token: Authorization: Bearer TOKEN, for instance that of a \
                             ServiceAccount";
                (StatusCode::UNAUTHORIZED, words.to_owned())
            }
            Self::Unknown => {
                let words = "the API server does not know this token, or no longer: show a new one";
                (StatusCode::UNAUTHORIZED, words.to_owned())
            }
            Self::Forbidden(user) => (
                StatusCode::FORBIDDEN,
                format!(
                    "{user} may not {METRICS_VERB} {METRICS_PATH}: bind it to a ClusterRole with that verb on that \
                     nonResourceURL, such as observed-metrics-reader"
                ),
            ),
            Self::MayNotAsk(words) => (
                StatusCode::INTERNAL_SERVER_ERROR,
                format!(
                    "the operator may not ask the API server who may read /metrics ({words}): give it what \
                     `observed rbac --secure-metrics` prints"
                ),
            ),
            Self::NoAnswer(words) => (
                StatusCode::SERVICE_UNAVAILABLE,
                format!("the API server did not say who may read /metrics, so nobody may: {words}"),
            ),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, words) = self.told();
        let mut response = (status, format!("{words}\n")).into_response();
        if status == StatusCode::UNAUTHORIZED {
            let bearer = header::HeaderValue::from_static("Bearer");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, bearer);
        }
        response
    }
}

/// What stands for a token in memory.
type Fingerprint = [u8; 32];

#[derive(Default)]
struct Decisions(HashMap<Fingerprint, (Result<(), Refusal>, Instant)>);

impl Decisions {
    fn get(&self, token: &Fingerprint, now: Instant) -> Option<Result<(), Refusal>> {
        let (decision, until) = self.0.get(token)?;
        (now < *until).then(|| decision.clone())
    }

    /// Keeps what the API server decided. What it did not decide is asked again at once.
    fn keep(&mut self, token: Fingerprint, decision: &Result<(), Refusal>, now: Instant) {
        let lasts = match decision {
            Ok(()) => LET_IN,
            Err(Refusal::Unknown | Refusal::Forbidden(_)) => TURNED_AWAY,
            Err(_) => return,
        };
        self.0.retain(|_, (_, until)| now < *until);
        if self.0.len() < KEPT {
            self.0.insert(token, (decision.clone(), now + lasts));
        }
    }
}

/// Asks the API server who may read the metrics. A clone shares what it knows.
#[derive(Clone)]
pub struct Guard(Arc<Asking>);

struct Asking {
    client: Client,
    decisions: Mutex<Decisions>,
    at_once: Semaphore,
    /// The API server does not answer, and the log says so.
    told: AtomicBool,
}

impl Guard {
    /// With a client that lets the operator ask whether or not it holds the Lease.
    pub fn new(client: Client) -> Self {
        Self(Arc::new(Asking {
            client,
            decisions: Mutex::default(),
            at_once: Semaphore::new(AT_ONCE),
            told: AtomicBool::new(false),
        }))
    }

    async fn decide(&self, headers: &HeaderMap, now: Instant) -> Result<(), Refusal> {
        let token = bearer(headers).ok_or(Refusal::NoToken)?;
        let fingerprint: Fingerprint = Sha256::digest(token).into();
        let known = || self.decisions().get(&fingerprint, now);
        if let Some(decision) = known() {
            return decision;
        }
        let asked = async {
            let _turn = self.0.at_once.acquire().await;
            match known() {
                // Somebody with the same token was asked about while this one waited.
                Some(decision) => decision,
                None => self.ask(token).await,
            }
        };
        let late = || Err(Refusal::NoAnswer(format!("no answer within {} s", PATIENCE.as_secs())));
        let decision = tokio::time::timeout(PATIENCE, asked).await.unwrap_or_else(|_| late());
        self.decisions().keep(fingerprint, &decision, now);
        self.tell(&decision);
        decision
    }

    fn decisions(&self) -> std::sync::MutexGuard<'_, Decisions> {
        self.0.decisions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn ask(&self, token: &str) -> Result<(), Refusal> {
        let user = self.user(token).await?;
        let name = user.username.clone().unwrap_or_default();
        let review = SubjectAccessReview {
            spec: SubjectAccessReviewSpec {
                user: user.username,
                groups: user.groups,
                uid: user.uid,
                extra: user.extra,
                non_resource_attributes: Some(NonResourceAttributes {
                    path: Some(METRICS_PATH.to_owned()),
                    verb: Some(METRICS_VERB.to_owned()),
                }),
                ..SubjectAccessReviewSpec::default()
            },
            ..SubjectAccessReview::default()
        };
        let api: Api<SubjectAccessReview> = Api::all(self.0.client.clone());
        let answer = api.create(&PostParams::default(), &review).await.map_err(unanswered)?;
        match answer.status {
            Some(status) if status.allowed && status.denied != Some(true) => Ok(()),
            _ => Err(Refusal::Forbidden(name)),
        }
    }

    async fn user(&self, token: &str) -> Result<UserInfo, Refusal> {
        let review = TokenReview {
            spec: TokenReviewSpec {
                token: token.to_owned(),
                ..TokenReviewSpec::default()
            },
            ..TokenReview::default()
        };
        let api: Api<TokenReview> = Api::all(self.0.client.clone());
        let answer = api.create(&PostParams::default(), &review).await.map_err(unanswered)?;
        let status = answer.status.unwrap_or_default();
        if status.authenticated != Some(true) {
            return Err(Refusal::Unknown);
        }
        status.user.ok_or(Refusal::Unknown)
    }

    /// Says once in the log that nobody can be let in, and once that it is over.
    fn tell(&self, decision: &Result<(), Refusal>) {
        let fails = matches!(decision, Err(Refusal::MayNotAsk(_) | Refusal::NoAnswer(_)));
        let told = self.0.told.swap(fails, Ordering::Relaxed);
        match decision {
            Err(refusal) if fails && !told => tracing::warn!("{}", refusal.told().1),
            _ if told && !fails => tracing::info!("the API server says again who may read /metrics"),
            _ => {}
        }
    }
}

/// Lets a request through to the metrics, or says why not.
pub(super) async fn guard(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    match guard.decide(request.headers(), Instant::now()).await {
        Ok(()) => next.run(request).await,
        Err(refusal) => refusal.into_response(),
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    let token = token.trim();
    let is_one = scheme.eq_ignore_ascii_case("bearer") && !token.is_empty() && token.len() <= LONGEST_TOKEN;
    is_one.then_some(token)
}

/// What the API server's error means for who asks. The words are its own, and it repeats no token.
#[allow(clippy::needless_pass_by_value)] // it is what map_err passes
fn unanswered(error: kube::Error) -> Refusal {
    let words = api_error::words(&error);
    if api_error::is_forbidden(&error) {
        Refusal::MayNotAsk(words)
    } else {
        Refusal::NoAnswer(words)
    }
}

#[cfg(test)]
mod tests;
