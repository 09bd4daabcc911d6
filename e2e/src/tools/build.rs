//! Builds programs from their Go modules into the cache, each once.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::{Family, Origin, Tool, go};
use crate::cache::{self, Cache};
use crate::progress::Progress;

/// What Go's own caches reach while everything is built, and the programs afterwards.
const COLD_GIB: u64 = 16;
/// What Go needs at least while it builds: part of everything.
const SMALL_GIB: u64 = 8;
/// What is added to caches that a part of the programs left.
const REST_GIB: u64 = 4;

/// Set to anything, it keeps Go's caches after the last build: for work on the list of tools itself.
const KEEP_GO_CACHES: &str = "OBSERVED_KEEP_GO_CACHES";

/// A tool could not be had.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The cache directory could not be used.
    #[error(transparent)]
    Cache(#[from] cache::Error),
    /// There is no Go on this machine.
    #[error("the program `go` is needed to build the cluster's programs: install Go 1.26 or newer and put it on PATH")]
    NoGo(#[source] io::Error),
    /// `go` itself failed.
    #[error("`go {arguments}` failed: {output}")]
    Go {
        /// What it was asked.
        arguments: String,
        /// What it said.
        output: String,
    },
    /// The disk is too full to build.
    #[error("building the cluster's programs needs {need} GiB of free disk under {}, there are {free}: free some, or set XDG_CACHE_HOME to a larger disk", path.display())]
    DiskFull {
        /// Where.
        path: PathBuf,
        /// How much is needed.
        need: u64,
        /// How much there is.
        free: u64,
    },
    /// A program did not build.
    #[error("building {} failed; the log is {}; it ends:\n{tail}", tool.binary(), log.display())]
    Build {
        /// Which.
        tool: Tool,
        /// The whole output.
        log: PathBuf,
        /// Its last lines.
        tail: String,
    },
    /// A file or directory of the cache could not be used.
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
    /// The task that builds was ended.
    #[error("the build was interrupted; run it again: what is already built stays")]
    Interrupted,
    /// A path was asked of a tool that nobody asked to be there.
    #[error("{tool:?} was not among the tools asked for")]
    NotAskedFor {
        /// Which.
        tool: Tool,
    },
}

/// Why a file of the cache could not be used.
fn io_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::Io { action, path, source }
}

/// The tools asked for, built if they are not there yet.
pub(super) fn ensure(cache: &Cache, tools: &[Tool], progress: &Progress) -> Result<BTreeMap<Tool, PathBuf>, Error> {
    let mut paths = BTreeMap::new();
    let mut wanted = BTreeSet::new();
    for tool in tools {
        match given(*tool) {
            Some(path) => {
                paths.insert(*tool, path);
            }
            None => {
                wanted.insert(*tool);
            }
        }
    }
    if wanted.is_empty() {
        return Ok(paths);
    }
    let workshop = Workshop::open(cache)?;
    let missing = |set: &BTreeSet<Tool>| {
        set.iter()
            .copied()
            .filter(|tool| !workshop.place(*tool).exists())
            .collect()
    };
    let mut to_build: Vec<Tool> = missing(&wanted);
    if !to_build.is_empty() {
        let _lock = cache.lock("tools.lock", || {
            progress.line("another process builds the cluster's programs; waiting for it")
        })?;
        to_build = missing(&wanted);
        workshop.build(&to_build, progress)?;
    }
    paths.extend(wanted.into_iter().map(|tool| (tool, workshop.place(tool))));
    Ok(paths)
}

/// Gibibytes of disk that building what is missing of these tools needs.
pub(crate) fn gib_to_build(cache: &Cache, tools: &[Tool]) -> Result<u64, Error> {
    let workshop = Workshop::open(cache)?;
    let missing = tools
        .iter()
        .filter(|tool| given(**tool).is_none() && !workshop.place(**tool).exists());
    Ok(workshop.gib_for(missing.map(|tool| tool.estimate()).sum()))
}

/// A program from the directory where others that test against an API server look, too.
fn given(tool: Tool) -> Option<PathBuf> {
    if !matches!(tool, Tool::Etcd | Tool::KubeApiserver | Tool::Kubectl) {
        return None;
    }
    let path = Path::new(&std::env::var_os("KUBEBUILDER_ASSETS")?).join(tool.binary());
    path.exists().then_some(path)
}

