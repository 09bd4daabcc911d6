//! The dashboard, with a real promtool and a real Prometheus; a real browser says what `observed preview` draws.

#![allow(clippy::unwrap_used, clippy::panic)]

mod evaluations;
mod panels;
mod picture;
mod preview;

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use observed_e2e::tools::debian::{self, Debian};
use observed_e2e::{Cache, Progress, Tool, Tools, binaries, wait};
use serde_json::Value;
use tokio::sync::OnceCell;

/// The start of a Prometheus on a busy machine.
const SOON: Duration = Duration::from_secs(60);

/// The programs.
struct Programs {
    observed: PathBuf,
    tools: Tools,
    debian: Debian,
}

async fn programs() -> &'static Programs {
    static PROGRAMS: OnceCell<Programs> = OnceCell::const_new();
    let ensure = async || {
        let progress = Progress::detect();
        let cache = Cache::of_user().unwrap();
        Programs {
            tools: Tools::ensure(&[Tool::Prometheus, Tool::Promtool], &progress)
                .await
                .unwrap(),
            debian: Debian::ensure(&cache, &debian::BROWSER, &progress).unwrap(),
            observed: binaries::debug("observed", &progress).await.unwrap(),
        }
    };
    PROGRAMS.get_or_init(ensure).await
}

impl Programs {
    fn tool(&self, tool: Tool) -> &Path {
        self.tools.path(tool).unwrap()
    }

    /// `observed preview` of the sample.
    fn preview(&self, arguments: &[&str]) -> Output {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        Command::new(&self.observed)
            .args(["preview", "-f"])
            .arg(root.join("manifests/samples/claude-api.yaml"))
            .args(arguments)
            .env("PROMTOOL", self.tool(Tool::Promtool))
            .output()
            .unwrap()
    }

    fn page(&self, arguments: &[&str], file: &Path) -> String {
        let output = self.preview(&[arguments, &["-o", file.to_str().unwrap()]].concat());
        assert!(output.status.success(), "{}", words(&output));
        assert!(output.stdout.is_empty());
        fs::read_to_string(file).unwrap()
    }

    /// What a Prometheus answers to a query, now or at a time of one's own.
    fn asked(&self, url: &str, query: &str, at: Option<u64>) -> Result<Vec<Value>, String> {
        let output = Command::new(self.tool(Tool::Promtool))
            .args(["query", "instant", "--format=json"])
            .args(at.map(|at| format!("--time={at}")))
            .args([url, query])
            .output()
            .unwrap();
        match serde_json::from_slice(&output.stdout) {
            Ok(Value::Array(samples)) if output.status.success() => Ok(samples),
            _ => Err(words(&output)),
        }
    }

    /// What stands in the page after a browser has read it.
    fn shown(&self, file: &Path) -> String {
        let output = self.browser(file, &["--dump-dom".to_owned()]);
        String::from_utf8(output.stdout).unwrap()
    }

    /// A browser that reads the page.
    fn browser(&self, file: &Path, arguments: &[String]) -> Output {
        let profile = tempfile::tempdir().unwrap();
        let output = Command::new(self.debian.program("chromium-headless-shell").unwrap())
            .args(["--no-sandbox", "--disable-gpu", "--virtual-time-budget=2000"])
            .args(arguments)
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .arg(format!("file://{}", file.display()))
            .env(
                "LD_LIBRARY_PATH",
                std::env::join_paths(self.debian.library_directories()).unwrap(),
            )
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", words(&output));
        output
    }
}

fn words(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr[..]].concat()).into_owned()
}

/// A Prometheus that ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A Prometheus that has those values, in the text of OpenMetrics, and evaluates those rules.
async fn prometheus(programs: &Programs, directory: &Path, values: &str, rules: &str) -> (String, Running) {
    let (file, data) = (directory.join("values.txt"), directory.join("tsdb"));
    fs::write(&file, values).unwrap();
    fs::write(directory.join("rules.yaml"), rules).unwrap();
    let imported = Command::new(programs.tool(Tool::Promtool))
        .args(["tsdb", "create-blocks-from", "openmetrics"])
        .args([&file, &data])
        .output()
        .unwrap();
    assert!(imported.status.success(), "{}", words(&imported));
    let config = "global: {evaluation_interval: 5s}\nrule_files: [rules.yaml]\n";
    let (url, running) = started(programs, directory, |_| config.to_owned());
    let ready = wait::until(SOON, "Prometheus to answer queries", async || {
        let output = programs.preview(&["--prometheus-url", &url, "--last", "30m"]);
        if output.status.success() {
            Ok(())
        } else {
            Err(words(&output))
        }
    });
    ready.await.unwrap();
    (url, running)
}

/// A Prometheus of that directory, with a configuration that may name its own address.
fn started(programs: &Programs, directory: &Path, config: impl Fn(&str) -> String) -> (String, Running) {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let address = format!("127.0.0.1:{port}");
    fs::write(directory.join("prometheus.yaml"), config(&address)).unwrap();
    let log = fs::File::create(directory.join("prometheus.log")).unwrap();
    let child = Command::new(programs.tool(Tool::Prometheus))
        .arg(format!("--config.file={}", directory.join("prometheus.yaml").display()))
        .arg(format!("--storage.tsdb.path={}", directory.join("tsdb").display()))
        .arg(format!("--web.listen-address={address}"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .unwrap();
    (format!("http://{address}"), Running(child))
}
