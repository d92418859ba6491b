//! Axes: the position of a value, the tick values, and their numbers.

use plotters::prelude::DrawingBackend;

use super::canvas::{
    Anchor, Canvas, FOREGROUND, GRID, LABEL_SIZE, LEADING, PALETTE, SMALL_SIZE, SPAN_OPACITY,
    TITLE_SIZE,
};
use super::data::{Chart, Scale};

/// Left edge of the plot area, and its distance from the right edge of the canvas, in units.
const LEFT: i32 = 84;
const RIGHT_MARGIN: i32 = 24;

/// Space below the plot area, in units.
const BOTTOM_MARGIN: i32 = 62;

/// Distance of the first row of the legend from the top, of its rows, and of the next text.
const LEGEND_TOP: i32 = 56;
const LEGEND_ROW: i32 = 24;

/// Decades of a logarithmic axis up to which each has three ticks.
const MAX_DECADES_OF_THREE: f64 = 2.5;

/// Approximate number of ticks of an axis.
const APPROXIMATE_TICKS: f64 = 5.0;

/// Places of the parts of a chart, in units. Titles and legends may take several rows.
#[derive(Debug, Clone, Copy)]
pub(super) struct Layout {
    legend: i32,
    y_title: i32,
    pub(super) left: i32,
    pub(super) right: i32,
    pub(super) top: i32,
    pub(super) bottom: i32,
}

impl Layout {
    /// Layout of a chart with this legend.
    pub(super) fn new<DB: DrawingBackend>(
        canvas: &Canvas<'_, DB>,
        chart: &Chart,
        legend: &[LegendEntry],
    ) -> Self {
        let (width, height) = canvas.size();
        let rows = |text: &str, size| i32::try_from(canvas.lines(text, size).len()).unwrap_or(1);
        let legend_at = LEGEND_TOP + (rows(&chart.title, TITLE_SIZE) - 1) * (TITLE_SIZE + LEADING);
        let last = legend_places(width, legend_at, legend);
        let last = last.last().map_or(legend_at - LEGEND_ROW, |place| place.1);
        let y_title = last + LEGEND_ROW + 12;
        let y_rows = rows(&chart.y, LABEL_SIZE);
        Self {
            legend: legend_at,
            y_title,
            left: LEFT,
            right: width - RIGHT_MARGIN,
            top: y_title + (y_rows - 1) * (LABEL_SIZE + LEADING) + 30,
            bottom: height - BOTTOM_MARGIN,
        }
    }

    /// Axis of the plot area from left to right.
    pub(super) fn horizontal(self, low: f64, high: f64) -> Axis {
        Axis::new(low, high, self.left, self.right)
    }

    /// Axis of the plot area from bottom to top.
    pub(super) fn vertical(self, low: f64, high: f64) -> Axis {
        Axis::new(low, high, self.bottom, self.top)
    }
}

/// Range of values of one axis, and the units that the range covers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Axis {
    low: f64,
    high: f64,
    from: i32,
    to: i32,
    scale: Scale,
}

impl Axis {
    /// Axis from unit `from` to unit `to`.
    pub(crate) fn new(low: f64, high: f64, from: i32, to: i32) -> Self {
        let high = if high > low { high } else { low + 1.0 };
        Self {
            low,
            high,
            from,
            to,
            scale: Scale::Linear,
        }
    }

    /// The same axis with this scale.
    pub(super) fn with_scale(self, scale: Scale) -> Self {
        Self { scale, ..self }
    }

    /// Position of `value`, in units.
    #[expect(clippy::cast_possible_truncation, reason = "the cast saturates")]
    pub(crate) fn position(self, value: f64) -> i32 {
        let share = match self.scale {
            Scale::Linear => (value - self.low) / (self.high - self.low),
            Scale::Log => (value / self.low).ln() / (self.high / self.low).ln(),
        };
        (f64::from(self.from) + share * f64::from(self.to - self.from)).round() as i32
    }

