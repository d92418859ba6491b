//! Axes: the position of a value, the tick values, and their numbers.

use plotters::prelude::DrawingBackend;

use super::canvas::{Anchor, Canvas, FOREGROUND, GRID, LABEL_SIZE, PALETTE, SMALL_SIZE};
use super::data::{CHART_HEIGHT, CHART_WIDTH, Chart};

/// Plot area, in units.
const LEFT: i32 = 84;
const RIGHT: i32 = CHART_WIDTH - 24;
const TOP: i32 = 122;
const BOTTOM: i32 = CHART_HEIGHT - 62;

/// Approximate number of ticks of an axis.
const APPROXIMATE_TICKS: f64 = 5.0;

/// Range of values of one axis, and the units that the range covers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Axis {
    low: f64,
    high: f64,
    from: i32,
    to: i32,
}

impl Axis {
    /// Axis of the plot area from left to right.
    pub(super) fn horizontal(low: f64, high: f64) -> Self {
        Self::new(low, high, LEFT, RIGHT)
    }

    /// Axis of the plot area from bottom to top.
    pub(super) fn vertical(low: f64, high: f64) -> Self {
        Self::new(low, high, BOTTOM, TOP)
    }

    /// Axis from unit `from` to unit `to`.
    pub(crate) fn new(low: f64, high: f64, from: i32, to: i32) -> Self {
        let high = if high > low { high } else { low + 1.0 };
        Self {
            low,
            high,
            from,
            to,
        }
    }

    /// Position of `value`, in units.
    #[expect(clippy::cast_possible_truncation, reason = "the cast saturates")]
    pub(crate) fn position(self, value: f64) -> i32 {
        let share = (value - self.low) / (self.high - self.low);
        (f64::from(self.from) + share * f64::from(self.to - self.from)).round() as i32
    }

    /// Round values within the range.
    pub(super) fn ticks(self) -> Vec<f64> {
        let raw = (self.high - self.low) / APPROXIMATE_TICKS;
        let power = 10_f64.powf(raw.log10().floor());
        let step = [1.0, 2.0, 2.5, 5.0, 10.0].map(|factor| factor * power);
        let step = step.into_iter().find(|step| *step >= raw).unwrap_or(raw);
        let mut value = (self.low / step).ceil() * step;
        let mut ticks = Vec::new();
        while value <= self.high + step * 1e-6 {
            ticks.push(value);
            value += step;
        }
        ticks
    }
}

/// Number with up to three decimals, thousands grouped.
pub(super) fn format_number(value: f64) -> String {
    if value.fract().abs() < 1e-9 || value.abs() >= 1_000.0 {
        return crate::text::group_thousands(crate::float::round_u64(value));
    }
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Draws the grid of the y axis with its numbers, and the titles of both axes.
pub(super) fn frame<DB: DrawingBackend>(
    canvas: &Canvas<'_, DB>,
    chart: &Chart,
    y: Axis,
) -> anyhow::Result<()> {
    for value in y.ticks() {
        let height = y.position(value);
        canvas.line(&[(LEFT, height), (RIGHT, height)], GRID, 1)?;
        let text = format_number(value);
        canvas.text(&text, (LEFT - 10, height), SMALL_SIZE, Anchor::Right)?;
    }
    canvas.line(&[(LEFT, BOTTOM), (RIGHT, BOTTOM)], FOREGROUND, 1)?;
    canvas.text(&chart.y, (20, TOP - 24), LABEL_SIZE, Anchor::Left)?;
    x_title(canvas, chart, i32::midpoint(LEFT, RIGHT))
}

/// Draws the title of the x axis.
pub(super) fn x_title<DB: DrawingBackend>(
    canvas: &Canvas<'_, DB>,
    chart: &Chart,
    middle: i32,
) -> anyhow::Result<()> {
    let at = (middle, CHART_HEIGHT - 18);
    canvas.text(&chart.x, at, LABEL_SIZE, Anchor::Middle)
}

/// Draws a text below the x axis.
pub(super) fn x_label<DB: DrawingBackend>(
    canvas: &Canvas<'_, DB>,
    text: &str,
    at: i32,
) -> anyhow::Result<()> {
    canvas.text(text, (at, BOTTOM + 18), SMALL_SIZE, Anchor::Middle)
}

/// Entry of the legend: text, number of its colour (`None`: ink), and `true` for an expectation.
pub(super) type LegendEntry = (String, Option<usize>, bool);

/// Draws the legend above the plot area: a swatch and a text per entry.
pub(super) fn legend<DB: DrawingBackend>(
    canvas: &Canvas<'_, DB>,
    entries: &[LegendEntry],
) -> anyhow::Result<()> {
    let (mut left, mut row) = (20, 56);
    for (name, colour, expected) in entries {
        let paint = colour.map_or(FOREGROUND, |colour| PALETTE[colour % PALETTE.len()]);
        // About nine units per letter, and a gap.
        let width = 34 + 28 + i32::try_from(name.chars().count())? * 9;
        if left + width > RIGHT {
            (left, row) = (20, row + 22);
        }
        let thick = if *expected { 2 } else { 4 };
        canvas.line(&[(left, row), (left + 26, row)], paint, thick)?;
        if colour.is_some() {
            canvas.point((left + 13, row), paint, *expected)?;
        }
        canvas.text(name, (left + 34, row), SMALL_SIZE, Anchor::Left)?;
        left += width;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_within() {
        assert_eq!(
            Axis::vertical(0.0, 4_000.0).ticks(),
            [0.0, 1_000.0, 2_000.0, 3_000.0, 4_000.0]
        );
        let ticks = Axis::vertical(1.0, 1.06).ticks();
        assert!((4..=7).contains(&ticks.len()), "{ticks:?}");
        assert!(Axis::vertical(3.0, 3.0).ticks().len() > 1);
    }

    #[test]
    fn numbers_have_no_trailing_zeros() {
        let cases = [
            (0.0, "0"),
            (3_333.3, "3,333"),
            (1.05, "1.05"),
            (0.5, "0.5"),
            (2.0, "2"),
        ];
        for (value, text) in cases {
            assert_eq!(format_number(value), text);
        }
    }

    #[test]
    fn values_map_linearly_to_positions() {
        let axis = Axis::new(0.0, 10.0, 100, 0);
        assert_eq!(
            [0.0, 5.0, 10.0].map(|value| axis.position(value)),
            [100, 50, 0]
        );
    }
}
