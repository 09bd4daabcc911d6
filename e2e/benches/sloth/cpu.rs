//! The CPU time of generating, user and system, of the whole process. The two take turns, and the median counts.

use std::path::Path;
use std::time::Duration;

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::{TimeVal, TimeValLike};

use super::programs::{Programs, observed_objective, print_table, sloth_objective, write_all};

const ROUNDS: usize = 5;

pub fn compare(programs: &Programs) {
    let mut rows = Vec::new();
    for count in [1, 100, 5_000] {
        let names: Vec<String> = (0..count).map(|index| format!("api-{index}")).collect();
        let (ours, theirs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        write_all(ours.path(), &names, |name| observed_objective(name, "30s"));
        write_all(theirs.path(), &names, sloth_objective);
        let (mut rules, mut whole, mut sloth) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..if count > 100 { 3 } else { ROUNDS } {
            rules.push(time(|| drop(programs.observed(ours.path(), false))));
            sloth.push(time(|| generate(programs, theirs.path())));
            whole.push(time(|| drop(programs.observed(ours.path(), true))));
        }
        let (rules, whole, sloth) = (median(rules), median(whole), median(sloth));
        let each = |time: Duration| format!("{:.2} ms", time.as_secs_f64() * 1e3 / f64::from(count));
        rows.push(vec![
            count.to_string(),
            each(sloth),
            each(rules),
            format!("{:.1}", sloth.as_secs_f64() / rules.as_secs_f64()),
            each(whole),
            format!("{:.1}", sloth.as_secs_f64() / whole.as_secs_f64()),
        ]);
    }
    print_table(
        "CPU time per resource with one objective",
        &[
            "resources",
            "Sloth",
            "Observed, rules",
            "ratio",
            "Observed, every object",
            "ratio",
        ],
        &rows,
    );
}

fn generate(programs: &Programs, from: &Path) {
    let into = tempfile::tempdir().unwrap();
    programs.sloth(from, into.path());
}

/// The CPU time of the processes that were run and have ended.
fn time(run: impl FnOnce()) -> Duration {
    let before = children();
    run();
    children() - before
}

fn children() -> Duration {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).unwrap();
    let micros = |time: TimeVal| u64::try_from(time.num_microseconds()).unwrap();
    Duration::from_micros(micros(usage.user_time()) + micros(usage.system_time()))
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}
