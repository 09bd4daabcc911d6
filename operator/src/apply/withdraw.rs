//! Takes what is left of a gift out of a workload: for a person, or because nobody asks for it any more.

use kube::Client;
use kube::api::{DynamicObject, Patch, PatchParams};
use observed_core::facts::Target;
use observed_core::gift::TakeBack;
use observed_crds::PROBES_MANAGER;

use super::gift;
use super::{Error, Held};

/// What came of it.
#[derive(Debug)]
pub enum Done {
    /// The workload as it is afterwards, or would be.
    Written(Box<DynamicObject>),
    /// It is gone, or no longer as it was when it was looked at.
    Changed,
}

/// Takes it out in one patch of the very state that was looked at, and lets go. A dry run does neither, and tells what
/// would come of it.
///
/// # Errors
/// The API server did not take it.
pub async fn withdraw(
    client: &Client,
    namespace: &str,
    target: &Target,
    taken: &TakeBack,
    dry_run: bool,
) -> Result<Done, Error> {
    let params = PatchParams {
        field_manager: Some(PROBES_MANAGER.into()),
        dry_run,
        ..PatchParams::default()
    };
    let patch = Patch::Strategic(gift::without(taken));
    let api = gift::workloads(client, namespace, target.kind);
    let written = match api.patch(&target.name, &params, &patch).await {
        Ok(written) => written,
        Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => return Ok(Done::Changed),
        Err(source) => {
            return Err(Error::Write {
                kind: target.kind.as_str(),
                namespace: namespace.to_owned(),
                name: target.name.clone(),
                source,
            });
        }
    };
    if !dry_run {
        Held::new(namespace, target).let_go(client).await?;
    }
    Ok(Done::Written(Box::new(written)))
}
