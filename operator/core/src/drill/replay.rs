//! A drill to be looked at: what expressions say at every moment of it, as promtool evaluates them.
//!
//! promtool is told to expect nothing of each expression at each moment, and so says what there is instead. It evaluates
//! the drill's rules and knows native histograms; a Prometheus evaluates no rule over the past.

use std::collections::{BTreeMap, BTreeSet};

use promql_parser::util::unquote_string;

use super::{Expectation, Test, TestFile, paced};
use crate::duration;
use crate::plan::Plan;

/// Most moments that are asked for: more than a chart can show.
const MOST_MOMENTS: u32 = 120;

/// A drill to be looked at.
#[derive(Debug)]
pub struct Replay {
    test: Test,
    evaluation_seconds: u32,
    length_seconds: u32,
}

/// What an expression says at a moment: its series, or why it cannot be evaluated.
pub type Said = Result<Vec<(BTreeMap<String, String>, f64)>, String>;

/// What each expression says, by second. What is missing says nothing at that moment.
pub type Replayed = BTreeMap<String, BTreeMap<i64, Said>>;

/// The first case in which the alert fires. None if the plan has no alert of that name.
pub fn replay(plan: &Plan, alert: &str) -> Option<Replay> {
    let (clock, test) = paced(plan).find(|(_, test)| test.alert == alert && test.fires_by_seconds.is_some())?;
    let last = test.promql_expr_test.last()?;
    Some(Replay {
        length_seconds: duration::seconds(&last.eval_time)?,
        evaluation_seconds: clock.step,
        test,
    })
}

impl Replay {
    /// Name of the case: the alert, and the case in words.
    pub fn name(&self) -> &str {
        &self.test.name
    }

    /// How long it takes.
    pub fn length_seconds(&self) -> u32 {
        self.length_seconds
    }

    /// Seconds between two moments that are looked at, each of which is one of an evaluation.
    pub fn step_seconds(&self) -> u32 {
        let evaluations = self.length_seconds / self.evaluation_seconds.max(1);
        self.evaluation_seconds * evaluations.div_ceil(MOST_MOMENTS).max(1)
    }

    /// The file for `promtool test rules` that asks for the expressions.
    ///
    /// # Errors
    /// It cannot be written as YAML.
    pub fn file(mut self, rules: &str, expressions: &BTreeSet<String>) -> Result<String, serde_saphyr::SerializeError> {
        let step = self.step_seconds();
        let moments = (0..=self.length_seconds / step).map(|n| duration::text(n * step));
        let moments: Vec<String> = moments.collect();
        let nothing = |expr: &String, eval_time: &String| Expectation {
            expr: expr.clone(),
            eval_time: eval_time.clone(),
            exp_samples: Vec::new(),
        };
        let expected = expressions
            .iter()
            .flat_map(|expr| moments.iter().map(move |at| nothing(expr, at)));
        self.test.promql_expr_test = expected.collect();
        serde_saphyr::to_string(&TestFile {
            rule_files: vec![rules.to_owned()],
            evaluation_interval: duration::text(self.evaluation_seconds),
            tests: vec![self.test],
        })
    }
}

/// What promtool said about such a file. None if it is something else.
pub fn read(failures: &[String]) -> Option<Replayed> {
    let mut replayed = Replayed::new();
    for failure in failures {
        let rest = failure.trim().strip_prefix("expr: ")?;
        let (expr, rest) = unquoted(rest)?;
        let (time, rest) = rest.strip_prefix(", time: ")?.split_once(',')?;
        let second = match time {
            "0s" => 0,
            time => i64::try_from(duration::long_seconds(time)?).ok()?,
        };
        let said = match rest.trim_start().strip_prefix("err: ") {
            Some(words) => Err(words.to_owned()),
            None => Ok(samples(rest.split_once("got: ")?.1)?),
        };
        replayed.entry(expr).or_default().insert(second, said);
    }
    Some(replayed)
}

/// `{a="b"} 1E+00, {a="c"} 2E+00`
fn samples(text: &str) -> Option<Vec<(BTreeMap<String, String>, f64)>> {
    let mut samples = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let (labels, after) = labels(rest)?;
        let (value, after) = after.split_once(", ").unwrap_or((after, ""));
        samples.push((labels, value.trim().parse().ok()?));
        rest = after.trim_start();
    }
    Some(samples)
}

/// `{a="b", c="d"}` and what follows.
fn labels(text: &str) -> Option<(BTreeMap<String, String>, &str)> {
    let mut labels = BTreeMap::new();
    let mut rest = text.strip_prefix('{')?;
    loop {
        if let Some(after) = rest.strip_prefix('}') {
            return Some((labels, after));
        }
        let (name, after) = rest.split_once('=')?;
        let (value, after) = unquoted(after)?;
        labels.insert(name.to_owned(), value);
        rest = after.strip_prefix(", ").unwrap_or(after);
    }
}

/// A string as Go quotes it, and what follows.
fn unquoted(text: &str) -> Option<(String, &str)> {
    let inner = text.strip_prefix('"')?;
    let mut escaped = false;
    let end = inner.find(|c| {
        let ends = c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        ends
    })?;
    let (quoted, rest) = text.split_at(end + 2);
    Some((unquote_string(quoted).ok()?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> Said {
        let replayed = read(&[text.to_owned()]).unwrap();
        replayed.into_values().next().unwrap().into_values().next().unwrap()
    }

    #[test]
    fn what_promtool_says_instead_of_nothing_is_what_there_is() {
        let text = "expr: \"a{b=\\\"c\\\"} > 0\", time: 1h30m,\n        exp: nil\n        got: {} 1.5E+00, \
                    {__name__=\"a\", b=\"x\\\\\\\", {y}=\\n\"} -Inf";
        let replayed = read(&[text.to_owned()]).unwrap();
        let samples = replayed["a{b=\"c\"} > 0"][&5400].clone().unwrap();
        assert_eq!(samples[0], (BTreeMap::new(), 1.5));
        assert_eq!(samples[1].0["b"], "x\\\", {y}=\n");
        assert_eq!(samples[1].1, f64::NEG_INFINITY);
        assert_eq!(
            said("    expr: \"a\", time: 0s, err: many, so many").unwrap_err(),
            "many, so many"
        );
    }

    #[test]
    fn what_promtool_does_not_say_is_not_taken_for_something_else() {
        for text in [
            "error loading",
            "expr: \"a, time: 1m,",
            "expr: \"a\", time: later,\n exp: nil\n got: nil",
            "expr: \"a\", time: 1m,\n exp: nil\n got: {a=\"b} 1E+00",
            "expr: \"a\", time: 1m,\n exp: nil\n got: {} {{schema:3}}",
        ] {
            assert_eq!(read(&[text.to_owned()]), None, "{text}");
        }
    }
}
