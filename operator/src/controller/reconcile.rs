//! One reconcile: the six calls of the house, with a limit in time and a net below it.

mod error;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::FutureExt;
use jiff::Timestamp;
use kube::api::DynamicObject;
use kube::core::ApiResource;
use kube::runtime::controller::Action;
use kube::{Api, Client, Resource, ResourceExt};
use observed_core::child::{Applied, ApplyOutcome, Body, Children};
use observed_core::facts::Facts;
use observed_core::finding::{Code, Finding};
use observed_core::packs::Packs;
use observed_core::{outputs, resolve, status};
use observed_crds::v1alpha1::conditions::ConditionType;
use observed_crds::v1alpha1::{ObservedService, ObservedServiceStatus};

pub use error::Error;

use super::memory::{Key, Memory, spread};
use super::watches::{self, Guarded, Known};
use super::write_status::write_status;
use crate::api_error::{self, Retry};
use crate::apply::{self, Writing, apply};
use crate::events::Events;
use crate::gather::{GatherContext, Surroundings, gather};
use crate::metrics::{Metrics, ReconcileResult};
use crate::pods;
use crate::preflight::{Heard, Preflight};
use crate::settings::Settings;
use crate::trial;
use crate::verify::{self, Backends, verify};

/// How long one reconcile may take: an API server may take its time for each answer.
const LONGEST: Duration = Duration::from_secs(60);
/// Time between two looks at a service that is on its way, unless there are many.
const HURRIED: Duration = Duration::from_secs(2);
/// Longest time between two looks at a gift that is on trial, unless there are many.
const ON_TRIAL: Duration = Duration::from_secs(10);
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
}

