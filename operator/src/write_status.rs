//! Writes the status of the very object that was looked at.

use kube::Resource;
use kube::api::{Api, DynamicObject, ObjectMeta, Patch, PatchParams};
use serde::Serialize;
use serde_json::json;

use crate::api_error;

/// How often a status is written anew because the object was written to in between.
const MOST_ATTEMPTS: usize = 5;

/// Writes the status if it says something new, though the object is written to in between.
///
/// A UID alone does not tie a write to an object here: below `/status` the API server takes the metadata of what is
/// stored, so that an object that was deleted and made anew under its name would get what was said of the old one. The
/// resourceVersion does.
pub async fn write_status<K: Resource<DynamicType = ()>, S: Serialize + PartialEq>(
    api: &Api<DynamicObject>,
    looked_at: &ObjectMeta,
    manager: &str,
    before: Option<&S>,
    now: &S,
) -> Result<(), kube::Error> {
    if before == Some(now) {
        return Ok(());
    }
    let name = looked_at.name.clone().unwrap_or_default();
    let mut seen = looked_at.clone();
    for _ in 0..MOST_ATTEMPTS {
        match write_once::<K, _>(api, &seen, manager, now).await {
            Ok(_) => return Ok(()),
            Err(error) if api_error::is_not_found(&error) => return Ok(()),
            Err(error) if !api_error::is_conflict(&error) => return Err(error),
            Err(_) => {}
        }
        match api.get_metadata_opt(&name).await? {
            Some(live) if live.metadata.uid == looked_at.uid => seen = live.metadata,
            // Deleted or made anew: its watch event is on its way.
            _ => return Ok(()),
        }
    }
    Ok(())
}

/// Writes what this manager says in the status, if nobody has written to the object since it was looked at, and returns
/// what the object is from then on.
pub async fn write_once<K: Resource<DynamicType = ()>, S: Serialize>(
    api: &Api<DynamicObject>,
    looked_at: &ObjectMeta,
    manager: &str,
    status: &S,
) -> Result<ObjectMeta, kube::Error> {
    let name = looked_at.name.clone().unwrap_or_default();
    let body = json!({
        "apiVersion": K::api_version(&()),
        "kind": K::kind(&()),
        "metadata": {"name": name, "uid": looked_at.uid, "resourceVersion": looked_at.resource_version},
        "status": status,
    });
    let params = PatchParams::apply(manager).force();
    let written = api.patch_status(&name, &params, &Patch::Apply(body)).await?;
    Ok(written.metadata)
}

#[cfg(test)]
mod tests {
    use http::Method;
    use kube::core::ApiResource;
    use observed_crds::STATUS_MANAGER;
    use observed_crds::v1alpha1::{ObservedService, ObservedServiceStatus};
    use serde_json::Value;

    use super::*;
    use crate::mock;

    fn meta(uid: &str, version: &str) -> ObjectMeta {
        ObjectMeta {
            name: Some("api".into()),
            namespace: Some("prod".into()),
            uid: Some(uid.into()),
            resource_version: Some(version.into()),
            ..ObjectMeta::default()
        }
    }

    /// Writes a status for a service that was read at version 7, where the stored one is as given now. What was tried.
    async fn written(uid: &'static str, version: &'static str) -> Vec<Value> {
        let (client, log) = mock::client(move |asked| {
            let stored = json!({
                "apiVersion": "observed.rs/v1alpha1", "kind": "ObservedService", "metadata": meta(uid, version),
            });
            if asked.method == Method::GET || asked.body["metadata"]["resourceVersion"] == version {
                (200, stored)
            } else {
                mock::refusal(409, "Conflict", "the object has been modified")
            }
        });
        let resource = ApiResource::erase::<ObservedService>(&());
        let api = Api::<DynamicObject>::namespaced_with(client, "prod", &resource);
        let now = ObservedServiceStatus::default();
        write_status::<ObservedService, _>(&api, &meta("first", "7"), STATUS_MANAGER, None, &now)
            .await
            .unwrap();
        log.writes().into_iter().map(|asked| asked.body).collect()
    }

    #[tokio::test]
    async fn a_status_is_tied_to_the_state_that_was_looked_at() {
        let writes = written("first", "7").await;
        assert_eq!(writes.len(), 1);
        assert_eq!(writes[0]["metadata"]["resourceVersion"], "7");
    }

    #[tokio::test]
    async fn a_service_that_was_only_written_to_in_between_gets_its_status() {
        let writes = written("first", "9").await;
        assert_eq!(writes.len(), 2);
        assert_eq!(writes[1]["metadata"]["resourceVersion"], "9");
    }

    #[tokio::test]
    async fn a_successor_of_the_same_name_does_not_get_the_status_of_the_one_before() {
        assert_eq!(written("second", "9").await.len(), 1);
    }
}
