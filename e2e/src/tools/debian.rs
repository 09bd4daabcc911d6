//! Programs that come from Debian's packages, unpacked into the cache: nothing is installed on the system.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::cache::{self, Cache};
use crate::progress::Progress;

/// A program, and the package that has it.
pub type Program = (&'static str, &'static str);

/// The programs a node needs that are not built here.
pub const NODE: [Program; 3] = [("runc", "runc"), ("nft", "nftables"), ("ip", "iproute2")];
/// The browser of the tests, without a window.
pub const BROWSER: [Program; 1] = [("chromium-headless-shell", "chromium-headless-shell")];
/// Directories with programs below where packages are unpacked. What is in `usr/bin` can be a script that begins the program at its place in the
/// system, where it is not.
const DIRECTORIES: [&str; 5] = ["usr/lib/chromium", "usr/sbin", "usr/bin", "sbin", "bin"];

const NOTHING_INSTALLED: &str = "status";

/// A program of Debian could not be had.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The cache directory could not be used.
    #[error(transparent)]
    Cache(#[from] cache::Error),
    /// The machine has no apt to fetch what it lacks.
    #[error("{programs} must come from Debian's packages, and there is no apt-get to fetch them")]
    NoApt {
        /// The missing programs.
        programs: String,
    },
    /// A step with apt or dpkg failed.
    #[error("fetching {packages} from Debian failed; the log is {}; it ends:\n{tail}", log.display())]
    Fetch {
        /// The packages.
        packages: String,
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
}

/// Where the programs and their libraries are.
#[derive(Clone, Debug, Default)]
pub struct Debian {
    root: Option<PathBuf>,
}

impl Debian {
    /// Finds the programs on the system, and fetches the packages of those it lacks.
    ///
    /// # Errors
    /// Packages are missing and cannot be fetched.
    pub fn ensure(cache: &Cache, programs: &[Program], progress: &Progress) -> Result<Self, Error> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let missing: Vec<_> = programs
            .iter()
            .filter(|(program, _)| on_path(program, &path).is_none())
            .collect();
        if missing.is_empty() {
            return Ok(Self::default());
        }
        let lacking: Vec<&str> = missing.iter().map(|(program, _)| *program).collect();
        let packages: Vec<&str> = missing.iter().map(|(_, package)| *package).collect();
        let root = unpacked(cache, &packages, &lacking, Wanted::WhatTheSystemLacks, progress)?;
        Ok(Self { root: Some(root) })
    }

    /// A directory of the cache with these packages and everything that they depend on, whatever this system has installed: what images are
    /// made of.
    ///
    /// # Errors
    /// There is no apt, or the packages cannot be fetched.
    pub fn whole(cache: &Cache, packages: &[&str], progress: &Progress) -> Result<PathBuf, Error> {
        unpacked(cache, packages, packages, Wanted::Everything, progress)
    }

    /// The directories for `PATH`.
    #[must_use]
    pub fn program_directories(&self) -> Vec<PathBuf> {
        let below = |root: &PathBuf| DIRECTORIES.map(|name| root.join(name)).to_vec();
        self.root.as_ref().map(below).unwrap_or_default()
    }

    /// A program, unpacked or on the system.
    #[must_use]
    pub fn program(&self, name: &str) -> Option<PathBuf> {
        let own = self
            .program_directories()
            .into_iter()
            .map(|directory| directory.join(name));
        let system = || on_path(name, &std::env::var_os("PATH").unwrap_or_default());
        own.into_iter().find(|file| file.is_file()).or_else(system)
    }

    /// The directories for `LD_LIBRARY_PATH`.
    #[must_use]
    pub fn library_directories(&self) -> Vec<PathBuf> {
        let Some(root) = &self.root else { return Vec::new() };
        let triplet = format!("{}-linux-gnu", std::env::consts::ARCH);
        let below = |lib: &str| [root.join(lib).join(&triplet), root.join(lib)];
        // A library that the browser needs is in a directory of its own.
        let pulse = root.join("usr/lib").join(&triplet).join("pulseaudio");
        ["usr/lib", "lib"].into_iter().flat_map(below).chain([pulse]).collect()
    }
}

/// The file that a shell would run.
pub(crate) fn on_path(program: &str, path: &std::ffi::OsStr) -> Option<PathBuf> {
    // Not every user has the administrator's directories on PATH, and half of these programs are there.
    let administrator = ["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from);
    std::env::split_paths(path)
        .chain(administrator)
        .map(|directory| directory.join(program))
        .find(|file| file.is_file())
}

/// Which packages are fetched beside those that were named.
#[derive(Clone, Copy)]
enum Wanted {
    /// Those they depend on and this system does not have.
    WhatTheSystemLacks,
    /// All that they depend on.
    Everything,
}

/// The directory of the cache with these packages; they are fetched if it is not there. `lacking` is what cannot be had without apt.
fn unpacked(
    cache: &Cache,
    packages: &[&str],
    lacking: &[&str],
    wanted: Wanted,
    progress: &Progress,
) -> Result<PathBuf, Error> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    if on_path("apt-get", &path).is_none() || on_path("dpkg", &path).is_none() {
        let programs = lacking.join(", ");
        return Err(Error::NoApt { programs });
    }
    let name = match wanted {
        Wanted::WhatTheSystemLacks => packages.join("+"),
        Wanted::Everything => format!("whole-{}", packages.join("+")),
    };
    let root = cache.directory("debian")?.join(name);
    if !root.exists() {
        let _lock = cache.lock("tools.lock", || {
            progress.line("another process fetches programs; waiting for it")
        })?;
        if !root.exists() {
            let step = progress.step(format!("fetching {} from Debian", packages.join(", ")), None);
            fetch(cache, packages, &root, wanted)?;
            step.done();
        }
    }
    Ok(root)
}

