//! Where the panels are, in Grafana's grid of 24 columns, and their JSON.

use serde_json::{Value, json};

use super::{Color, DATASOURCE, Panel, PanelKind, Row, Threshold, plain};

/// Columns of the grid.
pub const COLUMNS: usize = 24;
/// Most numbers beside each other that can still be read.
const MOST_STATS: usize = 6;
/// Queries that are sent when the dashboard opens; the rows after them are closed until somebody opens them.
const MOST_QUERIES: usize = 30;

#[derive(Clone, Copy)]
struct Place {
    x: usize,
    y: usize,
    width: usize,
    height: usize,
}

/// How many of the columns each panel of a row takes.
pub fn widths(row: &Row) -> Vec<usize> {
    let (places, _) = places(&row.panels, 0);
    places.into_iter().map(|place| place.width).collect()
}

/// The rows and their panels, with ids and places.
pub(super) fn panels(rows: &[Row]) -> Vec<Value> {
    let mut panels: Vec<Value> = Vec::new();
    let (mut id, mut y, mut queries) = (0, 0, 0);
    let mut next = || {
        id += 1;
        id
    };
    for row in rows.iter().filter(|row| !row.panels.is_empty()) {
        if !row.closed {
            queries += row.panels.iter().map(|panel| panel.queries.len()).sum::<usize>();
        }
        let closed = row.closed || queries > MOST_QUERIES;
        let own = next();
        let place = Place {
            x: 0,
            y,
            width: COLUMNS,
            height: 1,
        };
        y += 1;
        let (places, end) = places(&row.panels, y);
        let inside: Vec<Value> = row
            .panels
            .iter()
            .zip(places)
            .map(|(panel, place)| to_json(panel, next(), place))
            .collect();
        let (held, after) = if closed {
            (inside, Vec::new())
        } else {
            (Vec::new(), inside)
        };
        let mut title = json!({
            "id": own,
            "type": "row",
            "title": plain(&row.title),
            "collapsed": closed,
            "gridPos": grid(place),
        });
        // `json!` would write every value inside of it anew.
        title["panels"] = held.into();
        panels.push(title);
        panels.extend(after);
        // A closed row takes one line, and pushes down what follows when it is opened.
        y = if closed { y } else { end };
    }
    panels
}

/// The place of each panel, and the line after the last one.
fn places(panels: &[Panel], top: usize) -> (Vec<Place>, usize) {
    let (mut places, mut y) = (Vec::new(), top);
    let mut rest = panels;
    while let Some(first) = rest.first() {
        let alike = rest.iter().take_while(|panel| panel.kind == first.kind).count();
        let (most, height) = match first.kind {
            PanelKind::Stat => (MOST_STATS, 4),
            PanelKind::Timeseries => (2, 8),
            PanelKind::Table => (1, 5),
        };
        let beside = alike.min(most);
        let width = COLUMNS / beside;
        for n in 0..beside {
            places.push(Place {
                x: n * width,
                y,
                width,
                height,
            });
        }
        y += height;
        rest = &rest[beside..];
    }
    (places, y)
}

fn grid(place: Place) -> Value {
    json!({"x": place.x, "y": place.y, "w": place.width, "h": place.height})
}

fn to_json(panel: &Panel, id: usize, place: Place) -> Value {
    let datasource = json!({"type": "prometheus", "uid": format!("${{{DATASOURCE}}}")});
    let targets: Vec<Value> = panel
        .queries
        .iter()
        .enumerate()
        .map(|(n, query)| {
            json!({
                "refId": ref_id(n),
                "datasource": datasource,
                "editorMode": "code",
                "expr": query.expr,
                "legendFormat": query.legend,
                "interval": format!("{}s", query.step_seconds.max(1)),
                "range": panel.kind != PanelKind::Table,
                "instant": panel.kind == PanelKind::Table,
                "format": if panel.kind == PanelKind::Table { "table" } else { "time_series" },
            })
        })
        .collect();
    let mut defaults = json!({
        "unit": panel.unit.id(),
        "noValue": "no data",
        "thresholds": {"mode": "absolute", "steps": steps(panel)},
    });
    for (key, bound) in [("min", panel.min), ("max", panel.max)] {
        if let Some(bound) = bound {
            defaults[key] = bound.into();
        }
    }
    let (kind, options) = match panel.kind {
        PanelKind::Stat => {
            defaults["color"] = json!({"mode": "thresholds"});
            let options = json!({
                "colorMode": "value",
                "graphMode": "area",
                "textMode": "value",
                "justifyMode": "auto",
                "orientation": "auto",
                "wideLayout": true,
                "showPercentChange": false,
                "percentChangeColorMode": "standard",
                "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": false},
            });
            ("stat", options)
        }
        PanelKind::Timeseries => {
            defaults["color"] = json!({"mode": "palette-classic"});
            let lines = if panel.thresholds.is_empty() { "off" } else { "line" };
            defaults["custom"] = json!({
                "drawStyle": "line",
                "lineWidth": 1,
                "fillOpacity": 10,
                "showPoints": "never",
                "spanNulls": false,
                "thresholdsStyle": {"mode": lines},
            });
            let options = json!({
                "legend": {"displayMode": "list", "placement": "bottom", "showLegend": true, "calcs": []},
                "tooltip": {"mode": "multi", "sort": "desc"},
            });
            ("timeseries", options)
        }
        PanelKind::Table => ("table", json!({"frameIndex": 0, "showHeader": true})),
    };
    let mut json = json!({
        "id": id,
        "type": kind,
        "title": plain(&panel.title),
        "description": plain(&panel.description),
        "datasource": datasource,
        "gridPos": grid(place),
        "fieldConfig": {"overrides": []},
    });
    json["fieldConfig"]["defaults"] = defaults;
    json["targets"] = targets.into();
    json["options"] = options;
    if panel.kind == PanelKind::Table {
        let hidden = json!({"Time": true, "Value": true});
        json["transformations"] = json!([{"id": "organize", "options": {"excludeByName": hidden}}]);
    }
    json
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
fn steps(panel: &Panel) -> Vec<Value> {
    let mut thresholds = panel.thresholds.clone();
    thresholds.retain(|threshold| threshold.value.is_finite());
    thresholds.sort_by(|a, b| a.value.total_cmp(&b.value).then(b.color.cmp(&a.color)));
    thresholds.dedup_by(|next, kept| next.value == kept.value);
    let color = |at: f64| meaning(&panel.thresholds, at).as_str();
    let base = match (panel.kind, thresholds.first()) {
        (PanelKind::Stat, Some(first)) => color(first.value - 1.0),
        _ => Color::Green.as_str(),
    };
    let mut steps = vec![json!({"color": base, "value": null})];
    for (n, threshold) in thresholds.iter().enumerate() {
        let color = match panel.kind {
            PanelKind::Timeseries | PanelKind::Table => threshold.color.as_str(),
            PanelKind::Stat => {
                let next = thresholds.get(n + 1).map_or(threshold.value + 2.0, |next| next.value);
                color((threshold.value + next) / 2.0)
            }
        };
        steps.push(json!({"color": color, "value": threshold.value}));
    }
    steps
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
