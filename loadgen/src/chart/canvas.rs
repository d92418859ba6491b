//! Basic shapes and text for SVG and PNG, in units that do not depend on the resolution, and the
//! colours of all charts.

use anyhow::anyhow;
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::font::FONT;

/// Colours of the background, of text and axes, and of grid lines.
pub(super) const BACKGROUND: RGBColor = RGBColor(0xff, 0xff, 0xff);
pub(crate) const FOREGROUND: RGBColor = RGBColor(0x1b, 0x1f, 0x24);
pub(super) const GRID: RGBColor = RGBColor(0xd9, 0xde, 0xe3);

/// Six colours that remain distinct in colour blindness (Okabe and Ito 2008).
pub(crate) const PALETTE: [RGBColor; 6] = [
    RGBColor(0x00, 0x72, 0xb2),
    RGBColor(0xd5, 0x5e, 0x00),
    RGBColor(0x00, 0x9e, 0x73),
    RGBColor(0xcc, 0x79, 0xa7),
    RGBColor(0xe6, 0x9f, 0x00),
    RGBColor(0x56, 0xb4, 0xe9),
];

/// Light colours and their replacements in dark mode.
pub(super) const DARK_MODE_COLOURS: [(RGBColor, RGBColor); 5] = [
    (BACKGROUND, RGBColor(0x14, 0x18, 0x1d)),
    (FOREGROUND, RGBColor(0xe6, 0xe9, 0xec)),
    (GRID, RGBColor(0x3a, 0x41, 0x49)),
    (PALETTE[0], RGBColor(0x4a, 0xa3, 0xdf)),
    (PALETTE[1], RGBColor(0xf0, 0x7f, 0x2e)),
];

/// Colours of a drawing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Theme {
    Light,
    Dark,
}

/// Text sizes, in units.
pub(super) const TITLE_SIZE: i32 = 22;
pub(super) const LABEL_SIZE: i32 = 17;
pub(super) const SMALL_SIZE: i32 = 16;

/// Opacity of a time without a replica.
pub(super) const SPAN_OPACITY: f64 = 0.45;

/// Space between lines of text, in units.
pub(super) const LEADING: i32 = 6;

/// Radius of a point, in units.
const POINT_RADIUS: i32 = 4;

/// Width below which a canvas is narrow, in units.
const NARROW_BELOW: i32 = 600;

/// Alignment of a text at its point.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Anchor {
    Left,
    Middle,
    Right,
}

/// A drawing area and its resolution.
pub(crate) struct Canvas<'a, DB: DrawingBackend> {
    area: &'a DrawingArea<DB, Shift>,
    scale: i32,
    theme: Theme,
}

impl<'a, DB: DrawingBackend> Canvas<'a, DB> {
    /// Returns a canvas on which a unit is `scale` pixels.
    pub(crate) fn new(area: &'a DrawingArea<DB, Shift>, scale: i32, theme: Theme) -> Self {
        Self { area, scale, theme }
    }

    /// Width and height, in units.
    pub(super) fn size(&self) -> (i32, i32) {
        let (width, height) = self.area.dim_in_pixel();
        let units = |pixels: u32| i32::try_from(pixels).unwrap_or(i32::MAX) / self.scale;
        (units(width), units(height))
    }

    /// Returns `true` for a canvas as wide as a phone.
    pub(super) fn is_narrow(&self) -> bool {
        self.size().0 < NARROW_BELOW
    }

    /// Fills the background and draws the title.
    pub(crate) fn draw_title(&self, title: &str) -> anyhow::Result<()> {
        let filled = self.area.fill(&self.paint(BACKGROUND));
        filled.map_err(|err| anyhow!("cannot draw: {err}"))?;
        self.paragraph(title, (20, 24), TITLE_SIZE)
    }

    /// Breaks a text into lines that fit between the margins.
    pub(super) fn lines(&self, text: &str, size: i32) -> Vec<String> {
        // A letter is about half as wide as it is high.
        let columns = (self.size().0 - 30) * 100 / (size * 47);
        wrap(text, usize::try_from(columns).unwrap_or(1))
    }

    /// Draws lines of text, from the one whose middle is at `at`.
    pub(super) fn paragraph(&self, text: &str, at: (i32, i32), size: i32) -> anyhow::Result<()> {
        let mut row = at.1;
        for line in self.lines(text, size) {
            self.text(&line, (at.0, row), size, Anchor::Left)?;
            row += size + LEADING;
        }
        Ok(())
    }

