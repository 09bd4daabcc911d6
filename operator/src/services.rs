//! The ObservedServices as a process that works on them sees them: what is left of one that cannot be read, the namespaces
//! that are looked at, and watches that go on.

use std::time::Duration;

use futures::stream::BoxStream;
use futures::{Stream, StreamExt};
use kube::api::ListParams;
use kube::core::DeserializeGuard;
use kube::runtime::reflector::{self, Store};
use kube::runtime::watcher;
use kube::{Api, Client, Resource};
use observed_crds::v1alpha1::ObservedService;

use crate::api_error;
use crate::metrics::WatchErrors;
use crate::server::{Check, Readiness};

/// An ObservedService, or what is left of one that cannot be read.
pub type Guarded = DeserializeGuard<ObservedService>;
/// The services that are known.
pub type Known = Store<Guarded>;

/// How often it is asked whether they can be listed.
const POLL: Duration = Duration::from_secs(3);

/// An `Api` for the namespaces that the operator looks after.
pub fn scoped<K>(client: &Client, namespace: Option<&str>) -> Api<K>
where
    K: Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>,
{
    match namespace {
        Some(namespace) => Api::namespaced(client.clone(), namespace),
        None => Api::all(client.clone()),
    }
}

/// Waits until the services can be listed: their kind is there, and so is the right.
pub async fn can_be_listed(client: &Client, namespace: Option<&str>, readiness: &Readiness) {
    let services = scoped::<Guarded>(client, namespace);
    let mut told = String::new();
    while let Err(error) = services.list_metadata(&ListParams::default().limit(1)).await {
        let words = format!("the ObservedServices could not be listed: {}", api_error::words(&error));
        if words != told {
            tracing::warn!("{words}");
        }
        readiness.fails(Check::Services, &words);
        told = words;
        tokio::time::sleep(POLL).await;
    }
    readiness.passes(Check::Services);
}

/// The errors of a watch go to the log, once until it works again.
pub fn logged<T: Send + 'static>(
    stream: impl Stream<Item = watcher::Result<T>> + Send + 'static,
    what: &'static str,
    errors: &WatchErrors,
) -> BoxStream<'static, T> {
    let mut broken = false;
    let errors = errors.of(what);
    stream
        .filter_map(move |item| {
            let item = match item {
                Ok(item) => {
                    broken = false;
                    Some(item)
                }
                Err(error) => {
                    errors.inc();
                    let words = api_error::words_of_watch(&error);
                    if broken {
                        tracing::debug!(watch = what, error = words, "a watch is still broken");
                    } else {
                        tracing::warn!(watch = what, error = words, "a watch broke off; it is started again");
                    }
                    broken = true;
                    None
                }
            };
            std::future::ready(item)
        })
        .boxed()
}

/// The reflector's two ends.
pub fn store() -> (Known, reflector::store::Writer<Guarded>) {
    reflector::store()
}
