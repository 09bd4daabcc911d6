//! Builds.
use super::Tool;
use crate::{Cache, Progress, cache};
use std::{collections::BTreeMap, path::PathBuf};
/// A tool could not be had.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The cache.
    #[error(transparent)]
    Cache(#[from] cache::Error),
    /// Interrupted.
    #[error("interrupted")]
    Interrupted,
    /// Not asked for.
    #[error("{tool:?} was not asked for")]
    NotAskedFor {
        /// Which.
        tool: Tool,
    },
}
pub(super) fn ensure(_: &Cache, _: &[Tool], _: &Progress) -> Result<BTreeMap<Tool, PathBuf>, Error> {
    todo!()
}