fn fetch(cache: &Cache, packages: &[&str], root: &Path, wanted: Wanted) -> Result<(), Error> {
    let names = packages.join(" ");
    let work = cache.directory("debian")?.join(".unfinished");
    let _ = fs::remove_dir_all(&work); // what an interrupted fetch left
    for name in ["lists/partial", "archives/partial", "root"] {
        let path = work.join(name);
        fs::create_dir_all(&path).map_err(|source| Error::Io {
            action: "make",
            path,
            source,
        })?;
    }
    if matches!(wanted, Wanted::Everything) {
        // The state of a system on which nothing is installed.
        let path = work.join(NOTHING_INSTALLED);
        File::create(&path).map_err(|source| Error::Io {
            action: "write",
            path,
            source,
        })?;
    }
    let log = cache.directory("debian")?.join("fetch.log");
    let file = File::create(&log).map_err(|source| Error::Io {
        action: "write",
        path: log.clone(),
        source,
    })?;
    let run = |mut command: Command| -> Result<(), Error> {
        let clone = || {
            file.try_clone().map_err(|source| Error::Io {
                action: "write",
                path: log.clone(),
                source,
            })
        };
        let status = command.stdin(Stdio::null()).stdout(clone()?).stderr(clone()?).status();
        if matches!(status, Ok(status) if status.success()) {
            return Ok(());
        }
        let text = fs::read_to_string(&log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        let tail = lines[lines.len().saturating_sub(8)..].join("\n");
        Err(Error::Fetch {
            packages: names.clone(),
            log: log.clone(),
            tail,
        })
    };
    run(apt(&work, wanted, &["update"]))?;
    let install = [
        "install",
        "--yes",
        "--download-only",
        "--no-install-recommends",
        "--reinstall",
    ];
    run(apt(&work, wanted, &[&install[..], packages].concat()))?;
    let archives = work.join("archives");
    let entries = fs::read_dir(&archives).map_err(|source| Error::Io {
        action: "read",
        path: archives.clone(),
        source,
    })?;
    for archive in entries.filter_map(|entry| Some(entry.ok()?.path())) {
        if archive.extension().is_some_and(|extension| extension == "deb") {
            let mut unpack = Command::new("dpkg");
            unpack.arg("-x").arg(&archive).arg(work.join("root"));
            run(unpack)?;
        }
    }
    fs::rename(work.join("root"), root).map_err(|source| Error::Io {
        action: "rename to",
        path: root.to_owned(),
        source,
    })?;
    let _ = fs::remove_dir_all(&work); // only archives are left in it
    Ok(())
}

/// `apt-get` with its lists and archives in our cache; the system's package state is only read, to know which libraries are already there.
fn apt(work: &Path, wanted: Wanted, arguments: &[&str]) -> Command {
    let mut command = Command::new("apt-get");
    let directory = |option: &str, name: &str| {
        let mut text = OsString::from(format!("{option}="));
        text.push(work.join(name));
        text
    };
    for option in [
        directory("Dir::State::lists", "lists"),
        directory("Dir::Cache", ""),
        directory("Dir::Cache::archives", "archives"),
        directory("Dir::State::extended_states", "extended_states"),
        directory("Dir::Log", ""),
        "Debug::NoLocking=1".into(),
        "APT::Sandbox::User=root".into(),
        "APT::Update::Post-Invoke::=true".into(),
    ] {
        command.arg("-o").arg(option);
    }
    if matches!(wanted, Wanted::Everything) {
        command
            .arg("-o")
            .arg(directory("Dir::State::status", NOTHING_INSTALLED));
    }
    command
        .args(arguments)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .env("LC_ALL", "C");
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_found_where_a_shell_would_find_it_and_not_elsewhere() {
        let directory = tempfile::tempdir().unwrap();
        let program = directory.path().join("some-program-of-a-test");
        fs::write(&program, "").unwrap();
        assert_eq!(
            on_path("some-program-of-a-test", directory.path().as_os_str()),
            Some(program)
        );
        assert_eq!(on_path("some-program-of-a-test", "/usr/bin".as_ref()), None);
    }

    #[test]
    fn a_system_that_has_everything_adds_no_directory() {
        assert!(Debian::default().program_directories().is_empty());
        let own = Debian {
            root: Some("/cache/debian/runc".into()),
        };
        assert!(
            own.program_directories()
                .contains(&"/cache/debian/runc/usr/sbin".into())
        );
        assert!(own.library_directories()[0].ends_with(format!("usr/lib/{}-linux-gnu", std::env::consts::ARCH)));
    }
}
