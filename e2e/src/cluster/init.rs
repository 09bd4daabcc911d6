//! The first process inside a node's namespaces: makes the namespaces a place where a node can live, then collects the processes that end there.
//! When it ends, the kernel ends all of them, and every mount, device and firewall rule with them.

use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::process::{Command, ExitCode};

use nix::errno::Errno;
use nix::mount::{MsFlags, mount};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, sethostname};

use super::node::{ADDRESS, BRIDGE, HIDDEN, HOST_NAME, PREFIX};

/// Settings of the whole machine that a kubelet sets as it likes them. It gets files of the run's own in their place.
const MACHINE_SETTINGS: [&str; 6] = [
    "vm/overcommit_memory",
    "vm/panic_on_oom",
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/keys/root_maxkeys",
    "kernel/keys/root_maxbytes",
];

/// What it prints when all is made.
pub(super) const READY: &str = "ready";

pub(super) fn run(run_dir: &Path) -> ExitCode {
    if std::process::id() != 1 {
        let _ = writeln!(
            io::stderr(),
            "this is started by the cluster as the first process of its namespaces, not by hand"
        );
        return ExitCode::from(2);
    }
    // Blocked before anything is started, so that no end is missed between a look and the next wait.
    let mut ends = SigSet::empty();
    ends.add(Signal::SIGCHLD);
    let made = ends
        .thread_block()
        .map_err(io::Error::from)
        .and_then(|()| prepare(run_dir));
    if let Err(error) = made {
        let _ = writeln!(io::stderr(), "{error}");
        return ExitCode::FAILURE;
    }
    let _ = writeln!(io::stdout(), "{READY}"); // nobody there to read it means that nobody needs it
    loop {
        collect();
        let _ = ends.wait(); // any return is a reason to look again
    }
}

/// Collects all processes that have ended.
fn collect() {
    loop {
        match waitpid(None::<Pid>, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::StillAlive) | Err(Errno::ECHILD) => return,
            _ => {}
        }
    }
}

fn prepare(run_dir: &Path) -> io::Result<()> {
    let named = |what: String| move |error: io::Error| io::Error::other(format!("cannot {what}: {error}"));
    sethostname(HOST_NAME)
        .map_err(io::Error::from)
        .map_err(named("set the host name".to_owned()))?;
    hide(run_dir).map_err(named("mount over the machine's directories".to_owned()))?;
    network()?;
    for (file, value) in [("net/ipv4/ip_forward", "1"), ("net/ipv4/conf/all/route_localnet", "1")] {
        fs::write(Path::new("/proc/sys").join(file), value).map_err(named(format!("set the sysctl {file}")))?;
    }
    // Only where the kernel has it: without it packets between pods of one bridge miss the Services' rules.
    let _ = fs::write("/proc/sys/net/bridge/bridge-nf-call-iptables", "1");
    Ok(())
}

/// Directories and settings of fixed name that the node's programs write to become the run's own.
fn hide(run_dir: &Path) -> io::Result<()> {
    let none = None::<&str>;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)?;
    for path in HIDDEN {
        let own = run_dir
            .join("hidden")
            .join(path.trim_start_matches('/').replace('/', "-"));
        fs::create_dir_all(&own)?;
        mount(Some(&own), path, none, MsFlags::MS_BIND, none)?;
    }
    for setting in MACHINE_SETTINGS {
        let real = Path::new("/proc/sys").join(setting);
        let own = run_dir.join("hidden").join(setting.replace('/', "-"));
        fs::write(&own, fs::read(&real)?)?;
        mount(Some(&own), &real, none, MsFlags::MS_BIND, none)?;
    }
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    mount(Some("tmpfs"), "/run", Some("tmpfs"), flags, Some("mode=755"))?;
    fs::create_dir_all("/run/containerd")
}

/// The bridge is made before the first pod: the API server and the kubelet are reached at its address. The default route leads nowhere, but
/// without it a packet to a Service has no route and is never seen by the rules that rewrite it.
fn network() -> io::Result<()> {
    let address = format!("{ADDRESS}/{PREFIX}");
    let gateway = ADDRESS.to_string();
    let steps: [&[&str]; 5] = [
        &["link", "set", "lo", "up"],
        &["link", "add", BRIDGE, "type", "bridge"],
        &["address", "add", &address, "dev", BRIDGE],
        &["link", "set", BRIDGE, "up"],
        &["route", "add", "default", "via", &gateway],
    ];
    for arguments in steps {
        let output = Command::new("ip").args(arguments).output();
        let output = output.map_err(|error| io::Error::other(format!("cannot run `ip`: {error}")))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(io::Error::other(format!(
                "`ip {}`: {}",
                arguments.join(" "),
                said.trim()
            )));
        }
    }
    Ok(())
}
