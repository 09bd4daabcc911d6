//! The variables of a dashboard.

use std::borrow::Cow;
use std::sync::LazyLock;

use serde::Serialize;
use serde_json::json;
use serde_json::value::RawValue;

use super::{CHOSEN, DATASOURCE, fixed, plain};

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

    fn drawn(&self) -> Drawn<'_> {
        let (name, label) = (self.name.as_str(), plain(&self.label));
        match &self.values {
            Values::Constant(value) => Drawn::Constant {
                current: Current { text: value, value },
                hide: 2,
                label,
                name,
                query: value,
                r#type: "constant",
            },
            Values::Label { label: of_label, of } => {
                let definition = format!("label_values({of}, {of_label})");
                Drawn::Label {
                    all_value: ALL,
                    current: &EVERY,
                    datasource: &CHOSEN,
                    hide: 0,
                    include_all: true,
                    label,
                    multi: true,
                    name,
                    query: Definition {
                        query: definition.clone(),
                        ref_id: name,
                    },
                    definition,
                    // With the time range: pods come and go.
                    refresh: 2,
                    regex: "",
                    sort: 1,
                    r#type: "query",
                }
            }
        }
    }
}

/// A variable as Grafana reads it.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Drawn<'a> {
    Source(&'static RawValue),
    Constant {
        current: Current<'a>,
        hide: u8,
        label: Cow<'a, str>,
        name: &'a str,
        query: &'a str,
        r#type: &'static str,
    },
    #[serde(rename_all = "camelCase")]
    Label {
        all_value: &'static str,
        current: &'static RawValue,
        datasource: &'static RawValue,
        definition: String,
        hide: u8,
        include_all: bool,
        label: Cow<'a, str>,
        multi: bool,
        name: &'a str,
        query: Definition<'a>,
        refresh: u8,
        regex: &'static str,
        sort: u8,
        r#type: &'static str,
    },
}

#[derive(Serialize)]
pub(super) struct Current<'a> {
    text: &'a str,
    value: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Definition<'a> {
    query: String,
    ref_id: &'a str,
}

/// All of its values, which it shows until the viewer chooses.
static EVERY: LazyLock<Box<RawValue>> = LazyLock::new(|| fixed(&json!({"text": ["All"], "value": ["$__all"]})));

/// The Prometheus that the viewer chooses.
static SOURCE: LazyLock<Box<RawValue>> = LazyLock::new(|| {
    fixed(&json!({
        "name": DATASOURCE,
        "type": "datasource",
        "label": "Data source",
        "query": "prometheus",
        "refresh": 1,
        "hide": 0,
        "multi": false,
        "includeAll": false,
        "regex": "",
    }))
});

/// The variables, the first of which is the Prometheus.
pub(super) fn list(variables: &[Variable]) -> Vec<Drawn<'_>> {
    let own = variables.iter().map(Variable::drawn);
    std::iter::once(Drawn::Source(&SOURCE)).chain(own).collect()
}