/// The part of the cache where programs are built.
struct Workshop {
    root: PathBuf,
    go_caches: PathBuf,
    keys: BTreeMap<Family, String>,
}

impl Workshop {
    fn open(cache: &Cache) -> Result<Self, Error> {
        let root = cache.directory("tools")?;
        let go_version = go::version()?;
        let keys = Tool::every()
            .map(Tool::family)
            .map(|family| (family, key(family, &go_version)))
            .collect();
        Ok(Self {
            root,
            go_caches: cache.directory("go")?,
            keys,
        })
    }

    fn directory(&self, family: Family) -> PathBuf {
        let key = self.keys.get(&family).map(String::as_str).unwrap_or_default();
        self.root.join(format!("{}-{key}", family.name()))
    }

    fn place(&self, tool: Tool) -> PathBuf {
        let kind = if matches!(tool.origin(), Origin::Package(_)) {
            "bin"
        } else {
            "files"
        };
        self.directory(tool.family()).join(kind).join(tool.binary())
    }

    /// Gibibytes that a build of this length needs. A warm Go cache already holds most of what the build would write.
    fn gib_for(&self, time: Duration) -> u64 {
        match time.as_secs() {
            0 => 0,
            1..=30 => 1,
            _ if self.go_caches.join("build").exists() => REST_GIB,
            31..=600 => SMALL_GIB,
            _ => COLD_GIB,
        }
    }

    fn build(&self, tools: &[Tool], progress: &Progress) -> Result<(), Error> {
        let in_order: Vec<Tool> = Tool::every().filter(|tool| tools.contains(tool)).collect();
        if in_order.is_empty() {
            return Ok(());
        }
        let time: Duration = in_order.iter().map(|tool| tool.estimate()).sum();
        let need = self.gib_for(time);
        if need > 0 {
            let free = free_gib(&self.root)?;
            if free < need {
                return Err(Error::DiskFull {
                    path: self.root.clone(),
                    need,
                    free,
                });
            }
            let minutes = time.as_secs().div_ceil(60);
            progress.line(&format!(
                "building {} programs, once: about {minutes} min on two cores",
                in_order.len()
            ));
        }
        for (index, tool) in in_order.iter().enumerate() {
            let what = format!(
                "[{}/{}] {} {}",
                index + 1,
                in_order.len(),
                tool.family().name(),
                tool.binary()
            );
            let step = progress.step(what, Some(tool.estimate()));
            self.build_one(*tool)?;
            step.done();
        }
        self.remove_old_families()?;
        if Tool::ALL.iter().all(|tool| self.place(*tool).exists()) && std::env::var_os(KEEP_GO_CACHES).is_none() {
            fs::remove_dir_all(&self.go_caches).map_err(io_error("remove", &self.go_caches))?;
        }
        Ok(())
    }

    fn build_one(&self, tool: Tool) -> Result<(), Error> {
        let family = self.directory(tool.family());
        let source = family.join("src");
        for (path, text) in tool.family().sources() {
            let path = source.join(path);
            let directory = path.parent().unwrap_or(&source);
            fs::create_dir_all(directory).map_err(io_error("make", directory))?;
            fs::write(&path, text).map_err(io_error("write", &path))?;
        }
        let place = self.place(tool);
        let directory = place.parent().unwrap_or(&family);
        fs::create_dir_all(directory).map_err(io_error("make", directory))?;
        // Built beside its place and renamed: an interrupt leaves nothing that looks finished.
        let unfinished = directory.join(format!(".{}.unfinished", tool.binary()));
        let log = family.join(format!("{}.log", tool.binary()));
        match tool.origin() {
            Origin::Package(package) => {
                let mut go = self.go(&source);
                go.args([
                    "build",
                    "-trimpath",
                    "-buildvcs=false",
                    // The programs are linked without it, and the caches are smaller by gigabytes.
                    "-gcflags=all=-dwarf=false",
                    "-ldflags",
                    tool.family().link_flags(),
                ]);
                go.args(tool.family().tags().into_iter().flat_map(|tags| ["-tags", tags]));
                go.arg("-o").arg(&unfinished).arg(package);
                run(go, &log, tool)?;
            }
            Origin::Files { module, directory } => {
                let mut download = self.go(&source);
                download.args(["mod", "download", module]);
                run(download, &log, tool)?;
                let mut list = self.go(&source);
                list.args(["list", "-m", "-f", "{{.Dir}}", module]);
                copy_yaml(&Path::new(&answer(list)?).join(directory), &unfinished)?;
            }
        }
        fs::rename(&unfinished, &place).map_err(io_error("rename", &unfinished))
    }

