//! Why there is no answer.

use std::path::PathBuf;

use super::MOST_BYTES;

/// A Prometheus did not answer as it should.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// The HTTP client could not be set up.
    #[error("the HTTP client could not be set up: {0}")]
    Client(String),
    /// Nobody answered in time.
    #[error(
        "{url} does not answer ({words}); see whether the address is right and a NetworkPolicy lets the operator through"
    )]
    NoAnswer {
        /// Its address.
        url: String,
        /// What happened.
        words: String,
    },
    /// There is no way to talk with it over TLS.
    #[error("{url} cannot be asked over TLS ({words}): {step}")]
    Tls {
        /// Its address.
        url: String,
        /// What happened.
        words: String,
        /// What to do.
        step: String,
    },
    /// A file of the settings is of no use.
    #[error("the {what} in {} cannot be read: {words}", file.display())]
    File {
        /// What it should hold.
        what: &'static str,
        /// Its path.
        file: PathBuf,
        /// What is wrong with it.
        words: String,
    },
    /// It does not answer whoever asks so.
    #[error("{url} answers HTTP {status}: {step}")]
    Refused {
        /// Its address.
        url: String,
        /// The HTTP status.
        status: u16,
        /// What to do.
        step: String,
    },
    /// The answer was an error.
    #[error("{url} answers HTTP {status}")]
    Status {
        /// Its address.
        url: String,
        /// The HTTP status.
        status: u16,
    },
    /// The answer is larger than what is read.
    #[error("the answer of {url} is larger than {} MiB", MOST_BYTES >> 20)]
    TooLarge {
        /// Its address.
        url: String,
    },
    /// The answer is not that of a Prometheus or Alertmanager.
    #[error("the answer of {url} is not understood: {words}")]
    Answer {
        /// Its address.
        url: String,
        /// What is wrong with it.
        words: &'static str,
    },
}
