//! What a machine must have, looked at before anything is built.

use std::fmt;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use super::{cgroups, node};
use crate::cache::Cache;
use crate::tools::debian::on_path;
use crate::tools::{Tool, build, go};

/// `CAP_NET_ADMIN` and `CAP_SYS_ADMIN`.
const CAPABILITIES: [(u32, &str); 2] = [(12, "CAP_NET_ADMIN"), (21, "CAP_SYS_ADMIN")];

/// A node with monitoring takes 1.5 GiB, and the linking of the largest program as much.
const NODE_MIB: u64 = 3072;
const CONTROL_PLANE_MIB: u64 = 1024;
/// Images, logs and the data of a run.
const RUN_GIB: u64 = 3;

/// What a machine lacks, each with what to do about it.
#[derive(Debug)]
pub struct Missing {
    /// One sentence each.
    pub findings: Vec<String>,
}

impl std::error::Error for Missing {}

impl fmt::Display for Missing {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "this machine cannot run the cluster:")?;
        for finding in &self.findings {
            write!(out, "\n  - {finding}")?;
        }
        Ok(())
    }
}

/// Looks whether this machine can run a cluster. With `needs_node`, one with a node and monitoring.
///
/// # Errors
/// Everything it lacks at once, with what to do.
pub fn requirements(needs_node: bool) -> Result<(), Missing> {
    let mut findings = Vec::new();
    programs(needs_node, &mut findings);
    memory(if needs_node { NODE_MIB } else { CONTROL_PLANE_MIB }, &mut findings);
    disk(needs_node, &mut findings);
    if needs_node {
        rights(&mut findings);
        kernel(&mut findings);
    }
    if findings.is_empty() {
        Ok(())
    } else {
        Err(Missing { findings })
    }
}

fn programs(needs_node: bool, findings: &mut Vec<String>) {
    let path = std::env::var_os("PATH").unwrap_or_default();
    if on_path("go", &path).is_none() {
        findings.push("the program `go` is not on PATH: install Go 1.26 or newer".to_owned());
    }
    findings.extend(go::too_old_here());
    let of_node: &[&str] = if needs_node { &["unshare", "nsenter"] } else { &[] };
    for program in ["setpriv"].iter().chain(of_node) {
        if on_path(program, &path).is_none() {
            findings.push(format!("the program `{program}` is not on PATH: install util-linux"));
        }
    }
}

fn memory(need: u64, findings: &mut Vec<String>) {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    if let Some(free) = available_mib(&text)
        && free < need
    {
        findings.push(format!(
            "{need} MiB of free memory are needed, there are {free}: end other programs"
        ));
    }
}

fn available_mib(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kib: u64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
    Some(kib >> 10)
}

fn disk(needs_node: bool, findings: &mut Vec<String>) {
    let cache = match Cache::of_user() {
        Ok(cache) => cache,
        Err(error) => return findings.push(error.to_string()),
    };
    let root = cache.root();
    let hidden = node::HIDDEN.iter().chain(&["/run"]).find(|path| root.starts_with(path));
    if let Some(hidden) = hidden.filter(|_| needs_node) {
        findings.push(format!(
            "the cache {} is under {hidden}, which the node has as its own: set XDG_CACHE_HOME to another directory",
            root.display()
        ));
    }
    let control_plane = [
        Tool::Etcd,
        Tool::KubeApiserver,
        Tool::KubeControllerManager,
        Tool::Kubectl,
    ];
    let tools: &[Tool] = if needs_node { &Tool::ALL } else { &control_plane };
    // A Go that is missing is told already.
    let build = build::gib_to_build(&cache, tools).unwrap_or_default();
    let need = build + RUN_GIB;
    match build::free_gib(root) {
        Ok(free) if free < need => findings.push(format!(
            "{need} GiB of free disk are needed under {}, there are {free}: free some, or set XDG_CACHE_HOME to a larger disk",
            root.display()
        )),
        Ok(_) => {}
        Err(error) => findings.push(error.to_string()),
    }
}

