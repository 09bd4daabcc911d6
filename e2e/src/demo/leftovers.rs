//! Whether anything of a run is still on the machine.

use std::fs;
use std::path::{Path, PathBuf};

/// Where a machine tells of itself.
#[derive(Clone, Debug)]
struct Machine {
    processes: PathBuf,
    cgroups: PathBuf,
}

/// What is left of the run with this directory: processes, mounts, cgroups and the directory itself, each in words. Network devices and firewall rules
/// are not looked for: the run's own network namespace holds them and cannot outlive its processes and mounts.
#[must_use]
pub fn of(run_dir: &Path) -> Vec<String> {
    let machine = Machine {
        processes: "/proc".into(),
        cgroups: "/sys/fs/cgroup".into(),
    };
    machine.leftovers(run_dir)
}

impl Machine {
    fn leftovers(&self, run_dir: &Path) -> Vec<String> {
        let mut left = Vec::new();
        if run_dir.exists() {
            left.push(format!("the directory {}", run_dir.display()));
        }
        self.add_processes(run_dir, &mut left);
        self.add_mounts(run_dir, &mut left);
        self.add_cgroups(run_dir, &mut left);
        left
    }

    fn add_processes(&self, run_dir: &Path, left: &mut Vec<String>) {
        let directory = run_dir.to_string_lossy();
        for entry in entries(&self.processes) {
            let Some(pid) = name(&entry).parse::<u32>().ok() else {
                continue;
            };
            let command = fs::read(entry.join("cmdline")).unwrap_or_default();
            let command = String::from_utf8_lossy(&command).replace('\0', " ");
            if mentions(&command, &directory) {
                let program = command.split(' ').next().unwrap_or_default();
                left.push(format!("the process {pid} ({program})"));
            }
        }
    }

    fn add_mounts(&self, run_dir: &Path, left: &mut Vec<String>) {
        let directory = run_dir.to_string_lossy();
        let mounts = fs::read_to_string(self.processes.join("self/mountinfo")).unwrap_or_default();
        for line in mounts.lines().filter(|line| mentions(line, &directory)) {
            left.push(format!("the mount {}", line.split(' ').nth(4).unwrap_or(line)));
        }
    }

    fn add_cgroups(&self, run_dir: &Path, left: &mut Vec<String>) {
        let own = format!("observed-{}", name(run_dir));
        let mut parents = vec![self.cgroups.clone()];
        parents.extend(entries(&self.cgroups));
        for path in parents
            .into_iter()
            .map(|parent| parent.join(&own))
            .filter(|path| path.exists())
        {
            left.push(format!("the cgroup {}", path.display()));
        }
    }
}

/// Whether a text names the directory or something inside, and not another one whose name only begins alike.
fn mentions(text: &str, directory: &str) -> bool {
    text.match_indices(directory).any(|(at, _)| {
        let next = text[at + directory.len()..].chars().next();
        !next.is_some_and(|next| next.is_alphanumeric() || next == '-')
    })
}

fn entries(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten();
    entries.filter_map(|entry| Some(entry.ok()?.path())).collect()
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A machine on which nothing runs, and the directory of a run on it.
    fn machine(root: &Path) -> (Machine, PathBuf) {
        for directory in ["proc/7", "proc/self", "cgroup/memory"] {
            fs::create_dir_all(root.join(directory)).unwrap();
        }
        fs::write(root.join("proc/7/cmdline"), "sh\0-c\0true").unwrap();
        fs::write(root.join("proc/self/mountinfo"), "1 1 0:1 / / rw - ext4 /dev/a rw\n").unwrap();
        let machine = Machine {
            processes: root.join("proc"),
            cgroups: root.join("cgroup"),
        };
        (machine, root.join("runs/41-0"))
    }

    #[test]
    fn a_machine_with_nothing_of_the_run_is_clean_also_if_another_run_lives() {
        let root = tempfile::tempdir().unwrap();
        let (machine, run) = machine(root.path());
        let other = format!("etcd\0--data-dir\0{}1/etcd", run.display());
        fs::write(root.path().join("proc/7/cmdline"), other).unwrap();
        fs::create_dir(root.path().join("cgroup/memory/observed-41-01")).unwrap();
        assert_eq!(machine.leftovers(&run), Vec::<String>::new());
    }

    #[test]
    fn a_process_a_mount_a_cgroup_and_the_directory_are_each_found() {
        let root = tempfile::tempdir().unwrap();
        let (machine, run) = machine(root.path());
        let command = format!("etcd\0--data-dir\0{}/etcd", run.display());
        fs::write(root.path().join("proc/7/cmdline"), command).unwrap();
        assert_eq!(machine.leftovers(&run), ["the process 7 (etcd)"]);
        fs::write(root.path().join("proc/7/cmdline"), "").unwrap();

        let mount = format!("2 1 0:2 / {}/kubelet rw - tmpfs tmpfs rw\n", run.display());
        fs::write(root.path().join("proc/self/mountinfo"), mount).unwrap();
        assert_eq!(
            machine.leftovers(&run),
            [format!("the mount {}/kubelet", run.display())]
        );
        fs::write(root.path().join("proc/self/mountinfo"), "").unwrap();

        let cgroup = root.path().join("cgroup/memory/observed-41-0");
        fs::create_dir(&cgroup).unwrap();
        assert_eq!(machine.leftovers(&run), [format!("the cgroup {}", cgroup.display())]);
        fs::remove_dir(cgroup).unwrap();

        fs::create_dir_all(&run).unwrap();
        assert_eq!(machine.leftovers(&run), [format!("the directory {}", run.display())]);
    }
}
