//! The demo: shows on a real cluster what Observed promises, measures it, and leaves nothing behind.
//!
//! [`promise`] lists what is promised. [`stage`] brings up the cluster, [`show`] does the steps, [`look`] reads what is there, [`judge`] says whether it
//! is what was promised.

pub mod chapter;
pub mod existing;
pub mod follow;
pub mod judge;
pub mod kubectl;
pub mod leftovers;
pub mod look;
pub mod manifest;
pub mod promise;
pub mod sample;
pub mod show;
pub mod stage;

use std::cell::RefCell;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::{Progress, binaries, cluster, image, monitoring, wait};
use chapter::Chapter;
use promise::{Promise, Summary};
use show::Show;
use stage::Stage;

/// What a shell expects of a program that Ctrl-C ended.
const INTERRUPTED: u8 = 130;

/// Shows on a real Kubernetes cluster what Observed does: one ObservedService gives a running API probes, scraping, alerts and a dashboard, and each of them is
/// seen to work.
///
/// Without options it brings up a cluster of its own on this machine, in namespaces of its own (needs root, Go, Debian), and ends it afterwards.
///
/// Exit status: 0 if every promise held, 1 if one did not or something failed, 2 for wrong usage, 130 after Ctrl-C.
#[derive(Clone, Debug, Parser)]
#[command(name = "demo", version)]
pub struct Options {
    /// Leave the cluster running after the demo, until Ctrl-C.
    #[arg(long, conflicts_with = "kubeconfig")]
    pub keep: bool,

    /// Use the cluster of this kubeconfig, with prometheus-operator, a Prometheus and an Alertmanager that select objects of every namespace. What the demo
    /// makes there is removed at the end: a namespace, and Observed unless it was installed before.
    ///
    /// The demo cannot put images into that cluster. Either its nodes have observed:0.1.0 and claude-api:0.1.0 (see --save-images), or --image and
    /// --sample-image name images that they can pull.
    #[arg(long, value_name = "FILE", value_parser = readable)]
    pub kubeconfig: Option<PathBuf>,

    /// Image of Observed on the cluster of --kubeconfig.
    #[arg(long, value_name = "NAME", requires = "kubeconfig")]
    pub image: Option<String>,

    /// Image of the sample API on the cluster of --kubeconfig.
    #[arg(long, value_name = "NAME", requires = "kubeconfig")]
    pub sample_image: Option<String>,

    /// What is broken.
    #[arg(long, value_name = "NAME", value_enum, default_value_t)]
    pub chapter: Chapter,

    /// Only build the two images and write them to this directory as archives, for `kind load image-archive`, `docker load` or `ctr images import`.
    #[arg(long, value_name = "DIRECTORY", conflicts_with_all = ["keep", "kubeconfig"])]
    pub save_images: Option<PathBuf>,
}

/// A file that can be read: a slip in its name is told before anything is done.
fn readable(path: &str) -> Result<PathBuf, String> {
    match std::fs::File::open(path) {
        Ok(_) => Ok(path.into()),
        Err(error) => Err(format!("it cannot be read: {error}")),
    }
}

