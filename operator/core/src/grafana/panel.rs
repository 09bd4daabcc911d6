//! The JSON of a panel.

use std::borrow::Cow;
use std::sync::LazyLock;

use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::layout::Place;
use super::{CHOSEN, Color, Link, Panel, PanelKind, Threshold, fixed, plain};

/// A panel as Grafana reads it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Drawn<'a> {
    id: usize,
    r#type: &'static str,
    title: Cow<'a, str>,
    description: Cow<'a, str>,
    datasource: &'static RawValue,
    grid_pos: Place,
    field_config: FieldConfig,
    options: &'static RawValue,
    targets: Vec<Target<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    transformations: Option<&'static RawValue>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    links: Vec<Value>,
}

#[derive(Serialize)]
struct FieldConfig {
    defaults: Defaults,
    overrides: [(); 0],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Defaults {
    unit: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    min: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max: Option<f64>,
    no_value: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    color: Option<&'static RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    custom: Option<&'static RawValue>,
    thresholds: Thresholds,
    #[serde(skip_serializing_if = "Option::is_none")]
    links: Option<[Value; 1]>,
}

#[derive(Serialize)]
struct Thresholds {
    mode: &'static str,
    steps: Vec<Step>,
}

#[derive(Serialize)]
struct Step {
    color: &'static str,
    /// None below all others.
    value: Option<f64>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Target<'a> {
    ref_id: String,
    datasource: &'static RawValue,
    editor_mode: &'static str,
    expr: &'a str,
    legend_format: &'a str,
    interval: String,
    range: bool,
    instant: bool,
    format: &'static str,
}

/// What all panels of a kind have alike: their options, and how their values look.
struct Kind {
    id: &'static str,
    options: Box<RawValue>,
    color: Option<Box<RawValue>>,
    custom: Option<Box<RawValue>>,
}

static STAT: LazyLock<Kind> = LazyLock::new(|| stat("value"));
static STAT_WITH_NAMES: LazyLock<Kind> = LazyLock::new(|| stat("value_and_name"));
static LINES: LazyLock<Kind> = LazyLock::new(|| timeseries("off"));
static LINES_WITH_THRESHOLDS: LazyLock<Kind> = LazyLock::new(|| timeseries("line"));
static TABLE: LazyLock<Kind> = LazyLock::new(|| Kind {
    id: "table",
    options: fixed(&json!({"frameIndex": 0, "showHeader": true})),
    color: None,
    custom: None,
});
/// A table of labels: when, and with what value, says nothing.
static LABELS_ONLY: LazyLock<Box<RawValue>> =
    LazyLock::new(|| fixed(&json!([{"id": "organize", "options": {"excludeByName": {"Time": true, "Value": true}}}])));

fn stat(text: &str) -> Kind {
    Kind {
        id: "stat",
        options: fixed(&json!({
            "colorMode": "value",
            "graphMode": "area",
            "textMode": text,
            "justifyMode": "auto",
            "orientation": "auto",
            "wideLayout": true,
            "showPercentChange": false,
            "percentChangeColorMode": "standard",
            "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": false},
        })),
        color: Some(fixed(&json!({"mode": "thresholds"}))),
        custom: None,
    }
}

fn timeseries(thresholds: &str) -> Kind {
    Kind {
        id: "timeseries",
        options: fixed(&json!({
            "legend": {"displayMode": "list", "placement": "bottom", "showLegend": true, "calcs": []},
            "tooltip": {"mode": "multi", "sort": "desc"},
        })),
        color: Some(fixed(&json!({"mode": "palette-classic"}))),
        custom: Some(fixed(&json!({
            "drawStyle": "line",
            "lineWidth": 1,
            "fillOpacity": 10,
            "showPoints": "never",
            "spanNulls": false,
            "thresholdsStyle": {"mode": thresholds},
        }))),
    }
}

