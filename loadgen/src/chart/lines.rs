//! Lines with points, and a band from the lowest to the highest value around them.

use std::collections::BTreeSet;

use plotters::prelude::DrawingBackend;

use super::axis::{self, Layout, Swatch, format_number, x_label};
use super::canvas::{Canvas, PALETTE};
use super::data::{Chart, Line};

/// Distance between the points of two lines at the same x value, in units.
const DODGE: i32 = 22;

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
    let measured = lines.iter().filter(|line| !line.expected);
    let mut key: Vec<axis::LegendEntry> = measured
        .clone()
        .map(|line| (line.name.clone(), Swatch::Series(line.colour)))
        .collect();
    if lines.iter().any(|line| line.expected) {
        key.push(("circle: the ring alone".into(), Swatch::Circle));
    }
    let layout = Layout::new(canvas, chart, &key);
    let y = layout.vertical(floor, highest + (highest - floor) * 0.08);
    axis::frame(canvas, chart, layout, y, &key)?;
    // Collected as integer thousandths, since floating-point numbers have no total order.
    let all: BTreeSet<u64> = points()
        .map(|point| crate::float::round_u64(point.0 * 1e3))
        .collect();
    let all: Vec<f64> = all.iter().map(|x| crate::float::as_f64(*x) / 1e3).collect();
    let (first, last) = (all.first().copied(), all.last().copied());
    let (first, last) = (first.unwrap_or(0.0), last.unwrap_or(1.0));
    let room = ((last - first) * 0.08).max(0.1);
    let x = layout.horizontal(first - room, last + room);
    for value in &all {
        x_label(canvas, layout, &format_number(*value), x.position(*value))?;
    }
    // Lines with equal values would hide each other, so each has a place of its own.
    let count = i32::try_from(measured.count())?;
    let step = if canvas.is_narrow() { DODGE / 2 } else { DODGE };
    let place = |line: &Line, at: f64| {
        let index = i32::try_from(line.colour).unwrap_or_default();
        x.position(at) + (2 * index - count + 1) * step / 2 * i32::from(count > 1)
    };
    for line in lines {
        let colour = PALETTE[line.colour % PALETTE.len()];
        let upper = line.band.iter();
        let upper = upper.map(|band| (place(line, band.0), y.position(band.2)));
        let lower = line.band.iter().rev();
        let lower = lower.map(|band| (place(line, band.0), y.position(band.1)));
        let outline: Vec<_> = upper.chain(lower).collect();
        if !outline.is_empty() {
            canvas.shape(&outline, colour, 0.25)?;
        }
    }
    for line in lines {
        let colour = PALETTE[line.colour % PALETTE.len()];
        let way = line.points.iter();
        let way: Vec<_> = way
            .map(|point| (place(line, point.0), y.position(point.1)))
            .collect();
        if !line.expected {
            canvas.line(&way, colour, 2)?;
        }
        for at in way {
            match line.expected {
                true => canvas.circle(at, colour)?,
                false => canvas.point(at, colour)?,
            }
        }
    }
    Ok(())
}
