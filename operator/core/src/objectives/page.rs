//! The tables of `docs/objectives.md`, from the numbers that the rules are made of.

use super::burn::{Burn, DAY, burns};
use super::goal::{BAD_EVENTS, BUDGET, ERROR_RATIO, EVENTS};
use super::share::Share;
use crate::duration;

/// Seconds between two scrapes by default.
const INTERVAL: u32 = 30;
/// Days of the windows whose factors are shown: the default, four weeks and one.
const WINDOWS: [u32; 3] = [30, 28, 7];
/// What stands behind a table.
const END: &str = "<!-- end -->\n";
/// Decimals of a factor and of a percentage.
const DECIMALS: usize = 4;

/// The page with its tables as they are now. None where the marks of one are not in it.
pub fn page(text: &str) -> Option<String> {
    let mut page = text.to_owned();
    for (table, now) in [("what is recorded", records()), ("alerts", alerts())] {
        let begin = format!("<!-- generated: {table} -->\n");
        let (before, rest) = page.split_once(&begin)?;
        let (_, after) = rest.split_once(END)?;
        page = format!("{before}{begin}{now}{END}{after}");
    }
    Some(page)
}

/// What is recorded.
fn records() -> String {
    format!(
        "| series | value |\n|---|---|\n\
         | `{EVENTS}` | all events of the window |\n\
         | `{BAD_EVENTS}` | the bad ones of them |\n\
         | `{ERROR_RATIO}` | bad by all; absent without an event |\n\
         | `{BUDGET}` | `1 - ratio / (1 - target)` of the objective's window: 1 when nothing was bad, 0 when the budget is \
         spent, less when the objective is missed |\n"
    )
}

/// The four alerts, their windows and their factors.
fn alerts() -> String {
    let windows = WINDOWS.map(|days| format!("factor {days}d")).join(" | ");
    let mut text = format!(
        "| severity | share of the budget | long | short | {windows} | budget gone in | never fires over 30d for targets up to |\n\
         |---|---|---|---|{}---|---|\n",
        "---|".repeat(WINDOWS.len())
    );
    for burn in burns(INTERVAL) {
        let factors = WINDOWS
            .map(|days| short(&burn.factor(days * DAY).decimal()))
            .join(" | ");
        text += &format!(
            "| {} | {} % | {} | {} | {factors} | {} | {} |\n",
            burn.severity.as_str(),
            burn.percent,
            duration::text(burn.long),
            duration::text(burn.short),
            duration::text(burn.exhausted_after()),
            beyond(burn),
        );
    }
    text
}

/// The greatest target at which the factor times the budget is one and more: no ratio is above it.
fn beyond(burn: Burn) -> String {
    let factor = burn.factor(WINDOWS[0] * DAY);
    let target = Share::new(1, 1).per(factor).rest().percent();
    match target.trim_end_matches('%') {
        "0" => String::new(),
        target => format!("1 - 1 / {} = {} %", factor.decimal(), short(target)),
    }
}

/// Without the decimals that nobody reads.
fn short(decimal: &str) -> String {
    match decimal.split_once('.') {
        Some((whole, decimals)) if decimals.len() > DECIMALS => format!("{whole}.{}", &decimals[..DECIMALS]),
        _ => decimal.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_that_is_stale_is_written_anew_and_one_without_marks_is_missed() {
        let written = "a\n<!-- generated: what is recorded -->\nold\n<!-- end -->\nb\n<!-- generated: alerts -->\n<!-- end -->\nc\n";
        let now = page(written).unwrap();
        assert!(
            now.starts_with("a\n") && now.ends_with("c\n") && !now.contains("old"),
            "{now}"
        );
        assert!(
            now.contains("| critical | 2 % | 1h | 5m | 14.4 | 13.44 | 3.36 | 2d2h | 1 - 1 / 14.4 = 93.0555 % |"),
            "{now}"
        );
        assert!(
            now.contains("| warning | 10 % | 3d | 6h | 1 | 0.9333 | 0.2333 | 30d |  |"),
            "{now}"
        );
        assert_eq!(page(&now), Some(now.clone()));
        assert_eq!(page("a"), None);
    }
}
