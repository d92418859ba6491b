//! Charts: drawn as SVG for pages, as PNG for documents, and as text for the terminal.
//!
//! Experiments provide data; this module alone decides the appearance. The colours remain distinct
//! in colour blindness, and no information depends on colour alone: lines have labels, bars have
//! numbers.

mod axis;
mod bars;
mod canvas;
mod curves;
mod data;
mod font;
mod lines;
mod png;
mod terminal;
mod timeline;

use plotters::prelude::{BitMapBackend, IntoDrawingArea, RGBColor, SVGBackend};

use canvas::DARK_MODE_COLOURS;
use data::{NARROW, WIDE};

pub(crate) use axis::Axis;
pub(crate) use canvas::{Anchor, Canvas, FOREGROUND, PALETTE, Theme};
pub(crate) use data::{
    Bars, Body, Chart, Curve, Curves, Line, Mark, Outage, Scale, Series, TimelineChart, lane_name,
};
pub(crate) use terminal::text;

/// Pixels of a PNG per unit.
const PNG_PIXELS_PER_UNIT: u32 = 2;

/// Draws the chart as SVG that follows the viewer's light or dark mode.
///
/// # Errors
/// The chart could not be drawn.
pub(crate) fn svg(chart: &Chart) -> anyhow::Result<String> {
    draw_svg(WIDE, |canvas| draw(canvas, chart))
}

/// Draws the chart as SVG for a phone: as large as its screen, with text of the same size.
///
/// # Errors
/// The chart could not be drawn.
pub(crate) fn narrow_svg(chart: &Chart) -> anyhow::Result<String> {
    draw_svg(NARROW, |canvas| draw(canvas, chart))
}

/// Draws an SVG of this width and height.
///
/// # Errors
/// The chart could not be drawn.
pub(crate) fn draw_svg(
    (width, height): (i32, i32),
    draw: impl FnOnce(&Canvas<'_, SVGBackend<'_>>) -> anyhow::Result<()>,
) -> anyhow::Result<String> {
    font::register()?;
    let size = (width.unsigned_abs(), height.unsigned_abs());
    let mut text = String::new();
    {
        let root = SVGBackend::with_string(&mut text, size).into_drawing_area();
        draw(&Canvas::new(&root, 1, Theme::Light))?;
        root.present()?;
    }
    let hex = |RGBColor(red, green, blue)| format!("#{red:02X}{green:02X}{blue:02X}");
    let rule = |(light, dark)| {
        let (light, dark) = (hex(light), hex(dark));
        format!("[fill=\"{light}\"]{{fill:{dark}}}[stroke=\"{light}\"]{{stroke:{dark}}}")
    };
    let rules: String = DARK_MODE_COLOURS.map(rule).concat();
    let style = format!("<style>@media screen and (prefers-color-scheme: dark){{{rules}}}</style>");
    let head = text.find('>').map_or(0, |at| at + 1);
    text.insert_str(head, &style);
    Ok(text)
}

/// Draws the chart as PNG.
///
/// # Errors
/// The chart could not be drawn.
pub(crate) fn png(chart: &Chart, theme: Theme) -> anyhow::Result<Vec<u8>> {
    font::register()?;
    let (width, height) = (WIDE.0.unsigned_abs(), WIDE.1.unsigned_abs());
    let (width, height) = (width * PNG_PIXELS_PER_UNIT, height * PNG_PIXELS_PER_UNIT);
    let len = usize::try_from(width * height * 3)?;
    let mut pixels = vec![0; len];
    {
        let root = BitMapBackend::with_buffer(&mut pixels, (width, height)).into_drawing_area();
        let canvas = Canvas::new(&root, i32::try_from(PNG_PIXELS_PER_UNIT)?, theme);
        draw(&canvas, chart)?;
        root.present()?;
    }
    Ok(png::encode(&pixels, width, height))
}

fn draw<DB: plotters::prelude::DrawingBackend>(
    canvas: &Canvas<'_, DB>,
    chart: &Chart,
) -> anyhow::Result<()> {
    canvas.draw_title(&chart.title)?;
    match &chart.body {
        Body::Bars(bars) => bars::draw(canvas, chart, bars),
        Body::Lines(lines, floor) => lines::draw(canvas, chart, lines, *floor),
        Body::Curves(curves) => curves::draw(canvas, chart, curves),
        Body::Timeline(lanes) => timeline::draw(canvas, chart, lanes),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A chart of two bars.
    pub(crate) fn sample() -> Chart {
        Chart {
            stem: "sample",
            title: "Answers per server".into(),
            sentence: "Two bars.".into(),
            x: "server".into(),
            y: "answers".into(),
            body: Body::Bars(Bars {
                groups: vec!["1".into(), "2".into()],
                series: vec![Series {
                    name: "measured".into(),
                    values: vec![30.0, 10.0],
                    expected: vec![Some(20.0), None],
                }],
            }),
        }
    }

    #[test]
    fn an_svg_has_its_words_and_both_modes() {
        let svg = svg(&sample()).unwrap();
        assert!(svg.starts_with("<svg ") && svg.trim_end().ends_with("</svg>"));
        for part in [
            "Answers per server",
            "prefers-color-scheme",
            ">\n30\n<",
            "expected",
        ] {
            assert!(svg.contains(part), "{part}: {svg}");
        }
    }

    #[test]
    fn a_png_has_the_size_it_says_and_ink_on_it() {
        let png = super::png(&sample(), Theme::Light).unwrap();
        assert!(png.starts_with(b"\x89PNG\r\n\x1a\n"));
        assert_eq!(png[16..24], [0, 0, 0x07, 0x30, 0, 0, 0x03, 0xe8]);
        assert!(png.len() > 4_000 && png.len() < 200_000, "{}", png.len());
    }

    /// First pixel of a PNG.
    fn corner(png: &[u8]) -> [u8; 3] {
        let len = u32::from_be_bytes(png[33..37].try_into().unwrap());
        let data = &png[41..41 + usize::try_from(len).unwrap()];
        let pixels = miniz_oxide::inflate::decompress_to_vec_zlib(data).unwrap();
        pixels[1..4].try_into().unwrap()
    }

    #[test]
    fn a_png_is_light_or_dark() {
        let png = |theme| super::png(&sample(), theme).unwrap();
        assert_eq!(corner(&png(Theme::Light)), [0xff, 0xff, 0xff]);
        assert_eq!(corner(&png(Theme::Dark)), [0x14, 0x18, 0x1d]);
    }

    #[test]
    fn a_narrow_chart_breaks_its_title() {
        let mut chart = sample();
        chart.title = "Answers per server at 4,000 requests/s".into();
        assert!(
            svg(&chart)
                .unwrap()
                .contains("Answers per server at 4,000 requests/s")
        );
        let narrow = narrow_svg(&chart).unwrap();
        assert!(narrow.contains(r#"width="360""#), "{narrow}");
        assert!(
            narrow.contains(">\nAnswers per server at 4,000\n<"),
            "{narrow}"
        );
    }
}