/// The demo could not go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The cluster could not do what was asked.
    #[error(transparent)]
    Cluster(#[from] cluster::Error),
    /// The monitoring stack could not be installed.
    #[error(transparent)]
    Monitoring(#[from] monitoring::Error),
    /// Our own programs could not be built.
    #[error(transparent)]
    Build(#[from] binaries::Error),
    /// An image could not be written.
    #[error(transparent)]
    Image(#[from] image::Error),
    /// The cache could not be used.
    #[error(transparent)]
    Cache(#[from] crate::cache::Error),
    /// A manifest cannot be used.
    #[error(transparent)]
    Manifest(#[from] manifest::Error),
    /// `kubectl` failed.
    #[error(transparent)]
    Kubectl(#[from] kubectl::Error),
    /// Something did not happen in time.
    #[error(transparent)]
    Wait(#[from] wait::Error),
    /// A directory cannot be used.
    #[error("cannot use the directory {}", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The demo's own program is not to be found.
    #[error("cannot find the program of the demo")]
    Executable(#[source] io::Error),
    /// The cluster of `--kubeconfig` lacks something.
    #[error("this cluster cannot be used. It lacks:\n  - {}", .0.join("\n  - "))]
    Missing(Vec<String>),
    /// `observed preview` failed.
    #[error("the dashboard could not be drawn: {0}")]
    Preview(String),
    /// The sample's faults cannot be switched.
    #[error("cannot switch the faults of the sample: {0}")]
    Faults(String),
    /// A promise did not hold; the summary tells which.
    #[error("a promise did not hold")]
    Broken,
}

/// Prints a line on standard output. Not `println!`, which panics on a closed pipe.
pub fn say(text: &str) {
    let mut out = io::stdout().lock();
    let _ = writeln!(out, "{text}").and_then(|()| out.flush());
}

/// An error and what it came from, on one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let words = cause.to_string();
        if !text.contains(&words) {
            text = format!("{text}: {words}");
        }
        source = cause.source();
    }
    text
}

/// Ctrl-C, and what a service manager sends.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    /// Does the work, or is cut short.
    async fn or<T>(&mut self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            _ = self.interrupt.recv() => None,
            _ = self.terminate.recv() => None,
            done = work => Some(done),
        }
    }
}

/// Runs the demo to its end, whichever it is.
pub async fn run(options: Options) -> ExitCode {
    let mut signals = match Signals::new() {
        Ok(signals) => signals,
        Err(error) => return failed(&format!("cannot wait for Ctrl-C: {error}")),
    };
    let progress = Progress::detect();
    if let Some(directory) = &options.save_images {
        return match signals.or(stage::save_images(directory, &progress)).await {
            None => ExitCode::from(INTERRUPTED),
            Some(Ok(())) => ExitCode::SUCCESS,
            Some(Err(error)) => failed(&chain(&error)),
        };
    }
    say(&introduction(&options));
    let began = Instant::now();
    let stage = async {
        match &options.kubeconfig {
            Some(kubeconfig) => Stage::lent(kubeconfig, &options).await,
            None => Stage::own(&progress).await,
        }
    };
    let stage = match signals.or(stage).await {
        None => {
            say("Interrupted. What was started has been ended.");
            return ExitCode::from(INTERRUPTED);
        }
        Some(Err(error)) => return failed(&chain(&error)),
        Some(Ok(stage)) => stage,
    };
    say(&format!(
        "  the cluster is up after {:.0} s",
        began.elapsed().as_secs_f64()
    ));
    on_stage(&options, stage, &mut signals, began).await
}

/// From the first step on the cluster to the summary.
async fn on_stage(options: &Options, stage: Stage, signals: &mut Signals, began: Instant) -> ExitCode {
    let summary = RefCell::new(Summary::default());
    let show = Show::new(&stage, options.chapter, &summary);
    let steps = async {
        tokio::select! {
            shown = show.all() => shown,
            // What follows from it would only hide it.
            ended = stage.cluster.failure(), if !stage.lent => Err(ended.into()),
        }
    };
    let mut shown = signals.or(steps).await;
    if let Some(Err(error)) = &shown {
        say(&format!("\n{}", chain(error)));
        match signals.or(stage.keep_evidence()).await {
            Some(Ok(directory)) => say(&format!("Logs, events and objects are in {}", directory.display())),
            Some(Err(error)) => say(&format!("Logs could not be kept: {}", chain(&error))),
            None => shown = None,
        }
    }
    if options.keep && shown.is_some() {
        say(&format!("\n{}", summary.borrow()));
        let kept = async {
            match keep(&stage, &show).await {
                Ok(()) => std::future::pending().await,
                Err(error) => say(&chain(&error)),
            }
        };
        // Ctrl-C is the way that was told to end it.
        let _ = signals.or(kept).await;
    }
    say(if stage.lent {
        "\n== Removing what the demo made"
    } else {
        "\n== Ending the cluster"
    });
    let since = Instant::now();
    let left = stage.end().await;
    let mut summary = summary.into_inner();
    if left.is_empty() {
        summary.held(Promise::NothingLeft, since.elapsed());
    } else {
        summary.broken(Promise::NothingLeft, left.join("; "));
    }
    let Some(outcome) = shown else {
        for item in &left {
            say(&format!("  left behind: {item}"));
        }
        say("Interrupted.");
        return ExitCode::from(INTERRUPTED);
    };
    say(&format!("\n{summary}, in {:.0} s", began.elapsed().as_secs_f64()));
    if outcome.is_ok() && summary.all_held() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Says how to look at the cluster while it is kept.
async fn keep(stage: &Stage, show: &Show<'_>) -> Result<(), Error> {
    show.observe_again().await?;
    say("\nThe cluster goes on, with the ObservedService applied again. In another terminal:");
    say(&format!("  export KUBECONFIG={}", stage.cluster.kubeconfig().display()));
    say(&format!("  alias kubectl={}", stage.cluster.kubectl().display()));
    for (name, backend) in [
        ("Prometheus", &stage.eyes.prometheus),
        ("Alertmanager", &stage.eyes.alertmanager),
    ] {
        let address = stage
            .cluster
            .forward(&backend.namespace, &backend.service, backend.port)
            .await?;
        say(&format!("  {name}: http://{address}"));
    }
    say("Ctrl-C here ends it.");
    Ok(())
}

fn introduction(options: &Options) -> String {
    let place = match &options.kubeconfig {
        Some(file) => format!(
            "It uses the cluster of {}. There it makes a namespace and installs Observed, and removes both at the end.\n\
             What was there before stays.",
            file.display()
        ),
        None => format!(
            "It brings up a cluster of its own on this machine: etcd, the API server, a kubelet, containerd, Prometheus.\n\
             A first run builds them from source with Go, which takes about 25 minutes on 2 cores; later runs take about 3.\n\
             It writes to its cache ({}) and to this checkout's target directory.\n\
             Everything else stays in namespaces and cgroups of its own, which end with it: also on Ctrl-C.",
            crate::Cache::of_user().map_or_else(|error| error.to_string(), |cache| cache.root().display().to_string())
        ),
    };
    format!(
        "This demo runs the sample API claude-api on a real cluster, lets one ObservedService give it probes, scraping, alerts\n\
         and a dashboard, breaks the API, mends it, and deletes the ObservedService. It shows and measures {} promises.\n{place}\n",
        Promise::ALL.len()
    )
}

fn failed(text: &str) -> ExitCode {
    say(&format!("\nThe demo could not be shown: {text}"));
    ExitCode::FAILURE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_that_contradict_each_other_are_refused() {
        let parse = |arguments: &[&str]| Options::try_parse_from(std::iter::once(&"demo").chain(arguments));
        for good in [
            &[][..],
            &["--keep"],
            &["--kubeconfig", "/dev/null", "--image", "a", "--sample-image", "b"],
        ] {
            assert!(parse(good).is_ok(), "{good:?}");
        }
        for bad in [
            &["--image", "a"][..],
            &["--sample-image", "a"],
            &["--keep", "--kubeconfig", "/dev/null"],
            &["--kubeconfig", "/nowhere/kubeconfig"],
            &["--save-images", "d", "--keep"],
            &["--kubeconfig"],
            &["now"],
        ] {
            assert!(parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn the_introduction_says_how_long_it_takes_and_what_it_changes() {
        let parse = |arguments: &[&str]| Options::try_parse_from(std::iter::once(&"demo").chain(arguments)).unwrap();
        let own = introduction(&parse(&[]));
        for word in [
            "25 minutes",
            "about 3",
            "cache",
            "target directory",
            "Ctrl-C",
            "22 promises",
        ] {
            assert!(own.contains(word), "{word}: {own}");
        }
        let lent = introduction(&parse(&["--kubeconfig", "/dev/null"]));
        assert!(lent.contains("/dev/null") && !lent.contains("25 minutes"), "{lent}");
    }

    #[test]
    fn an_error_is_told_with_its_causes_and_none_twice() {
        let source = io::Error::other("disk full");
        let error = Error::Directory {
            path: "/a".into(),
            source,
        };
        assert_eq!(chain(&error), "cannot use the directory /a: disk full");
        assert_eq!(chain(&Error::Broken), "a promise did not hold");
    }
}
