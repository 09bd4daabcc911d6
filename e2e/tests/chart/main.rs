//! The Helm chart, by a real Helm: what its values may be, what is rendered of them, and what becomes of a release on a real API server.

#![allow(clippy::unwrap_used, clippy::panic)]

mod components;
mod definitions;
mod edits;
mod helm;
mod install;
mod life;
mod matrix;
mod metrics;
mod operator;
mod readme;
mod remediation;
mod rendered;
mod schema;
mod upgrade;
mod values;
