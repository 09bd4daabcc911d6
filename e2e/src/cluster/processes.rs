//! The child processes of a cluster, and the tasks that serve it.
//!
//! All of them belong to one thread that lives as long as the cluster: the kernel's "end when the parent ends" means the parent *thread*, and tasks on
//! a test's own runtime would end with that test.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::{mpsc, oneshot, watch};

/// The end of a namespace ends all its processes; on a loaded machine that takes a while.
const END_WITHIN: Duration = Duration::from_secs(30);

/// A process of the cluster could not be started.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The log could not be written.
    #[error("cannot write the log {}", path.display())]
    Log {
        /// The log.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The program could not be started.
    #[error("cannot start {name}; if `setpriv` is missing, install util-linux")]
    Start {
        /// The component.
        name: String,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The thread that holds the processes has ended.
    #[error("the cluster has been stopped")]
    Stopped,
}

/// A process that ended although nobody ended it.
#[derive(Clone, Debug)]
pub(crate) struct Ended {
    pub(crate) name: String,
    pub(crate) status: ExitStatus,
    pub(crate) log: PathBuf,
}

/// How a process is ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// It is killed.
    Plain,
    /// It waits for the first process of namespaces: that one is killed, and with it all that are in them.
    Namespaces,
}

/// Starts processes and serves tasks.
#[derive(Debug)]
pub(crate) struct Processes {
    orders: mpsc::UnboundedSender<Order>,
    ended: watch::Receiver<Option<Ended>>,
    running: Arc<Mutex<Vec<(String, u32)>>>,
    thread: Option<thread::JoinHandle<()>>,
}

type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

enum Order {
    Start(Box<Start>),
    Serve(Task),
    Stop,
}

struct Start {
    name: String,
    command: Command,
    kind: Kind,
    log: PathBuf,
    lines: Option<mpsc::UnboundedSender<String>>,
    reply: oneshot::Sender<io::Result<u32>>,
}

