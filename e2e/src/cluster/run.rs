//! What a running cluster holds, and in which order it lets go of it.

use std::path::PathBuf;
use std::time::Duration;

use super::forward::Forwarder;
use super::processes::{Kind, Processes};
use super::run_dir::RunDir;
use super::{Error, cgroups, error};
use crate::cache::Cache;
use crate::wait::{self, Ended, Look};

/// The death of a component is seen a moment after the connection to it broke.
const NOTICED_WITHIN: Duration = Duration::from_secs(1);

/// The processes, the directory and the rest of one cluster.
#[derive(Debug)]
pub(crate) struct Run {
    pub(super) directory: RunDir,
    pub(super) processes: Processes,
    pub(super) forwarder: Option<Forwarder>,
    /// The run has cgroups of its own.
    pub(super) cgroups: bool,
    /// A start that failed keeps its logs: the message names them.
    pub(super) ready: bool,
    ended: bool,
}

impl Run {
    pub(super) fn begin(cache: &Cache) -> Result<Self, Error> {
        Ok(Self {
            directory: RunDir::create(cache)?,
            processes: Processes::new()?,
            forwarder: None,
            cgroups: false,
            ready: false,
            ended: false,
        })
    }

    pub(super) fn log(&self, component: &str) -> PathBuf {
        self.directory.log(component)
    }

    /// Starts a component whose output is its log.
    pub(super) async fn start(&self, component: &str, command: &std::process::Command) -> Result<(), Error> {
        let log = self.log(component);
        self.processes
            .start(component, command, Kind::Plain, &log, None)
            .await?;
        Ok(())
    }

    /// Waits for a condition. Ends at once when a component has ended; a late one is told with the log of the component to blame.
    pub(super) async fn until<L, F>(
        &self,
        limit: Duration,
        what: &str,
        to_blame: &str,
        look: impl FnMut() -> F,
    ) -> Result<L::Value, Error>
    where
        L: Look,
        F: Future<Output = L>,
    {
        match wait::until_or(wait::INTERVAL, limit, look, self.processes.first_end()).await {
            Ok(value) => Ok(value),
            Err(Ended::Cut(ended)) => Err(Error::ended(&ended)),
            Err(Ended::Late(last_seen)) => {
                let log = self.log(to_blame);
                let tail = error::tail(&log);
                let what = what.to_owned();
                Err(Error::NotReady {
                    what,
                    limit,
                    last_seen,
                    log,
                    tail,
                })
            }
        }
    }

    /// Does work that needs all components, and tells which one has ended if one has.
    pub(super) async fn watched<T>(&self, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        let result = tokio::select! {
            biased;
            ended = self.processes.first_end() => return Err(Error::ended(&ended)),
            result = work => result,
        };
        if let Err(Error::Api { unreachable: true, .. }) = &result
            && let Ok(ended) = tokio::time::timeout(NOTICED_WITHIN, self.processes.first_end()).await
        {
            return Err(Error::ended(&ended));
        }
        result
    }

    /// Ends everything, outermost first: nothing that is still served may lose what it needs.
    pub(super) fn end(&mut self, keep_logs: bool) -> Result<(), Error> {
        if std::mem::replace(&mut self.ended, true) {
            return Ok(());
        }
        drop(self.forwarder.take());
        self.processes.stop();
        if self.cgroups {
            cgroups::remove(&self.directory.name())?;
        }
        let removed = if keep_logs {
            self.directory.keep_only_logs()
        } else {
            self.directory.remove()
        };
        Ok(removed?)
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        let keep_logs = !self.ready || std::thread::panicking();
        let _ = self.end(keep_logs); // what is left is removed at the next start
    }
}
