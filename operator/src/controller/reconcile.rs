//! One reconcile: a look at a service, with a limit in time and a net below it.

mod error;
mod look;
mod stage;

use std::borrow::Cow;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::{FutureExt, TryFutureExt};
use jiff::Timestamp;
use kube::api::DynamicObject;
use kube::core::ApiResource;
use kube::runtime::controller::Action;
use kube::{Api, Client, Resource, ResourceExt};
use observed_core::facts::Facts;
use observed_core::finding::{Code, Finding};
use observed_core::packs::Packs;
use observed_core::status;
use observed_crds::STATUS_MANAGER;
use observed_crds::v1alpha1::{ObservedService, ObservedServiceStatus};
use tracing::debug_span;

pub use error::Error;

use super::changes::{Changes, Ticket};
use super::memory::{Key, Memory, spread};
use crate::api_error::{self, Retry};
use crate::events::Events;
use crate::gather::Surroundings;
use crate::metrics::{Metrics, ReconcileResult};
use crate::preflight::Preflight;
use crate::services::{Guarded, Known};
use crate::settings::Settings;
use crate::verify;
use crate::write_status::write_status;
use look::{Looked, Turn, look};
use stage::{stage, whole};

/// How long one reconcile may take: an API server may take its time for each answer.
const LONGEST: Duration = Duration::from_secs(60);
/// Failures in a row that the status does not speak of yet.
const BLIPS: u32 = 2;
/// Time until an error is tried again that somebody has to do something about.
const SELDOM: Duration = Duration::from_secs(60);

/// What every reconcile needs.
pub(super) struct Context {
    pub(super) client: Client,
    pub(super) settings: Settings,
    pub(super) packs: Packs,
    pub(super) known: Known,
    pub(super) surroundings: Arc<Surroundings>,
    pub(super) preflight: Preflight,
    pub(super) prometheus: verify::Prometheus,
    pub(super) events: Events,
    pub(super) metrics: Metrics,
    pub(super) memory: Memory,
    pub(super) changes: Changes,
}

/// Brings one service to where it should be, or says why that cannot be.
pub(super) async fn reconcile(seen: Arc<Guarded>, context: Arc<Context>) -> Result<Action, Error> {
    let key = key(seen.as_ref());
    whole(&key, seen.meta().generation, attempt(&seen, &key, &context)).await
}

async fn attempt(seen: &Guarded, key: &Key, context: &Context) -> Result<Action, Error> {
    let (_worker, _working) = (context.metrics.working(), context.metrics.queue.begin(key));
    let began = Instant::now();
    let once = AssertUnwindSafe(once(seen, context));
    let done = match tokio::time::timeout(LONGEST, once.catch_unwind()).await {
        Err(_) => Err(Error::TimedOut),
        Ok(Err(panic)) => {
            context.metrics.panicked();
            Err(Error::Panicked(panic_words(panic.as_ref())))
        }
        Ok(Ok(done)) => done,
    };
    let result = if done.is_ok() {
        ReconcileResult::success
    } else {
        ReconcileResult::error
    };
    context.metrics.reconciled(result, began.elapsed());
    match done {
        Ok(next) => {
            context.memory.succeeded(key);
            let Some(next) = next else {
                return Ok(Action::await_change());
            };
            context.metrics.queue.due(key, next);
            Ok(Action::requeue(next))
        }
        Err(error) => {
            if context.memory.failed(key, error.to_string()) {
                tracing::warn!(namespace = key.0, name = key.1, reason = error.reason().as_str(), %error, "failed");
                context.events.failed(seen, error.reason(), &error.to_string()).await;
            }
            Err(error)
        }
    }
}

fn panic_words(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("a panic without words").to_owned()
}

/// When to try again after a reconcile failed.
#[allow(clippy::needless_pass_by_value)] // the signature is kube's
pub(super) fn after_error(seen: Arc<Guarded>, error: &Error, context: Arc<Context>) -> Action {
    let key = key(seen.as_ref());
    let pause = context.memory.pause(&key);
    let pause = match error.retry() {
        Retry::Backoff => pause,
        Retry::Seldom => pause.max(spread(SELDOM, 0.1)),
    };
    context.metrics.queue.retried(&key, pause);
    Action::requeue(pause)
}

fn key(service: &impl Resource<DynamicType = ()>) -> Key {
    (
        service.meta().namespace.clone().unwrap_or_default(),
        service.meta().name.clone().unwrap_or_default(),
    )
}