impl Processes {
    pub(crate) fn new() -> Result<Self, Error> {
        let (orders, received) = mpsc::unbounded_channel();
        let (report, ended) = watch::channel(None);
        let running = Arc::new(Mutex::new(Vec::new()));
        let list = Arc::clone(&running);
        let failed = |source| Error::Start {
            name: "the thread of the cluster".to_owned(),
            source,
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(failed)?;
        let body = move || runtime.block_on(hold(received, &Arc::new(report), &list));
        let thread = thread::Builder::new()
            .name("cluster".to_owned())
            .spawn(body)
            .map_err(failed)?;
        Ok(Self {
            orders,
            ended,
            running,
            thread: Some(thread),
        })
    }

    /// Starts a program that ends with this process. Its output goes to the log; with `lines`, standard output goes there instead.
    pub(crate) async fn start(
        &self,
        name: &str,
        command: &std::process::Command,
        kind: Kind,
        log: &Path,
        lines: Option<mpsc::UnboundedSender<String>>,
    ) -> Result<u32, Error> {
        let log_error = |source| Error::Log {
            path: log.to_owned(),
            source,
        };
        let file = File::options().create(true).append(true).open(log).map_err(log_error)?;
        let mut bound = Command::new("setpriv");
        bound
            .args(["--pdeathsig", "KILL", "--"])
            .arg(command.get_program())
            .args(command.get_args());
        for (key, value) in command.get_envs() {
            match value {
                Some(value) => bound.env(key, value),
                None => bound.env_remove(key),
            };
        }
        bound
            .stdin(Stdio::null())
            .stderr(file.try_clone().map_err(log_error)?)
            .kill_on_drop(true);
        bound.stdout(if lines.is_some() {
            Stdio::piped()
        } else {
            Stdio::from(file)
        });
        // Not in the terminal's group: Ctrl-C is for this process, which then ends the others in order.
        bound.process_group(0);
        let (reply, answer) = oneshot::channel();
        let start = Start {
            name: name.to_owned(),
            command: bound,
            kind,
            log: log.to_owned(),
            lines,
            reply,
        };
        self.orders
            .send(Order::Start(Box::new(start)))
            .map_err(|_| Error::Stopped)?;
        let started = answer.await.map_err(|_| Error::Stopped)?;
        started.map_err(|source| Error::Start {
            name: name.to_owned(),
            source,
        })
    }

    /// Runs a task until the cluster ends.
    pub(crate) fn serve(&self, task: impl Future<Output = ()> + Send + 'static) -> Result<(), Error> {
        self.orders
            .send(Order::Serve(Box::pin(task)))
            .map_err(|_| Error::Stopped)
    }

    /// Is done when a process has ended that should not have.
    pub(crate) async fn first_end(&self) -> Ended {
        let mut ended = self.ended.clone();
        match ended.wait_for(Option::is_some).await.map(|found| found.clone()) {
            Ok(Some(found)) => found,
            _ => std::future::pending().await,
        }
    }

    /// The process of that name.
    pub(crate) fn pid(&self, name: &str) -> Option<u32> {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.iter().find(|(other, _)| other == name).map(|(_, pid)| *pid)
    }

    /// Ends all processes and tasks and waits until they are gone.
    pub(crate) fn stop(&mut self) {
        let _ = self.orders.send(Order::Stop); // a thread that has ended has nothing left to stop
        if let Some(thread) = self.thread.take() {
            let _ = thread.join(); // a panic in it was already printed
        }
    }
}

impl Drop for Processes {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The thread's work: holds the processes until told to stop.
async fn hold(
    mut orders: mpsc::UnboundedReceiver<Order>,
    report: &Arc<watch::Sender<Option<Ended>>>,
    running: &Mutex<Vec<(String, u32)>>,
) {
    let (stop, stopping) = watch::channel(false);
    let mut watches = Vec::new();
    let mut tasks = Vec::new();
    while let Some(order) = orders.recv().await {
        match order {
            Order::Stop => break,
            Order::Serve(task) => tasks.push(tokio::spawn(task)),
            Order::Start(start) => {
                let mut start = *start;
                match start.command.spawn() {
                    Err(error) => drop(start.reply.send(Err(error))),
                    Ok(mut child) => {
                        let (name, log, kind, reply) = (start.name, start.log, start.kind, start.reply);
                        let pid = child.id().unwrap_or_default();
                        if let (Some(lines), Some(output)) = (start.lines, child.stdout.take()) {
                            tasks.push(tokio::spawn(forward_lines(output, lines)));
                        }
                        running
                            .lock()
                            .unwrap_or_else(PoisonError::into_inner)
                            .push((name.clone(), pid));
                        let ended = |status| Ended { name, status, log };
                        watches.push(tokio::spawn(watch_child(
                            child,
                            kind,
                            stopping.clone(),
                            Arc::clone(report),
                            ended,
                        )));
                        let _ = reply.send(Ok(pid)); // whoever asked may be gone: the process ends with the cluster all the same
                    }
                }
            }
        }
    }
    let _ = stop.send(true); // no process, no listener
    for watch in watches.into_iter().rev() {
        let _ = watch.await;
    }
    tasks.iter().for_each(tokio::task::JoinHandle::abort);
}

async fn forward_lines(output: tokio::process::ChildStdout, to: mpsc::UnboundedSender<String>) {
    let mut lines = BufReader::new(output).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        if to.send(line).is_err() {
            return;
        }
    }
}

async fn watch_child(
    mut child: Child,
    kind: Kind,
    mut stopping: watch::Receiver<bool>,
    report: Arc<watch::Sender<Option<Ended>>>,
    ended: impl FnOnce(ExitStatus) -> Ended,
) {
    tokio::select! {
        status = child.wait() => {
            if let Ok(status) = status {
                // The first end is the cause; what follows is its consequence.
                let ended = ended(status);
                report.send_if_modified(|first| first.is_none() && { *first = Some(ended); true });
            }
            return;
        }
        _ = stopping.wait_for(|stop| *stop) => {}
    }
    if kind == Kind::Namespaces {
        for inside in child.id().into_iter().flat_map(children_of) {
            let _ = kill(inside, Signal::SIGKILL); // already gone is what is wanted
        }
        let _ = tokio::time::timeout(END_WITHIN, child.wait()).await;
    }
    let _ = child.kill().await; // also fine when it has ended
}

/// The children of a process, read from `/proc`: the kernel's own list of children is not always built in.
pub(crate) fn children_of(parent: u32) -> Vec<Pid> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().filter_map(Result::ok);
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let is_child = |pid: &i32| {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        status.lines().any(|line| {
            line.strip_prefix("PPid:")
                .is_some_and(|text| text.trim() == parent.to_string())
        })
    };
    pids.filter(is_child).map(Pid::from_raw).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wait;

    fn shell(script: &str) -> std::process::Command {
        let mut command = std::process::Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[tokio::test]
    async fn a_process_that_ends_by_itself_is_told_with_its_log() {
        let directory = tempfile::tempdir().unwrap();
        let log = directory.path().join("a.log");
        let processes = Processes::new().unwrap();
        processes
            .start("a", &shell("echo why; exit 7"), Kind::Plain, &log, None)
            .await
            .unwrap();
        let ended = processes.first_end().await;
        assert_eq!((ended.name.as_str(), ended.status.code()), ("a", Some(7)));
        assert_eq!(std::fs::read_to_string(ended.log).unwrap(), "why\n");
    }

    #[tokio::test]
    async fn a_process_outlives_the_task_that_started_it_but_not_the_stop() {
        let directory = tempfile::tempdir().unwrap();
        let log = directory.path().join("a.log");
        let mut processes = Processes::new().unwrap();
        let pid = processes
            .start("a", &shell("exec sleep 600"), Kind::Plain, &log, None)
            .await
            .unwrap();
        let path = format!("/proc/{pid}");
        assert!(Path::new(&path).exists());
        processes.stop();
        let gone = wait::until(Duration::from_secs(10), "its end", || {
            std::future::ready(!Path::new(&path).exists())
        });
        gone.await.unwrap();
    }

    #[tokio::test]
    async fn a_program_that_is_not_there_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let processes = Processes::new().unwrap();
        let missing = std::process::Command::new("/nowhere/etcd");
        processes
            .start("etcd", &missing, Kind::Plain, &directory.path().join("etcd.log"), None)
            .await
            .unwrap();
        let ended = processes.first_end().await; // it is `setpriv` that finds it missing
        assert_eq!(ended.name, "etcd");
        assert!(std::fs::read_to_string(ended.log).unwrap().contains("/nowhere/etcd"));
    }
}
