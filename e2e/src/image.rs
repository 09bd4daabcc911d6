//! Container images made from files, without Docker.
use std::io;
use std::path::{Path, PathBuf};
/// An image could not be written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Io.
    #[error("io")]
    Io(#[from] io::Error),
}
/// An image to be: `Image::new("observed.local/observed:e2e").file(&binary, "/bin/observed").entrypoint("/bin/observed").write(&tar)`.
/// It has one layer with the files and a `/tmp` that anyone can write, and runs as user 65532.
/// In a pod give `imagePullPolicy: Never`.
#[derive(Clone, Debug)]
pub struct Image {}
impl Image {
    /// Begins an image of this name and tag.
    #[must_use]
    pub fn new(_name: &str) -> Self {
        todo!()
    }
    /// Puts a file into the image, executable by anyone.
    #[must_use]
    pub fn file(self, _source: impl Into<PathBuf>, _at: &str) -> Self {
        todo!()
    }
    /// What runs if a pod gives no command.
    #[must_use]
    pub fn entrypoint(self, _program: &str) -> Self {
        todo!()
    }
    /// Another numeric user than 65532.
    #[must_use]
    pub fn user(self, _user: u32) -> Self {
        todo!()
    }
    /// The image's name.
    #[must_use]
    pub fn name(&self) -> &str {
        todo!()
    }
    /// Writes the archive. The same files give the same bytes.
    ///
    /// # Errors
    /// A file cannot be read or the archive cannot be written.
    pub fn write(&self, _archive: &Path) -> Result<(), Error> {
        todo!()
    }
}
