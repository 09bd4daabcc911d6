//! Lets writes through for as long as the Lease is surely held.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::future::{Either, Ready, ready};
use http::{Method, Request};
use tokio::time::Instant;
use tower::{BoxError, Layer, Service};

/// A write was not sent.
#[derive(Debug, thiserror::Error)]
#[error("not written: this process does not hold the Lease")]
struct Closed;

/// A clone is the same gate. At first it is closed.
#[derive(Clone, Debug)]
pub struct Gate {
    began: Instant,
    /// Nanoseconds after `began`. 0: it is closed, and nobody waits for it.
    open_until: Arc<AtomicU64>,
}

impl Gate {
    pub fn new() -> Self {
        Self {
            began: Instant::now(),
            open_until: Arc::default(),
        }
    }

    pub(super) fn open_until(&self, at: Instant) {
        let after = at.saturating_duration_since(self.began).as_nanos();
        let after = u64::try_from(after).unwrap_or(u64::MAX).max(1);
        self.open_until.store(after, Ordering::SeqCst);
    }

    pub(super) fn close(&self) {
        self.open_until.store(0, Ordering::SeqCst);
    }

    /// How long it still is open. None: it is closed, as it should be.
    fn left(&self) -> Option<Duration> {
        match self.open_until.load(Ordering::SeqCst) {
            0 => None,
            after => Some((self.began + Duration::from_nanos(after)).saturating_duration_since(Instant::now())),
        }
    }

    fn is_open(&self) -> bool {
        self.left().is_some_and(|left| !left.is_zero())
    }

    /// Waits until the time is over, on a thread that nothing else can hold up. Returns at once when the gate is closed on purpose.
    pub fn watch(self, over: impl FnOnce() + Send + 'static) {
        std::thread::spawn(move || {
            while let Some(left) = self.left() {
                if left.is_zero() {
                    return over();
                }
                std::thread::sleep(left);
            }
        });
    }
}

impl<S> Layer<S> for Gate {
    type Service = Gated<S>;

    fn layer(&self, inner: S) -> Gated<S> {
        Gated {
            gate: self.clone(),
            inner,
        }
    }
}

/// A client that writes only while the gate is open.
#[derive(Clone)]
pub struct Gated<S> {
    gate: Gate,
    inner: S,
}

impl<S, B> Service<Request<B>> for Gated<S>
where
    S: Service<Request<B>, Error = BoxError>,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = Either<S::Future, Ready<Result<S::Response, BoxError>>>;

    fn poll_ready(&mut self, context: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let reads = matches!(*request.method(), Method::GET | Method::HEAD);
        if reads || self.gate.is_open() {
            Either::Left(self.inner.call(request))
        } else {
            Either::Right(ready(Err(Closed.into())))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use tower::ServiceExt;

    use super::*;

    /// Whether a request passes.
    async fn passes(gate: &Gate, method: Method) -> bool {
        let inner = tower::service_fn(|_: Request<()>| ready(Ok::<_, BoxError>(())));
        let request = Request::builder().method(method).body(()).unwrap();
        gate.layer(inner).oneshot(request).await.is_ok()
    }

    #[tokio::test]
    async fn a_write_passes_only_while_the_gate_is_open() {
        let gate = Gate::new();
        assert!(!passes(&gate, Method::PATCH).await, "nothing is held yet");
        gate.open_until(Instant::now() + Duration::from_secs(10));
        assert!(passes(&gate, Method::PATCH).await);
        gate.open_until(Instant::now());
        for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
            assert!(!passes(&gate, method.clone()).await, "{method}");
        }
        assert!(passes(&gate, Method::GET).await, "who waits may look");
        gate.open_until(Instant::now() + Duration::from_secs(10));
        gate.close();
        assert!(!passes(&gate, Method::POST).await);
    }

    #[test]
    fn the_end_of_the_time_is_told_though_nothing_else_runs_and_a_gate_that_is_closed_tells_nothing() {
        let ends = |close: bool| {
            let gate = Gate::new();
            gate.open_until(Instant::now() + Duration::from_millis(20));
            let (told, heard) = mpsc::channel();
            if close {
                gate.close();
            }
            gate.watch(move || told.send(()).unwrap());
            heard.recv_timeout(Duration::from_secs(10)).is_ok()
        };
        assert!(ends(false));
        assert!(!ends(true));
    }
}
