//! Observed beside Sloth, the closest generator of rules for objectives: the same objective, in one run.
//!
//! `cargo bench -p observed-e2e --bench sloth` prints four tables: the CPU time of generating (and below it that of services
//! with the packs that all have), the minute in which each alert fires, days on which the two say different things, and
//! what the rules cost a real Prometheus. It ends with an error when a page or a ticket comes more than one evaluation
//! later than Sloth's, when Observed says something wrong about a day, or when generating one of 5000 resources takes more
//! than a millisecond of CPU, less than ten times less than Sloth for an object, or more than one and a half times what one
//! of 100 does.

#![allow(clippy::unwrap_used, clippy::panic)]

mod cost;
mod cpu;
mod days;
mod firing;
mod programs;

use std::process::ExitCode;

use programs::Programs;

#[tokio::main]
async fn main() -> ExitCode {
    let programs = Programs::ensure().await;
    let cheap = cpu::compare(&programs);
    let in_time = firing::compare(&programs);
    let right = days::compare(&programs);
    cost::compare(&programs).await;
    if cheap && in_time && right {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
