//! The cgroups of a node's pods: a directory of the run's own under every controller, so that limits are real and nothing else is touched.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

const ROOT: &str = "/sys/fs/cgroup";

/// What the kubelet needs.
const CONTROLLERS: [&str; 5] = ["cpu", "cpuset", "memory", "pids", "cpuacct"];

/// The processes in a cgroup are gone a moment after the namespace that held them.
const EMPTY_WITHIN: Duration = Duration::from_secs(30);

/// A cgroup could not be made or removed.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} the cgroup {}", path.display())]
pub struct Error {
    /// What was tried.
    pub action: &'static str,
    /// With what.
    pub path: PathBuf,
    /// Why not.
    #[source]
    pub source: io::Error,
}

fn error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error { action, path, source }
}

/// The one name of a run's cgroups.
pub(crate) fn name(run: &str) -> String {
    format!("observed-{run}")
}

/// How this machine mounts its cgroups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Layout {
    /// One directory per controller (cgroup v1, also the hybrid).
    PerController,
    /// One tree (cgroup v2).
    Unified,
}

fn layout(root: &Path) -> Layout {
    if root.join("cgroup.controllers").exists() {
        Layout::Unified
    } else {
        Layout::PerController
    }
}

/// The controllers that the kubelet needs and this machine lacks.
pub(crate) fn missing_controllers() -> Vec<&'static str> {
    missing_in(Path::new(ROOT))
}

fn missing_in(root: &Path) -> Vec<&'static str> {
    match layout(root) {
        Layout::PerController => CONTROLLERS
            .into_iter()
            .filter(|name| !root.join(name).is_dir())
            .collect(),
        Layout::Unified => {
            let there = fs::read_to_string(root.join("cgroup.controllers")).unwrap_or_default();
            let missing = |name: &&str| *name != "cpuacct" && !there.split_whitespace().any(|word| word == *name);
            CONTROLLERS.into_iter().filter(missing).collect()
        }
    }
}

/// The directories in which a run's cgroup stands.
fn parents(root: &Path) -> Vec<PathBuf> {
    match layout(root) {
        Layout::Unified => vec![root.to_owned()],
        Layout::PerController => {
            let entries = fs::read_dir(root)
                .into_iter()
                .flatten()
                .filter_map(|entry| Some(entry.ok()?.path()));
            // `cpu` and `cpuacct` may be links to one directory: a second `mkdir` there would fail for nothing.
            entries.filter(|path| path.is_dir() && !path.is_symlink()).collect()
        }
    }
}

/// Makes the cgroup of a run under every controller.
pub(crate) fn create(run: &str) -> Result<(), Error> {
    let root = Path::new(ROOT);
    for parent in parents(root) {
        let path = parent.join(name(run));
        fs::create_dir(&path).map_err(error("make", &path))?;
        // On v1 a new cpuset has no cores, and no process can enter it.
        for file in ["cpuset.cpus", "cpuset.mems"] {
            if layout(root) == Layout::PerController && parent.join(file).exists() {
                let set = fs::read_to_string(parent.join(file)).and_then(|text| fs::write(path.join(file), text));
                set.map_err(error("give cores to", &path))?;
            }
        }
        if layout(root) == Layout::Unified {
            let all = "+cpu +cpuset +memory +pids";
            for directory in [&parent, &path] {
                let file = directory.join("cgroup.subtree_control");
                fs::write(&file, all).map_err(error("enable controllers in", directory))?;
            }
        }
    }
    Ok(())
}

/// Removes the cgroup of a run and all below it, once the last process has left. One that does not exist is fine.
pub(crate) fn remove(run: &str) -> Result<(), Error> {
    let start = Instant::now();
    for path in parents(Path::new(ROOT))
        .into_iter()
        .map(|parent| parent.join(name(run)))
    {
        while let Err(source) = remove_tree(&path) {
            if start.elapsed() > EMPTY_WITHIN {
                return Err(Error {
                    action: "remove",
                    path,
                    source,
                });
            }
            thread::sleep(Duration::from_millis(50));
        }
    }
    Ok(())
}

/// Bottom-up and directories only: the files of a cgroup cannot be removed and need not be.
fn remove_tree(path: &Path) -> io::Result<()> {
    let entries = match fs::read_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove_tree(&entry.path())?;
        }
    }
    fs::remove_dir(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_layouts_are_told_apart_and_a_missing_controller_is_named() {
        let v1 = tempfile::tempdir().unwrap();
        for name in ["cpu", "cpuset", "memory", "pids"] {
            fs::create_dir(v1.path().join(name)).unwrap();
        }
        assert_eq!(missing_in(v1.path()), ["cpuacct"]);
        assert_eq!(parents(v1.path()).len(), 4);

        let v2 = tempfile::tempdir().unwrap();
        fs::write(v2.path().join("cgroup.controllers"), "cpuset cpu io pids\n").unwrap();
        assert_eq!(missing_in(v2.path()), ["memory"]);
        assert_eq!(parents(v2.path()), [v2.path()]);
    }

    #[test]
    fn a_tree_is_removed_from_its_leaves_up_and_one_that_is_in_use_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let tree = directory.path().join("run");
        fs::create_dir_all(tree.join("kubepods/burstable/pod")).unwrap();
        remove_tree(&tree).unwrap();
        assert!(!tree.exists());
        remove_tree(&tree).unwrap(); // nothing there is fine

        fs::create_dir_all(tree.join("kubepods")).unwrap();
        fs::write(tree.join("kubepods/in-use"), "").unwrap();
        assert!(remove_tree(&tree).is_err());
    }
}