    /// The colour in the theme of this canvas.
    fn paint(&self, colour: RGBColor) -> RGBColor {
        let mut dark = DARK_MODE_COLOURS.iter();
        let dark = dark.find(|pair| self.theme == Theme::Dark && pair.0 == colour);
        dark.map_or(colour, |pair| pair.1)
    }

    fn at(&self, (x, y): (i32, i32)) -> (i32, i32) {
        (x * self.scale, y * self.scale)
    }

    fn draw<'b, E>(&self, element: &'b E) -> anyhow::Result<()>
    where
        &'b E: plotters::element::PointCollection<'b, (i32, i32)>,
        E: plotters::element::Drawable<DB>,
    {
        let drawn = self.area.draw(element);
        drawn.map_err(|err| anyhow!("cannot draw: {err}"))
    }

    /// Draws one line of text, vertically centred at `at`.
    pub(crate) fn text(
        &self,
        text: &str,
        at: (i32, i32),
        size: i32,
        anchor: Anchor,
    ) -> anyhow::Result<()> {
        let side = match anchor {
            Anchor::Left => HPos::Left,
            Anchor::Middle => HPos::Center,
            Anchor::Right => HPos::Right,
        };
        let style = (FONT, size * self.scale).into_font();
        let style = style.color(&self.paint(FOREGROUND));
        let style = style.pos(Pos::new(side, VPos::Center));
        self.draw(&Text::new(text.to_owned(), self.at(at), style))
    }

    /// Draws a filled rectangle between two corners.
    pub(crate) fn block(
        &self,
        from: (i32, i32),
        to: (i32, i32),
        colour: RGBColor,
    ) -> anyhow::Result<()> {
        let corners = [self.at(from), self.at(to)];
        self.draw(&Rectangle::new(corners, self.paint(colour).filled()))
    }

    /// Draws a line through points, `width` units wide.
    pub(crate) fn line(
        &self,
        points: &[(i32, i32)],
        colour: RGBColor,
        width: i32,
    ) -> anyhow::Result<()> {
        let points: Vec<_> = points.iter().map(|point| self.at(*point)).collect();
        let width = (width * self.scale).unsigned_abs();
        self.draw(&PathElement::new(
            points,
            self.paint(colour).stroke_width(width),
        ))
    }

    /// Draws a filled polygon; `strength` is its opacity, from 0 to 1.
    pub(super) fn shape(
        &self,
        points: &[(i32, i32)],
        colour: RGBColor,
        strength: f64,
    ) -> anyhow::Result<()> {
        let points: Vec<_> = points.iter().map(|point| self.at(*point)).collect();
        self.draw(&Polygon::new(points, self.paint(colour).mix(strength)))
    }

    /// Draws a filled point.
    pub(super) fn point(&self, at: (i32, i32), colour: RGBColor) -> anyhow::Result<()> {
        let style = self.paint(colour).filled();
        self.draw(&Circle::new(self.at(at), POINT_RADIUS * self.scale, style))
    }

    /// Draws a triangle around `at`, which points down, or up.
    pub(super) fn triangle(
        &self,
        (x, y): (i32, i32),
        colour: RGBColor,
        up: bool,
    ) -> anyhow::Result<()> {
        let tip = if up { y - 6 } else { y + 6 };
        let base = if up { y + 6 } else { y - 6 };
        self.shape(&[(x - 6, base), (x + 6, base), (x, tip)], colour, 1.0)
    }

    /// Draws a circle that leaves room for a point in it.
    pub(super) fn circle(&self, at: (i32, i32), colour: RGBColor) -> anyhow::Result<()> {
        let style = self
            .paint(colour)
            .stroke_width((2 * self.scale).unsigned_abs());
        self.draw(&Circle::new(
            self.at(at),
            2 * POINT_RADIUS * self.scale,
            style,
        ))
    }
}

/// Breaks a text between words into lines of at most `columns` letters. A longer word is a line.
fn wrap(text: &str, columns: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= columns => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_break_between_words() {
        assert_eq!(wrap("a bc def", 4), ["a bc", "def"]);
        assert_eq!(wrap("abcdef g", 3), ["abcdef", "g"]);
    }
}
