//! What the content of an answer to a probe says against its good status, and what mends it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What a content with a good HTTP status gives away about the endpoint. Its `Display` is in words, without a verb.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Content {
    /// A JSON array of an object and a number that is an HTTP status: what a framework makes of a pair that it does not
    /// take for an answer with a status (FastAPI and `return {...}, 503`).
    StatusInside(u16),
    /// A JSON object that says that all is not well.
    NotWell,
    /// A page for people: a login, or the first page of a web application.
    Page,
    /// A metrics page.
    Metrics,
}

impl fmt::Display for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::StatusInside(status) => {
                write!(f, "a good HTTP status with a JSON array that holds the status {status}")
            }
            Self::NotWell => f.write_str("a good HTTP status with a JSON object that says that all is not well"),
            Self::Page => f.write_str("a page for people"),
            Self::Metrics => f.write_str("a metrics page"),
        }
    }
}

impl Content {
    /// What it means for a probe, and what mends it. `path` is the field that holds the path of the probe.
    pub fn next_step(self, path: &str) -> String {
        match self {
            Self::StatusInside(_) => {
                "a probe that asks it can never fail: the framework takes the pair of content and status for the content. Set \
                 the status on the answer (FastAPI: JSONResponse(content, status_code=503))"
                    .to_owned()
            }
            Self::NotWell => {
                "a probe looks at the status alone, so that it can never fail: answer 503 when all is not well".to_owned()
            }
            Self::Page => format!(
                "such a page is there whatever the state of the application is: give the path of a health check in {path}"
            ),
            Self::Metrics => format!(
                "it is costly to make and says nothing about health: give the path of a health check in {path}"
            ),
        }
    }
}
