//! Helm, and the chart of this checkout.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use observed_e2e::{Progress, Tool, Tools, binaries};
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::OnceCell;

pub use observed_e2e::demo::manifest::checkout;

/// The chart.
pub fn chart() -> PathBuf {
    checkout().join("charts/observed")
}

/// A copy of the chart in which a text of one file is another.
pub fn chart_with(file: &str, from: &str, to: &str) -> TempDir {
    let copy = tempfile::tempdir().unwrap();
    copy_all(&chart(), copy.path());
    let path = copy.path().join(file);
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains(from), "{file} does not hold {from:?}");
    fs::write(&path, text.replace(from, to)).unwrap();
    copy
}

fn copy_all(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy_all(&path, &target);
        } else {
            fs::copy(&path, &target).unwrap();
        }
    }
}

/// What Helm prints, or why it does not.
pub async fn helm(arguments: &[&str]) -> Result<String, String> {
    static HELM: OnceCell<PathBuf> = OnceCell::const_new();
    let ensure = async || {
        let tools = Tools::ensure(&[Tool::Helm], &Progress::detect()).await.unwrap();
        tools.path(Tool::Helm).unwrap().to_owned()
    };
    let home = tempfile::tempdir().unwrap();
    let mut command = Command::new(HELM.get_or_init(ensure).await);
    command.args(arguments);
    // Nothing of the user's own Helm or cluster.
    for (variable, _) in std::env::vars().filter(|(name, _)| name.starts_with("HELM_")) {
        command.env_remove(variable);
    }
    for directory in ["HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME"] {
        command.env(directory, home.path());
    }
    text(&command.env("KUBECONFIG", "/dev/null").output().unwrap())
}

/// What a verb of the program prints.
pub async fn observed(arguments: &[&str]) -> String {
    text(&Command::new(program().await).args(arguments).output().unwrap()).unwrap()
}

/// The debug build of the program.
pub async fn program() -> &'static PathBuf {
    static BUILT: OnceCell<PathBuf> = OnceCell::const_new();
    BUILT
        .get_or_init(async || binaries::debug("observed", &Progress::detect()).await.unwrap())
        .await
}

/// Standard output, or both outputs of a program that failed.
pub fn text(output: &Output) -> Result<String, String> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() {
        Ok(text(&output.stdout))
    } else {
        Err(text(&output.stdout) + &text(&output.stderr))
    }
}

/// What a chart becomes as the release `observed` in `observed-system`.
pub async fn render(chart: &Path, options: &[&str]) -> Result<Vec<Value>, String> {
    let chart = chart.to_str().unwrap();
    let arguments = [&["template", "observed", chart, "-n", "observed-system"], options].concat();
    helm(&arguments).await.map(|text| objects(&text))
}

/// The objects of a YAML text.
pub fn objects(text: &str) -> Vec<Value> {
    let all: Vec<Value> = serde_saphyr::from_multiple(text).unwrap();
    all.into_iter().filter(|object| !object.is_null()).collect()
}

/// The only object of a kind.
pub fn only<'a>(objects: &'a [Value], kind: &str) -> &'a Value {
    let mut of_kind = objects.iter().filter(|object| object["kind"] == kind);
    let found = of_kind.next().unwrap_or_else(|| panic!("no {kind}"));
    assert!(of_kind.next().is_none(), "more than one {kind}");
    found
}

/// Whether a file of the checkout is this text. `UPDATE_GOLDEN=1` makes it so.
pub fn is_current(path: &Path, text: &str) {
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(path, text).unwrap();
    }
    let written = fs::read_to_string(path).unwrap_or_default();
    assert!(
        written == text,
        "{} is stale: run this test with UPDATE_GOLDEN=1",
        path.display()
    );
}
