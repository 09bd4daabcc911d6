//! What the git repository of this checkout held before.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// git in a repository, whatever the one is that this process was started from.
///
/// # Errors
/// What git says when it fails.
pub fn git(repository: &Path, arguments: &[&str]) -> Result<String, String> {
    let mut command = Command::new("git");
    command
        .env_remove("GIT_DIR")
        .env_remove("GIT_WORK_TREE")
        .env_remove("GIT_INDEX_FILE");
    let output = command.arg("-C").arg(repository).args(arguments).output();
    let output = output.map_err(|error| format!("git cannot be started: {error}"))?;
    let words = [output.stdout, output.stderr].concat();
    let words = String::from_utf8_lossy(&words).into_owned();
    if output.status.success() { Ok(words) } else { Err(words) }
}

/// Puts the chart of the commit before the one that is checked out into an empty directory, and says where it is.
///
/// # Errors
/// There is no such commit, and how to get it; or the directory cannot be written to.
pub fn chart_of_one_commit_before(repository: &Path, into: &Path) -> Result<PathBuf, String> {
    let archive = into.join("chart.tar");
    let path = archive.display().to_string();
    git(repository, &["archive", "--output", &path, "HEAD~1", "charts/observed"]).map_err(|words| {
        format!(
            "there is no chart of one commit before ({}): this checkout has no parent of HEAD. To fetch it: git fetch --deepen 1",
            words.trim()
        )
    })?;
    let told = |error: std::io::Error| format!("{path} cannot be unpacked: {error}");
    let opened = fs::File::open(&archive).map_err(told)?;
    tar::Archive::new(opened).unpack(into).map_err(told)?;
    Ok(into.join("charts/observed"))
}
