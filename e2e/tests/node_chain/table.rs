//! The table of `docs/chain.md`.

use std::fmt::Write as _;

use observed_e2e::demo::manifest::checkout;

use crate::Seen;
use crate::cases::Case;

const FILE: &str = "docs/chain.md";
const BEGIN: &str = "<!-- The table is written by the test node_chain. -->\n";

/// Prints the table, and writes it or holds the file to it: the same cases with the same conditions, whatever their times.
pub fn tell(cases: &[Case], seen: &[Seen]) {
    let mut table = String::from(
        "| link | how it is broken | condition | reason | told after | gone after |\n|---|---|---|---|---|---|\n",
    );
    let mut rows = Vec::new();
    for (case, seen) in cases.iter().zip(seen) {
        let Case {
            link,
            what,
            condition,
            status,
            reason,
            ..
        } = case;
        let row = format!("| {link} | {what} | `{condition}` {status} | `{reason}` |");
        let _ = writeln!(table, "{row} {:.0} s | {:.0} s |", seen.told, seen.gone);
        rows.push(row);
    }
    println!("{table}");
    for (case, seen) in cases.iter().zip(seen) {
        println!("{}: {}", case.what, seen.message);
    }
    let path = checkout().join(FILE);
    let text = std::fs::read_to_string(&path).unwrap();
    let (before, after) = text.split_once(BEGIN).unwrap();
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        let rest = after.split_once("\n\n").map_or("", |(_, rest)| rest);
        std::fs::write(&path, format!("{before}{BEGIN}\n{table}\n{rest}")).unwrap();
        return;
    }
    let told = after
        .lines()
        .filter(|line| line.starts_with("| ") && !line.starts_with("| link"))
        .count();
    assert_eq!(told, rows.len(), "{FILE} has other cases: UPDATE_GOLDEN=1 writes them");
    for row in rows {
        assert!(after.contains(&row), "{FILE} has no {row}: UPDATE_GOLDEN=1 writes it");
    }
}