fn rights(findings: &mut Vec<String>) {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let lacking = lacking_rights(&status);
    if !lacking.is_empty() {
        findings.push(format!(
            "a node needs root with all rights to namespaces, mounts and networks; this process lacks {}: run it as root, in a container as a privileged one",
            lacking.join(", ")
        ));
        return;
    }
    let mut command = Command::new("unshare");
    command.args([
        "--net",
        "--mount",
        "--pid",
        "--uts",
        "--ipc",
        "--fork",
        "--mount-proc",
        "true",
    ]);
    let output = command.stdin(Stdio::null()).output();
    if let Ok(output) = output
        && !output.status.success()
    {
        let said = String::from_utf8_lossy(&output.stderr);
        findings.push(format!(
            "new namespaces cannot be made ({}): in a container, run it as a privileged one",
            said.trim()
        ));
    }
}

/// What a node needs and the process of this `/proc/<pid>/status` has not.
fn lacking_rights(status: &str) -> Vec<&'static str> {
    let field = |name| {
        status
            .lines()
            .find_map(|line| line.strip_prefix(name))
            .unwrap_or_default()
    };
    let user = field("Uid:").split_whitespace().nth(1).unwrap_or_default();
    let held = u64::from_str_radix(field("CapEff:").trim(), 16).unwrap_or_default();
    let root = (user != "0").then_some("the user root");
    let capabilities = CAPABILITIES.iter().filter(|(bit, _)| held & (1 << bit) == 0);
    root.into_iter().chain(capabilities.map(|(_, name)| *name)).collect()
}

fn kernel(findings: &mut Vec<String>) {
    let missing = cgroups::missing_controllers();
    if !missing.is_empty() {
        findings.push(format!(
            "the cgroup controllers {} are not mounted under /sys/fs/cgroup: mount them, or boot a kernel that has them",
            missing.join(", ")
        ));
    }
    let known = fs::read_to_string("/proc/filesystems").unwrap_or_default();
    // A kernel may have it as a module that is loaded at the first mount.
    let has_overlay = known
        .lines()
        .any(|line| line.trim_start_matches("nodev").trim() == "overlay");
    if !has_overlay && !Path::new("/lib/modules").exists() {
        findings
            .push("the kernel has no overlayfs, which holds the containers' files: boot one that has it".to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_without_rights_is_told_each_that_is_lacking_and_root_none() {
        let root = "Name:\tdemo\nUid:\t0\t0\t0\t0\nCapEff:\t000001fffeffffff\n";
        assert!(lacking_rights(root).is_empty());
        let user = "Name:\tdemo\nUid:\t1000\t1000\t1000\t1000\nCapEff:\t0000000000000000\n";
        assert_eq!(
            lacking_rights(user),
            ["the user root", "CAP_NET_ADMIN", "CAP_SYS_ADMIN"]
        );
        let contained = "Uid:\t0\t0\t0\t0\nCapEff:\t00000000a80425fb\n"; // what Docker gives
        assert_eq!(lacking_rights(contained), ["CAP_NET_ADMIN", "CAP_SYS_ADMIN"]);
    }

    #[test]
    fn too_little_memory_is_told_and_enough_is_not() {
        assert_eq!(
            available_mib("MemTotal: 1 kB\nMemAvailable:   2097152 kB\n"),
            Some(2048)
        );
        let mut findings = Vec::new();
        memory(0, &mut findings);
        assert!(findings.is_empty());
        memory(u64::MAX, &mut findings);
        assert!(findings[0].contains("MiB of free memory"), "{findings:?}");
    }

    #[test]
    fn all_that_is_missing_is_in_one_message() {
        let missing = Missing {
            findings: vec!["no root".to_owned(), "no Go".to_owned()],
        };
        assert_eq!(
            missing.to_string(),
            "this machine cannot run the cluster:\n  - no root\n  - no Go"
        );
    }
}
