//! Timeline: one strip per server with its answers over time, and signs for events.
//!
//! A sign may be wider than the time between two events. Signs are therefore above and below the
//! strip, and only the time without a replica is drawn in it, in its true width.

use plotters::prelude::DrawingBackend;

use super::axis::{self, Axis, Layout, Swatch, format_number, x_label};
use super::canvas::{
    Anchor, Canvas, FOREGROUND, GRID, LABEL_SIZE, PALETTE, SMALL_SIZE, SPAN_OPACITY,
};
use super::data::{Chart, TimelineChart, lane_name};

/// Left edge of the strips, in units, and the same on a narrow canvas.
const LEFT: i32 = 140;
const NARROW_LEFT: i32 = 116;

/// Distance between two strips. The triangles of events are in it.
const GAP: i32 = 30;

/// Colours of the events; answers are blue.
const EVENT_COLOURS: [(&str, usize); 3] = [("killed", 1), ("detected", 3), ("replaced", 2)];

/// Colour of a time without a replica.
const OUTAGE_COLOUR: usize = 4;

pub(super) fn draw<DB: DrawingBackend>(
    canvas: &Canvas<'_, DB>,
    chart: &Chart,
    lanes: &TimelineChart,
) -> anyhow::Result<()> {
    let count = i32::try_from(lanes.lanes.len().max(1))?;
    let steps = lanes.lanes.iter().map(|lane| lane.1.len()).max();
    let steps = f64::from(u32::try_from(steps.unwrap_or_default())?);
    let end = lanes.from_ms + steps * lanes.step_ms;
    let key = legend(lanes);
    let mut layout = Layout::new(canvas, chart, &key);
    layout.left = if canvas.is_narrow() {
        NARROW_LEFT
    } else {
        LEFT
    };
    let x = layout.horizontal(lanes.from_ms, end);
    let counts = lanes.lanes.iter().flat_map(|lane| &lane.1).copied();
    let most = f64::from(counts.max().unwrap_or_default().max(1));
    let height = (layout.bottom - layout.top) / count;
    for (row, (name, counts)) in (0..count).zip(&lanes.lanes) {
        let bottom = layout.top + (row + 1) * height - GAP / 2;
        let y = Axis::new(0.0, most, bottom, bottom - height + GAP);
        let top = y.position(most);
        let (left, right) = (layout.left, layout.right);
        canvas.text(
            name,
            (20, i32::midpoint(top, bottom)),
            LABEL_SIZE,
            Anchor::Left,
        )?;
        let highest = format_number(most);
        canvas.text(&highest, (left - 8, top + 4), SMALL_SIZE, Anchor::Right)?;
        canvas.text("0", (left - 8, bottom - 3), SMALL_SIZE, Anchor::Right)?;
        canvas.line(&[(left, top), (right, top)], GRID, 1)?;
        canvas.shape(&outline(counts, lanes, x, y), PALETTE[0], 1.0)?;
        // In front of the answers, so that a pale time without a replica shows in its true width.
        for outage in &lanes.outages {
            let shown = outage.to_ms > lanes.from_ms && outage.from_ms < end;
            if shown && *name == lane_name(outage.server) {
                let ends = [outage.from_ms, outage.to_ms];
                let [from, to] = ends.map(|at| x.position(at).clamp(left, right));
                let to = to.max(from + 1);
                let corners = [(from, top), (to, top), (to, bottom), (from, bottom)];
                canvas.shape(&corners, PALETTE[OUTAGE_COLOUR], SPAN_OPACITY)?;
            }
        }
        canvas.line(&[(left, bottom), (right, bottom)], FOREGROUND, 1)?;
        let shown = lanes.marks.iter();
        let shown = shown.filter(|mark| (lanes.from_ms..=end).contains(&mark.at_ms));
        for mark in shown.filter(|mark| mark.server.map(lane_name).as_ref() == Some(name)) {
            let (at, paint) = (x.position(mark.at_ms), PALETTE[colour(mark.what)]);
            if lanes.detailed {
                canvas.line(&[(at, top - 4), (at, bottom + 4)], paint, 1)?;
            }
            match mark.what {
                "killed" => canvas.triangle((at, top - 8), paint, false)?,
                "replaced" => canvas.triangle((at, bottom + 8), paint, true)?,
                _ => {}
            }
        }
    }
    for value in x.ticks() {
        x_label(canvas, layout, &format_number(value), x.position(value))?;
    }
    axis::titles(canvas, chart, layout, &key)
}

/// Entries for answers, times without a replica, and the events that are drawn.
fn legend(lanes: &TimelineChart) -> Vec<axis::LegendEntry> {
    let mut key = vec![("answers".into(), Swatch::Curve(0))];
    if !lanes.outages.is_empty() {
        key.push(("no replica".into(), Swatch::Span(OUTAGE_COLOUR)));
    }
    for (what, colour) in EVENT_COLOURS {
        let is_line = what == "detected";
        if lanes.marks.iter().any(|mark| mark.what == what) && (lanes.detailed || !is_line) {
            let swatch = match is_line {
                true => Swatch::Curve(colour),
                false => Swatch::Event {
                    colour,
                    up: what == "replaced",
                },
            };
            key.push((what.into(), swatch));
        }
    }
    key
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

#[cfg(test)]
mod tests {
    use super::super::data::{Body, Mark, Outage};
    use super::super::{svg, tests::sample};
    use super::*;

    /// Drawing of a strip from 100 to 200 ms with these outages.
    fn drawing(outages: Vec<Outage>) -> String {
        let mark = |at_ms, what| Mark {
            at_ms,
            what,
            server: Some(1),
        };
        let lanes = TimelineChart {
            lanes: vec![(lane_name(1), vec![5; 100])],
            from_ms: 100.0,
            step_ms: 1.0,
            marks: vec![mark(150.0, "killed"), mark(151.0, "replaced")],
            outages,
            detailed: false,
        };
        let body = Body::Timeline(lanes);
        svg(&Chart { body, ..sample() }).unwrap()
    }

    #[test]
    fn an_outage_has_its_true_width_and_none_is_drawn_elsewhere() {
        let outage = |from_ms, to_ms| Outage {
            from_ms,
            to_ms,
            server: 1,
        };
        let blocks = |outages| drawing(outages).matches("<polygon").count();
        // The legend has a block as well.
        let elsewhere = vec![outage(10.0, 20.0), outage(250.0, 260.0)];
        let one = vec![outage(150.0, 151.0)];
        let without = blocks(vec![]);
        assert_eq!(blocks(elsewhere), without + 1);
        assert_eq!(blocks(one.clone()), without + 2);
        // 100 ms are 756 units, from 140 on, so 1 ms is 8.
        let near = drawing(one);
        let block = near.split("points=\"518,").nth(1).unwrap();
        let block = block.split('"').next().unwrap();
        assert!(
            block.contains(" 526,") && !block.contains(" 527,"),
            "{block}"
        );
    }
}
