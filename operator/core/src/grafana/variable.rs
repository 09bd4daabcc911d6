//! The variables of a dashboard.

use serde_json::{Value, json};

use super::{DATASOURCE, Source, plain};

/// What a variable that the viewer leaves at "All" is in a query: also what has no such label.
const ALL: &str = ".*";

/// A name that Grafana fills in.
#[derive(Clone, Debug, PartialEq)]
pub struct Variable {
    /// The name after the `$`.
    pub name: String,
    /// What the viewer reads.
    pub label: String,
    /// What it can be.
    pub values: Values,
}

/// What a variable can be.
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    /// This, always.
    Constant(String),
    /// Any values of a label, several at once too.
    Label {
        /// The label.
        label: String,
        /// The series that have it.
        of: String,
    },
}

impl Variable {
    /// What Grafana puts for it in a query, as long as the viewer chooses nothing.
    pub fn unchosen(&self) -> &str {
        match &self.values {
            Values::Constant(value) => value,
            Values::Label { .. } => ALL,
        }
    }

    fn to_json(&self) -> Value {
        match &self.values {
            Values::Constant(value) => json!({
                "name": self.name,
                "type": "constant",
                "label": plain(&self.label),
                "query": value,
                "current": {"text": value, "value": value},
                "hide": 2,
            }),
            Values::Label { label, of } => {
                let query = format!("label_values({of}, {label})");
                json!({
                    "name": self.name,
                    "type": "query",
                    "label": plain(&self.label),
                    "datasource": Source::CHOSEN,
                    "definition": query,
                    "query": {"query": query, "refId": self.name},
                    // With the time range: pods come and go.
                    "refresh": 2,
                    "sort": 1,
                    "hide": 0,
                    "multi": true,
                    "includeAll": true,
                    "allValue": ALL,
                    "current": {"text": ["All"], "value": ["$__all"]},
                    "regex": "",
                })
            }
        }
    }
}

/// The variables, the first of which is the Prometheus.
pub(super) fn list(variables: &[Variable]) -> Vec<Value> {
    let datasource = json!({
        "name": DATASOURCE,
        "type": "datasource",
        "label": "Data source",
        "query": "prometheus",
        "refresh": 1,
        "hide": 0,
        "multi": false,
        "includeAll": false,
        "regex": "",
    });
    std::iter::once(datasource)
        .chain(variables.iter().map(Variable::to_json))
        .collect()
}
