//! Days as they come, and what the two say about them.

use super::programs::{Programs, print_table};

const BUDGET: (&str, &str) = (
    "max(observed:slo_error_budget:remaining_ratio)",
    "max(slo:period_error_budget_remaining:ratio)",
);
const PAGES: (&str, &str) = (
    "count(count_over_time(ALERTS{alertstate=\"firing\",severity=\"critical\"}[2h]))",
    "count(count_over_time(ALERTS{alertstate=\"firing\",sloth_severity=\"page\"}[2h]))",
);

struct Day {
    what: &'static str,
    /// Series of requests by status, a sample a minute.
    series: &'static [(&'static str, &'static str)],
    minute: u32,
    asked: &'static str,
    /// How it is asked of Observed and of Sloth.
    exprs: (&'static str, &'static str),
    /// The right answer, and how far from it an answer may be. None is silence.
    right: Option<f64>,
    within: f64,
}

const DAYS: [Day; 5] = [
    Day {
        what: "an idle night between two busy hours, no error",
        series: &[("200", "0+600x60 36000x360 36600+600x59"), ("500", "0x480")],
        minute: 480,
        asked: "budget left",
        exprs: BUDGET,
        right: Some(1.0),
        within: 0.01,
    },
    Day {
        what: "no error since the start: no series of errors",
        series: &[("200", "0+600x120")],
        minute: 120,
        asked: "budget left",
        exprs: BUDGET,
        right: Some(1.0),
        within: 0.01,
    },
    Day {
        what: "3.6 million good requests in an hour, then 3600 failed ones in an hour",
        series: &[("200", "0+60000x60 3600000x59"), ("500", "0x60 60+60x59")],
        minute: 120,
        asked: "budget left",
        exprs: BUDGET,
        right: Some(0.0),
        within: 0.1,
    },
    Day {
        what: "the counters vanish, and nobody sees any more whether requests fail",
        series: &[("200", "0+600x60 _x60"), ("500", "0x60 _x60")],
        minute: 120,
        asked: "pages",
        exprs: PAGES,
        right: Some(1.0),
        within: 0.0,
    },
    Day {
        what: "three requests an hour at night, and one of them fails",
        series: &[("200", "0x19 1x19 2x19 3x59"), ("500", "0x69 1x49")],
        minute: 119,
        asked: "pages",
        exprs: PAGES,
        right: None,
        within: 0.0,
    },
];

/// Whether Observed is right every day.
pub fn compare(programs: &Programs) -> bool {
    let names = ["api".to_owned()];
    let (ours, theirs) = (programs.observed_rules("1m", &names), programs.sloth_rules(&names));
    let mut right = true;
    let rows = DAYS.map(|day| {
        let series: Vec<_> = day
            .series
            .iter()
            .map(|(status, values)| (*status, (*values).to_owned()))
            .collect();
        let observed = programs.ask(&ours, &series, day.minute, day.exprs.0);
        let sloth = programs.ask(&theirs, &series, day.minute, day.exprs.1);
        right &= day.is_right(observed);
        vec![
            day.what.to_owned(),
            day.asked.to_owned(),
            words(day.right),
            day.judged(sloth),
            day.judged(observed),
        ]
    });
    print_table(
        "Days on which they differ",
        &["day", "asked", "right", "Sloth", "Observed"],
        &rows,
    );
    right
}

impl Day {
    fn is_right(&self, answer: Option<f64>) -> bool {
        match (answer, self.right) {
            (Some(answer), Some(right)) => (answer - right).abs() <= self.within,
            (answer, right) => answer.is_none() && right.is_none(),
        }
    }

    fn judged(&self, answer: Option<f64>) -> String {
        let judgement = if self.is_right(answer) { "right" } else { "wrong" };
        format!("{} ({judgement})", words(answer))
    }
}

fn words(answer: Option<f64>) -> String {
    answer.map_or_else(
        || "nothing".to_owned(),
        |value| {
            format!("{value:.4}")
                .trim_end_matches('0')
                .trim_end_matches('.')
                .to_owned()
        },
    )
}
