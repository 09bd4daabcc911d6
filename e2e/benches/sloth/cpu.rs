//! The CPU time of generating, user and system, of the whole process. The two take turns, and the median counts.

use std::path::Path;
use std::time::Duration;

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::{TimeVal, TimeValLike};

use super::programs::{Programs, observed_default, observed_objective, print_table, sloth_objective, write_all};

const ROUNDS: usize = 5;

/// How many times less than Sloth an object of ours may take at least, and the most CPU of one resource, where there are
/// many of them.
const TIMES_LESS: f64 = 10.0;
const MOST: Duration = Duration::from_millis(1);
/// What one of many may take beside one of a few. Linear is 1; but what many print does not fit into the caches of a processor, and
/// no page of its memory is used twice.
const GROWTH: f64 = 1.5;
/// Services with more than Sloth knows of.
const DEFAULTS: u32 = 500;

/// Prints the table. Whether Observed takes as little as it must, and for one of many not much more than for one of a few.
pub fn compare(programs: &Programs) -> bool {
    let mut rows = Vec::new();
    let mut wholes = Vec::new();
    let mut times_less = 0.0;
    for count in [1, 100, 5_000] {
        let names: Vec<String> = (0..count).map(|index| format!("api-{index}")).collect();
        let (ours, theirs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        write_all(ours.path(), &names, |name| observed_objective(name, "30s"));
        write_all(theirs.path(), &names, sloth_objective);
        let (mut rules, mut whole, mut sloth) = (Vec::new(), Vec::new(), Vec::new());
        let mut printed = Vec::new();
        for _ in 0..ROUNDS {
            rules.push(time(|| drop(programs.observed(ours.path(), false))));
            sloth.push(time(|| generate(programs, theirs.path())));
            whole.push(time(|| printed = programs.observed(ours.path(), true)));
        }
        let objects = documents(&printed) / f64::from(count);
        let (of_rules, of_whole) = (times(&sloth, &rules), times(&sloth, &whole));
        times_less = objects * of_whole;
        let (rules, whole, sloth) = (median(rules), median(whole), median(sloth));
        wholes.push((count, whole));
        let each = |time: Duration| format!("{:.2} ms", time.as_secs_f64() * 1e3 / f64::from(count));
        rows.push(vec![
            count.to_string(),
            each(sloth),
            each(rules),
            format!("{of_rules:.1}"),
            each(whole),
            format!("{of_whole:.1}"),
            format!("{times_less:.1}"),
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
            "ratio for an object",
        ],
        &rows,
    );
    defaults(programs);
    let [(_, one), (few, of_few), (many, of_many)] = wholes[..] else {
        return false;
    };
    // Without what a start takes.
    let each = |count: u32, time: Duration| (time.saturating_sub(one)).as_secs_f64() / f64::from(count - 1);
    let growth = each(many, of_many) / each(few, of_few);
    println!("One of {many} takes {growth:.2} times the CPU of one of {few}, without what a start takes.\n");
    times_less >= TIMES_LESS && of_many / many <= MOST && growth <= GROWTH
}

/// Prints what services take that have the packs which every service has.
fn defaults(programs: &Programs) {
    let names: Vec<String> = (0..DEFAULTS).map(|index| format!("api-{index}")).collect();
    let directory = tempfile::tempdir().unwrap();
    write_all(directory.path(), &names, observed_default);
    let mut printed = Vec::new();
    let times = (0..ROUNDS).map(|_| time(|| printed = programs.observed(directory.path(), true)));
    let each = median(times.collect()).as_secs_f64() * 1e3 / f64::from(DEFAULTS);
    println!(
        "One of {DEFAULTS} services with the packs that every service has takes {each:.2} ms, for {:.0} objects of {:.0} kB of \
         YAML, and no objective.\n",
        documents(&printed) / f64::from(DEFAULTS),
        printed.len() as f64 / 1e3 / f64::from(DEFAULTS)
    );
}

/// How many objects there are in a list of YAML documents.
fn documents(yaml: &[u8]) -> f64 {
    let text = String::from_utf8_lossy(yaml);
    let kinds = text.lines().filter(|line| line.starts_with("kind: ")).count();
    f64::from(u32::try_from(kinds).unwrap())
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

/// How many times ours theirs is: of each round, because machines are faster at one time than at another, and of those the median.
fn times(theirs: &[Duration], ours: &[Duration]) -> f64 {
    let rounds = theirs.iter().zip(ours);
    let mut times: Vec<f64> = rounds
        .map(|(theirs, ours)| theirs.as_secs_f64() / ours.as_secs_f64())
        .collect();
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}
