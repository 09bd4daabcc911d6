//! One look at a service: the six calls of the house.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use futures::{FutureExt, TryFutureExt};
use jiff::Timestamp;
use kube::api::DynamicObject;
use kube::{Api, Client};
use observed_core::child::{Applied, ApplyOutcome, Body, Children};
use observed_core::facts::Facts;
use observed_core::{outputs, resolve, status};
use observed_crds::STATUS_MANAGER;
use observed_crds::v1alpha1::conditions::ConditionType;
use observed_crds::v1alpha1::{ObservedService, ObservedServiceStatus};
use tracing::{Instrument, debug_span};

use super::stage::{fails, stage};
use super::{Context, Error, is_blip};
use crate::apply::{self, Settled, Writing, apply};
use crate::controller::changes::Ticket;
use crate::controller::memory::{Kept, Key, spread};
use crate::controller::watches;
use crate::gather::{GatherContext, Own, gather};
use crate::preflight::{Heard, Pods};
use crate::trial;
use crate::verify::{Backends, verify};
use crate::write_status::write_status;

/// Time between two looks at a service that is on its way, unless there are many.
const HURRIED: Duration = Duration::from_secs(2);
/// Longest time between two looks at a gift that is on trial, unless there are many.
const ON_TRIAL: Duration = Duration::from_secs(10);

/// A service, and what is known of it before it is looked at.
pub(super) struct Looked<'a> {
    pub(super) api: Api<DynamicObject>,
    pub(super) key: &'a Key,
    pub(super) service: &'a ObservedService,
    pub(super) previous: Option<&'a ObservedServiceStatus>,
    /// What was read before and is still so. None: everything is read.
    pub(super) kept: Option<Kept>,
    /// None: what is read now is not kept.
    pub(super) ticket: Option<Ticket>,
}

/// What a look led to.
pub(super) enum Turn {
    /// Everything is done; when to look again.
    Done(Duration),
    /// Something is to be written, and not all that it follows from was read just now.
    Stale,
}

