//! The arithmetic in which the numbers of a drill are written.

use promql_parser::parser::{Expr, token};

use super::Error;

/// The value of PromQL arithmetic (`+ - * /`, parentheses, numbers, durations) over the given variables.
///
/// # Errors
/// It is anything else.
pub fn amount(formula: &str, variables: &[(&str, f64)]) -> Result<f64, Error> {
    promql_parser::parser::parse(formula)
        .ok()
        .and_then(|expr| value(&expr, variables))
        .filter(|value| !value.is_nan())
        .ok_or_else(|| Error::Amount(formula.to_owned()))
}

fn value(expr: &Expr, variables: &[(&str, f64)]) -> Option<f64> {
    match expr {
        Expr::NumberLiteral(number) => Some(number.val),
        Expr::Paren(paren) => value(&paren.expr, variables),
        Expr::Unary(unary) => value(&unary.expr, variables).map(|value| -value),
        Expr::VectorSelector(vector) => {
            let name = vector.to_string();
            variables
                .iter()
                .find(|(variable, _)| *variable == name)
                .map(|(_, value)| *value)
        }
        Expr::Binary(binary) => {
            let (left, right) = (value(&binary.lhs, variables)?, value(&binary.rhs, variables)?);
            match binary.op.id() {
                token::T_ADD => Some(left + right),
                token::T_SUB => Some(left - right),
                token::T_MUL => Some(left * right),
                token::T_DIV => Some(left / right),
                _ => None,
            }
        }
        _ => None,
    }
}
