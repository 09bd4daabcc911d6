//! The metrics page of a running pod, of which names are read and nothing else is kept.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use observed_core::exposition::{Error, Exposition};
use observed_core::facts::{Family, PageOutcome};
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap};
use tokio::net::TcpStream;

use super::Preflight;
use super::ask::CONNECT_WITHIN;

/// How long a pod has for its page: longer than that Prometheus does not wait by default either.
const PAGE_WITHIN: Duration = Duration::from_secs(10);
/// Bytes of a page that are read: the default limit of a scrape.
const MOST_BYTES: usize = 16 << 20;
/// Bytes of a line.
const MOST_LINE_BYTES: usize = 64 << 10;
/// The text format, of which everything that exposes metrics knows one.
const FORMATS: &str = "text/plain;version=0.0.4,text/plain;q=0.5,application/openmetrics-text;q=0.4";

impl Preflight {
    /// How the page is, and the metrics on it if it could be read.
    pub(super) async fn page(&self, address: SocketAddr, path: &str) -> (PageOutcome, BTreeMap<String, Family>) {
        match self.read_page(address, path).await {
            Ok(families) if families.is_empty() => (PageOutcome::Empty, families),
            Ok(families) => (PageOutcome::Read, families),
            Err(outcome) => (outcome, BTreeMap::new()),
        }
    }

    async fn read_page(&self, address: SocketAddr, path: &str) -> Result<BTreeMap<String, Family>, PageOutcome> {
        let connected = tokio::time::timeout(CONNECT_WITHIN, TcpStream::connect(address)).await;
        if !matches!(connected, Ok(Ok(_))) {
            return Err(PageOutcome::Unanswered);
        }
        let asked = self.http.get(format!("http://{address}{path}"));
        let asked = asked.header(ACCEPT, FORMATS).timeout(PAGE_WITHIN).send().await;
        let mut response = asked.map_err(|_| PageOutcome::Unanswered)?;
        let status = response.status();
        if !status.is_success() {
            return Err(PageOutcome::Status(status.as_u16()));
        }
        let kind = content_type(response.headers());
        let mut page = Lines::default();
        let mut read = 0_usize;
        let mut began = false;
        loop {
            let chunk = response.chunk().await.map_err(|_| PageOutcome::Unanswered)?;
            let Some(chunk) = chunk else { break };
            read = read.saturating_add(chunk.len());
            if read > MOST_BYTES {
                return Err(PageOutcome::TooLarge);
            }
            if !began && let Some(first) = chunk.iter().find(|byte| !byte.is_ascii_whitespace()) {
                began = true;
                looks_like_a_page(*first, &kind)?;
            }
            page.add(&chunk)?;
        }
        page.end()
    }
}

/// The Content-Type in lower case, without its parameters.
fn content_type(headers: &HeaderMap) -> String {
    let value = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let kind = value.and_then(|value| value.split(';').next()).unwrap_or_default();
    kind.trim().to_ascii_lowercase()
}

fn looks_like_a_page(first: u8, kind: &str) -> Result<(), PageOutcome> {
    match (first, kind) {
        (b'"', _) => Err(PageOutcome::JsonText),
        (b'<', _) | (_, "text/html") => Err(PageOutcome::Html),
        (_, "text/plain" | "application/openmetrics-text") => Ok(()),
        (_, other) => Err(PageOutcome::ContentType(other.to_owned())),
    }
}

/// Lines out of chunks.
#[derive(Default)]
struct Lines {
    exposition: Exposition,
    begun: Vec<u8>,
    number: u64,
}

impl Lines {
    fn add(&mut self, chunk: &[u8]) -> Result<(), PageOutcome> {
        let mut rest = chunk;
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let (line, after) = rest.split_at(end);
            self.begun.extend_from_slice(line);
            self.line()?;
            rest = after.get(1..).unwrap_or_default();
        }
        self.begun.extend_from_slice(rest);
        if self.begun.len() > MOST_LINE_BYTES {
            return Err(PageOutcome::TooLarge);
        }
        Ok(())
    }

    fn line(&mut self) -> Result<(), PageOutcome> {
        self.number += 1;
        let malformed = PageOutcome::Malformed { line: self.number };
        let line = std::mem::take(&mut self.begun);
        let line = std::str::from_utf8(&line).map_err(|_| malformed.clone())?;
        self.exposition.line(line).map_err(|error| match error {
            Error::Malformed => malformed,
            Error::TooMany => PageOutcome::TooLarge,
        })
    }

    fn end(mut self) -> Result<BTreeMap<String, Family>, PageOutcome> {
        if !self.begun.is_empty() {
            self.line()?;
        }
        Ok(self.exposition.families())
    }
}

#[cfg(test)]
mod tests;
