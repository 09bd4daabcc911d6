//! Our own programs, built by Cargo in the workspace they belong to.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::process::Command;

use crate::progress::Progress;

/// A program could not be built.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A program of the Rust toolchain is missing.
    #[error("cannot run `{program}`: install Rust and put it on PATH")]
    NoRust {
        /// Which program.
        program: String,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The build failed.
    #[error("`cargo build` of {packages} failed:\n{output}")]
    Build {
        /// The packages.
        packages: String,
        /// What the compiler said.
        output: String,
    },
    /// A package has no program of its own name.
    #[error("the package {package} has no program of that name")]
    NoProgram {
        /// Which package.
        package: String,
    },
}

/// The debug build of a package's program of the same name, for tests against a control plane: `debug("observed", &progress)`.
///
/// It is the very program that `cargo test --workspace` has built: asked for by itself, its dependencies would be built once more, with other features.
///
/// # Errors
/// Rust is missing, the build failed, or the package has no such program.
pub async fn debug(package: &str, progress: &Progress) -> Result<PathBuf, Error> {
    one(package, &["--workspace", "--tests", "--bin", package], progress).await
}

/// The debug build of an operator that is wrong as its environment says: `observed` with the feature `known-bad`.
///
/// All that it depends on is what `cargo test --workspace` has built: it is asked for beside a test, which brings the same features.
///
/// # Errors
/// As of [`debug`].
pub async fn known_bad(progress: &Progress) -> Result<PathBuf, Error> {
    let (program, feature) = ("observed-known-bad", "observed/known-bad");
    let arguments = ["--workspace", "--test", "api", "--features", feature, "--bin", program];
    one(program, &arguments, progress).await
}

/// The release build of a package's program of the same name, as who installs it has it: `released("observed", &progress)`.
///
/// # Errors
/// As of [`debug`].
pub async fn released(package: &str, progress: &Progress) -> Result<PathBuf, Error> {
    one(package, &["--release", "-p", package, "--bin", package], progress).await
}

async fn one(program: &str, arguments: &[&str], progress: &Progress) -> Result<PathBuf, Error> {
    let step = progress.step(format!("cargo build {program}"), None);
    let mut built = build(&[program], arguments, None).await?;
    step.done();
    built.remove(program).ok_or_else(|| Error::NoProgram {
        package: program.to_owned(),
    })
}

/// Static release builds of packages' programs, by package, to be put into images: `for_images(&["observed", "claude-api"], &progress)`.
///
/// # Errors
/// Rust is missing, the build failed, or a package has no program of its name.
pub async fn for_images(packages: &[&str], progress: &Progress) -> Result<BTreeMap<String, PathBuf>, Error> {
    let step = progress.step(
        format!("cargo build {}, static", packages.join(" ")),
        Some(std::time::Duration::from_secs(150)),
    );
    let target = host_target().await?;
    // With a target named, the flags hold for the programs and not for build scripts, and the files go to a directory of their own.
    let mut arguments = vec!["--profile", "image", "--target", &target];
    arguments.extend(packages.iter().flat_map(|package| ["-p", package, "--bin", package]));
    let mut flags = std::env::var("RUSTFLAGS").unwrap_or_default();
    flags.push_str(" -C target-feature=+crt-static");
    let built = build(packages, &arguments, Some(flags.trim())).await?;
    if let Some(package) = packages.iter().find(|package| !built.contains_key(**package)) {
        return Err(Error::NoProgram {
            package: (*package).to_owned(),
        });
    }
    step.done();
    Ok(built)
}

