//! Timeline: one strip per server with its answers over time, and vertical lines for events.

use plotters::prelude::DrawingBackend;

use super::axis::{self, Axis, format_number, x_label, x_title};
use super::canvas::{Anchor, Canvas, FOREGROUND, GRID, LABEL_SIZE, PALETTE, SMALL_SIZE};
use super::data::{CHART_HEIGHT, CHART_WIDTH, Chart, TimelineChart, lane_name};

/// Area of the strips, in units.
const TOP: i32 = 128;
const BOTTOM: i32 = CHART_HEIGHT - 62;
const LEFT: i32 = 140;
const RIGHT: i32 = CHART_WIDTH - 24;
const GAP: i32 = 14;

/// Colours of the events; answers are blue.
const EVENT_COLOURS: [(&str, usize); 3] = [("killed", 1), ("detected", 3), ("replaced", 2)];

pub(super) fn draw<DB: DrawingBackend>(
    canvas: &Canvas<'_, DB>,
    chart: &Chart,
    lanes: &TimelineChart,
) -> anyhow::Result<()> {
    let count = i32::try_from(lanes.lanes.len().max(1))?;
    let steps = lanes.lanes.iter().map(|lane| lane.1.len()).max();
    let steps = f64::from(u32::try_from(steps.unwrap_or_default())?);
    let end = lanes.from_ms + steps * lanes.step_ms;
    let x = Axis::new(lanes.from_ms, end, LEFT, RIGHT);
    let counts = lanes.lanes.iter().flat_map(|lane| &lane.1).copied();
    let most = f64::from(counts.max().unwrap_or_default().max(1));
    let height = (BOTTOM - TOP) / count;
    canvas.text(&chart.y, (20, TOP - 28), LABEL_SIZE, Anchor::Left)?;
    for (row, (name, counts)) in (0..count).zip(&lanes.lanes) {
        let bottom = TOP + (row + 1) * height - GAP;
        let y = Axis::new(0.0, most, bottom, bottom - height + GAP + 4);
        canvas.text(name, (20, bottom - height / 3), LABEL_SIZE, Anchor::Left)?;
        canvas.text(
            &format_number(most),
            (LEFT - 8, y.position(most) + 4),
            SMALL_SIZE,
            Anchor::Right,
        )?;
        canvas.text("0", (LEFT - 8, bottom - 3), SMALL_SIZE, Anchor::Right)?;
        canvas.line(
            &[(LEFT, y.position(most)), (RIGHT, y.position(most))],
            GRID,
            1,
        )?;
        canvas.shape(&outline(counts, lanes, x, y), PALETTE[0], 1.0)?;
        canvas.line(&[(LEFT, bottom), (RIGHT, bottom)], FOREGROUND, 1)?;
    }
    for mark in lanes
        .marks
        .iter()
        .filter(|mark| (lanes.from_ms..=end).contains(&mark.at_ms))
    {
        let at = x.position(mark.at_ms);
        let row = lanes
            .lanes
            .iter()
            .position(|lane| Some(&lane.0) == mark.server.map(lane_name).as_ref());
        let (top, bottom) = match row {
            Some(row) => {
                let row = i32::try_from(row)?;
                (TOP + row * height - 2, TOP + (row + 1) * height - GAP + 5)
            }
            None => (TOP, BOTTOM - GAP),
        };
        canvas.line(&[(at, top), (at, bottom)], PALETTE[colour(mark.what)], 2)?;
    }
    for value in x.ticks() {
        x_label(canvas, &format_number(value), x.position(value))?;
    }
    x_title(canvas, chart, i32::midpoint(LEFT, RIGHT))?;
    let mut key: Vec<axis::LegendEntry> = vec![("answers".into(), Some(0), false)];
    for (what, colour) in EVENT_COLOURS {
        if lanes.marks.iter().any(|mark| mark.what == what) {
            key.push((what.into(), Some(colour), false));
        }
    }
    axis::legend(canvas, &key)
}

fn colour(what: &str) -> usize {
    let known = EVENT_COLOURS.iter().find(|(name, _)| *name == what);
    known.map_or(4, |(_, colour)| *colour)
}

/// Outline of the counts as a polygon with flat steps.
fn outline(counts: &[u32], lanes: &TimelineChart, x: Axis, y: Axis) -> Vec<(i32, i32)> {
    let mut points = vec![(x.position(lanes.from_ms), y.position(0.0))];
    let mut time = lanes.from_ms;
    for count in counts {
        let height = y.position(f64::from(*count));
        points.push((x.position(time), height));
        time += lanes.step_ms;
        points.push((x.position(time), height));
    }
    points.push((x.position(time), y.position(0.0)));
    points
}
