//! Our own programs, built by Cargo.
use crate::Progress;
use std::collections::BTreeMap;
use std::path::PathBuf;
/// A program could not be built.
#[derive(Debug, thiserror::Error)]
pub enum Error {}
/// The debug build of a package's program of the same name, for tests against the control plane: `binaries::debug("observed", &progress)`.
///
/// # Errors
/// The build failed.
pub async fn debug(_package: &str, _progress: &Progress) -> Result<PathBuf, Error> {
    todo!()
}
/// Static release builds of packages, by package name, to put into images: `binaries::fixed(&["observed", "claude-api"], &progress)`.
///
/// # Errors
/// The build failed.
pub async fn for_images(_packages: &[&str], _progress: &Progress) -> Result<BTreeMap<String, PathBuf>, Error> {
    todo!()
}
