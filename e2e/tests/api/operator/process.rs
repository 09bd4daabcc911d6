//! A running operator.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use kube::Client;
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use observed_e2e::wait;

use super::{SOON, Stage, known_bad, program};

/// A running operator. It ends with the test.
pub struct Operator {
    child: Child,
    log: PathBuf,
    address: String,
    http: kube::Client,
}

impl Operator {
    /// Starts it for the stage's namespace, with a resync of one second, and waits until it is ready.
    pub async fn start(stage: &Stage) -> Self {
        Self::start_by(stage, &stage.kubeconfig).await
    }

    /// The same, on the way that a kubeconfig says.
    pub async fn start_by(stage: &Stage, kubeconfig: &Path) -> Self {
        stage.free_lease().await;
        Self::replica(stage, kubeconfig, "15s").await
    }

    /// One that may have others beside it, with a Lease that lasts so long.
    pub async fn replica(stage: &Stage, kubeconfig: &Path, lasts: &str) -> Self {
        Self::spawn(stage, kubeconfig, lasts).await.once_ready().await
    }

    /// One with more settings, by its environment. One that is empty is taken away: `OBSERVED_WATCH_NAMESPACE` for one
    /// that works in all namespaces.
    pub async fn start_with(stage: &Stage, settings: &[(&str, &str)]) -> Self {
        Self::start_as(stage, &stage.kubeconfig, settings).await
    }

    /// The same, as somebody else or on another way.
    pub async fn start_as(stage: &Stage, kubeconfig: &Path, settings: &[(&str, &str)]) -> Self {
        stage.free_lease().await;
        let operator = Self::spawn_with(stage, kubeconfig, "15s", settings).await;
        operator.once_ready().await
    }

    /// One that is wrong in this way, on the way that a kubeconfig says.
    pub async fn known_bad(stage: &Stage, kubeconfig: &Path, wrong: &str) -> Self {
        stage.free_lease().await;
        let settings = [("OBSERVED_KNOWN_BAD", wrong)];
        let operator = Self::spawn_of(known_bad().await, stage, kubeconfig, "15s", &settings);
        operator.once_ready().await
    }

    /// What does something about alerts, beside an operator.
    pub async fn remediator(stage: &Stage, kubeconfig: &Path, prometheus: &str) -> Self {
        let settings = [("OBSERVED_REMEDIATE", "true"), ("OBSERVED_PROMETHEUS_URL", prometheus)];
        let remediator = Self::spawn_with(stage, kubeconfig, "15s", &settings).await;
        remediator.once_ready().await
    }

    async fn once_ready(mut self) -> Self {
        let ready = wait::until(SOON, "the operator to be ready", || {
            let ended = self.child.try_wait().unwrap();
            let http = self.http.clone();
            async move {
                match ended {
                    Some(status) => Err(format!("it ended: {status}")),
                    None => page(&http, "/readyz").await,
                }
            }
        })
        .await;
        assert!(ready.is_ok(), "{ready:?}; its log:\n{}", self.log());
        self
    }

    /// One that need not become ready.
    pub async fn spawn(stage: &Stage, kubeconfig: &Path, lasts: &str) -> Self {
        Self::spawn_with(stage, kubeconfig, lasts, &[]).await
    }

    async fn spawn_with(stage: &Stage, kubeconfig: &Path, lasts: &str, settings: &[(&str, &str)]) -> Self {
        Self::spawn_of(program().await, stage, kubeconfig, lasts, settings)
    }

    fn spawn_of(program: &Path, stage: &Stage, kubeconfig: &Path, lasts: &str, settings: &[(&str, &str)]) -> Self {
        let log = stage
            .cluster
            .run_dir()
            .join(format!("observed-{}-{}.log", stage.namespace, unique()));
        let address = format!("127.0.0.1:{}", free_port());
        let mut command = Command::new(program);
        command
            .args(["run", "--resync", "1s", "--lease-duration", lasts, "--listen", &address])
            .env("OBSERVED_WATCH_NAMESPACE", &stage.namespace)
            .env("KUBECONFIG", kubeconfig)
            .env("RUST_LOG", "observed=debug,warn")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log).unwrap());
        for (name, value) in settings {
            match value.is_empty() {
                true => command.env_remove(name),
                false => command.env(name, value),
            };
        }
        let child = command.spawn().unwrap();
        let mut config = kube::Config::new(format!("http://{address}").parse().unwrap());
        // Not ready is an answer.
        config.default_retry = false;
        Self {
            child,
            log,
            address,
            http: Client::try_from(config).unwrap(),
        }
    }

    /// What it says of whether it is ready.
    pub async fn readyz(&self) -> Result<String, String> {
        page(&self.http, "/readyz").await
    }

    /// Whether it has not ended.
    pub fn lives(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Where it is asked whether it lives.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Its page of metrics.
    pub async fn metrics(&self) -> String {
        page(&self.http, "/metrics")
            .await
            .unwrap_or_else(|error| panic!("{}: {error}", self.address))
    }

    /// The sum of a counter over all its labels.
    pub async fn counter(&self, name: &str) -> f64 {
        let page = self.metrics().await;
        let lines = page.lines().filter(|line| line.split(['{', ' ']).next() == Some(name));
        lines
            .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
            .sum()
    }

    /// Waits until so many more reconciles have ended well.
    pub async fn reconciles(&self, more: f64) {
        let before = self.counter("controller_runtime_reconcile_total").await;
        let look = async || {
            let now = self.counter("controller_runtime_reconcile_total").await;
            if now >= before + more {
                Ok(())
            } else {
                Err(format!("{} of {more}", now - before))
            }
        };
        // With a resync of a second it takes that long, and the page of metrics is dear in a debug build.
        let often = Duration::from_millis(300);
        wait::until_every(often, SOON, "more reconciles", look).await.unwrap();
    }

    /// The names of its threads, of which the kernel keeps 15 characters.
    pub fn threads(&self) -> Vec<String> {
        let threads = std::fs::read_dir(format!("/proc/{}/task", self.child.id())).unwrap();
        let names = threads.filter_map(|thread| std::fs::read_to_string(thread.ok()?.path().join("comm")).ok());
        names.map(|name| name.trim().to_owned()).collect()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        let process = Pid::from_raw(self.child.id().try_into().unwrap());
        nix::sys::signal::kill(process, signal).unwrap();
    }

    /// Waits until it has ended by itself, and says how.
    pub async fn ends(&mut self) -> ExitStatus {
        let child = &mut self.child;
        let look = || std::future::ready(child.try_wait().unwrap());
        wait::until(SOON, "the operator to end", look).await.unwrap()
    }

    /// Ends it at once, in the middle of whatever it does.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("the operator's log:\n{}", self.log());
        }
    }
}

async fn page(http: &Client, path: &str) -> Result<String, String> {
    let request = http::Request::get(path)
        .body(Vec::new())
        .map_err(|error| error.to_string())?;
    http.request_text(request).await.map_err(|error| error.to_string())
}

/// A port that nobody listens at.
pub fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

fn unique() -> u32 {
    static NEXT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed)
}
