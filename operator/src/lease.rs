//! One writer at a time: the process that holds the Lease. Others of its kind wait, ready to go on.
//!
//! The holder counts its time on its own monotonic clock, from before each renewal was sent, and stops earlier than anybody
//! else may begin: a write later than that is not sent, and the process ends, however it was held up. Who waits counts from
//! when it saw the Lease change, so that no two clocks are compared. `kube-lease-manager` does neither.

mod gate;
#[cfg(test)]
mod tests;

use std::time::Duration;

use futures::{Stream, StreamExt};
use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease as Object, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::Api;
use kube::api::PostParams;
use kube::runtime::{WatchStreamExt, watcher};
use tokio::time::{Instant, sleep, sleep_until, timeout};

pub use gate::Gate;

use crate::api_error;
use crate::server::{Check, Readiness};

/// Attempts to release the Lease. A renewal that was under way may come in between.
const RELEASES: usize = 3;

/// The Lease went to somebody else.
#[derive(Debug, thiserror::Error)]
#[error("the Lease went to {0:?}: two operators must not write at once, so this one ends")]
pub struct Lost(String);

/// What everything about a Lease takes, from how long it lasts.
#[derive(Clone, Copy, Debug)]
struct Terms {
    /// Nobody else begins before it has not changed for so long.
    lasts: Duration,
}

impl Terms {
    /// The holder ends if it could not renew for so long.
    fn deadline(self) -> Duration {
        self.lasts * 2 / 3
    }

    /// Time between two renewals.
    fn renewal(self) -> Duration {
        self.lasts * 2 / 15
    }

    /// What one request may take.
    fn request(self) -> Duration {
        self.lasts / 3
    }
}

/// The Lease, as one process sees it.
pub struct Lease {
    api: Api<Object>,
    name: String,
    identity: String,
    terms: Terms,
    gate: Gate,
}

/// What is known of the Lease while another one may hold it.
struct View {
    /// As it was last seen. None: it is not there.
    object: Option<Object>,
    /// When the waiting is over.
    free_at: Instant,
}

impl Lease {
    /// The Lease of that name. Nothing may write before it is held: `gate` is closed.
    pub fn new(api: Api<Object>, name: &str, lasts: Duration, gate: Gate) -> Self {
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let (started, process) = (Timestamp::now().as_millisecond(), std::process::id());
        Self {
            api,
            name: name.to_owned(),
            // A process that is started again in the same pod is another one.
            identity: format!("{}_{process}_{started}", host.trim()),
            terms: Terms { lasts },
            gate,
        }
    }

