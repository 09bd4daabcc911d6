//! The model of a Grafana dashboard, and its JSON. It knows rows and panels, and nothing of signals.
//!
//! The classic format: Grafana 9 to 13 read it, and so do the sidecar, grafana-operator and Terraform. Sources: Grafana's
//! `apps/dashboard/pkg/migration/schemaversion` and its dashboard JSON reference.

mod layout;
mod panel;
mod variable;

use std::borrow::Cow;
use std::sync::LazyLock;

use serde::{Serialize, Serializer};
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value, json};

use crate::names::digest;

pub use layout::{COLUMNS, widths};
pub use panel::meaning;
pub use variable::{Values, Variable};

/// The latest version of the classic format.
const SCHEMA_VERSION: u32 = 42;
/// Bytes of a digest that make a uid as long as Grafana takes it: 40 characters, with `obs-` before them.
const UID_BYTES: usize = 18;
/// Variable by which the viewer chooses the Prometheus.
const DATASOURCE: &str = "datasource";

/// A dashboard.
#[derive(Clone, Debug, PartialEq)]
pub struct Dashboard {
    /// Identity: the same dashboard has it for ever.
    pub uid: String,
    /// Title.
    pub title: String,
    /// What it is, in a sentence or two.
    pub description: String,
    /// Tags.
    pub tags: Vec<String>,
    /// Prometheus duration between two refreshes.
    pub refresh: String,
    /// What links and queries may name, beside the Prometheus that the viewer chooses.
    pub variables: Vec<Variable>,
    /// Pages that belong to it.
    pub links: Vec<Link>,
    /// What is marked on the time axis of every panel.
    pub annotations: Vec<Annotation>,
    /// Its rows.
    pub rows: Vec<Row>,
}

/// A page that belongs to a dashboard, or to a panel of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Link {
    /// What stands there.
    pub title: String,
    /// Its address, in which Grafana fills in variables.
    pub url: String,
}

/// Times at which a query has values, marked on the time axis.
#[derive(Clone, Debug, PartialEq)]
pub struct Annotation {
    /// What is marked.
    pub name: String,
    /// PromQL.
    pub expr: String,
    /// Text of a mark, where `{{label}}` stands for a label's value.
    pub title: String,
    /// Colour of the marks.
    pub color: Color,
}

/// A row of panels.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Title.
    pub title: String,
    /// It is closed until somebody opens it.
    pub closed: bool,
    /// Its panels, from left to right and from top to bottom.
    pub panels: Vec<Panel>,
}

/// A panel.
#[derive(Clone, Debug, PartialEq)]
pub struct Panel {
    /// How it shows its values.
    pub kind: PanelKind,
    /// Title.
    pub title: String,
    /// What it tells.
    pub description: String,
    /// Unit of the values.
    pub unit: Unit,
    /// What is asked.
    pub queries: Vec<Query>,
    /// Least value of the axis.
    pub min: Option<f64>,
    /// Greatest value of the axis.
    pub max: Option<f64>,
    /// Values beyond which something is wrong.
    pub thresholds: Vec<Threshold>,
    /// Pages that belong to it.
    pub links: Vec<Link>,
    /// Page of a line of a table, where `${__data.fields.label}` stands for a label's value.
    pub row_link: Option<Link>,
}

impl Panel {
    /// It has several values, which their names tell apart.
    pub fn has_names(&self) -> bool {
        self.queries.len() > 1 || self.queries.iter().any(|query| query.legend.contains("{{"))
    }
}

/// How a panel shows its values.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum PanelKind {
    /// The last value, large.
    Stat,
    /// Lines over time.
    Timeseries,
    /// The labels of what is there now, a line for each series.
    Table,
}

/// A query.
#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    /// PromQL, with Grafana's variables.
    pub expr: String,
    /// Legend, where `{{label}}` stands for a label's value.
    pub legend: String,
    /// Seconds of the shortest step that makes sense.
    pub step_seconds: u32,
}

/// Unit of a panel's values.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Unit {
    /// 0 to 1, shown as percent.
    Ratio,
    /// Seconds.
    Seconds,
    /// Bytes, in powers of 1024.
    Bytes,
    /// Bytes a second, in powers of 1024.
    BytesPerSecond,
    /// Requests a second.
    RequestsPerSecond,
    /// Operations a second.
    OperationsPerSecond,
    /// Reads or writes of a disk a second.
    DiskOperationsPerSecond,
    /// Counts a minute.
    CountsPerMinute,
    /// US dollars.
    Usd,
    /// A plain number, shortened.
    Number,
}

impl Unit {
    /// Grafana's id for it.
    pub fn id(self) -> &'static str {
        match self {
            Self::Ratio => "percentunit",
            Self::Seconds => "s",
            Self::Bytes => "bytes",
            Self::BytesPerSecond => "binBps",
            Self::RequestsPerSecond => "reqps",
            Self::OperationsPerSecond => "ops",
            Self::DiskOperationsPerSecond => "iops",
            Self::CountsPerMinute => "cpm",
            Self::Usd => "currencyUSD",
            Self::Number => "short",
        }
    }
}

