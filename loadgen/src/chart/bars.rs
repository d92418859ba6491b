//! Bars in groups, each with its number on top, and a mark across it for the expected value.

use plotters::prelude::DrawingBackend;

use super::axis::{self, Layout, Swatch, format_number, x_label};
use super::canvas::{Anchor, Canvas, FOREGROUND, PALETTE, SMALL_SIZE};
use super::data::{Bars, Chart};

/// Width of the widest bar, in units.
const MAX_BAR_WIDTH: i32 = 90;

/// Height of a row of names, in units.
const LABEL_ROW: i32 = 20;

/// Smallest width of a bar that has a number on top, in units.
const MIN_NUMBERED_WIDTH: i32 = 34;

pub(super) fn draw<DB: DrawingBackend>(
    canvas: &Canvas<'_, DB>,
    chart: &Chart,
    bars: &Bars,
) -> anyhow::Result<()> {
    let expected = bars.series.iter().flat_map(|series| &series.expected);
    let values = bars.series.iter().flat_map(|series| &series.values);
    let highest = values.chain(expected.clone().flatten()).copied();
    let several = bars.series.len() > 1;
    let series = bars.series.iter().enumerate();
    let mut key: Vec<axis::LegendEntry> = series
        .filter(|_| several)
        .map(|(index, series)| (series.name.clone(), Swatch::Series(index)))
        .collect();
    if expected.flatten().next().is_some() {
        key.push(("expected".into(), Swatch::Expected));
    }
    let mut layout = Layout::new(canvas, chart, &key);
    let slot = (layout.right - layout.left) / i32::try_from(bars.groups.len().max(1))?;
    let longest = bars.groups.iter().map(|name| name.chars().count()).max();
    // Names that do not fit side by side alternate between two rows.
    let two_rows = i32::try_from(longest.unwrap_or_default())? * 9 > slot;
    layout.bottom -= if two_rows { LABEL_ROW } else { 0 };
    let y = layout.vertical(0.0, highest.fold(0.0, f64::max) * 1.1);
    axis::frame(canvas, chart, layout, y, &key)?;
    let groups = i32::try_from(bars.groups.len())?;
    let slots = i32::try_from(bars.series.len())?;
    let x = layout.horizontal(0.0, f64::from(groups.max(1)));
    let whole = x.position(1.0) - x.position(0.0);
    let width = (whole * 4 / 5 / slots.max(1)).min(MAX_BAR_WIDTH);
    for (group, name) in (0..groups).zip(&bars.groups) {
        let middle = x.position(f64::from(group) + 0.5);
        let mut below = layout;
        below.bottom += if two_rows && group % 2 == 1 {
            LABEL_ROW
        } else {
            0
        };
        x_label(canvas, below, name, middle)?;
        let mut left = middle - width * slots / 2;
        for (index, series) in bars.series.iter().enumerate() {
            let at = usize::try_from(group)?;
            let value = series.values.get(at).copied().unwrap_or_default();
            let right = left + width - 3;
            let colour = PALETTE[index % PALETTE.len()];
            canvas.block((left, y.position(value)), (right, y.position(0.0)), colour)?;
            let mut top = value;
            if let Some(Some(expected)) = series.expected.get(at) {
                let height = y.position(*expected);
                canvas.line(&[(left - 3, height), (right + 3, height)], FOREGROUND, 2)?;
                // A mark just above the bar would cross the number, so the number moves above the
                // mark.
                let near = (y.position(value) - height).abs() < 22;
                top = if near { value.max(*expected) } else { value };
            }
            if width >= MIN_NUMBERED_WIDTH {
                let at = (i32::midpoint(left, right), y.position(top) - 12);
                canvas.text(
                    &format_number(value.round()),
                    at,
                    SMALL_SIZE,
                    Anchor::Middle,
                )?;
            }
            left += width;
        }
    }
    Ok(())
}
