//! The log, text or JSON lines on standard error, and the traces of reconciles.

pub mod traces;

use tracing::Subscriber;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};
use tracing_subscriber::{EnvFilter, Layer};

use crate::settings::LogFormat;
use traces::Traces;

/// What is logged when RUST_LOG says nothing. A watch that breaks off is logged by us, once.
const DEFAULT_FILTER: &str = "info,kube_runtime=error,kube_client=error,tower=warn,hyper=warn";

/// Starts logging, and the spans of traces where there are any.
///
/// # Errors
/// Something in this process logs already.
pub fn init(format: LogFormat, traces: Option<&Traces>) -> Result<(), TryInitError> {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(DEFAULT_FILTER));
    subscriber(format, filter, traces, std::io::stderr).try_init()
}

/// What listens to events and spans. The filter of the log is no business of the traces.
fn subscriber(
    format: LogFormat,
    filter: EnvFilter,
    traces: Option<&Traces>,
    writer: impl for<'a> MakeWriter<'a> + Send + Sync + 'static,
) -> Box<dyn Subscriber + Send + Sync> {
    let lines = tracing_subscriber::fmt::layer().with_writer(writer);
    let registry = tracing_subscriber::registry().with(traces.map(Traces::layer));
    match format {
        LogFormat::Text => Box::new(registry.with(lines.with_ansi(false).with_filter(filter))),
        LogFormat::Json => {
            let lines = lines.json().flatten_event(true).with_current_span(false);
            Box::new(registry.with(lines.with_filter(filter)))
        }
    }
}

/// A log that is kept, for tests.
#[cfg(test)]
pub mod kept {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use super::*;

    /// The lines so far.
    #[derive(Clone, Default)]
    pub struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    impl Lines {
        /// Starts the log of this thread, until the guard goes.
        pub fn start(
            &self,
            format: LogFormat,
            filter: &str,
            traces: Option<&Traces>,
        ) -> tracing::subscriber::DefaultGuard {
            let lines = self.clone();
            let subscriber = subscriber(format, EnvFilter::new(filter), traces, move || lines.clone());
            tracing::subscriber::set_default(subscriber)
        }

        /// All of them.
        pub fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::kept::Lines;
    use super::*;

    #[test]
    fn the_log_is_the_same_with_and_without_traces() {
        let provider = opentelemetry_sdk::trace::SdkTracerProvider::default();
        let traces = Traces::of(provider);
        for format in [LogFormat::Text, LogFormat::Json] {
            for traces in [None, Some(&traces)] {
                let lines = Lines::default();
                let guard = lines.start(format, "warn", traces);
                tracing::info!("too much");
                tracing::warn!(answer = 42, "told");
                drop(guard);
                let text = lines.text();
                let told = text.contains("told") && text.contains("42") && !text.contains("too much");
                assert!(told && text.lines().count() == 1, "{format:?}: {text}");
            }
        }
    }
}