/// A value beyond which something is wrong.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Threshold {
    /// The value.
    pub value: f64,
    /// Wrong is what is greater (else what is less).
    pub above: bool,
    /// How it is shown.
    pub color: Color,
}

/// A colour, the more pressing the greater.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Color {
    /// All is well.
    Green,
    /// Worth knowing.
    Blue,
    /// Soon.
    Orange,
    /// Now.
    Red,
}

impl Color {
    /// Grafana's name for it, which is that of CSS too.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Green => "green",
            Self::Blue => "blue",
            Self::Orange => "orange",
            Self::Red => "red",
        }
    }
}

/// A uid that follows from what the dashboard is about, and that Grafana takes.
pub fn uid(parts: &[&str]) -> String {
    // A slash is in no name of Kubernetes, so no two lists read the same.
    let digest = digest(parts.join("/").as_bytes(), UID_BYTES);
    format!("obs-{digest}")
}

/// Text in which Grafana sees no variable: `$name`, `${name}` and `[[name]]` are torn apart by a character of no width.
pub fn plain(text: &str) -> Cow<'_, str> {
    const WORD_JOINER: char = '\u{2060}';
    // A control character beyond ASCII begins with a byte beyond it.
    if text
        .bytes()
        .all(|byte| matches!(byte, b' '..=b'~') && !matches!(byte, b'$' | b'['))
    {
        return Cow::Borrowed(text);
    }
    let mut plain = String::with_capacity(text.len());
    for c in text.chars().map(|c| if c.is_control() { ' ' } else { c }) {
        plain.push(c);
        if matches!(c, '$' | '[') {
            plain.push(WORD_JOINER);
        }
    }
    Cow::Owned(plain)
}

/// JSON that is the same in every dashboard, and so is written only once.
fn fixed(json: &Value) -> Box<RawValue> {
    // Nothing in a tree could fail to be written.
    to_raw_value(json).unwrap_or_default()
}

/// The Prometheus that the viewer chooses, by [`DATASOURCE`].
static CHOSEN: LazyLock<Box<RawValue>> =
    LazyLock::new(|| fixed(&json!({"type": "prometheus", "uid": format!("${{{DATASOURCE}}}")})));

/// What is shown at first.
static TIME: LazyLock<Box<RawValue>> = LazyLock::new(|| fixed(&json!({"from": "now-3h", "to": "now"})));

/// As Grafana reads it. The same dashboard is always the same JSON.
impl Serialize for Dashboard {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Document<'a> {
            id: (),
            uid: &'a str,
            title: Cow<'a, str>,
            description: Cow<'a, str>,
            tags: &'a [String],
            timezone: &'static str,
            editable: bool,
            graph_tooltip: u8,
            schema_version: u32,
            refresh: &'a str,
            time: &'static RawValue,
            templating: List<variable::Drawn<'a>>,
            annotations: List<Mark<'a>>,
            links: Vec<Value>,
            panels: Vec<layout::Item<'a>>,
        }
        #[derive(Serialize)]
        struct List<T> {
            list: Vec<T>,
        }
        let document = Document {
            id: (),
            uid: &self.uid,
            title: plain(&self.title),
            description: plain(&self.description),
            tags: &self.tags,
            timezone: "browser",
            editable: false,
            graph_tooltip: 1,
            schema_version: SCHEMA_VERSION,
            refresh: &self.refresh,
            time: &TIME,
            templating: List {
                list: variable::list(&self.variables),
            },
            annotations: List {
                list: self.annotations.iter().map(Annotation::drawn).collect(),
            },
            links: self.links.iter().map(Link::to_json).collect(),
            panels: layout::panels(&self.rows),
        };
        document.serialize(serializer)
    }
}

impl Link {
    fn to_json(&self) -> Value {
        json!({
            "title": plain(&self.title),
            "type": "link",
            "url": self.url,
            "icon": "external link",
            "targetBlank": true,
            "keepTime": true,
            "includeVars": false,
            "asDropdown": false,
            "tags": [],
            "tooltip": "",
        })
    }
}

/// An annotation as Grafana reads it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Mark<'a> {
    datasource: &'static RawValue,
    enable: bool,
    expr: &'a str,
    hide: bool,
    icon_color: &'static str,
    name: Cow<'a, str>,
    title_format: Cow<'a, str>,
}

impl Annotation {
    fn drawn(&self) -> Mark<'_> {
        Mark {
            datasource: &CHOSEN,
            enable: true,
            expr: &self.expr,
            hide: false,
            icon_color: self.color.as_str(),
            name: plain(&self.name),
            title_format: plain(&self.title),
        }
    }
}

#[cfg(test)]
mod tests;
