//! PromQL: parse, tie to one service, print. The only place where it is touched, and never as text.

mod amount;
mod count;
mod native;
mod place;
mod print;
mod prove;
mod selector;
mod shape;
mod tie;
mod walk;

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use promql_parser::label::Labels;
use promql_parser::parser::{
    self, BinModifier, BinaryExpr, Expr, LabelModifier, ParenExpr, VectorMatchCardinality, token,
};

pub use amount::amount;
pub use count::Term;
pub use native::HistogramPart;
pub(crate) use prove::RULE_GROUP;
#[cfg(test)]
pub use prove::{prove_namespaced, prove_of};
pub use selector::{Misplaced, Selector, example};
pub use tie::{Declared, Match, Panel, Price, Tie};

/// Why an expression cannot be used.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Error {
    /// The parser refused it.
    #[error("{expr:?} is not PromQL{}: {message}", place.as_ref().map(|place| format!(" at {place}")).unwrap_or_default())]
    Syntax {
        /// The expression.
        expr: String,
        /// Where the first character stands that cannot be there, if it is not the types that are wrong.
        place: Option<String>,
        /// What the parser says.
        message: String,
    },
    /// A selector without a metric name, or with a pattern for it.
    #[error("the selector {0:?} does not name its metric")]
    Nameless(String),
    /// A selector of a series that is not declared.
    #[error("the series {0:?} is neither declared nor recorded in the pack")]
    Undeclared(String),
    /// A selector that already says something about a label which ties it to the service.
    #[error("the selector {selector:?} has a matcher of its own on {label:?}, which ties it to the service")]
    Contradiction {
        /// The selector.
        selector: String,
        /// The label.
        label: String,
    },
    /// A selector with `or` between matchers.
    #[error("the selector {0:?} has alternatives, which cannot be tied to one service")]
    Alternatives(String),
    /// A counter that is computed from another one, read in a way in which it cannot be.
    #[error("{0:?} is computed from prices, and can only be read with rate or increase")]
    Computed(String),
    /// A part of a native histogram, read in a way in which it cannot be.
    #[error(
        "{0:?} is part of a native histogram, and can only be read with rate or increase, and one bucket by its bound"
    )]
    Native(String),
    /// A function that makes label names from strings, where renames do not reach.
    #[error("{0} makes labels from text, which cannot follow a rename")]
    LabelFunction(&'static str),
    /// A name that is no Prometheus name.
    #[error("{0:?} is not a Prometheus name")]
    Name(String),
    /// A selector that reaches out of the namespace.
    #[error("the selector {selector:?} is not tied to the namespace {namespace:?}")]
    Escape {
        /// The selector.
        selector: String,
        /// The namespace, or those that it may be.
        namespace: String,
    },
    /// A drill's number that is no arithmetic on what a drill knows.
    #[error("{0:?} is not arithmetic")]
    Amount(String),
}

/// A parsed expression.
#[derive(Clone, Debug, PartialEq)]
pub struct Expression(Expr);

impl Expression {
    /// Parses.
    ///
    /// # Errors
    /// What the parser says.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let text = text.trim();
        parser::parse(text).map(Self).map_err(|message| Error::Syntax {
            expr: text.to_owned(),
            place: place::misplaced(text, &message),
            message,
        })
    }

    /// The metrics that it selects.
    pub fn metrics(&self) -> BTreeSet<String> {
        self.selected().map(str::to_owned).collect()
    }

    /// The metric of each selector that names one.
    pub fn selected(&self) -> impl Iterator<Item = &str> {
        let selectors = walk::selectors(&self.0).into_iter();
        selectors.filter_map(|found| found.vector.name.as_deref())
    }

    /// The labels that it matches, groups by or joins on.
    pub fn labels(&self) -> BTreeSet<String> {
        let mut labels = walk::listed_labels(&self.0);
        for found in walk::selectors(&self.0) {
            labels.extend(
                found
                    .vector
                    .matchers
                    .matchers
                    .iter()
                    .map(|matcher| matcher.name.clone()),
            );
        }
        labels
    }

    /// How far it looks back, where `behind` tells how far the values of a series themselves look back.
    pub fn reach(&self, behind: &dyn Fn(&str) -> Duration) -> Duration {
        walk::selectors(&self.0)
            .into_iter()
            .map(|found| found.reach + behind(found.vector.name.as_deref().unwrap_or_default()))
            .max()
            .unwrap_or_default()
    }

    /// Where it is above, or below, a number.
    pub fn compared(self, above: bool, value: f64) -> Self {
        let op = token::TokenType::new(if above { token::T_GTR } else { token::T_LSS });
        Self(binary(self.operand(), op, None, Expr::from(value)))
    }

    /// Where another one holds too, on these labels.
    pub fn guarded(self, on: &[&str], guard: &Self) -> Self {
        let on = LabelModifier::Include(Labels::new(on.to_vec()));
        let modifier = BinModifier::default()
            .with_matching(Some(on))
            .with_card(VectorMatchCardinality::ManyToMany);
        let op = token::TokenType::new(token::T_LAND);
        Self(binary(self.0, op, Some(modifier), guard.clone().operand()))
    }

    /// In parentheses if an operator could tear it apart.
    fn operand(self) -> Expr {
        match self.0 {
            Expr::Binary(_) | Expr::Unary(_) => Expr::Paren(ParenExpr { expr: Box::new(self.0) }),
            other => other,
        }
    }
}

fn binary(lhs: Expr, op: token::TokenType, modifier: Option<BinModifier>, rhs: Expr) -> Expr {
    Expr::Binary(BinaryExpr {
        op,
        lhs: Box::new(lhs),
        rhs: Box::new(rhs),
        modifier,
    })
}

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from(self))
    }
}

impl From<&Expression> for String {
    fn from(expression: &Expression) -> Self {
        print::printed(&expression.0, None)
    }
}

/// Whether it is a metric name of Prometheus' legacy character set.
pub fn is_metric_name(name: &str) -> bool {
    is_name(name, |c| c == ':')
}

/// Whether it is a label name of Prometheus' legacy character set that is not reserved.
pub fn is_label_name(name: &str) -> bool {
    is_name(name, |_| false) && !name.starts_with("__")
}

fn is_name(name: &str, also: impl Fn(char) -> bool) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_' || also(c))
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || also(c))
}

/// A string literal or a quoted label value.
pub fn quoted(text: &str) -> String {
    let mut literal = String::with_capacity(text.len() + 2);
    print::quoted(&mut literal, text);
    literal
}

#[cfg(test)]
mod tests;
