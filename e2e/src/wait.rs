//! Waiting for a condition, with a deadline and the last state seen. The only place of this crate that sleeps.

use std::convert::Infallible;
use std::fmt::Display;
use std::time::{Duration, Instant};

/// How often a condition is looked at.
pub(crate) const INTERVAL: Duration = Duration::from_millis(100);

/// The condition did not come true in time.
#[derive(Debug, thiserror::Error)]
#[error("waited {} s for {what}; last seen: {last_seen}", .limit.as_secs())]
pub struct Error {
    /// What was waited for.
    pub what: String,
    /// How long.
    pub limit: Duration,
    /// What the last look saw.
    pub last_seen: String,
}

/// What one look at a condition saw: the value, or in words what is there instead.
pub trait Look {
    /// The value that ends the wait.
    type Value;

    /// The value, or what was seen in its place.
    fn settle(self) -> Result<Self::Value, String>;
}

impl<T> Look for Option<T> {
    type Value = T;

    fn settle(self) -> Result<T, String> {
        self.ok_or_else(|| "nothing yet".to_owned())
    }
}

impl<T, E: Display> Look for Result<T, E> {
    type Value = T;

    fn settle(self) -> Result<T, String> {
        self.map_err(|error| error.to_string())
    }
}

impl Look for bool {
    type Value = ();

    fn settle(self) -> Result<(), String> {
        if self { Ok(()) } else { Err("not yet".to_owned()) }
    }
}

/// Looks again and again until `look` has a value, at most for `limit`.
///
/// `look` returns an `Option`, a `bool`, or a `Result` whose error says what was seen instead: it ends up in the message of the [`Error`].
///
/// # Errors
/// The deadline passed.
pub async fn until<L, F>(limit: Duration, what: &str, look: impl FnMut() -> F) -> Result<L::Value, Error>
where
    L: Look,
    F: Future<Output = L>,
{
    until_every(INTERVAL, limit, what, look).await
}

/// Like [`until`], for a look that costs so much that it is taken only so often.
///
/// # Errors
/// The deadline passed.
pub async fn until_every<L, F>(
    interval: Duration,
    limit: Duration,
    what: &str,
    mut look: impl FnMut() -> F,
) -> Result<L::Value, Error>
where
    L: Look,
    F: Future<Output = L>,
{
    let failed = |last_seen| Error {
        what: what.to_owned(),
        limit,
        last_seen,
    };
    match until_or(interval, limit, &mut look, std::future::pending::<Infallible>()).await {
        Ok(value) => Ok(value),
        Err(Ended::Late(last_seen)) => Err(failed(last_seen)),
        Err(Ended::Cut(never)) => match never {},
    }
}

/// How a wait ended that did not end well.
pub(crate) enum Ended<C> {
    /// The deadline passed; holds what was last seen.
    Late(String),
    /// The other future was done first.
    Cut(C),
}

/// Like [`until`], but ends at once when `cut` is done: a program that has exited never becomes ready.
pub(crate) async fn until_or<L, F, C>(
    interval: Duration,
    limit: Duration,
    mut look: impl FnMut() -> F,
    cut: impl Future<Output = C>,
) -> Result<L::Value, Ended<C>>
where
    L: Look,
    F: Future<Output = L>,
{
    let start = Instant::now();
    let mut last_seen = "it was not looked at in time".to_owned();
    let mut cut = std::pin::pin!(cut);
    loop {
        let left = limit.saturating_sub(start.elapsed());
        tokio::select! {
            cause = &mut cut => return Err(Ended::Cut(cause)),
            seen = tokio::time::timeout(left, look()) => match seen.map(Look::settle) {
                Ok(Ok(value)) => return Ok(value),
                Ok(Err(seen)) => last_seen = seen,
                Err(_) => return Err(Ended::Late(last_seen)),
            },
        }
        // A look that answers at once is never too late by itself.
        if start.elapsed() >= limit {
            return Err(Ended::Late(last_seen));
        }
        tokio::select! {
            cause = &mut cut => return Err(Ended::Cut(cause)),
            () = tokio::time::sleep(interval) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    #[tokio::test]
    async fn a_condition_that_comes_true_ends_the_wait_with_its_value() {
        let looks = Cell::new(0);
        let value = until(Duration::from_secs(60), "the third look", || {
            looks.set(looks.get() + 1);
            std::future::ready((looks.get() == 3).then_some("there"))
        });
        assert_eq!(value.await.unwrap(), "there");
    }

    #[tokio::test]
    async fn a_condition_that_never_comes_true_tells_what_was_last_seen() {
        let never = until(Duration::from_millis(1), "a pod", || {
            std::future::ready(Err::<(), _>("Pending"))
        });
        let error = never.await.unwrap_err().to_string();
        assert!(error.contains("a pod") && error.contains("Pending"), "{error}");
    }

    #[tokio::test]
    async fn a_look_that_hangs_does_not_outlive_the_deadline() {
        let hangs = until(
            Duration::from_millis(1),
            "an answer",
            std::future::pending::<Option<()>>,
        );
        assert!(hangs.await.is_err());
    }
}