/// A panel with its id and its place.
pub(super) fn drawn(panel: &Panel, id: usize, place: Place) -> Drawn<'_> {
    let is_table = panel.kind == PanelKind::Table;
    let kind: &'static Kind = match panel.kind {
        PanelKind::Stat if panel.has_names() => &STAT_WITH_NAMES,
        PanelKind::Stat => &STAT,
        PanelKind::Timeseries if panel.thresholds.is_empty() => &LINES,
        PanelKind::Timeseries => &LINES_WITH_THRESHOLDS,
        PanelKind::Table => &TABLE,
    };
    let targets = panel.queries.iter().enumerate().map(|(n, query)| Target {
        ref_id: ref_id(n),
        datasource: &CHOSEN,
        editor_mode: "code",
        expr: &query.expr,
        legend_format: &query.legend,
        interval: format!("{}s", query.step_seconds.max(1)),
        range: !is_table,
        instant: is_table,
        format: if is_table { "table" } else { "time_series" },
    });
    Drawn {
        id,
        r#type: kind.id,
        title: plain(&panel.title),
        description: plain(&panel.description),
        datasource: &CHOSEN,
        grid_pos: place,
        field_config: FieldConfig {
            defaults: Defaults {
                unit: panel.unit.id(),
                min: panel.min,
                max: panel.max,
                no_value: "no data",
                color: kind.color.as_deref(),
                custom: kind.custom.as_deref(),
                thresholds: Thresholds {
                    mode: "absolute",
                    steps: steps(panel),
                },
                links: panel.row_link.as_ref().map(|link| [row_link(link)]),
            },
            overrides: [],
        },
        options: &kind.options,
        targets: targets.collect(),
        transformations: is_table.then_some(&**LABELS_ONLY),
        links: panel.links.iter().map(Link::to_json).collect(),
    }
}

/// A link of every cell of a line.
fn row_link(link: &Link) -> Value {
    json!({"title": link.title, "url": link.url, "targetBlank": true})
}

/// `A` to `Z`, then `A1`, and so on.
fn ref_id(n: usize) -> String {
    let letter = char::from(b'A' + (n % 26) as u8);
    match n / 26 {
        0 => letter.to_string(),
        round => format!("{letter}{round}"),
    }
}

/// The steps of the threshold scale. On lines each step draws a line, in the colour of its threshold; behind a number
/// each step says what the values from there on mean.
fn steps(panel: &Panel) -> Vec<Step> {
    let mut thresholds = panel.thresholds.clone();
    thresholds.retain(|threshold| threshold.value.is_finite());
    thresholds.sort_by(|a, b| a.value.total_cmp(&b.value).then(b.color.cmp(&a.color)));
    thresholds.dedup_by(|next, kept| next.value == kept.value);
    let color = |at: f64| meaning(&panel.thresholds, at).as_str();
    let base = match (panel.kind, thresholds.first()) {
        (PanelKind::Stat, Some(first)) => color(first.value - 1.0),
        // What no alert judges is neither good nor bad.
        (PanelKind::Stat, None) => "text",
        _ => Color::Green.as_str(),
    };
    let mut steps = vec![Step {
        color: base,
        value: None,
    }];
    for (n, threshold) in thresholds.iter().enumerate() {
        let (color, value) = match panel.kind {
            PanelKind::Timeseries | PanelKind::Table => (threshold.color.as_str(), threshold.value),
            PanelKind::Stat => {
                let next = thresholds.get(n + 1).map_or(threshold.value + 2.0, |next| next.value);
                let beyond = color((threshold.value + next) / 2.0);
                // A step begins with its value, an alert behind it: just at the limit none fires.
                let is_at_once = color(threshold.value) == beyond;
                let begin = if is_at_once {
                    threshold.value
                } else {
                    just_above(threshold.value)
                };
                (beyond, begin)
            }
        };
        steps.push(Step {
            color,
            value: Some(value),
        });
    }
    steps
}

/// A little more, in few digits.
fn just_above(value: f64) -> f64 {
    let above = if value == 0.0 { 1e-9 } else { value + value.abs() * 1e-9 };
    format!("{above:.10e}").parse().unwrap_or(above)
}

/// The most pressing of what is wrong at a value.
pub fn meaning(thresholds: &[Threshold], value: f64) -> Color {
    let wrong = thresholds.iter().filter(|threshold| {
        if threshold.above {
            value > threshold.value
        } else {
            value < threshold.value
        }
    });
    wrong.map(|threshold| threshold.color).max().unwrap_or(Color::Green)
}
