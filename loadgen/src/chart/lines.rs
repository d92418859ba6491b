//! Lines with points, and a band from the lowest to the highest value around them.

use std::collections::BTreeSet;

use plotters::prelude::DrawingBackend;

use super::axis::{self, Axis, format_number, x_label};
use super::canvas::{Canvas, PALETTE};
use super::data::{Chart, Line};

pub(super) fn draw<DB: DrawingBackend>(
    canvas: &Canvas<'_, DB>,
    chart: &Chart,
    lines: &[Line],
    floor: f64,
) -> anyhow::Result<()> {
    let points = || lines.iter().flat_map(|line| &line.points);
    let bands = || lines.iter().flat_map(|line| &line.band);
    let values = points().map(|point| point.1);
    let highest = values.chain(bands().map(|band| band.2)).fold(0.0, f64::max);
    let y = Axis::vertical(floor, highest + (highest - floor) * 0.08);
    axis::frame(canvas, chart, y)?;
    // Collected as integer thousandths, since floating-point numbers have no total order.
    let all: BTreeSet<u64> = points()
        .map(|point| crate::float::round_u64(point.0 * 1e3))
        .collect();
    let all: Vec<f64> = all.iter().map(|x| crate::float::as_f64(*x) / 1e3).collect();
    let (first, last) = (all.first().copied(), all.last().copied());
    let (first, last) = (first.unwrap_or(0.0), last.unwrap_or(1.0));
    let room = ((last - first) * 0.08).max(0.1);
    let x = Axis::horizontal(first - room, last + room);
    for value in &all {
        x_label(canvas, &format_number(*value), x.position(*value))?;
    }
    for line in lines {
        let colour = PALETTE[line.colour % PALETTE.len()];
        let upper = line
            .band
            .iter()
            .map(|band| (x.position(band.0), y.position(band.2)));
        let lower = line.band.iter().rev();
        let lower = lower.map(|band| (x.position(band.0), y.position(band.1)));
        let outline: Vec<_> = upper.chain(lower).collect();
        if !outline.is_empty() {
            canvas.shape(&outline, colour, 0.25)?;
        }
    }
    for line in lines {
        let colour = PALETTE[line.colour % PALETTE.len()];
        let way = line
            .points
            .iter()
            .map(|point| (x.position(point.0), y.position(point.1)));
        let way: Vec<_> = way.collect();
        canvas.line(&way, colour, if line.expected { 1 } else { 3 })?;
        for at in way {
            canvas.point(at, colour, line.expected)?;
        }
    }
    // An expectation is labelled by its measured line, so it has no entry of its own.
    let measured = lines.iter().filter(|line| !line.expected);
    let mut key: Vec<axis::LegendEntry> = measured
        .map(|line| (line.name.clone(), Some(line.colour), false))
        .collect();
    if lines.iter().any(|line| line.expected) {
        key.push(("hollow: the ring alone".into(), None, true));
    }
    axis::legend(canvas, &key)
}
