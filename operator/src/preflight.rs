//! Asks the running pods: before a probe is given what the probe would ask them, and which metrics they expose.
//!
//! Who writes an ObservedService decides where these requests go, so they go nowhere but to declared ports of pods that
//! belong to the target, straight to the pod's address: no redirect is followed, no proxy is used, no header comes from
//! the user, loopback, link-local and the node's own addresses are refused, and of the answer nothing is kept but its
//! status, how long it took and whether its content contradicts the status; of a metrics page, the names on it.

mod ask;
pub mod content;
mod page;
mod start;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use futures::{StreamExt, stream};
use k8s_openapi::api::core::v1::Pod;
use kube::{Client, ResourceExt};
use observed_core::facts::{Answer, AnswerOutcome, Exposed, PageOutcome, PageQuestion, Question, Target};
use observed_core::gift::ProbeKind;
use reqwest::redirect;
use tokio::sync::Semaphore;

use crate::pods;

/// Pods that are asked at most: enough to see what they answer, however many there are.
const MOST_PODS: usize = 20;
/// Pods whose metrics page is read: those of one workload expose much the same.
const MOST_PAGES: usize = 3;
/// Requests under way at once, for all services together.
const MOST_REQUESTS: usize = 20;
/// How long all pods together have, so that nothing else of the service waits for them.
const ALL_WITHIN: Duration = Duration::from_secs(20);

