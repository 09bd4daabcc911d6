//! How long errors last before the page and the ticket are out: three healthy days, then a constant share of errors.

use super::programs::{Programs, print_table};

const HEALTHY_MINUTES: u32 = 3 * 24 * 60;
const BROKEN_MINUTES: u32 = 12 * 60;
const REQUESTS_A_MINUTE: f64 = 6_000.0;
const PERCENTS: [u32; 7] = [100, 50, 20, 10, 5, 2, 1];

/// Evaluations by which an alert may be later than Sloth's.
const LATER: f64 = 1.0;
const SEVERITIES: [(&str, &str); 2] = [("critical", "page"), ("warning", "ticket")];

/// Whether no alert is later than it may be.
pub fn compare(programs: &Programs) -> bool {
    let names = ["api".to_owned()];
    let (ours, theirs) = (programs.observed_rules("1m", &names), programs.sloth_rules(&names));
    let mut in_time = true;
    let mut rows = Vec::new();
    for percent in PERCENTS {
        let series = series(percent);
        let mut row = vec![format!("{percent} %")];
        for (severity, sloth_severity) in SEVERITIES {
            let ask = |rules, labels: &str| {
                let firing = format!("ALERTS{{alertstate=\"firing\",{labels}}}");
                let range = BROKEN_MINUTES + 1;
                let expr = format!("min(min_over_time(timestamp({firing})[{range}m:1m]))");
                let at = programs.ask(rules, &series, HEALTHY_MINUTES + BROKEN_MINUTES, &expr)?;
                Some(at / 60.0 - f64::from(HEALTHY_MINUTES))
            };
            let observed = ask(&ours, &format!("alertname=\"ErrorBudgetBurn\",severity=\"{severity}\""));
            let sloth = ask(
                &theirs,
                &format!("alertname=\"Availability\",sloth_severity=\"{sloth_severity}\""),
            );
            in_time &= match (observed, sloth) {
                (Some(observed), Some(sloth)) => observed - sloth <= LATER,
                (None, Some(_)) => false,
                (_, None) => true,
            };
            row.extend([minute(sloth), minute(observed)]);
        }
        rows.push(row);
    }
    print_table(
        "Minutes of errors until an alert fires (objective 99.9 % over 30 days, an evaluation a minute)",
        &[
            "errors",
            "Sloth page",
            "Observed page",
            "Sloth ticket",
            "Observed ticket",
        ],
        &rows,
    );
    if !in_time {
        println!("\nAn alert of Observed is later than it may be.");
    }
    in_time
}

fn minute(minute: Option<f64>) -> String {
    minute.map_or_else(|| "never".to_owned(), |minute| format!("{minute:.0}"))
}

fn series(percent: u32) -> Vec<(&'static str, String)> {
    let bad = REQUESTS_A_MINUTE * f64::from(percent) / 100.0;
    let good = REQUESTS_A_MINUTE - bad;
    let before = REQUESTS_A_MINUTE * f64::from(HEALTHY_MINUTES);
    let last = BROKEN_MINUTES - 1;
    vec![
        (
            "200",
            format!(
                "0+{REQUESTS_A_MINUTE}x{HEALTHY_MINUTES} {}+{good}x{last}",
                before + good
            ),
        ),
        ("500", format!("0x{HEALTHY_MINUTES} {bad}+{bad}x{last}")),
    ]
}
