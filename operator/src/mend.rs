//! Makes one change that `observed doctor` proposes, with the rights of whoever asks. What somebody else manages is never
//! taken from them: the next apply of theirs would bring the mistake back.

use kube::api::{DynamicObject, Patch, PatchParams};
use kube::{Api, Client};
use observed_core::doctor::{Change, Object};
use observed_core::yaml;
use serde_json::{Value, json};
use similar::TextDiff;

use crate::api_error;
use crate::snapshot::resource;

/// The field manager of these changes.
const MANAGER: &str = "observed-doctor";

/// Why a change was not made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Other field managers have these fields with other values.
    #[error("somebody else manages what would change ({0}): change it where it comes from")]
    Managed(String),
    /// It is not as it was seen.
    #[error("it has changed since it was looked at: run doctor again")]
    Changed,
    /// The API server refused it, in its words.
    #[error("{0}")]
    Refused(String),
    /// The change is no JSON.
    #[error("the change cannot be written down: {0}")]
    Text(String),
}

/// A change of an object as it was seen.
#[derive(Debug)]
pub struct Mending<'a> {
    object: &'a Object,
    merge: Value,
}

impl<'a> Mending<'a> {
    /// The change of this object.
    ///
    /// # Errors
    /// The change is no JSON.
    pub fn new(object: &'a Object, change: &Change) -> Result<Self, Error> {
        let merge = serde_json::from_str(&change.merge).map_err(|error| Error::Text(error.to_string()))?;
        Ok(Self { object, merge })
    }

    /// The change as a unified diff.
    pub fn diff(&self) -> String {
        let mut mended = self.object.value.clone();
        json_patch::merge(&mut mended, &self.merge);
        diff(&self.object.reference().to_string(), &self.object.value, &mended)
    }

    /// Makes the change, if nobody else manages what it changes and the object is still as it was seen.
    ///
    /// # Errors
    /// It was not made.
    pub async fn apply(&self, client: &Client) -> Result<(), Error> {
        let kind = resource(self.object.kind);
        let api: Api<DynamicObject> = match self.object.namespace.as_str() {
            "" => Api::all_with(client.clone(), &kind),
            namespace => Api::namespaced_with(client.clone(), namespace, &kind),
        };
        let name = &self.object.name;
        // Only a server-side apply asks whose the fields are. Kept, it would also hold on to them: so it is a dry run.
        let mut asked = self.merge.clone();
        let whose = json!({"apiVersion": kind.api_version, "kind": kind.kind, "metadata": {"name": name}});
        json_patch::merge(&mut asked, &whose);
        let params = PatchParams::apply(MANAGER).dry_run();
        match api.patch(name, &params, &Patch::Apply(&asked)).await {
            Err(error) if api_error::is_conflict(&error) => return Err(Error::Managed(api_error::words(&error))),
            asked => asked.map_err(|error| Error::Refused(api_error::words(&error)))?,
        };
        let mut change = self.merge.clone();
        let seen = json!({"metadata": {"resourceVersion": self.object.text("/metadata/resourceVersion")}});
        json_patch::merge(&mut change, &seen);
        let params = PatchParams {
            field_manager: Some(MANAGER.to_owned()),
            ..PatchParams::default()
        };
        match api.patch(name, &params, &Patch::Merge(&change)).await {
            Err(error) if api_error::is_conflict(&error) => Err(Error::Changed),
            made => made.map(drop).map_err(|error| Error::Refused(api_error::words(&error))),
        }
    }
}

/// What changes in an object, as a unified diff.
pub fn diff(name: &str, before: &Value, after: &Value) -> String {
    let (before, after) = (yaml::to_string([before]), yaml::to_string([after]));
    TextDiff::from_lines(&before, &after)
        .unified_diff()
        .header(name, &format!("{name}, afterwards"))
        .to_string()
}
