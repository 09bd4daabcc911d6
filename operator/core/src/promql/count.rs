//! Expressions that count the events of a window.

use std::collections::BTreeSet;
use std::time::Duration;

use promql_parser::label::Labels;
use promql_parser::parser::value::ValueType;
use promql_parser::parser::{Call, Expr, MatrixSelector, VectorSelector, token};
use promql_parser::util::display_duration;

use super::shape;
use super::walk::{self, Change};
use super::{Error, Expression, Selector};

/// Functions whose values over neighbouring ranges add up.
const ADDING: [&str; 3] = ["increase", "sum_over_time", "count_over_time"];

/// A counter whose increase is a term of a sum.
#[derive(Clone, Debug, PartialEq)]
pub struct Term {
    /// The counter.
    pub selector: Selector,
    /// Nothing stands in for it where it is not there.
    pub needed: bool,
}

impl Expression {
    /// Why it does not say how many events there were in the last `window`, a sentence each. Empty when it does.
    pub fn uncounted(&self, window: Duration) -> Vec<String> {
        let mut wrong = Vec::new();
        if self.0.value_type() != ValueType::Vector || walk::selectors(&self.0).is_empty() {
            wrong.push(format!("`{}` selects no series", self.0));
        }
        uncounted(&self.0, window, &mut wrong);
        wrong
    }

    /// Selectors without any one of which it has no result.
    pub fn needed_selectors(&self) -> BTreeSet<String> {
        shape::needs(&self.0, &|vector| [vector.to_string()].into())
    }

    /// The same over another window: every range becomes it.
    #[must_use]
    pub fn over(&self, window: Duration) -> Self {
        let mut expression = self.clone();
        // What cannot be walked was refused when the expression was tied.
        let _ = walk::change(&mut expression.0, &Over(window));
        expression
    }

    /// The counters whose increases it adds up. None if it does anything else.
    pub fn terms(&self) -> Option<Vec<Term>> {
        let mut terms = Vec::new();
        collect(&self.0, true, &mut terms).then_some(terms)
    }
}

fn uncounted(expr: &Expr, window: Duration, wrong: &mut Vec<String>) {
    match expr {
        Expr::VectorSelector(vector) => wrong.push(format!("`{vector}` is read without a range")),
        Expr::MatrixSelector(_) | Expr::NumberLiteral(_) | Expr::StringLiteral(_) | Expr::Extension(_) => {}
        Expr::Subquery(query) => wrong.push(format!("`{query}` is a subquery")),
        Expr::Unary(unary) => uncounted(&unary.expr, window, wrong),
        Expr::Paren(paren) => uncounted(&paren.expr, window, wrong),
        Expr::Aggregate(aggregate) => uncounted(&aggregate.expr, window, wrong),
        Expr::Binary(binary) => {
            uncounted(&binary.lhs, window, wrong);
            uncounted(&binary.rhs, window, wrong);
        }
        Expr::Call(call) => match range(call) {
            Some(_) if !ADDING.contains(&call.func.name) => {
                wrong.push(format!("`{call}` is no number of events that could be added up"));
            }
            Some(matrix) if matrix.range != window => {
                let (range, window) = (display_duration(&matrix.range), display_duration(&window));
                wrong.push(format!("`{call}` has the range {range} and not {window}"));
            }
            Some(matrix) if matrix.vs.offset.is_some() || matrix.vs.at.is_some() => {
                wrong.push(format!("`{call}` reads another time than the last"));
            }
            Some(_) => {}
            None => call.args.args.iter().for_each(|arg| uncounted(arg, window, wrong)),
        },
    }
}

fn range(call: &Call) -> Option<&MatrixSelector> {
    call.args.args.iter().find_map(|arg| match arg.as_ref() {
        Expr::MatrixSelector(matrix) => Some(matrix),
        _ => None,
    })
}

/// Whether the expression is nothing but a sum of increases.
fn collect(expr: &Expr, needed: bool, terms: &mut Vec<Term>) -> bool {
    match expr {
        Expr::Paren(paren) => collect(&paren.expr, needed, terms),
        Expr::Aggregate(aggregate) => aggregate.op.id() == token::T_SUM && collect(&aggregate.expr, needed, terms),
        Expr::Binary(binary) if binary.op.id() == token::T_ADD => {
            collect(&binary.lhs, needed, terms) && collect(&binary.rhs, needed, terms)
        }
        Expr::Binary(binary) if binary.op.id() == token::T_LOR => {
            is_nothing(&binary.rhs) && collect(&binary.lhs, false, terms)
        }
        Expr::Call(call) if call.func.name == "increase" => {
            let read = range(call).and_then(|matrix| Selector::parse(&matrix.vs.to_string()).ok());
            let found = read.map(|selector| terms.push(Term { selector, needed }));
            found.is_some()
        }
        _ => false,
    }
}