    /// Round values within the range.
    pub(super) fn ticks(self) -> Vec<f64> {
        if self.scale == Scale::Log {
            return self.log_ticks();
        }
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

    /// 1, 2 and 5 times each power of ten within the range; only the powers if these are many.
    fn log_ticks(self) -> Vec<f64> {
        let (mut power, mut ticks) = (10_f64.powf(self.low.log10().floor()), Vec::new());
        let many = (self.high / self.low).log10() > MAX_DECADES_OF_THREE;
        let factors: &[f64] = if many { &[1.0] } else { &[1.0, 2.0, 5.0] };
        let within = self.low * (1.0 - 1e-9)..=self.high * (1.0 + 1e-9);
        while power <= self.high {
            let values = factors.iter().map(|factor| factor * power);
            ticks.extend(values.filter(|value| within.contains(value)));
            power *= 10.0;
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

/// Draws the grid of the y axis with its numbers, the titles of both axes and the legend.
pub(super) fn frame<DB: DrawingBackend>(
    canvas: &Canvas<'_, DB>,
    chart: &Chart,
    layout: Layout,
    y: Axis,
    entries: &[LegendEntry],
) -> anyhow::Result<()> {
    let Layout {
        left,
        right,
        bottom,
        ..
    } = layout;
    for value in y.ticks() {
        let height = y.position(value);
        canvas.line(&[(left, height), (right, height)], GRID, 1)?;
        let text = format_number(value);
        canvas.text(&text, (left - 10, height), SMALL_SIZE, Anchor::Right)?;
    }
    canvas.line(&[(left, bottom), (right, bottom)], FOREGROUND, 1)?;
    titles(canvas, chart, layout, entries)
}

/// Draws the titles of both axes and the legend.
pub(super) fn titles<DB: DrawingBackend>(
    canvas: &Canvas<'_, DB>,
    chart: &Chart,
    layout: Layout,
    entries: &[LegendEntry],
) -> anyhow::Result<()> {
    canvas.paragraph(&chart.y, (20, layout.y_title), LABEL_SIZE)?;
    let middle = i32::midpoint(layout.left, layout.right);
    let at = (middle, canvas.size().1 - 16);
    canvas.text(&chart.x, at, LABEL_SIZE, Anchor::Middle)?;
    legend(canvas, layout, entries)
}

/// Draws a text below the x axis, `row` rows down.
pub(super) fn x_label<DB: DrawingBackend>(
    canvas: &Canvas<'_, DB>,
    layout: Layout,
    text: &str,
    at: i32,
) -> anyhow::Result<()> {
    canvas.text(text, (at, layout.bottom + 18), SMALL_SIZE, Anchor::Middle)
}

/// Sign of an entry of the legend; the number is that of its colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Swatch {
    /// A line with a point.
    Series(usize),
    /// A line.
    Curve(usize),
    /// A line in the colour of text.
    Expected,
    /// A circle in the colour of text.
    Circle,
    /// A triangle that points down, or up.
    Event { colour: usize, up: bool },
    /// A pale block.
    Span(usize),
}

/// Entry of the legend.
pub(super) type LegendEntry = (String, Swatch);

/// Place of each entry of a legend that begins at row `top`.
fn legend_places(width: i32, top: i32, entries: &[LegendEntry]) -> Vec<(i32, i32)> {
    let (mut left, mut row) = (20, top);
    let mut places = Vec::new();
    for (name, _) in entries {
        // About nine units per letter, and a gap.
        let letters = i32::try_from(name.chars().count()).unwrap_or_default();
        let needed = 34 + letters * 9;
        if left > 20 && left + needed > width - RIGHT_MARGIN {
            (left, row) = (20, row + LEGEND_ROW);
        }
        places.push((left, row));
        left += needed + 28;
    }
    places
}

/// Draws the legend above the plot area: a swatch and a text per entry.
fn legend<DB: DrawingBackend>(
    canvas: &Canvas<'_, DB>,
    layout: Layout,
    entries: &[LegendEntry],
) -> anyhow::Result<()> {
    let places = legend_places(canvas.size().0, layout.legend, entries);
    for ((name, swatch), (left, row)) in entries.iter().zip(places) {
        let line = [(left, row), (left + 26, row)];
        let middle = (left + 13, row);
        let paint = |colour: usize| PALETTE[colour % PALETTE.len()];
        match *swatch {
            Swatch::Series(colour) => {
                canvas.line(&line, paint(colour), 3)?;
                canvas.point(middle, paint(colour))?;
            }
            Swatch::Curve(colour) => canvas.line(&line, paint(colour), 3)?,
            Swatch::Expected => canvas.line(&line, FOREGROUND, 2)?,
            Swatch::Circle => canvas.circle(middle, FOREGROUND)?,
            Swatch::Event { colour, up } => canvas.triangle(middle, paint(colour), up)?,
            Swatch::Span(colour) => {
                let corners = [
                    (left, row - 8),
                    (left + 26, row - 8),
                    (left + 26, row + 8),
                    (left, row + 8),
                ];
                canvas.shape(&corners, paint(colour), SPAN_OPACITY)?;
            }
        }
        canvas.text(name, (left + 34, row), SMALL_SIZE, Anchor::Left)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vertical(low: f64, high: f64) -> Axis {
        Axis::new(low, high, 438, 122)
    }

    #[test]
    fn a_logarithmic_axis_has_equal_distances_for_equal_factors() {
        let axis = Axis::new(0.1, 10.0, 0, 200).with_scale(Scale::Log);
        assert_eq!(
            [0.1, 1.0, 10.0].map(|value| axis.position(value)),
            [0, 100, 200]
        );
        let ticks = axis.ticks().into_iter().map(format_number);
        assert_eq!(
            ticks.collect::<Vec<_>>(),
            ["0.1", "0.2", "0.5", "1", "2", "5", "10"]
        );
        let axis = Axis::new(0.1, 1_000.0, 0, 200).with_scale(Scale::Log);
        assert_eq!(axis.ticks().len(), 5);
    }

    #[test]
    fn a_legend_breaks_at_the_edge() {
        let entry = |name: &str| (name.to_owned(), Swatch::Expected);
        let entries = [entry("0123456789"), entry("0123456789"), entry("012")];
        let places = legend_places(360, 56, &entries);
        assert_eq!(places, [(20, 56), (172, 56), (20, 80)]);
    }

    #[test]
    fn ticks_are_round_and_within() {
        assert_eq!(
            vertical(0.0, 4_000.0).ticks(),
            [0.0, 1_000.0, 2_000.0, 3_000.0, 4_000.0]
        );
        let ticks = vertical(1.0, 1.06).ticks();
        assert!((4..=7).contains(&ticks.len()), "{ticks:?}");
        assert!(vertical(3.0, 3.0).ticks().len() > 1);
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
