//! What an expression's shape says about its result, without a sample.

use std::collections::BTreeSet;
use std::convert::Infallible;

use promql_parser::label::MatchOp;
use promql_parser::parser::value::ValueType;
use promql_parser::parser::{
    AggregateExpr, BinaryExpr, Call, Expr, LabelModifier, VectorMatchCardinality, VectorSelector, token,
};
use promql_parser::util::{ExprVisitor, walk_expr};

use super::{Expression, walk};

impl Expression {
    /// Whether its results can have a label. `recorded` tells it of series that rules record; of all others it is taken
    /// for granted, as of what a target's labels give.
    pub fn keeps(&self, label: &str, recorded: &dyn Fn(&str) -> Option<bool>) -> bool {
        keeps(&self.0, label, recorded)
    }

    /// The value that every selector demands of a label, if they agree on one.
    pub fn pinned(&self, label: &str) -> Option<String> {
        let mut values = walk::selectors(&self.0)
            .into_iter()
            .map(|found| equal(found.vector, label));
        let first = values.next()??.to_owned();
        values.all(|value| value == Some(first.as_str())).then_some(first)
    }

    /// Whether a number that it is compared with means the same on a graph of another expression: that one is the same,
    /// or groups the same largest or smallest values by other labels.
    pub fn is_shown_by(&self, drawn: &Self) -> bool {
        self.0 == drawn.0 || extreme(&self.0).is_some_and(|own| extreme(&drawn.0) == Some(own))
    }

    /// Metrics that it looks for a zero of: `m == 0`, `min by (x) (m) < 1`.
    pub fn zeros(&self) -> BTreeSet<String> {
        let mut metrics = BTreeSet::new();
        every(&self.0, |expr| {
            if let Expr::Binary(binary) = expr
                && let Expr::NumberLiteral(number) = &*binary.rhs
                && ((binary.op.id() == token::T_EQLC && number.val == 0.0)
                    || (binary.op.id() == token::T_LSS && number.val == 1.0))
            {
                let selected = walk::selectors(&binary.lhs).into_iter();
                metrics.extend(selected.filter_map(|found| found.vector.name.clone()));
            }
        });
        metrics
    }

    /// Metrics of which it notices that they are missing: those in `absent(…)` and `absent_over_time(…)`.
    pub fn absences(&self) -> BTreeSet<String> {
        let mut metrics = BTreeSet::new();
        every(&self.0, |expr| {
            if let Expr::Call(call) = expr
                && is_absent(call)
            {
                let selected = call.args.args.iter().flat_map(|arg| walk::selectors(arg));
                metrics.extend(selected.filter_map(|found| found.vector.name.clone()));
            }
        });
        metrics
    }
}

impl Expression {
    /// Metrics without any one of which it has no result, whatever the others say. `recorded` tells what a recorded series
    /// needs in its turn, if it is one.
    pub fn needs(&self, recorded: &dyn Fn(&str) -> Option<BTreeSet<String>>) -> BTreeSet<String> {
        let selected = |vector: &VectorSelector| {
            let name = vector.name.as_deref().unwrap_or_default();
            let itself = || {
                Some(name.to_owned())
                    .filter(|name| !name.is_empty())
                    .into_iter()
                    .collect()
            };
            recorded(name).unwrap_or_else(itself)
        };
        needs(&self.0, &selected)
    }
}

/// What it cannot do without, where `selected` says it of a selector.
pub(super) fn needs(expr: &Expr, selected: &dyn Fn(&VectorSelector) -> BTreeSet<String>) -> BTreeSet<String> {
    let inner = |expr: &Expr| needs(expr, selected);
    match expr {
        Expr::VectorSelector(vector) => selected(vector),
        Expr::MatrixSelector(matrix) => selected(&matrix.vs),
        Expr::Subquery(query) => inner(&query.expr),
        Expr::Unary(unary) => inner(&unary.expr),
        Expr::Paren(paren) => inner(&paren.expr),
        Expr::Aggregate(aggregate) => inner(&aggregate.expr),
        Expr::Binary(binary) => match binary.op.id() {
            token::T_LOR => &inner(&binary.lhs) & &inner(&binary.rhs),
            token::T_LUNLESS => inner(&binary.lhs),
            _ => &inner(&binary.lhs) | &inner(&binary.rhs),
        },
        // A scalar is there without any sample: it is not a number then.
        Expr::Call(call) if is_absent(call) || call.func.name == "scalar" => BTreeSet::new(),
        Expr::Call(call) => call.args.args.iter().flat_map(|arg| inner(arg)).collect(),
        Expr::Extension(_) | Expr::NumberLiteral(_) | Expr::StringLiteral(_) => BTreeSet::new(),
    }
}

