//! Says in the status of each SignalPack what stands against it, whether or not a service names it.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use jiff::Timestamp;
use kube::api::{Api, DynamicObject};
use kube::core::ApiResource;
use kube::runtime::controller::{Action, Controller};
use kube::{Client, ResourceExt};
use observed_core::finding::{Code, Finding};
use observed_core::packs::{self, Packs};
use observed_core::status;
use observed_crds::STATUS_MANAGER;
use observed_crds::v1alpha1::SignalPackStatus;
use observed_crds::v1alpha1::signal_pack::{SignalPack, UserPack};

use super::watches::{self, GuardedPack};
use crate::api_error;
use crate::write_status::write_status;

/// How long it waits after an error of the API server.
const AGAIN: Duration = Duration::from_secs(30);

/// A pack could not be judged.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// The API server did not give the pack.
    #[error("could not read it: {}", api_error::words(.0))]
    Read(#[source] kube::Error),
    /// The API server did not take the status.
    #[error("could not write its status: {}", api_error::words(.0))]
    Status(#[source] kube::Error),
}

struct Context {
    client: Client,
    builtin: Packs,
}

/// Judges every pack that changes, for as long as the process lives. `builtin` must have its drills.
pub(super) async fn judge(
    client: Client,
    packs: watches::Packs,
    builtin: Packs,
    end: impl Future<Output = ()> + Send + Sync + 'static,
) {
    let context = Arc::new(Context { client, builtin });
    let again = |_: Arc<GuardedPack>, _: &Error, _: Arc<Context>| Action::requeue(AGAIN);
    Controller::for_stream(packs.changes, packs.store)
        .graceful_shutdown_on(end)
        .run(look, again, context)
        .for_each(|done| {
            if let Err(kube::runtime::controller::Error::ReconcilerFailed(error, pack)) = done {
                tracing::warn!(pack = %pack, %error, "a SignalPack could not be judged; it is tried again");
            }
            std::future::ready(())
        })
        .await;
}

async fn look(changed: Arc<GuardedPack>, context: Arc<Context>) -> Result<Action, Error> {
    let resource = ApiResource::erase::<UserPack>(&());
    let namespace = changed.namespace().unwrap_or_default();
    let api: Api<DynamicObject> = Api::namespaced_with(context.client.clone(), &namespace, &resource);
    let Some(live) = api.get_opt(&changed.name_any()).await.map_err(Error::Read)? else {
        return Ok(Action::await_change());
    };
    if live.metadata.deletion_timestamp.is_some() {
        return Ok(Action::await_change());
    }
    let generation = live.metadata.generation.unwrap_or_default();
    let before = live.data.get("status").cloned();
    let before = before.and_then(|status| serde_json::from_value::<SignalPackStatus>(status).ok());
    let meta = live.metadata.clone();
    let findings = match live.try_parse::<UserPack>() {
        Ok(pack) => packs::check(&context.builtin, &SignalPack::from(pack)),
        Err(error) => vec![Finding::error(
            Code::SignalPack,
            "spec",
            api_error::shorten(&error.to_string(), 300),
            "Write it as the installed CRD describes it: kubectl explain signalpack.spec",
        )],
    };
    let now = status::of_pack(&findings, before.as_ref(), generation, Timestamp::now());
    write_status::<UserPack, _>(&api, &meta, STATUS_MANAGER, before.as_ref(), &now)
        .await
        .map_err(Error::Status)?;
    Ok(Action::await_change())
}
