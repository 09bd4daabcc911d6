//! The demo keeps what it promises, and leaves nothing behind: at its end, and when it is interrupted in the middle.

// Clippy knows only functions with `#[test]` as tests, and not what they share.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use observed_e2e::demo::leftovers;
use observed_e2e::demo::promise::Promise;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::Mutex;

/// The first run on a machine builds Kubernetes and Prometheus.
const LIMIT: Duration = Duration::from_secs(50 * 60);
/// From Ctrl-C to the end.
const END_LIMIT: Duration = Duration::from_secs(60);

/// One cluster at a time: two on two cores would only measure each other.
static ONE: Mutex<()> = Mutex::const_new(());

struct Demo {
    child: Child,
    lines: tokio::io::Lines<BufReader<tokio::process::ChildStdout>>,
    output: String,
}

impl Demo {
    fn start() -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_demo"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self {
            child,
            lines,
            output: String::new(),
        }
    }

    /// Reads until a line has the words, or to the end.
    async fn read_until(&mut self, words: Option<&str>) -> bool {
        while let Some(line) = self.lines.next_line().await.unwrap() {
            // Not `println!`: the test runner would hold it back for minutes.
            let _ = writeln!(std::io::stderr(), "{line}");
            self.output.push_str(&line);
            self.output.push('\n');
            if words.is_some_and(|words| line.contains(words)) {
                return true;
            }
        }
        false
    }

    fn run_dir(&self) -> PathBuf {
        let line = self.output.lines().find_map(|line| line.split_once("of this run: "));
        line.map(|(_, path)| path.into())
            .unwrap_or_else(|| panic!("it does not say where its run is:\n{}", self.output))
    }
}

fn network_devices() -> BTreeSet<String> {
    let entries = std::fs::read_dir("/sys/class/net").unwrap();
    entries
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect()
}

fn assert_nothing_left(run_dir: &Path, devices: &BTreeSet<String>) {
    assert_eq!(leftovers::of(run_dir), Vec::<String>::new());
    let new: Vec<_> = network_devices().difference(devices).cloned().collect();
    assert_eq!(new, Vec::<String>::new(), "network devices");
}

#[tokio::test]
async fn the_demo_holds_every_promise_and_leaves_nothing_behind() {
    let _one = ONE.lock().await;
    let devices = network_devices();
    let mut demo = Demo::start();
    let status = tokio::time::timeout(LIMIT, async {
        demo.read_until(None).await;
        demo.child.wait().await.unwrap()
    });
    let status = status.await.expect("the demo does not end");
    assert!(status.success(), "{status}");
    for promise in Promise::ALL {
        let line = demo.output.lines().find(|line| line.starts_with(promise.words()));
        assert!(line.is_some_and(|line| line.ends_with("pass")), "{promise:?}: {line:?}");
    }
    assert_nothing_left(&demo.run_dir(), &devices);
}

#[tokio::test]
async fn a_demo_that_is_interrupted_in_the_middle_leaves_nothing_behind_and_says_so() {
    let _one = ONE.lock().await;
    let devices = network_devices();
    let mut demo = Demo::start();
    let begun = tokio::time::timeout(LIMIT, demo.read_until(Some(Promise::ProbesGiven.words())));
    assert!(begun.await.expect("it does not come to the middle"), "{}", demo.output);
    let run_dir = demo.run_dir();
    assert!(
        !leftovers::of(&run_dir).is_empty(),
        "nothing of a running cluster is seen"
    );

    let pid = Pid::from_raw(demo.child.id().unwrap().try_into().unwrap());
    kill(pid, Signal::SIGINT).unwrap();
    let status = tokio::time::timeout(END_LIMIT, async {
        demo.read_until(None).await;
        demo.child.wait().await.unwrap()
    });
    let status = status.await.expect("it does not end");
    assert_eq!(status.code(), Some(130), "{}", demo.output);
    assert!(demo.output.ends_with("Interrupted.\n"), "{}", demo.output);
    assert!(
        !demo.output.contains("promises held"),
        "it says that it was shown to its end"
    );
    assert_nothing_left(&run_dir, &devices);
}
