//! The rules in PrometheusRules.

use std::collections::BTreeMap;

use serde_json::Value;

use super::kind::Kind;
use super::snapshot::{Object, Snapshot, labels, list};
use crate::promql::Expression;

/// A rule as it stands in a PrometheusRule.
pub(super) struct Written<'a> {
    pub(super) object: &'a Object,
    pub(super) group: &'a str,
    pub(super) value: &'a Value,
    /// The expression. A number stands for itself.
    pub(super) expr: String,
}

/// Every rule.
pub(super) fn written(snapshot: &Snapshot) -> impl Iterator<Item = Written<'_>> {
    snapshot.of(Kind::PrometheusRule).iter().flat_map(of)
}

/// The rules of a PrometheusRule.
pub(super) fn of(object: &Object) -> impl Iterator<Item = Written<'_>> {
    object.list("/spec/groups").iter().flat_map(move |group| {
        let name = group["name"].as_str().unwrap_or_default();
        list(&group["rules"]).iter().map(move |value| Written {
            object,
            group: name,
            value,
            expr: match &value["expr"] {
                Value::String(text) => text.clone(),
                Value::Null => String::new(),
                other => other.to_string(),
            },
        })
    })
}

impl Written<'_> {
    /// Name of the alert, if it is one.
    pub(super) fn alert(&self) -> Option<&str> {
        self.value["alert"].as_str()
    }

    /// Name of the recorded series, if it records one.
    pub(super) fn record(&self) -> Option<&str> {
        self.value["record"].as_str()
    }

    /// What it is called.
    pub(super) fn name(&self) -> &str {
        self.alert().or_else(|| self.record()).unwrap_or_default()
    }

    /// Labels that it adds.
    pub(super) fn labels(&self) -> BTreeMap<String, String> {
        labels(self.value.get("labels"))
    }

    /// The expression, if it is one.
    pub(super) fn parsed(&self) -> Option<Expression> {
        Expression::parse(&self.expr).ok()
    }
}

/// Whether series that are recorded can have a label, by their name: a series that two rules record as the last one does.
pub(super) fn recorded(snapshot: &Snapshot, label: &str) -> BTreeMap<String, bool> {
    let mut known = BTreeMap::new();
    for rule in written(snapshot) {
        if let (Some(record), Some(expr)) = (rule.record(), rule.parsed()) {
            let keeps = rule.labels().contains_key(label) || expr.keeps(label, &|metric| known.get(metric).copied());
            known.insert(record.to_owned(), keeps);
        }
    }
    known
}