/// When to look again; None: only once something has changed.
async fn once(seen: &Guarded, context: &Context) -> Result<Option<Duration>, Error> {
    let key = key(seen);
    let api: Api<DynamicObject> = Api::namespaced_with(
        context.client.clone(),
        &key.0,
        &ApiResource::erase::<ObservedService>(&()),
    );
    let ticket = context.changes.ticket(&key, Instant::now());
    if let Turn::Done(next) = quietly(seen, &key, &api, ticket, context).await? {
        return Ok(Some(next));
    }
    // What the watch saw may be old; what is written must follow from what is.
    let live = api.get_opt(&key.1).await.map_err(Error::Read)?;
    let Some(live) = live.filter(|live| live.metadata.deletion_timestamp.is_none()) else {
        context.metrics.forget(&key);
        return Ok(None);
    };
    context.metrics.rolled(&key.0, &key.1, 0);
    let previous = live
        .data
        .get("status")
        .and_then(|status| serde_json::from_value(status.clone()).ok())
        .map(own);
    let generation = live.metadata.generation.unwrap_or_default();
    context
        .memory
        .begin(&key, &live.uid().unwrap_or_default(), generation, Instant::now());
    match live.clone().try_parse::<ObservedService>() {
        Ok(service) => {
            let looked = Looked {
                api: api.clone(),
                key: &key,
                service: &service,
                previous: previous.as_ref(),
                kept: None,
                ticket,
            };
            let done = look(&looked, context).await;
            if let Err(error @ (Error::Gather(_) | Error::Pods(_))) = &done
                && !is_blip(context, &key, error)
            {
                let (reason, words) = (error.reason(), error.to_string());
                let now = status::failed(reason, &words, previous.as_ref(), generation, Timestamp::now());
                let written =
                    write_status::<ObservedService, _>(&api, &live.metadata, STATUS_MANAGER, previous.as_ref(), &now);
                stage(debug_span!("write_status"), written.map_err(Error::Status)).await?;
            }
            let Turn::Done(next) = done? else {
                return Ok(Some(Duration::ZERO));
            };
            Ok(Some(next))
        }
        Err(error) => {
            let facts = Facts {
                namespace: key.0.clone(),
                name: key.1.clone(),
                uid: live.uid().unwrap_or_default(),
                ..Facts::default()
            };
            let finding = Finding::error(
                Code::WrongType,
                "spec",
                api_error::shorten(&error.to_string(), 300),
                "Write it as the installed CRD describes it: kubectl explain observedservice.spec",
            );
            let now = status::refused(&[finding], &facts, previous.as_ref(), generation, Timestamp::now());
            let written =
                write_status::<ObservedService, _>(&api, &live.metadata, STATUS_MANAGER, previous.as_ref(), &now);
            stage(debug_span!("write_status"), written.map_err(Error::Status)).await?;
            Ok(None)
        }
    }
}

/// A look with what was read before, where nothing has changed since.
async fn quietly(
    seen: &Guarded,
    key: &Key,
    api: &Api<DynamicObject>,
    ticket: Option<Ticket>,
    context: &Context,
) -> Result<Turn, Error> {
    let known = seen.0.as_ref().ok();
    let known = known.filter(|service| service.metadata.deletion_timestamp.is_none());
    let (Some(service), Some(since)) = (known, ticket) else {
        return Ok(Turn::Stale);
    };
    let (uid, generation, now) = (service.uid(), service.metadata.generation, Instant::now());
    let memory = &context.memory;
    memory.begin(key, &uid.unwrap_or_default(), generation.unwrap_or_default(), now);
    let Some(kept) = memory.kept(key, since, now) else {
        return Ok(Turn::Stale);
    };
    let previous = service.status.as_ref().map(|status| match &status.remediation {
        None => Cow::Borrowed(status),
        Some(_) => Cow::Owned(own(status.clone())),
    });
    let looked = Looked {
        api: api.clone(),
        key,
        service,
        previous: previous.as_deref(),
        kept: Some(kept),
        ticket,
    };
    match look(&looked, context).await {
        Err(Error::Gather(_) | Error::Pods(_)) => Ok(Turn::Stale),
        done => done,
    }
}

/// What the operator wrote of a status: remediation is another one's.
fn own(status: ObservedServiceStatus) -> ObservedServiceStatus {
    ObservedServiceStatus {
        remediation: None,
        ..status
    }
}

/// Whether an error may be one of those that pass before anybody reads of it: it is tried again without a word.
fn is_blip(context: &Context, key: &Key, error: &Error) -> bool {
    error.retry() == Retry::Backoff && context.memory.failures(key) < BLIPS
}
