//! Why a service could not be worked on.

use observed_crds::v1alpha1::conditions::Reason;

use super::LONGEST;
use crate::api_error::{self, Retry};
use crate::{apply, gather, pods};

/// A service could not be worked on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The service itself.
    #[error("could not read the ObservedService: {}", api_error::words(.0))]
    Read(#[source] kube::Error),
    /// What the plan depends on.
    #[error(transparent)]
    Gather(Box<gather::Error>),
    /// The pods.
    #[error(transparent)]
    Pods(Box<pods::Error>),
    /// The children and the gift.
    #[error(transparent)]
    Apply(Box<apply::Error>),
    /// The status.
    #[error("could not write the status: {}", api_error::words(.0))]
    Status(#[source] kube::Error),
    /// It took too long.
    #[error("not done within {} s: the API server is slow or away", LONGEST.as_secs())]
    TimedOut,
    /// It panicked: a bug of ours.
    #[error("a bug in Observed stopped the work on this service: {0}")]
    Panicked(String),
}

impl From<gather::Error> for Error {
    fn from(error: gather::Error) -> Self {
        Self::Gather(Box::new(error))
    }
}

impl From<pods::Error> for Error {
    fn from(error: pods::Error) -> Self {
        Self::Pods(Box::new(error))
    }
}

impl From<apply::Error> for Error {
    fn from(error: apply::Error) -> Self {
        Self::Apply(Box::new(error))
    }
}

impl Error {
    /// The reason that it is reported under.
    pub fn reason(&self) -> Reason {
        match self {
            Self::Gather(error) => error.reason(),
            Self::Pods(error) => error.reason(),
            Self::Apply(error) => error.reason(),
            Self::Read(error) | Self::Status(error) => api_error::reason(error),
            _ => Reason::ApiError,
        }
    }

    /// When to try again.
    pub fn retry(&self) -> Retry {
        match self {
            Self::Gather(error) => error.retry(),
            Self::Pods(error) => error.retry(),
            Self::Apply(error) => error.retry(),
            Self::Read(error) | Self::Status(error) => api_error::retry(error),
            _ => Retry::Backoff,
        }
    }
}