/// The HTTP client could not be set up.
#[derive(Debug, thiserror::Error)]
#[error("could not set up the HTTP client")]
pub struct Error(#[source] reqwest::Error);

/// What the pods said.
#[derive(Debug, Default)]
pub struct Heard {
    /// The answers to the questions of each probe.
    pub answers: BTreeMap<ProbeKind, Vec<Answer>>,
    /// What their metrics pages say.
    pub exposed: Exposed,
    /// Seconds that they took to become ready, by container.
    pub starts: BTreeMap<String, u32>,
}

impl Heard {
    /// Whether every pod that was asked is there, and answered a probe as it should.
    pub fn is_well(&self) -> bool {
        let mut pages = self.exposed.pages.iter();
        self.answers.values().flatten().all(|answer| answer.outcome.is_well())
            && pages.all(|page| page.outcome != PageOutcome::Unanswered)
    }
}

/// The pods of a target, as far as anybody asks or counts them.
#[derive(Clone, Debug, Default)]
pub struct Pods {
    running: Vec<RunningPod>,
    starts: BTreeMap<String, u32>,
    /// Names of those that are ready.
    pub ready: BTreeSet<String>,
    /// None of them is about to become ready, or to end.
    pub settled: bool,
}

impl Pods {
    /// Reads the pods of the target.
    ///
    /// # Errors
    /// They could not be listed.
    pub async fn read(client: &Client, namespace: &str, target: &Target) -> Result<Self, pods::Error> {
        let all = pods::of_target(client, namespace, target).await?;
        let ready = pods::names_of_ready(&all);
        Ok(Self {
            running: running_pods(&all),
            starts: start::starts(&all),
            settled: ready.len() == all.len(),
            ready,
        })
    }
}

/// Asks pods.
pub struct Preflight {
    http: reqwest::Client,
    permits: Semaphore,
}

impl Preflight {
    /// # Errors
    /// The HTTP client cannot be set up.
    pub fn new() -> Result<Self, Error> {
        let http = reqwest::Client::builder()
            .redirect(redirect::Policy::none())
            .no_proxy()
            .http1_only()
            // It checks no certificate, as the kubelet does not, and so needs those of no CA, which a small image lacks.
            .tls_certs_only([])
            .tls_danger_accept_invalid_certs(true)
            .pool_max_idle_per_host(0)
            .user_agent("observed-preflight")
            .build()
            .map_err(Error)?;
        Ok(Self {
            http,
            permits: Semaphore::new(MOST_REQUESTS),
        })
    }

    /// Asks the running pods of the target, some of them for the metrics page too. What a pod answers, or that it does not,
    /// is never an error.
    pub async fn ask(
        &self,
        pods: &Pods,
        target: &Target,
        questions: &[Question],
        page: Option<&PageQuestion>,
    ) -> Heard {
        let declared: BTreeSet<i32> = target
            .containers
            .iter()
            .flat_map(|c| &c.ports)
            .map(|p| p.port)
            .collect();
        let page = page.filter(|page| declared.contains(&page.port));
        let end = tokio::time::Instant::now() + ALL_WITHIN;
        let (answers, exposed) = tokio::join!(
            self.answers(&pods.running, &declared, questions, end),
            self.exposed(&pods.running, page, end)
        );
        Heard {
            answers,
            exposed,
            starts: pods.starts.clone(),
        }
    }

    async fn answers(
        &self,
        pods: &[RunningPod],
        declared: &BTreeSet<i32>,
        questions: &[Question],
        end: tokio::time::Instant,
    ) -> BTreeMap<ProbeKind, Vec<Answer>> {
        let mut answers: BTreeMap<ProbeKind, Vec<Answer>> = BTreeMap::new();
        // Two probes with the same question cost one request.
        let mut distinct: Vec<&Question> = Vec::new();
        for question in questions.iter().filter(|question| declared.contains(&question.port)) {
            if !distinct.iter().any(|other| same(other, question)) {
                distinct.push(question);
            }
        }
        let mut rounds = Vec::new();
        for pod in pods.iter().take(MOST_PODS) {
            for question in &distinct {
                rounds.push(async move {
                    let answer = tokio::time::timeout_at(end, self.one(pod, question)).await;
                    (*question, answer.unwrap_or_else(|_| unheard(pod)))
                });
            }
        }
        let heard: Vec<(&Question, Answer)> = stream::iter(rounds).buffer_unordered(MOST_REQUESTS).collect().await;
        for question in questions {
            let of_it = heard
                .iter()
                .filter(|(asked, _)| same(asked, question))
                .map(|(_, answer)| answer.clone());
            let list = answers.entry(question.probe).or_default();
            list.extend(of_it);
            list.sort_by(|a, b| a.pod.cmp(&b.pod));
        }
        answers
    }

    /// The metrics pages of some pods, those that are ready first.
    async fn exposed(
        &self,
        pods: &[RunningPod],
        question: Option<&PageQuestion>,
        end: tokio::time::Instant,
    ) -> Exposed {
        let Some((question, port)) = question.and_then(|asked| Some((asked, u16::try_from(asked.port).ok()?))) else {
            return Exposed::default();
        };
        let mut first: Vec<&RunningPod> = pods.iter().collect();
        first.sort_by_key(|pod| !pod.ready);
        first.truncate(MOST_PAGES);
        let read = first.iter().map(|pod| async move {
            let _permit = self.permits.acquire().await;
            let page = self.page(SocketAddr::new(pod.address, port), &question.path);
            let page = tokio::time::timeout_at(end, page).await;
            page.unwrap_or_else(|_| (PageOutcome::Unanswered, BTreeMap::new()))
        });
        let pages = futures::future::join_all(read).await;
        let mut exposed = Exposed::default();
        for (pod, (outcome, families)) in first.iter().zip(pages) {
            exposed.add(&pod.name, outcome, families);
        }
        exposed
    }

    async fn one(&self, pod: &RunningPod, question: &Question) -> Answer {
        let _permit = self.permits.acquire().await;
        let allowed = Duration::from_secs(u64::try_from(question.timeout_seconds.max(1)).unwrap_or(1));
        let began = Instant::now();
        let outcome = match u16::try_from(question.port) {
            Ok(port) => {
                self.outcome(SocketAddr::new(pod.address, port), &question.ask, allowed)
                    .await
            }
            Err(_) => AnswerOutcome::Unreachable,
        };
        let millis = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        Answer {
            pod: pod.name.clone(),
            outcome,
            millis,
            restarts: pod.restarts,
        }
    }
}

/// Of a pod that did not come to answer in the time that all have together.
fn unheard(pod: &RunningPod) -> Answer {
    Answer {
        pod: pod.name.clone(),
        outcome: AnswerOutcome::Unreachable,
        millis: u64::try_from(ALL_WITHIN.as_millis()).unwrap_or(u64::MAX),
        restarts: pod.restarts,
    }
}

fn same(a: &Question, b: &Question) -> bool {
    (a.port, &a.ask, a.timeout_seconds) == (b.port, &b.ask, b.timeout_seconds)
}

#[derive(Clone, Debug)]
struct RunningPod {
    name: String,
    address: IpAddr,
    ready: bool,
    restarts: i32,
}

/// Those of the target's pods that run.
fn running_pods(pods: &[Pod]) -> Vec<RunningPod> {
    let mut running: Vec<RunningPod> = pods
        .iter()
        .filter_map(|pod| {
            Some(RunningPod {
                name: pod.name_any(),
                address: address(pod)?,
                ready: pods::is_ready(pod),
                restarts: restarts(pod),
            })
        })
        .collect();
    running.sort_by(|a, b| a.name.cmp(&b.name));
    running
}

fn restarts(pod: &Pod) -> i32 {
    let statuses = pod.status.iter().flat_map(|status| &status.container_statuses);
    statuses.flatten().map(|container| container.restart_count).sum()
}

/// The address of a running pod, if it is one that may be asked.
fn address(pod: &Pod) -> Option<IpAddr> {
    let status = pod.status.as_ref()?;
    let host_network = pod.spec.as_ref().and_then(|spec| spec.host_network).unwrap_or(false);
    let running = status.phase.as_deref() == Some("Running") && pod.metadata.deletion_timestamp.is_none();
    if host_network || !running || status.pod_ip == status.host_ip {
        return None;
    }
    let address: IpAddr = status.pod_ip.as_deref()?.parse().ok()?;
    may_be_asked(address).then_some(address)
}

fn may_be_asked(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            !(v4.is_loopback() || v4.is_link_local() || v4.is_unspecified() || v4.is_multicast() || v4.is_broadcast())
        }
        IpAddr::V6(v6) => !(v6.is_loopback() || v6.is_unicast_link_local() || v6.is_unspecified() || v6.is_multicast()),
    }
}

#[cfg(test)]
mod tests;