/// Of what it is the largest or the smallest value, by whatever labels.
fn extreme(expr: &Expr) -> Option<(token::TokenId, &Expr)> {
    match expr {
        Expr::Aggregate(aggregate) if [token::T_MAX, token::T_MIN].contains(&aggregate.op.id()) => {
            Some((aggregate.op.id(), &aggregate.expr))
        }
        _ => None,
    }
}

fn is_absent(call: &Call) -> bool {
    ["absent", "absent_over_time"].contains(&call.func.name)
}

fn equal<'a>(vector: &'a VectorSelector, label: &str) -> Option<&'a str> {
    let mut matchers = vector.matchers.matchers.iter();
    let found = matchers.find(|matcher| matcher.name == label && matcher.op == MatchOp::Equal)?;
    Some(&found.value)
}

fn keeps(expr: &Expr, label: &str, recorded: &dyn Fn(&str) -> Option<bool>) -> bool {
    let inner = |expr: &Expr| keeps(expr, label, recorded);
    match expr {
        Expr::VectorSelector(vector) => selects(vector, label, recorded),
        Expr::MatrixSelector(matrix) => selects(&matrix.vs, label, recorded),
        Expr::Subquery(query) => inner(&query.expr),
        Expr::Unary(unary) => inner(&unary.expr),
        Expr::Paren(paren) => inner(&paren.expr),
        Expr::Aggregate(aggregate) => inner(&aggregate.expr) && grouped(aggregate, label),
        Expr::Binary(binary) => joined(binary, label, &inner),
        Expr::Call(call) => called(call, label, &inner),
        Expr::NumberLiteral(_) | Expr::StringLiteral(_) | Expr::Extension(_) => false,
    }
}

fn selects(vector: &VectorSelector, label: &str, recorded: &dyn Fn(&str) -> Option<bool>) -> bool {
    let known = vector.name.as_deref().and_then(recorded);
    equal(vector, label) != Some("") && known.unwrap_or(true)
}

fn grouped(aggregate: &AggregateExpr, label: &str) -> bool {
    // They choose among the series, and leave them as they are.
    if ["topk", "bottomk", "limitk", "limit_ratio"].contains(&aggregate.op.to_string().as_str()) {
        return true;
    }
    match &aggregate.modifier {
        Some(LabelModifier::Include(labels)) => labels.labels.iter().any(|kept| kept == label),
        Some(LabelModifier::Exclude(labels)) => !labels.labels.iter().any(|dropped| dropped == label),
        None => false,
    }
}

fn joined(binary: &BinaryExpr, label: &str, inner: &dyn Fn(&Expr) -> bool) -> bool {
    let is_vector = |expr: &Expr| expr.value_type() == ValueType::Vector;
    match (is_vector(&binary.lhs), is_vector(&binary.rhs)) {
        (false, false) => return false,
        (false, true) => return inner(&binary.rhs),
        (true, false) => return inner(&binary.lhs),
        (true, true) => {}
    }
    if binary.op.id() == token::T_LOR {
        return inner(&binary.lhs) && inner(&binary.rhs);
    }
    if [token::T_LAND, token::T_LUNLESS].contains(&binary.op.id()) {
        return inner(&binary.lhs);
    }
    let modifier = binary.modifier.as_ref();
    let has = |labels: &promql_parser::label::Labels| labels.labels.iter().any(|listed| listed == label);
    match modifier.map(|modifier| &modifier.card) {
        Some(VectorMatchCardinality::ManyToOne(labels)) => inner(&binary.lhs) || has(labels),
        Some(VectorMatchCardinality::OneToMany(labels)) => inner(&binary.rhs) || has(labels),
        _ => {
            let listed = match modifier.and_then(|modifier| modifier.matching.as_ref()) {
                Some(LabelModifier::Include(on)) => has(on),
                Some(LabelModifier::Exclude(ignored)) => !has(ignored),
                None => true,
            };
            listed && inner(&binary.lhs)
        }
    }
}

fn called(call: &Call, label: &str, inner: &dyn Fn(&Expr) -> bool) -> bool {
    let args = &call.args.args;
    if is_absent(call) {
        // It copies the `=` matchers of a plain selector, and of nothing else.
        return match args.first().map(|arg| &**arg) {
            Some(Expr::VectorSelector(vector)) => equal(vector, label).is_some_and(|value| !value.is_empty()),
            Some(Expr::MatrixSelector(matrix)) => equal(&matrix.vs, label).is_some_and(|value| !value.is_empty()),
            _ => false,
        };
    }
    if ["label_replace", "label_join"].contains(&call.func.name)
        && let Some(Expr::StringLiteral(destination)) = args.get(1).map(|arg| &**arg)
        && destination.val == label
    {
        return true;
    }
    call.func.name != "scalar" && args.iter().any(|arg| inner(arg))
}

