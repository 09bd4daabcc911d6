//! The directory of one run: data, keys, sockets and logs. It is locked for as long as its process lives, so that the next run can tell what was left.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use super::cgroups;
use crate::cache::{self, Cache};

/// Of so many runs that ended without being stopped, the logs are kept.
const KEPT_LOGS: usize = 5;

static RUNS: AtomicU32 = AtomicU32::new(0);

/// The directory of a run could not be made or removed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The cache directory could not be used.
    #[error(transparent)]
    Cache(#[from] cache::Error),
    /// What a killed run left in the cgroups cannot be removed.
    #[error(transparent)]
    Cgroups(#[from] cgroups::Error),
    /// A file or directory could not be used.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// With what.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

pub(super) fn io_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::Io { action, path, source }
}

/// The directory of this run.
#[derive(Debug)]
pub(crate) struct RunDir {
    cache: Cache,
    path: PathBuf,
    _lock: File,
}

impl RunDir {
    /// Removes what dead runs left, and makes a new directory.
    pub(crate) fn create(cache: &Cache) -> Result<Self, Error> {
        let runs = cache.directory("runs")?;
        // Between the making of a directory and its lock, another process would take it for a dead one.
        let _making = cache.lock("runs.lock", || ())?;
        prune(&runs)?;
        let path = runs.join(format!(
            "{}-{}",
            std::process::id(),
            RUNS.fetch_add(1, Ordering::Relaxed)
        ));
        fs::DirBuilder::new()
            .mode(0o700)
            .create(&path)
            .map_err(io_error("make", &path))?;
        let lock_path = path.join("lock");
        let lock = File::create(&lock_path).map_err(io_error("make", &lock_path))?;
        lock.lock().map_err(io_error("lock", &lock_path))?;
        let log = path.join("log");
        fs::create_dir(&log).map_err(io_error("make", &log))?;
        Ok(Self {
            cache: cache.clone(),
            path,
            _lock: lock,
        })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The run's name, which its cgroups have, too.
    pub(crate) fn name(&self) -> String {
        self.path.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// The log of a component.
    pub(crate) fn log(&self, component: &str) -> PathBuf {
        self.path.join("log").join(format!("{component}.log"))
    }

    /// Writes a file inside.
    pub(crate) fn write(&self, name: &str, text: &str) -> Result<PathBuf, Error> {
        let path = self.path.join(name);
        if let Some(directory) = path.parent() {
            fs::create_dir_all(directory).map_err(io_error("make", directory))?;
        }
        fs::write(&path, text).map_err(io_error("write", &path))?;
        Ok(path)
    }

    /// Removes everything but the logs.
    pub(crate) fn keep_only_logs(&self) -> Result<(), Error> {
        // Without its lock the directory would look like a dead one to another process, which would remove the same files.
        remove_all_but(&self.path, &["lock", "log"])
    }

    /// Removes the directory.
    pub(crate) fn remove(&self) -> Result<(), Error> {
        remove_all_but(&self.path, &["lock"])?;
        let _removing = self.cache.lock("runs.lock", || ())?;
        fs::remove_dir_all(&self.path).map_err(io_error("remove", &self.path))
    }
}

/// Removes the directories and cgroups of runs whose process is dead; of the latest, the logs stay.
fn prune(runs: &Path) -> Result<(), Error> {
    let mut dead = Vec::new();
    for entry in fs::read_dir(runs).map_err(io_error("read", runs))? {
        let path = entry.map_err(io_error("read", runs))?.path();
        let alive = File::open(path.join("lock")).is_ok_and(|lock| lock.try_lock().is_err());
        if !alive {
            let changed = fs::metadata(path.join("log")).and_then(|log| log.modified()).ok();
            dead.push((changed, path));
        }
    }
    dead.sort();
    let kept_from = dead.len().saturating_sub(KEPT_LOGS);
    for (index, (changed, path)) in dead.into_iter().enumerate() {
        cgroups::remove(&path.file_name().unwrap_or_default().to_string_lossy())?;
        if index < kept_from || changed.is_none() {
            fs::remove_dir_all(&path).map_err(io_error("remove", &path))?;
            continue;
        }
        remove_all_but(&path, &["log"])?;
    }
    Ok(())
}

/// Removes everything of a run but the entries of these names.
fn remove_all_but(run: &Path, kept: &[&str]) -> Result<(), Error> {
    for entry in fs::read_dir(run).map_err(io_error("read", run))? {
        let inside = entry.map_err(io_error("read", run))?.path();
        if inside
            .file_name()
            .is_some_and(|name| kept.iter().any(|kept| name == *kept))
        {
            continue;
        }
        let removed = if inside.is_dir() {
            fs::remove_dir_all(&inside)
        } else {
            fs::remove_file(&inside)
        };
        removed.map_err(io_error("remove", &inside))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dead_run_loses_its_data_and_keeps_its_logs_and_a_live_one_keeps_everything() {
        let directory = tempfile::tempdir().unwrap();
        let cache = Cache::at(directory.path()).unwrap();
        let alive = RunDir::create(&cache).unwrap();
        let dead = RunDir::create(&cache).unwrap();
        for run in [&alive, &dead] {
            run.write("etcd/data", "many").unwrap();
            fs::write(run.log("etcd"), "why it died").unwrap();
        }
        let dead_path = dead.path().to_owned();
        drop(dead); // without `remove`, as when its process is killed

        let _next = RunDir::create(&cache).unwrap();
        assert!(!dead_path.join("etcd").exists());
        assert!(dead_path.join("log/etcd.log").exists());
        assert!(alive.path().join("etcd/data").exists(), "a live run lost its data");
    }

    #[test]
    fn logs_do_not_pile_up() {
        let directory = tempfile::tempdir().unwrap();
        let cache = Cache::at(directory.path()).unwrap();
        for _ in 0..KEPT_LOGS + 4 {
            drop(RunDir::create(&cache).unwrap());
        }
        let last = RunDir::create(&cache).unwrap();
        let left = fs::read_dir(directory.path().join("runs")).unwrap().count();
        assert_eq!(left, KEPT_LOGS + 1, "{}", last.path().display());
    }
}
