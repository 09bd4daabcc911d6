//! Observed beside Sloth, the closest generator of rules for objectives: the same objective, in one run.
//!
//! `cargo bench -p observed-e2e --bench sloth` prints four tables: the CPU time of generating (and below it that of services
//! with the packs that all have), the minute in which each alert fires, days on which the two say different things, and
//! what the rules cost a real Prometheus. `-- cpu`, `-- firing`, `-- days` or `-- cost` prints one of them alone. It ends with
//! an error when a page or a ticket comes more than one evaluation later than Sloth's, when Observed says something wrong about
//! a day, or when generating one of 5000 resources takes more than a millisecond of CPU, less than ten times less than Sloth for
//! an object, or more than one and a half times what one of 100 does.

#![allow(clippy::unwrap_used, clippy::panic)]

mod cost;
mod cpu;
mod days;
mod firing;
mod programs;

use std::process::ExitCode;

use programs::Programs;

const PARTS: [&str; 4] = ["cpu", "firing", "days", "cost"];

#[tokio::main]
async fn main() -> ExitCode {
    // Cargo says `--bench`.
    let asked: Vec<String> = std::env::args().skip(1).filter(|part| part != "--bench").collect();
    if let Some(unknown) = asked.iter().find(|part| !PARTS.contains(&part.as_str())) {
        eprintln!("{unknown:?} is none of {}", PARTS.join(", "));
        return ExitCode::FAILURE;
    }
    let is_asked = |part: &str| asked.is_empty() || asked.iter().any(|asked| asked == part);
    let programs = Programs::ensure().await;
    let cheap = !is_asked("cpu") || cpu::compare(&programs);
    let in_time = !is_asked("firing") || firing::compare(&programs);
    let right = !is_asked("days") || days::compare(&programs);
    if is_asked("cost") {
        cost::compare(&programs).await;
    }
    if cheap && in_time && right {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
