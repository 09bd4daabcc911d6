//! What is wrong with a request body: all of it at once, by field.

use std::fmt;

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Map, Value, json};

/// One thing that is wrong, and where.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Finding {
    /// Path of the field: `messages[0].role`; `body` for the whole.
    pub field: String,
    /// What it must be and what it is.
    pub message: String,
}

/// A request that cannot be served as it is: status 400.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Findings(Vec<Finding>);

impl Findings {
    /// Adds a finding.
    pub fn add(&mut self, field: impl Into<String>, message: impl Into<String>) {
        self.0.push(Finding {
            field: field.into(),
            message: message.into(),
        });
    }

    /// `value` if nothing was found.
    pub fn or<T>(self, value: T) -> Result<T, Self> {
        if self.0.is_empty() { Ok(value) } else { Err(self) }
    }

    /// Takes a field that must be there and pass `check`; adds a finding and returns `None` if not.
    pub fn required<T>(
        &mut self,
        object: &Map<String, Value>,
        path: &str,
        name: &str,
        check: impl FnOnce(&Value) -> Result<T, String>,
    ) -> Option<T> {
        let field = format!("{path}{name}");
        match object.get(name) {
            None => {
                self.add(field, "is required");
                None
            }
            Some(value) => check(value).map_err(|message| self.add(field, message)).ok(),
        }
    }

    /// Takes a field that may be missing, which leaves the default.
    pub fn optional<T: Default>(
        &mut self,
        object: &Map<String, Value>,
        name: &str,
        check: impl FnOnce(&Value) -> Result<T, String>,
    ) -> T {
        match object.get(name) {
            None => T::default(),
            Some(_) => self.required(object, "", name, check).unwrap_or_default(),
        }
    }
}

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines = self
            .0
            .iter()
            .map(|Finding { field, message }| format!("{field} {message}"));
        f.write_str(&lines.collect::<Vec<_>>().join("; "))
    }
}

impl IntoResponse for Findings {
    fn into_response(self) -> Response {
        let body = json!({"error": {"type": "invalid_request", "findings": self.0}});
        (StatusCode::BAD_REQUEST, Json(body)).into_response()
    }
}

/// The JSON object that a body must be.
pub fn object(body: &[u8]) -> Result<Map<String, Value>, Findings> {
    let mut findings = Findings::default();
    match serde_json::from_slice(body) {
        Ok(Value::Object(object)) => return Ok(object),
        Ok(other) => findings.add("body", format!("must be a JSON object, is {}", kind(&other))),
        Err(error) => findings.add("body", format!("is not JSON: {error}")),
    }
    Err(findings)
}

/// What a JSON value is, in a word.
pub fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
