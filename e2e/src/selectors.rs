//! The selectors of PromQL: whose series they read.

use std::collections::BTreeSet;

use promql_parser::label::MatchOp;
use promql_parser::parser::{self, Expr, VectorSelector};
use serde_json::Value;

/// Every selector of an expression.
fn selectors<'a>(expr: &'a Expr, found: &mut Vec<&'a VectorSelector>) {
    match expr {
        Expr::VectorSelector(vector) => found.push(vector),
        Expr::MatrixSelector(matrix) => found.push(&matrix.vs),
        Expr::Subquery(query) => selectors(&query.expr, found),
        Expr::Aggregate(aggregate) => {
            aggregate.param.iter().for_each(|param| selectors(param, found));
            selectors(&aggregate.expr, found);
        }
        Expr::Unary(unary) => selectors(&unary.expr, found),
        Expr::Paren(paren) => selectors(&paren.expr, found),
        Expr::Binary(binary) => [&binary.lhs, &binary.rhs]
            .into_iter()
            .for_each(|side| selectors(side, found)),
        Expr::Call(call) => call.args.args.iter().for_each(|arg| selectors(arg, found)),
        Expr::NumberLiteral(_) | Expr::StringLiteral(_) | Expr::Extension(_) => {}
    }
}

/// The selectors of an expression that demand neither the namespace, word for word, nor the rule groups of one service there,
/// nor one of the exporters, each by its namespace and its job. Of what is no PromQL, also with durations in place of
/// Grafana's variables, all of it with the error.
#[must_use]
pub fn escapes(text: &str, namespace: &str, exporters: &[(&str, &str)]) -> Vec<String> {
    let text = ["$__rate_interval", "$__interval", "$__range"]
        .iter()
        .fold(text.to_owned(), |text, variable| text.replace(variable, "5m"));
    let expr = match parser::parse(&text) {
        Ok(expr) => expr,
        Err(error) => return vec![format!("{text}: {error}")],
    };
    let mut found = Vec::new();
    selectors(&expr, &mut found);
    let demands = |selector: &VectorSelector, label: &str, value: &str| {
        let matchers = &selector.matchers;
        matchers.or_matchers.is_empty()
            && matchers
                .matchers
                .iter()
                .any(|it| it.name == label && it.op == MatchOp::Equal && it.value == value)
    };
    let stays = |selector: &VectorSelector| {
        let reads = |(namespace, job): &(&str, &str)| {
            demands(selector, "namespace", namespace) && demands(selector, "job", job)
        };
        demands(selector, "namespace", namespace)
            || demands_rules_of(selector, namespace)
            || exporters.iter().any(reads)
    };
    found
        .iter()
        .filter(|selector| !stays(selector))
        .map(|selector| selector.to_string())
        .collect()
}

/// Whether a selector reads only what Prometheus tells of the rule groups of one service of the namespace.
fn demands_rules_of(selector: &VectorSelector, namespace: &str) -> bool {
    let matchers = &selector.matchers;
    let is_named = |service: &str| !service.is_empty() && !service.contains(['|', '*', '+', '?', '(', '[', '{', ':']);
    let is_one = |pattern: &str| {
        let group = pattern.strip_prefix(&format!(".+;observed:{namespace}/"));
        group.and_then(|group| group.strip_suffix(":.+")).is_some_and(is_named)
    };
    matchers.or_matchers.is_empty()
        && matchers
            .matchers
            .iter()
            .any(|it| it.name == "rule_group" && matches!(it.op, MatchOp::Re(_)) && is_one(&it.value))
}

/// Every expression of a dashboard: of panels, annotations and variables.
pub fn queries(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                match value {
                    Value::String(text) if key == "expr" => drop(found.insert(text.clone())),
                    Value::String(text) if text.starts_with("label_values(") => {
                        let inner = text
                            .strip_prefix("label_values(")
                            .and_then(|text| text.rsplit_once(','));
                        found.extend(inner.map(|(selector, _)| selector.to_owned()));
                    }
                    value => queries(value, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| queries(item, found)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_selector_without_the_namespace_or_with_another_ones_job_escapes() {
        let read = |text: &str| escapes(text, "prod", &[("databases", "postgres")]);
        assert!(read("sum(rate(a{namespace=\"prod\"}[$__rate_interval])) / scalar(b{namespace=\"prod\"})").is_empty());
        assert!(read("failures_total{rule_group=~\".+;observed:prod/api.v1:.+\"}").is_empty());
        assert!(read("pg_up{namespace=\"databases\",job=\"postgres\"} offset 1h").is_empty());
        for escaping in [
            "a",
            "a{namespace=~\"prod\"}",
            "a{namespace=\"other\"}",
            "a{namespace=\"prod\" or job=\"a\"}",
            "pg_up{namespace=\"databases\",job=\"redis\"}",
            "a{namespace=\"prod\"} and on () max_over_time(b[1h:1m])",
            "sum(a{namespace=\"prod\"}",
            "failures_total{rule_group=~\".+;observed:dev/api:.+\"}",
            "failures_total{rule_group=~\".+;observed:prod/.+:.+\"}",
            "failures_total{rule_group=~\".+;observed:prod/api:.+|.+:.+\"}",
            "failures_total{rule_group!~\".+;observed:prod/api:.+\"}",
        ] {
            assert_eq!(read(escaping).len(), 1, "{escaping}");
        }
    }

    #[test]
    fn a_dashboard_is_asked_by_its_panels_its_marks_and_its_variables() {
        let dashboard = serde_json::json!({
            "panels": [{"targets": [{"expr": "a"}], "panels": [{"targets": [{"expr": "b"}]}]}],
            "annotations": {"list": [{"expr": "c"}]},
            "templating": {"list": [{"query": {"query": "label_values(d{x=\"y\"}, pod)"}}]},
        });
        let mut found = BTreeSet::new();
        queries(&dashboard, &mut found);
        assert_eq!(found.into_iter().collect::<Vec<_>>(), ["a", "b", "c", "d{x=\"y\"}"]);
    }
}
