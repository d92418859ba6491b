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
pub(super) const DARK_MODE_COLOURS: [(&str, &str); 5] = [
    ("#FFFFFF", "#14181D"),
    ("#1B1F24", "#E6E9EC"),
    ("#D9DEE3", "#3A4149"),
    ("#0072B2", "#4AA3DF"),
    ("#D55E00", "#F07F2E"),
];

/// Text sizes, in units.
pub(super) const TITLE_SIZE: i32 = 22;
pub(super) const LABEL_SIZE: i32 = 17;
pub(super) const SMALL_SIZE: i32 = 16;

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
}

impl<'a, DB: DrawingBackend> Canvas<'a, DB> {
    /// Returns a canvas on which a unit is `scale` pixels.
    pub(crate) fn new(area: &'a DrawingArea<DB, Shift>, scale: i32) -> Self {
        Self { area, scale }
    }

    /// Fills the background and draws the title.
    pub(crate) fn draw_title(&self, title: &str) -> anyhow::Result<()> {
        let filled = self.area.fill(&BACKGROUND);
        filled.map_err(|err| anyhow!("cannot draw: {err}"))?;
        self.text(title, (20, 24), TITLE_SIZE, Anchor::Left)
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
        let style = (FONT, size * self.scale).into_font().color(&FOREGROUND);
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
        self.draw(&Rectangle::new(corners, colour.filled()))
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
        self.draw(&PathElement::new(points, colour.stroke_width(width)))
    }

    /// Draws a filled polygon; `strength` is its opacity, from 0 to 1.
    pub(super) fn shape(
        &self,
        points: &[(i32, i32)],
        colour: RGBColor,
        strength: f64,
    ) -> anyhow::Result<()> {
        let points: Vec<_> = points.iter().map(|point| self.at(*point)).collect();
        self.draw(&Polygon::new(points, colour.mix(strength)))
    }

    /// Draws a filled or hollow point.
    pub(super) fn point(
        &self,
        at: (i32, i32),
        colour: RGBColor,
        hollow: bool,
    ) -> anyhow::Result<()> {
        let radius = 5 * self.scale;
        self.draw(&Circle::new(self.at(at), radius, colour.filled()))?;
        if hollow {
            self.draw(&Circle::new(
                self.at(at),
                radius - 2 * self.scale,
                BACKGROUND.filled(),
            ))?;
        }
        Ok(())
    }
}