async fn build(packages: &[&str], arguments: &[&str], flags: Option<&str>) -> Result<BTreeMap<String, PathBuf>, Error> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let mut command = Command::new(&cargo);
    command
        .current_dir(workspace())
        .args(["build", "--message-format=json-render-diagnostics", "--quiet"])
        .args(arguments);
    for (variable, _) in std::env::vars_os().filter(|(variable, _)| is_of_a_package(&variable.to_string_lossy())) {
        command.env_remove(variable);
    }
    if let Some(flags) = flags {
        command.env("RUSTFLAGS", flags);
    }
    let output = command.stdin(Stdio::null()).kill_on_drop(true).output().await;
    let output = output.map_err(|source| Error::NoRust { program: cargo, source })?;
    if !output.status.success() {
        let output = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(Error::Build {
            packages: packages.join(", "),
            output,
        });
    }
    Ok(programs(&String::from_utf8_lossy(&output.stdout)))
}

/// Whether Cargo says something of the package whose test this is. Build scripts that look at it, such as ring's, would run anew in this build, and again
/// in the next one that is not started by a test, with everything that depends on them.
fn is_of_a_package(variable: &str) -> bool {
    const PREFIXES: [&str; 3] = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_"];
    const NAMES: [&str; 4] = [
        "CARGO_CRATE_NAME",
        "CARGO_PRIMARY_PACKAGE",
        "CARGO_TARGET_TMPDIR",
        "OUT_DIR",
    ];
    PREFIXES.iter().any(|prefix| variable.starts_with(prefix)) || NAMES.contains(&variable)
}

/// The programs that cargo's messages tell of, by name. Tests are programs too, and one has the name of the program that it tests.
fn programs(messages: &str) -> BTreeMap<String, PathBuf> {
    let message = |line: &str| serde_json::from_str::<serde_json::Value>(line).ok();
    let program = |message: serde_json::Value| {
        let path = message.get("executable")?.as_str()?;
        if message.pointer("/profile/test") == Some(&serde_json::Value::Bool(true)) {
            return None;
        }
        Some((
            message.pointer("/target/name")?.as_str()?.to_owned(),
            PathBuf::from(path),
        ))
    };
    messages.lines().filter_map(message).filter_map(program).collect()
}

/// The target of this machine's own programs.
async fn host_target() -> Result<String, Error> {
    let rustc = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
    let output = Command::new(&rustc).arg("-vV").stdin(Stdio::null()).output().await;
    let output = output.map_err(|source| Error::NoRust {
        program: rustc.clone(),
        source,
    })?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    let unknown = || Error::NoRust {
        program: rustc,
        source: io::Error::other("`rustc -vV` names no host"),
    };
    host.map(str::to_owned).ok_or_else(unknown)
}

fn workspace() -> &'static Path {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().unwrap_or(package)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_found_in_cargos_messages_and_libraries_and_tests_are_not() {
        let messages = r#"{"reason":"compiler-artifact","target":{"name":"observed_core"},"executable":null}
{"reason":"compiler-artifact","target":{"name":"observed"},"profile":{"test":false},"executable":"/target/debug/observed"}
{"reason":"compiler-artifact","target":{"name":"observed"},"profile":{"test":true},"executable":"/target/debug/deps/observed-1"}
{"reason":"build-finished","success":true}"#;
        assert_eq!(
            programs(messages),
            BTreeMap::from([("observed".to_owned(), "/target/debug/observed".into())])
        );
    }

    #[test]
    fn what_cargo_tells_this_test_of_its_package_is_kept_from_the_build_and_what_the_user_set_is_not() {
        for variable in ["CARGO_PKG_NAME", "CARGO_PKG_VERSION", "CARGO_MANIFEST_DIR"] {
            assert!(
                std::env::var_os(variable).is_some() && is_of_a_package(variable),
                "{variable}"
            );
        }
        for variable in [
            "CARGO",
            "CARGO_HOME",
            "CARGO_TARGET_DIR",
            "CARGO_NET_OFFLINE",
            "RUSTFLAGS",
            "PATH",
        ] {
            assert!(!is_of_a_package(variable), "{variable}");
        }
    }

    #[tokio::test]
    async fn a_package_that_does_not_exist_is_named_with_cargos_words() {
        let error = debug("no-such-package", &Progress::silent())
            .await
            .unwrap_err()
            .to_string();
        assert!(error.contains("no-such-package"), "{error}");
    }
}
