//! `kubectl`, as a user would call it.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::io::AsyncWriteExt;
use tokio::process::Command;

/// `kubectl` did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It could not be run.
    #[error("cannot run {}", program.display())]
    Run {
        /// The program.
        program: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// It failed.
    #[error("`kubectl {arguments}` failed: {output}")]
    Failed {
        /// What it was asked.
        arguments: String,
        /// What it said.
        output: String,
    },
}

/// `kubectl` for one cluster.
#[derive(Clone, Debug)]
pub struct Kubectl {
    program: PathBuf,
    kubeconfig: PathBuf,
}

impl Kubectl {
    /// The program, and the cluster that it talks to.
    #[must_use]
    pub fn new(program: &Path, kubeconfig: &Path) -> Self {
        Self {
            program: program.to_owned(),
            kubeconfig: kubeconfig.to_owned(),
        }
    }

    /// Runs it and returns what it printed.
    ///
    /// # Errors
    /// It cannot be run, or it failed.
    pub async fn run(&self, arguments: &[&str]) -> Result<String, Error> {
        self.run_with(arguments, None).await
    }

    /// Runs it with a text on standard input, for `-f -`.
    ///
    /// # Errors
    /// It cannot be run, or it failed.
    pub async fn run_with(&self, arguments: &[&str], input: Option<&str>) -> Result<String, Error> {
        let failed = |source| Error::Run {
            program: self.program.clone(),
            source,
        };
        let mut child = Command::new(&self.program)
            .arg("--kubeconfig")
            .arg(&self.kubeconfig)
            .args(arguments)
            .stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            // Ctrl-C is for the demo, which ends it itself.
            .process_group(0)
            .spawn()
            .map_err(failed)?;
        if let (Some(mut stdin), Some(text)) = (child.stdin.take(), input) {
            // It reads all of its input before it prints. If it ends early, its own words say more than a broken pipe.
            let _ = stdin.write_all(text.as_bytes()).await;
        }
        let output = child.wait_with_output().await.map_err(failed)?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        Err(Error::Failed {
            arguments: arguments.join(" "),
            output: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn its_input_reaches_it_and_its_output_comes_back() {
        let directory = tempfile::tempdir().unwrap();
        let program = directory.path().join("kubectl");
        std::fs::write(&program, "#!/bin/sh\nshift 2\necho \"$@\"\ncat\n").unwrap();
        std::fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let kubectl = Kubectl::new(&program, Path::new("/nowhere"));
        let output = kubectl.run_with(&["apply", "-f", "-"], Some("kind: List")).await;
        assert_eq!(output.unwrap(), "apply -f -\nkind: List");
    }

    #[tokio::test]
    async fn what_it_says_when_it_fails_is_told() {
        let kubectl = Kubectl::new(Path::new("/bin/ls"), Path::new("/nowhere"));
        let error = kubectl.run(&["get"]).await.unwrap_err().to_string();
        assert!(error.contains("kubectl get") && error.contains("ls"), "{error}");
    }
}
