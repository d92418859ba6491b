//! Curves without points over a continuous x axis, with vertical lines at some places.

use plotters::prelude::DrawingBackend;

use super::axis::{self, Layout, Swatch, format_number, x_label};
use super::canvas::{Canvas, FOREGROUND, PALETTE};
use super::data::{Chart, Curves, Scale};

/// Factor by which a logarithmic axis reaches beyond the values.
const LOG_ROOM: f64 = 1.1;

pub(super) fn draw<DB: DrawingBackend>(
    canvas: &Canvas<'_, DB>,
    chart: &Chart,
    curves: &Curves,
) -> anyhow::Result<()> {
    let names = curves.curves.iter().enumerate();
    let mut key: Vec<axis::LegendEntry> = names
        .map(|(colour, curve)| (curve.name.clone(), Swatch::Curve(colour)))
        .collect();
    for (name, _) in &curves.marks {
        if key.iter().all(|(known, _)| known != name) {
            key.push((name.clone(), Swatch::Expected));
        }
    }
    let layout = Layout::new(canvas, chart, &key);
    let points = || curves.curves.iter().flat_map(|curve| &curve.points);
    let (low, high) = range(points().map(|point| point.0), curves.x_scale, None);
    let x = layout.horizontal(low, high).with_scale(curves.x_scale);
    let floor = Some(curves.floor);
    let (low, high) = range(points().map(|point| point.1), curves.y_scale, floor);
    let y = layout.vertical(low, high).with_scale(curves.y_scale);
    axis::frame(canvas, chart, layout, y, &key)?;
    for value in x.ticks() {
        x_label(canvas, layout, &format_number(value), x.position(value))?;
    }
    for (_, at) in &curves.marks {
        let at = x.position(*at).clamp(layout.left, layout.right);
        canvas.line(&[(at, layout.top), (at, layout.bottom)], FOREGROUND, 1)?;
    }
    for (colour, curve) in curves.curves.iter().enumerate() {
        let way = curve.points.iter();
        let way: Vec<_> = way
            .map(|point| (x.position(point.0), y.position(point.1)))
            .collect();
        canvas.line(&way, PALETTE[colour % PALETTE.len()], 2)?;
    }
    Ok(())
}

/// Lowest and highest value of an axis.
fn range(values: impl Iterator<Item = f64>, scale: Scale, floor: Option<f64>) -> (f64, f64) {
    let all: Vec<f64> = values.collect();
    let low = all.iter().copied().fold(f64::INFINITY, f64::min);
    let high = all.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    match scale {
        _ if all.is_empty() => (1.0, 2.0),
        Scale::Linear => (floor.unwrap_or(low), high),
        Scale::Log => (low / LOG_ROOM, high * LOG_ROOM),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_axis_covers_all_values() {
        let values = [3.0, 1.0, 2.0];
        assert_eq!(
            range(values.into_iter(), Scale::Linear, Some(0.0)),
            (0.0, 3.0)
        );
        let (low, high) = range(values.into_iter(), Scale::Log, Some(0.0));
        assert!(low > 0.0 && low < 1.0 && high > 3.0);
        assert_eq!(range([].into_iter(), Scale::Log, None), (1.0, 2.0));
    }
}