/// Brings one service to where it should be, or says why that cannot be.
pub(super) async fn reconcile(seen: Arc<Guarded>, context: Arc<Context>) -> Result<Action, Error> {
    let key = key(seen.as_ref());
    let (_worker, _working) = (context.metrics.working(), context.metrics.queue.begin(&key));
    let began = Instant::now();
    let once = AssertUnwindSafe(once(&seen, &context));
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
            context.memory.succeeded(&key);
            let Some(next) = next else {
                return Ok(Action::await_change());
            };
            context.metrics.queue.due(&key, next);
            Ok(Action::requeue(next))
        }
        Err(error) => {
            if context.memory.failed(&key, error.to_string()) {
                tracing::warn!(namespace = key.0, name = key.1, reason = error.reason().as_str(), %error, "failed");
                context
                    .events
                    .failed(seen.as_ref(), error.reason(), &error.to_string())
                    .await;
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
    // What the watch saw may be old; what is written must follow from what is.
    let api: Api<DynamicObject> = Api::namespaced_with(
        context.client.clone(),
        &key.0,
        &ApiResource::erase::<ObservedService>(&()),
    );
    let live = api.get_opt(&key.1).await.map_err(Error::Read)?;
    let Some(live) = live.filter(|live| live.metadata.deletion_timestamp.is_none()) else {
        context.metrics.forget(&key);
        return Ok(None);
    };
    context.metrics.rolled(&key.0, &key.1, 0);
    let previous = live
        .data
        .get("status")
        .and_then(|status| serde_json::from_value(status.clone()).ok());
    let generation = live.metadata.generation.unwrap_or_default();
    context
        .memory
        .begin(&key, &live.uid().unwrap_or_default(), generation, Instant::now());
    match live.clone().try_parse::<ObservedService>() {
        Ok(service) => {
            let done = six_calls(&api, &key, &service, previous.as_ref(), generation, context).await;
            if let Err(error @ (Error::Gather(_) | Error::Preflight(_) | Error::Pods(_))) = &done
                && !is_blip(context, &key, error)
            {
                let (reason, words) = (error.reason(), error.to_string());
                let now = status::failed(reason, &words, previous.as_ref(), generation, Timestamp::now());
                write_status::<ObservedService, _>(&api, &live.metadata, previous.as_ref(), &now)
                    .await
                    .map_err(Error::Status)?;
            }
            done
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
            write_status::<ObservedService, _>(&api, &live.metadata, previous.as_ref(), &now)
                .await
                .map_err(Error::Status)?;
            Ok(None)
        }
    }
}

async fn six_calls(
    api: &Api<DynamicObject>,
    key: &Key,
    service: &ObservedService,
    previous: Option<&ObservedServiceStatus>,
    generation: i64,
    context: &Context,
) -> Result<Option<Duration>, Error> {
    let Context {
        client,
        settings,
        memory,
        ..
    } = context;
    let same_target = watches::same_target(&context.known, service);
    let around = GatherContext {
        surroundings: &context.surroundings,
        same_target,
        dependency_namespaces: settings.dependency_namespaces(),
    };
    let mut facts = gather(client, service, &around).await?;
    facts.contested = memory.contested(key, &facts, previous, Instant::now());
    facts.given = previous.and_then(|previous| previous.given.clone());
    facts.trial_over = status::trial_over(previous, Timestamp::now());
    let on_trial = resolve::on_trial(&service.spec, &facts);
    if on_trial {
        facts.trial = trial::look(client, &facts, Timestamp::now()).await?;
    }
    let questions = resolve::questions(&service.spec, &facts);
    // What is known already is not asked anew at every turn.
    let page = resolve::page(&service.spec, &facts)
        .filter(|_| facts.seen.is_empty() || memory.page_is_due(key, Instant::now()));
    let asked = context.preflight.ask(client, &facts, &questions, page.as_ref()).await;
    // That the pods cannot be listed holds the probes up, and nothing else.
    let (heard, mut failed) = asked.map_or_else(|error| (Heard::default(), Some(error.into())), |heard| (heard, None));
    let window = Duration::from_secs(resolve::preflight_seconds(&service.spec).into());
    let asked = memory.asked(key, &facts, heard.answers, window, Instant::now());
    (facts.preflight, facts.asking) = (asked.answers, asked.early);
    facts.exposed = heard.exposed;
    facts.starts = heard.starts;
    let before = previous.and_then(|previous| previous.dependent_liveness.as_ref());
    facts.dependent = resolve::dependent(&service.spec, &facts, before, asked.sign);

    let now = match resolve::resolve(&service.spec, &facts, &context.packs) {
        Ok(plan) => {
            let writing = if plan.paused { Writing::Paused } else { Writing::Allowed };
            let (applied, unwritten) = apply(client, &facts, outputs::render(&plan), writing).await;
            if applied
                .items
                .iter()
                .any(|applied| applied.outcome == ApplyOutcome::Written)
            {
                memory.hurry(key, Instant::now());
            }
            tell_gift(context, key, service, &facts, &applied).await;
            if let Some(error) = unwritten.map(Error::from) {
                // What became of a gift is remembered, whatever else went wrong.
                if is_blip(context, key, &error) && !applied.items.iter().any(Applied::wrote_gift) {
                    return Err(error);
                }
                failed = Some(error);
            }
            let ready_pods = || pods::ready(client, &facts).boxed();
            let backends = Backends::of(&facts, &context.prometheus, settings, &ready_pods);
            let asked = Instant::now();
            let verdicts = verify(&backends, &outputs::checks(&plan)).await;
            context.metrics.verified(asked.elapsed());
            status::status(
                &plan,
                &facts,
                &applied,
                &verdicts,
                previous,
                generation,
                Timestamp::now(),
            )
        }
        Err(findings) => {
            failed = apply::let_go(client, &facts).await.err().map(Error::from).or(failed);
            status::refused(&findings, &facts, previous, generation, Timestamp::now())
        }
    };
    write_status::<ObservedService, _>(api, &service.metadata, previous, &now)
        .await
        .map_err(Error::Status)?;
    if facts.exposed.is_known() {
        memory.page_was_read(key, Instant::now());
    }
    context.events.tell(service, previous, &now).await;
    if let Some(error) = failed {
        return Err(error);
    }
    let hurry = on_its_way(&now) && memory.hurries(key, Instant::now());
    let resync = spread(settings.resync, 0.1);
    let soon = |usual: Duration| usual.max(memory.crowd(Instant::now()).min(resync));
    let next = if hurry { soon(HURRIED) } else { resync };
    Ok(Some(if on_trial { next.min(soon(ON_TRIAL)) } else { next }))
}

async fn tell_gift(
    context: &Context,
    key: &Key,
    service: &ObservedService,
    facts: &Facts,
    applied: &Children<Applied>,
) {
    for applied in applied
        .items
        .iter()
        .filter(|applied| applied.outcome == ApplyOutcome::Written)
    {
        if applied.wrote_gift() {
            context.metrics.rolled(&key.0, &key.1, 1);
        }
        match &applied.child.body {
            Body::Gift(gift) => {
                context.memory.gave(key, gift);
                let words: Vec<_> = gift
                    .probes
                    .iter()
                    .map(|(kind, shape)| format!("{kind}: {}", shape.words()))
                    .collect();
                context.events.given(service, facts, &words.join("; ")).await;
            }
            Body::TakeBack(taken) => {
                context.memory.took_back(key);
                context.events.taken_back(service, facts, &taken.because).await;
            }
            Body::Owned(_) | Body::Will(_) => {}
        }
    }
}

/// Whether an error may be one of those that pass before anybody reads of it: it is tried again without a word.
fn is_blip(context: &Context, key: &Key, error: &Error) -> bool {
    error.retry() == Retry::Backoff && context.memory.failures(key) < BLIPS
}

/// Whether the next look may well see something else, without anybody changing anything.
fn on_its_way(status: &ObservedServiceStatus) -> bool {
    status
        .conditions
        .iter()
        .any(|condition| condition.type_ == ConditionType::Reconciling.as_str())
}