/// `vector(0)`.
fn is_nothing(expr: &Expr) -> bool {
    let Expr::Call(call) = expr else {
        return false;
    };
    let zero = |arg: &Expr| matches!(arg, Expr::NumberLiteral(number) if number.val == 0.0);
    call.func.name == "vector" && call.args.args.iter().all(|arg| zero(arg))
}

struct Over(Duration);

impl Change for Over {
    fn instead(&self, _: &Expr) -> Result<Option<Expr>, Error> {
        Ok(None)
    }

    fn selector(&self, _: &mut VectorSelector, range: Option<&mut Duration>) -> Result<(), Error> {
        if let Some(range) = range {
            *range = self.0;
        }
        Ok(())
    }

    fn labels(&self, _: &mut Labels) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Duration = Duration::from_secs(300);

    fn parsed(text: &str) -> Expression {
        Expression::parse(text).unwrap()
    }

    #[test]
    fn what_adds_up_over_the_window_counts_its_events() {
        for text in [
            "sum(increase(a_total[5m]))",
            "sum(increase(a_total{b=\"c\"}[5m])) + (sum(increase(b_total[5m])) or vector(0))",
            "sum(count_over_time(up[5m])) - sum(sum_over_time(up[5m]))",
            "clamp_min(increase(a_total[5m]), 0) * 2",
        ] {
            assert_eq!(parsed(text).uncounted(WINDOW), [""; 0], "{text}");
        }
    }

    #[test]
    fn everything_that_does_not_is_told() {
        for (text, wrong) in [
            (
                "sum(rate(a_total[5m]))",
                vec!["`rate(a_total[5m])` is no number of events that could be added up"],
            ),
            (
                "sum(increase(a_total[1h]))",
                vec!["`increase(a_total[1h])` has the range 1h and not 5m"],
            ),
            (
                "sum(increase(a_total[5m] offset 1d))",
                vec!["`increase(a_total[5m] offset 1d)` reads another time than the last"],
            ),
            ("vector(1)", vec!["`vector(1)` selects no series"]),
            (
                "scalar(sum(increase(a_total[5m])))",
                vec!["`scalar(sum(increase(a_total[5m])))` selects no series"],
            ),
            (
                "a_total - b_total",
                vec!["`a_total` is read without a range", "`b_total` is read without a range"],
            ),
            ("sum_over_time(a[1h:5m])", vec!["`a[1h:5m]` is a subquery"]),
        ] {
            assert_eq!(parsed(text).uncounted(WINDOW), wrong, "{text}");
        }
    }

    #[test]
    fn another_window_replaces_every_range() {
        let hour =
            parsed("sum(increase(a[5m])) + sum(count_over_time(b{c=\"[5m]\"}[5m]))").over(Duration::from_secs(3_600));
        assert_eq!(
            hour.to_string(),
            "sum(increase(a[1h])) + sum(count_over_time(b{c=\"[5m]\"}[1h]))"
        );
    }

    #[test]
    fn the_terms_of_a_sum_of_increases_say_which_of_them_it_cannot_do_without() {
        let terms = |text: &str| -> Option<Vec<(String, bool)>> {
            let terms = parsed(text).terms()?;
            Some(
                terms
                    .iter()
                    .map(|term| (term.selector.to_string(), term.needed))
                    .collect(),
            )
        };
        let sum = "sum(increase(a{b=\"c\"}[5m])) + (sum(increase(d[5m])) or vector(0))";
        assert_eq!(
            terms(sum),
            Some(vec![("a{b=\"c\"}".to_owned(), true), ("d".to_owned(), false)])
        );
        assert_eq!(parsed(sum).needed_selectors(), ["a{b=\"c\"}".to_owned()].into());
        for other in [
            "increase(a[5m]) * 2",
            "increase(a[5m]) or increase(b[5m])",
            "max(increase(a[5m]))",
        ] {
            assert_eq!(terms(other), None, "{other}");
        }
    }
}
