//! The SignalPacks that a service names: those of its own namespace, and no other one.

use std::collections::BTreeMap;

use kube::api::DynamicObject;
use kube::core::ApiResource;
use kube::{Api, Client};
use observed_crds::v1alpha1::ObservedServiceSpec;
use observed_crds::v1alpha1::signal_pack::{BUILTIN, SignalPack, UserPack};

use super::Error;
use crate::api_error;

/// The packs that can be read, and why the others cannot. One that is not there is in neither.
pub(super) async fn packs(
    client: &Client,
    namespace: &str,
    spec: &ObservedServiceSpec,
) -> Result<(Vec<SignalPack>, BTreeMap<String, String>), Error> {
    let (mut packs, mut unreadable) = (Vec::new(), BTreeMap::new());
    let resource = ApiResource::erase::<UserPack>(&());
    let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), namespace, &resource);
    for name in own(spec) {
        let found = match api.get_opt(name).await {
            Ok(found) => found,
            // A name that the API server does not take is no pack's.
            Err(kube::Error::Api(status)) if status.code == 400 => None,
            Err(source) => {
                return Err(Error::ReadPack {
                    namespace: namespace.to_owned(),
                    name: name.to_owned(),
                    source,
                });
            }
        };
        let found = found.filter(|found| found.metadata.deletion_timestamp.is_none());
        match found.map(DynamicObject::try_parse::<UserPack>) {
            Some(Ok(pack)) => packs.push(pack.into()),
            Some(Err(error)) => {
                unreadable.insert(name.to_owned(), api_error::shorten(&error.to_string(), 300));
            }
            None => {}
        }
    }
    Ok((packs, unreadable))
}

/// The names in `spec.signals.packs` that are not those of built-in packs.
pub(crate) fn own(spec: &ObservedServiceSpec) -> impl Iterator<Item = &str> {
    let named = spec.signals.iter().flat_map(|signals| &signals.packs).flatten();
    named.map(String::as_str).filter(|name| !BUILTIN.contains(name))
}
