//! What the answers of the running pods mean for a probe.

use std::collections::BTreeMap;

use super::wanted::Wanted;
use crate::facts::{Answer, AnswerOutcome, Content};
use crate::gift::{Handler, ProbeKind, ProbeShape};

/// Whether a probe may be given.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Judgement {
    /// Every running pod answers as it should.
    Fits,
    /// The pods could not be asked (yet), in words.
    Pending(String),
    /// A pod answers as it should not.
    Refused {
        /// In words, with the next step.
        words: String,
        /// It is a state more than a mistake: HTTP 5xx, or no answer in time.
        may_pass: bool,
    },
}

/// What the answers mean. Nothing of them that changes from one time to the next is in the words.
pub(super) fn judge(kind: ProbeKind, wanted: &Wanted, answers: &[Answer], replicas: i32) -> Judgement {
    // Nothing is run in somebody else's container: what a command does is only seen in the trial.
    if matches!(wanted.shape.handler, Handler::Exec { .. }) {
        return Judgement::Fits;
    }
    let asked = wanted.shape.handler.words();
    if answers.is_empty() {
        return Judgement::Pending(if replicas == 0 {
            format!("{asked}: the workload has no pods that could be asked; scale it up")
        } else {
            format!("{asked}: no running pod could be asked yet")
        });
    }
    let pods = answers.len();
    let mut wrong: BTreeMap<&AnswerKey, usize> = BTreeMap::new();
    let keys: Vec<AnswerKey> = answers.iter().filter_map(|answer| key(wanted, answer)).collect();
    for key in &keys {
        *wrong.entry(key).or_default() += 1;
    }
    // What a pod said is worth more than that another one could not be reached.
    let definite: Vec<_> = wrong
        .iter()
        .filter(|(key, _)| ***key != AnswerKey::Unreachable)
        .collect();
    if let Some((worst, _)) = definite.first() {
        let said: Vec<String> = definite
            .iter()
            .map(|(key, count)| says(key, **count, pods, wanted))
            .collect();
        return Judgement::Refused {
            words: format!("{asked}: {}; {}", said.join(", "), next_step(kind, wanted, worst)),
            // What speaks of a state is gone with it, and the endpoint is none the better for it: it is waited for, too.
            may_pass: answers
                .iter()
                .any(|answer| key(wanted, answer).as_ref() == Some(worst) && answer.outcome.is_a_state()),
        };
    }
    if let Some(count) = wrong.get(&AnswerKey::Unreachable) {
        return Judgement::Pending(format!(
            "{asked}: {}; see whether a NetworkPolicy keeps the operator from the pods",
            says(&AnswerKey::Unreachable, *count, pods, wanted)
        ));
    }
    if kind == ProbeKind::Liveness && answers.iter().any(|answer| is_slow(wanted, answer)) {
        // How many is chance, and would be another text at every look.
        let words = format!(
            "{asked}: a pod takes more than a third of the {} s that the probe would allow, and under load it would \
             restart what works; make the endpoint answer without waiting for anything, or raise \
             spec.probes.liveness.timeoutSeconds",
            wanted.shape.timeout_seconds
        );
        return Judgement::Refused { words, may_pass: false };
    }
    Judgement::Fits
}

/// The probe for pods that answer so.
pub(super) fn fitting(wanted: &Wanted, answers: &[Answer]) -> ProbeShape {
    let mut shape = wanted.shape.clone();
    if let Some(slow) = wanted.slow
        && answers.iter().any(|answer| is_slow(wanted, answer))
    {
        slow.set(&mut shape);
    }
    shape
}

/// A wrong answer, the most telling first.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum AnswerKey {
    Content(Content),
    Status(u16),
    NotServing,
    Grpc(i32),
    Refused,
    TimedOut,
    Unreachable,
}

fn key(wanted: &Wanted, answer: &Answer) -> Option<AnswerKey> {
    match (&wanted.shape.handler, &answer.outcome) {
        (Handler::HttpGet { .. }, AnswerOutcome::Status(200..300))
        | (Handler::TcpSocket { .. }, AnswerOutcome::Connected)
        | (Handler::Grpc { .. }, AnswerOutcome::Serving) => None,
        (_, AnswerOutcome::Status(status)) => Some(AnswerKey::Status(*status)),
        (_, AnswerOutcome::Content(content)) => Some(AnswerKey::Content(*content)),
        (_, AnswerOutcome::NotServing) => Some(AnswerKey::NotServing),
        (_, AnswerOutcome::GrpcStatus(status)) => Some(AnswerKey::Grpc(*status)),
        (_, AnswerOutcome::Refused) => Some(AnswerKey::Refused),
        (_, AnswerOutcome::TimedOut) => Some(AnswerKey::TimedOut),
        // A connection says nothing about an HTTP request.
        (_, AnswerOutcome::Connected | AnswerOutcome::Serving | AnswerOutcome::Unreachable) => {
            Some(AnswerKey::Unreachable)
        }
    }
}

