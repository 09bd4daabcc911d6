//! Where the panels are, in Grafana's grid of 24 columns.

use std::borrow::Cow;

use serde::Serialize;

use super::panel::{Drawn, drawn};
use super::{Panel, PanelKind, Row, plain};

/// Columns of the grid.
pub const COLUMNS: usize = 24;
/// Most numbers beside each other that can still be read.
const MOST_STATS: usize = 6;
/// Queries that are sent when the dashboard opens; the rows after them are closed until somebody opens them.
const MOST_QUERIES: usize = 36;

/// Where something is, in columns and in lines of 30 pixels.
#[derive(Clone, Copy, Serialize)]
pub(super) struct Place {
    x: usize,
    y: usize,
    #[serde(rename = "w")]
    width: usize,
    #[serde(rename = "h")]
    height: usize,
}

/// What stands in the list of panels.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Item<'a> {
    Row(Title<'a>),
    Panel(Box<Drawn<'a>>),
}

/// The title of a row. A closed row holds its panels; those of an open one follow it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Title<'a> {
    id: usize,
    r#type: &'static str,
    title: Cow<'a, str>,
    collapsed: bool,
    grid_pos: Place,
    panels: Vec<Drawn<'a>>,
}

/// How many of the columns each panel of a row takes.
pub fn widths(row: &Row) -> Vec<usize> {
    let (places, _) = places(&row.panels, 0);
    places.into_iter().map(|place| place.width).collect()
}

/// The rows and their panels, with ids and places.
pub(super) fn panels(rows: &[Row]) -> Vec<Item<'_>> {
    let mut panels = Vec::new();
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
        let inside = row.panels.iter().zip(places);
        let inside = inside.map(|(panel, place)| drawn(panel, next(), place)).collect();
        let (held, after) = if closed {
            (inside, Vec::new())
        } else {
            (Vec::new(), inside)
        };
        panels.push(Item::Row(Title {
            id: own,
            r#type: "row",
            title: plain(&row.title),
            collapsed: closed,
            grid_pos: place,
            panels: held,
        }));
        panels.extend(after.into_iter().map(|panel| Item::Panel(Box::new(panel))));
        // A closed row takes one line, and pushes down what follows when it is opened.
        y = if closed { y } else { end };
    }
    panels
}

/// How many of so many panels stand in the first line, so that none is left alone in the last.
fn beside(alike: usize, most: usize) -> usize {
    match alike.div_ceil(alike.div_ceil(most)) {
        // A fifth of the columns is no whole number of them.
        5 if alike > most => most,
        even => even,
    }
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
        let beside = beside(alike, most);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_numbers_stand_in_even_lines_and_none_alone_in_the_last() {
        let lines = |mut left: usize| {
            let mut lines = Vec::new();
            while left > 0 {
                let line = beside(left, MOST_STATS);
                lines.push(line);
                left -= line;
            }
            lines
        };
        for (stats, expected) in [
            (1, vec![1]),
            (5, vec![5]),
            (6, vec![6]),
            (7, vec![4, 3]),
            (9, vec![6, 3]),
            (13, vec![6, 4, 3]),
        ] {
            assert_eq!(lines(stats), expected, "{stats}");
        }
    }
}
