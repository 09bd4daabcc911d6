//! Every node of a syntax tree that names a metric or a label.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::time::Duration;

use promql_parser::label::Labels;
use promql_parser::parser::{Expr, LabelModifier, Offset, VectorMatchCardinality, VectorSelector, token};

use super::Error;

/// A selector in an expression.
pub(super) struct Selector<'a> {
    pub(super) vector: &'a VectorSelector,
    /// Its own range.
    pub(super) range: Option<Duration>,
    /// How far back the newest and the oldest sample lie that the expression needs of it.
    pub(super) reach: Duration,
}

/// Every selector.
pub(super) fn selectors(expr: &Expr) -> Vec<Selector<'_>> {
    let mut found = Vec::new();
    collect(expr, Duration::ZERO, &mut found);
    found
}

fn collect<'a>(expr: &'a Expr, reach: Duration, found: &mut Vec<Selector<'a>>) {
    match expr {
        Expr::VectorSelector(vector) => found.push(Selector {
            vector,
            range: None,
            reach: reach + back(vector.offset.as_ref()),
        }),
        Expr::MatrixSelector(matrix) => {
            let vector = &matrix.vs;
            found.push(Selector {
                vector,
                range: Some(matrix.range),
                reach: reach + matrix.range + back(vector.offset.as_ref()),
            });
        }
        Expr::Subquery(query) => collect(&query.expr, reach + query.range + back(query.offset.as_ref()), found),
        Expr::Aggregate(aggregate) => {
            if let Some(param) = &aggregate.param {
                collect(param, reach, found);
            }
            collect(&aggregate.expr, reach, found);
        }
        Expr::Unary(unary) => collect(&unary.expr, reach, found),
        Expr::Paren(paren) => collect(&paren.expr, reach, found),
        Expr::Binary(binary) => {
            collect(&binary.lhs, reach, found);
            collect(&binary.rhs, reach, found);
        }
        Expr::Call(call) => call.args.args.iter().for_each(|arg| collect(arg, reach, found)),
        // The parser never makes one.
        Expr::Extension(_) | Expr::NumberLiteral(_) | Expr::StringLiteral(_) => {}
    }
}

fn back(offset: Option<&Offset>) -> Duration {
    match offset {
        Some(Offset::Pos(duration)) => *duration,
        Some(Offset::Neg(_)) | None => Duration::ZERO,
    }
}

/// What may be changed in an expression.
pub(super) trait Change {
    /// What stands for a node as a whole, if something does. It is not changed further.
    fn instead(&self, expr: &Expr) -> Result<Option<Expr>, Error>;
    /// A selector, with the range of a matrix selector.
    fn selector(&self, vector: &mut VectorSelector, range: Option<&mut Duration>) -> Result<(), Error>;
    /// A list of labels: `by`, `without`, `on`, `ignoring`, `group_left`, `group_right`.
    fn labels(&self, labels: &mut Labels);
}

/// Functions that make label names from strings.
const LABEL_FUNCTIONS: [&str; 5] = [
    "label_replace",
    "label_join",
    "sort_by_label",
    "sort_by_label_desc",
    "info",
];

/// Applies a change to every selector and every list of labels.
pub(super) fn change(expr: &mut Expr, with: &impl Change) -> Result<(), Error> {
    if let Some(other) = with.instead(expr)? {
        *expr = other;
        return Ok(());
    }
    match expr {
        Expr::VectorSelector(vector) => with.selector(vector, None),
        Expr::MatrixSelector(matrix) => with.selector(&mut matrix.vs, Some(&mut matrix.range)),
        Expr::Subquery(query) => change(&mut query.expr, with),
        Expr::Aggregate(aggregate) => {
            if aggregate.op.id() == token::T_COUNT_VALUES {
                return Err(Error::LabelFunction("count_values"));
            }
            if let Some(modifier) = &mut aggregate.modifier {
                with.labels(labels_of(modifier));
            }
            if let Some(param) = &mut aggregate.param {
                change(param, with)?;
            }
            change(&mut aggregate.expr, with)
        }
        Expr::Unary(unary) => change(&mut unary.expr, with),
        Expr::Paren(paren) => change(&mut paren.expr, with),
        Expr::Binary(binary) => {
            if let Some(modifier) = &mut binary.modifier {
                if let Some(matching) = &mut modifier.matching {
                    with.labels(labels_of(matching));
                }
                match &mut modifier.card {
                    VectorMatchCardinality::ManyToOne(labels) | VectorMatchCardinality::OneToMany(labels) => {
                        with.labels(labels);
                    }
                    VectorMatchCardinality::OneToOne | VectorMatchCardinality::ManyToMany => {}
                }
            }
            change(&mut binary.lhs, with)?;
            change(&mut binary.rhs, with)
        }
        Expr::Call(call) => {
            if let Some(name) = LABEL_FUNCTIONS.iter().find(|name| **name == call.func.name) {
                return Err(Error::LabelFunction(name));
            }
            call.args.args.iter_mut().try_for_each(|arg| change(arg, with))
        }
        // The parser never makes one.
        Expr::Extension(_) | Expr::NumberLiteral(_) | Expr::StringLiteral(_) => Ok(()),
    }
}

fn labels_of(modifier: &mut LabelModifier) -> &mut Labels {
    match modifier {
        LabelModifier::Include(labels) | LabelModifier::Exclude(labels) => labels,
    }
}

/// Every label that stands in a list of labels.
pub(super) fn listed_labels(expr: &Expr) -> BTreeSet<String> {
    let listed = Listed::default();
    // What is walked is a copy, and nothing in it is changed; what cannot be tied is a finding of its own elsewhere.
    let _ = change(&mut expr.clone(), &listed);
    listed.0.into_inner()
}

#[derive(Default)]
struct Listed(RefCell<BTreeSet<String>>);

impl Change for Listed {
    fn instead(&self, _expr: &Expr) -> Result<Option<Expr>, Error> {
        Ok(None)
    }

    fn selector(&self, _vector: &mut VectorSelector, _range: Option<&mut Duration>) -> Result<(), Error> {
        Ok(())
    }

    fn labels(&self, labels: &mut Labels) {
        self.0.borrow_mut().extend(labels.labels.iter().cloned());
    }
}