/// gRPC statuses that say more than that it is not good.
const NOT_FOUND: i32 = 5;
const UNIMPLEMENTED: i32 = 12;

fn says(key: &AnswerKey, count: usize, pods: usize, wanted: &Wanted) -> String {
    let what = match key {
        AnswerKey::Status(status) => format!("{} HTTP {status}", verb(count, "answers", "answer")),
        AnswerKey::Content(content) => format!("{} {content}", verb(count, "answers", "answer")),
        AnswerKey::NotServing => format!("{} that it is not serving", verb(count, "answers", "answer")),
        AnswerKey::Grpc(NOT_FOUND) => verb(count, "does not know the service", "do not know the service").to_owned(),
        AnswerKey::Grpc(UNIMPLEMENTED) => verb(
            count,
            "does not have the gRPC health service",
            "do not have the gRPC health service",
        )
        .to_owned(),
        AnswerKey::Grpc(status) => format!("{} gRPC status {status}", verb(count, "answers", "answer")),
        AnswerKey::Refused => verb(count, "refuses the connection", "refuse the connection").to_owned(),
        AnswerKey::TimedOut => format!(
            "{} within {} s",
            verb(count, "does not answer", "do not answer"),
            wanted.shape.timeout_seconds
        ),
        AnswerKey::Unreachable => "could not be reached".to_owned(),
    };
    format!("{count} of {pods} pods {what}")
}

fn next_step(kind: ProbeKind, wanted: &Wanted, key: &AnswerKey) -> String {
    let handler = match wanted.shape.handler {
        Handler::TcpSocket { .. } => "tcpSocket",
        Handler::Grpc { .. } => "grpc",
        _ => "httpGet",
    };
    let at = format!("spec.probes.{kind}");
    match key {
        AnswerKey::Content(content) => content.next_step(&format!("{at}.httpGet.path")),
        AnswerKey::Status(300..=399) => {
            format!(
                "a probe would take the redirect for success: give the path that answers itself in {at}.httpGet.path"
            )
        }
        AnswerKey::Status(401 | 403) => format!("give a path that asks for no login in {at}.httpGet.path"),
        AnswerKey::Status(500..) => {
            format!("it is asked again; if it stays so, mend the endpoint or give another path in {at}.httpGet.path")
        }
        AnswerKey::Status(_) => format!("give the path in {at}.httpGet.path"),
        AnswerKey::NotServing => {
            "it is asked again; if it stays so, see what the service reports of its health".to_owned()
        }
        AnswerKey::Grpc(NOT_FOUND) => format!("give a service that it reports on in {at}.grpc.service, or none"),
        AnswerKey::Grpc(UNIMPLEMENTED) => format!("register grpc.health.v1.Health, or give another handler in {at}"),
        AnswerKey::Grpc(_) => format!("let the health service answer without a login, or give another handler in {at}"),
        AnswerKey::Refused if is_plain(&wanted.shape.handler) => {
            format!("give the port that the application listens on in {at}.{handler}.port")
        }
        AnswerKey::Refused => format!(
            "it speaks another protocol there (an httpGet of scheme HTTPS needs TLS, gRPC must have none), or nobody \
             listens: give the port in {at}.{handler}.port"
        ),
        AnswerKey::TimedOut | AnswerKey::Unreachable => {
            format!("make the endpoint faster, or raise {at}.timeoutSeconds")
        }
    }
}

fn is_slow(wanted: &Wanted, answer: &Answer) -> bool {
    let allowed = u64::try_from(wanted.shape.timeout_seconds).unwrap_or(0) * 1000;
    answer.millis.saturating_mul(3) > allowed
}

fn verb(count: usize, one: &'static str, several: &'static str) -> &'static str {
    if count == 1 { one } else { several }
}

/// Whether what hangs up does not listen: in plain HTTP and TCP there is nothing to agree on.
fn is_plain(handler: &Handler) -> bool {
    match handler {
        Handler::HttpGet { scheme, .. } => scheme == "HTTP",
        Handler::Grpc { .. } => false,
        _ => true,
    }
}