    /// `go` with its caches in ours. What the user set for it, such as a proxy, stays.
    ///
    /// It ends with the thread that waits for it: a build of minutes must not outlive a demo that was told to end.
    fn go(&self, directory: &Path) -> Command {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--", "go"]).stdin(Stdio::null());
        let flags = std::env::var("GOFLAGS").unwrap_or_default();
        command.current_dir(directory);
        command
            .env("GOMODCACHE", self.go_caches.join("mod"))
            .env("GOCACHE", self.go_caches.join("build"));
        command
            .env("GOFLAGS", format!("{flags} -modcacherw").trim())
            .env("CGO_ENABLED", "0")
            .env("GOWORK", "off");
        command
    }

    /// Programs of versions that this list no longer names.
    fn remove_old_families(&self) -> Result<(), Error> {
        let entries = fs::read_dir(&self.root).map_err(io_error("read", &self.root))?;
        for path in entries
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| self.is_superseded(path))
        {
            fs::remove_dir_all(&path).map_err(io_error("remove", &path))?;
        }
        Ok(())
    }

    /// Whether it is an earlier state of a family. What another checkout lists, and this one does not, is that one's own.
    fn is_superseded(&self, directory: &Path) -> bool {
        let name = directory.file_name().unwrap_or_default().to_string_lossy();
        let family = name.rsplit_once('-').map(|(family, _)| family);
        self.keys
            .keys()
            .any(|known| Some(known.name()) == family && self.directory(*known) != directory)
    }
}

pub(super) fn answer(mut command: Command) -> Result<String, Error> {
    let output = command.output().map_err(Error::NoGo)?;
    if !output.status.success() {
        let arguments = command
            .get_args()
            .map(|argument| argument.to_string_lossy())
            .collect::<Vec<_>>()
            .join(" ");
        return Err(Error::Go {
            arguments,
            output: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        });
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn run(mut command: Command, log: &Path, tool: Tool) -> Result<(), Error> {
    let file = File::create(log).map_err(io_error("write", log))?;
    let twin = file.try_clone().map_err(io_error("write", log))?;
    let status = command.stdout(file).stderr(twin).status().map_err(Error::NoGo)?;
    if status.success() {
        return Ok(());
    }
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    let tail = lines[lines.len().saturating_sub(12)..].join("\n");
    Err(Error::Build {
        tool,
        log: log.to_owned(),
        tail,
    })
}

fn copy_yaml(from: &Path, to: &Path) -> Result<(), Error> {
    let _ = fs::remove_dir_all(to); // what an interrupted copy left
    fs::create_dir_all(to).map_err(io_error("make", to))?;
    for entry in fs::read_dir(from).map_err(io_error("read", from))? {
        let path = entry.map_err(io_error("read", from))?.path();
        if path.extension().is_some_and(|extension| extension == "yaml")
            && let Some(name) = path.file_name()
        {
            // Read and written, not copied: files of the module cache are read-only and their mode would come along.
            let text = fs::read(&path).map_err(io_error("read", &path))?;
            fs::write(to.join(name), text).map_err(io_error("write", to))?;
        }
    }
    Ok(())
}

/// Gibibytes that a user without special rights can still write there.
pub(crate) fn free_gib(path: &Path) -> Result<u64, Error> {
    let stat = nix::sys::statvfs::statvfs(path)
        .map_err(io::Error::from)
        .map_err(io_error("ask the free space of", path))?;
    Ok((stat.blocks_available() as u64).saturating_mul(stat.fragment_size() as u64) >> 30)
}

/// What a family's programs depend on: another of these, another directory.
fn key(family: Family, go_version: &str) -> String {
    key_of(&family.sources(), family.link_flags(), family.tags(), go_version)
}

fn key_of(sources: &[(&str, &str)], link_flags: &str, tags: Option<&str>, go_version: &str) -> String {
    let mut hash = Sha256::new();
    let mut add = |text: &str| {
        hash.update(text.len().to_le_bytes());
        hash.update(text);
    };
    add(go_version);
    add(link_flags);
    tags.into_iter().for_each(&mut add);
    for (path, text) in sources {
        add(path);
        add(text);
    }
    hash.finalize()
        .iter()
        .take(8)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

#[cfg(test)]
mod tests;
