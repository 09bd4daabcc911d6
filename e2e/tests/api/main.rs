//! What an API server decides, on a real one: the schema, who owns what, and that nothing is written twice.
//! The operator runs as a user would run it, under its own generated role. No pod runs here.

#![allow(clippy::unwrap_used, clippy::panic)]

mod absent;
mod children;
mod diff;
mod doctor;
mod doctor_answers;
mod doctor_bundle;
mod doctor_errors;
mod doctor_fix;
mod doctor_mistakes;
mod edits;
mod faults;
mod grafana;
mod guarded;
mod metrics;
mod operator;
mod packs;
mod probes;
mod python;
mod remediation;
mod rendered;
mod replicas;
mod rights;
mod samples;
mod schema;
mod secrets;
mod servers;
mod shop;
mod signals;
mod status;
mod steady;
mod tenants;
mod traces;
mod unlisted;
mod writers;
mod writes;