/// # Errors
/// Something could not be read or written.
pub(super) async fn look(looked: &Looked<'_>, context: &Context) -> Result<Turn, Error> {
    let Context {
        client,
        settings,
        memory,
        ..
    } = context;
    let Looked {
        api,
        key,
        service,
        previous,
        kept,
        ticket,
    } = looked;
    let previous = *previous;
    let around = GatherContext {
        surroundings: &context.surroundings,
        same_target: watches::same_target(&context.known, service),
        dependency_namespaces: settings.dependency_namespaces(),
    };
    let gathered = async {
        let own = match kept {
            Some(kept) => kept.own.clone(),
            None => Own::read(client, service).await?,
        };
        Ok((gather(service, own.clone(), &around).await?, own))
    };
    let (mut facts, own) = stage(debug_span!("gather"), gathered).await?;
    facts.contested = memory.contested(key, &facts, previous, Instant::now());
    facts.given = previous.and_then(|previous| previous.given.clone());
    facts.offer = previous.and_then(|previous| previous.offer.clone());
    facts.trial_over = status::trial_over(previous, Timestamp::now());
    let on_trial = resolve::on_trial(&service.spec, &facts);
    if on_trial {
        facts.trial = trial::look(client, &facts, Timestamp::now()).await?;
    }
    // That the pods cannot be listed holds the probes up, and nothing else.
    let (heard, pods, mut failed) = match stage(debug_span!("preflight"), ask(looked, &facts, context)).await {
        Ok((heard, pods)) => (heard, pods, None),
        Err(error) => (Heard::default(), None, Some(error)),
    };
    let well = heard.is_well();
    let window = Duration::from_secs(resolve::preflight_seconds(&service.spec).into());
    let asked = memory.asked(key, &facts, heard.answers, window, Instant::now());
    (facts.preflight, facts.asking) = (asked.answers, asked.early);
    facts.exposed = heard.exposed;
    facts.starts = heard.starts;
    let before = previous.and_then(|previous| previous.dependent_liveness.as_ref());
    facts.dependent = resolve::dependent(&service.spec, &facts, before, asked.sign);

    let mut settled = None;
    let now = match resolve::resolve(&service.spec, &facts, &context.packs) {
        Ok(plan) => {
            let children = outputs::render(&plan);
            let (applied, unwritten) = match kept {
                Some(kept) => {
                    let Some(applied) = kept.children.recall(children) else {
                        return Ok(Turn::Stale);
                    };
                    settled = Some(kept.children.clone());
                    (applied, None)
                }
                None => {
                    let writing = if plan.paused { Writing::Paused } else { Writing::Allowed };
                    let span = debug_span!("apply");
                    let done = apply(client, &facts, children, writing).instrument(span.clone()).await;
                    if let Some(error) = &done.1 {
                        fails(&span, error.reason());
                    }
                    settled = Settled::of(&done.0).filter(|_| done.1.is_none());
                    done
                }
            };
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
            let ready_pods = || ready(pods.as_ref(), client, &facts).boxed();
            let backends = Backends::of(&facts, &context.prometheus, settings, &ready_pods);
            let asked = Instant::now();
            let verdicts = verify(&backends, &outputs::checks(&plan))
                .instrument(debug_span!("verify"))
                .await;
            context.metrics.verified(asked.elapsed());
            status::status(
                &plan,
                &facts,
                &applied,
                &verdicts,
                previous,
                facts.generation,
                Timestamp::now(),
            )
        }
        Err(findings) => {
            if kept.is_some() {
                return Ok(Turn::Stale);
            }
            failed = apply::let_go(client, &facts).await.err().map(Error::from).or(failed);
            status::refused(&findings, &facts, previous, facts.generation, Timestamp::now())
        }
    };
    let written = write_status::<ObservedService, _>(api, &service.metadata, STATUS_MANAGER, previous, &now);
    stage(debug_span!("write_status"), written.map_err(Error::Status)).await?;
    if facts.exposed.is_known() {
        memory.page_was_read(key, Instant::now());
    }
    let held = facts.target.as_ref().is_some_and(|target| target.held);
    let settled = settled.filter(|_| failed.is_none() && !on_trial && !held);
    let until = kept.as_ref().map(|kept| kept.until);
    let keeps = settled.map(|children| Kept {
        until: until.unwrap_or_else(|| Kept::until(Instant::now())),
        own,
        pods: pods.filter(|pods| pods.settled && well),
        children,
    });
    memory.keep(key, ticket.zip(keeps));
    context.events.tell(service, previous, &now).await;
    if let Some(error) = failed {
        return Err(error);
    }
    let hurry = on_its_way(&now) && memory.hurries(key, Instant::now());
    let resync = spread(settings.resync, 0.1);
    let soon = |usual: Duration| usual.max(memory.crowd(Instant::now()).min(resync));
    let next = if hurry { soon(HURRIED) } else { resync };
    Ok(Turn::Done(if on_trial { next.min(soon(ON_TRIAL)) } else { next }))
}

/// What the running pods answer, and the pods, if they are known.
async fn ask(looked: &Looked<'_>, facts: &Facts, context: &Context) -> Result<(Heard, Option<Pods>), Error> {
    let known = looked.kept.as_ref().and_then(|kept| kept.pods.clone());
    let questions = resolve::questions(&looked.service.spec, facts);
    // What is known already is not asked anew at every turn.
    let page = resolve::page(&looked.service.spec, facts)
        .filter(|_| facts.seen.is_empty() || context.memory.page_is_due(looked.key, Instant::now()));
    let is_asked = !questions.is_empty() || page.is_some();
    let Some(target) = facts.target.as_ref().filter(|_| is_asked) else {
        return Ok((Heard::default(), known));
    };
    let ask = async |pods: &Pods| context.preflight.ask(pods, target, &questions, page.as_ref()).await;
    if let Some(pods) = known {
        let heard = ask(&pods).await;
        // One that does not answer may have been started again, or be gone.
        if heard.is_well() {
            return Ok((heard, Some(pods)));
        }
    }
    let pods = Pods::read(&context.client, &facts.namespace, target).await?;
    Ok((ask(&pods).await, Some(pods)))
}

/// Names of the target's pods that are ready. None: they cannot be listed.
async fn ready(pods: Option<&Pods>, client: &Client, facts: &Facts) -> Option<BTreeSet<String>> {
    match pods {
        Some(pods) => Some(pods.ready.clone()),
        None => {
            let target = facts.target.as_ref()?;
            let pods = Pods::read(client, &facts.namespace, target).await.ok()?;
            Some(pods.ready)
        }
    }
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

/// Whether the next look may well see something else, without anybody changing anything.
fn on_its_way(status: &ObservedServiceStatus) -> bool {
    status
        .conditions
        .iter()
        .any(|condition| condition.type_ == ConditionType::Reconciling.as_str())
}
