//! Why there is no answer.

use std::path::PathBuf;

use super::{MOST_BYTES, TIMEOUT};

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

/// What TLS has against it. An I/O error hides what it holds from `source`.
pub(super) fn tls(error: &reqwest::Error) -> Option<&rustls::Error> {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        let held = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        if let Some(held) = held
            && let Some(found) = held.downcast_ref()
        {
            return Some(found);
        }
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        cause = match held {
            Some(held) => Some(held),
            None => error.source(),
        };
    }
    None
}

/// The connection ended before it took the request, so that nobody has read it.
pub(super) fn was_not_sent(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut causes = std::iter::successors(Some(error), |error| error.source());
    causes.any(|cause| cause.downcast_ref().is_some_and(hyper::Error::is_canceled))
}

/// The innermost cause, which is the one that helps: `connection refused`, `dns error`.
pub(super) fn words(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return format!("nothing within {} s", TIMEOUT.as_secs());
    }
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    crate::api_error::shorten(&cause.to_string(), 200)
}

#[cfg(test)]
mod tests {
    use http_body_util::Empty;
    use hyper::body::Bytes;
    use hyper::client::conn::http1::{Connection, SendRequest, handshake};
    use hyper_util::rt::TokioIo;
    use tokio::io::DuplexStream;

    use super::*;

    type Body = Empty<Bytes>;

    async fn connected() -> (SendRequest<Body>, Connection<TokioIo<DuplexStream>, Body>, DuplexStream) {
        let (client, server) = tokio::io::duplex(64);
        let (sender, connection) = handshake(TokioIo::new(client)).await.unwrap();
        (sender, connection, server)
    }

    #[tokio::test]
    async fn only_what_nobody_can_have_read_was_not_sent() {
        let (mut sender, connection, _server) = connected().await;
        drop(connection);
        let error = sender.send_request(hyper::Request::default()).await.unwrap_err();
        assert!(was_not_sent(&error), "{error:?}");

        let (mut sender, connection, server) = connected().await;
        let asked = tokio::spawn(async move { sender.send_request(hyper::Request::default()).await });
        let ended = tokio::spawn(connection);
        let mut server = server;
        tokio::io::AsyncReadExt::read_u8(&mut server).await.unwrap();
        drop(server);
        let error = asked.await.unwrap().unwrap_err();
        assert!(!was_not_sent(&error), "{error:?}");
        drop(ended);
    }
}
