//! What can go wrong with a cluster, in words that name the component, its log and what it said last.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::processes::Ended;
use super::requirements::Missing;
use super::{cgroups, processes, run_dir};
use crate::tools::debian;
use crate::{cache, image, pki, tools};

/// So many of a log's last lines are shown.
const TAIL: usize = 12;

/// A cluster could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The machine lacks something.
    #[error(transparent)]
    Requirements(#[from] Missing),
    /// The cache directory could not be used.
    #[error(transparent)]
    Cache(#[from] cache::Error),
    /// A program could not be built.
    #[error(transparent)]
    Tools(#[from] tools::Error),
    /// A program of Debian could not be had.
    #[error(transparent)]
    Debian(#[from] debian::Error),
    /// A key or certificate could not be made.
    #[error(transparent)]
    Keys(#[from] pki::Error),
    /// The run's directory could not be used.
    #[error(transparent)]
    RunDir(#[from] run_dir::Error),
    /// A cgroup could not be made or removed.
    #[error(transparent)]
    Cgroups(#[from] cgroups::Error),
    /// A process could not be started.
    #[error(transparent)]
    Processes(#[from] processes::Error),
    /// An image could not be written.
    #[error(transparent)]
    Image(#[from] image::Error),
    /// A component ended although nobody ended it.
    #[error("{component} of the cluster ended by itself ({status}); its log is {}; it ends:\n{tail}", log.display())]
    Ended {
        /// Which component.
        component: String,
        /// How it ended.
        status: String,
        /// Its whole log.
        log: PathBuf,
        /// The last lines of the log.
        tail: String,
    },
    /// Something did not become ready in time.
    #[error("waited {} s for {what}; last seen: {last_seen}; the log to read is {}; it ends:\n{tail}", .limit.as_secs(), log.display())]
    NotReady {
        /// What was waited for.
        what: String,
        /// How long.
        limit: Duration,
        /// What the last look saw.
        last_seen: String,
        /// The log of the component that should have made it ready.
        log: PathBuf,
        /// The last lines of the log.
        tail: String,
    },
    /// The API server refused a request, or could not be asked.
    #[error("cannot {action}: {reason}")]
    Api {
        /// What was tried.
        action: String,
        /// Why not.
        reason: String,
        /// Nobody answered at all.
        unreachable: bool,
    },
    /// A text is no YAML, or a document of it is no Kubernetes object.
    #[error("cannot apply document {number} of the YAML: {reason}")]
    Yaml {
        /// Which document, from 1; 0 if the text as a whole cannot be read.
        number: usize,
        /// Why not.
        reason: String,
    },
    /// A kubeconfig cannot be used.
    #[error("cannot use the kubeconfig {}: {reason}", path.display())]
    Kubeconfig {
        /// The file.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// A program inside the cluster failed.
    #[error("cannot {action}: {output}")]
    Inside {
        /// What was tried.
        action: String,
        /// What the program said.
        output: String,
    },
    /// The Service cannot be forwarded to.
    #[error("cannot forward to the Service {namespace}/{service}: {reason}")]
    Forward {
        /// Its namespace.
        namespace: String,
        /// Its name.
        service: String,
        /// Why not.
        reason: String,
    },
    /// The cluster has no node.
    #[error("cannot {action}: this cluster has no node; start it with Cluster::node")]
    NoNode {
        /// What was tried.
        action: &'static str,
    },
    /// A task of the cluster was cut off.
    #[error("the cluster was stopped while it worked")]
    Stopped,
}

impl Error {
    pub(super) fn ended(ended: &Ended) -> Self {
        Self::Ended {
            component: ended.name.clone(),
            status: ended.status.to_string(),
            log: ended.log.clone(),
            tail: tail(&ended.log),
        }
    }

    pub(super) fn api(action: impl Into<String>) -> impl FnOnce(kube::Error) -> Self {
        let action = action.into();
        move |error| {
            let (reason, unreachable) = match &error {
                kube::Error::Api(status) => (status.message.clone(), false),
                kube::Error::Service(_) | kube::Error::HyperError(_) => (chain(&error), true),
                other => (chain(other), false),
            };
            Self::Api {
                action,
                reason,
                unreachable,
            }
        }
    }

    /// Another program took the port between the moment it was found free and the moment a component bound it.
    pub(super) fn is_a_taken_port(&self) -> bool {
        matches!(self, Self::Ended { tail, .. } if tail.contains("address already in use"))
    }
}

/// An error with all its causes on one line.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let inner = error.to_string();
        if !text.contains(&inner) {
            text.push_str(": ");
            text.push_str(&inner);
        }
        cause = error.source();
    }
    text
}

/// The last lines of a log.
pub(super) fn tail(log: &Path) -> String {
    let bytes = std::fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(TAIL)..].join("\n")
}