/// Looks at an expression and at everything in it.
fn every(expr: &Expr, look: impl FnMut(&Expr)) {
    let Ok(_) = walk_expr(&mut Each(look), expr);
}

struct Each<F>(F);

impl<F: FnMut(&Expr)> ExprVisitor for Each<F> {
    type Error = Infallible;

    fn pre_visit(&mut self, expr: &Expr) -> Result<bool, Infallible> {
        (self.0)(expr);
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(text: &str) -> bool {
        let recorded = |metric: &str| (metric == "job:errors:ratio").then_some(false);
        Expression::parse(text).unwrap().keeps("namespace", &recorded)
    }

    #[test]
    fn a_label_is_kept_where_prometheus_keeps_it() {
        for text in [
            "up == 0",
            "sum by (namespace, job) (rate(a_total[5m])) > 1",
            "sum without (pod) (a)",
            "topk(3, a)",
            "max_over_time(a[5m:1m])",
            "absent(up{namespace=\"prod\"})",
            "a * on (namespace, pod) group_left (node) b",
            "a and on (pod) b",
            "a / ignoring (code) b",
            "1 - a",
            "histogram_quantile(0.9, sum by (le, namespace) (rate(b_bucket[5m])))",
            "label_replace(sum(a), \"namespace\", \"prod\", \"\", \"\")",
            "sum(a) * on () group_right (x) b",
        ] {
            assert!(kept(text), "{text}");
        }
    }

    #[test]
    fn a_label_is_lost_where_prometheus_loses_it() {
        for text in [
            "sum(a) > 1",
            "sum by (job) (a)",
            "sum without (namespace) (a)",
            "absent(up{namespace=~\"prod\"})",
            "absent(sum(up{namespace=\"prod\"}))",
            "vector(1)",
            "a / on (pod) b",
            "a / ignoring (namespace) b",
            "up == 0 or vector(1)",
            "job:errors:ratio > 1",
            "vector(scalar(a)) > 1",
            "a{namespace=\"\"}",
        ] {
            assert!(!kept(text), "{text}");
        }
    }

    #[test]
    fn zeros_and_absences_are_told_apart() {
        let read = |text: &str| Expression::parse(text).unwrap();
        assert_eq!(
            read("min by (job) (pg_up) == 0").zeros(),
            BTreeSet::from(["pg_up".to_owned()])
        );
        assert_eq!(read("redis_up < 1").zeros(), BTreeSet::from(["redis_up".to_owned()]));
        assert!(read("pg_up == 1").zeros().is_empty());
        assert_eq!(
            read("absent(pg_up) or pg_up == 0").absences(),
            BTreeSet::from(["pg_up".to_owned()])
        );
        assert_eq!(read("a{n=\"x\"} / b{n=\"x\"}").pinned("n"), Some("x".to_owned()));
        assert_eq!(read("a{n=\"x\"} / b{n=\"y\"}").pinned("n"), None);
    }

    #[test]
    fn what_an_expression_needs_is_what_leaves_it_without_a_result() {
        let recorded = |name: &str| match name {
            "job:errors:rate5m" => Some(BTreeSet::from(["errors_total".to_owned()])),
            _ => None,
        };
        for (text, expected) in [
            (
                "sum(rate(a_total[5m])) / sum(rate(b_total[5m])) > 1",
                &["a_total", "b_total"][..],
            ),
            ("a > 1 and on (job) b", &["a", "b"]),
            ("max_over_time(a[1h:5m]) > 1", &["a"]),
            (
                "histogram_quantile(0.9, sum by (le) (rate(h_bucket[5m])))",
                &["h_bucket"],
            ),
            ("job:errors:rate5m > 0.1", &["errors_total"]),
            ("a > 1 unless on (job) b", &["a"]),
            ("a == 0 or b == 0", &[]),
            ("(a + b) or (a + c)", &["a"]),
            ("a or vector(0)", &[]),
            ("absent(a) or a == 0", &[]),
            ("absent(a)", &[]),
            ("a > scalar(b)", &["a"]),
            ("{job=\"x\"} > 1", &[]),
            ("vector(time()) > 1", &[]),
        ] {
            let needs = Expression::parse(text).unwrap().needs(&recorded);
            assert_eq!(needs.iter().map(String::as_str).collect::<Vec<_>>(), expected, "{text}");
        }
    }
}
