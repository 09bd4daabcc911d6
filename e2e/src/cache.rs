//! Where built programs, images and runs are kept: `$XDG_CACHE_HOME/observed`, or `~/.cache/observed`.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

/// The cache directory could not be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Neither variable that could name the directory is set.
    #[error("no place for the cache: set XDG_CACHE_HOME or HOME to a directory that can be written")]
    NoHome,
    /// A directory could not be made.
    #[error("cannot make the directory {}", path.display())]
    Create {
        /// The directory.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A lock file could not be opened or locked.
    #[error("cannot lock {}", path.display())]
    Lock {
        /// The lock file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

/// The cache directory.
#[derive(Clone, Debug)]
pub struct Cache {
    root: PathBuf,
}

impl Cache {
    /// The cache of this user.
    ///
    /// # Errors
    /// No home, or the directory cannot be made.
    pub fn of_user() -> Result<Self, Error> {
        let set = |name| {
            std::env::var_os(name)
                .filter(|value| !value.is_empty())
                .map(PathBuf::from)
        };
        let base = set("XDG_CACHE_HOME").filter(|path| path.is_absolute());
        let base = base
            .or_else(|| set("HOME").map(|home| home.join(".cache")))
            .ok_or(Error::NoHome)?;
        Self::at(base.join("observed"))
    }

    /// A cache in a directory of the caller's choice.
    ///
    /// # Errors
    /// The directory cannot be made.
    pub fn at(root: impl Into<PathBuf>) -> Result<Self, Error> {
        let cache = Self { root: root.into() };
        cache.directory("")?;
        Ok(cache)
    }

    /// The directory itself.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// A directory inside, made if it is missing.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn directory(&self, name: &str) -> Result<PathBuf, Error> {
        let path = if name.is_empty() {
            self.root.clone()
        } else {
            self.root.join(name)
        };
        fs::create_dir_all(&path).map_err(|source| Error::Create {
            path: path.clone(),
            source,
        })?;
        Ok(path)
    }

    /// Takes a lock that ends with the returned file, or with this process. `waiting` is called once if another process holds it.
    ///
    /// # Errors
    /// The lock file cannot be opened or locked.
    pub fn lock(&self, name: &str, waiting: impl FnOnce()) -> Result<File, Error> {
        match self.try_lock(name)? {
            Some(file) => Ok(file),
            None => {
                waiting();
                let (path, file) = self.lock_file(name)?;
                file.lock().map_err(|source| Error::Lock { path, source })?;
                Ok(file)
            }
        }
    }

    /// Takes a lock, or returns `None` at once if another process holds it.
    ///
    /// # Errors
    /// The lock file cannot be opened or locked.
    pub fn try_lock(&self, name: &str) -> Result<Option<File>, Error> {
        let (path, file) = self.lock_file(name)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(fs::TryLockError::WouldBlock) => Ok(None),
            Err(fs::TryLockError::Error(source)) => Err(Error::Lock { path, source }),
        }
    }

    fn lock_file(&self, name: &str) -> Result<(PathBuf, File), Error> {
        let path = self.root.join(name);
        let file = File::options().create(true).truncate(false).write(true).open(&path);
        let file = file.map_err(|source| Error::Lock {
            path: path.clone(),
            source,
        })?;
        Ok((path, file))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::wait;

    #[tokio::test]
    async fn a_lock_is_held_by_one_at_a_time_and_free_again_after() {
        let directory = tempfile::tempdir().unwrap();
        let cache = Cache::at(directory.path().join("deep/inside")).unwrap();
        let held = cache.try_lock("a.lock").unwrap();
        assert!(held.is_some());
        assert!(
            cache.try_lock("a.lock").unwrap().is_none(),
            "a second holder got the lock"
        );
        assert!(cache.try_lock("b.lock").unwrap().is_some(), "another lock is not held");
        drop(held);
        // What another test starts at this moment has it too, until it is another program.
        let free = async || cache.try_lock("a.lock").unwrap().is_some();
        wait::until(Duration::from_secs(10), "the lock to be free", free)
            .await
            .unwrap();
    }
}