    /// Waits until this process holds the Lease. Ready as soon as it is known who does.
    pub async fn acquire(&self, readiness: &Readiness) -> Held<'_> {
        let looks = watcher::watch_object(self.api.clone(), &self.name).default_backoff();
        let object = self.take(looks, readiness).await;
        tracing::info!(lease = self.name, identity = self.identity, "leading");
        Held { lease: self, object }
    }

    async fn take(
        &self,
        looks: impl Stream<Item = Result<Option<Object>, watcher::Error>>,
        readiness: &Readiness,
    ) -> Object {
        let mut looks = std::pin::pin!(looks);
        let mut view: Option<View> = None;
        loop {
            let free_at = view.as_ref().map(|view| view.free_at);
            let over = async {
                match free_at {
                    Some(at) => sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            let look = tokio::select! {
                Some(look) = looks.next() => look.map_err(|error| api_error::words_of_watch(&error)),
                // A watch may be silent because it is broken.
                () = over => self.look().await,
            };
            match look {
                Ok(seen) => {
                    readiness.passes(Check::Lease);
                    self.tell(&seen, view.as_ref());
                    view = Some(self.view(seen, view));
                }
                Err(words) => {
                    tracing::warn!(lease = self.name, words, "the Lease could not be read");
                    let why = format!("the Lease {} could not be read: {words}", self.name);
                    readiness.fails(Check::Lease, &why);
                    if let Some(view) = &mut view {
                        view.free_at = view.free_at.max(Instant::now() + self.terms.renewal());
                    }
                    continue;
                }
            }
            let Some(known) = view.as_mut().filter(|view| view.free_at <= Instant::now()) else {
                continue;
            };
            match self.try_to_take(known.object.clone()).await {
                Ok(object) => return object,
                Err(words) => {
                    tracing::info!(lease = self.name, words, "the Lease was not to be had");
                    known.free_at = Instant::now() + self.terms.renewal();
                }
            }
        }
    }

    /// What to make of the Lease as it is seen now. Its time begins anew whenever it has changed.
    fn view(&self, seen: Option<Object>, before: Option<View>) -> View {
        let now = Instant::now();
        let free_at = match (&seen, before) {
            (Some(object), _) if ["", &self.identity].contains(&holder(object)) => now,
            (Some(object), Some(before)) if before.object.as_ref().map(|was| &was.spec) == Some(&object.spec) => {
                before.free_at
            }
            (Some(object), _) => now + promised(object).unwrap_or(self.terms.lasts),
            // Whoever held it before it was deleted may not know yet.
            (None, Some(before)) => before.free_at,
            (None, None) => now,
        };
        View { object: seen, free_at }
    }

    fn tell(&self, seen: &Option<Object>, before: Option<&View>) {
        let holds = |object: &Option<Object>| object.as_ref().map(|object| holder(object).to_owned());
        let now = holds(seen);
        if before.is_none_or(|before| holds(&before.object) != now) && now.as_deref() != Some("") {
            tracing::info!(lease = self.name, holder = now, "waiting for the Lease");
        }
    }

    async fn look(&self) -> Result<Option<Object>, String> {
        self.within(self.api.get_opt(&self.name)).await
    }

    /// Takes the Lease as it was seen, and only if it still is so.
    async fn try_to_take(&self, seen: Option<Object>) -> Result<Object, String> {
        let Some(seen) = seen else {
            let made = self
                .within(self.api.create(&PostParams::default(), &self.first()))
                .await?;
            // Somebody may hold one that was deleted; at its next renewal it learns of this one. Until then nothing is written.
            sleep(self.terms.renewal() * 2).await;
            return self.renewed(made).await;
        };
        let mut taken = seen;
        let before = taken.spec.take().unwrap_or_default();
        let transitions = before.lease_transitions.unwrap_or_default().saturating_add(1);
        taken.spec = Some(LeaseSpec {
            lease_transitions: Some(transitions),
            ..self.spec()
        });
        self.renewed(taken).await
    }

    /// Writes the Lease with the time as it is, if nobody has changed it. From before that it is held.
    async fn renewed(&self, mut object: Object) -> Result<Object, String> {
        let sent = Instant::now();
        if let Some(spec) = &mut object.spec {
            spec.renew_time = Some(MicroTime(Timestamp::now()));
        }
        let parameters = PostParams::default();
        let written = self.within(self.api.replace(&self.name, &parameters, &object)).await?;
        self.gate.open_until(sent + self.terms.deadline());
        Ok(written)
    }

    async fn within<T>(&self, asked: impl Future<Output = kube::Result<T>>) -> Result<T, String> {
        match timeout(self.terms.request(), asked).await {
            Ok(answer) => answer.map_err(|error| api_error::words(&error)),
            Err(_) => Err(format!("no answer within {} ms", self.terms.request().as_millis())),
        }
    }

    fn spec(&self) -> LeaseSpec {
        let now = Some(MicroTime(Timestamp::now()));
        LeaseSpec {
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: self.terms.lasts.as_secs().try_into().ok(),
            acquire_time: now.clone(),
            renew_time: now,
            ..LeaseSpec::default()
        }
    }

    fn first(&self) -> Object {
        Object {
            metadata: ObjectMeta {
                name: Some(self.name.clone()),
                ..ObjectMeta::default()
            },
            spec: Some(LeaseSpec {
                lease_transitions: Some(0),
                ..self.spec()
            }),
        }
    }
}

/// Who holds a Lease. Empty: nobody does.
fn holder(object: &Object) -> &str {
    let spec = object.spec.as_ref();
    spec.and_then(|spec| spec.holder_identity.as_deref())
        .unwrap_or_default()
}

/// How long the holder may go on.
fn promised(object: &Object) -> Option<Duration> {
    let seconds = object.spec.as_ref()?.lease_duration_seconds?;
    seconds.try_into().ok().map(Duration::from_secs)
}

/// The Lease, held by this process.
pub struct Held<'a> {
    lease: &'a Lease,
    object: Object,
}

impl Held<'_> {
    /// Renews the Lease again and again. Returns when it is lost. When it cannot be renewed in time the gate closes, and
    /// whoever watches over it ends the process.
    pub async fn keep(&mut self) -> Lost {
        let lease = self.lease;
        loop {
            sleep(lease.terms.renewal()).await;
            let refused = match lease.renewed(self.object.clone()).await {
                Ok(object) => {
                    self.object = object;
                    continue;
                }
                Err(words) => words,
            };
            tracing::warn!(lease = lease.name, words = refused, "the Lease was not renewed");
            match lease.look().await {
                // A renewal without an answer, or somebody who wrote a label.
                Ok(Some(now)) if holder(&now) == lease.identity => self.object = now,
                Ok(Some(now)) => {
                    lease.gate.close();
                    return Lost(holder(&now).to_owned());
                }
                // Who waits has seen the one that was deleted and waits on. This one is ours if nobody was faster.
                Ok(None) => {
                    let mut anew = lease.first();
                    anew.spec.clone_from(&self.object.spec);
                    if let Ok(made) = lease.within(lease.api.create(&PostParams::default(), &anew)).await {
                        tracing::info!(lease = lease.name, "made the Lease again: it was deleted");
                        self.object = made;
                    }
                }
                Err(words) => tracing::warn!(lease = lease.name, words, "the Lease could not be read"),
            }
        }
    }

    /// Gives the Lease away: nothing is written any more. At once if what was begun is finished, else when a write that was
    /// sent has had its time.
    pub async fn release(mut self, finished: bool) {
        let lease = self.lease;
        lease.gate.close();
        if !finished {
            sleep(lease.terms.request()).await;
        }
        for _ in 0..RELEASES {
            let mut free = self.object.clone();
            free.spec = Some(LeaseSpec {
                holder_identity: Some(String::new()),
                lease_duration_seconds: Some(1),
                ..free.spec.unwrap_or_default()
            });
            let parameters = PostParams::default();
            match lease.within(lease.api.replace(&lease.name, &parameters, &free)).await {
                Ok(_) => return tracing::info!(lease = lease.name, "released the Lease"),
                Err(words) => tracing::warn!(lease = lease.name, words, "the Lease was not released"),
            }
            match lease.look().await {
                Ok(Some(now)) if holder(&now) == lease.identity => self.object = now,
                _ => return,
            }
        }
    }
}
